package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"time"
)

const (
	purposeMedia = "media"
	purposeChunk = "media-chunk"
)

// MediaChunk is how many bytes of a file are sealed at once: every chunk but the last has that
// many.
const MediaChunk = 128 << 10

// maxMediaText bounds a file's media type and its name, in bytes.
const maxMediaText = 1024

// Media is a file. Its content is in its chunks.
type Media struct {
	ID      string // see NewMediaID
	MIME    string
	Name    string // may be empty
	SHA256  [sha256.Size]byte
	Size    int64 // bytes
	Created time.Time
	Life    Life
}

// Chunks is how many chunks a file has.
func (m Media) Chunks() int64 { return (m.Size + MediaChunk - 1) / MediaChunk }

// mediaDigits is the length of an ID.
const mediaDigits = 16

// NewMediaID returns a new ID: 16 random digits, the first of them not 0, as in the hosted
// API.
func NewMediaID() string {
	const least = 1_000_000_000_000_000
	var b [8]byte
	_, _ = rand.Read(b[:])
	return strconv.FormatInt(least+int64(binary.BigEndian.Uint64(b[:])%(9*least)), 10)
}

// mediaRow reads an ID. It accepts no other form of a number.
func mediaRow(id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || len(id) != mediaDigits || id[0] < '1' {
		return 0, ErrNotFound
	}
	return n, nil
}

// sealedMedia is a file's row as it is stored.
type sealedMedia struct {
	id, epoch, complete, created, customer int64
	sealed                                 []byte
}

func (s *sealedMedia) scan(r row) error {
	r.numbers(&s.id, &s.epoch, &s.complete, &s.created, &s.customer)
	s.sealed = r.octets(5)
	return nil
}

// identity is what the file's value is bound to. The customer is not part of it: it only
// serves for counting.
func (s *sealedMedia) identity() []byte { return rowOf(s.id, s.complete, s.created) }

func (t *Tx) findMedia(id string) (s sealedMedia, err error) {
	n, err := mediaRow(id)
	if err != nil {
		return s, err
	}
	found, err := t.first(`SELECT id, epoch, complete, created, coalesce(customer, 0), sealed FROM media WHERE id = ?`, s.scan, n)
	if err == nil && !found {
		err = ErrNotFound
	}
	return s, err
}

// BeginMedia creates a file in the current epoch, in which all of it stays, with its ID, Created and Life. Until
// FinishMedia it has no content, and opening the store removes it. It counts towards the
// customer's quota, unless the customer is zero.
func (t *Tx) BeginMedia(m Media, of CustomerID) error {
	n, err := mediaRow(m.ID)
	if err != nil {
		return ErrInvalid
	}
	if err := t.allow(!m.Created.IsZero()); err != nil {
		return err
	}
	t.conn.Fresh()
	if err := t.Quota(of); err != nil {
		return err
	}
	s := sealedMedia{id: n, created: toMillis(m.Created)}
	begins, err := t.shared.memory.begunMedia(m.Life)
	if err != nil {
		return err
	}
	if s.epoch, s.sealed, err = t.shared.keys.Seal(purposeMedia, s.identity(), begins); err != nil {
		return err
	}
	var customer any // NULL for none
	if of != 0 {
		customer = int64(of)
	}
	_, err = t.run(`INSERT INTO media (id, epoch, complete, created, customer, sealed) VALUES (?, ?, ?, ?, ?, ?)`,
		s.id, s.epoch, s.complete, s.created, customer, s.sealed)
	return err
}

// PutMediaChunk writes one chunk, counted from 0, of a file that is not finished. Each chunk
// is written once. It returns ErrQuota when the file's customer has used up the quota.
func (t *Tx) PutMediaChunk(id string, place int64, data []byte) error {
	if err := t.allow(place >= 0, len(data) > 0, len(data) <= MediaChunk); err != nil {
		return err
	}
	t.conn.Fresh()
	s, err := t.findMedia(id)
	if err != nil {
		return err
	}
	if s.complete != 0 {
		return ErrInvalid
	}
	sealed, err := t.sealChunk(s, place, data)
	if err != nil {
		return err
	}
	_, err = t.run(`INSERT INTO media_chunks (media, place, sealed) VALUES (?, ?, ?)`, s.id, place, sealed)
	if err != nil {
		return err
	}
	return t.adds(CustomerID(s.customer), sealed)
}

// mediaKey is the key in memory of a file's pieces, 0 for a file that is stored as ever.
func (t *Tx) mediaKey(s sealedMedia) (int64, error) {
	plain, err := t.open(s.epoch, purposeMedia, s.identity(), s.sealed)
	if err != nil {
		return 0, err
	}
	return mediaKey(plain)
}

// sealChunk seals a piece of a file, and openChunk opens it.
func (t *Tx) sealChunk(s sealedMedia, place int64, data []byte) ([]byte, error) {
	key, err := t.mediaKey(s)
	if err != nil {
		return nil, err
	}
	if key == 0 {
		return t.shared.keys.SealIn(s.epoch, purposeChunk, rowOf(s.id, place), data)
	}
	return t.shared.memory.put(key, purposeChunkSaid, rowOf(s.id, place), data)
}

func (t *Tx) openChunk(s sealedMedia, place int64, sealed []byte) ([]byte, error) {
	key, err := t.mediaKey(s)
	if err != nil {
		return nil, err
	}
	if key == 0 {
		return t.open(s.epoch, purposeChunk, rowOf(s.id, place), sealed)
	}
	plain, lost, err := t.shared.memory.show(said{key, sealed}, purposeChunkSaid, s.id, place)
	if lost {
		return nil, ErrNotFound
	}
	return plain, err
}

