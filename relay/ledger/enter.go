package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/store"
)

// settingPending is the store's setting with the sums of minutes and hours that are not over.
const settingPending = "log-pending"

// maxLeafSums is how many sums one entry has at most, so that it fits.
const maxLeafSums = 256

// bucket are the sums of one minute or hour.
type bucket struct {
	Begin   int64       `json:"begin"` // Unix seconds
	Seconds int64       `json:"seconds"`
	Sums    []proof.Sum `json:"sums"`
}

func (b *bucket) add(k sumKey, n int64) {
	for i := range b.Sums {
		if s := &b.Sums[i]; s.Who == k.who && s.Kind == k.kind && s.Result == k.result {
			s.Count += n
			return
		}
	}
	b.Sums = append(b.Sums, proof.Sum{Who: k.who, Kind: k.kind, Result: k.result, Count: n})
}

// Enter adds an entry about one thing in a transaction, with what the thing changes.
func Enter(tx *store.Tx, kind proof.Kind, body []byte, now time.Time) (index int64, err error) {
	leaf, err := proof.NewEntry(kind, body, now)
	if err != nil {
		return 0, err
	}
	return appendLeaf(tx, leaf, now)
}

// hashes reads the log's hashes in a transaction.
type hashes struct{ tx *store.Tx }

// ReadHashes implements tlog.HashReader.
func (h hashes) ReadHashes(places []int64) ([]tlog.Hash, error) {
	found, err := h.tx.LogHashes(places...)
	if err != nil {
		return nil, err
	}
	all := make([]tlog.Hash, len(found))
	for i, f := range found {
		all[i] = f
	}
	return all, nil
}

// size returns how many entries the log has, and the place of the next hash.
func size(tx *store.Tx) (entries, place int64, err error) {
	place, err = tx.LogPlaces()
	if err != nil || place == 0 {
		return 0, place, err
	}
	level, entries := tlog.SplitStoredHashIndex(place)
	if level != 0 {
		return 0, 0, fmt.Errorf("the log's hashes: %w", store.ErrDamaged)
	}
	return entries, place, nil
}

func appendLeaf(tx *store.Tx, leaf []byte, now time.Time) (index int64, err error) {
	index, place, err := size(tx)
	if err != nil {
		return 0, err
	}
	further, err := tlog.StoredHashesForRecordHash(index, tlog.RecordHash(leaf), hashes{tx})
	if err != nil {
		return 0, err
	}
	stored := make([]store.LogHash, len(further))
	for i, h := range further {
		stored[i] = h
	}
	return index, tx.AppendLog(index, leaf, now, place, stored)
}

// save stores what was counted, and enters the minutes and hours that are over.
func (l *Ledger) save(ctx context.Context, update func(context.Context, func(*store.Tx) error) error) error {
	select {
	case l.saving <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.saving }()
	now := l.Now()
	l.mu.Lock()
	counted := l.counts
	if len(counted) == 0 && !l.due(now) {
		l.mu.Unlock()
		return nil
	}
	l.counts, l.begun = map[sumKey]int64{}, now
	l.mu.Unlock()
	var entries, next int64
	err := update(ctx, func(tx *store.Tx) (err error) {
		if next, err = merge(tx, counted, now); err == nil {
			entries, _, err = size(tx)
		}
		return err
	})
	l.saved(ctx, counted, err)
	if err != nil {
		return err
	}
	l.nextDue = next
	if entries > l.State().Size {
		l.set(func(s *State) { s.Size = max(s.Size, entries) })
	}
	return nil
}

// saved notes whether what was counted could be stored. What could not be counts as before, and is logged when that begins.
func (l *Ledger) saved(ctx context.Context, counted map[sumKey]int64, err error) {
	l.mu.Lock()
	l.begun = time.Time{}
	if err != nil {
		for k, n := range counted {
			l.counts[k] += n
		}
	}
	changed := (l.state.Unwritten == nil) != (err == nil) && !errors.Is(err, context.Canceled)
	l.mu.Unlock()
	if !changed {
		return
	}
	if err != nil {
		l.Log.LogAttrs(ctx, slog.LevelWarn, "the log's sums were not stored, trying again", slog.Any("error", err))
	}
	l.set(func(s *State) { s.Unwritten = err })
}

// due says whether a minute or hour with sums is over.
func (l *Ledger) due(now time.Time) bool { return l.nextDue != 0 && now.Unix() >= l.nextDue }

// merge adds what was counted to what is pending, and enters what is over. It returns when the next minute or hour with sums
// is over; 0 for none.
func merge(tx *store.Tx, counted map[sumKey]int64, now time.Time) (next int64, err error) {
	pending, err := readPending(tx)
	if err != nil {
		return 0, err
	}
	was := len(pending)
	for k, n := range counted {
		i := slices.IndexFunc(pending, func(b bucket) bool { return b.Begin == k.begin && b.Seconds == k.seconds })
		if i < 0 {
			i, pending = len(pending), append(pending, bucket{Begin: k.begin, Seconds: k.seconds})
		}
		pending[i].add(k, n)
	}
	slices.SortFunc(pending, func(a, b bucket) int { return cmp.Or(cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.Seconds, b.Seconds)) })
	var left []bucket
	for _, b := range pending {
		if over := b.Begin + b.Seconds; now.Unix() < over {
			left = append(left, b)
			if next == 0 || over < next {
				next = over
			}
			continue
		}
		if err := enterBucket(tx, b, now); err != nil {
			return 0, err
		}
	}
	if was == 0 && len(left) == 0 {
		return 0, nil
	}
	return next, writePending(tx, left)
}

func enterBucket(tx *store.Tx, b bucket, now time.Time) error {
	// In an order that says nothing about which came first.
	slices.SortFunc(b.Sums, func(x, y proof.Sum) int {
		return cmp.Or(cmp.Compare(x.Who, y.Who), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Result, y.Result))
	})
	for part := range slices.Chunk(b.Sums, maxLeafSums) {
		leaf, err := proof.NewSums(part, time.Unix(b.Begin, 0), time.Duration(b.Seconds)*time.Second)
		if err != nil {
			return err
		}
		if _, err := appendLeaf(tx, leaf, now); err != nil {
			return err
		}
	}
	return nil
}

func readPending(tx *store.Tx) (pending []bucket, err error) {
	value, err := tx.Setting(settingPending)
	if err != nil || value == nil {
		return nil, err
	}
	if json.Unmarshal(value, &pending) != nil {
		return nil, errors.New("reading the log's sums: they are not what this relay writes")
	}
	return pending, nil
}

func writePending(tx *store.Tx, pending []bucket) error {
	if len(pending) == 0 {
		return tx.PutSetting(settingPending, nil)
	}
	value, err := json.Marshal(pending)
	if err != nil {
		return fmt.Errorf("writing the log's sums: %w", err)
	}
	return tx.PutSetting(settingPending, value)
}
