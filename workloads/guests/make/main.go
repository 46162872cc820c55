// Command make assembles the guest programs of a folder: each .s gives an .elf.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ringmap/workloads/guests"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: make FOLDER")
		os.Exit(2)
	}
	sources, _ := filepath.Glob(filepath.Join(os.Args[1], "*.s"))
	for _, path := range sources {
		if err := build(path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

func build(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	elf, err := guests.Build(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(strings.TrimSuffix(path, ".s")+".elf", elf, 0o644)
}
