// Command bench measures the budgets and prints them as a table: each is a ratio
// against a floor or a peer that was measured in the same run, by medians. It exits
// with 1 when one is missed. It must not know how the measured parts work: it runs
// their benchmarks and reads what these print.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(bench()) }

func bench() int {
	count := flag.Int("count", 7, "how often all benchmarks run; the medians count")
	benchtime := flag.String("benchtime", "100ms", "how long each run lasts")
	messages := flag.Int("messages", 6000, "how many messages each run through a carrier's server sends; there are three")
	routed := flag.Int("routed", 6000, "how many messages each run of the way through a relay sends, in each build; there are three")
	raw := flag.String("raw", "", "also write what the benchmarks printed to this file, for benchstat")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	output, err := measure(ctx, os.Stderr,
		suite{packages: signalPackages(), rounds: *count, benchtime: *benchtime},
		suite{packages: carrierPackages(), rounds: 3, benchtime: fmt.Sprint(*messages, "x")},
		suite{packages: idlePackages(), rounds: 1, benchtime: "1x"},
		suite{packages: scalePackages(), rounds: 1, benchtime: "1x"})
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	routes, err := measureRoutes(ctx, os.Stderr, 3, *routed)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	output = append(output, routes...)
	if *raw != "" {
		if err := os.WriteFile(*raw, output, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return 1
		}
	}
	medians, err := readMedians(output)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	if missed := printTable(os.Stdout, budgets(), medians); missed > 0 {
		fmt.Fprintf(os.Stderr, "bench: %d of %d budgets missed\n", missed, len(budgets()))
		return 1
	}
	return 0
}
