package seal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// maxUnwraps bounds how many epochs Load unwraps at once.
const maxUnwraps = 8

// Keyring holds the data keys of the live epochs. It is safe for concurrent use.
// A key is in memory from Load or Adopt until Forget or Close.
type Keyring struct {
	wrapper Wrapper
	period  time.Duration
	now     func() time.Time

	mu      sync.RWMutex // guards the following fields
	entries map[int64]*entry
	live    []Epoch // of entries, youngest first; replaced, never changed
	current *entry  // nil: none is open
	pending *entry  // made by Next, not yet adopted
	last    int64   // highest epoch ID ever seen
}

// New returns an empty keyring that uses each data key for the given period, at least MinPeriod.
// now is the clock that says when a period has passed.
func New(w Wrapper, period time.Duration, now func() time.Time) *Keyring {
	return &Keyring{
		wrapper: w,
		period:  max(period, MinPeriod),
		now:     now,
		entries: make(map[int64]*entry),
	}
}

// Now returns the time of k's clock.
func (k *Keyring) Now() time.Time { return k.now() }

// Lasting returns an empty keyring with k's clock that uses a data key until it has sealed half
// of what it may. A nil wrapper means k's.
func (k *Keyring) Lasting(w Wrapper) *Keyring {
	if w == nil {
		w = k.wrapper
	}
	return New(w, math.MaxInt64, k.now)
}

// Load unwraps the given epochs and makes the youngest readable one the current epoch. It
// returns the IDs of those whose keys are erased. After any other failure to unwrap, Load fails
// and leaves the keyring unchanged.
func (k *Keyring) Load(ctx context.Context, epochs []Epoch) (erased []int64, err error) {
	loaded := make([]*entry, len(epochs))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(maxUnwraps)
	for i, e := range epochs {
		group.Go(func() error {
			var err error
			loaded[i], err = k.unwrap(groupCtx, e)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		for _, e := range loaded {
			e.destroy()
		}
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, e := range epochs {
		k.last = max(k.last, e.ID)
		if loaded[i] == nil {
			erased = append(erased, e.ID)
			continue
		}
		k.install(loaded[i])
	}
	return erased, nil
}

// unwrap returns nil and no error for an erased epoch.
func (k *Keyring) unwrap(ctx context.Context, e Epoch) (*entry, error) {
	plain, err := k.wrapper.Unwrap(ctx, e.Wrapped)
	if errors.Is(err, ErrErased) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("unwrapping the data key of epoch %d: %w", e.ID, err)
	}
	return newEntry(e, plain)
}

// install puts e among the live epochs. The caller holds mu.
func (k *Keyring) install(e *entry) {
	if old := k.entries[e.ID]; old != nil {
		old.destroy()
	}
	k.entries[e.ID] = e
	k.sort()
	if k.current == nil || k.current.ID <= e.ID {
		k.current = e
	}
}

// Due reports whether a new epoch should be opened: there is none, its period has
// passed, it was opened by a clock that was ahead by more than a period, or its key has
// sealed half of what it may.
func (k *Keyring) Due() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.current == nil || k.current.worn() {
		return true
	}
	return k.now().Sub(k.current.Created).Abs() >= k.period
}

// Next gets a data key for a new epoch. Nothing is sealed in it until it is adopted: the caller
// must first make the epoch durable, or values sealed in it could not be opened after a crash. A
// later Next replaces an epoch that was not adopted.
func (k *Keyring) Next(ctx context.Context) (Epoch, error) {
	plain, wrapped, err := k.wrapper.DataKey(ctx)
	if err != nil {
		return Epoch{}, fmt.Errorf("getting a data key: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	e, err := newEntry(Epoch{ID: k.last + 1, Wrapped: wrapped, Created: k.now()}, plain)
	if err != nil {
		return Epoch{}, err
	}
	k.pending.destroy()
	k.pending = e
	return e.Epoch, nil
}

// Adopt makes the epoch that Next returned the current one. It returns ErrNoEpoch
// when that is not the epoch that Next made last.
func (k *Keyring) Adopt(id int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pending == nil || k.pending.ID != id {
		return ErrNoEpoch
	}
	k.install(k.pending)
	k.last = max(k.last, id)
	k.pending = nil
	return nil
}

// Current returns the ID of the epoch that Seal uses. ErrNoEpoch when there is
// none.
func (k *Keyring) Current() (int64, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.current == nil {
		return 0, ErrNoEpoch
	}
	return k.current.ID, nil
}

// Live returns the readable epochs, youngest first. They must not be changed.
func (k *Keyring) Live() []Epoch {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.live
}

// sort updates live after a change of entries. The caller holds mu.
func (k *Keyring) sort() {
	k.live = make([]Epoch, 0, len(k.entries))
	for _, e := range k.entries {
		k.live = append(k.live, e.Epoch)
	}
	slices.SortFunc(k.live, func(a, b Epoch) int { return cmp.Compare(b.ID, a.ID) })
}

// Has says whether an epoch is readable.
func (k *Keyring) Has(id int64) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.entries[id] != nil
}

// Forget overwrites the data keys of the given epochs and drops them. Opening what was sealed in
// them returns ErrErased from now on. If the current epoch is among them, the keyring has none
// until the next is adopted, so that nothing new is sealed in an older one.
func (k *Keyring) Forget(ids ...int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		e := k.entries[id]
		if e == nil {
			continue
		}
		delete(k.entries, id)
		if k.current == e {
			k.current = nil
		}
		e.destroy()
	}
	k.sort()
}

// Recheck asks the wrapper about every live epoch and forgets those whose keys are erased, so
// that a key that was destroyed in Vault does not survive in memory. It returns their IDs. After
// any other failure it stops; the epochs found until then are forgotten.
func (k *Keyring) Recheck(ctx context.Context) (erased []int64, err error) {
	for _, e := range k.Live() {
		plain, err := k.wrapper.Unwrap(ctx, e.Wrapped)
		clear(plain)
		if errors.Is(err, ErrErased) {
			k.Forget(e.ID)
			erased = append(erased, e.ID)
			continue
		}
		if err != nil {
			return erased, fmt.Errorf("asking about the data key of epoch %d: %w", e.ID, err)
		}
	}
	return erased, nil
}

// Close overwrites and drops every key.
func (k *Keyring) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, e := range k.entries {
		delete(k.entries, id)
		e.destroy()
	}
	k.sort()
	k.pending.destroy()
	k.current, k.pending = nil, nil
}
