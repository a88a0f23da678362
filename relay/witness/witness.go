package witness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/relaykeep/relaykeep/relay/proof"
)

// Witness is an http.Handler that cosigns checkpoints: POST of /add-checkpoint.
type Witness struct {
	dir    string
	signer *torchwood.CosignatureSigner
	locked *os.File
	log    *slog.Logger
	mux    *http.ServeMux

	mu sync.Mutex // held while a checkpoint is checked and kept
}

// Open opens a witness's directory. No other process can open it until Close (ErrInUse). Log may be nil.
func Open(dir string, log *slog.Logger) (*Witness, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	signer, err := readKey(dir)
	if err != nil {
		return nil, err
	}
	if _, err := readLogs(dir); err != nil {
		return nil, err
	}
	locked, err := lock(dir)
	if err != nil {
		return nil, err
	}
	w := &Witness{dir: dir, signer: signer, locked: locked, log: log, mux: http.NewServeMux()}
	w.mux.HandleFunc("POST /add-checkpoint", w.serveAdd)
	return w, nil
}

// Key is the witness's public key.
func (w *Witness) Key() string { return w.signer.Verifier().String() }

// Close lets other processes open the directory.
func (w *Witness) Close() error { return w.locked.Close() }

// ServeHTTP implements http.Handler.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.mux.ServeHTTP(rw, r) }

// conflict means that another checkpoint was cosigned last than the request names.
type conflict struct{ known int64 }

// Error implements error.
func (c conflict) Error() string {
	return fmt.Sprintf("the checkpoint that was cosigned last has the size %d", c.known)
}

func (w *Witness) serveAdd(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, MaxRequest))
	if err != nil {
		http.Error(rw, errRequest.Error(), http.StatusBadRequest)
		return
	}
	lines, err := w.add(body)
	if known, is := errors.AsType[conflict](err); is {
		rw.Header().Set("Content-Type", sizeType)
		rw.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintln(rw, known.known)
		return
	}
	for refused, status := range map[error]int{
		errRequest: http.StatusBadRequest, errUnknown: http.StatusNotFound,
		errSignature: http.StatusForbidden, errProof: http.StatusUnprocessableEntity,
	} {
		if errors.Is(err, refused) {
			http.Error(rw, refused.Error(), status)
			return
		}
	}
	if err != nil {
		w.log.LogAttrs(r.Context(), slog.LevelError, "a checkpoint was not cosigned", slog.Any("error", err))
		http.Error(rw, "the witness cannot keep the checkpoint; its log says why", http.StatusInternalServerError)
		return
	}
	_, _ = rw.Write(lines) // who asked is gone otherwise
}

// add checks a request, keeps its checkpoint durably, and returns the cosignature's line.
func (w *Witness) add(body []byte) ([]byte, error) {
	r, err := parse(body)
	if err != nil {
		return nil, err
	}
	c, err := w.known(r.signed)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last, err := readCheckpoint(w.dir, c.Origin)
	switch {
	case err != nil:
		return nil, err
	case r.old > c.N:
		return nil, errRequest
	case r.old != last.N, last.N == c.N && last.N > 0 && last.Hash != c.Hash:
		return nil, conflict{last.N}
	}
	if last.N > 0 {
		if tlog.CheckTree(r.proof, c.N, c.Hash, last.N, last.Hash) != nil {
			return nil, errProof
		}
	} else if len(r.proof) > 0 {
		return nil, errRequest
	}
	lines, err := w.cosign(c)
	if err != nil {
		return nil, err
	}
	kept, err := proof.Cosign(c.Note, lines, w.signer.Verifier())
	if err == nil {
		err = writeFile(w.dir, checkpointFile(c.Origin), kept)
	}
	if err != nil {
		return nil, err // what is not kept is not cosigned
	}
	return lines, nil
}

// known reads a checkpoint that is signed by a log's key.
func (w *Witness) known(signed []byte) (proof.Checkpoint, error) {
	c, err := proof.Unverified(signed)
	if err != nil {
		return c, errRequest
	}
	logs, err := readLogs(w.dir)
	if err != nil {
		return c, err
	}
	var keys []note.Verifier
	for _, l := range logs {
		if l.Name() == c.Origin {
			keys = append(keys, l.Verifier)
		}
	}
	if len(keys) == 0 {
		return c, errUnknown
	}
	if _, err := proof.ParseCheckpoint(signed, keys...); err != nil {
		return c, errSignature
	}
	return c, nil
}

// cosign returns the line of the cosignature.
func (w *Witness) cosign(c proof.Checkpoint) ([]byte, error) {
	text, _, _ := strings.Cut(string(c.Note), "\n\n")
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, w.signer)
	if err != nil {
		return nil, fmt.Errorf("cosigning: %w", err)
	}
	_, lines, _ := bytes.Cut(signed, []byte("\n\n"))
	return lines, nil
}
