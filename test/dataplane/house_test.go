// Package dataplane_test proves the relay's process whole: a real Vault with logins that
// a real Kubernetes API server vouches for, a real Prosody, real Signal sessions of
// a real customer, and the business's own ends, its webhook and its HTTP calls, on
// the outside.
package dataplane_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/rig"
	"github.com/relaykeep/relaykeep/test/services/postgres"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// house is what all tests of this package share; each has a tenant of its own. A test that
// stops one of its servers is not parallel: it runs before those that are.
type house struct {
	*rig.House
	prosody *prosody.Server
	// postgres is started by the first test that asks for it.
	postgres func() (*postgres.Server, error)
}

var shared *house

func TestMain(m *testing.M) {
	os.Exit(rig.Main(func(ctx context.Context, h *rig.House) (int, error) {
		server, err := prosody.Start(ctx, filepath.Join(h.Dir, "prosody"), prosody.Options{Registration: true})
		if err != nil {
			return 1, err
		}
		defer server.Stop()
		var database *postgres.Server
		shared = &house{h, server, sync.OnceValues(func() (s *postgres.Server, err error) {
			database, err = postgres.Start(ctx, filepath.Join(h.Dir, "postgres"), postgres.Options{})
			return database, err
		})}
		defer func() {
			if database != nil {
				database.Kill()
			}
		}()
		return m.Run(), nil
	}))
}

// business is a tenant with its relay, and what the tests of this package do to it.
type business struct {
	*rig.Business
	t *testing.T
}

// newBusiness makes a tenant whose relay is configured but does not run.
func newBusiness(t *testing.T) *business {
	t.Helper()
	return &business{shared.NewBusiness(t, shared.prosody), t}
}

// newPerson makes a customer that is online until the test's end.
func newPerson(t *testing.T) *customers.Client {
	t.Helper()
	return customers.Start(t, shared.prosody, shared.Number())
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
