package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

const origin = "relaykeep.dev/log/4711"

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// log is a log that is written by who has its key.
type log struct {
	t      testing.TB
	signer note.Signer
	key    note.Verifier
	leaves [][]byte
}

func newLog(t testing.TB, entries int) *log {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	text, err := proof.KeyOf(origin, public)
	must(t, err)
	l := &log{t: t}
	l.key, err = proof.LogVerifier(text)
	must(t, err)
	l.signer = signer{l.key, private}
	l.grow(entries)
	return l
}

type signer struct {
	note.Verifier
	key ed25519.PrivateKey
}

func (s signer) Sign(text []byte) ([]byte, error) { return ed25519.Sign(s.key, text), nil }

// grow adds entries.
func (l *log) grow(entries int) {
	l.t.Helper()
	for range entries {
		leaf, err := proof.NewSums([]proof.Sum{{Who: proof.Owner, Kind: proof.Send, Result: proof.OK, Count: 1}}, start, proof.Minute)
		must(l.t, err)
		l.leaves = append(l.leaves, leaf)
	}
}

// fork is a log of the same key that has only the first entries in common.
func (l *log) fork(common, entries int) *log {
	other := &log{t: l.t, signer: l.signer, key: l.key, leaves: append([][]byte{}, l.leaves[:common]...)}
	other.grow(entries - common)
	return other
}

func (l *log) checkpoint() []byte {
	l.t.Helper()
	var tree proof.Tree
	for _, leaf := range l.leaves {
		must(l.t, tree.Append(tlog.RecordHash(leaf)))
	}
	hash, err := tree.At(tree.Size())
	must(l.t, err)
	signed, err := note.Sign(&note.Note{Text: proof.Text(origin, tlog.Tree{N: tree.Size(), Hash: hash})}, l.signer)
	must(l.t, err)
	return signed
}

func (l *log) export(dropped int) []byte {
	l.t.Helper()
	var out bytes.Buffer
	e, err := proof.NewExport(&out, proof.Header{Log: origin, Signed: string(l.checkpoint())})
	must(l.t, err)
	for i, leaf := range l.leaves {
		shown := leaf
		if i < dropped {
			shown = nil
		}
		must(l.t, e.Add(int64(i), tlog.RecordHash(leaf), shown))
	}
	must(l.t, e.Close())
	return out.Bytes()
}

