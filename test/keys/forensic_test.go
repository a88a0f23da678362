package keys_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/scan"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/test/forensic"
	vaulttest "github.com/relaykeep/relaykeep/test/services/vault"
)

// volume is a relay's volume, in the hands of a test.
type volume struct {
	t     *testing.T
	dir   string
	relay *vault.Client
	id    [16]byte
}

// keptText is what acme itself wants kept.
const keptText = "What acme itself wants kept"

// update opens the store for a moment and writes into it.
func (v *volume) update(fn func(tx *store.Tx) error) {
	v.t.Helper()
	ring := seal.New(v.relay, seal.Period(month), time.Now)
	defer ring.Close()
	s, err := store.Open(v.t.Context(), v.dir, v.id, ring, store.MustExist(), store.SettingsKey(v.relay.Settings()))
	must(v.t, "opening the store", err)
	must(v.t, "writing into the store", s.Update(v.t.Context(), fn))
	must(v.t, "closing the store", s.Close())
}

// receive puts a customer's message into the store.
func (v *volume) receive(from phone.Number, text string) {
	v.t.Helper()
	body, err := json.Marshal(map[string]string{"body": text})
	must(v.t, "rendering a message", err)
	v.update(func(tx *store.Tx) error {
		c := store.Customer{Number: from, Name: "Ada of the forensic test"}
		if err := tx.PutCustomer(&c); err != nil {
			return err
		}
		return errors.Join(tx.PutSetting("kept", []byte(keptText)), tx.PutMessage(store.Message{
			ID: store.NewMessageID(), Direction: store.Inbound, Customer: c.ID, Type: "text", Body: body, State: "received", Created: time.Now(), Updated: time.Now(),
		}))
	})
}

// keep puts a file into the store whose name and lines say a text.
func (v *volume) keep(text string) {
	v.t.Helper()
	data := forensic.TextFile(text)
	m := store.Media{ID: store.NewMediaID(), MIME: "text/plain", Name: text + ".txt", Size: int64(len(data)), SHA256: sha256.Sum256(data)}
	v.update(func(tx *store.Tx) error {
		if err := tx.BeginMedia(store.Media{ID: m.ID, Created: time.Now()}, 0); err != nil {
			return err
		}
		place := int64(0)
		for piece := range slices.Chunk(data, store.MediaChunk) {
			if err := tx.PutMediaChunk(m.ID, place, piece); err != nil {
				return err
			}
			place++
		}
		return tx.FinishMedia(m)
	})
}

func number(t *testing.T, text string) phone.Number {
	t.Helper()
	n, err := phone.Parse(text)
	must(t, "parsing a number", err)
	return n
}

