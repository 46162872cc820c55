// Command make builds the guest programs: each .s of the first folder gives an
// .elf there, by the assembler of cpu/isa; each .c of the second one too, by the
// cross compiler of Debian's gcc-aarch64-linux-gnu.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ringmap/workloads/guests"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: make PROGRAMS C-SOURCES")
		os.Exit(2)
	}
	programs, sources := os.Args[1], os.Args[2]
	for _, path := range glob(programs, "*.s") {
		report(path, assemble(path, target(programs, path)))
	}
	for _, path := range glob(sources, "*.c") {
		report(path, compile(path, target(programs, path)))
	}
}

func glob(dir, pattern string) []string {
	paths, _ := filepath.Glob(filepath.Join(dir, pattern)) // the pattern is good
	return paths
}

// target is where the program of a source goes.
func target(programs, source string) string {
	name := filepath.Base(source)
	return filepath.Join(programs, strings.TrimSuffix(name, filepath.Ext(name))+".elf")
}

func report(path string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
		os.Exit(1)
	}
}

func assemble(source, target string) error {
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	elf, err := guests.Build(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(target, elf, 0o644)
}

// compiler builds the C programs; another version makes other code of them.
const (
	compiler = "aarch64-linux-gnu-gcc"
	version  = "12.2.0"
)

// compile builds a freestanding program that uses no SIMD and FP registers.
func compile(source, target string) error {
	dir := filepath.Dir(source)
	args := strings.Fields("-O2 -Wall -Wextra -Wno-unused-parameter -ffreestanding -nostdlib -static -no-pie -fno-pic " +
		"-mgeneral-regs-only -march=armv8.2-a -Wl,-n,--build-id=none,-s,--no-warn-rwx-segments")
	args = append(args, "-Wl,-T,"+filepath.Join(dir, "guest.ld"), "-o", target, filepath.Join(dir, "start.S"), source)
	out, err := exec.Command(compiler, args...).CombinedOutput()
	if err != nil || len(out) != 0 {
		return fmt.Errorf("%s: %v\n%s", compiler, err, bytes.TrimSpace(out))
	}
	return os.Chmod(target, 0o644)
}
