package bench

import (
	"cmp"
	"fmt"
	"slices"

	"ringmap/bench/audit"
	"ringmap/mmu"
	"ringmap/sim"
)

// watcher stands between the VMM and the audit and notes when the watched page
// is sent. What the kernel does to the page is in kvmcore's own story.
type watcher struct {
	*audit.Audit
	mem  *mmu.Memory
	gfn  mmu.GFN
	sent []sentPage
}

type sentPage struct {
	at     sim.Cycle
	by     mmu.Writer
	wasted bool // no byte had changed
}

// Collect notes the page and passes the call on.
func (w *watcher) Collect(gfn mmu.GFN, src mmu.PFN, now sim.Cycle) {
	before := w.Total.Spurious
	w.Audit.Collect(gfn, src, now)
	if gfn == w.gfn && len(w.sent) < maxSent {
		w.sent = append(w.sent, sentPage{at: now, by: w.mem.LastWriter(src), wasted: w.Total.Spurious != before})
	}
}

// maxSent bounds the story of a page that is sent again and again.
const maxSent = 1 << 16

// watch makes kernel and audit note what happens to a guest page.
func (m *machine) watch(gfn uint64) {
	m.host.Watch(m.vm, mmu.GFN(gfn))
	if m.audit != nil {
		m.watcher = &watcher{Audit: m.audit, mem: m.host.Machine.Mem, gfn: mmu.GFN(gfn)}
		m.vmm.Audit = m.watcher
	}
}

// tellStory joins what kernel and VMM did to the watched page, by time, and says
// how it ended.
func (m *machine) tellStory(r *Result) {
	type line struct {
		at   sim.Cycle
		text string
	}
	var lines []line
	for _, e := range m.host.Story.Events {
		lines = append(lines, line{e.At, e.String()})
	}
	if m.watcher != nil {
		for _, s := range m.watcher.sent {
			text := "sent to the destination; last written by " + writerName(s.by)
			if s.wasted {
				text = "sent to the destination, though no byte had changed"
			}
			lines = append(lines, line{s.at, fmt.Sprintf("%12d  %-8s %s", s.at, "VMM", text)})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	for _, l := range lines {
		r.Story = append(r.Story, l.text)
	}
	if n := m.host.Story.Omitted; n != 0 {
		r.Story = append(r.Story, fmt.Sprintf("and %d more events", n))
	}
	r.Verdict = m.verdict(r)
}

// verdict says how the story of the watched page ended.
func (m *machine) verdict(r *Result) string {
	gfn := m.host.Story.GFN
	for _, e := range m.lost {
		if e.GFN == gfn {
			return fmt.Sprintf("LOST: its last bytes, written by %s, never reached the destination. Cause: %s (%s).", writerName(e.Writer), e.Cause, CauseText(e.Cause))
		}
	}
	switch {
	case len(r.Story) == 0:
		return "Nothing happened to this page: nobody wrote it while it was watched."
	case m.watcher == nil:
		return "Nothing was tracked, so nothing was sent."
	case len(m.watcher.sent) == 0:
		return "It was never sent, and the destination holds the same bytes."
	}
	return fmt.Sprintf("Sent %d times; the destination holds its last bytes.", len(m.watcher.sent))
}