// TestStolenVolumeIsBlindForWhatTheRetentionEndedThoughItIsRestoredBesideTheRelay
// lets 30 days and an hour pass for a volume and its key, of which a thief has a
// copy from the second day.
func TestStolenVolumeIsBlindForWhatTheRetentionEndedThoughItIsRestoredBesideTheRelay(t *testing.T) {
	acme, relay := established(t, "acme")
	identity, err := relay.Identity(t.Context(), 1, someKey)
	must(t, "reading the identity", err)
	v := &volume{t, t.TempDir(), relay, identity.StoreID}
	must(t, "making the store", store.Create(t.Context(), v.dir, v.id))
	key := acme.namespace + "." + acme.name
	settings := "transit-settings/" + key
	age := func(by time.Duration) []byte {
		t.Helper()
		backup, err := vaulttest.AgeKey(t.Context(), shared.Root, key, by)
		must(t, "making the key older", err)
		_, err = vaulttest.AgeKey(t.Context(), shared.Root, settings, by)
		must(t, "making the settings' key older", err)
		must(t, "making the volume older", forensic.Age(t.Context(), v.dir, by))
		return backup
	}
	const oldText, youngText = "An old secret of acme's customers", "A young secret of acme's customers"
	const oldFile, youngFile = "An old file of acme's customers", "A young file of acme's customers"
	old, current := number(t, "+15550002222"), number(t, "+15550003333")
	v.receive(old, oldText)
	v.keep(oldFile)
	age(25 * time.Hour)
	must(t, "rotating, as Vault does each day", acme.client(roleJanitor).Rotate(t.Context()))
	v.receive(current, youngText)
	v.keep(youngFile)
	stolen, err := forensic.Take(v.dir, filepath.Join(t.TempDir(), "stolen"))
	must(t, "stealing the volume", err)

	former, err := vaulttest.KeyMaterial(age(29 * 24 * time.Hour))
	must(t, "reading what the key was", err)
	result := janitorRun(t, acme.client(roleJanitor), 30, 0)
	if result.Erased != 1 {
		t.Fatalf("the janitor's result is %+v", result)
	}
	c := forensic.Case{
		Copy:    stolen,
		Witness: forensic.Witness{Root: shared.Root, Wrapping: key, Settings: settings, Identity: "kv/data/" + acme.namespace + "/" + acme.name + "/identity/1"},
		Expired: []int64{1}, Young: youngText, YoungFile: youngFile, Old: old, Current: current, Former: former,
		Never: slices.Concat(forensic.FileSecrets(oldFile), forensic.FileSecrets(youngFile), []scan.Secret{
			{Name: "an old text", Bytes: oldText},
			{Name: "a young text", Bytes: youngText},
			{Name: "the old customer's number", Bytes: old.Digits()},
			{Name: "the current customer's number", Bytes: current.Digits()},
			{Name: "a name", Bytes: "Ada of the forensic test"},
		}),
	}
	must(t, "examining the stolen volume", forensic.Examine(t.Context(), c, t.TempDir()))

	// The examination sees what is wrong where something is.
	for what, change := range map[string]struct {
		change func(*forensic.Case)
		says   string
	}{
		"an epoch that lives, though it should not": {func(c *forensic.Case) { c.Expired = []int64{1, 2} }, "epoch 2: root unwraps"},
		"an epoch that died, though it should not":  {func(c *forensic.Case) { c.Expired = nil }, "epoch 1: root unwraps"},
		"a number that a living key finds again":    {func(c *forensic.Case) { c.Old = current }, "number under epoch 2"},
		"a text that nobody wrote":                  {func(c *forensic.Case) { c.Young = "nobody wrote this" }, "message: the copy has"},
		"a file that nobody sent":                   {func(c *forensic.Case) { c.YoungFile = "nobody sent this" }, "file's piece: the copy has"},
		"settings that nothing unwraps":             {func(c *forensic.Case) { c.Witness.Settings = key }, "data key 1 of the settings"},
		"a settings' key that opens an epoch":       {func(c *forensic.Case) { c.Witness.Settings = key }, "epoch 2: the settings' key unwraps"},
		"a setting that says what must not be said": {func(c *forensic.Case) {
			c.Never = append(c.Never, scan.Secret{Name: "the kept text", Bytes: keptText})
		}, "the setting kept"},
		"a file that lies open": {func(c *forensic.Case) { c.Copy = spooled(t, stolen, oldFile) }, "a file's text, raw"},
		"a file's digest that lies open": {func(c *forensic.Case) {
			digest := sha256.Sum256(forensic.TextFile(youngFile))
			c.Copy = spooled(t, stolen, hex.EncodeToString(digest[:]))
		}, "a file's digest, hex"},
		"bytes that are there": {func(c *forensic.Case) {
			c.Never = append(c.Never, scan.Secret{Name: "the table", Bytes: "CREATE TABLE customers"})
		}, "the table, raw"},
	} {
		broken := c
		change.change(&broken)
		if err := forensic.Examine(t.Context(), broken, t.TempDir()); err == nil || !strings.Contains(err.Error(), change.says) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// spooled returns a copy of a volume on which bytes lie beside the store, as if an upload
// had been kept there for a moment.
func spooled(t *testing.T, stolen forensic.Copy, text string) forensic.Copy {
	t.Helper()
	c, err := forensic.Take(stolen.Dir, filepath.Join(t.TempDir(), "spooled"))
	must(t, "copying the copy", err)
	must(t, "keeping an upload", os.WriteFile(filepath.Join(c.Dir, "upload"), []byte(text), 0o600))
	return c
}
