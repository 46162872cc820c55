package scenario

import (
	"fmt"
	"reflect"
	"strings"
)

// A Key explains one key of the scenario file. The table below is what
// `ringmap init` prints as comments; a test holds it against the structs.
type Key struct {
	Path string
	Doc  string
}

// Keys explains every section and key in the order of the file.
var Keys = []Key{
	{"name", "what this run is called in reports"},
	{"seed", "the one source of chance: same scenario and seed, same result, byte for byte"},
	{"kernel", "7.2, 6.12 or 7.2+fixed (the first with every known hazard repaired)"},
	{"hazards", "set one hazard of the kernel to real or fixed; `ringmap list hazards` names them.\ndrop_every: N drops every Nth record, to see the audit find it"},

	{"host", "the simulated arm64 machine"},
	{"host.page", "host page size and translation granule: 4KiB, 16KiB or 64KiB"},
	{"host.clock", "frequency of the host clock: turns 10ms into cycles; auto = that of the profile"},
	{"host.profile", "cost profile: instruction overheads, each with its source; `ringmap list profiles`"},
	{"host.costs", "what if: set figures of the profile, in cycles (abort: 160) or relative to it (abort: 103%);\n`ringmap list profiles` names them"},
	{"host.quantum", "how far a core may run ahead of the others between shared accesses"},
	{"host.cores", "physical cores for the vCPUs' threads and the VMM's: 1 to 1024; auto = one for each thread"},
	{"host.pinned", "on: vCPU i stays on core i modulo cores, the VMM's thread on the next; off: any core that is free"},
	{"host.timeslice", "how long a thread runs while another waits for its core (sched_base_slice_ns with 8 or more cores)"},
	{"host.mmu_lock", "how faults take the kernel's MMU lock: shared (since 6.2), exclusive (before), or auto = as the\nkernel's version does"},
	{"host.relax_tlbi", "how a relaxed permission is invalidated: local (since 6.5), broadcast (before), or auto"},
	{"host.reset", "what ends a ring reset early: bounded (a signal or 2^31-1 entries, since 6.17), unbounded, or auto"},

	{"cpu", "the cores and their caches. The numbers are those of a Neoverse N1; the record names the source of each"},
	{"cpu.model", "atomic: an access takes what host.profile says; inorder: caches, coherence and memory are modelled,\nand a core waits for what it loads"},
	{"cpu.switch", "when a program leaves the atomic model for cpu.model: start, hint (HINT #0x70, until HINT #0x71), after so\nmany instructions of all vCPUs (2000000instr), or at a time (3ms). The caches are cold then"},
	{"cpu.l1i", "the instruction cache of a core; lines have 64 bytes"},
	{"cpu.l1i.size", "a power of two times ways times 64 bytes"},
	{"cpu.l1i.ways", "1 to 32"},
	{"cpu.l1i.latency", "what a hit takes"},
	{"cpu.l1d", "the data cache of a core"},
	{"cpu.l1d.size", "as cpu.l1i.size"},
	{"cpu.l1d.ways", "1 to 32"},
	{"cpu.l1d.latency", "what a hit takes, load to use"},
	{"cpu.l2", "the second-level cache of a core, which includes the first"},
	{"cpu.l2.size", "as cpu.l1i.size"},
	{"cpu.l2.ways", "1 to 32"},
	{"cpu.l2.latency", "what a hit takes beyond the look into the first level"},
	{"cpu.slc", "the system-level cache that all cores share, with the directory of what they hold"},
	{"cpu.slc.size", "as cpu.l1i.size; 0B = none"},
	{"cpu.slc.ways", "1 to 32"},
	{"cpu.slc.latency", "a look into it and into the directory"},
	{"cpu.mesh", "one way between a core and the system-level cache, or between two cores"},
	{"cpu.snoop", "another core's look into its caches, when it is asked for a line"},
	{"cpu.mshrs", "lines that a core can wait for at once, 1 to 64"},
	{"cpu.stores", "stores that a core can have under way, 1 to 256"},
	{"cpu.stream", "time from one line to the next of a copy whose lines are all there"},
	{"cpu.dram", "the memory"},
	{"cpu.dram.channels", "channels with a data bus each: a power of two up to 64"},
	{"cpu.dram.banks", "banks of a channel, each with one row open: a power of two up to 1024"},
	{"cpu.dram.row", "bytes of a row: a power of two from 64B to 1MiB"},
	{"cpu.dram.controller", "the way to the bank and back, beside the rest"},
	{"cpu.dram.precharge", "to close a row (tRP)"},
	{"cpu.dram.activate", "to open one (tRCD)"},
	{"cpu.dram.cas", "to read from the open one (tCL)"},
	{"cpu.dram.burst", "a line on the data bus"},

	{"vm", "the virtual machine"},
	{"vm.vcpus", "1 to 512; auto = as many as the trace has, else 4"},
	{"vm.memory", "guest memory; auto = as much as the trace was recorded with, else 256MiB"},
	{"vm.base", "guest physical address at which memory starts"},
	{"vm.ipa_bits", "width of guest physical addresses, 32 to 48; auto = the smallest of 40 to 48 that holds\nmemory and, of a program, the devices behind it"},
	{"vm.backing", "what backs guest memory on the host: 4k, thp or hugetlb2m"},
	{"vm.populated", "on: the host touched all memory before the guest ran; off: the first touch finds the zero page"},
	{"vm.mapped", "on: all of it is mapped when logging begins, as in a guest that has touched all its memory"},
	{"vm.slots", "an explicit memslot layout instead of one slot from base; each has\nbase, size, backing and populated"},
	{"vm.slots.base", "first guest physical address"},
	{"vm.slots.size", "bytes, a multiple of the host page size"},
	{"vm.slots.backing", "as vm.backing"},
	{"vm.slots.populated", "as vm.populated"},

	{"tracking", "how the kernel records writes"},
	{"tracking.mode", "ring+bitmap, ring or bitmap as Linux does, off, or a design that was argued about: vmring,\nvmring-1, ring-overflow-bitmap, ring-flagged-bitmap or require-bitmap"},
	{"tracking.ring", "entries of each vCPU's dirty ring, 16 bytes each: a power of two from 256 to 65536\nthat fills at least one host page; the vCPU exits reserve entries before the end"},
	{"tracking.manual_protect", "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: off, enable or initially-set"},
	{"tracking.eager_split", "split blocks in chunks of this size when logging starts; 0B = lazily, by faults"},
	{"tracking.stolen_time", "on: every vCPU has a stolen-time record that each KVM_RUN rewrites"},
	{"tracking.ring_sizes", "power-of-two, or any: index arithmetic that wraps by comparing"},
	{"tracking.ring_max", "a ring that was full doubles up to so many entries, its vCPU stays; auto = it never grows"},
	{"tracking.reserve", "entries left in a ring when its vCPU must exit, 0 to 4096; there is no hardware buffer to add"},
	{"tracking.layout", "how kernel and userspace share a ring: in-entry, shared-line, padded or user-copy"},
	{"tracking.entry", "what an entry says: page, or sized (how many pages as well)"},
	{"tracking.huge", "a huge page that is logged: split (into pages, when written) or block (recorded whole)"},
	{"tracking.overflow", "ring-overflow-bitmap goes on in the bitmap from the soft limit or the hard one"},
	{"tracking.vm_ring", "entries of the VM's ring of mode vmring; auto = as many as a vCPU's"},
	{"tracking.kick", "who leaves KVM_RUN for the VM's ring: none, vcpu0, round-robin, all; auto = that of the mode"},
	{"tracking.detect", "when the kernel notices rings without bitmap beside an ITS: never, first-loss, enable, its;\nauto = that of the mode"},

	{"workload", "what the guest does: a pattern, a trace or a program. A pattern's parameters stand beside it;\n`ringmap list patterns` shows them with unit, range and default"},
	{"workload.pattern", "the pattern of accesses"},
	{"workload.trace", "instead of a pattern: a recorded trace (.pwt, lackey text or ChampSim; gzip, zstd and xz are\nunpacked), relative to this file"},
	{"workload.elf", "instead of a pattern: a program to execute, an ELF file for AArch64 that is linked for its place\nin guest memory"},
	{"workload.raw", "instead of a pattern: a flat binary, put 512 KiB into the first memslot and executed there, or\nLinux's Image, put at a boundary of 2 MiB"},
	{"workload.append", "the command line that a program finds in its device tree"},
	{"workload.initrd", "a file that a program finds in memory: initrd of its device tree"},
	{"workload.input", "a file that is typed at a program's console, as fast as the program reads it; 1 byte to 1 MiB"},
	{"workload.input_at", "when that begins: start, migrated (the VM runs at the destination) or a time such as 3ms"},
	{"workload.memory", "how much of the first memslot a pattern works in; auto = all of it"},

	{"its", "an interrupt translation service whose saves write guest memory with no vCPU running"},
	{"its.devices", "devices that signal MSIs; 0 = no ITS"},
	{"its.events", "events (MSI vectors) of each device"},
	{"its.msi_rate", "MSIs per second, over all devices"},
	{"its.busy", "devices, the first ones, that signal nine MSIs of ten; 0 = all signal alike"},
	{"its.storm", "MSIs of an interrupt storm, in which one device signals one event after the other at once; 0 = no storms"},
	{"its.storm_every", "time from one storm to the next"},
	{"its.move_rate", "interrupts per second of guest time that the driver on vCPU 0 moves to another vCPU (MOVI), as irqbalance does"},
	{"its.churn_rate", "devices per second of guest time that it unbinds and binds again: DISCARD and MAPTI of every event, MAPD"},
	{"its.cache", "translations that the ITS's cache keeps, the one used longest ago makes room; 0 = any number, as kernels since 6.10\n(before: 16 for each vCPU)"},
	{"its.unmap", "on: the guest unmaps the collection of its last vCPU (MAPC with V=0) while events are mapped to it"},
	{"its.save", "when tables are saved, with the vCPUs stopped: never, end (before the last collection), or a\nperiod such as 50ms (and at the end)"},

	{"outside", "guest memory that the kernel writes with no vCPU running, as for an interrupt controller's tables"},
	{"outside.rate", "writes per second, up to 10000000; 0 = none"},
	{"outside.memory", "how much memory it works in, at the end of what the guest works in; auto = an eighth of it"},
	{"outside.pattern", "which page comes next: sequential, uniform or same"},
	{"outside.bytes", "bytes of a write, 1 to 4096"},
	{"outside.paused", "how long it goes on when the VM has been stopped, before device tables are saved"},

	{"vmm", "the userspace that harvests"},
	{"vmm.harvest", "who drains a full ring: on-full-all (its vCPU, all rings), on-full-own (its vCPU, its own),\npause-all (its vCPU, all rings, the others stopped) or interval (the main thread alone; the vCPU waits)"},
	{"vmm.interval", "time between collections; auto = that of the policy, never = only the last one"},
	{"vmm.clear", "bitmap mode: get (GET clears) or manual (GET, then CLEAR; needs manual_protect)"},
	{"vmm.collect", "where the bitmap of ring+bitmap is read: last (after the ITS save) or before-save (wrong on purpose)"},
	{"vmm.edits", "ring entries that a hostile userspace changes before their reset, per million harvested"},
	{"vmm.mistake", "what the VMM does wrong, or has happen to it, to bring out a hazard of the kernel: none, signal-in-reset,\nbad-buffer, mark-clean, stale-entry, run-again, restore-twice or lpis-late; see scenarios/hazards"},

	{"checkpoint", "the VM is copied to a backup host again and again, so that it can go on there when its own dies.\nEpochs take the place of the rounds of vmm.interval, which then only counts pages for checkpoint.pages"},
	{"checkpoint.epoch", "how long the VM runs from one checkpoint to the next; never = pages alone end an epoch"},
	{"checkpoint.pages", "an epoch also ends when so many dirty pages are known: after a full ring, or a look every\nvmm.interval; 0 = not"},
	{"checkpoint.mode", "remus (the VM runs on while the epoch is sent) or colo (it stands still until the backup has it)"},
	{"checkpoint.fail_at", "when the primary host dies, from the start of the guest on; never = it does not"},
	{"checkpoint.detect", "until the backup knows"},
	{"checkpoint.link", "the network between the hosts"},
	{"checkpoint.link.bandwidth", "what the wire carries"},
	{"checkpoint.link.latency", "one way"},
	{"checkpoint.link.header", "bytes beside the contents of each page"},
	{"checkpoint.link.buffer", "the socket buffer"},

	{"migrate", "a live migration to another host, as QEMU does it; the names are those of its parameters.\nOne migration takes the place of the rounds of vmm.interval"},
	{"migrate.start", "when it begins, from the start of the guest on; never = no migration"},
	{"migrate.bandwidth", "max-bandwidth: what is offered to the link at most"},
	{"migrate.downtime", "downtime-limit: how long the VM may stand still; 1ms to 2000s"},
	{"migrate.switchover_bandwidth", "avail-switchover-bandwidth: what the last copy is expected to get; 0 = as measured before"},
	{"migrate.zero_pages", "send: a page that was never written travels like any other, as if the guest had data there;\ndetect: a page of zeros travels as one byte"},
	{"migrate.run_on", "how long the VM runs at the destination: done (its work is finished), or a time; 0 = not at all"},
	{"migrate.fail", "what goes wrong on purpose: none, link-drop, refuse (the destination, when it loads the state) or cancel"},
	{"migrate.fail_at", "when, from the start of the guest on"},
	{"migrate.link", "the network between the hosts"},
	{"migrate.link.bandwidth", "what the wire carries"},
	{"migrate.link.latency", "one way"},
	{"migrate.link.header", "bytes beside the contents of each page: 8 in QEMU's stream"},
	{"migrate.link.buffer", "the socket buffer: a sender waits when it is full"},
	{"migrate.throttle", "what slows a guest down that dirties faster than is sent"},
	{"migrate.throttle.kind", "none, auto-converge (vCPUs sleep a share of their time) or dirty-limit (a vCPU sleeps after each\nfull ring; needs a ring)"},
	{"migrate.throttle.trigger", "throttle-trigger-threshold: percent of what was sent that may be dirtied again"},
	{"migrate.throttle.initial", "cpu-throttle-initial, percent"},
	{"migrate.throttle.increment", "cpu-throttle-increment, percent"},
	{"migrate.throttle.max", "max-cpu-throttle, percent"},
	{"migrate.throttle.tail_slow", "cpu-throttle-tailslow: smaller steps when little is missing"},
	{"migrate.throttle.dirty_limit", "vcpu-dirty-limit of each vCPU, in whole MiB/s"},
	{"migrate.throttle.dirty_limit_period", "x-vcpu-dirty-limit-period: 1ms to 1s"},

	{"run", "when the run ends"},
	{"run.until", "done (the workload is finished), or a time such as 100ms"},
	{"run.max_instructions", "a program ends after so many instructions of all vCPUs together; 0 = no limit"},
	{"run.max_cycles", "the run ends after so many cycles if it has not ended by then; 0 = no limit"},
	{"run.series", "never, or a period such as 1ms: sample ring occupancy, exits, cycles and recorded pages over\nsimulated time into the record; the period doubles whenever 256 samples are full"},

	{"audit", "the independent check of what was lost"},
	{"audit.list", "how many lost pages the record names one by one"},
	{"audit.on_loss", "report, or fail: exit status 1 if a page was lost"},
}

