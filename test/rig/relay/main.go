// Command relay is a relay's process for what measures one: it has nothing else in it. Its argument is the directory that
// the rig wrote.
package main

import (
	"fmt"
	"os"

	"github.com/relaykeep/relaykeep/test/rig/internal/process"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: relay DIRECTORY")
		os.Exit(2)
	}
	os.Exit(process.Be(os.Args[1]))
}
