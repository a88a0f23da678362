package message_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the store's driver, to damage what it wrote

	"github.com/relaykeep/relaykeep/relay/message"
)

// damages spoils the sealed values of a table while the relay runs.
func (w *world) damages(table string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "relay.db")+"?_pragma=busy_timeout(5000)")
	check(w.t, err)
	_, err = db.Exec(`UPDATE ` + table + ` SET sealed = zeroblob(60)`)
	check(w.t, err)
	check(w.t, db.Close())
}

func TestADamagedRowOfACustomersEndsNothingElse(t *testing.T) {
	for table, readable := range map[string]bool{"customers": true, "devices": true, "sessions": false, "messages": true, "jobs": true} {
		t.Run(table, func(t *testing.T) {
			dir, other := t.TempDir(), t.TempDir()
			inBubble(t, func(t *testing.T, w *world) {
				a := w.customer(dir, alice)
				a.says(w.number, "before")
				w.says(a.number, "an answer")
				w.take()
				w.damages(table)
				a.says(w.number, "after")
				b := w.customer(other, "+15550104444") // whose message must come through
				b.says(w.number, "unmoved")
				events := w.take()
				if got := texts(events); !slices.Contains(got, "unmoved") || slices.Contains(got, "after") != readable {
					t.Errorf("the business got %q", got)
				}
				if told := slices.ContainsFunc(events, func(e event) bool { return e.Type == "unsupported" }); told == readable {
					t.Errorf("the business got %+v", events)
				}
				a.says(w.number, "once more")
				elapse(time.Minute)
				if got := texts(w.take()); !slices.Equal(got, []string{"once more"}) {
					t.Errorf("afterwards the business got %q", got)
				}
				w.damages(table)
				if err := w.Erase(t.Context(), a.number); err != nil {
					t.Errorf("erasing: %v", err)
				}
				if _, err := w.Person(t.Context(), a.number, "", 10); !errors.Is(err, message.ErrUnknownCustomer) {
					t.Errorf("after the erasure: %v", err)
				}
			})
		})
	}
}
