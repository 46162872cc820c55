package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"ringmap/bench"
	"ringmap/bench/scenario"
	"ringmap/kvmcore"
	"ringmap/mmu"
)

// inspectRows is how many rows of a table are printed without --all.
const inspectRows = 24

func inspectCommand(t *terminal) *cobra.Command {
	var (
		at, resume  string
		asJSON, all bool
	)
	cmd := &cobra.Command{
		Use:   "inspect [FILE]",
		Short: "Look into GICv3 and ITS of a stopped run or a snapshot: mappings, pending LPIs, guest pages",
		Long: `Run a scenario to its end, or to a time, or take a snapshot of it, and print what its
interrupt controller holds: devices, events, collections, pending LPIs, and which guest
page holds what. "saved" says that guest memory holds what a save would write now.`,
		Example: `  ringmap inspect scenarios/lpis.yaml
  ringmap inspect scenarios/linux-4vcpu.yaml --at 20ms --all
  ringmap inspect scenarios/linux-4vcpu.yaml --resume long.snap --json`,
	}
	flags := newRunFlags(cmd)
	cmd.Flags().StringVar(&at, "at", "", "stop the run at `TIME`, such as 20ms or 3000cyc; without, at its end")
	cmd.Flags().StringVar(&resume, "resume", "", "look into this snapshot `FILE` of the same scenario, or continue from it to --at")
	cmd.Flags().BoolVar(&all, "all", false, "print every row, however many there are")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON, with every page of guest memory on its own")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := flags.scenario(cmd, args)
		if err != nil {
			return err
		}
		var stop scenario.Time
		if at != "" {
			if stop, err = scenario.ParseTime(at); err != nil {
				return fmt.Errorf("--at %s: %w", at, err)
			}
		}
		opts := bench.Options{ResumeName: resume}
		if resume != "" {
			if opts.Resume, err = os.ReadFile(resume); err != nil {
				return fileError(resume, err)
			}
		}
		bar := newProgress(t)
		opts.Progress = bar.update
		seen, err := bench.Inspect(s, stop, opts)
		bar.finish()
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(t, seen)
		}
		p := inspection{t: t, v: seen.GIC, rows: inspectRows}
		if all {
			p.rows = 1 << 30
		}
		p.print(seen)
		return nil
	}
	return cmd
}

// inspection prints a GICView.
type inspection struct {
	t    *terminal
	v    *kvmcore.GICView
	rows int
}

func (p *inspection) print(seen *bench.Inspection) {
	v, when := p.v, "stopped"
	if seen.Ended {
		when = "at the end"
	}
	if seen.Moved {
		when += ", at the destination"
	}
	fmt.Fprintf(p.t.out, "%s after %s, %s\n", p.t.style.bold(seen.Name), cycles(seen.Cycle), when)
	fmt.Fprintf(p.t.out, "GICv3: distributor %s, configuration table %#x, %d bits of INTIDs\n", onOff(v.Enabled), uint64(v.ConfigTable), v.INTIDBits)
	p.vcpus()
	for i := range v.ITSs {
		p.its(i, &v.ITSs[i])
	}
	p.pending()
	p.pages()
}

// section prints a table with its title, cut to what is shown.
func (p *inspection) section(title string, tab table) {
	fmt.Fprintf(p.t.out, "\n%s\n", p.t.style.bold(title))
	if len(tab.rows) == 0 {
		return
	}
	left := len(tab.rows) - p.rows
	if left > 0 {
		tab.rows = tab.rows[:p.rows]
	}
	copyLines(p.t.out, tab.lines())
	if left > 0 {
		fmt.Fprintf(p.t.out, "  … and %d more: --all prints them\n", left)
	}
}

func (p *inspection) vcpus() {
	tab := table{heads: []string{"vCPU", "LPIs", "pending table", "mapped", "pending", "queued"}}
	for _, r := range p.v.VCPUs {
		tab.row(fmt.Sprint(r.ID), onOff(r.LPIsEnabled), hex(r.PendingTable), fmt.Sprint(r.LPIs), fmt.Sprint(r.Pending), fmt.Sprint(r.Queued))
	}
	p.section("Redistributors", tab)
}

func (p *inspection) its(i int, s *kvmcore.ITSView) {
	waiting := uint64(0)
	if s.QueueBytes != 0 {
		waiting = (s.CWRITER + s.QueueBytes - s.CREADR) % s.QueueBytes / 32
	}
	out := p.t.out
	fmt.Fprintf(out, "\n%s at %s: %s, %d translations cached\n", p.t.style.bold(fmt.Sprintf("ITS %d", i)), hex(s.Base), onOff(s.Enabled), s.Cached)
	tab := table{}
	tab.row("command queue", hex(s.Queue), scenario.Size(s.QueueBytes).String(), fmt.Sprintf("CREADR %#x, CWRITER %#x: %d waiting", s.CREADR, s.CWRITER, waiting))
	for _, b := range []struct {
		name string
		kvmcore.TableView
	}{{"device table", s.DeviceTable}, {"collection table", s.CollectionTable}} {
		kind := "one level"
		switch {
		case !b.Valid:
			kind = "not valid"
		case b.Indirect:
			kind = "two levels"
		}
		tab.row(b.name, hex(b.Base), scenario.Size(b.Bytes).String(), kind)
	}
	copyLines(out, tab.lines())
	if s.SaveWouldFailFor != "" {
		fmt.Fprintf(out, "  SAVE_TABLES would fail: %s\n", s.SaveWouldFailFor)
	}
	p.collections(s)
	p.devices(s)
}

