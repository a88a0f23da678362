// Package process is a relay as a process of its own that tests start: it reads what the rig wrote into a directory, does what
// the rig tells it, and says where it listens. It must not know any test, nor the servers around the relay.
package process

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/footprint"
	"github.com/relaykeep/relaykeep/relay/serve"
)

// ServerFile tells a relay's process where PostgreSQL is, which the operator does in its arguments.
const ServerFile = "postgres.json"

func readServer(dir string) (s contract.PostgresServer, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, ServerFile))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(raw, &s)
}

// Options are a relay's whose configuration and volume are in dir.
func Options(dir string, arguments config.Arguments) serve.Options {
	return serve.Options{
		ConfigPath: filepath.Join(dir, "relay.json"), Arguments: arguments, Version: "test",
		DataDir: filepath.Join(dir, "data"), TokenPath: filepath.Join(dir, "token"), IntegrityDir: filepath.Join(dir, "integrity"),
		EndpointAddr: "127.0.0.1:0", StatusAddr: "127.0.0.1:0",
	}
}

// Be runs a relay whose files the rig wrote to a directory. It prints where it listens and runs until it is
// killed. Each line of its standard input says by how much its node's clock is wrong from then on, and by how
// much later it is by every clock; it waits for the first.
func Be(dir string) (code int) {
	footprint.Keep() // as the relay does
	o := Options(dir, config.Arguments{})
	wrong, later := new(atomic.Int64), new(atomic.Int64)
	lines := bufio.NewScanner(os.Stdin)
	next := func() bool {
		if !lines.Scan() {
			return false
		}
		by, all, _ := strings.Cut(lines.Text(), " ")
		node, err := time.ParseDuration(by)
		everywhere, alsoErr := time.ParseDuration(all)
		wrong.Store(int64(node + everywhere))
		later.Store(int64(everywhere))
		return err == nil && alsoErr == nil
	}
	if !next() {
		fmt.Fprintln(os.Stderr, "no line says how wrong the clock is")
		return 1
	}
	go func() {
		for next() {
		}
	}()
	o.Now = func() time.Time { return time.Now().Add(time.Duration(wrong.Load())) }
	o.VaultOffset = func() time.Duration { return time.Duration(later.Load()) }
	file, err := config.Load(o.ConfigPath)
	if err == nil {
		o.StoreOptions, err = observer(dir)
	}
	if err == nil && len(o.StoreOptions) > 0 {
		o.SweepEvery = 500 * time.Millisecond
		o.AllowLinks = func(netip.Addr) bool { return true }
	}
	var server contract.PostgresServer
	if err == nil {
		server, err = readServer(dir)
	}
	if err == nil {
		o.Arguments = config.Arguments{Vault: file.Vault, Carrier: file.Carrier, Postgres: server}
		o.Log = slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Listening = func(name string, a net.Addr) { fmt.Println(name, a) }
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		err = serve.Run(ctx, o)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
