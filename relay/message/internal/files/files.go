package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Errors about files that a caller decides on.
var (
	// ErrUnknownMedia means that there is no such file, or no longer.
	ErrUnknownMedia = errors.New("no file has this id")
	// ErrMediaKind means that a file cannot be sent as a message of that kind.
	ErrMediaKind = errors.New("the file is of another kind")
	// ErrNoRoom means that the volume has no room for files now.
	ErrNoRoom = errors.New("there is no room for files")
	// ErrMediaTooLarge means that a file is larger than its kind may be.
	ErrMediaTooLarge = media.ErrTooLarge
)

// Upload is a file that the business uploads.
type Upload struct {
	MIME string
	Name string
	// Body is read to its end. More than Limit bytes lead to ErrMediaTooLarge.
	Body  io.Reader
	Limit int64
}

// StoreMedia keeps a file and returns its id.
func (s *Keeper) StoreMedia(ctx context.Context, u Upload) (string, error) {
	m, err := s.Save(ctx, 0, 0, media.Bounded(u.Body, u.Limit))
	if err != nil {
		return "", fmt.Errorf("storing a file: %w", err)
	}
	m.MIME, m.Name = u.MIME, media.CleanName(u.Name)
	err = s.Store.Update(ctx, func(tx *store.Tx) error { return tx.FinishMedia(m) })
	if err != nil {
		s.Discard(ctx, m.ID)
		return "", fmt.Errorf("storing a file: %w", err)
	}
	return m.ID, nil
}

// Media says what is known of a file, or returns ErrUnknownMedia.
func (s *Keeper) Media(ctx context.Context, id string) (m store.Media, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		m, err = tx.Media(id)
		return err
	})
	if record.IsNotFound(err) {
		err = ErrUnknownMedia
	}
	return m, err
}

// OpenMedia returns a file and a reader of its content, which comes from the store piece by
// piece. Ctx bounds the reading.
func (s *Keeper) OpenMedia(ctx context.Context, id string) (store.Media, io.ReadSeeker, error) {
	m, err := s.Media(ctx, id)
	if err != nil {
		return m, nil, err
	}
	return m, s.content(ctx, m), nil
}

// DeleteMedia removes a file, or returns ErrUnknownMedia. Messages with that file that wait to
// be sent will fail.
func (s *Keeper) DeleteMedia(ctx context.Context, id string) error {
	if _, err := s.Media(ctx, id); err != nil {
		return err
	}
	return s.RemoveFile(ctx, id, func(*store.Tx) (bool, error) { return true, nil })
}

// RemoveFile removes a file in as many steps as its size needs, unless may returns false.
func (s *Keeper) RemoveFile(ctx context.Context, id string, may func(*store.Tx) (bool, error)) error {
	for more := true; more; {
		err := s.Store.Shrink(ctx, func(tx *store.Tx) error {
			ok, err := may(tx)
			if more = false; err != nil || !ok {
				return err
			}
			more, err = tx.DeleteMediaPart(id)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Save writes what r reads into a new file, piece by piece. The file exists once FinishMedia
// was called for it, with everything else that is known about it. It counts towards the
// customer's quota, unless the customer is zero. Life is that of the message which brings the file.
func (s *Keeper) Save(ctx context.Context, c store.CustomerID, life store.Life, r io.Reader) (m store.Media, err error) {
	m = store.Media{ID: store.NewMediaID(), Created: s.Now(), Life: life}
	err = s.Store.Update(ctx, func(tx *store.Tx) error { return tx.BeginMedia(m, c) })
	if err != nil {
		return m, err
	}
	hash, buf := sha256.New(), make([]byte, store.MediaChunk)
	for place := int64(0); ; place++ {
		n, readErr := io.ReadFull(r, buf)
		if place%roomEvery == 0 && !s.room() {
			readErr = ErrNoRoom
		}
		hash.Write(buf[:n])
		m.Size += int64(n)
		if n > 0 && !errors.Is(readErr, ErrNoRoom) {
			err = s.Store.Update(ctx, func(tx *store.Tx) error { return tx.PutMediaChunk(m.ID, place, buf[:n]) })
		}
		ended := errors.Is(readErr, io.EOF) || errors.Is(readErr, io.ErrUnexpectedEOF)
		if err == nil && readErr != nil && !ended {
			err = readErr
		}
		if err != nil {
			s.Discard(ctx, m.ID)
			return m, err
		}
		if ended {
			hash.Sum(m.SHA256[:0])
			return m, nil
		}
	}
}

// roomEvery is after how many pieces the room is checked again.
const roomEvery = 32

func (s *Keeper) room() bool { return s.Files == nil || s.Files.Room == nil || s.Files.Room() }

// Discard removes what was written of a file. If that fails, the next opening of the store
// does it.
func (s *Keeper) Discard(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), base.AttemptTime)
	defer cancel()
	_ = s.RemoveFile(ctx, id, func(*store.Tx) (bool, error) { return true, nil })
}

// content reads a file.
func (s *Keeper) content(ctx context.Context, m store.Media) io.ReadSeeker {
	return &fileReader{size: m.Size, have: -1, fetch: func(place int64) (piece []byte, err error) {
		err = s.Store.View(ctx, func(tx *store.Tx) error {
			piece, err = tx.ReadMedia(m.ID, place)
			return err
		})
		if record.IsNotFound(err) {
			err = ErrUnknownMedia // it was deleted meanwhile, or its key was destroyed
		}
		return piece, err
	}}
}

// fileReader reads and seeks in a file. It holds one piece in memory.
type fileReader struct {
	size, at int64
	piece    []byte
	have     int64 // which piece that is; -1 for none
	fetch    func(place int64) ([]byte, error)
}

// Read implements io.Reader.
func (f *fileReader) Read(p []byte) (int, error) {
	if f.at >= f.size {
		return 0, io.EOF
	}
	if place := f.at / store.MediaChunk; place != f.have {
		piece, err := f.fetch(place)
		if err != nil {
			return 0, err
		}
		if int64(len(piece)) != min(store.MediaChunk, f.size-place*store.MediaChunk) {
			return 0, ErrUnknownMedia
		}
		f.piece, f.have = piece, place
	}
	n := copy(p, f.piece[f.at%store.MediaChunk:])
	f.at += int64(n)
	return n, nil
}

// Seek implements io.Seeker.
func (f *fileReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.size
	}
	if offset < 0 {
		return 0, errors.New("seeking before the beginning of a file")
	}
	f.at = offset
	return offset, nil
}
