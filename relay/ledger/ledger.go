package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Times.
const (
	// SaveEvery is how often what was counted is stored.
	SaveEvery = 5 * time.Second
	// signEvery is the least time between two checkpoints.
	signEvery = time.Minute
	// askEvery is how long a witness that does not answer, and a signer that refuses, are left alone.
	askEvery = 5 * time.Minute
	// callTime bounds one call to either.
	callTime = 15 * time.Second
	// lateAfter is how long the store may take until what was counted counts as unwritten.
	lateAfter = 10 * time.Second
)

// maxSums bounds how many different sums are counted at once. What is more is counted for proof.Others, and once there are
// twice as many, because nothing can be stored for long, by the hour.
const maxSums = 4096

// Store is what a Ledger needs of the store.
type Store interface {
	Update(ctx context.Context, fn func(*store.Tx) error) error
	UpdateLate(ctx context.Context, fn func(*store.Tx) error) error
	View(ctx context.Context, fn func(*store.Tx) error) error
}

// Signer signs checkpoints.
type Signer interface {
	// LogKey returns the public key, and makes the key if there is none.
	LogKey(ctx context.Context) (ed25519.PublicKey, error)
	// SignLog signs what that key verifies.
	SignLog(ctx context.Context, text []byte) (signature []byte, err error)
}

// Witness cosigns checkpoints.
type Witness interface {
	// Add asks for a cosignature. Old is the size of the checkpoint that it cosigned last, as far as that is known, and
	// prove returns the proof that the log only grew since a size. It returns lines of signatures. Errors are also those of
	// prove, ErrForked and ErrRefused.
	Add(ctx context.Context, old int64, prove func(old int64) ([][32]byte, error), signed []byte) (lines []byte, err error)
	// Verifier checks its signatures.
	Verifier() note.Verifier
}

// errLate means that the store takes long to store counts.
var errLate = errors.New("the store does not answer")

// Errors of a witness.
var (
	// ErrRolledBack means that the witness has cosigned a longer log: this one was rolled back.
	ErrRolledBack = errors.New("the witness has cosigned a longer log: this one was rolled back, or the store was restored from a copy")
	// ErrForked means that the witness has cosigned another history.
	ErrForked = errors.New("the witness has cosigned another history of this log")
	// ErrRefused means that the witness does not cosign this log.
	ErrRefused = errors.New("the witness does not know this log, or its present key: add it there (relay witness add)")
)

// Options say whose log it is. Store, Origin and Now are required.
type Options struct {
	Store   Store
	Origin  string
	Signer  Signer  // nil: nothing is signed
	Witness Witness // nil: nobody cosigns
	Now     func() time.Time
	Log     *slog.Logger
}

// State is how a log is.
type State struct {
	Size int64 // entries
	// Unwritten is why what was counted is not in the store yet; nil while it is, or is about to be.
	Unwritten error
	Key       string // public, as signed notes have it; empty before it is known
	Signed    int64  // up to where a checkpoint is signed
	// Unsigned is why the latest checkpoint is not signed; nil if it is.
	Unsigned  error
	Witnessed int64 // up to where a checkpoint is cosigned
	// WitnessedAt is when the witness cosigned last; zero for never.
	WitnessedAt time.Time
	// Away is why the witness did not cosign the latest checkpoint; nil if it did, or is not asked.
	Away error
}

// Ledger keeps a log. It is safe for concurrent use.
type Ledger struct {
	Options

	mu     sync.Mutex // guards the following fields
	counts map[sumKey]int64
	state  State
	begun  time.Time // when the store was asked to store counts; zero while it is not

	saving  chan struct{} // has room while no counts are stored; guards nextDue
	nextDue int64         // when a minute or hour with sums is over, Unix seconds; 0 for none
	wake    chan struct{}

	// Only publish uses the following fields.
	key       note.Verifier
	nextSign  time.Time
	nextAsked time.Time
}

// sumKey is what is counted together.
type sumKey struct {
	begin       int64 // Unix seconds
	seconds     int64
	who, result string
	kind        proof.Kind
}

