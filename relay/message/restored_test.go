package message_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestRestoredStoreBeginsSessionsAnewAndSendsNothingTwice(t *testing.T) {
	dir, backup := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "before the backup")
		w.says(a.number, "answer before the backup")
		w.take()
		w.carrier.Lose(100_000)
		waiting := w.says(a.number, "waits when the backup is made")
		w.settle()
		w.stop()
		check(t, os.CopyFS(backup, os.DirFS(w.dir)))

		w.start() // and goes on, unlike the backup
		if got := statuses(w.take(), waiting); !slices.Contains(got, "delivered") {
			t.Fatalf("what waited has the statuses %q", got)
		}
		for range 3 {
			w.says(a.number, "since the backup")
			a.says(w.number, "since the backup")
			w.take()
		}
		w.stop()

		w.dir = backup
		seen := len(a.got())
		w.start()
		if got := statuses(w.take(), waiting); !slices.Equal(got, []string{"failed"}) {
			t.Errorf("what waited in the backup has the statuses %q, want that it failed", got)
		}
		if n := len(a.got()); n != seen {
			t.Errorf("the customer got %d messages again", n-seen)
		}
		w.says(a.number, "after the restore")
		w.take()
		if got := a.got(); got[len(got)-1] != "after the restore" {
			t.Errorf("the customer got %q last", got[len(got)-1])
		}
		a.says(w.number, "welcome back")
		if got := texts(w.take()); !slices.Equal(got, []string{"welcome back"}) {
			t.Errorf("the business got %q", got)
		}
		if first := w.carrier.Texts()[0]; !first.Envelope.Keys[0].PreKey {
			t.Error("what was sent first did not begin a session: a chain key of the backup may have been used again")
		}
	})
}

func TestBounce_BeforeABackupFailsWhenTheStoreIsRestored(t *testing.T) {
	dir, backup := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.carrier.Bounce(times(-1))
		id := w.says(a.number, "came back when the backup was made")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent"}) {
			t.Fatalf("statuses are %q", got)
		}
		w.stop()
		check(t, os.CopyFS(backup, os.DirFS(w.dir)))
		w.dir = backup
		w.start()
		elapse(quarter)
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"failed"}) || len(w.carrier.Texts()) != 0 {
			t.Errorf("statuses are %q; it was sent %d times", got, len(w.carrier.Texts()))
		}
	})
}
