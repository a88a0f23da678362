package store

import (
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
)

// rows counts the requests that have a row.
func (s *Store) requestRows(t *testing.T) (n int64) {
	t.Helper()
	err := s.View(t.Context(), func(tx *Tx) (err error) {
		n, err = tx.integer(`SELECT count(*) FROM requests`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRequests_AreBoundedInNumberAndTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s, err := Open(t.Context(), t.TempDir(), [16]byte{1}, seal.New(sealtest.New(), seal.Period(30*24*time.Hour), func() time.Time { return now }))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	answer := func(key string) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx *Tx) error { return tx.Answer(Once{Key: key}, "wamid.A", now) }); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		answer(string(rune('a' + i)))
	}
	s.next.request += MaxRequests - 10 // as if so many had come
	answer("next")
	if n := s.requestRows(t); n != 10 {
		t.Errorf("%d of 21 requests are kept, want the 10 youngest", n)
	}
	now = now.Add(RequestTime + time.Second)
	answer("a day later")
	answer("and then")
	if n := s.requestRows(t); n != 3 {
		t.Errorf("%d requests are kept; want that four old ones went with each new one, and one that was too many", n)
	}
	if err := s.ForgetRequests(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if n := s.requestRows(t); n != 2 {
		t.Errorf("%d requests are kept after a sweep, want the two young ones", n)
	}
}
