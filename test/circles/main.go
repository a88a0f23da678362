// Command circles measures how far a package can be read in order. It takes each file
// of a package as a node and draws an edge to every other file that declares an
// identifier it uses; files that need each other form a circle (a strongly connected
// component). It prints the largest circle of each package and exits with 1 when one
// is larger than allowed. Tests and generated files don't count. It must not know what
// the packages are for.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() { os.Exit(run()) }

func run() int {
	limit := flag.Int("max", 6, "the most files that one circle may have")
	all := flag.Bool("all", false, "print every package with a circle, not only those above the limit")
	flag.Parse()
	if flag.NArg() == 0 || *limit < 1 {
		fmt.Fprintln(os.Stderr, "usage: circles [-max 6] [-all] package...")
		return 2
	}
	graphs, err := load(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "circles:", err)
		return 1
	}
	failed := 0
	for _, g := range graphs {
		circle := g.largestCircle()
		tooLarge := len(circle) > *limit
		if tooLarge {
			failed++
		}
		if tooLarge || (*all && len(circle) > 1) {
			fmt.Printf("%s: %d of %d files need each other: %s\n", g.name, len(circle), len(g.edges), strings.Join(circle, " "))
		}
	}
	if failed > 0 {
		fmt.Fprintf(os.Stderr, "circles: %d packages have a circle of more than %d files: let their files use each other in one direction\n", failed, *limit)
		return 1
	}
	return 0
}
