package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// shelf is a tenant's secrets and keys. It counts the calls.
type shelf struct {
	keys    bool
	secrets map[string]bool
	page    int // how many names one listing holds; 0: all
	fail    string
	calls   int

	receipts []receipt.Receipt
}

func (s *shelf) Now(context.Context) (time.Time, error) { return epoch, nil }

func (s *shelf) Key(context.Context) (vault.KeyState, error) {
	if !s.keys {
		return vault.KeyState{}, vault.ErrNotFound
	}
	return vault.KeyState{Versions: []vault.KeyVersion{{Version: 3, Created: epoch}, {Version: 4, Created: epoch}}, MinAvailable: 2}, nil
}

func (s *shelf) CreateReceipt(_ context.Context, r receipt.Receipt) error {
	if s.fail == "receipt" {
		return vault.ErrDenied
	}
	r.By = receipt.Janitor
	s.receipts = append(s.receipts, r)
	_, err := r.Encode()
	return err
}

func (s *shelf) DeleteKeys(context.Context) error {
	if s.fail == "keys" {
		return vault.ErrSealed
	}
	s.keys = false
	return nil
}

func (s *shelf) Secrets(context.Context) ([]string, error) {
	s.calls++
	names := slices.Sorted(maps.Keys(s.secrets))
	if s.page != 0 {
		names = names[:min(len(names), s.page)]
	}
	if s.fail == "list" {
		return names, vault.ErrForeignContent
	}
	return names, nil
}

func (s *shelf) DeleteSecret(_ context.Context, name string) error {
	s.calls++
	if s.fail == name {
		return vault.ErrDenied
	}
	delete(s.secrets, name)
	return nil
}

func fullShelf() *shelf {
	return &shelf{keys: true, secrets: map[string]bool{
		"identity/1": true, "identity/1000000": true, "access/1": true, "access/2": true, "access/1000000": true, "carrier": true,
	}}
}

func TestEraseTakesWhatVaultListsHoweverFarTheCountersRose(t *testing.T) {
	s := fullShelf()
	called := false
	e, err := Erase(t.Context(), s, func(context.Context) error {
		called = s.secrets["carrier"]
		return nil
	})
	if err != nil || s.keys || len(s.secrets) != 0 || !called || e.Secrets != 6 || e.Receipt != contract.ReceiptWritten {
		t.Errorf("error %v, keys left %v, secrets left %v, account ended first %v, %d went", err, s.keys, s.secrets, called, e.Secrets)
	}
	if s.calls > 10 {
		t.Errorf("it took %d calls", s.calls)
	}
}

func TestEraseListsAgainWhatOneListingCannotHold(t *testing.T) {
	s := fullShelf()
	for i := range 1000 {
		s.secrets[fmt.Sprint("planted/", i)] = true
	}
	s.page = 100
	if e, err := Erase(t.Context(), s, nil); err != nil || len(s.secrets) != 0 || e.Secrets != 1006 {
		t.Errorf("error %v, %d went, %d are left", err, e.Secrets, len(s.secrets))
	}
}

func TestEraseGoesOnAfterAFailureAndFinishesWhenRunAgain(t *testing.T) {
	for _, fail := range []string{"keys", "list", "identity/1", "access/2", "carrier"} {
		s := fullShelf()
		s.fail = fail
		if _, err := Erase(t.Context(), s, nil); err == nil {
			t.Errorf("failing at %s is not an error", fail)
		}
		left := map[string]int{"keys": 6, "list": 0}
		want, named := left[fail]
		if !named {
			want = 1
		}
		if len(s.secrets) != want || s.keys != (fail == "keys") {
			t.Errorf("failing at %s leaves keys %v and %v", fail, s.keys, s.secrets)
		}
		s.fail = ""
		if _, err := Erase(t.Context(), s, nil); err != nil || s.keys || len(s.secrets) != 0 {
			t.Errorf("run again after %s: %v, keys %v, %v", fail, err, s.keys, s.secrets)
		}
	}
}

func TestEraseKeepsThePasswordOfAnAccountThatCouldNotBeEnded(t *testing.T) {
	s := fullShelf()
	away := errors.New("the carrier is away")
	if _, err := Erase(t.Context(), s, func(context.Context) error { return away }); !errors.Is(err, away) || len(s.secrets) != 1 || !s.secrets["carrier"] {
		t.Errorf("error %v, left are %v", err, s.secrets)
	}
}

// The receipt says what died, also when an earlier attempt destroyed it and could say nothing; and nothing stays for its sake.
func TestEraseLeavesAReceipt(t *testing.T) {
	s := fullShelf()
	if _, err := Erase(t.Context(), s, nil); err != nil {
		t.Fatal(err)
	}
	r := s.receipts[0]
	if want := (receipt.Range{From: 2, Below: 5, Newest: new(epoch)}); !r.Deleted || r.Latest != 4 || len(r.Destroyed) != 1 || !cmp.Equal(r.Destroyed[0], want) {
		t.Errorf("the receipt is %+v", r)
	}
	if e, err := Erase(t.Context(), s, nil); err != nil || e.Receipt != contract.ReceiptWritten || !s.receipts[1].Deleted || s.receipts[1].Destroyed != nil {
		t.Errorf("the second: %+v, %v: %+v", e, err, s.receipts)
	}
	s = fullShelf()
	s.fail = "receipt"
	if e, err := Erase(t.Context(), s, nil); err != nil || s.keys || len(s.secrets) != 0 || e.Receipt != contract.ReceiptNotSetUp {
		t.Errorf("without the right: %+v, %v", e, err)
	}
}
