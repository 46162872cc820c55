package sweep

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"ringmap/bench"
	"ringmap/bench/scenario"
	"ringmap/bench/store"
	"ringmap/sim"
)

// Shard is one part of a sweep: of N parts the I-th, from 1. Which points it
// holds follows from their keys alone.
type Shard struct{ I, N int }

// ParseShard reads "2/8".
func ParseShard(text string) (Shard, error) {
	var s Shard
	i, n, ok := strings.Cut(text, "/")
	a, err1 := strconv.Atoi(i)
	b, err2 := strconv.Atoi(n)
	if s = (Shard{a, b}); !ok || err1 != nil || err2 != nil || a < 1 || b < a {
		return s, fmt.Errorf("--shard %s: this is no part of a whole; write i/n with i from 1 to n, such as 1/4", text)
	}
	return s, nil
}

// holds tells whether a run belongs to the shard. Keys are hashes.
func (s Shard) holds(key string) bool {
	if s.N <= 1 {
		return true
	}
	n, _ := strconv.ParseUint(key[:12], 16, 64)
	return n%uint64(s.N) == uint64(s.I-1)
}

// Options of a sweep's run.
type Options struct {
	Workers  int // points that run at a time; at least 1
	Shard    Shard
	Progress func(done, all int) // called when a point is finished; nil = never

	// Publish is bench.Options.Publish for every point, by its name, and Ended is called
	// when a point is over; on the points' goroutines. nil = never.
	Publish func(point string, p bench.Progress, stats []sim.Stat)
	Ended   func(point string)
}

// watch lets a run of a point be seen from outside.
func (o *Options) watch(point string, run *bench.Options) (ended func()) {
	if o.Publish == nil {
		return func() {}
	}
	run.Publish = func(p bench.Progress, stats []sim.Stat) { o.Publish(point, p, stats) }
	return func() { o.Ended(point) }
}

// Outcome says what a run of a sweep did.
type Outcome struct {
	Points    int // of the sweep
	Mine      int // of these, in the shard
	Found     int // of these, in the store already
	Ran       int
	Baselines int // runs with tracking off
	Failed    int // points that lost pages where the scenario says that this fails
}

// ErrInterrupted ends a run that was told to stop. What is finished is stored.
var ErrInterrupted = errors.New("interrupted")

// task is a point that is to be run.
type task struct {
	job *bench.Job
	key string
	n   int // of the point
}

// prepare checks every point and stores the sweep with their keys. It returns the
// points that are to be run, in order.
func (s *Sweep) prepare(st *store.Store, o Options, out *Outcome) ([]task, error) {
	var files bench.Files
	var first error
	bad, example := 0, 0
	tasks := make([]task, len(s.Points))
	points := make([]store.Point, len(s.Points))
	for i, p := range s.Points {
		sc, err := s.Scenario(p)
		if err != nil {
			return nil, err
		}
		job, err := files.Prepare(sc)
		if err != nil {
			var where *scenario.Problem
			if !errors.As(err, &where) {
				return nil, err // a file, not the point
			}
			if bad++; bad == 1 {
				first, example = err, i
			}
			continue
		}
		tasks[i] = task{job, job.Key(), i}
		points[i] = store.Point{Ordinal: i, Labels: s.Labels(p), Key: tasks[i].key}
	}
	if bad > 0 {
		return nil, s.impossible(first, bad, example)
	}
	if err := st.PutSweep(s.About(), points); err != nil {
		return nil, err
	}
	out.Points = len(points)
	return s.mine(st, o, tasks, out)
}

// impossible is the error of points that could not be built.
func (s *Sweep) impossible(first error, bad, example int) error {
	if len(s.Points) == 1 {
		return first
	}
	return fmt.Errorf("%w (point %s; %d of %d points are impossible: leave them out with sweep.exclude, or say with sweep.when where a key applies)", first, s.String(s.Points[example]), bad, len(s.Points))
}

// mine lists the tasks of the shard that the store does not have, once each,
// coarse picture first.
func (s *Sweep) mine(st *store.Store, o Options, tasks []task, out *Outcome) (todo []task, err error) {
	seen := map[string]bool{}
	for _, i := range s.order() {
		t := tasks[i]
		if !o.Shard.holds(t.key) {
			continue
		}
		out.Mine++
		found, err := st.Has(t.key)
		if err != nil {
			return nil, err
		}
		switch {
		case found || seen[t.key]:
			out.Found++
		default:
			seen[t.key] = true
			todo = append(todo, t)
		}
	}
	return todo, nil
}

