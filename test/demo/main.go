// Command demo shows Relaykeep at work, from nothing to a customer's message and
// back, on the lab's environment: `demo up` brings it up, proves each claim in turn
// and leaves everything running; `demo down` ends it. It exits non-zero at the first
// claim that does not hold. It must not know how the environment is made.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/relaykeep/relaykeep/test/lab"
	"github.com/relaykeep/relaykeep/test/lab/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("write `demo up` or `demo down`")
	}
	r := report.New(os.Stdout)
	l, err := lab.New(r)
	if err != nil {
		return err
	}
	switch args[0] {
	case "up":
		return (&show{lab: l, report: r}).run(ctx)
	case "down":
		return l.Down(ctx)
	default:
		return fmt.Errorf("%q: write `demo up` or `demo down`", args[0])
	}
}
