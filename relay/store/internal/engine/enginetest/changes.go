package enginetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

func changes(w *world) {
	w.run("is durable when it is acknowledged", func(w *world) {
		w.must(w.change(func(tx engine.Tx) error { return put(tx, "a") }))
		w.reopen()
		if found := w.durable(); !slices.Equal(found, []string{"a"}) {
			w.Errorf("durable are %q", found)
		}
	})
	w.run("fails as it says, and is undone alone", func(w *world) {
		var waits []func() error
		kept := 0
		for i := range 9 {
			waits = append(waits, w.db.Begin(w.Context(), engine.Change{
				Do: func(tx engine.Tx) error {
					err := put(tx, fmt.Sprint(i))
					if i%3 == 1 {
						return errRefused
					}
					return err
				},
				Kept: func() { kept++ },
			}))
		}
		for i, wait := range waits {
			if err := wait(); i%3 == 1 && err != errRefused || i%3 != 1 && err != nil { //nolint:errorlint // the very same is promised
				w.Errorf("change %d returned %v", i, err)
			}
		}
		if found := w.durable(); !slices.Equal(found, []string{"0", "2", "3", "5", "6", "8"}) {
			w.Errorf("durable are %q", found)
		}
		if kept != 6 {
			w.Errorf("%d changes were said to be kept", kept)
		}
	})
	w.run("fails when a statement failed, and is undone alone", func(w *world) {
		twice := func(tx engine.Tx) error {
			if err := put(tx, "bad"); err != nil {
				return err
			}
			_, err := tx.Run(`INSERT INTO meta (key, value) VALUES (?, ?)`, "bad", []byte{1})
			return err
		}
		before, bad, after := w.begin(func(tx engine.Tx) error { return put(tx, "before") }), w.begin(twice),
			w.begin(func(tx engine.Tx) error { return put(tx, "behind") })
		w.must(before())
		if err := bad(); err == nil {
			w.Error("a key was inserted twice")
		}
		w.must(after())
		if found := w.durable(); !slices.Equal(found, []string{"before", "behind"}) {
			w.Errorf("durable are %q", found)
		}
	})
	w.run("fails when what it wrote last failed, and is undone alone", func(w *world) {
		write := func(key string) func(engine.Tx) error {
			return func(tx engine.Tx) error {
				return tx.Write(`INSERT INTO meta (key, value) VALUES (?, ?)`, key, []byte{1})
			}
		}
		all := make(chan struct{})
		before := w.begin(func(tx engine.Tx) error { <-all; return write("before")(tx) })
		bad := w.begin(func(tx engine.Tx) error { return errors.Join(write("bad")(tx), write("before")(tx)) })
		seen := w.begin(func(tx engine.Tx) error {
			if err := write("seen")(tx); err != nil {
				return err
			}
			found, err := keys(tx)
			if !slices.Equal(found, []string{"before", "seen"}) {
				w.Errorf("a change that has written sees %q", found)
			}
			return err
		})
		refused := w.begin(func(tx engine.Tx) error { return errors.Join(write("refused")(tx), errRefused) })
		again := w.begin(func(tx engine.Tx) error {
			if _, err := keys(tx); err != nil {
				return err
			}
			return errors.Join(write("again")(tx), write("before")(tx), errRefused)
		})
		after := w.begin(write("behind"))
		close(all)
		w.must(before())
		if err := bad(); err == nil {
			w.Error("a key was inserted twice")
		}
		w.must(seen())
		w.wantIs(refused(), errRefused)
		if err := again(); err == nil {
			w.Error("a refused change was kept")
		}
		w.must(after())
		if found := w.durable(); !slices.Equal(found, []string{"before", "behind", "seen"}) {
			w.Errorf("durable are %q", found)
		}
	})
	w.run("passes on a panic, and is undone alone", func(w *world) {
		func() {
			defer func() {
				if got := recover(); got != "boom" {
					w.Errorf("the change panics with %v", got)
				}
			}()
			_ = w.change(func(tx engine.Tx) error { _ = put(tx, "bad"); panic("boom") })
		}()
		w.must(w.change(func(tx engine.Tx) error { return put(tx, "good") }))
		if found := w.durable(); !slices.Equal(found, []string{"good"}) {
			w.Errorf("durable are %q", found)
		}
	})
	w.run("is not run once its caller gave up", func(w *world) {
		running, release := make(chan struct{}), make(chan struct{})
		first := w.begin(func(engine.Tx) error { close(running); <-release; return nil })
		<-running
		ctx, cancel := context.WithCancel(w.Context())
		ran := false
		second := w.db.Begin(ctx, engine.Change{Do: func(engine.Tx) error { ran = true; return nil }, Kept: func() {}})
		cancel()
		w.wantIs(second(), context.Canceled)
		close(release)
		w.must(first())
		w.reopen() // every change that was not taken has ended
		if ran {
			w.Error("it ran")
		}
	})
	w.run("is waited for once it runs", func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		w.must(w.db.Begin(ctx, engine.Change{Do: func(tx engine.Tx) error { cancel(); return put(tx, "a") }, Kept: func() {}})())
		if found := w.durable(); !slices.Equal(found, []string{"a"}) {
			w.Errorf("durable are %q", found)
		}
	})
	w.run("leaves nobody waiting when its goroutine ends", func(w *world) {
		w.wantIs(w.change(func(engine.Tx) error { runtime.Goexit(); return nil }), engine.ErrClosed)
		w.wantIs(w.change(func(engine.Tx) error { return nil }), engine.ErrClosed)
	})
}