// New returns a ledger. It does nothing before Run, but counts.
func New(o Options) *Ledger {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Ledger{Options: o, counts: map[sumKey]int64{}, saving: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
}

// Count counts something that was done now. It costs a fraction of a microsecond, and never waits for the store.
func (l *Ledger) Count(who string, kind proof.Kind, result string) {
	span := int64(kind.Span() / time.Second)
	now := l.Now().Unix()
	k := sumKey{now - now%span, span, who, result, kind}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.counts[k]; !known && len(l.counts) >= maxSums {
		k.who = proof.Others
	}
	if _, known := l.counts[k]; !known && len(l.counts) >= 2*maxSums {
		span = int64(proof.Hour / time.Second)
		k.begin, k.seconds = now-now%span, span
	}
	l.counts[k]++
}

// CountNow counts something, and stores what was counted. After an error, also that of ctx, it is stored later.
func (l *Ledger) CountNow(ctx context.Context, who string, kind proof.Kind, result string) error {
	l.Count(who, kind, result)
	return l.save(ctx, l.Store.Update)
}

// Enter adds an entry about one thing, durably. Body is a JSON object of at most proof.MaxBody bytes without anything
// personal. It returns the entry's index.
func (l *Ledger) Enter(ctx context.Context, kind proof.Kind, body []byte) (index int64, err error) {
	err = l.Store.Update(ctx, func(tx *store.Tx) (err error) {
		index, err = Enter(tx, kind, body, l.Now())
		return err
	})
	if err == nil {
		l.entered(index + 1)
	}
	return index, err
}

// entered notes how many entries there are, and has Run look at them at once.
func (l *Ledger) entered(size int64) {
	l.set(func(s *State) { s.Size = max(s.Size, size) })
	l.poke()
}

// EnterChanged is Enter, unless the latest entry of that kind that it made has the same body.
func (l *Ledger) EnterChanged(ctx context.Context, kind proof.Kind, body []byte) error {
	name := settingLatest + string(kind)
	var was []byte
	err := l.Store.View(ctx, func(tx *store.Tx) (err error) {
		was, err = tx.Setting(name)
		return err
	})
	if err != nil || bytes.Equal(was, body) {
		return err
	}
	var index int64
	err = l.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if index, err = Enter(tx, kind, body, l.Now()); err != nil {
			return err
		}
		return tx.PutSetting(name, body)
	})
	if err == nil {
		l.entered(index + 1)
	}
	return err
}

// settingLatest begins the names of the store's settings with the latest body of a kind.
const settingLatest = "log-latest-"

// poke has Run look at once.
func (l *Ledger) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// State returns how the log is.
func (l *Ledger) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.state
	if s.Unwritten == nil && !l.begun.IsZero() && l.Now().Sub(l.begun) > lateAfter {
		s.Unwritten = errLate
	}
	return s
}

func (l *Ledger) set(change func(*State)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.state)
}

// Run stores what is counted, closes minutes and hours, and has checkpoints signed and cosigned, until ctx ends. What was
// counted last is for Flush. A log that cannot be read is tried again; State says why nothing is signed.
func (l *Ledger) Run(ctx context.Context) error {
	if err := l.load(ctx); err != nil && ctx.Err() == nil {
		l.Log.LogAttrs(ctx, slog.LevelError, "the log cannot be read, trying again", slog.Any("error", err))
	}
	publish, published := make(chan struct{}, 1), make(chan struct{})
	go func() { // beside the saving: a witness that does not answer holds up no sum
		defer close(published)
		for range publish {
			l.publish(ctx)
		}
	}()
	defer func() { close(publish); <-published }()
	every := time.NewTicker(SaveEvery)
	defer every.Stop()
	for {
		_ = l.save(ctx, l.Store.UpdateLate) // it is tried again, and State says so
		select {
		case publish <- struct{}{}:
		default:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-every.C:
		case <-l.wake:
		}
	}
}

// Flush stores what was counted. Call it when nothing is counted any more.
func (l *Ledger) Flush(ctx context.Context) error { return l.save(ctx, l.Store.Update) }
