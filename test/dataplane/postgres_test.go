package dataplane_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/nightly"
	"github.com/relaykeep/relaykeep/test/services/postgres"
)

// database makes a database with its role, as an admin does for a business.
func database(t *testing.T) (*postgres.Server, postgres.Database) {
	t.Helper()
	server, err := shared.postgres()
	check(t, err)
	return server, server.NewDatabaseT(t)
}

// newBusinessOnPostgres makes a tenant whose relay keeps its store in a database.
func newBusinessOnPostgres(t *testing.T) (*business, *postgres.Server, postgres.Database) {
	t.Helper()
	server, d := database(t)
	b := newBusiness(t)
	b.OnPostgres(d)
	b.ServerDir = server.Dir
	return b, server, d
}

func TestPostgres_ConversationSurvivesRestarts(t *testing.T) {
	t.Parallel()
	b, _, _ := newBusinessOnPostgres(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "is this kept in a database?")
	b.WaitText("is this kept in a database?")
	b.WaitStatus(b.Say(p.Number.E164(), "it is"), "read")
	before := b.Report()
	b.Stop()
	p.Says(b, "nobody is at home")
	b.StartReady()
	b.WaitText("nobody is at home")
	b.WaitStatus(b.Say(p.Number.E164(), "here again"), "read")
	if n := p.Sees("here again"); n != 1 {
		t.Errorf("the customer saw it %d times", n)
	}
	if after := b.Report(); before.Fingerprint != after.Fingerprint || before.PhoneNumberID != after.PhoneNumberID {
		t.Error("the identity is another after a restart")
	}
	if entries, err := os.ReadDir(b.Volume()); err != nil || len(entries) > 0 {
		t.Errorf("the volume is used, though the store is in a database: %v %v", entries, err)
	}
	b.NothingLeaked()
}

func TestPostgres_WhatIsWrongIsSaidAndMended(t *testing.T) {
	t.Parallel()
	b, server, d := newBusinessOnPostgres(t)
	other := server.NewDatabaseT(t)
	b.PutLogin(d.Name, "another password")
	b.Start()
	c := b.Wait(contract.ConditionKeysReady, contract.False, "DatabaseDenied")
	if !strings.Contains(c.Message, "Vault") || strings.Contains(c.Message, d.Name) {
		t.Errorf("the condition does not say what to do, or names the role: %s", c.Message)
	}
	// Another business's login opens no database but its own.
	b.PutLogin(other.Name, other.Password)
	b.Wait(contract.ConditionKeysReady, contract.False, "DatabaseDenied")
	b.PutLogin(d.Name, d.Password)
	b.WaitWell()
	b.Stop()

	b.Config.Postgres.Database = other.Name
	b.PutLogin(other.Name, other.Password)
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.False, "StoreMissing")
	b.Stop()
	b.Config.Postgres.Database = d.Name
	b.PutLogin(d.Name, d.Password)
	ca := b.Postgres.CABundle
	b.Postgres.CABundle = b.Config.Carrier.XMPP.CABundle
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.False, "DatabaseCertificate")
	b.Stop()
	b.Postgres.CABundle = ca
	b.StartReady()
}

func TestPostgres_LoginOfOneBusinessOpensNoOther(t *testing.T) {
	t.Parallel()
	globex, server, d := newBusinessOnPostgres(t)
	globex.StartReady()
	globex.Stop()
	acme := server.NewDatabaseT(t)
	tries := func(with postgres.Database) error {
		_, err := store.OwnerOn(t.Context(), store.Server{
			Address: d.Address, Database: d.Name, CA: d.CA,
			Login: func(context.Context) (string, string, error) { return with.Name, with.Password, nil },
		})
		return err
	}
	if err := tries(acme); !errors.Is(err, store.ErrDenied) {
		t.Errorf("another business's login: %v", err)
	}
	if err := tries(d); err != nil {
		t.Errorf("the owner's: %v", err)
	}
	// Even a role that may connect sees nothing.
	_, err := server.Query(t.Context(), postgres.Superuser, "GRANT CONNECT ON DATABASE "+d.Name+" TO "+acme.Name)
	check(t, err)
	if err := tries(acme); !errors.Is(err, store.ErrRights) {
		t.Errorf("another business's login that may connect: %v", err)
	}
}

