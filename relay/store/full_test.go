package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/racing"
)

// volumes mount a file system of 24 MB each, which only root may.
func volumes(t *testing.T) map[string]func(*testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("mounts file systems, which takes root, and -short asks for none")
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: mounting a small file system takes root; nothing here was tested")
	}
	mounted := func(t *testing.T, args ...string) string {
		t.Helper()
		dir := t.TempDir()
		if out, err := exec.CommandContext(t.Context(), "mount", append(args, dir)...).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: mounting a small file system: %v: %s", err, out)
		}
		t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
		return filepath.Join(dir, "data")
	}
	return map[string]func(*testing.T) string{
		"tmpfs": func(t *testing.T) string { return mounted(t, "-t", "tmpfs", "-o", "size=24m", "tmpfs") },
		"ext4": func(t *testing.T) string {
			image := filepath.Join(t.TempDir(), "image")
			if err := os.WriteFile(image, make([]byte, 24<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", "-m", "0", image).CombinedOutput(); err != nil {
				t.Skipf("SKIPPED: making a file system: %v: %s", err, out)
			}
			return mounted(t, "-o", "loop", image)
		},
	}
}

// onVolume runs a test on each kind of small volume.
func onVolume(t *testing.T, test func(*testing.T, *world)) {
	ofFiles(t)
	for kind, dir := range volumes(t) {
		t.Run(kind, func(t *testing.T) {
			w := &world{t: t, dir: dir(t), id: [16]byte{1, 2, 3}, vw: sealtest.New(), own: sealtest.New(), now: start}
			w.open()
			t.Cleanup(func() { _ = w.Close() })
			test(t, w)
		})
	}
}

const textSize = 64 << 10

// text stores a text of 64 KiB of one of several customers.
func (w *world) text(n int) (id string, err error) {
	id = "wamid." + strconv.Itoa(n)
	return id, w.Update(context.Background(), func(tx *store.Tx) error { return putText(tx, id, fullNumber(n%8)) })
}

func putText(tx *store.Tx, id string, n phone.Number) error {
	c, err := tx.Customer(n)
	if errors.Is(err, store.ErrNotFound) {
		c = store.Customer{Number: n}
		err = tx.PutCustomer(&c)
	}
	if err != nil {
		return err
	}
	return tx.PutMessage(store.Message{
		ID: id, Direction: store.Inbound, Customer: c.ID, Type: "text", Body: make([]byte, textSize), State: "received", Created: start,
	})
}

func fullNumber(n int) phone.Number {
	p, err := phone.Parse(fmt.Sprintf("+1555010%04d", n))
	if err != nil {
		panic(err)
	}
	return p
}

// fill stores texts until one is refused, and returns the ids of those that were taken.
func (w *world) fill(from int) (ids []string) {
	w.t.Helper()
	for n := from; n < from+1000; n++ {
		id, err := w.text(n)
		if errors.Is(err, store.ErrFull) {
			return ids
		}
		if err != nil {
			w.t.Fatalf("text %d: %v", n, err)
		}
		ids = append(ids, id)
	}
	w.t.Fatal("1000 texts of 64 KiB fit into 24 MB")
	return nil
}

// has fails unless all messages are there.
func (w *world) has(ids []string) {
	w.t.Helper()
	w.view(func(tx *store.Tx) error {
		for _, id := range ids {
			if _, err := tx.Message(id); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
		}
		return nil
	})
}

// erase removes what is kept of a customer as a relay does.
func (w *world) erase(n phone.Number) error {
	var id store.CustomerID
	w.view(func(tx *store.Tx) error {
		c, err := tx.Customer(n)
		id = c.ID
		return err
	})
	for more := true; more; {
		err := w.Shrink(w.t.Context(), func(tx *store.Tx) (err error) {
			more, err = tx.EraseSome(id)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := w.Shrink(w.t.Context(), func(tx *store.Tx) error { return tx.EraseCustomer(id) }); err != nil {
		return err
	}
	return w.Scrub(w.t.Context())
}

func TestFull_ErasingMakesRoomAlsoAfterARestart(t *testing.T) {
	racing.SkipExhaustive(t)
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %t", restart), func(t *testing.T) {
			onVolume(t, func(t *testing.T, w *world) {
				ids := w.fill(0)
				t.Logf("%d texts of 64 KiB were taken", len(ids))
				if len(ids) < 196 {
					t.Errorf("only %d texts of 64 KiB were taken", len(ids))
				}
				if !w.Full() {
					t.Error("the store does not say that it is full")
				}
				if restart {
					w.reopen()
				}
				w.has(ids)
				if err := w.erase(fullNumber(3)); err != nil {
					t.Fatalf("erasing a person: %v", err)
				}
				var kept []string
				for n, id := range ids {
					if n%8 != 3 {
						kept = append(kept, id)
					}
				}
				w.has(kept)
				more := w.fill(1000)
				if len(more) < len(ids)/8-2 {
					t.Errorf("%d texts fit where %d were erased", len(more), len(ids)-len(kept))
				}
				w.has(append(kept, more...))
			})
		})
	}
}