// docOf returns the explanation of a key, "" if there is none.
func docOf(path string) string {
	for _, k := range Keys {
		if k.Path == path {
			return k.Doc
		}
	}
	return ""
}

// elsewhere finds a key of that name in another section.
func elsewhere(name string) string {
	for _, k := range Keys {
		if _, last, ok := strings.Cut(k.Path, "."); ok && last == name {
			return k.Path
		}
	}
	return ""
}

// Template returns a scenario file that holds every key with its default and
// its explanation: what `ringmap init` writes.
func Template() string {
	var b strings.Builder
	b.WriteString("# A scenario of ringmap. Every key is optional; these are the defaults.\n")
	b.WriteString("# Sizes: 64KiB 256MiB 1TiB. Times: 10ms 3us 1s 3000cyc. Counts: plain numbers.\n\n")
	writeSection(&b, reflect.ValueOf(Default()).Elem(), "", "")
	return b.String()
}

func writeSection(b *strings.Builder, v reflect.Value, path, indent string) {
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("key")
		if name == restKey {
			writeParams(b, indent)
		}
		if name == "" || name == restKey {
			continue
		}
		field, at := v.Field(i), join(path, name)
		text, isLeaf := leaf(field)
		if !isLeaf {
			comment(b, indent, docOf(at))
			fmt.Fprintf(b, "%s%s:\n", indent, name)
			writeSection(b, field, at, indent+"  ")
			b.WriteByte('\n')
			continue
		}
		comment(b, indent, docOf(at))
		fmt.Fprintf(b, "%s%s: %s\n", indent, name, text)
	}
}

// writeParams writes the parameters of the default pattern.
func writeParams(b *strings.Builder, indent string) {
	p, err := Default().Plan(nil)
	if err != nil {
		panic("scenario: the default scenario is not valid: " + err.Error())
	}
	for _, set := range p.Pattern.Effective() {
		comment(b, indent, set.Doc+"; "+set.Range())
		fmt.Fprintf(b, "%s%s: %s\n", indent, set.Name, withUnit(set))
	}
}

// leaf returns the text of a single value, an empty list or an empty table.
func leaf(v reflect.Value) (string, bool) {
	if s, ok := v.Addr().Interface().(value); ok {
		return quote(s.String()), true
	}
	switch v.Kind() {
	case reflect.Slice:
		return "[]", true
	case reflect.Map:
		return "{}", true
	}
	return "", false
}

func quote(s string) string {
	if s == "" || strings.ContainsAny(s, ":#{}[],&*!|>'\"%@`") || strings.TrimSpace(s) != s {
		return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
	}
	return s
}

func comment(b *strings.Builder, indent, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			fmt.Fprintf(b, "%s# %s\n", indent, line)
		}
	}
}
