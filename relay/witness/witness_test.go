package witness

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

const origin = "relaykeep.dev/log/4711"

// log is a log whose entries are numbers.
type log struct {
	proof.Tree
	t      testing.TB
	key    string
	signer note.Signer
}

func newLog(t testing.TB) *log {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, origin)
	must(t, err)
	signer, err := note.NewSigner(private)
	must(t, err)
	return &log{t: t, key: public, signer: signer}
}

func (l *log) grow(to int64, history string) *log {
	l.t.Helper()
	for l.Size() < to {
		must(l.t, l.Append(tlog.RecordHash(fmt.Appendf(nil, "%s %d", history, l.Size()))))
	}
	return l
}

func (l *log) checkpoint(size int64) []byte {
	l.t.Helper()
	hash, err := l.At(size)
	must(l.t, err)
	signed, err := note.Sign(&note.Note{Text: proof.Text(origin, tlog.Tree{N: size, Hash: hash})}, l.signer)
	must(l.t, err)
	return signed
}

// request asks for a cosignature of one size after another.
func (l *log) request(old, size int64) []byte {
	l.t.Helper()
	var path [][32]byte
	if old > 0 && old < size {
		steps, err := tlog.ProveTree(size, old, l)
		must(l.t, err)
		for _, h := range steps {
			path = append(path, h)
		}
	}
	return format(old, path, l.checkpoint(size))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func opened(t testing.TB, dir string, l *log) *Witness {
	t.Helper()
	_, err := Create(dir, "witness.example.org")
	must(t, err)
	must(t, AddLog(dir, l.key))
	w, err := Open(dir, nil)
	must(t, err)
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// post sends a request and returns status and body.
func post(w *Witness, body []byte) (int, string) {
	r := httptest.NewRecorder()
	w.ServeHTTP(r, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(body)))
	return r.Code, r.Body.String()
}

func TestWitness_CosignsALogThatOnlyGrows(t *testing.T) {
	l := newLog(t).grow(40, "a")
	dir := t.TempDir()
	w := opened(t, dir, l)
	last := int64(0)
	for _, size := range []int64{7, 7, 8, 40} {
		status, line := post(w, l.request(last, size))
		if status != http.StatusOK {
			t.Fatalf("size %d after %d: %d %s", size, last, status, line)
		}
		v, err := proof.WitnessVerifier(w.Key())
		must(t, err)
		_, err = proof.Cosign(l.checkpoint(size), []byte(line), v)
		must(t, err)
		last = size
	}
	must(t, w.Close()) // and after it was started again
	w, err := Open(dir, nil)
	must(t, err)
	defer w.Close()
	if status, body := post(w, l.request(0, 7)); status != http.StatusConflict || body != "40\n" {
		t.Errorf("after a restart, an old checkpoint: %d %s", status, body)
	}
}

func TestWitness_AttackIsRefused(t *testing.T) {
	l := newLog(t).grow(40, "a")
	w := opened(t, t.TempDir(), l)
	if status, body := post(w, l.request(0, 20)); status != http.StatusOK {
		t.Fatal(status, body)
	}
	fork := &log{t: t, key: l.key, signer: l.signer}
	fork.grow(10, "a").grow(40, "b")
	stranger := newLog(t).grow(40, "a")
	for name, c := range map[string]struct {
		body []byte
		want int
	}{
		"rolled back":                   {l.request(0, 12), http.StatusConflict},
		"rolled back, by its own proof": {l.request(12, 20), http.StatusConflict},
		"another history":               {fork.request(20, 40), http.StatusUnprocessableEntity},
		"another history of that size":  {fork.request(20, 20), http.StatusConflict},
		"without a proof":               {format(20, nil, l.checkpoint(40)), http.StatusUnprocessableEntity},
		"signed by another":             {stranger.request(20, 40), http.StatusForbidden},
		"an unknown log":                {bytes.ReplaceAll(l.request(20, 40), []byte(origin), []byte("relaykeep.dev/log/1")), http.StatusNotFound},
		"larger than it says":           {format(50, nil, l.checkpoint(40)), http.StatusBadRequest},
		"nothing":                       {nil, http.StatusBadRequest},
		"a long proof":                  {format(20, make([][32]byte, 64), l.checkpoint(40)), http.StatusBadRequest},
		"a huge body":                   {bytes.Repeat([]byte("x"), MaxRequest+1), http.StatusBadRequest},
	} {
		if status, body := post(w, c.body); status != c.want {
			t.Errorf("%s: %d %s, want %d", name, status, body, c.want)
		}
	}
	if status, body := post(w, l.request(20, 40)); status != http.StatusOK {
		t.Errorf("the owner's own: %d %s", status, body)
	}
}

// What cannot be kept must not be cosigned: after a crash the witness would cosign another history.
func TestWitness_CosignsNothingThatItCannotKeep(t *testing.T) {
	l := newLog(t).grow(20, "a")
	dir := t.TempDir()
	w := opened(t, dir, l)
	must(t, os.Mkdir(filepath.Join(dir, checkpointFile(origin)), 0o700)) // no file can take its place
	if status, body := post(w, l.request(0, 20)); status != http.StatusInternalServerError || strings.Contains(body, "—") {
		t.Errorf("%d %s", status, body)
	}
}

func TestDirectory_IsOneWitnesssAndKeepsItsKey(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir, nil); err == nil {
		t.Error("a directory without a key is opened")
	}
	l := newLog(t)
	w := opened(t, dir, l)
	if _, err := Open(dir, nil); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	if _, err := Create(dir, "another"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second key: %v", err)
	}
	_ = w
	for _, name := range []string{"", "a b", "a+b"} {
		if _, err := Create(t.TempDir(), name); err == nil {
			t.Errorf("the name %q is taken", name)
		}
	}
	if err := AddLog(dir, "x"); err == nil {
		t.Error("what is no key is added")
	}
	info, err := os.Stat(filepath.Join(dir, fileKey))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v", info.Mode())
	}
}

// FuzzAdd holds that nothing is cosigned but what the log signed and what adds to the last.
func FuzzAdd(tf *testing.F) {
	f := mutation.Of(tf)
	l := newLog(tf).grow(40, "a")
	for _, body := range [][]byte{l.request(0, 20), l.request(20, 40), l.request(20, 20), format(20, nil, l.checkpoint(40))} {
		f.Add(string(body))
	}
	w := opened(tf, tf.TempDir(), l)
	_, err := w.add(l.request(0, 20))
	must(tf, err)
	f.Fuzz(func(t *testing.T, body string) {
		lines, err := w.add([]byte(body))
		if (err == nil) != (len(lines) > 0) {
			t.Errorf("%q, %v", lines, err)
		}
		last, err := readCheckpoint(w.dir, origin)
		if err != nil || last.N != 20 && last.N != 40 {
			t.Errorf("it cosigned %d, %v", last.N, err)
		}
	})
}
