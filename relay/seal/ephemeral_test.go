package seal_test

import (
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
)

const life = time.Hour

func ephemeral(t *testing.T) (*seal.Ephemeral, *clock) {
	t.Helper()
	k, c := newRing(sealtest.New())
	return k.Ephemeral(life), c
}

func mustHide(t *testing.T, e *seal.Ephemeral, text string) (int64, []byte) {
	t.Helper()
	key, value, err := e.Seal("p", []byte("r"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return key, value
}

func TestEphemeral_OpensWithinItsLifeAndNeverAfter(t *testing.T) {
	e, c := ephemeral(t)
	key, value := mustHide(t, e, "text")
	c.at = c.at.Add(life - time.Second)
	if plain, err := e.Open(key, "p", []byte("r"), value); err != nil || string(plain) != "text" {
		t.Errorf("within its life it opens as %q, %v", plain, err)
	}
	c.at = c.at.Add(time.Second)
	_, err := e.Open(key, "p", []byte("r"), value)
	wantIs(t, "at its end", err, seal.ErrErased)
	c.at = c.at.Add(-time.Minute)
	_, err = e.Open(key, "p", []byte("r"), value)
	wantIs(t, "once its end was seen", err, seal.ErrErased)
}

func TestEphemeral_TurnsItsKeyEachMinute(t *testing.T) {
	e, c := ephemeral(t)
	first, _ := mustHide(t, e, "a")
	c.at = c.at.Add(time.Minute - time.Second)
	if same, _ := mustHide(t, e, "b"); same != first {
		t.Error("another key was used within the minute")
	}
	c.at = c.at.Add(time.Second)
	if next, _ := mustHide(t, e, "c"); next == first {
		t.Error("the same key was used after a minute")
	}
}

func TestEphemeral_ChangedValueDoesNotLiveLonger(t *testing.T) {
	e, c := ephemeral(t)
	key, _ := mustHide(t, e, "a")
	c.at = c.at.Add(life - time.Second)
	value, err := e.SealIn(key, "p", []byte("r"), []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(time.Second)
	_, err = e.Open(key, "p", []byte("r"), value)
	wantIs(t, "opening", err, seal.ErrErased)
	_, err = e.SealIn(key, "p", []byte("r"), []byte("c"))
	wantIs(t, "sealing", err, seal.ErrErased)
}

func TestEphemeral_FirstIsTheKeyThatEndsFirst(t *testing.T) {
	e, c := ephemeral(t)
	older, _ := mustHide(t, e, "a")
	c.at = c.at.Add(life / 2)
	younger, _ := mustHide(t, e, "b")
	wants := func(when string, a, b, want int64) {
		t.Helper()
		if got := e.First(a, b); got != want {
			t.Errorf("%s it is %d, want %d", when, got, want)
		}
		if got := e.First(b, a); got != want {
			t.Errorf("%s, the other way round, it is %d, want %d", when, got, want)
		}
	}
	wants("of two", older, younger, older)
	wants("of one and the next", younger, 0, younger)
	wants("of two that are to come", 0, 0, 0)
	c.at = c.at.Add(life / 2)
	e.Expire()
	wants("of one that is gone", older, younger, older)
}

func TestEphemeral_AnotherProcessOpensNothing(t *testing.T) {
	e, _ := ephemeral(t)
	key, value := mustHide(t, e, "a")
	other, _ := ephemeral(t)
	mustHide(t, other, "b")
	_, err := other.Open(key, "p", []byte("r"), value)
	wantIs(t, "another's", err, seal.ErrErased)
	e.Close()
	_, err = e.Open(key, "p", []byte("r"), value)
	wantIs(t, "a closed one", err, seal.ErrErased)
}

func TestEphemeral_IsBoundToPurposeAndRow(t *testing.T) {
	e, _ := ephemeral(t)
	key, value := mustHide(t, e, "a")
	_, err := e.Open(key, "p", []byte("another"), value)
	wantIs(t, "another row", err, seal.ErrTampered)
	_, err = e.Open(key, "q", []byte("r"), value)
	wantIs(t, "another purpose", err, seal.ErrTampered)
}

func TestEphemeral_ClockSetBackEndsLives(t *testing.T) {
	e, c := ephemeral(t)
	key, value := mustHide(t, e, "a")
	c.at = c.at.Add(-2 * time.Hour)
	_, err := e.Open(key, "p", []byte("r"), value)
	wantIs(t, "after the clock was set back", err, seal.ErrErased)
}
