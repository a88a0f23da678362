package forensic

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"slices"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/scan"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Row is a message or a part of a file as it lies on a volume: sealed.
type Row struct {
	ID    string // of the message or the file
	Epoch int64
	kind  kind
	place int64 // of a piece in its file
}

// kind is what a row holds.
type kind string

const (
	message kind = "message"
	label   kind = "file's name" // and its type, size and digest
	piece   kind = "file's piece"
)

// kinds are what a copy has to have rows of, old ones and young ones.
func kinds() []kind { return []kind{message, label, piece} }

// Messages returns the messages of a volume or of a copy, oldest first.
func Messages(ctx context.Context, dir string) ([]Row, error) {
	return rowsIn(ctx, dir, message, `SELECT id, epoch, 0 FROM messages ORDER BY row`)
}

// rows returns the messages and all parts of the files of a volume or of a copy.
func rows(ctx context.Context, dir string) ([]Row, error) {
	messages, err := Messages(ctx, dir)
	if err != nil {
		return nil, err
	}
	labels, err := rowsIn(ctx, dir, label, `SELECT id, epoch, 0 FROM media`)
	if err != nil {
		return nil, err
	}
	pieces, err := rowsIn(ctx, dir, piece, `SELECT m.id, m.epoch, c.place FROM media m JOIN media_chunks c ON c.media = m.id`)
	return slices.Concat(messages, labels, pieces), err
}

func rowsIn(ctx context.Context, dir string, k kind, text string) (all []Row, err error) {
	err = query(ctx, dir, text, func(r *sql.Rows) error {
		found := Row{kind: k}
		err := r.Scan(&found.ID, &found.Epoch, &found.place)
		all = append(all, found)
		return err
	})
	return all, err
}

// Reads says whether a row can be read, and whether it then says a text.
func (r *Restored) Reads(ctx context.Context, row Row, text string) (readable, says bool, err error) {
	err = r.store.View(ctx, func(t *store.Tx) error {
		plain, err := row.open(t)
		readable, says = err == nil, bytes.Contains(plain, []byte(text))
		return err
	})
	if errors.Is(err, seal.ErrErased) || errors.Is(err, store.ErrNotFound) || errors.Is(err, seal.ErrTampered) {
		err = nil
	}
	return readable, says, err
}

func (r Row) open(t *store.Tx) ([]byte, error) {
	switch r.kind {
	case label:
		m, err := t.Media(r.ID)
		return []byte(m.Name), err
	case piece:
		return t.ReadMedia(r.ID, r.place)
	default:
		m, err := t.Message(r.ID)
		return m.Body, err
	}
}

// TextFile returns a file of two pieces, each line of which says a text.
func TextFile(text string) []byte {
	return bytes.Repeat([]byte(text+"\n"), store.MediaChunk/(len(text)+1)+2)
}

// FileSecrets are what may stand nowhere of what TextFile returns.
func FileSecrets(text string) []scan.Secret {
	digest := sha256.Sum256(TextFile(text))
	return []scan.Secret{{Name: "a file's text", Bytes: text}, {Name: "a file's digest", Bytes: string(digest[:])}}
}
