package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"ringmap/bench"
)

// summary is the one-screen report of a run: where the cycles went, what was
// lost, then the tables.
func summary(r *bench.Result, st style, columns int) []string {
	var out []string
	say := func(lines ...string) { out = append(out, lines...) }
	say(st.bold(r.Name)+"  "+headline(r), "")
	if program(r) != "" {
		say(programLine(r, st), "")
	}
	if r.Migration != nil {
		say(migrationSection(r, st)...)
		say("")
	}
	if len(r.Epochs) > 0 {
		say(epochSection(r, st)...)
		say("")
	}
	say(timeSection(r, st, columns)...)
	say("", lossSentence(r, st))
	say(lossTable(r)...)
	say("")
	say(trackingTables(r, st)...)
	say(coreStack(r, st, columns)...)
	say(cacheTables(r, st)...)
	say("", st.bold("Configuration")+" (all of it is in the JSON record)")
	say(wrap(configLine(r), columns)...)
	say(wrap(figuresLine(r), columns)...)
	for _, w := range r.Warnings {
		say(wrap(st.red("warning:")+" "+w, columns)...)
	}
	for _, w := range r.Kernel {
		say(st.red("kernel:") + " WARN_ONCE in " + w)
	}
	for i, f := range r.Findings {
		if i == 5 {
			say(fmt.Sprintf("  and %d more findings", len(r.Findings)-i))
			break
		}
		say(st.red("finding:") + " " + f)
	}
	return out
}

func headline(r *bench.Result) string {
	return fmt.Sprintf("kernel %s, %s, %s, %s, seed %d", r.Config("kernel"), r.Config("tracking.mode"), count(int(r.Number("vcpus")), "vCPU"), bytesOf(r.Number("memory_bytes")), r.Seed)
}

// program is the file of the machine code that the guest executes, "" if none.
func program(r *bench.Result) string { return r.Config("workload.elf") + r.Config("workload.raw") }

// programLine says how a program ended.
func programLine(r *bench.Result, st style) string {
	line := fmt.Sprintf("%s: %s after %s instructions", st.bold("How the guest ended"), r.Finished, humanize.Comma(int64(r.Instructions)))
	if r.Exit != nil {
		line += fmt.Sprintf("; it says EXIT: STATUS=%d", *r.Exit)
	}
	return line
}

// timeSection is the cycle stack: all vCPU threads together, then the others.
func timeSection(r *bench.Result, st style, columns int) []string {
	var vcpus []bench.ThreadTime
	var others []bench.ThreadTime
	for _, t := range r.Threads {
		if strings.HasPrefix(t.Name, "vcpu.") {
			vcpus = append(vcpus, t)
		} else {
			others = append(others, t)
		}
	}
	run := r.Stat("time.cycles") + r.Stat("dest.time.cycles")
	lines := []string{fmt.Sprintf("%s: the guest ran for %s cycles (%s)%s", st.bold("Where the cycles went"),
		humanize.Comma(int64(run)), seconds(run, r.Number("clock_hz")), slowdown(r))}
	lines = append(lines, stack(count(len(vcpus), "vCPU thread"), vcpus, st, columns)...)
	for _, t := range others {
		if t.Name == "vmm" { // the devices' thread does nothing but signal
			lines = append(lines, oneLineStack(t))
		}
	}
	return lines
}

// count is a number of things, in the singular if it is one.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

func slowdown(r *bench.Result) string {
	s := r.Stat("guest.slowdown")
	if s == 0 {
		return ""
	}
	return fmt.Sprintf(", %.3f times as long as without tracking", s)
}

const barWidth = 40

// stack draws the causes of several threads as bars, largest first.
func stack(title string, threads []bench.ThreadTime, st style, columns int) []string {
	causes, total := sumCauses(threads)
	if total == 0 {
		return nil
	}
	wide := min(barWidth, columns-46)
	lines := []string{"  " + title}
	for i, c := range causes {
		share := float64(c.Cycles) / float64(total)
		if share < 0.0005 && i > 3 {
			break
		}
		bar := strings.Repeat("█", int(share*float64(wide)+0.5))
		text := fmt.Sprintf("    %-14s %6.2f %%  %18s  ", causeName(c.Cause), 100*share, humanize.Comma(int64(c.Cycles)))
		lines = append(lines, strings.TrimRight(text+st.blue(bar), " "))
	}
	return lines
}

