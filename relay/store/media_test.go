package store_test

import (
	"bytes"
	"crypto/sha256"
	"regexp"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// file writes a finished file of so many bytes.
func (w *world) file(size int) (store.Media, []byte) {
	w.t.Helper()
	content := bytes.Repeat([]byte("relaykeep "), size/10+1)[:size]
	m := store.Media{
		ID: store.NewMediaID(), MIME: "image/jpeg", Name: "photo.jpg", SHA256: sha256.Sum256(content), Size: int64(size),
		Created: w.now,
	}
	w.update(func(tx *store.Tx) error { return tx.BeginMedia(store.Media{ID: m.ID, Created: w.now}, 0) })
	for place := range m.Chunks() {
		chunk := content[place*store.MediaChunk : min(int64(size), (place+1)*store.MediaChunk)]
		w.update(func(tx *store.Tx) error { return tx.PutMediaChunk(m.ID, place, chunk) })
	}
	w.update(func(tx *store.Tx) error { return tx.FinishMedia(m) })
	return m, content
}

func (w *world) read(m store.Media) (content []byte, err error) {
	for place := range m.Chunks() {
		err := w.View(w.t.Context(), func(tx *store.Tx) error {
			chunk, err := tx.ReadMedia(m.ID, place)
			content = append(content, chunk...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return content, nil
}

func (w *world) wantNoFile(id string) {
	w.t.Helper()
	w.view(func(tx *store.Tx) error {
		_, err := tx.Media(id)
		wantIs(w.t, err, store.ErrNotFound)
		_, err = tx.ReadMedia(id, 0)
		wantIs(w.t, err, store.ErrNotFound)
		return nil
	})
}

func TestFile_IsReadAsItWasWritten(t *testing.T) {
	w := newWorld(t)
	for _, size := range []int{0, 1, store.MediaChunk, store.MediaChunk + 1, 3*store.MediaChunk - 1} {
		want, content := w.file(size)
		w.reopen()
		w.view(func(tx *store.Tx) error {
			got, err := tx.Media(want.ID)
			equal(t, "the file", got, want)
			return err
		})
		got, err := w.read(want)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes are read as %d: %v", size, len(got), err)
		}
	}
}

func TestFile_UnfinishedIsNotThereAndGoneAfterRestart(t *testing.T) {
	w := newWorld(t)
	id := store.NewMediaID()
	w.update(func(tx *store.Tx) error { return tx.BeginMedia(store.Media{ID: id, Created: w.now}, 0) })
	w.update(func(tx *store.Tx) error { return tx.PutMediaChunk(id, 0, []byte("half")) })
	err := w.Update(t.Context(), func(tx *store.Tx) error {
		return tx.FinishMedia(store.Media{ID: id, Size: store.MediaChunk + 1})
	})
	wantIs(t, err, store.ErrInvalid) // a chunk is missing
	w.view(func(tx *store.Tx) error {
		_, err := tx.Media(id)
		wantIs(t, err, store.ErrNotFound)
		return nil
	})
	w.reopen()
	w.wantNoFile(id)
	w.query(func(scan func(...any) error) error { t.Error("a chunk is left"); return nil }, `SELECT id FROM media_chunks`)
}

func TestFile_IsWrittenOnce(t *testing.T) {
	w := newWorld(t)
	m, _ := w.file(10)
	for name, fn := range map[string]func(*store.Tx) error{
		"chunk":  func(tx *store.Tx) error { return tx.PutMediaChunk(m.ID, 1, []byte("more")) },
		"finish": func(tx *store.Tx) error { return tx.FinishMedia(m) },
		"empty":  func(tx *store.Tx) error { return tx.PutMediaChunk(m.ID, 1, nil) },
		"large":  func(tx *store.Tx) error { return tx.PutMediaChunk(m.ID, 1, make([]byte, store.MediaChunk+1)) },
		"id":     func(tx *store.Tx) error { return tx.BeginMedia(store.Media{ID: "1", Created: w.now}, 0) },
	} {
		if err := w.Update(t.Context(), fn); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestDeletedFile_IsGone(t *testing.T) {
	w := newWorld(t)
	m, _ := w.file(store.MediaChunk + 1)
	for _, want := range []bool{true, false} {
		w.update(func(tx *store.Tx) error {
			found, err := tx.DeleteMedia(m.ID)
			if found != want {
				t.Errorf("found %v, want %v", found, want)
			}
			return err
		})
	}
	w.wantNoFile(m.ID)
	w.query(func(func(...any) error) error { t.Error("a chunk is left"); return nil }, `SELECT id FROM media_chunks`)
}

func TestFile_DiesWithItsEpoch(t *testing.T) {
	w := newWorld(t)
	old, _ := w.file(store.MediaChunk + 1)
	w.pass(25 * time.Hour)
	young, content := w.file(10)
	erase(w.vw, 1)
	w.reopen()
	w.wantNoFile(old.ID)
	if _, err := w.Sweep(t.Context(), start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	rows := 0
	w.query(func(func(...any) error) error { rows++; return nil }, `SELECT id FROM media UNION ALL SELECT id FROM media_chunks`)
	if rows != 2 {
		t.Errorf("%d rows are left, want those of the young file", rows)
	}
	if got, err := w.read(young); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the young file is %q: %v", got, err)
	}
}

func TestFile_PiecesCannotBeExchanged(t *testing.T) {
	w := newWorld(t)
	a, _ := w.file(2 * store.MediaChunk)
	b, _ := w.file(2 * store.MediaChunk)
	w.sql(`UPDATE media_chunks SET place = 5 WHERE place = 0`, `UPDATE media_chunks SET place = 0 WHERE place = 1`,
		`UPDATE media_chunks SET place = 1 WHERE place = 5`)
	for _, m := range []store.Media{a, b} {
		_, err := w.read(m)
		wantIs(t, err, seal.ErrTampered)
	}
	w.sql(`UPDATE media SET sealed = (SELECT sealed FROM media o WHERE o.id = ` + b.ID + `) WHERE id = ` + a.ID)
	w.view(func(tx *store.Tx) error {
		_, err := tx.Media(a.ID)
		wantIs(t, err, seal.ErrTampered)
		return nil
	})
}

func TestFile_IsUnreadableWithoutAKey(t *testing.T) {
	w := newWorld(t)
	w.file(1000)
	w.query(func(scan func(...any) error) error {
		var v []byte
		err := scan(&v)
		for _, s := range []string{"relaykeep", "photo", "image"} {
			if bytes.Contains(v, []byte(s)) {
				t.Errorf("%q is in clear", s)
			}
		}
		return err
	}, `SELECT sealed FROM media UNION ALL SELECT sealed FROM media_chunks`)
}

func TestMediaIDsAreNumbers(t *testing.T) {
	w := newWorld(t)
	for range 100 {
		if id := store.NewMediaID(); !regexp.MustCompile(`^[1-9][0-9]{15}$`).MatchString(id) {
			t.Fatalf("an ID is %q", id)
		}
	}
	for _, id := range []string{"", "abc", "12", "-100000000000000", "+100000000000000", "0000000000000001", "99999999999999999999"} {
		w.wantNoFile(id)
	}
}
