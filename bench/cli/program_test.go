package cli_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ringmap/cpu/isa"
	"ringmap/workloads/guests"
)

const programs = "../../workloads/guests/programs/"

// TestRunProgram: each program on 1, 2, 8 and 64 vCPUs prints what it should,
// loses nothing, and does it twice alike.
func TestRunProgram(t *testing.T) {
	pages, sort := "pages: the MMU is on\npages: 512 pages written 4 times, 0 wrong\n", "sort: 20000 words, 0 out of order, sum off by 0\n"
	const hash = "hash: 20000 of 20000 words found, 0 wrong after 10000 are gone\n"
	for _, c := range []struct{ file, vcpus, console string }{
		{"pages", "1", pages}, {"pages", "2", pages}, {"pages", "8", pages},
		{"sort", "1", sort}, {"sort", "2", sort}, {"sort", "8", sort},
		{"hash", "1", hash}, {"hash", "2", hash}, {"hash", "8", hash},
		{"queue", "1", "queue: 1 vCPUs, 2000 words, 0 wrong\n"},
		{"queue", "2", "queue: 2 vCPUs, 4000 words, 0 wrong\n"},
		{"queue", "8", "queue: 8 vCPUs, 16000 words, 0 wrong\n"},
		{"queue", "64", "queue: 64 vCPUs, 128000 words, 0 wrong\n"},
		{"lpis", "1", "lpis: 1 vCPUs, 1024 LPIs, 1024 to 1024 a vCPU, 0 wrong\n"},
		{"lpis", "8", "lpis: 8 vCPUs, 1024 LPIs, 128 to 128 a vCPU, 0 wrong\n"},
		{"lpis", "48", "lpis: 48 vCPUs, 1024 LPIs, 16 to 24 a vCPU, 0 wrong\n"},
		{"locks", "1", "locks: 1 vCPUs, 200 under the lock, 200 by LDADD\n"},
		{"locks", "2", "locks: 2 vCPUs, 400 under the lock, 400 by LDADD\n"},
		{"locks", "8", "locks: 8 vCPUs, 1600 under the lock, 1600 by LDADD\n"},
		{"locks", "64", "locks: 64 vCPUs, 12800 under the lock, 12800 by LDADD\n"},
	} {
		t.Run(c.file+"-"+c.vcpus, func(t *testing.T) {
			t.Parallel()
			console := filepath.Join(t.TempDir(), "console")
			args := []string{"run", "--elf", programs + c.file + ".elf", "--vcpus", c.vcpus, "--memory", "64MiB", "--json"}
			a := good(t, append(args, "--console", console)...)
			text, err := os.ReadFile(console)
			if err != nil || string(text) != c.console {
				t.Errorf("console %q, %v", text, err)
			}
			if !strings.Contains(a.stdout, `"lost_pages": 0,`) || !strings.Contains(a.stdout, `"finished": "system off"`) {
				t.Errorf("not a clean end:\n%s", a.stdout)
			}
			b := good(t, args...)
			if a.stdout != b.stdout {
				t.Error("two runs differ")
			}
			if !strings.HasPrefix(b.stderr, c.console) {
				t.Errorf("standard error begins with %q", b.stderr)
			}
		})
	}
}

// TestRunProgramInTime: the same programs by the in-order core model, entered at
// once or later.
func TestRunProgramInTime(t *testing.T) {
	for _, c := range []struct{ file, vcpus, at, console string }{
		{"pages", "1", "start", "pages: the MMU is on\npages: 512 pages written 4 times, 0 wrong\n"},
		{"sort", "1", "3900000instr", "sort: 20000 words, 0 out of order, sum off by 0\n"},
		{"hash", "1", "100us", "hash: 20000 of 20000 words found, 0 wrong after 10000 are gone\n"},
		{"queue", "8", "start", "queue: 8 vCPUs, 16000 words, 0 wrong\n"},
		{"locks", "1", "start", "locks: 1 vCPUs, 200 under the lock, 200 by LDADD\n"},
		{"locks", "2", "start", "locks: 2 vCPUs, 400 under the lock, 400 by LDADD\n"},
		{"locks", "8", "100us", "locks: 8 vCPUs, 1600 under the lock, 1600 by LDADD\n"},
		{"locks", "64", "start", "locks: 64 vCPUs, 12800 under the lock, 12800 by LDADD\n"},
	} {
		t.Run(c.file+"-"+c.vcpus, func(t *testing.T) {
			t.Parallel()
			if c.vcpus == "64" && os.Getenv("RINGMAP_LONG") == "" {
				t.Skip("64 cores in time take seconds: RINGMAP_LONG=1")
			}
			args := []string{"run", "--elf", programs + c.file + ".elf", "--vcpus", c.vcpus, "--memory", "64MiB", "--json",
				"--no-baseline", "--model", "inorder", "--set", "cpu.switch=" + c.at}
			a, b := good(t, args...), good(t, args...)
			if !strings.HasPrefix(a.stderr, c.console) || !strings.Contains(a.stdout, `"lost_pages": 0,`) || !strings.Contains(a.stdout, `"finished": "system off"`) {
				t.Errorf("console %q\n%s", a.stderr, a.stdout)
			}
			if a.stdout != b.stdout {
				t.Error("two runs differ")
			}
			if strings.Contains(a.stdout, `"core.instructions": 0,`) || !strings.Contains(a.stdout, `"core.ipc": `) {
				t.Error("nothing was executed in time")
			}
		})
	}
}