// verify verifies exports, and checkpoints.
func (l *log) verify(exports map[string][]byte, checkpoints ...[]byte) proof.Report {
	l.t.Helper()
	v, err := proof.NewVerification([]note.Verifier{l.key}, nil)
	must(l.t, err)
	for _, name := range slices.Sorted(maps.Keys(exports)) {
		must(l.t, v.Export(name, bytes.NewReader(exports[name])))
	}
	for _, text := range checkpoints {
		must(l.t, v.Checkpoint("kept", text))
	}
	r, err := v.Result()
	must(l.t, err)
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// line returns an export with one line changed; none removes it.
func line(export []byte, n int, change func(string) string) []byte {
	lines := strings.SplitAfter(string(export), "\n")
	lines[n] = change(lines[n])
	return []byte(strings.Join(lines, ""))
}

func TestVerify_HonestLogHasNoFindings(t *testing.T) {
	l := newLog(t, 20)
	first := l.checkpoint()
	monday := l.export(0)
	l.grow(30)
	r := l.verify(map[string][]byte{"1.jsonl": monday, "2.jsonl": l.export(10)}, first)
	if !r.OK() || r.Entries != 50 || r.Signed != 50 || r.Dropped != 10 || r.Kept != 3 || r.Log != origin {
		t.Errorf("%+v", r)
	}
}

func TestVerify_AttackIsFoundWithItsPlace(t *testing.T) {
	l := newLog(t, 20)
	kept := l.checkpoint()
	former := l.export(0)
	l.grow(20)
	cut := func(n int) []byte {
		lines := strings.SplitAfter(string(l.export(0)), "\n")
		return []byte(strings.Join(lines[:n+1], ""))
	}
	stranger := newLog(t, 40)
	for name, c := range map[string]struct {
		export   []byte
		other    []byte
		what     string
		from, to int64
	}{
		"cut at its end":  {cut(33), nil, proof.Truncated, 33, 40},
		"a line removed":  {line(l.export(0), 8, func(string) string { return "" }), nil, proof.Truncated, 7, 8},
		"lines exchanged": {line(l.export(0), 8, func(s string) string { return strings.Replace(s, `"index":7`, `"index":9`, 1) }), nil, proof.Truncated, 7, 9},
		"an entry edited": {line(l.export(0), 8, func(s string) string { return strings.Replace(s, `"count":1`, `"count":9`, 1) }), nil, proof.Edited, 7, 8},
		"an entry and its hash": {line(l.export(0), 8, func(s string) string {
			leaf, err := proof.NewSums(nil, start, proof.Minute)
			must(t, err)
			text, err := json.Marshal(proof.Line{Index: 7, Hash: tlog.RecordHash(leaf), Entry: leaf})
			must(t, err)
			return string(text) + "\n"
		}), nil, proof.Forked, 0, 20},
		"content kept back": {line(l.export(3), 31, func(s string) string {
			before, _, _ := strings.Cut(s, `,"entry"`)
			return before + "}\n"
		}), nil, proof.Withheld, 30, 31},
		"rewritten after an export was made": {l.fork(12, 40).export(0), former, proof.Forked, 0, 20},
		"put back to an earlier state":       {l.fork(12, 12).export(0), former, proof.RolledBack, 12, 20},
		"put back without a trace":           {l.fork(15, 15).export(0), nil, proof.RolledBack, 15, 20},
		"another's":                          {stranger.export(0), nil, proof.Unsigned, -1, 40},
	} {
		exports := map[string][]byte{"2.jsonl": c.export}
		if c.other != nil {
			exports["1.jsonl"] = c.other
		}
		r := l.verify(exports, kept)
		found := false
		for _, f := range r.Findings {
			found = found || f.What == c.what && f.From == c.from && f.To == c.to
		}
		if !found {
			t.Errorf("%s: %+v, want %s from %d to %d", name, r.Findings, c.what, c.from, c.to)
		}
	}
	if r := l.verify(map[string][]byte{"2.jsonl": l.export(0)}, kept); !r.OK() {
		t.Errorf("the owner's own: %+v", r.Findings)
	}
}

// Two checkpoints are enough to tell a fork, without any export.
func TestVerify_TwoCheckpointsTellAFork(t *testing.T) {
	l := newLog(t, 20)
	r := l.verify(nil, l.checkpoint(), l.fork(10, 20).checkpoint())
	if len(r.Findings) != 1 || r.Findings[0].What != proof.Forked || r.Findings[0].To != 20 {
		t.Errorf("%+v", r)
	}
}

// The more often the log was exported, the closer is the place.
func TestVerify_ForkIsBetweenWhatWasKept(t *testing.T) {
	l := newLog(t, 10)
	first := l.checkpoint()
	l.grow(10)
	second := l.checkpoint()
	r := l.verify(map[string][]byte{"2.jsonl": l.fork(15, 30).export(0)}, first, second)
	if len(r.Findings) == 0 || r.Findings[0].What != proof.Forked || r.Findings[0].From != 10 || r.Findings[0].To != 20 {
		t.Errorf("%+v", r)
	}
}

// newWitness is a witness's key.
func newWitness(t testing.TB) *torchwood.CosignatureSigner {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	w, err := torchwood.NewCosignatureSigner("witness.example.org", private)
	must(t, err)
	return w
}

// A witness vouches for what it saw, and cannot speak for the log.
func TestVerify_ACosignatureAloneIsNoSignature(t *testing.T) {
	l, w := newLog(t, 10), newWitness(t)
	l.signer = w
	v, err := proof.NewVerification([]note.Verifier{l.key}, []note.Verifier{w.Verifier()})
	must(t, err)
	must(t, v.Checkpoint("kept", l.checkpoint()))
	r, err := v.Result()
	must(t, err)
	if r.OK() || r.Findings[0].What != proof.Unsigned || r.Signed != 0 {
		t.Errorf("%+v", r)
	}
}

func TestVerify_WhatIsNoLogIsRefused(t *testing.T) {
	l := newLog(t, 3)
	for name, text := range map[string]string{
		"nothing": "", "no JSON": "x\n", "no header": `{"index":0}` + "\n",
		"a line that is cut": string(l.export(0))[:len(l.export(0))-20],
		"a long line":        strings.Repeat(" ", 1<<20),
		"a bad checkpoint":   `{"log":"` + origin + `","checkpoint":"x"}` + "\n",
	} {
		v, err := proof.NewVerification([]note.Verifier{l.key}, nil)
		must(t, err)
		if err := v.Export(name, strings.NewReader(text)); !errors.Is(err, proof.ErrExport) && !errors.Is(err, proof.ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := proof.NewVerification(nil, nil); err == nil {
		t.Error("without a key a log is verified")
	}
}

func TestEntry_BadOnesAreRefused(t *testing.T) {
	for _, c := range []struct {
		kind proof.Kind
		body string
	}{{"", "{}"}, {"Upper", "{}"}, {"receipt", ""}, {"receipt", "[]"}, {"receipt", "{"}, {"receipt", `{"a":"` + strings.Repeat("x", proof.MaxBody) + `"}`}} {
		if _, err := proof.NewEntry(c.kind, []byte(c.body), start); !errors.Is(err, proof.ErrEntry) {
			t.Errorf("%q %.20s: %v", c.kind, c.body, err)
		}
	}
	a, err := proof.NewEntry("receipt", []byte("{}"), start)
	must(t, err)
	b, err := proof.NewEntry("receipt", []byte("{}"), start)
	must(t, err)
	if bytes.Equal(a, b) {
		t.Error("two entries have one salt: the hash of one that was dropped can be guessed")
	}
}

// FuzzReadExport holds that no export makes the verification fail in another way than it says.
func FuzzReadExport(tf *testing.F) {
	f := mutation.Of(tf)
	l := newLog(tf, 5)
	f.Add(string(l.export(0)))
	f.Add(string(l.export(2)))
	f.Fuzz(func(t *testing.T, text string) {
		v, err := proof.NewVerification([]note.Verifier{l.key}, nil)
		must(t, err)
		if err := v.Export("x", strings.NewReader(text)); err != nil {
			return
		}
		r, err := v.Result()
		if err == nil && r.OK() && r.Signed != 5 {
			t.Errorf("a log that its key did not sign verifies: %+v", r)
		}
	})
}

// FuzzCosign holds that whatever a witness answers, the log's own signature stays, and the cosignature is the witness's.
func FuzzCosign(tf *testing.F) {
	f := mutation.Of(tf)
	l, w := newLog(tf, 5), newWitness(tf)
	signed := l.checkpoint()
	l.signer = w
	_, lines, _ := bytes.Cut(l.checkpoint(), []byte("\n\n"))
	f.Add(string(lines))
	f.Add(string(lines) + string(lines))
	f.Fuzz(func(t *testing.T, lines string) {
		both, err := proof.Cosign(signed, []byte(lines), w.Verifier())
		if err != nil {
			return
		}
		if c, err := proof.ParseCheckpoint(both, l.key); err != nil || c.N != 5 || !bytes.HasPrefix(both, signed) {
			t.Errorf("%q: %v", both, err)
		}
		if _, err := proof.ParseCheckpoint(both, w.Verifier()); err != nil {
			t.Errorf("%q is not cosigned: %v", both, err)
		}
	})
}
