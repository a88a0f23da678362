package dataplane_test

import (
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/test/await"
)

// converse has both sides write in the session that they have, and looks that it is still the same.
func (b *business) converse(p interface {
	Sees(string) int
}, to, from string,
) {
	b.t.Helper()
	b.WaitStatus(b.Say(to, from), "read")
	if n := p.Sees(from); n != 1 {
		b.t.Errorf("the customer saw %q %d times", from, n)
	}
}

// TestMigrate_KeepsEverySessionAlive covers the move into a database: it also keeps the log, which verifies as one with what was
// exported before, and how the business behaved.
func TestMigrate_KeepsEverySessionAlive(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Limit(contract.LimitsEnforced)
	b.StartReady()
	_, logKey, witnessKey := b.witnessed()
	b.Stop()
	b.StartReady()
	b.strangers(0, 30)
	p := newPerson(t)
	p.Says(b, "before the move")
	b.WaitText("before the move")
	b.converse(p, p.Number.E164(), "answered before the move")
	b.SetDown(true)
	p.Says(b, "the receiver is down")
	await.Until(t, "the webhook's job is queued", func() bool { return b.Report().Counts.WebhookQueued > 0 })
	before, contacts := b.Report(), b.firstContacts()
	entries := b.cosigned(0)
	log := endpointLog{b, b.Token}.export()
	b.Stop()
	p.Says(b, "written during the move")

	server, d := database(t)
	b.OnPostgres(d)
	b.SetDown(false)
	b.StartReady(later(time.Hour + time.Minute)) // every minute with sums is over
	b.ServerDir = server.Dir
	b.WaitText("the receiver is down")
	b.WaitText("written during the move")
	b.converse(p, p.Number.E164(), "answered after the move")
	if now := b.firstContacts(); contacts == 0 || now != contacts {
		t.Errorf("of %v first contacts %v are counted after the move", contacts, now)
	}
	b.cosigned(entries)
	wantWhole(t, []string{logKey}, witnessKey, log, endpointLog{b, b.Token}.export())
	after := b.Report()
	if before.Fingerprint != after.Fingerprint || before.PhoneNumberID != after.PhoneNumberID {
		t.Error("the identity is another after the move")
	}
	if log := string(b.Log.Bytes()); strings.Contains(log, "session") || strings.Contains(log, "repair") {
		t.Errorf("new sessions were begun: %s", log)
	}
	for _, u := range b.Updates() {
		if u.Type == "unsupported" {
			t.Error("the business was told of a message that could not be read")
		}
	}
	b.NothingLeaked()

	// The store on the volume is of no use any more.
	b.Config.Postgres, b.ServerDir = nil, ""
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.False, "StoreMoved")
}

func TestMigrate_RefusesADatabaseThatIsNotEmptyAndChangesNothing(t *testing.T) {
	t.Parallel()
	other, _, d := newBusinessOnPostgres(t)
	other.StartReady()
	other.Stop()
	b := newBusiness(t)
	b.StartReady()
	b.Stop()
	b.OnPostgres(d)
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.False, "StoreForeign")
	b.Stop()
	b.Config.Postgres = nil
	b.StartReady() // nothing has changed on the volume
	_, mine := database(t)
	b.OnPostgres(mine)
	o := b.Options()
	if err := serve.Migrate(t.Context(), o); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a store in use: %v", err)
	}
	b.Stop()
	if err := serve.Migrate(t.Context(), o); err != nil {
		t.Errorf("moving: %v", err)
	}
	if err := serve.Migrate(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no store") {
		t.Errorf("moving again: %v", err)
	}
	b.StartReady()
	other.OnPostgres(d)
	other.StartReady() // nor in its database
}
