package store

import (
	"bytes"
	"errors"
	"testing"

	"github.com/relaykeep/relaykeep/relay/seal"
)

func TestReaderTakesApartWhatWriterBuilt(t *testing.T) {
	w := newWriter(0).text("a").integer(-1).bytes(nil).flag(true).bytes([]byte("b")).flag(false)
	r := newReader(w.b)
	a, n, none, yes, b, no := r.text(), r.integer(), r.bytes(), r.flag(), r.bytes(), r.flag()
	if err := r.done(); err != nil {
		t.Fatal(err)
	}
	if a != "a" || n != -1 || len(none) != 0 || !yes || string(b) != "b" || no {
		t.Errorf("read %q %d %v %v %q %v", a, n, none, yes, b, no)
	}
}

func TestReaderWantsAllAndNothingElse(t *testing.T) {
	whole := newWriter(0).text("text").integer(7).flag(true).b
	for cut := range whole {
		r := newReader(whole[:cut])
		r.text()
		r.integer()
		r.flag()
		if err := r.done(); !errors.Is(err, seal.ErrTampered) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	r := newReader(append(bytes.Clone(whole), 0))
	r.text()
	r.integer()
	r.flag()
	if err := r.done(); !errors.Is(err, seal.ErrTampered) {
		t.Errorf("with something behind: %v", err)
	}
}

func FuzzReaderNeverReadsBeyondItsEnd(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{layout})
	f.Add([]byte{layout, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add(newWriter(0).text("a").integer(1).flag(true).b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newReader(b)
		s, n, yes := r.text(), r.integer(), r.flag()
		if r.done() != nil {
			return
		}
		if back := newWriter(0).text(s).integer(n).flag(yes).b; len(back) > len(b) {
			t.Errorf("read %d bytes out of %d", len(back), len(b))
		}
	})
}