func TestPostgres_OfAnotherIdentityIsRefused(t *testing.T) {
	t.Parallel()
	b, _, d := newBusinessOnPostgres(t)
	b.StartReady()
	b.Stop()
	other, _, own := newBusinessOnPostgres(t)
	other.StartReady()
	other.Stop()
	other.OnPostgres(d)
	other.Start()
	other.Wait(contract.ConditionKeysReady, contract.False, "StoreForeign")
	other.Stop()
	other.OnPostgres(own)
	other.StartReady()
	b.StartReady()
}

// TestPostgres_KilledLosesAndDoublesNothing kills the server again and again while both sides write.
func TestPostgres_KilledLosesAndDoublesNothing(t *testing.T) {
	const rounds, each = 5, 4
	b, server, _ := newBusinessOnPostgres(t)
	b.StartReady()
	p := newPerson(t)
	c := &chatter{b: b, p: p, to: b.Phone(), ids: map[string]string{}, stanzas: map[string]string{}}
	for round := range rounds {
		var wg sync.WaitGroup
		wg.Go(func() { c.customerWrites(round, each) })
		wg.Go(func() { c.businessWrites(round, each) })
		wait := time.NewTimer(time.Duration(20+rand.IntN(300)) * time.Millisecond)
		<-wait.C
		server.Kill()
		if round == 0 {
			b.Wait(contract.ConditionKeysReady, contract.False, "DatabaseUnreachable")
			if nightly.Or(true, false) { // which takes up to a quarter of a minute
				b.logSaid(serve.ReasonLogNotWritten)
			}
		}
		check(t, server.Start(t.Context()))
		wg.Wait()
	}
	b.Wait(contract.ConditionKeysReady, contract.True, "")
	c.everythingOnce(rounds * each)
	b.NothingLeaked()
}

// TestPostgres_StalledRelayWritesNothingWhenItGoesOn stops the process of a relay that holds the
// lease, lets another take over, and has the first go on.
func TestPostgres_StalledRelayWritesNothingWhenItGoesOn(t *testing.T) {
	b, server, d := newBusinessOnPostgres(t)
	b.StartProcess()
	b.WaitWell()
	b.TakeCredentials()
	p := newPerson(t)
	p.Says(b, "before it stalls")
	b.WaitText("before it stalls")
	first := b.Freeze()
	begun := time.Now()
	b.StartProcess()
	b.WaitWell()
	t.Logf("another relay took over after %s", time.Since(begun))
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("taking over took %s", took)
	}
	before := term(t, server, d)
	ended := first.Thaw()
	select {
	case <-ended:
	case <-time.After(await.Patience):
		t.Error("the stalled relay goes on although another has its store")
	}
	p.Says(b, "after it stalled")
	b.WaitText("after it stalled")
	b.WaitStatus(b.Say(p.Number.E164(), "still here"), "read")
	if after := term(t, server, d); after != before {
		t.Errorf("the term is %s, and was %s: the stalled relay wrote", after, before)
	}
	texts := []string{}
	for _, u := range b.Updates() {
		if u.Type == "unsupported" {
			t.Error("the business was told of a message that could not be read")
		}
		if u.Type == "text" && !slices.Contains(texts, u.ID) {
			texts = append(texts, u.ID)
		}
	}
	if len(texts) != 2 {
		t.Errorf("the business has %d messages, want 2", len(texts))
	}
}

// term is the term of the process that may write.
func term(t *testing.T, server *postgres.Server, d postgres.Database) string {
	t.Helper()
	rows, err := server.Query(t.Context(), d.Name, `SELECT term FROM relaykeep.engine`)
	check(t, err)
	return fmt.Sprint(rows)
}
