package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/relaykeep/relaykeep/relay/store"
)

func TestErrorUndoesOnlyItsOwnWrites(t *testing.T) {
	w := newWorld(t)
	refused := errors.New("refused")
	const callers = 60
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			err := w.Update(t.Context(), func(tx *store.Tx) error {
				if err := tx.PutSetting(fmt.Sprintf("s%d", i), []byte{byte(i)}); err != nil {
					return err
				}
				if i%3 == 0 {
					return refused
				}
				return nil
			})
			if want := i%3 == 0; errors.Is(err, refused) != want || (err != nil) != want {
				t.Errorf("caller %d: %v", i, err)
			}
		})
	}
	group.Wait()
	w.reopen()
	w.view(func(tx *store.Tx) error {
		for i := range callers {
			got, err := tx.Setting(fmt.Sprintf("s%d", i))
			if err != nil {
				return err
			}
			if (got == nil) != (i%3 == 0) {
				t.Errorf("setting %d is there: %v", i, got != nil)
			}
		}
		return nil
	})
}

func TestErrorIsReturnedAsItIs(t *testing.T) {
	w := newWorld(t)
	own := errors.New("own")
	if err := w.Update(t.Context(), func(*store.Tx) error { return own }); err != own { //nolint:errorlint // the very same is promised
		t.Errorf("update returns %v", err)
	}
	if err := w.View(t.Context(), func(*store.Tx) error { return own }); err != own { //nolint:errorlint // the very same is promised
		t.Errorf("view returns %v", err)
	}
}

func TestPanicReachesItsCallerAndNobodyElse(t *testing.T) {
	w := newWorld(t)
	for name, run := range map[string]func(func(*store.Tx) error) error{
		"update": func(fn func(*store.Tx) error) error { return w.Update(t.Context(), fn) },
		"view":   func(fn func(*store.Tx) error) error { return w.View(t.Context(), fn) },
	} {
		func() {
			defer func() {
				if got := recover(); got != "boom" {
					t.Errorf("%s panics with %v", name, got)
				}
			}()
			_ = run(func(*store.Tx) error { panic("boom") })
		}()
	}
	for range 10 { // every reader is still there
		w.customerAgain()
	}
}

func (w *world) customerAgain() {
	w.t.Helper()
	w.update(func(tx *store.Tx) error { return tx.PutSetting("a", []byte{1}) })
	w.view(func(tx *store.Tx) error { _, err := tx.Setting("a"); return err })
}

func TestCallbackThatEndsItsGoroutineLeavesNobodyWaiting(t *testing.T) {
	w := newWorld(t)
	err := w.Update(t.Context(), func(*store.Tx) error { runtimeGoexit(); return nil })
	wantIs(t, err, store.ErrClosed)
	wantIs(t, w.Update(t.Context(), func(*store.Tx) error { return nil }), store.ErrClosed)
}

func TestCallerWhoGaveUpIsNotRun(t *testing.T) {
	w := newWorld(t)
	begun, release := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		_ = w.Update(t.Context(), func(*store.Tx) error {
			close(begun)
			<-release
			return nil
		})
	})
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	var ran atomic.Bool
	var err error
	group.Go(func() {
		err = w.Update(ctx, func(*store.Tx) error { ran.Store(true); return nil })
	})
	cancel()
	close(release)
	group.Wait()
	if ran.Load() != (err == nil) {
		t.Errorf("it ran: %v, and Update returned %v", ran.Load(), err)
	}
	if err != nil {
		wantIs(t, err, context.Canceled)
	}
	w.customerAgain()
}

func TestUpdate_SeesTheOneBefore(t *testing.T) {
	w := newWorld(t)
	const callers, rounds = 8, 50
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range rounds {
				err := w.Update(t.Context(), func(tx *store.Tx) error {
					n, err := tx.Setting("n")
					if err != nil {
						return err
					}
					var v uint16
					if n != nil {
						v = uint16(n[0])<<8 | uint16(n[1])
					}
					v++
					return tx.PutSetting("n", []byte{byte(v >> 8), byte(v)})
				})
				if err != nil {
					t.Errorf("counting: %v", err)
				}
			}
		})
	}
	group.Go(func() { // views beside them
		for range 100 {
			if err := w.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Setting("n"); return err }); err != nil {
				t.Errorf("viewing: %v", err)
			}
		}
	})
	group.Wait()
	w.view(func(tx *store.Tx) error {
		n, err := tx.Setting("n")
		if got := int(n[0])<<8 | int(n[1]); got != callers*rounds {
			t.Errorf("counted to %d, want %d", got, callers*rounds)
		}
		return err
	})
}

func TestViewSeesOneMomentOnly(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *store.Tx) error { return tx.PutSetting("a", []byte("old")) })
	w.view(func(tx *store.Tx) error {
		first, err := tx.Setting("a")
		if err != nil {
			return err
		}
		w.update(func(tx *store.Tx) error { return tx.PutSetting("a", []byte("new")) })
		second, err := tx.Setting("a")
		equal(t, "the setting", string(second), string(first))
		return err
	})
}

func TestUpdatesThatWereBegunTogetherAreSeenTogether(t *testing.T) {
	w := newWorld(t)
	const begun = 10
	own := errors.New("own")
	all := make(chan struct{})
	var waits []func() error
	for i := range begun {
		waits = append(waits, w.Begin(t.Context(), func(tx *store.Tx) error {
			if i == 0 {
				<-all
			}
			if n, err := tx.Setting("n"); err != nil || len(n) != min(i, 5)+max(0, i-6) {
				t.Errorf("update %d sees %d before it: %v", i, len(n), err)
			}
			if i == 5 {
				return own
			}
			n, _ := tx.Setting("n")
			// Nothing of the group is committed before all of it is.
			err := w.View(t.Context(), func(tx *store.Tx) error {
				if n, err := tx.Setting("n"); err != nil || n != nil {
					t.Errorf("a view sees %d of a group that is not whole: %v", len(n), err)
				}
				return nil
			})
			return errors.Join(err, tx.PutSetting("n", append(n, 1)))
		}))
	}
	close(all)
	for i, wait := range waits {
		if err := wait(); errors.Is(err, own) != (i == 5) || (err != nil) != (i == 5) {
			t.Errorf("update %d: %v", i, err)
		}
	}
	w.view(func(tx *store.Tx) error {
		n, err := tx.Setting("n")
		equal(t, "how many are stored", len(n), begun-1)
		return err
	})
}