// oneLineStack names the largest causes of one thread.
func oneLineStack(t bench.ThreadTime) string {
	causes, total := sumCauses([]bench.ThreadTime{t})
	var words []string
	for i, c := range causes {
		if share := float64(c.Cycles) / float64(max(total, 1)); i < 5 && share >= 0.0005 {
			words = append(words, fmt.Sprintf("%s %.1f %%", causeName(c.Cause), 100*share))
		}
	}
	return fmt.Sprintf("  %s thread: %s", t.Name, strings.Join(words, ", "))
}

func sumCauses(threads []bench.ThreadTime) (sum []bench.CauseCycles, total uint64) {
	for _, t := range threads {
		for _, c := range t.Causes {
			i := slices.IndexFunc(sum, func(s bench.CauseCycles) bool { return s.Cause == c.Cause })
			if i < 0 {
				i, sum = len(sum), append(sum, bench.CauseCycles{Cause: c.Cause})
			}
			sum[i].Cycles += c.Cycles
			total += c.Cycles
		}
	}
	slices.SortStableFunc(sum, func(a, b bench.CauseCycles) int {
		switch {
		case a.Cycles > b.Cycles:
			return -1
		case a.Cycles < b.Cycles:
			return 1
		}
		return strings.Compare(a.Cause, b.Cause)
	})
	return sum, total
}

func causeName(c string) string { return strings.ReplaceAll(c, "_", " ") }

// lossSentence says in one sentence what the audit found.
func lossSentence(r *bench.Result, st style) string {
	changed := humanize.Comma(int64(r.Stat("audit.changed_pages")))
	switch lost := r.Audit.LostPages; {
	case r.Failover == "backup":
		return st.green("Nothing was lost:") + " the backup went on from the last epoch that it had whole."
	case r.Failover != "":
		return st.red("LOST: the VM") + " died before the backup had an epoch."
	case !r.Audited && r.Migration != nil:
		return st.green("Nothing was lost:") + " the VM stayed at the source, which never gave it up."
	case !r.Audited:
		return st.bold("Nothing was tracked") + ", so nothing could be lost."
	case lost == 0:
		return st.green("Nothing was lost:") + fmt.Sprintf(" %s changed pages, and the destination holds the last bytes of every one.", changed)
	case lost == 1:
		return st.red("LOST: 1 page") + " of " + changed + " changed ones never reached the destination."
	default:
		return st.red(fmt.Sprintf("LOST: %s pages", humanize.Comma(int64(lost)))) + " of " + changed + " changed ones never reached the destination."
	}
}

func lossTable(r *bench.Result) []string {
	if r.Audit.LostPages == 0 {
		return nil
	}
	t := &table{heads: []string{"cause", "pages", "what that is<"}}
	for _, c := range r.Audit.Causes {
		t.row(c.Cause, humanize.Comma(int64(c.Count)), bench.CauseText(c.Cause))
	}
	lines := t.lines()
	var pages []string
	for i, p := range r.Audit.Lost {
		if i == 6 {
			pages = append(pages, "…")
			break
		}
		pages = append(pages, fmt.Sprintf("%#x", p.GFN))
	}
	return append(lines, "  guest pages "+strings.Join(pages, " ")+"; `ringmap why --page GFN` tells the story of one")
}

// section is a table of statistics with a title.
type section struct {
	title string
	stats [][2]string // label, statistic
}

var sections = []section{
	{"Rings", [][2]string{
		{"pushes", "ring.pushes"}, {"unique pages", "ring.unique_pages"}, {"duplicates", "ring.duplicates"},
		{"full exits", "ring.full_exits"}, {"repeat full exits", "ring.repeat_full_exits"}, {"harvested", "ring.harvested"},
		{"entries reset", "reset.entries"}, {"reset batches", "reset.batches"},
	}},
	{"Bitmap", [][2]string{
		{"bits set", "bitmap.bits_set"}, {"pages collected", "bitmap.pages"}, {"density", "bitmap.density"},
		{"writes without vCPU", "nonvcpu.writes"}, {"tracking bytes", "mem.tracking_bytes"},
	}},
	{"Faults", [][2]string{
		{"on writes", "fault.write"}, {"translation", "fault.translation"}, {"permission", "fault.permission"},
		{"guest instructions", "guest.instructions"}, {"guest cycles", "guest.cycles"},
	}},
	{"Audit", [][2]string{
		{"changed pages", "audit.changed_pages"}, {"reported", "audit.reported_pages"}, {"late", "audit.late_pages"},
		{"spurious", "audit.spurious_pages"}, {"lost", "audit.lost_pages"}, {"records lost", "lost.total"},
	}},
}