// TestBadProgram: one line, status 2, and what to do.
func TestBadProgram(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	elf, err := os.ReadFile(programs + "sort.elf")
	if err != nil {
		t.Fatal(err)
	}
	x86 := append([]byte(nil), elf...)
	x86[18] = 62
	scene := write("both.yaml", []byte("workload: {pattern: zipf, elf: a.elf}\n"))
	for want, args := range map[string][]string{
		"for x86-64":                         {"--elf", write("x86", x86)},
		"cut short":                          {"--elf", write("short", elf[:200])},
		"do not fit into memory":             {"--elf", programs + "sort.elf", "--memory", "256KiB"},
		"no ELF file":                        {"--elf", programs + "sort.s"},
		"no such file":                       {"--elf", dir + "/none"},
		"is empty":                           {"--raw", write("empty", nil)},
		"one program":                        {"--elf", programs + "sort.elf", "--raw", programs + "sort.s"},
		"trace or a program":                 {"--elf", programs + "sort.elf", "--trace", linuxTrace},
		"a pattern or a program":             {scene},
		"only a program":                     {"--pattern", "zipf", "--max-instructions", "7"},
		"no parameters":                      {"--elf", programs + "sort.elf", "--set", "workload.theta=0.5"},
		"hush: the file is empty":            {"--raw", write("nop", []byte{0, 0, 0, 0x14}), "--input", write("hush", nil)},
		"a console takes at most 1048576":    {"--raw", write("nop", []byte{0, 0, 0, 0x14}), "--input", write("long", make([]byte, 1<<20+1))},
		"input: " + dir + "/no":              {"--raw", write("nop", []byte{0, 0, 0, 0x14}), "--input", dir + "/no"},
		"nothing is typed":                   {"--raw", write("nop", []byte{0, 0, 0, 0x14}), "--set", "workload.input_at=1ms"},
		"has a console":                      {"--pattern", "zipf", "--set", "workload.input_at=1ms"},
		"is not when to type":                {"--raw", write("nop", []byte{0, 0, 0, 0x14}), "--input", write("nop", []byte{0, 0, 0, 0x14}), "--set", "workload.input_at=soon"},
		"the VM is not migrated":             {"--raw", write("nop", []byte{0, 0, 0, 0x14}), "--input", write("nop", []byte{0, 0, 0, 0x14}), "--set", "workload.input_at=migrated"},
		"is booted with it":                  {"--pattern", "zipf", "--append", "x"},
		"limit on its cycles":                {"--pattern", "zipf", "--max-cycles", "7"},
		"ends the run too":                   {"--elf", programs + "sort.elf", "--max-cycles", "7", "--set", "run.until=1ms"},
		"hides the UART":                     {"--elf", programs + "sort.elf", "--set", "vm.base=0x09000000"},
		"big-endian":                         {"--raw", write("be", imageHeader(0, 4096, 1))},
		"nonsense":                           {"--raw", write("odd", imageHeader(2<<20, 4096, 0))},
		"4194304 bytes at":                   {"--raw", write("big", imageHeader(0, 4<<20, 0)), "--memory", "5MiB"},
		"initrd: " + dir + "/no":             {"--raw", write("nop", []byte{0, 0, 0, 0x14}), "--initrd", dir + "/no"},
		"do not fit into memory, which ends": {"--raw", write("nop", []byte{0, 0, 0, 0x14}), "--initrd", write("initrd", make([]byte, 5<<20)), "--memory", "8MiB"},
		"device tree of":                     {"--raw", write("full", make([]byte, 512<<10)), "--memory", "1MiB"},
	} {
		o := ringmap(t, append([]string{"run"}, args...)...)
		if o.status != 2 || o.stdout != "" || strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, want) {
			t.Errorf("%v: status %d, %q; want %q", args, o.status, o.stderr, want)
		}
	}
}

