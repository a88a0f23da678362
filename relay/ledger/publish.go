package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/store"
)

// settingCheckpoint is the store's setting with what was signed last.
const settingCheckpoint = "log-checkpoint"

// signed is what was signed last.
type signed struct {
	Key string `json:"key,omitempty"` // whose entry is in the log
	// Latest is the latest checkpoint, Witnessed the latest with a cosignature.
	Latest    []byte `json:"latest,omitempty"`
	Witnessed []byte `json:"witnessed,omitempty"`
}

// sizeOf is the size of a checkpoint; 0 for none.
func sizeOf(note []byte) int64 {
	c, err := proof.Unverified(note)
	if err != nil {
		return 0
	}
	return c.N
}

func readSigned(tx *store.Tx) (s signed, err error) {
	value, err := tx.Setting(settingCheckpoint)
	if err != nil || value == nil {
		return s, err
	}
	if json.Unmarshal(value, &s) != nil {
		return s, errors.New("reading the log's checkpoint: it is not what this relay writes")
	}
	return s, nil
}

func writeSigned(tx *store.Tx, s signed) error {
	value, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("writing the log's checkpoint: %w", err)
	}
	return tx.PutSetting(settingCheckpoint, value)
}

// load reads how the log is.
func (l *Ledger) load(ctx context.Context) error {
	var now State
	var next int64
	err := l.Store.View(ctx, func(tx *store.Tx) error {
		s, err := readSigned(tx)
		if err != nil {
			return err
		}
		pending, err := readPending(tx)
		if err != nil {
			return err
		}
		for _, b := range pending {
			if over := b.Begin + b.Seconds; next == 0 || over < next {
				next = over
			}
		}
		now.Key, now.Signed, now.Witnessed = s.Key, sizeOf(s.Latest), sizeOf(s.Witnessed)
		now.Size, _, err = size(tx)
		return err
	})
	if err != nil {
		next = 1 // it is not known, so that it is looked for
	}
	l.saving <- struct{}{}
	l.nextDue = next
	<-l.saving
	if err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	l.set(func(s *State) { *s = now })
	return nil
}

// publish has a checkpoint signed if there are new entries, and cosigned.
func (l *Ledger) publish(ctx context.Context) {
	if l.Signer == nil {
		return
	}
	now := l.Now()
	if now.Before(l.nextSign) && l.nextSign.Sub(now) <= askEvery { // a clock that was set back delays nothing
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	did, err := l.sign(ctx)
	if ctx.Err() != nil && err != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return
	}
	switch {
	case err != nil:
		l.nextSign = now.Add(askEvery)
	case did:
		l.nextSign = now.Add(signEvery)
	}
	if was := l.State().Unsigned; text(was) != text(err) {
		if err != nil {
			l.Log.LogAttrs(ctx, slog.LevelWarn, "the log's checkpoint was not signed, trying again", slog.Any("error", err))
		}
		l.set(func(s *State) { s.Unsigned = err })
	}
	if err == nil {
		l.ask(ctx)
	}
}

// text is what an error says; empty without one.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// sign signs the log as it is now, unless that was done.
func (l *Ledger) sign(ctx context.Context) (did bool, err error) {
	if l.key == nil {
		if err := l.learnKey(ctx); err != nil {
			return false, err
		}
	}
	var last signed
	var tree tlog.Tree
	err = l.Store.View(ctx, func(tx *store.Tx) (err error) {
		if last, err = readSigned(tx); err != nil {
			return err
		}
		if tree.N, _, err = size(tx); err != nil {
			return err
		}
		if tree.N == sizeOf(last.Latest) {
			return nil
		}
		tree.Hash, err = tlog.TreeHash(tree.N, hashes{tx})
		return err
	})
	if err != nil {
		return false, err
	}
	l.set(func(s *State) {
		s.Size, s.Signed, s.Witnessed = max(s.Size, tree.N), sizeOf(last.Latest), sizeOf(last.Witnessed)
	})
	if tree.N == sizeOf(last.Latest) {
		return false, nil
	}
	signedNote, err := note.Sign(&note.Note{Text: proof.Text(l.Origin, tree)}, noteSigner{l.key, func(text []byte) ([]byte, error) { return l.Signer.SignLog(ctx, text) }})
	if err != nil {
		return false, err
	}
	if _, err := proof.ParseCheckpoint(signedNote, l.key); err != nil {
		l.key = nil // it was replaced
		return false, fmt.Errorf("what was signed: %w", err)
	}
	err = l.Store.UpdateLate(ctx, func(tx *store.Tx) error {
		s, err := readSigned(tx)
		if err != nil {
			return err
		}
		s.Latest = signedNote
		return writeSigned(tx, s)
	})
	if err != nil {
		return false, err
	}
	l.set(func(s *State) { s.Signed = tree.N })
	return true, nil
}

