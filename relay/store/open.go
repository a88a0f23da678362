package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
	"github.com/relaykeep/relaykeep/relay/store/internal/postgres"
	"github.com/relaykeep/relaykeep/relay/store/internal/sqlite"
)

// Open opens the store in dir, or in the database that OnServer names, or creates it unless
// MustExist says that there must be one, loads its epochs into k and opens a new epoch when one
// is due. No other process can open it until Close. Errors are ErrForeignStore, ErrStoreMissing, ErrLocked, ErrNewer, ErrDamaged, ErrFull,
// those of k's Wrapper, of the file system or of the database server. When a new epoch is due and the Wrapper fails,
// the store keeps using the present one; only without any epoch does Open fail.
func Open(ctx context.Context, dir string, storeID [16]byte, k *seal.Keyring, opts ...Option) (*Store, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	s := &Store{
		shared: shared{keys: k, settings: k.Lasting(o.settings), usage: make(map[CustomerID]int64), country: o.country},
		dir:    dir,
		origin: origin{volume: o.volume},
	}
	s.observed.Observer = o.observer
	if o.memory != nil {
		s.memory = &memory{Memory: *o.memory, keys: k.Ephemeral(o.memory.Life), opened: k.Now()}
	}
	if w, ok := o.settings.(mover); ok {
		s.outdated = w.Outdated
	}
	var err error
	if o.server != nil {
		s.dir = ""
		s.db, err = openServer(ctx, o.server.config(storeID, o.mustExist), group{&s.shared})
	} else {
		s.db, err = openFiles(sqlite.Files{Dir: dir, Owner: storeID, MustExist: o.mustExist}, group{&s.shared})
	}
	if err != nil {
		return nil, err
	}
	s.batch = s.db.Batch()
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// openFiles and openServer return an engine, and no interface that holds none when they fail.
func openFiles(f sqlite.Files, g engine.Group) (engine.Database, error) {
	db, err := sqlite.Open(f, g)
	if err != nil {
		return nil, err
	}
	return db, nil
}

func openServer(ctx context.Context, f postgres.Config, g engine.Group) (engine.Database, error) {
	db, err := postgres.Open(ctx, f, g)
	if err != nil {
		return nil, err
	}
	return db, nil
}

// begin makes an opened store ready: row identifiers, its origin, epochs, settings and
// their sum, a current epoch, the key of the ciphertexts' hashes; then it drops leftovers.
func (s *Store) begin(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		s.loadIDs, s.mendJobs, s.checkOrigin, s.loadEpochs, s.openSettings, s.checkSum, s.moveSettings,
	} {
		if err := step(ctx); err != nil {
			return err
		}
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

// Create creates an empty store bound to storeID in dir, or in the database that OnServer names, unless that store is there already. A
// relay creates its store before its wrapping key, so the key proves that there was a store.
func Create(ctx context.Context, dir string, storeID [16]byte, opts ...Option) error {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if o.server != nil {
		return postgres.Create(ctx, o.server.config(storeID, false))
	}
	return sqlite.Create(sqlite.Files{Dir: dir, Owner: storeID})
}

// Owner is what is known about a store without any key.
type Owner struct {
	StoreID [16]byte
	// Used says that something may have been sealed in it.
	Used bool
}

// OwnerOf reads whose store is in dir; nil without error when there is none. It changes nothing
// and needs no lock. Errors are ErrForeignStore, ErrDamaged, or those of the file system.
func OwnerOf(dir string) (*Owner, error) {
	found, err := sqlite.OwnerOf(dir)
	if err != nil || found == nil {
		return nil, err
	}
	return &Owner{StoreID: found.ID, Used: found.Used}, nil
}

// loadIDs reads the highest identifiers of the tables that count up.
func (s *Store) loadIDs(ctx context.Context) error {
	n := &s.next
	return s.View(ctx, func(t *Tx) error {
		_, err := t.first(`SELECT
			(SELECT coalesce(max(id), 0) + 1 FROM devices),
			(SELECT coalesce(max(id), 0) + 1 FROM sessions),
			(SELECT coalesce(max(row), 0) + 1 FROM messages),
			(SELECT coalesce(max(row), 0) + 1 FROM seen),
			(SELECT coalesce(max(row), 0) + 1 FROM requests),
			(SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'jobs')`,
			func(r row) error { return r.integers(&n.device, &n.session, &n.message, &n.seen, &n.request, &n.job) })
		return err
	})
}

// mendJobs makes jobs due whose time is not a number. If there is no room, a sweep does it.
func (s *Store) mendJobs(ctx context.Context) error {
	err := s.Shrink(ctx, func(t *Tx) error {
		_, err := t.run(textMendJobs)
		return err
	})
	if errors.Is(err, ErrFull) {
		return nil
	}
	return err
}

// loadEpochs unwraps the epochs' keys. Rows of erased epochs stay until they are old enough to
// be swept: the janitor did not erase a young epoch, and if somebody restores Vault's key, its
// rows are readable again.
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
