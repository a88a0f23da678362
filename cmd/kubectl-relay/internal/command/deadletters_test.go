package command

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

// dead are a relay's dead letters.
type dead struct {
	letters  []cloudapi.DeadLetter
	replayed []int64
}

func (d *dead) DeadLetters(_ context.Context, after cloudapi.DeadLetterPlace, limit int) ([]cloudapi.DeadLetter, error) {
	behind := slices.DeleteFunc(slices.Clone(d.letters), func(l cloudapi.DeadLetter) bool { return l.Place.ID <= after.ID })
	return behind[:min(limit, len(behind))], nil
}

func (d *dead) Replay(_ context.Context, ids []int64) error {
	for _, id := range ids {
		if id > int64(len(d.letters)) {
			return cloudapi.ErrUnknownLetter
		}
	}
	d.replayed = ids
	return nil
}

func (d *dead) ReplayAll(context.Context) (int, error) { return len(d.letters), nil }

func TestDeadLetters_AreListedWholeAndReplayed(t *testing.T) {
	d := &dead{}
	at := time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC)
	for i := range 700 { // two pages
		d.letters = append(d.letters, cloudapi.DeadLetter{
			Place: cloudapi.DeadLetterPlace{Died: at, ID: int64(i + 1)}, MessageID: "wamid.A", Created: at.Add(-7 * 24 * time.Hour), Attempts: 170,
			Failure: "the webhook's receiver answered 503\x1b[2J",
		})
	}
	d.letters[699].Status, d.letters[699].Failure = "read", ""
	e, err := serveEndpoint(t, &people{letters: d}).at(&credentials{Endpoint: "https://example.com:8443", PhoneNumberID: "123456789012345", AccessToken: "the token"})
	check(t, err)
	list, err := e.deadLetters(t.Context())
	check(t, err)
	var out strings.Builder
	check(t, printDeadLetters(&out, list))
	for _, want := range []string{
		"\n1     a message     wamid.A   2026-03-01T12:00:00Z   2026-03-08T12:00:00Z   170        the webhook's receiver answered 503\ufffd[2J\n",
		"\n700   status read   wamid.A   2026-03-01T12:00:00Z   2026-03-08T12:00:00Z   170        -\n",
	} {
		if len(list) != 700 || !strings.Contains(out.String(), want) {
			t.Fatalf("%d of 700 are listed, and %q is not among\n%.1000s", len(list), want, out.String())
		}
	}
	n, err := e.replay(t.Context(), []string{"1", "700"}, false)
	check(t, err)
	if n != 2 || !slices.Equal(d.replayed, []int64{1, 700}) {
		t.Errorf("%d, %v are replayed", n, d.replayed)
	}
	n, err = e.replay(t.Context(), nil, true)
	check(t, err)
	if n != 700 {
		t.Errorf("%d of 700 are replayed", n)
	}
	if _, err := e.replay(t.Context(), []string{"701"}, false); err == nil || !strings.Contains(err.Error(), "nothing was replayed") {
		t.Errorf("an unknown one: %v", err)
	}
	d.letters = nil
	list, err = e.deadLetters(t.Context())
	check(t, err)
	out.Reset()
	check(t, printDeadLetters(&out, list))
	if out.String() != "There are no dead letters.\n" {
		t.Errorf("none: %q", out.String())
	}
	older, err := serveEndpoint(t, &people{}).at(&credentials{Endpoint: "https://example.com:8443", PhoneNumberID: "123456789012345", AccessToken: "the token"})
	check(t, err)
	if _, err := older.deadLetters(t.Context()); err == nil || !strings.Contains(err.Error(), "upgrade Relaykeep") {
		t.Errorf("of an earlier release: %v", err)
	}
}