func groups(w *world) {
	w.run("shares a commit, in the order of Begin", func(w *world) {
		const many = 100
		w.group.write(nil)
		all := make(chan struct{})
		var waits []func() error
		var order []int
		for i := range many {
			waits = append(waits, w.begin(func(tx engine.Tx) error {
				if i == 0 {
					<-all
				}
				order = append(order, i)
				seen, err := keys(tx)
				if len(seen) != i {
					w.Errorf("change %d sees %d before it", i, len(seen))
				}
				if outside := w.durable(); len(outside) > 0 {
					w.Errorf("a view sees %q of a group that is not whole", outside)
				}
				return errors.Join(err, put(tx, fmt.Sprintf("%03d", i)))
			}))
		}
		close(all)
		for _, wait := range waits {
			w.must(wait())
		}
		if !slices.IsSorted(order) || len(order) != many {
			w.Errorf("they ran in the order %v", order)
		}
		if ended := w.group.outcomes(); len(ended) != 1 || ended[0] != nil {
			w.Errorf("the group was told %v", ended)
		}
		if found := w.durable(); len(found) != many+1 {
			w.Errorf("%d are durable", len(found))
		}
	})
	w.run("keeps what others wrote before and after those that are refused", func(w *world) { refusing(w, 0) })
	w.run("keeps what others wrote when the first is refused behind a large one", func(w *world) { refusing(w, large+1) })
	w.run("fails as a whole, and is told", func(w *world) {
		w.group.write(errRefused)
		w.wantIs(w.change(func(tx engine.Tx) error { return put(tx, "a") }), errRefused)
		if found := w.durable(); len(found) > 0 {
			w.Errorf("durable are %q", found)
		}
		if ended := w.group.outcomes(); len(ended) != 1 || !errors.Is(ended[0], errRefused) {
			w.Errorf("the group was told %v", ended)
		}
		w.group.write(nil)
		w.must(w.change(func(tx engine.Tx) error { return put(tx, "b") }))
		if found := w.durable(); !slices.Equal(found, []string{"b", "group"}) {
			w.Errorf("durable are %q", found)
		}
	})
	w.run("commits what is the group's although its changes wrote nothing", func(w *world) {
		w.group.write(nil)
		w.must(w.change(func(engine.Tx) error { return nil }))
		if found := w.durable(); !slices.Equal(found, []string{"group"}) {
			w.Errorf("durable are %q", found)
		}
	})
	w.run("commits what is the group's although all its changes were refused", func(w *world) {
		w.group.write(nil)
		w.wantIs(w.change(func(tx engine.Tx) error { return errors.Join(put(tx, "a"), errRefused) }), errRefused)
		if found := w.durable(); !slices.Equal(found, []string{"group"}) {
			w.Errorf("durable are %q", found)
		}
	})
}

// large is which change of refusing writes many rows.
const large = 40

// refusing has changes share a commit, of which some are refused from one on.
func refusing(w *world, from int) {
	const many = 60
	all := make(chan struct{})
	first := w.begin(func(engine.Tx) error { <-all; return nil })
	var want []string
	var waits []func() error
	for i := range many {
		refused, rows := refuses(i, from), 3
		switch {
		case refused && i%7 == 5:
			rows = 0 // it is refused before it wrote
		case i == large:
			rows = 1500
		}
		var wrote []string
		for n := range rows {
			wrote = append(wrote, fmt.Sprintf("%02d-%04d", i, n))
		}
		before := len(want)
		waits = append(waits, w.begin(func(tx engine.Tx) error {
			if seen, err := keys(tx); err != nil || len(seen) != before {
				w.Errorf("change %d sees %d rows before it, want %d: %v", i, len(seen), before, err)
			}
			for _, key := range wrote {
				if err := put(tx, key); err != nil {
					return err
				}
			}
			if refused {
				return errRefused
			}
			return nil
		}))
		if !refused {
			want = append(want, wrote...)
		}
	}
	close(all)
	w.must(first())
	for i, wait := range waits {
		if err := wait(); refuses(i, from) {
			w.wantIs(err, errRefused)
		} else {
			w.must(err)
		}
	}
	if found := w.durable(); !slices.Equal(found, want) {
		w.Errorf("%d rows are durable, want %d", len(found), len(want))
	}
}

func refuses(i, from int) bool { return i >= from && (i%7 == 3 || i%7 == 5) }
