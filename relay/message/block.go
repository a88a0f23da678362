package message

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// MaxBlocked is how many customers a business may block ("Block users").
const MaxBlocked = 64_000

// ErrBlockListFull means that the business has blocked as many as it may.
var ErrBlockListFull = errors.New("the block list is full")

// settingBlocked names the block list: eight bytes a number, sorted. It is the
// business's own and, like all settings, outlives every epoch.
const settingBlocked = "blocked"

// mirrorRetry is how soon the carrier is told again after it could not be.
const mirrorRetry = time.Minute

// blocks is the block list. What is in the store counts: the relay itself drops what
// blocked customers send, and has the carrier hold it back where the carrier does.
type blocks struct {
	changed chan struct{}

	mu   sync.Mutex                // guards the following field
	list map[phone.Number]struct{} // nil before it was read
}

func numberOf(n uint64) (phone.Number, error) {
	return phone.Parse("+" + strconv.FormatUint(n, 10))
}

// readBlocked reads the list in the store.
func readBlocked(tx *store.Tx) (map[phone.Number]struct{}, error) {
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

// changeBlocked changes the list, durably, and has the carrier told.
func (s *Service) changeBlocked(ctx context.Context, change func(map[phone.Number]struct{})) error {
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		list, err := readBlocked(tx)
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
	s.blocks.changedInStore()
	s.mirrorSoon()
	return nil
}

// changedInStore has the list read again: others may have changed it meanwhile.
func (b *blocks) changedInStore() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = nil
}

// unlist takes a number off the list in the store; was says that it was there.
func unlist(tx *store.Tx, n phone.Number) (was bool, err error) {
	list, err := readBlocked(tx)
	if err != nil {
		return false, err
	}
	if _, was = list[n]; !was {
		return false, nil
	}
	delete(list, n)
	return true, writeBlocked(tx, list)
}

// Block has the relay drop what customers send from now on, and refuse to write to
// them. Blocking somebody twice is harmless. Or it returns ErrBlockListFull, and
// nobody is blocked.
func (s *Service) Block(ctx context.Context, numbers []phone.Number) error {
	return s.changeBlocked(ctx, func(list map[phone.Number]struct{}) {
		for _, n := range numbers {
			list[n] = struct{}{}
		}
	})
}

// Unblock ends Block. Who is not blocked stays so.
func (s *Service) Unblock(ctx context.Context, numbers []phone.Number) error {
	return s.changeBlocked(ctx, func(list map[phone.Number]struct{}) {
		for _, n := range numbers {
			delete(list, n)
		}
	})
}

// Blocked returns who is blocked, sorted.
func (s *Service) Blocked(ctx context.Context) ([]phone.Number, error) {
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

// blocked returns the list, which nobody changes.
func (s *Service) blocked(ctx context.Context) (map[phone.Number]struct{}, error) {
	s.blocks.mu.Lock()
	defer s.blocks.mu.Unlock()
	if s.blocks.list != nil {
		return s.blocks.list, nil
	}
	var list map[phone.Number]struct{}
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		list, err = readBlocked(tx)
		return err
	})
	if err == nil {
		s.blocks.list = list
	}
	return list, err
}

func (s *Service) isBlocked(ctx context.Context, n phone.Number) (bool, error) {
	list, err := s.blocked(ctx)
	_, is := list[n]
	return is, err
}

// drops says whether what a number sends is dropped, and counts it.
func (s *Service) drops(ctx context.Context, n phone.Number) (bool, error) {
	blocked, err := s.isBlocked(ctx, n)
	if blocked {
		s.counts.add(EventBlocked)
	}
	return blocked, err
}

// refused ends a job for a customer who is blocked: a message fails, receipts and
// the like just are not sent.
func refused(k kind) error {
	if k == kindText || k == kindMedia || k == kindBounced {
		return fails(webhook.Undeliverable("The business has blocked the recipient: unblock them to write to them."))
	}
	return errFinished
}

func (s *Service) mirrorSoon() {
	select {
	case s.blocks.changed <- struct{}{}:
	default:
	}
}

// mirrorBlocked keeps the carrier's list as ours is, until ctx ends.
func (s *Service) mirrorBlocked(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.blocks.changed:
		}
		err := s.mirror(ctx)
		if err == nil || errors.Is(err, carrier.ErrOffline) || errors.Is(err, carrier.ErrNotFound) {
			continue // Connected asks again
		}
		s.Log.LogAttrs(ctx, slog.LevelWarn, "telling the carrier who is blocked failed; the relay itself drops what they send", slog.Any("error", err))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(mirrorRetry):
			s.mirrorSoon()
		}
	}
}

// mirror makes the carrier's list as ours is, once.
func (s *Service) mirror(ctx context.Context) error {
	b, ok := s.Link.(carrier.Blocker)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	theirs, err := b.Blocked(ctx)
	if err != nil {
		return err
	}
	ours, err := s.Blocked(ctx)
	if err != nil {
		return err
	}
	return errors.Join(b.Unblock(ctx, without(theirs, ours)), b.Block(ctx, without(ours, theirs)))
}

// without returns those of a that are not in b.
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
