// Ringmap simulates dirty-page tracking on an arm64 KVM host: who records a
// written page, what that costs, and whether one is lost.
package main

import (
	"os"

	"ringmap/bench/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
}
