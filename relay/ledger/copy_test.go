package ledger_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/ledger"
	"github.com/relaykeep/relaykeep/relay/proof"
)

// copy closes the store, copies its files, and opens it again.
func (w *world) copy() string {
	w.t.Helper()
	to := w.t.TempDir()
	must(w.t, w.store.Close())
	must(w.t, os.CopyFS(filepath.Join(to, "copy"), os.DirFS(w.dir)))
	w.open()
	return filepath.Join(to, "copy")
}

// putBack replaces the store by a copy of it.
func (w *world) putBack(from string) {
	w.t.Helper()
	must(w.t, w.store.Close())
	w.dir = from
	w.open()
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	return text
}

// BenchmarkCount is what the log costs a request.
func BenchmarkCount(b *testing.B) {
	l := ledger.New(ledger.Options{Now: time.Now})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Count(proof.Owner, proof.Send, proof.OK)
		}
	})
}
