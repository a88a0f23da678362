package blocklist

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// MaxBlocked is how many customers a business may block ("Block users").
const MaxBlocked = 64_000

// ErrBlockListFull means that the business has blocked as many as it may.
var ErrBlockListFull = errors.New("the block list is full")

// settingBlocked names the block list: eight bytes for each number, sorted. It is the
// business's own data and, like all settings, outlives every epoch.
const settingBlocked = "blocked"

// mirrorRetry is how long after a failure to tell the carrier the next attempt comes.
const mirrorRetry = time.Minute

// blocks is the block list. The list in the store counts: the relay itself drops what blocked
// customers send. If the carrier can, it also holds that back.
type blocks struct {
	changed chan struct{}

	mu   sync.Mutex                // guards the following fields
	list map[phone.Number]struct{} // nil before it was read
	lost bool                      // it was found damaged, and must be read from the carrier
}

// errListLost means that the block list in the store is damaged and has not been read from
// the carrier yet.
var errListLost = errors.New("the block list is damaged, and the carrier, which has a copy, cannot be reached: try again later")

func numberOf(n uint64) (phone.Number, error) {
	return phone.Parse("+" + strconv.FormatUint(n, 10))
}

// ReadBlocked reads the list in the store. It returns seal.ErrTampered if that is damaged.
func ReadBlocked(tx *store.Tx) (map[phone.Number]struct{}, error) {
	saved, err := tx.Setting(settingBlocked)
	if err != nil {
		return nil, err
	}
	list := make(map[phone.Number]struct{}, len(saved)/8)
	for entry := range slices.Chunk(saved, 8) {
		if len(entry) < 8 {
			break
		}
		if n, err := numberOf(binary.BigEndian.Uint64(entry)); err == nil {
			list[n] = struct{}{}
		}
	}
	return list, nil
}

func writeBlocked(tx *store.Tx, list map[phone.Number]struct{}) error {
	numbers := make([]uint64, 0, len(list))
	for n := range list {
		v, err := strconv.ParseUint(n.Digits(), 10, 64)
		if err != nil {
			return store.ErrInvalid // a number has at most 15 digits
		}
		numbers = append(numbers, v)
	}
	slices.Sort(numbers)
	saved := make([]byte, 0, 8*len(numbers))
	for _, v := range numbers {
		saved = binary.BigEndian.AppendUint64(saved, v)
	}
	return tx.PutSetting(settingBlocked, saved)
}

// changeBlocked changes the list durably, and the carrier's soon after.
func (s *List) changeBlocked(ctx context.Context, change func(map[phone.Number]struct{})) error {
	if err := s.FindBlocked(ctx); err != nil {
		return err
	}
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		list, err := ReadBlocked(tx)
		if errors.Is(err, seal.ErrTampered) {
			return errListLost
		}
		if err != nil {
			return err
		}
		change(list)
		if len(list) > MaxBlocked {
			return ErrBlockListFull
		}
		return writeBlocked(tx, list)
	})
	if err != nil {
		return err
	}
	s.BlocklistChanged()
	s.MirrorSoon()
	return nil
}

// changedInStore makes the next use read the list again: others may have changed it.
func (b *blocks) changedInStore() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = nil
}

// Unlist removes a number from the list in the store; was says whether it was there. In a
// damaged list it is not: the carrier's list will be read instead.
func Unlist(tx *store.Tx, n phone.Number) (was bool, err error) {
	list, err := ReadBlocked(tx)
	if errors.Is(err, seal.ErrTampered) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, was = list[n]; !was {
		return false, nil
	}
	delete(list, n)
	return true, writeBlocked(tx, list)
}

// Block makes the relay drop what customers send from now on, and refuse to write to them.
// Blocking somebody twice is harmless. When it returns ErrBlockListFull, it has blocked
// nobody.
func (s *List) Block(ctx context.Context, numbers []phone.Number) error {
	return s.changeBlocked(ctx, func(list map[phone.Number]struct{}) {
		for _, n := range numbers {
			list[n] = struct{}{}
		}
	})
}

// Unblock ends Block. Unblocking somebody who is not blocked is harmless.
func (s *List) Unblock(ctx context.Context, numbers []phone.Number) error {
	return s.changeBlocked(ctx, func(list map[phone.Number]struct{}) {
		for _, n := range numbers {
			delete(list, n)
		}
	})
}

// Blocked returns who is blocked, sorted.
func (s *List) Blocked(ctx context.Context) ([]phone.Number, error) {
	list, err := s.blocked(ctx)
	if err != nil {
		return nil, err
	}
	numbers := make([]phone.Number, 0, len(list))
	for n := range list {
		numbers = append(numbers, n)
	}
	slices.SortFunc(numbers, func(a, b phone.Number) int {
		if d := len(a.Digits()) - len(b.Digits()); d != 0 {
			return d
		}
		return slices.Compare([]byte(a.Digits()), []byte(b.Digits()))
	})
	return numbers, nil
}

