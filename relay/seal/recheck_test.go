package seal_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
)

func TestRecheckForgetsWhatTheVaultErasedAndNothingElse(t *testing.T) {
	w := sealtest.New()
	k, c := newRing(w)
	old := begin(t, k)
	_, value := mustSeal(t, k, "p", "r", "old")
	c.at = c.at.Add(24 * time.Hour)
	young := begin(t, k)

	w.SetAway(errAway)
	_, err := k.Recheck(t.Context())
	wantIs(t, "while the vault is away", err, errAway)
	if len(k.Live()) != 2 {
		t.Error("a key was forgotten because the vault was away")
	}
	w.SetAway(nil)
	w.Erase(old.Wrapped)
	erased, err := k.Recheck(t.Context())
	if err != nil || len(erased) != 1 || erased[0] != old.ID {
		t.Errorf("erased are %v, %v", erased, err)
	}
	_, err = k.Open(old.ID, "p", []byte("r"), value)
	wantIs(t, "opening", err, seal.ErrErased)
	if live := k.Live(); len(live) != 1 || live[0].ID != young.ID {
		t.Errorf("live are %v", live)
	}
	for _, given := range w.Given() {
		if !bytes.Equal(given, make([]byte, seal.KeySize)) {
			t.Error("a key that the vault handed out was not overwritten")
		}
	}
}
