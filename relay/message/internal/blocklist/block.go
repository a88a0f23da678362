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
	"strings"
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

// The block list is in two settings, which are the business's own data and outlive every epoch: eight
// bytes for each number, sorted, and entries of who has no number or was blocked by user id. That id is
// kept with them, since the customer's row ends with the retention and the block does not.
const (
	settingBlocked      = "blocked"
	settingBlockedUsers = "blocked users"
)

// maxBlockedUsers is how large the second setting may be, in bytes.
const maxBlockedUsers = store.MaxBody

// Entry is somebody who is blocked.
type Entry struct {
	Number phone.Number
	User   string // the user id by which they were blocked; empty for none
}

// mirrorRetry is how long after a failure to tell the carrier the next attempt comes.
const mirrorRetry = time.Minute

// blocks is the block list. The list in the store counts: the relay itself drops what blocked
// customers send. If the carrier can, it also holds that back.
type blocks struct {
	changed chan struct{}

	mu   sync.Mutex              // guards the following fields
	list map[phone.Number]string // to the user id by which they were blocked; nil before it was read
	lost bool                    // it was found damaged, and must be read from the carrier
}

// errListLost means that the block list in the store is damaged and has not been read from
// the carrier yet.
var errListLost = errors.New("the block list is damaged, and the carrier, which has a copy, cannot be reached: try again later")

func numberOf(n uint64) (phone.Number, error) {
	return phone.Parse("+" + strconv.FormatUint(n, 10))
}

// ReadBlocked reads the list in the store. It returns seal.ErrTampered if that is damaged.
func ReadBlocked(tx *store.Tx) (map[phone.Number]string, error) {
	saved, err := tx.Setting(settingBlocked)
	if err != nil {
		return nil, err
	}
	list := make(map[phone.Number]string, len(saved)/8)
	for entry := range slices.Chunk(saved, 8) {
		if len(entry) < 8 {
			break
		}
		if n, err := numberOf(binary.BigEndian.Uint64(entry)); err == nil {
			list[n] = ""
		}
	}
	users, err := tx.Setting(settingBlockedUsers)
	if err != nil {
		return nil, err
	}
	return list, readUsers(users, list)
}

// readUsers adds the entries of the second setting: the key and the user id of each, behind their
// lengths.
func readUsers(saved []byte, list map[phone.Number]string) error {
	for len(saved) > 0 {
		var parts [2]string
		for i := range parts {
			n, used := binary.Uvarint(saved)
			if used <= 0 || n > uint64(len(saved)-used) {
				return seal.ErrTampered
			}
			parts[i], saved = string(saved[used:used+int(n)]), saved[used+int(n):]
		}
		n, err := phone.ParseKey(parts[0])
		if err != nil {
			return seal.ErrTampered
		}
		list[n] = parts[1]
	}
	return nil
}

// writeUsers writes the second setting. It returns ErrBlockListFull when it would be too large.
func writeUsers(tx *store.Tx, list map[phone.Number]string) error {
	var entries []string
	for n, user := range list {
		if user == "" && n.HasDigits() {
			continue
		}
		var e []byte
		for _, part := range []string{n.Key(), user} {
			e = append(binary.AppendUvarint(e, uint64(len(part))), part...)
		}
		entries = append(entries, string(e))
	}
	slices.Sort(entries)
	saved := []byte(strings.Join(entries, ""))
	if len(saved) > maxBlockedUsers {
		return ErrBlockListFull
	}
	if len(saved) == 0 {
		saved = nil // removes it
	}
	return tx.PutSetting(settingBlockedUsers, saved)
}

func writeBlocked(tx *store.Tx, list map[phone.Number]string) error {
	if err := writeUsers(tx, list); err != nil {
		return err
	}
	numbers := make([]uint64, 0, len(list))
	for n, user := range list {
		if user != "" || !n.HasDigits() {
			continue
		}
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
func (s *List) changeBlocked(ctx context.Context, change func(map[phone.Number]string)) error {
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
func (s *List) Block(ctx context.Context, entries []Entry) error {
	return s.changeBlocked(ctx, func(list map[phone.Number]string) {
		for _, e := range entries {
			list[e.Number] = cmp.Or(e.User, list[e.Number])
		}
	})
}

// Unblock ends Block. Unblocking somebody who is not blocked is harmless.
func (s *List) Unblock(ctx context.Context, numbers []phone.Number) error {
	return s.changeBlocked(ctx, func(list map[phone.Number]string) {
		for _, n := range numbers {
			delete(list, n)
		}
	})
}

// Blocked returns who is blocked, sorted: numbers by their value, then names.
func (s *List) Blocked(ctx context.Context) ([]Entry, error) {
	list, err := s.blocked(ctx)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(list))
	for n, user := range list {
		entries = append(entries, Entry{n, user})
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		a1, b1 := a.Number, b.Number
		if a1.HasDigits() != b1.HasDigits() {
			if a1.HasDigits() {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(len(a1.Digits()), len(b1.Digits())), cmp.Compare(a1.Key(), b1.Key()))
	})
	return entries, nil
}

// numbers returns who is blocked, as the carrier knows them.
func (s *List) numbers(ctx context.Context) ([]phone.Number, error) {
	entries, err := s.Blocked(ctx)
	if err != nil {
		return nil, err
	}
	numbers := make([]phone.Number, len(entries))
	for i, e := range entries {
		numbers[i] = e.Number
	}
	return numbers, nil
}

// blocked returns the list, which nobody may change.
func (s *List) blocked(ctx context.Context) (map[phone.Number]string, error) {
	s.blocks.mu.Lock()
	defer s.blocks.mu.Unlock()
	if s.blocks.list != nil {
		return s.blocks.list, nil
	}
	var list map[phone.Number]string
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
		list := make(map[phone.Number]string, len(theirs))
		for _, n := range theirs[:min(len(theirs), MaxBlocked)] {
			list[n] = ""
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

// Allowed says whether a number is known not to be on the list. It does not read the list.
func (s *List) Allowed(n phone.Number) bool {
	s.blocks.mu.Lock()
	defer s.blocks.mu.Unlock()
	_, is := s.blocks.list[n]
	return s.blocks.list != nil && !is
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
	ours, err := s.numbers(ctx)
	if err != nil || !s.blocks.isLost() {
		return ours, err
	}
	if err := s.restoreBlocked(ctx, theirs); err != nil {
		return nil, err
	}
	return s.numbers(ctx)
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