func (p *inspection) collections(s *kvmcore.ITSView) {
	tab := table{heads: []string{"ICID", "RDbase", "events", "entry", "saved"}}
	for _, c := range s.Collections {
		rdbase := fmt.Sprint(c.RDbase)
		if c.RDbase < 0 {
			rdbase = "unmapped"
		}
		tab.row(fmt.Sprint(c.ICID), rdbase, fmt.Sprint(c.Events), hex(c.Entry), yesNo(c.Saved))
	}
	p.section(fmt.Sprintf("Collections: %d", len(s.Collections)), tab)
}

func (p *inspection) devices(s *kvmcore.ITSView) {
	lpis := map[uint32]*kvmcore.LPIView{}
	for i := range p.v.LPIs {
		lpis[p.v.LPIs[i].INTID] = &p.v.LPIs[i]
	}
	tab := table{heads: []string{"device", "event bits", "ITT", "events", "pending", "entry", "saved", "events saved"}}
	events := table{heads: []string{"device", "event", "LPI", "ICID", "vCPU", "priority", "enabled", "pending", "entry", "saved"}}
	for _, d := range s.Devices {
		pending, saved := 0, 0
		for _, e := range d.Events {
			l := lpis[e.LPI]
			if l.Pending {
				pending++
			}
			if e.Saved {
				saved++
			}
			icid := fmt.Sprint(e.ICID)
			if e.Orphan {
				icid = "gone"
			}
			events.row(fmt.Sprintf("%#x", d.ID), fmt.Sprint(e.ID), fmt.Sprint(e.LPI), icid, p.vcpu(l.VCPU),
				fmt.Sprintf("%#02x", l.Priority), yesNo(l.Enabled), yesNo(l.Pending), hex(e.Entry), yesNo(e.Saved))
		}
		tab.row(fmt.Sprintf("%#x", d.ID), fmt.Sprint(d.EventBits), hex(d.ITT), fmt.Sprint(len(d.Events)), fmt.Sprint(pending),
			hex(d.Entry), yesNo(d.Saved), fmt.Sprint(saved))
	}
	p.section(fmt.Sprintf("Devices: %d", len(s.Devices)), tab)
	p.section(fmt.Sprintf("Events: %d", len(events.rows)), events)
}

// vcpu names a vCPU by its id.
func (p *inspection) vcpu(index int32) string {
	if index < 0 {
		return "none"
	}
	return fmt.Sprint(p.v.VCPUs[index].ID)
}

func (p *inspection) pending() {
	tab := table{heads: []string{"LPI", "vCPU", "priority", "enabled", "where<", "bit in table"}}
	for _, l := range p.v.LPIs {
		if !l.Pending && !l.Active {
			continue
		}
		where := "pending"
		switch {
		case l.ListReg && l.Active:
			where = "active in a list register"
		case l.ListReg:
			where = "in a list register"
		}
		tab.row(fmt.Sprint(l.INTID), p.vcpu(l.VCPU), fmt.Sprintf("%#02x", l.Priority), yesNo(l.Enabled), where, yesNo(l.Bit))
	}
	p.section(fmt.Sprintf("Pending LPIs: %d of %d", len(tab.rows), len(p.v.LPIs)), tab)
}

// pages prints the pages of guest memory, neighbours of one kind in one row.
func (p *inspection) pages() {
	tab := table{heads: []string{"guest pages", "holds<", "of<", "entries", "saved"}}
	pages := p.v.Pages
	for i := 0; i < len(pages); {
		first, last := pages[i], pages[i]
		for i++; i < len(pages) && pages[i].Holds == first.Holds && adjacent(last, pages[i]); i++ {
			first.Entries += pages[i].Entries
			first.Saved += pages[i].Saved
			last = pages[i]
		}
		gfns, of := fmt.Sprintf("%#x", uint64(first.GFN)), owner(first)
		if last.GFN != first.GFN {
			gfns += fmt.Sprintf("–%#x", uint64(last.GFN))
		}
		if last.Of != first.Of {
			of += "–" + ownerNumber(last)
		}
		tab.row(gfns, string(first.Holds), of, fmt.Sprint(first.Entries), fmt.Sprint(first.Saved))
	}
	p.section("Guest pages", tab)
}

// adjacent tells whether b goes on where a ends: the same page or the next.
func adjacent(a, b kvmcore.TablePage) bool {
	return b.GFN == a.GFN || b.GFN == a.GFN+1
}

func owner(p kvmcore.TablePage) string {
	switch p.Holds {
	case kvmcore.HoldsITT:
		return "device " + ownerNumber(p)
	case kvmcore.HoldsPending:
		return "vCPU " + ownerNumber(p)
	case kvmcore.HoldsConfig:
		return "all LPIs"
	}
	return "ITS " + ownerNumber(p)
}

func ownerNumber(p kvmcore.TablePage) string {
	if p.Holds == kvmcore.HoldsITT {
		return fmt.Sprintf("%#x", p.Of)
	}
	return fmt.Sprint(p.Of)
}

func hex(a mmu.IPA) string { return fmt.Sprintf("%#x", uint64(a)) }

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
