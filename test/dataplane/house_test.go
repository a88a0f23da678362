// Package dataplane_test proves the relay's process whole: a real Vault with logins that
// a real Kubernetes API server vouches for, a real Prosody, real Signal sessions of
// a real customer, and the business's own ends, its webhook and its HTTP calls, on
// the outside.
package dataplane_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/relay/vault/setup"
	"github.com/relaykeep/relaykeep/test/services/apiserver"
	"github.com/relaykeep/relaykeep/test/services/prosody"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// patience is how long anything may take that the tests wait for.
const patience = 60 * time.Second

// house is what all tests of this package share; each has a tenant of its own.
type house struct {
	vault   *vault.Server
	root    *api.Client
	prosody *prosody.Server
	kube    *apiserver.Server // it issues and reviews the relays' tokens
	setup   setup.Options     // of Vault
	numbers atomic.Int64      // handed out
}

var shared *house

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		child(dir)
	}
	flag.Parse()
	if testing.Short() {
		fmt.Println("skipped: these tests run servers, and -short asks for none")
		return
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting the servers:", err)
		code = 1
	}
	os.Exit(code)
}

// run starts the servers, runs the tests, and stops the servers.
func run(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // builds included
	defer cancel()
	dir, err := os.MkdirTemp("", "dataplane-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	h := &house{}
	if h.kube, err = apiserver.Start(ctx, apiserver.Options{}); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, h.kube.Stop()) }()
	if h.vault, err = vault.Start(ctx, dir+"/vault", vault.Options{}); err != nil {
		return 0, err
	}
	defer h.vault.Stop()
	if h.root, err = h.vault.Root(); err != nil {
		return 0, err
	}
	if err := h.setUpVault(ctx); err != nil {
		return 0, err
	}
	if h.prosody, err = prosody.Start(ctx, dir+"/prosody", prosody.Options{Registration: true}); err != nil {
		return 0, err
	}
	defer h.prosody.Stop()
	shared = h
	return m.Run(), nil
}

// setUpVault does what an admin does once, with `kubectl relay setup vault`.
func (h *house) setUpVault(ctx context.Context) error {
	reviewer, err := h.kube.AddReviewer(ctx)
	if err != nil {
		return err
	}
	kube := h.kube.Config
	h.setup = setup.Options{
		Region: "eu", KubernetesHost: kube.Host, KubernetesCA: string(kube.CAData), ReviewerToken: reviewer, EndpointDomain: "relay.test",
	}
	return setup.Apply(ctx, h.root, h.setup, nil)
}

// number returns one that nobody has.
func (h *house) number() string { return fmt.Sprintf("+49171392%06d", h.numbers.Add(1)) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		<-tick.C
	}
}
