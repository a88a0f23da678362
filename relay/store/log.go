package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// MaxLogEntry is the longest entry of the log, in bytes: a bundle of entries has two bytes for the length of each.
const MaxLogEntry = 1<<16 - 1

const purposeLog = "log"

// LogHash is a hash of the log's tree.
type LogHash = [sha256.Size]byte

// LogPlaces returns how many hashes the log has: the next one's place.
func (t *Tx) LogPlaces() (int64, error) {
	return t.integer(`SELECT coalesce(max(place) + 1, 0) FROM log_hashes`)
}

// LogHashes returns the log's hashes at the given places. It returns ErrNotFound when one is not there.
func (t *Tx) LogHashes(places ...int64) ([]LogHash, error) {
	hashes := make([]LogHash, len(places))
	for i, place := range places {
		found, err := t.first(`SELECT hash FROM log_hashes WHERE place = ?`, func(r row) error {
			if copy(hashes[i][:], r.octets(0)) != len(hashes[i]) {
				return seal.ErrTampered
			}
			return nil
		}, place)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, ErrNotFound
		}
	}
	return hashes, nil
}

// AppendLog adds an entry to the log, sealed under the key of the settings, and the hashes that follow from it, whose
// first has the given place.
func (t *Tx) AppendLog(index int64, entry []byte, at time.Time, place int64, hashes []LogHash) error {
	if err := t.allow(index >= 0, len(entry) > 0, len(entry) <= MaxLogEntry, !at.IsZero(), place >= 0); err != nil {
		return err
	}
	key, sealed, err := t.shared.settings.Seal(purposeLog, rowOf(index, toMillis(at)), entry)
	if err != nil {
		return err
	}
	for i, h := range hashes {
		if err := t.write(`INSERT INTO log_hashes (place, hash) VALUES (?, ?)`, place+int64(i), h[:]); err != nil {
			return err
		}
	}
	return t.write(`INSERT INTO log_entries (place, created, epoch, sealed) VALUES (?, ?, ?, ?)`, index, toMillis(at), key, sealed)
}

// LogEntries returns the log's entries from one index on and before another; nil for one that was dropped, or is not
// what was sealed.
func (t *Tx) LogEntries(from, to int64) ([][]byte, error) {
	entries := make([][]byte, max(to-from, 0))
	err := t.rows(`SELECT place, created, epoch, sealed FROM log_entries WHERE place >= ? AND place < ? ORDER BY place`, func(r row) error {
		var index, created, key int64
		if err := r.integers(&index, &created, &key); err != nil {
			return err
		}
		entry, err := t.shared.settings.Open(key, purposeLog, rowOf(index, created), r.octets(3))
		if errors.Is(err, seal.ErrTampered) {
			return nil // its hash tells
		}
		entries[index-from] = entry
		return err
	}, from, to)
	return entries, err
}

// DropLog drops the entries of the log that were added before the given time. Their hashes stay.
func (s *Store) DropLog(ctx context.Context, before time.Time) error {
	n := 0
	return s.deleteAll(ctx, &n, `DELETE FROM log_entries WHERE place IN (SELECT place FROM log_entries ORDER BY place LIMIT ?) AND created < ?`,
		int64(sweepBatch), toMillis(before))
}

// moveLog seals every entry of the log under the present key of the settings.
func (t *Tx) moveLog(key int64) error {
	for {
		var index, created, former int64
		var sealed []byte
		found, err := t.first(`SELECT place, created, epoch, sealed FROM log_entries WHERE epoch <> ? ORDER BY place LIMIT 1`, func(r row) error {
			sealed = r.octets(3)
			return r.integers(&index, &created, &former)
		}, key)
		if err != nil || !found {
			return err
		}
		entry, err := t.shared.settings.Open(former, purposeLog, rowOf(index, created), sealed)
		if err != nil {
			return err
		}
		current, sealed, err := t.shared.settings.Seal(purposeLog, rowOf(index, created), entry)
		if err == nil && current != key {
			err = errors.New("store: the key of the settings changed while they moved")
		}
		if err != nil {
			return err
		}
		if _, err := t.run(`UPDATE log_entries SET epoch = ?, sealed = ? WHERE place = ?`, key, sealed, index); err != nil {
			return err
		}
	}
}
