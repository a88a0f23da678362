package dataplane_test

import (
	"bytes"
	"database/sql"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite" // reads how many epochs there are

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/await"
)

// sealsLater runs a relay for which it is earlier by some time, by its node's clock and by Vault's, until Vault is
// sealed. It returns a function that makes that happen.
func (b *business) sealsLater(by time.Duration) (start func() (unseal func())) {
	b.t.Helper()
	var due atomic.Bool
	var later atomic.Int64
	later.Store(int64(-by))
	var unseal func()
	sealed := make(chan struct{})
	once := sync.OnceFunc(func() {
		unseal = seal(b.t)
		later.Store(0)
		close(sealed)
	})
	b.StartReady(off(func() time.Duration { return time.Duration(later.Load()) }), func(o *serve.Options) {
		o.SweepEvery, o.AdvanceEvery = 100*time.Millisecond, 100*time.Millisecond
		// Vault has just answered: until it is unsealed, it says nothing more.
		o.VaultOffset = func() time.Duration {
			if due.Load() {
				once()
			}
			return time.Duration(later.Load())
		}
	})
	return func() func() {
		due.Store(true)
		<-sealed
		return unseal
	}
}

// epochs is how many epochs the store has had.
func (b *business) epochs() (n int) {
	b.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.Volume(), "relay.db")+"?mode=ro")
	check(b.t, err)
	defer db.Close()
	check(b.t, db.QueryRowContext(b.t.Context(), `SELECT max(id) FROM epochs`).Scan(&n))
	return n
}

// export is what the endpoint says of what is kept of a customer.
func (b *business) export(digits string) string {
	b.t.Helper()
	_, answer := b.Request(http.MethodGet, "/customers/"+digits, b.Token, nil)
	return answer
}

// While Vault is sealed a relay goes on in the epoch that it has, and what it writes there dies with that.
func TestSealedVault_AtAnEpochsEndRelayGoesOnInThatEpoch(t *testing.T) {
	b := newBusiness(t)
	sealVault := b.sealsLater(25 * time.Hour)
	p := newPerson(t)
	p.Says(b, "before the epoch's end")
	b.WaitText("before the epoch's end")
	before := b.epochs()
	unseal := sealVault()
	b.Wait(contract.ConditionKeysReady, contract.False, "VaultSealed")
	await.Until(t, "it could not begin a new epoch", func() bool { return bytes.Contains(b.Log.Bytes(), []byte("no new data key")) })
	p.Says(b, "past the epoch's end")
	b.WaitText("past the epoch's end")
	b.WaitStatus(b.Say(p.Number.E164(), "past the epoch's end, too"), "read")
	if n := b.epochs(); n != before {
		t.Errorf("there are %d epochs after %d", n, before)
	}
	unseal()
	b.Wait(contract.ConditionKeysReady, contract.True, "")
	await.Until(t, "a new epoch begins", func() bool { return b.epochs() == before+1 })
	p.Says(b, "in the new epoch")
	b.WaitText("in the new epoch")
	b.WaitStatus(b.Say(p.Number.E164(), "in the new epoch, too"), "read")
	if answer := b.export(p.Number.Digits()); !strings.Contains(answer, "before the epoch's end") || !strings.Contains(answer, "past the epoch's end, too") {
		t.Errorf("it lost what was written: %s", answer)
	}
	b.NothingLeaked()
}

// Once every epoch that it has is past the retention, a relay keeps nothing of it, also in memory, takes nothing that it
// could not seal, and tells of what came meanwhile.
func TestSealedVault_PastTheRetentionRelayTakesNothingUntilItCanSeal(t *testing.T) {
	b := newBusiness(t)
	sealVault := b.sealsLater(31 * 24 * time.Hour)
	p := newPerson(t)
	p.Says(b, "outlived by nothing")
	b.WaitText("outlived by nothing")
	b.WaitStatus(b.Say(p.Number.E164(), "nor is this"), "read")
	unseal := sealVault()
	b.Wait(contract.ConditionKeysReady, contract.False, "VaultSealed")
	digits := p.Number.Digits()
	await.Until(t, "nothing is read any more", func() bool { return !strings.Contains(b.export(digits), "outlived by nothing") })
	status, answer := b.Call(b.Token, map[string]any{"messaging_product": "whatsapp", "to": digits, "text": map[string]string{"body": "not taken"}})
	if status < http.StatusInternalServerError || !strings.Contains(answer, "131016") {
		t.Errorf("what cannot be sealed is answered with %d %s", status, answer)
	}
	p.Says(b, "waits at the carrier")
	unseal()
	b.Wait(contract.ConditionKeysReady, contract.True, "")
	// The session died with its key. The business is told of what was written in it.
	b.WaitUpdate("that there was a message", func(u webhooktest.Update) bool { return u.Type == "unsupported" })
	b.WaitStatus(b.Say(p.Number.E164(), "taken again"), "read")
	p.Says(b, "taken again, too")
	b.WaitText("taken again, too")
	if answer := b.export(digits); strings.Contains(answer, "outlived by nothing") || !strings.Contains(answer, "taken again, too") {
		t.Errorf("what is kept is %s", answer)
	}
	b.NothingLeaked()
}