// FinishMedia makes a file readable once all of its chunks are there. It ignores m.Created and m.Life.
func (t *Tx) FinishMedia(m Media) error {
	if err := t.allow(m.Size >= 0, len(m.MIME) <= maxMediaText, len(m.Name) <= maxMediaText); err != nil {
		return err
	}
	s, err := t.findMedia(m.ID)
	if err != nil {
		return err
	}
	n, err := t.integer(`SELECT count(*) FROM media_chunks WHERE media = ?`, s.id)
	if err != nil {
		return err
	}
	if s.complete != 0 || n != m.Chunks() {
		return ErrInvalid
	}
	key, err := t.mediaKey(s)
	if err != nil {
		return err
	}
	s.complete = 1
	plain := newWriter(len(m.MIME) + len(m.Name) + len(m.SHA256)).integer(m.Size).text(m.MIME).text(m.Name).bytes(m.SHA256[:]).b
	if key != 0 {
		if plain, err = t.shared.memory.wholeMedia(s.id, key, plain); err != nil {
			return err
		}
	}
	if s.sealed, err = t.shared.keys.SealIn(s.epoch, purposeMedia, s.identity(), plain); err != nil {
		return err
	}
	_, err = t.run(`UPDATE media SET complete = 1, sealed = ? WHERE id = ?`, s.sealed, s.id)
	return err
}

// Media returns a finished file, or ErrNotFound, also when its row is damaged.
func (t *Tx) Media(id string) (Media, error) {
	s, err := t.findMedia(id)
	if err != nil {
		return Media{}, err
	}
	if s.complete == 0 {
		return Media{}, ErrNotFound
	}
	plain, err := t.open(s.epoch, purposeMedia, s.identity(), s.sealed)
	var life Life
	if err == nil {
		plain, life, err = t.shared.memory.readMedia(s.id, plain)
	}
	if err != nil {
		return Media{}, gone(err)
	}
	r := newReader(plain)
	m := Media{ID: id, Size: r.integer(), MIME: r.text(), Name: r.text(), Created: fromMillis(s.created), Life: life}
	if copy(m.SHA256[:], r.bytes()) != sha256.Size {
		r.bad = true
	}
	return m, r.done()
}

// ReadMedia returns one chunk of a file, or ErrNotFound, also when it is damaged.
func (t *Tx) ReadMedia(id string, place int64) ([]byte, error) {
	s, err := t.findMedia(id)
	if err != nil {
		return nil, err
	}
	var sealed []byte
	found, err := t.first(`SELECT sealed FROM media_chunks WHERE media = ? AND place = ?`, func(r row) error {
		sealed = r.octets(0)
		return nil
	}, s.id, place)
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	piece, err := t.openChunk(s, place, sealed)
	return piece, gone(err)
}

// DeleteMediaPart removes as much of a file, from its end, as one transaction should; more
// says that it must be called again. The file is unreadable after the first call. After a
// crash in between, opening the store removes the rest.
func (t *Tx) DeleteMediaPart(id string) (more bool, err error) {
	n, err := mediaRow(id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return t.deleteMediaPart(n)
}

func (t *Tx) deleteMediaPart(n int64) (more bool, err error) {
	if _, err := t.run(`UPDATE media SET complete = 0 WHERE id = ?`, n); err != nil {
		return false, err
	}
	limit := max(1, t.shared.batch/MediaChunk/2)
	if err := t.frees(n, limit); err != nil {
		return false, err
	}
	deleted, err := t.run(`DELETE FROM media_chunks WHERE id IN
		(SELECT id FROM media_chunks WHERE media = ? ORDER BY place DESC LIMIT ?)`, n, limit)
	if err != nil || deleted == limit {
		return err == nil, err
	}
	_, err = t.run(`DELETE FROM media WHERE id = ?`, n)
	return false, err
}

// DeleteMedia removes a file, finished or not; found says that there was one. That needs as
// much room as the file has; the Store's DeleteMedia does not.
func (t *Tx) DeleteMedia(id string) (found bool, err error) {
	n, err := mediaRow(id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err := t.frees(n, math.MaxInt64); err != nil {
		return false, err
	}
	rows, err := t.run(`DELETE FROM media WHERE id = ?`, n)
	return rows > 0, err
}

// DeleteMedia removes a file, finished or not, in as many steps as its size needs.
func (s *Store) DeleteMedia(ctx context.Context, id string) error {
	n, err := mediaRow(id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return s.deleteMedia(ctx, n)
}

func (s *Store) deleteMedia(ctx context.Context, n int64) error {
	for more := true; more; {
		err := s.Shrink(ctx, func(t *Tx) (err error) {
			more, err = t.deleteMediaPart(n)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteMediaWhere removes the files that a query names by their row, one after another: a
// damaged row number need not belong to an ID.
func (s *Store) deleteMediaWhere(ctx context.Context, count *int, query string, args ...driver.Value) error {
	for {
		var id int64
		err := s.View(ctx, func(t *Tx) (err error) {
			id, err = t.integer(query, args...)
			return err
		})
		if err != nil || id == 0 {
			return err
		}
		if err := s.deleteMedia(ctx, id); err != nil {
			return err
		}
		*count++
	}
}

// dropUnfinishedMedia removes files that a process left unfinished when it ended.
func (s *Store) dropUnfinishedMedia(ctx context.Context) error {
	var n int
	return s.deleteMediaWhere(ctx, &n, `SELECT id FROM media WHERE complete = 0 LIMIT 1`)
}
