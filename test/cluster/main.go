// Command cluster builds, starts and stops a local Kubernetes cluster of two nodes in two regions, on one Linux machine and with
// nothing from a container registry. It knows nothing of what is deployed there.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/relaykeep/relaykeep/test/cluster/internal/process"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == process.Stage {
		// Exec itself tells the program that started the stage why it failed.
		_ = process.Exec(os.Args[2:])
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}
