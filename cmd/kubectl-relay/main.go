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

	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/command"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	log.SetLogger(logr.Discard()) // else a client that is made late has controller-runtime print a warning
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
