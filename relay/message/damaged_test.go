package message_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the store's driver, to damage what it wrote

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/racing"
)

// damages spoils the sealed values of a table while the relay runs.
func (w *world) damages(table string) { w.puts(table, "sealed", "zeroblob(60)") }

// puts writes a value into a column of all rows of a table while the relay runs.
func (w *world) puts(table, column, value string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "relay.db")+"?_pragma=busy_timeout(5000)")
	check(w.t, err)
	_, err = db.Exec(`UPDATE OR IGNORE ` + table + ` SET ` + column + ` = ` + value)
	check(w.t, err)
	check(w.t, db.Close())
	// The writer remembers rows until it may have deleted one.
	err = w.store.Update(w.t.Context(), func(tx *store.Tx) error { return tx.EraseCustomer(1) })
	if !errors.Is(err, store.ErrNotFound) {
		w.t.Errorf("erasing nobody: %v", err)
	}
}

func TestDamagedRow_OfACustomerEndsNothingElse(t *testing.T) {
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

// SQLite keeps a value of any type in any column.
func TestDamagedColumn_EndsNothingElse(t *testing.T) {
	racing.SkipExhaustive(t)
	for table, columns := range map[string][]string{
		"customers": {"epoch", "sealed"},
		"devices":   {"epoch", "lookup", "sealed"},
		"sessions":  {"epoch", "lookup", "sealed"},
		"messages":  {"epoch", "direction", "state", "created", "updated", "carrier", "sealed"},
		"jobs":      {"epoch", "queue", "message", "not_before", "attempts", "created", "sealed"},
	} {
		for _, column := range columns {
			for _, value := range []string{"'x'", "x'00'", "1.5"} {
				t.Run(table+"."+column+"="+value, func(t *testing.T) {
					dir, other := t.TempDir(), t.TempDir()
					inBubble(t, func(t *testing.T, w *world) {
						a := w.customer(dir, alice)
						a.says(w.number, "before")
						w.says(a.number, "an answer")
						w.take()
						w.carrier.Lose(1000)
						w.says(a.number, "waits")
						w.puts(table, column, value)
						w.carrier.Lose(0)
						a.says(w.number, "after")
						b := w.customer(other, "+15550104444")
						b.says(w.number, "unmoved")
						id := w.says(b.number, "likewise")
						elapse(time.Minute)
						events := w.take()
						if !slices.Contains(texts(events), "unmoved") || !slices.Equal(statuses(events, id), []string{"sent", "delivered", "read"}) {
							t.Errorf("the business got %+v", events)
						}
						if !slices.ContainsFunc(events, func(e event) bool {
							return e.From == a.number.Digits() && (e.Text == "after" || e.Type == "unsupported")
						}) {
							t.Errorf("of the customer's message the business got %+v", events)
						}
						a.says(w.number, "once more")
						elapse(time.Minute)
						if got := texts(w.take()); !slices.Equal(got, []string{"once more"}) {
							t.Errorf("afterwards the business got %q", got)
						}
						w.puts(table, column, value)
						check(t, w.Erase(t.Context(), a.number))
						if _, err := w.Person(t.Context(), a.number, "", 10); !errors.Is(err, message.ErrUnknownCustomer) {
							t.Errorf("after the erasure: %v", err)
						}
					})
				})
			}
		}
	}
}

func TestDamagedBlockList_IsReadAgainFromTheCarrier(t *testing.T) {
	blocked, other := number(t, "+491701111111"), number(t, "+491702222222")
	for name, there := range map[string]bool{"which has one": true, "which has none": false} {
		t.Run(name, func(t *testing.T) {
			theirs := &blockList{none: !there} // it survives the relay's restart
			dir := t.TempDir()
			inBubbleWith(t, func(w *world) {
				w.wire = func(message.Carrier) message.Carrier {
					theirs.Carrier = w.carrier
					return theirs
				}
			}, func(t *testing.T, w *world) {
				check(t, w.Block(t.Context(), entriesOf(blocked)))
				w.settle()
				w.puts("settings", "sealed", "zeroblob(60) WHERE name = 'blocked'")
				theirs.goes(true)
				w.stop()
				w.start()
				a := w.customer(dir, alice)
				a.says(w.number, "unmoved")
				if got := texts(w.take()); !slices.Equal(got, []string{"unmoved"}) {
					t.Errorf("the business got %q", got)
				}
				if err := w.Unblock(t.Context(), []phone.Number{other}); err == nil {
					t.Error("a list that nobody knows was changed")
				}
				if err := w.Erase(t.Context(), blocked); !errors.Is(err, carrier.ErrOffline) {
					t.Errorf("erasing while the carrier is away: %v", err)
				}
				theirs.goes(false)
				check(t, w.Block(t.Context(), entriesOf(other)))
				want := []phone.Number{blocked, other}
				if !there {
					want = []phone.Number{other}
				}
				if got, err := w.Blocked(t.Context()); err != nil || !slices.Equal(got, entriesOf(want...)) {
					t.Errorf("%d are blocked, want %d: %v", len(got), len(want), err)
				}
				check(t, w.Erase(t.Context(), blocked))
				w.settle()
				if got, err := w.Blocked(t.Context()); err != nil || !slices.Equal(got, entriesOf(other)) || slices.Contains(theirs.list, blocked) {
					t.Errorf("after the erasure %d are blocked, %d there: %v", len(got), len(theirs.list), err)
				}
			})
		})
	}
}
