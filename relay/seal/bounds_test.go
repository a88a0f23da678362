package seal

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"
)

// one hands out one key.
type one struct{}

func (one) DataKey(context.Context) ([]byte, string, error) {
	return bytes.Repeat([]byte{7}, KeySize), "w", nil
}
func (one) Unwrap(context.Context, string) ([]byte, error) { return nil, ErrErased }

func ring(t *testing.T) *Keyring {
	t.Helper()
	k := New(one{}, time.Hour, func() time.Time { return time.Unix(1, 0) })
	e, err := k.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Adopt(e.ID); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWornKeyAsksForAnotherAndAtLastRefuses(t *testing.T) {
	k := ring(t)
	s, err := k.subkey(1, "p")
	if err != nil {
		t.Fatal(err)
	}
	s.sealed.Store(softLimit - 1)
	if k.Due() {
		t.Error("a new epoch is due before half of the bound")
	}
	if _, _, err := k.Seal("p", nil, nil); err != nil || !k.Due() {
		t.Errorf("at half of the bound: %v, due %v", err, k.Due())
	}
	s.sealed.Store(hardLimit)
	if _, _, err := k.Seal("p", nil, nil); !errors.Is(err, ErrExhausted) {
		t.Errorf("beyond the bound: %v", err)
	}
	if _, _, err := k.Seal("another purpose", nil, nil); err != nil {
		t.Errorf("another purpose has its own bound: %v", err)
	}
}

func TestForgettingOverwritesTheKey(t *testing.T) {
	for name, forget := range map[string]func(*Keyring){
		"forget": func(k *Keyring) { k.Forget(1) },
		"close":  (*Keyring).Close,
	} {
		k := ring(t)
		e := k.entries[1]
		if e.key == [KeySize]byte{} {
			t.Fatal("there is no key to overwrite")
		}
		forget(k)
		if e.key != [KeySize]byte{} || e.subkeys != nil {
			t.Errorf("%s leaves the key in memory", name)
		}
	}
}

func TestReplacedPendingKeyIsOverwritten(t *testing.T) {
	k := ring(t)
	if _, err := k.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := k.pending
	if _, err := k.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if first.key != [KeySize]byte{} {
		t.Error("the key of the epoch that was not adopted stays in memory")
	}
}
