// Command demo shows Relaykeep at work, from nothing to a customer's message and
// back, on the lab's environment: `demo up` brings it up, proves each claim of the
// story in turn and leaves everything running; `demo down` ends it. It exits
// non-zero at the first claim that does not hold. It must not know how the
// environment is made, nor what is claimed.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/relaykeep/relaykeep/test/lab"
	"github.com/relaykeep/relaykeep/test/lab/report"
	"github.com/relaykeep/relaykeep/test/story"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	log.SetLogger(logr.Discard()) // else a client that is made late has controller-runtime print a warning
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
		return show(ctx, l, r)
	case "down":
		return l.Down(ctx)
	default:
		return fmt.Errorf("%q: write `demo up` or `demo down`", args[0])
	}
}

func show(ctx context.Context, l *lab.Lab, r *report.Reporter) error {
	r.Section("The environment")
	if err := l.Up(ctx); err != nil {
		return err
	}
	s, err := story.Open(ctx, l)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, chapter := range s.Chapters() {
		r.Section(chapter.Title)
		for _, claim := range chapter.Claims {
			if err := r.Step(ctx, claim.Title, claim.Prove); err != nil {
				return err
			}
		}
	}
	return sayWhatToTry(ctx, l, r)
}

func sayWhatToTry(ctx context.Context, l *lab.Lab, r *report.Reporter) error {
	customer := l.Customer()
	reply, err := l.ReplyScript(ctx, lab.Acme, customer.Digits(), "Anything else?")
	if err != nil {
		return err
	}
	r.Section("All of it holds, and everything is left running. What to try next, from this folder:")
	r.Print(fmt.Sprintf(`
%s

# The businesses, their regions and how they are
kubectl get brelay -A -o wide

# See what acme's webhook gets, in another terminal
tail -f %s

# Be the customer, in this terminal
%s

# Answer as acme
%s

# The address by which other customers reach acme
kubectl relay invite acme -n acme

# End it all
make demo-down
`, l.ShellSetup(), l.Short(l.WebhookLog(lab.Acme)), customer.ChatScript(lab.Acme), reply))
	return nil
}