// TestProgramLimits: a program that never ends is ended, by instructions or time.
func TestProgramLimits(t *testing.T) {
	spin := filepath.Join(t.TempDir(), "spin")
	if err := os.WriteFile(spin, []byte{0, 0, 0, 0x14}, 0o644); err != nil { // b .
		t.Fatal(err)
	}
	o := good(t, "run", "--raw", spin, "--max-instructions", "12345", "--json", "--vcpus", "2")
	if !strings.Contains(o.stdout, `"finished": "instruction limit"`) || !strings.Contains(o.stdout, "12345") {
		t.Error("no limit on instructions")
	}
	o = good(t, "run", "--raw", spin, "--set", "run.until=1ms", "--json", "--vcpus", "2")
	if !strings.Contains(o.stdout, `"finished": "time over"`) {
		t.Error("no limit on time")
	}
	o = good(t, "run", "--raw", spin, "--max-cycles", "123456", "--json", "--vcpus", "2")
	if !strings.Contains(o.stdout, `"finished": "cycle limit"`) || !strings.Contains(o.stdout, `"run_cycles": 123456`) {
		t.Error("no limit on cycles")
	}
	o = good(t, "run", "--elf", programs+"sort.elf", "--max-cycles", "1000000000", "--json", "--vcpus", "1", "--memory", "16MiB")
	if !strings.Contains(o.stdout, `"finished": "system off"`) {
		t.Error("the limit on cycles ends a program that has ended before")
	}
	zero := filepath.Join(t.TempDir(), "zero")
	if err := os.WriteFile(zero, make([]byte, 4), 0o644); err != nil { // undefined, and no vectors
		t.Fatal(err)
	}
	o = good(t, "run", "--raw", zero, "--max-instructions", "1000", "--json")
	if !strings.Contains(o.stdout, `"finished": "instruction limit"`) {
		t.Error("a guest that takes exceptions for ever does not end")
	}
}

// imageHeader is a file that begins with Linux's Image header.
func imageHeader(textOffset, imageSize, flags uint64) []byte {
	b := make([]byte, 64, 4096)
	for at, v := range map[int]uint64{8: textOffset, 16: imageSize, 24: flags} {
		binary.LittleEndian.PutUint64(b[at:], v)
	}
	copy(b[56:], "ARM\x64")
	return b
}

