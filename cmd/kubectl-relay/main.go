// Command kubectl-relay is a kubectl plugin for admins and businesses: it prepares a
// Vault, prints a business's credentials and its invitation, and is a customer's client
// in the terminal. Put it into the PATH and call it as `kubectl relay`.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/command"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	root := command.New(streams, version)
	root.SetArgs(command.Args(os.Args))
	err := root.ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	os.Exit(exit.Code(err))
}