// About is what the store keeps of the sweep.
func (s *Sweep) About() store.About {
	a := store.About{Name: s.Name, Stats: s.Stats, Combinations: s.Counts.Combinations, Excluded: s.Counts.Excluded, Merged: s.Counts.Merged}
	for _, x := range s.Axes {
		a.Axes = append(a.Axes, store.Axis{Key: x.Key, Values: x.Values, Numbers: x.Numbers, Replicate: x.Replicate})
	}
	return a
}

// Run runs the points of the sweep that the store does not have, and stores each
// as it is finished. A point that does not work does not keep others from it;
// the first such error is returned at the end.
func (s *Sweep) Run(ctx context.Context, st *store.Store, o Options) (out Outcome, err error) {
	todo, err := s.prepare(st, o, &out)
	if err != nil {
		return out, err
	}
	next := make(chan task)
	results := make(chan result)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer close(next)
		for _, t := range todo {
			select {
			case next <- t:
			case <-stop:
				return
			}
		}
	}()
	w := &worker{store: st, options: &o, baselines: map[string]*shared{}}
	for range max(o.Workers, 1) {
		go func() {
			for t := range next {
				r := w.run(s, t)
				select {
				case results <- r:
				case <-stop:
					return
				}
			}
		}()
	}
	var first error
	for n := range len(todo) {
		select {
		case <-ctx.Done():
			return out, ErrInterrupted
		case r := <-results:
			if err := keep(st, r, &out); err != nil {
				var full *store.Error
				if errors.As(err, &full) {
					return out, err
				}
				if first == nil {
					first = err
				}
			}
		}
		if o.Progress != nil {
			o.Progress(out.Found+n+1, out.Mine)
		}
	}
	return out, first
}

// result is what a worker made of a task.
type result struct {
	key       string
	record    []byte
	failed    bool // lost pages, where that fails
	baselines int  // that it had to run
	err       error
}

// keep stores a finished point.
func keep(st *store.Store, r result, out *Outcome) error {
	out.Baselines += r.baselines
	if r.err != nil {
		return r.err
	}
	if err := st.Put(r.key, r.record); err != nil {
		return err
	}
	out.Ran++
	if r.failed {
		out.Failed++
	}
	return nil
}

// worker runs tasks; all goroutines share it.
type worker struct {
	store     *store.Store
	options   *Options
	mu        sync.Mutex
	baselines map[string]*shared
}

// shared is a baseline that several points wait for.
type shared struct {
	once sync.Once
	bench.Baseline
	err error
	ran bool
}

func (w *worker) run(s *Sweep, t task) (r result) {
	r.key = t.key
	defer func() { // on a goroutine of its own nobody else could turn it into a message
		if p := recover(); p != nil {
			r.err = fmt.Errorf("point %s: internal error: %v\n%s", s.String(s.Points[t.n]), p, debug.Stack())
		}
	}()
	if found, err := w.store.Has(t.key); err != nil || found { // another process was quicker
		text, _, err2 := w.store.Record(t.key)
		r.record, r.err = text, errors.Join(err, err2)
		return r
	}
	var o bench.Options
	if t.job.Compares() {
		b, ran, err := w.baseline(t.job)
		if err != nil {
			r.err = fmt.Errorf("point %s: %w", s.String(s.Points[t.n]), err)
			return r
		}
		if ran {
			r.baselines++
		}
		o.Without = &b
	}
	defer w.options.watch(s.String(s.Points[t.n]), &o)()
	res, err := t.job.Run(o)
	if err != nil {
		r.err = fmt.Errorf("point %s: %w", s.String(s.Points[t.n]), err)
		return r
	}
	r.failed = res.Failed
	r.record, r.err = res.JSON()
	return r
}

// baseline finds or makes the run with tracking off that a job compares with;
// whoever needs the same one meanwhile waits.
func (w *worker) baseline(j *bench.Job) (b bench.Baseline, ran bool, err error) {
	key := j.BaselineKey()
	w.mu.Lock()
	sh := w.baselines[key]
	if sh == nil {
		sh = &shared{}
		w.baselines[key] = sh
	}
	w.mu.Unlock()
	sh.once.Do(func() {
		var ok bool
		if sh.Cycles, sh.Instructions, sh.VCPUs, ok, sh.err = w.store.Baseline(key); ok || sh.err != nil {
			return
		}
		if sh.Baseline, sh.err = j.Baseline(); sh.err == nil {
			ran = true
			sh.err = w.store.PutBaseline(key, sh.Cycles, sh.Instructions, sh.VCPUs)
		}
	})
	return sh.Baseline, ran, sh.err
}
