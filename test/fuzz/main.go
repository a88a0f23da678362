// Command fuzz runs every fuzz target of the packages that it is given, each for the
// same time, several at once, and says what came of it. It exits with 1 when one
// failed; the input that did it is then below the package's testdata/fuzz. It must
// not know what the targets test.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() { os.Exit(run()) }

func run() int {
	perTarget := flag.Duration("time", time.Minute, "how long each target runs")
	parallel := flag.Int("parallel", 2, "how many targets run at once, each on one core")
	limit := flag.Duration("limit", 10*time.Minute, "how long all of it may take")
	flag.Parse()
	if flag.NArg() == 0 || *perTarget <= 0 || *parallel < 1 {
		fmt.Fprintln(os.Stderr, "usage: fuzz [-time 1m] [-parallel 2] [-limit 10m] package...")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()

	dir, err := os.MkdirTemp("", "relaykeep-fuzz-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	targets, err := build(ctx, dir, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		return 1
	}
	fmt.Printf("%d targets, %v each, %d at once\n", len(targets), *perTarget, *parallel)
	failed := fuzzAll(ctx, targets, *perTarget, *parallel, os.Stdout)
	if failed > 0 {
		fmt.Fprintf(os.Stderr, "fuzz: %d of %d targets failed; their inputs are kept below the packages' testdata/fuzz: commit them with the fix\n", failed, len(targets))
		return 1
	}
	return 0
}