// noteSigner signs notes.
type noteSigner struct {
	note.Verifier
	sign func([]byte) ([]byte, error)
}

// Sign implements note.Signer.
func (s noteSigner) Sign(text []byte) ([]byte, error) { return s.sign(text) }

// learnKey reads the public key, and enters it into the log if it is another than before.
func (l *Ledger) learnKey(ctx context.Context) error {
	public, err := l.Signer.LogKey(ctx)
	if err != nil {
		return err
	}
	key, err := proof.KeyOf(l.Origin, public)
	if err != nil {
		return err
	}
	verifier, err := proof.LogVerifier(key)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"key": key})
	if err != nil {
		return fmt.Errorf("writing the log's key: %w", err)
	}
	err = l.Store.Update(ctx, func(tx *store.Tx) error {
		s, err := readSigned(tx)
		if err != nil || s.Key == key {
			return err
		}
		s.Key = key
		if _, err := Enter(tx, proof.Key, body, l.Now()); err != nil {
			return err
		}
		return writeSigned(tx, s)
	})
	if err != nil {
		return err
	}
	l.key = verifier
	l.set(func(s *State) { s.Key = key })
	return nil
}

// ask has the latest checkpoint cosigned, unless that was done. A witness that does not answer is asked again after a while,
// and delays nothing else.
func (l *Ledger) ask(ctx context.Context) {
	if l.Witness == nil {
		return
	}
	now := l.Now()
	if now.Before(l.nextAsked) && l.nextAsked.Sub(now) <= askEvery {
		return
	}
	var s signed
	err := l.Store.View(ctx, func(tx *store.Tx) (err error) {
		s, err = readSigned(tx)
		return err
	})
	if err != nil || s.Latest == nil {
		return
	}
	if sizeOf(s.Latest) == sizeOf(s.Witnessed) && l.State().Away == nil && !l.State().WitnessedAt.IsZero() {
		return
	}
	cosigned, err := l.cosign(ctx, s)
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return
	}
	if err == nil {
		err = l.Store.UpdateLate(ctx, func(tx *store.Tx) error {
			s, err := readSigned(tx)
			if err != nil {
				return err
			}
			s.Witnessed = cosigned
			return writeSigned(tx, s)
		})
	}
	if err != nil {
		l.nextAsked = now.Add(askEvery)
		if l.State().Away == nil {
			l.Log.LogAttrs(ctx, slog.LevelWarn, "the witness did not cosign the log, trying again", slog.Any("error", err))
		}
		l.set(func(s *State) { s.Away = err })
		return
	}
	l.set(func(s *State) { s.Away, s.Witnessed, s.WitnessedAt = nil, sizeOf(cosigned), now })
}

// cosign asks the witness.
func (l *Ledger) cosign(ctx context.Context, s signed) ([]byte, error) {
	n := sizeOf(s.Latest)
	lines, err := l.Witness.Add(ctx, sizeOf(s.Witnessed), func(old int64) ([][32]byte, error) {
		if old > n {
			return nil, ErrRolledBack
		}
		if old == 0 || old == n {
			return nil, nil
		}
		var path tlog.TreeProof
		err := l.Store.View(ctx, func(tx *store.Tx) (err error) {
			path, err = tlog.ProveTree(n, old, hashes{tx})
			return err
		})
		all := make([][32]byte, len(path))
		for i, h := range path {
			all[i] = h
		}
		return all, err
	}, s.Latest)
	if err != nil {
		return nil, err
	}
	return proof.Cosign(s.Latest, lines, l.Witness.Verifier())
}
