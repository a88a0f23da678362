package store

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"os"
	"sync"
	"sync/atomic"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// Option changes how Open behaves.
type Option func(*options)

type options struct {
	mustExist bool
	settings  seal.Wrapper // nil: the epochs'
	volume    string
}

// MustExist makes Open fail with ErrStoreMissing where there is no store: for an
// identity that had one.
func MustExist() Option { return func(o *options) { o.mustExist = true } }

// Store is an open store. Its methods are safe for concurrent use.
type Store struct {
	path string
	keys *seal.Keyring
	lock *os.File

	settings *seal.Keyring             // of the settings, the store's own
	outdated func(wrapped string) bool // nil: no key of the settings ever is
	origin   origin                    // where the database lies now
	restored atomic.Bool
	tampered atomic.Bool
	sumKey   int64 // of the settings' keys, the one for the sum

	requests chan *request // to the writer
	closing  chan struct{} // closed by Close
	stopped  chan struct{} // closed when the writer has stopped
	once     sync.Once     // guards closing
	closeErr error

	room    *room                // of the volume
	writer  *conn                // the writer's alone once it runs
	next    nextIDs              // likewise
	seenMAC hash.Hash            // likewise
	usage   map[CustomerID]int64 // likewise: what customers use, as far as it was counted
	total   sum                  // likewise: of sessions and pre-keys
	readers *readerPool          // for views

	advance sync.Mutex // held by the one Advance that runs
}

// Open opens the store in dir, or makes it unless MustExist says that there must
// be one, loads its epochs into k and opens a new one when that is due. It holds dir's lock until Close. Errors are ErrForeignStore,
// ErrStoreMissing, ErrLocked, ErrNewer, ErrDamaged, ErrFull, those of k's Wrapper,
// or of the file system. When a new epoch is due and cannot be had, the present one
// is used further; only without any does Open fail.
func Open(ctx context.Context, dir string, storeID [16]byte, k *seal.Keyring, opts ...Option) (*Store, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	s := &Store{
		keys:     k,
		usage:    make(map[CustomerID]int64),
		settings: k.Lasting(o.settings),
		origin:   origin{volume: o.volume},
		requests: make(chan *request, queueLength),
		closing:  make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	if w, ok := o.settings.(mover); ok {
		s.outdated = w.Outdated
	}
	if err := s.openFile(dir, storeID, o.mustExist); err != nil {
		return nil, err
	}
	if err := s.checkOrigin(); err != nil {
		return nil, errors.Join(err, s.writer.close(), s.lock.Close())
	}
	s.readers = newReaderPool(s.path)
	go s.write()
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// begin makes an opened store ready: epochs, leftovers, a current epoch, the settings,
// the key of the ciphertexts' hashes.
func (s *Store) begin(ctx context.Context) error {
	if err := s.loadEpochs(ctx); err != nil {
		return err
	}
	if err := s.openSettings(ctx); err != nil {
		return err
	}
	if err := s.checkSum(ctx); err != nil {
		return err
	}
	if err := s.moveSettings(ctx); err != nil {
		return err
	}
	if err := s.Advance(ctx); err != nil {
		if _, none := s.keys.Current(); none != nil {
			return err
		}
	}
	if err := s.Update(ctx, func(t *Tx) error { return t.loadSeenKey() }); err != nil {
		return err
	}
	return s.dropUnfinishedMedia(ctx)
}

// Create makes an empty store bound to storeID in dir, unless that very store is
// there already. A relay creates its store before its wrapping key: that the key
// exists then proves that there was a store.
func Create(_ context.Context, dir string, storeID [16]byte) error {
	s := new(Store)
	if err := s.openFile(dir, storeID, false); err != nil {
		return err
	}
	return errors.Join(s.writer.close(), s.lock.Close())
}

// Close lets the running transactions end, fails those that wait with ErrClosed,
// and gives the directory free. The keyring keeps its keys; those of the settings
// are overwritten.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closing)
		<-s.stopped
		s.closeErr = errors.Join(s.readers.close(), s.writer.close(), s.lock.Close())
		s.settings.Close()
	})
	return s.closeErr
}

// loadEpochs unwraps the epochs' keys. Rows of those that are erased stay until they
// are old enough to be swept: an epoch that is young and yet erased was not erased by
// the janitor, and whoever restores Vault's key finds them again.
func (s *Store) loadEpochs(ctx context.Context) error {
	var epochs []seal.Epoch
	err := s.View(ctx, func(t *Tx) (err error) {
		epochs, err = t.epochs()
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the epochs: %w", err)
	}
	_, err = s.keys.Load(ctx, epochs)
	return err
}
