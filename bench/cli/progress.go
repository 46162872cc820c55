package cli

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"

	"ringmap/bench"
)

// progress shows how far a run is, with the time it still takes and the rate
// of simulation. It is silent unless standard error is a terminal.
type progress struct {
	bar   *progressbar.ProgressBar
	began time.Time
	first uint64 // cycle at which the run began: not 0 when it was resumed
	moved bool
}

const barSteps = 1000

func newProgress(t *terminal) *progress {
	p := &progress{began: time.Now()}
	if t.live {
		p.bar = progressbar.NewOptions(barSteps,
			progressbar.OptionSetWriter(t.err), progressbar.OptionSetWidth(32), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("simulating"))
	}
	return p
}

func (p *progress) update(now bench.Progress) {
	if p.bar == nil {
		return
	}
	if !p.moved {
		p.moved, p.first = true, now.Cycle
	}
	if s := time.Since(p.began).Seconds(); s > 0.2 {
		p.bar.Describe(humanize.SIWithDigits(float64(now.Cycle-p.first)/s, 0, "cycles/s"))
	}
	p.bar.Set(int(min(now.Share, 1) * barSteps))
}

func (p *progress) finish() {
	if p.bar != nil {
		p.bar.Finish()
	}
}

// rate is the speed of a finished simulation.
func rate(r *bench.Result, spent time.Duration) string {
	s := max(spent.Seconds(), 1e-6)
	if r.Instructions != 0 {
		return fmt.Sprintf("%s, %s", humanize.SIWithDigits(float64(r.Cycles)/s, 1, "cycles/s"), humanize.SIWithDigits(float64(r.Instructions)/s, 1, "instructions/s"))
	}
	return fmt.Sprintf("%s, %s", humanize.SIWithDigits(float64(r.Cycles)/s, 1, "cycles/s"), humanize.SIWithDigits(float64(r.Writes)/s, 1, "guest writes/s"))
}

// cycles prints a span of simulated time.
func cycles(n uint64) string { return humanize.Comma(int64(min(n, 1<<62))) + " cycles" }
