package signal

import (
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/golden.json")

const goldenPath = "testdata/golden.json"

// golden is what an earlier build stored and received: a relay has to go on with
// it after an upgrade.
type golden struct {
	Identity, SignedPreKey, PreKey []byte
	Record                         []byte
	Begins                         []byte // a pre-key message, for no record and PreKey
	Continues                      []byte // a message in Record with a ratchet key of its own
	Late                           []byte // one of Record's skipped messages
}

func readGolden(t testing.TB) golden {
	t.Helper()
	b, err := os.ReadFile(goldenPath)
	must(t, err)
	var g golden
	must(t, json.Unmarshal(b, &g))
	return g
}

// device is the device that g was stored by.
func (g golden) device(t testing.TB) *device {
	t.Helper()
	identity, err := ParseIdentityKeyPair(g.Identity)
	must(t, err)
	signed, err := ParseSignedPreKey(g.SignedPreKey)
	must(t, err)
	pre, err := ParsePreKey(g.PreKey)
	must(t, err)
	return &device{
		t: t, local: Local{Identity: identity, RegistrationID: 1}, stored: g.Record, now: start,
		signed: map[uint32]*SignedPreKey{1: signed}, pre: map[uint32]*PreKey{pre.ID(): pre},
	}
}

func writeGolden(t *testing.T) {
	alice, bob := newDevice(t), newDevice(t)
	stranger := newDevice(t)
	stranger.initiate(bob.bundle())
	var g golden
	g.Begins = stranger.seal("begins").Data
	alice.initiate(bob.bundle())
	bob.wants(alice.seal("hello"), "hello")
	alice.wants(bob.seal("yes"), "yes")
	g.Late = alice.seal("late").Data
	bob.wants(alice.seal("ahead"), "ahead")
	alice.wants(bob.seal("turn"), "turn")
	g.Continues = alice.seal("continues").Data
	g.Record = bob.stored
	var err error
	g.Identity, err = bob.local.Identity.MarshalBinary()
	must(t, err)
	g.SignedPreKey, err = bob.signed[1].MarshalBinary()
	must(t, err)
	g.PreKey, err = bob.pre[1].MarshalBinary()
	must(t, err)
	b, err := json.MarshalIndent(g, "", "\t")
	must(t, err)
	must(t, os.WriteFile(goldenPath, append(b, '\n'), 0o644))
}

func TestRecord_OfAnEarlierBuildIsRead(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	g := readGolden(t)
	bob := g.device(t)
	bob.wants(Ciphertext{Data: g.Late}, "late")
	bob.wants(Ciphertext{Data: g.Continues}, "continues")
	fresh := g.device(t)
	fresh.stored = nil
	fresh.wants(Ciphertext{Data: g.Begins, PreKey: true}, "begins")
}
