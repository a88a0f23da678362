// Command install installs the servers and clients of the tests whose packages would otherwise
// start a service of the machine's, or that npm has. It takes minutes on a new machine, which no
// test should wait for.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/relaykeep/relaykeep/test/interop/nodeclients"
	"github.com/relaykeep/relaykeep/test/services/ejabberd"
	"github.com/relaykeep/relaykeep/test/services/postgres"
	"github.com/relaykeep/relaykeep/test/services/promtool"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	_, err := nodeclients.Install(ctx)
	err = errors.Join(ejabberd.Install(ctx), postgres.Install(ctx), promtool.Install(ctx), err)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "install:", err)
		os.Exit(1)
	}
}
