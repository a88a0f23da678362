// Command runrelay runs one relay with what it needs around it on this machine and
// without a cluster: a Vault, a Prosody, an API server that vouches for the relay's
// token, and a webhook that prints what the business receives. It says how to call the
// endpoint and how to be a customer, and leaves nothing behind when it is interrupted.
// With -debugger the relay runs under Delve and waits for a debugger to connect.
//
// The relay is this program again, called with "relay": relay/serve with its files below
// one temporary folder, for the released command accepts no other paths than a pod's.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "run-relay:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	debugger string // Delve's program; empty runs the relay without it
	listen   string // where Delve listens
	chat     string // the kubectl plugin, as the customer's command names it
	logLevel string
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 3 && args[0] == relayCommand {
		return runRelay(ctx, args[1], args[2])
	}
	var o options
	flags := flag.NewFlagSet("run-relay", flag.ContinueOnError)
	flags.StringVar(&o.debugger, "debugger", "", "`path` of Delve (dlv); the relay then waits for a debugger")
	flags.StringVar(&o.listen, "debugger-listen", "127.0.0.1:2345", "`address` for the debugger")
	flags.StringVar(&o.chat, "chat", "bin/kubectl-relay", "`path` of the kubectl plugin, for the customer's command")
	flags.StringVar(&o.logLevel, "log-level", "info", "the relay's log `level`: debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q: this command takes flags only", flags.Arg(0))
	}
	return runAll(ctx, o, out)
}