func TestFull_SweepingMakesRoom(t *testing.T) {
	racing.SkipExhaustive(t)
	onVolume(t, func(t *testing.T, w *world) {
		ids := w.fill(0)
		w.reopen()
		swept, err := w.Sweep(t.Context(), start.Add(time.Second))
		if err != nil || swept.Messages != len(ids) {
			t.Fatalf("swept %d of %d messages: %v", swept.Messages, len(ids), err)
		}
		w.pass(24 * time.Hour)
		if w.Full() {
			t.Error("the store says that it is full still")
		}
		if again := w.fill(2000); len(again) < len(ids)-8 {
			t.Errorf("%d texts fit where %d were swept", len(again), len(ids))
		}
	})
}

// Another process took all that was free: only the reserve is left.
func TestFull_TheReserveIsGivenUpWhenOthersTookTheRest(t *testing.T) {
	racing.SkipExhaustive(t)
	onVolume(t, func(t *testing.T, w *world) {
		ids := w.fill(0)
		other, err := os.Create(filepath.Join(filepath.Dir(w.dir), "other"))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		for err == nil {
			_, err = other.Write(make([]byte, 4096))
		}
		w.reopen()
		w.has(ids)
		if err := w.erase(fullNumber(3)); err != nil {
			t.Fatalf("erasing a person: %v", err)
		}
		if _, err := w.Sweep(t.Context(), start.Add(time.Second)); err != nil {
			t.Fatalf("sweeping: %v", err)
		}
		w.pass(24 * time.Hour)
		if err := os.Remove(other.Name()); err != nil {
			t.Fatal(err)
		}
		w.fill(1000)
		if info, err := os.Stat(filepath.Join(w.dir, "reserve")); err != nil || info.Size() == 0 {
			t.Errorf("the reserve was not made again: %v", err)
		}
	})
}

// What one large group wrote is refused as a whole, and none of it is there after all.
func TestFull_AGroupThatFailsLeavesNothing(t *testing.T) {
	onVolume(t, func(t *testing.T, w *world) {
		other, err := os.Create(filepath.Join(filepath.Dir(w.dir), "other"))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		swallowed := 0
		err = w.Shrink(t.Context(), func(tx *store.Tx) error { // not held back by any bound
			for full := error(nil); full == nil; { // the disk fills up beneath it
				_, full = other.Write(make([]byte, 4096))
			}
			for n := range 200 {
				if putText(tx, "wamid.group"+strconv.Itoa(n), fullNumber(n%8)) != nil {
					swallowed++ // and it goes on, as nobody should
				}
			}
			return nil
		})
		if !errors.Is(err, store.ErrFull) || swallowed == 0 {
			t.Fatalf("%d writes were refused, the update says %v, want ErrFull", swallowed, err)
		}
		if err := os.Remove(other.Name()); err != nil {
			t.Fatal(err)
		}
		w.view(func(tx *store.Tx) error {
			for n := range 200 {
				if _, err := tx.Message("wamid.group" + strconv.Itoa(n)); !errors.Is(err, store.ErrNotFound) {
					t.Fatalf("message %d of a group that was refused is there: %v", n, err)
				}
			}
			return nil
		})
		w.fill(0)
	})
}

func TestFull_FilesAreRemovedPieceByPiece(t *testing.T) {
	racing.SkipExhaustive(t)
	onVolume(t, func(t *testing.T, w *world) {
		var ids []string
		var err error
		for err == nil {
			id := store.NewMediaID()
			ids = append(ids, id)
			err = w.Update(t.Context(), func(tx *store.Tx) error { return tx.BeginMedia(store.Media{ID: id, Created: start}, 0) })
			for place := int64(0); err == nil && place < 30; place++ {
				err = w.Update(t.Context(), func(tx *store.Tx) error { return tx.PutMediaChunk(id, place, make([]byte, store.MediaChunk)) })
			}
		}
		if !errors.Is(err, store.ErrFull) {
			t.Fatalf("error %v, want ErrFull", err)
		}
		for _, id := range ids {
			if err := w.DeleteMedia(t.Context(), id); err != nil {
				t.Fatalf("removing a file: %v", err)
			}
		}
		w.fill(0)
	})
}
