package seal_test

import (
	"context"
	"errors"
	"testing"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
)

func FuzzOpenRefusesWhateverWasNotSealed(f *testing.F) {
	k, _ := newRing(sealtest.New())
	e, err := k.Next(context.Background())
	if err != nil {
		f.Fatal(err)
	}
	if err := k.Adopt(e.ID); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add([]byte{1})
	f.Add(make([]byte, seal.Overhead))
	f.Add(append([]byte{1}, make([]byte, 100)...))
	f.Fuzz(func(t *testing.T, value []byte) {
		if _, err := k.Open(e.ID, "p", []byte("r"), value); !errors.Is(err, seal.ErrTampered) {
			t.Errorf("error is %v", err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k, _ := newRing(sealtest.New())
	e, _ := k.Next(b.Context())
	_ = k.Adopt(e.ID)
	text := make([]byte, 500)
	for b.Loop() {
		if _, _, err := k.Seal("p", []byte("row"), text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	k, _ := newRing(sealtest.New())
	e, _ := k.Next(b.Context())
	_ = k.Adopt(e.ID)
	for b.Loop() {
		if _, err := k.Lookup(e.ID, "p", []byte("15551234567")); err != nil {
			b.Fatal(err)
		}
	}
}