// TestBoot: what a program finds when it starts, as it says itself.
func TestBoot(t *testing.T) {
	const print = `
	mov	x19, x0
	adr	x20, .
	mrs	x21, CurrentEL
	mov	x9, #0x09000000
	movz	w1, #0x45
	strb	w1, [x9]
	ldr	w2, [x19]
	str	w2, [x9]
	lsr	w2, w2, #8
	str	w2, [x9]
	lsr	x2, x20, #20
	str	w2, [x9]
	mov	w0, #0x84000000
	add	w0, w0, #8
	hvc	#0`
	words, err := isa.Assemble(print, 0)
	if err != nil {
		t.Fatal(err)
	}
	var code []byte
	for _, w := range words {
		code = binary.LittleEndian.AppendUint32(code, w)
	}
	dir := t.TempDir()
	flat, image := filepath.Join(dir, "flat"), filepath.Join(dir, "image")
	head := imageHeader(0x1000, 1<<20, 0)
	binary.LittleEndian.PutUint32(head, 0x14000010) // b to behind the header
	for path, data := range map[string][]byte{flat: code, image: append(head, code...)} {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// E, the first two bytes of the device tree, and the place in MiB.
	for path, want := range map[string]string{flat: "E\xd0\x0d\x00", image: "E\xd0\x0d\x02"} {
		console := filepath.Join(dir, "console")
		o := good(t, "run", "--raw", path, "--vcpus", "1", "--memory", "64MiB", "--console", console, "--json", "--append", "a b", "--initrd", flat)
		text, err := os.ReadFile(console)
		if err != nil || string(text) != want {
			t.Errorf("%s: console %q, want %q", path, text, want)
		}
		if !strings.Contains(o.stdout, `"workload.append": "a b"`) || strings.Contains(o.stdout, "guest_exit_status") {
			t.Errorf("record:\n%s", o.stdout)
		}
	}
}

// TestAddressBits: they hold memory and what lies behind it, and are echoed.
func TestAddressBits(t *testing.T) {
	for memory, bits := range map[string]string{"1GiB": "40", "255GiB": "40", "600GiB": "41", "3TiB": "42"} {
		o := good(t, "run", "--elf", programs+"sort.elf", "--vcpus", "130", "--memory", memory, "--max-instructions", "100", "--json", "--no-baseline")
		if !strings.Contains(o.stdout, `"ipa_bits": `+bits+",") {
			t.Errorf("%s: not %s bits", memory, bits)
		}
	}
}

// exceptionsGuest reports, of every exception that it takes, what its ESR says as
// eight digits, and then turns itself off. Case by case it does something wrong.
// Its own translation is by TTBR0, with the tables of a C guest; TTBR1 is the case's.
const exceptionsGuest = `
	adr	x1, vectors
	msr	vbar_el1, x1
	adr	x1, tables
	msr	ttbr0_el1, x1
	mov	x1, #0xff
	msr	mair_el1, x1
	movz	x1, #0x3519				// as start.S, and as much above: T1SZ, TG1
	movk	x1, #0xb519, lsl #16
	movk	x1, #2, lsl #32
	msr	tcr_el1, x1
	mov	x9, #0xffffff8000000000		// the first address above
	adr	x10, high
	movz	x11, #0x1000, lsl #16			// where no memory is
%s
	b	.
on:	msr	ttbr1_el1, x12
	isb
	tlbi	vmalle1
	dsb	ish
	mrs	x1, sctlr_el1
	orr	x1, x1, #1
	msr	sctlr_el1, x1
	isb
	ret
	.balign	2048
vectors:	b	.
	.balign	512
	mrs	x0, esr_el1
	mov	x2, #32
	mov	x3, #0x09000000
1:	sub	x2, x2, #4
	lsr	x1, x0, x2
	and	x1, x1, #15
	add	x4, x1, #48
	add	x5, x1, #87
	cmp	x1, #10
	csel	x4, x4, x5, lo
	str	w4, [x3]
	cbnz	x2, 1b
	movz	x0, #0x8400, lsl #16
	movk	x0, #8
	hvc	#0
	b	.
	.balign	4096
tables:	.quad	0x0060000000000405, 0x40000701, 0x80000701, 0xc0000701
	.balign	4096
high:	.quad	0
`

// TestWrongGuests: whatever a guest does, it gets the exception that the manual
// or KVM has for that, and the run ends.
func TestWrongGuests(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ code, esr string }{
		"jumps into nothing":             {"br x11", "86000010"},
		"jumps into nothing, translated": {"adr x12, high\nbl on\nmov x11, #0x38000000\nbr x11", "8600000d"}, // PXN
		"jumps to no multiple of 4":      {"add x11, x10, #2\nbr x11", "8a000000"},
		"executes zeroes":                {"br x10", "02000000"},
		"beyond every address":           {"adr x12, high\nbl on\nldr x0, [x9]", "96000005"}, // level 1
		"between the two ranges":         {"adr x12, high\nbl on\nmov x9, #0x100000000000000\nldr x0, [x9]", "96000004"},
		"tables in a hole":               {"mov x12, x11\nbl on\nldr x0, [x9]", "96000010"},
		"tables beyond the output size":  {"mov x12, #0x10000000000\nbl on\nldr x0, [x9]", "96000000"},
		"a table entry into a hole":      {"orr x0, x11, #3\nstr x0, [x10]\nmov x12, x10\nbl on\nldr x0, [x9]", "96000010"},
		"a page in a hole":               {"mov x12, x10\nmovz x0, #0x701\nmovk x0, #0x40, lsl #32\nstr x0, [x10]\nbl on\nldp x0, x1, [x9]", ""},
		"tables that loop":               {"orr x0, x10, #3\norr x0, x0, #0x700\nstr x0, [x10]\nmov x12, x10\nbl on\nldr x0, [x9]\ncmp x0, #0\nb.eq .\nmov x9, x11\nudf #0", "02000000"},
		"memory that is read-only":       {"mov x12, x10\nmovz x0, #0x781\nmovk x0, #0x4000, lsl #16\nstr x0, [x10]\nbl on\nstr x0, [x9]", "9600004d"},
		"memory that is not accessed":    {"mov x12, x10\nmovz x0, #0x301\nmovk x0, #0x4000, lsl #16\nstr x0, [x10]\nbl on\nstr x0, [x9]", "96000049"},
	} {
		src := fmt.Sprintf(exceptionsGuest, strings.ReplaceAll("\t"+c.code, "udf #0", ".word 0"))
		elf, err := guests.Build(src)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file, console := filepath.Join(dir, "elf"), filepath.Join(dir, "console")
		if err := os.WriteFile(file, elf, 0o644); err != nil {
			t.Fatal(err)
		}
		o := good(t, "run", "--elf", file, "--vcpus", "1", "--memory", "64MiB", "--mode", "off", "--max-instructions", "100000", "--console", console, "--json")
		text, err := os.ReadFile(console)
		if err != nil || string(text) != c.esr || !strings.Contains(o.stdout, `"finished": "system off"`) && c.esr != "" {
			t.Errorf("%s: says %q, want %q; %v", name, text, c.esr, err)
		}
	}
}
