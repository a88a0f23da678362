// Command install installs the servers of the tests whose packages would otherwise
// start a service of the machine's. It takes minutes on a new machine, which no test
// should wait for.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/relaykeep/relaykeep/test/services/ejabberd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := ejabberd.Install(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "install:", err)
		os.Exit(1)
	}
}
