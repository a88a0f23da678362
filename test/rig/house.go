// Package rig runs a business on real servers, for tests of a whole relay: a Vault, an
// API server that vouches for the relay's tokens, the relay itself, and the business's
// own programs, which are its webhook receiver and its calls of the endpoint. It must
// not know which XMPP server carries the messages, nor who the customers are.
package rig

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/relay/vault/setup"
	"github.com/relaykeep/relaykeep/test/rig/internal/process"
	"github.com/relaykeep/relaykeep/test/services/apiserver"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// Region is the name of the region that a house's Vault is set up for.
const Region = "eu"

// House is the servers that all tests of a package share. Each test has businesses of
// its own.
type House struct {
	ending

	Vault *vault.Server
	Root  *api.Client       // of Vault
	Kube  *apiserver.Server // issues and reviews the relays' tokens
	Setup setup.Options     // how Vault was set up
	Dir   string            // for further servers; Close removes it

	numbers atomic.Int64 // handed out
}

// Main runs a package's tests in a house and returns the process's exit code, for
// TestMain. With -short it runs nothing. It also lets the test binary be a relay's
// process: see Business.StartProcess. When the test's process is told to end, all that it started ends with it.
func Main(run func(context.Context, *House) (code int, err error)) (code int) {
	if dir := os.Getenv(processVariable); dir != "" {
		return process.Be(dir)
	}
	flag.Parse()
	if testing.Short() {
		fmt.Println("skipped: these tests run servers, and -short asks for none")
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // builds included
	defer cancel()
	h := &House{}
	defer h.endWithAll(func() string { return h.Dir })()
	err := h.begin(ctx)
	if err == nil {
		code, err = run(ctx, h)
		err = errors.Join(err, h.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "running the servers:", err)
		return 1
	}
	return code
}

// Open starts a house's servers. The context bounds the start alone.
func Open(ctx context.Context) (*House, error) {
	h := &House{}
	if err := h.begin(ctx); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *House) begin(ctx context.Context) error {
	if err := h.open(ctx); err != nil {
		return errors.Join(err, h.Close())
	}
	return nil
}

func (h *House) open(ctx context.Context) (err error) {
	if h.Dir, err = os.MkdirTemp("", "rig-"); err != nil {
		return err
	}
	if h.Kube, err = apiserver.Start(ctx, apiserver.Options{}); err != nil {
		return err
	}
	if h.Vault, err = vault.Start(ctx, filepath.Join(h.Dir, "vault"), vault.Options{}); err != nil {
		return err
	}
	if h.Root, err = h.Vault.Root(); err != nil {
		return err
	}
	reviewer, err := h.Kube.AddReviewer(ctx)
	if err != nil {
		return err
	}
	kube := h.Kube.Config
	h.Setup = setup.Options{
		Region: Region, KubernetesHost: kube.Host, KubernetesCA: string(kube.CAData), ReviewerToken: reviewer, EndpointDomain: "relay.test",
	}
	return setup.Apply(ctx, h.Root, h.Setup, nil) // what an admin does once, with `kubectl relay setup vault`
}

// Close stops the servers.
func (h *House) Close() (err error) {
	if h.Vault != nil {
		h.Vault.Stop()
	}
	if h.Kube != nil {
		err = h.Kube.Stop()
	}
	return errors.Join(err, os.RemoveAll(h.Dir))
}

// Number returns a phone number that nobody else has.
func (h *House) Number() string { return fmt.Sprintf("+49171392%06d", h.numbers.Add(1)) }

// NewTenant makes a namespace whose name begins with a word, and in it the service
// account of a relay.
func (h *House) NewTenant(t testing.TB, word string) (namespace, account string) {
	t.Helper()
	made, err := h.Kube.Kube.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: word + "-"}}, metav1.CreateOptions{})
	check(t, err)
	account = word + "-relay"
	check(t, h.Kube.AddServiceAccount(t.Context(), made.Name, account))
	return made.Name, account
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
