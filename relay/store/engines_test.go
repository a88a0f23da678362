package store_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/racing"
	"github.com/relaykeep/relaykeep/test/services/postgres"
)

// onServer is the server on which this process's stores are; nil for SQLite.
var onServer *postgres.Server

// engineVariable names the engine to test: without it, SQLite.
const engineVariable = "RELAYKEEP_TEST_ENGINE"

// onEngine runs this process's tests on the engine that the environment names.
func onEngine(run func() int) int {
	if os.Getenv(engineVariable) == "" {
		return run()
	}
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if onServer, err = postgres.Start(ctx, dir, postgres.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer onServer.Stop()
	return run()
}

// TestOnPostgreSQL runs the package's tests on PostgreSQL, in a process of their own, apart from
// those about files.
func TestOnPostgreSQL(t *testing.T) {
	if testing.Short() {
		t.Skip("needs PostgreSQL, and -short asks for no servers")
	}
	if onServer != nil {
		t.Skip("this is it")
	}
	racing.SkipExhaustive(t)
	if err := postgres.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.timeout=20m")
	cmd.Env = append(os.Environ(), engineVariable+"=postgresql")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("PASS")) {
		t.Errorf("no test ran: %s", out)
	}
}
