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
	code, message := outcome(err)
	if message != "" {
		fmt.Fprintln(os.Stderr, "cluster:", message)
	}
	os.Exit(code)
}

// outcome is the exit status for an error, and what to say about it: nothing about a program that a person ran through
// this one, such as kubectl, and that has said it.
func outcome(err error) (code int, message string) {
	var ran *runError
	switch {
	case err == nil:
		return 0, ""
	case errors.As(err, &ran) && ran.exit.ExitCode() > 0:
		return ran.exit.ExitCode(), ""
	default:
		return 1, err.Error()
	}
}

// runError is the failure of a program that a person ran through this one.
type runError struct{ exit *exec.ExitError }

// Error says how the program ended.
func (e *runError) Error() string { return e.exit.Error() }