// blocked returns the list, which nobody may change.
func (s *List) blocked(ctx context.Context) (map[phone.Number]struct{}, error) {
	s.blocks.mu.Lock()
	defer s.blocks.mu.Unlock()
	if s.blocks.list != nil {
		return s.blocks.list, nil
	}
	var list map[phone.Number]struct{}
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		list, err = ReadBlocked(tx)
		return err
	})
	if errors.Is(err, seal.ErrTampered) {
		s.loseBlocked(ctx)
		return nil, nil
	}
	if err == nil {
		s.blocks.list = list
	}
	return list, err
}

// loseBlocked notes that the list in the store is damaged. That stops nobody's messages: the
// carrier holds back blocked customers' messages by its own list, and ours is read again from
// that. The caller holds blocks.mu.
func (s *List) loseBlocked(ctx context.Context) {
	if s.blocks.lost {
		return
	}
	s.blocks.lost = true
	s.Log.LogAttrs(ctx, slog.LevelError, "the block list in the store is damaged; it is read again from the carrier")
	s.MirrorSoon()
}

// FindBlocked reads the list again from the carrier if the one in the store is damaged.
// It returns errListLost when that is not possible now.
func (s *List) FindBlocked(ctx context.Context) error {
	if _, err := s.blocked(ctx); err != nil {
		return err
	}
	if !s.blocks.isLost() {
		return nil
	}
	err := s.Mirror(ctx)
	if errors.Is(err, carrier.ErrNotFound) {
		return nil // it has none: ours is empty now
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errListLost, err)
	}
	return nil
}

// restoreBlocked replaces our list with the carrier's if ours is damaged.
func (s *List) restoreBlocked(ctx context.Context, theirs []phone.Number) error {
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		_, err := ReadBlocked(tx)
		if !errors.Is(err, seal.ErrTampered) {
			return err
		}
		list := make(map[phone.Number]struct{}, len(theirs))
		for _, n := range theirs[:min(len(theirs), MaxBlocked)] {
			list[n] = struct{}{}
		}
		return writeBlocked(tx, list)
	})
	if err != nil {
		return err
	}
	s.blocks.mu.Lock()
	s.blocks.list, s.blocks.lost = nil, false
	s.blocks.mu.Unlock()
	s.Log.LogAttrs(ctx, slog.LevelWarn, "the block list was read from the carrier", slog.Int("entries", len(theirs)))
	return nil
}

// IsBlocked says whether a number is on the list.
func (s *List) IsBlocked(ctx context.Context, n phone.Number) (bool, error) {
	list, err := s.blocked(ctx)
	_, is := list[n]
	return is, err
}

// Drops says whether the relay drops what a number sends, and counts that.
func (s *List) Drops(ctx context.Context, n phone.Number) (bool, error) {
	blocked, err := s.IsBlocked(ctx, n)
	if blocked {
		s.Counts.Add(base.EventBlocked)
	}
	return blocked, err
}

// MirrorSoon makes MirrorBlocked compare the carrier's list with ours.
func (s *List) MirrorSoon() {
	select {
	case s.blocks.changed <- struct{}{}:
	default:
	}
}

// MirrorBlocked keeps the carrier's list the same as ours until ctx ends.
func (s *List) MirrorBlocked(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.blocks.changed:
		}
		err := s.Mirror(ctx)
		if err == nil || errors.Is(err, carrier.ErrOffline) || errors.Is(err, carrier.ErrNotFound) {
			continue // Connected asks again
		}
		s.Log.LogAttrs(ctx, slog.LevelWarn, "cannot tell the carrier who is blocked, retrying; the relay itself drops their messages", slog.Any("error", err))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(mirrorRetry):
			s.MirrorSoon()
		}
	}
}

// Mirror makes the carrier's list the same as ours, once. If ours is damaged, it becomes the
// carrier's, or empty when the carrier has none.
func (s *List) Mirror(ctx context.Context) error {
	b, ok := s.Carrier.(carrier.Blocker)
	if !ok {
		_, err := s.mended(ctx, nil)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, base.AttemptTime)
	defer cancel()
	theirs, there := b.Blocked(ctx)
	if there != nil && !errors.Is(there, carrier.ErrNotFound) {
		return there
	}
	ours, err := s.mended(ctx, theirs)
	if err != nil || there != nil {
		return cmp.Or(err, there)
	}
	return errors.Join(b.Unblock(ctx, without(theirs, ours)), b.Block(ctx, without(ours, theirs)))
}

// mended returns our list. If that is damaged, it is replaced with the carrier's first.
func (s *List) mended(ctx context.Context, theirs []phone.Number) ([]phone.Number, error) {
	ours, err := s.Blocked(ctx)
	if err != nil || !s.blocks.isLost() {
		return ours, err
	}
	if err := s.restoreBlocked(ctx, theirs); err != nil {
		return nil, err
	}
	return s.Blocked(ctx)
}

func (b *blocks) isLost() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// without returns the elements of a that are not in b.
func without(a, b []phone.Number) []phone.Number {
	in := make(map[phone.Number]struct{}, len(b))
	for _, n := range b {
		in[n] = struct{}{}
	}
	return slices.DeleteFunc(slices.Clone(a), func(n phone.Number) bool {
		_, is := in[n]
		return is
	})
}

// BlocklistChanged makes the next use read the list again, after another part's transaction
// changed it.
func (s *List) BlocklistChanged() { s.blocks.changedInStore() }