// trackingTables lays the four tables out in two columns.
func trackingTables(r *bench.Result, st style) []string {
	var blocks [][]string
	for _, s := range sections {
		t := &table{}
		for _, pair := range s.stats {
			if v, ok := r.Lookup(pair[1]); ok {
				t.row(pair[0], value(v))
			}
		}
		if len(t.rows) > 0 {
			blocks = append(blocks, append([]string{s.title}, t.lines()...))
		}
	}
	var out []string
	for i := 0; i < len(blocks); i += 2 {
		left := blocks[i]
		var right []string
		if i+1 < len(blocks) {
			right = blocks[i+1]
		}
		for k := range max(len(left), len(right)) {
			out = append(out, strings.TrimRight(pad(at(left, k), 44, k == 0, st)+heading(at(right, k), k == 0, st), " "))
		}
	}
	return out
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

func pad(text string, wide int, title bool, st style) string {
	return heading(text, title, st) + strings.Repeat(" ", max(wide-runes(text), 0))
}

func heading(text string, title bool, st style) string {
	if title {
		return st.bold(text)
	}
	return text
}

func value(v float64) string {
	if v == float64(uint64(v)) {
		return humanize.Comma(int64(v))
	}
	return fmt.Sprintf("%.6g", v)
}

func configLine(r *bench.Result) string {
	words := []string{}
	if n := r.Number("ring_entries"); n != 0 {
		words = append(words, fmt.Sprintf("ring of %d entries (%s, exits at %d)", n, bytesOf(n*16), r.Number("ring_soft_limit")))
	}
	if n := r.Number("bitmap_bytes"); n != 0 {
		words = append(words, "bitmaps of "+bytesOf(n))
	}
	words = append(words, fmt.Sprintf("%s with %s pages, %s backing", bytesOf(r.Number("memory_bytes")), r.Config("host.page"), r.Config("vm.backing")))
	if file := program(r); file != "" {
		words = append(words, "program "+file)
	} else if trace := r.Config("workload.trace"); trace != "" {
		words = append(words, "trace "+trace)
	} else {
		words = append(words, "pattern "+r.Config("workload.pattern"))
	}
	if r.Config("tracking.mode") != "off" {
		every := "only at the end"
		if n := r.Number("interval_cycles"); n != 0 {
			every = fmt.Sprintf("every %s (%s cycles)", seconds(float64(n), r.Number("clock_hz")), humanize.Comma(int64(n)))
		}
		words = append(words, fmt.Sprintf("harvest %s, %s", r.Config("vmm.harvest"), every))
	}
	words = append(words, fmt.Sprintf("host %s at %s, quantum %d cycles, %d IPA bits", r.Config("host.profile"), hertz(r.Number("clock_hz")), r.Number("quantum_cycles"), r.Number("ipa_bits")))
	return "  " + strings.Join(words, "; ")
}

// figuresLine says how far the figures can be trusted.
func figuresLine(r *bench.Result) string {
	return fmt.Sprintf("  Figures: page, record and loss counts follow the kernel's rules exactly; the cost profile %s holds %d measured rows and %d fits; cycles, slowdown and shares are predictions from them.",
		r.Figures.Profile, len(r.Figures.Measured), len(r.Figures.Fitted))
}

func bytesOf(n uint64) string { return strings.ReplaceAll(humanize.IBytes(n), " ", "") }

func hertz(n uint64) string {
	return strings.ReplaceAll(humanize.SIWithDigits(float64(n), 2, "Hz"), " ", "")
}

func seconds(cycles float64, hz uint64) string {
	if hz == 0 {
		return ""
	}
	return humanize.SIWithDigits(cycles/float64(hz), 3, "s")
}

// wrap breaks a line at spaces, indenting what follows.
func wrap(text string, columns int) []string {
	indent := text[:len(text)-len(strings.TrimLeft(text, " "))]
	var lines []string
	line := indent
	for _, word := range strings.Fields(text) {
		if runes(line)+1+runes(word) > columns && strings.TrimSpace(line) != "" {
			lines, line = append(lines, line), indent+"  "
		}
		if strings.TrimSpace(line) != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
