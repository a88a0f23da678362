package store

import (
	"context"
	"crypto/hmac"
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// Bounds of the requests that are remembered.
const (
	// RequestTime is how long a request is remembered.
	RequestTime = 24 * time.Hour
	// MaxRequests is how many are remembered at most: beyond that the oldest are forgotten.
	MaxRequests = 500_000
	// oldRequests is how many old ones are removed with each new one, so that they do not pile up between sweeps.
	oldRequests = 4
)

const (
	purposeRequest     = "request"
	purposeRequestBody = "request body"
)

// ErrOtherBody means that a request with that key was done, and had another body.
var ErrOtherBody = errors.New("store: the request's key was used for another body")

// Once identifies a request with an idempotency key. Neither value is stored, but an HMAC of each, whose key dies with
// the epoch.
type Once struct {
	Key  string   // the caller's; not empty
	Body [32]byte // a hash of everything that the request asks for
}

// sealedRequest is a request's row as it is stored.
type sealedRequest struct {
	row, epoch, created int64
	lookup, sealed      []byte
}

func (s *sealedRequest) scan(r row) error {
	r.numbers(&s.row, &s.epoch, &s.created)
	s.lookup, s.sealed = r.octets(3), r.octets(4)
	return nil
}

func (s *sealedRequest) identity() []byte {
	w := &writer{b: rowOf(s.row, s.created)}
	return w.bytes(s.lookup).b
}

// Answered returns the answer to a request that was done within RequestTime. It returns ErrNotFound if it was not,
// and ErrOtherBody if one with its key was.
func (t *Tx) Answered(o Once, now time.Time) (answer string, err error) {
	if t.conn == nil {
		return "", errEnded
	}
	from := now.Add(-RequestTime)
	for _, epoch := range since(t.shared.keys.Live(), from) {
		answer, err := t.answeredIn(epoch.ID, o, from)
		if !errors.Is(err, ErrNotFound) {
			return answer, err
		}
	}
	return "", ErrNotFound
}

// answeredIn looks for a request that was done in one epoch.
func (t *Tx) answeredIn(epoch int64, o Once, from time.Time) (answer string, err error) {
	mac, err := t.shared.keys.Lookup(epoch, purposeRequest, []byte(o.Key))
	if err != nil {
		return "", forgotten(err)
	}
	var s sealedRequest
	found, err := t.first(`SELECT row, epoch, created, lookup, sealed FROM requests WHERE lookup = ?`, s.scan, mac[:])
	switch {
	case err != nil:
		return "", err
	case !found, fromMillis(s.created).Before(from):
		return "", ErrNotFound
	}
	plain, err := t.open(epoch, purposeRequest, s.identity(), s.sealed)
	if err != nil {
		return "", gone(err)
	}
	body, err := t.shared.keys.Lookup(epoch, purposeRequestBody, o.Body[:])
	if err != nil {
		return "", forgotten(err)
	}
	done, answer, err := t.doneRequest(s, plain)
	switch {
	case err != nil:
		return "", gone(err)
	case done != nil && !hmac.Equal(done, body[:]): // what was lost is taken for the same
		return "", ErrOtherBody
	}
	return answer, nil
}

// doneRequest reads what a request's row seals: the HMAC of its body, nil if that is lost, and its answer.
func (t *Tx) doneRequest(s sealedRequest, plain []byte) (body []byte, answer string, err error) {
	if r, ok := readBare(plain); ok {
		return t.shared.memory.readRequest(s.row, r)
	}
	r := newReader(plain)
	body, answer = append([]byte{}, r.bytes()...), r.text()
	return body, answer, r.done()
}

// forgotten turns the error of an epoch that was erased meanwhile into ErrNotFound.
func forgotten(err error) error {
	if errors.Is(err, seal.ErrErased) {
		return errors.Join(ErrNotFound, err)
	}
	return err
}

// Answer remembers the answer to a request that this transaction does, for RequestTime, and forgets older ones.
// Answered must have returned ErrNotFound in the same transaction.
func (t *Tx) Answer(o Once, answer string, now time.Time) error {
	if err := t.allow(o.Key != "", len(answer) <= MaxIdentifier, !now.IsZero()); err != nil {
		return err
	}
	epoch, err := t.shared.keys.Current()
	if err != nil {
		return err
	}
	lookup, err := t.shared.keys.Lookup(epoch, purposeRequest, []byte(o.Key))
	if err != nil {
		return err
	}
	body, err := t.shared.keys.Lookup(epoch, purposeRequestBody, o.Body[:])
	if err != nil {
		return err
	}
	s := sealedRequest{row: take(&t.shared.next.request), epoch: epoch, created: toMillis(now), lookup: lookup[:]}
	plain := newWriter(len(body) + len(answer)).bytes(body[:]).text(answer).b
	if t.shared.memory != nil {
		if plain, err = t.shared.memory.request(s.row, body, answer); err != nil {
			return err
		}
	}
	if s.sealed, err = t.shared.keys.SealIn(epoch, purposeRequest, s.identity(), plain); err != nil {
		return err
	}
	// One of that key may be there that is too old, or damaged.
	if err := t.write(`DELETE FROM requests WHERE lookup = ?`, s.lookup); err != nil {
		return err
	}
	if err := t.write(`DELETE FROM requests WHERE row <= ?`, s.row-MaxRequests); err != nil {
		return err
	}
	_, err = t.run(`DELETE FROM requests WHERE row IN (SELECT row FROM requests ORDER BY row LIMIT ?) AND created < ?`,
		int64(oldRequests), toMillis(now.Add(-RequestTime)))
	if err != nil {
		return err
	}
	_, err = t.run(`INSERT INTO requests (row, epoch, lookup, created, sealed) VALUES (?, ?, ?, ?, ?)`,
		s.row, s.epoch, s.lookup, s.created, s.sealed)
	return err
}

// ForgetRequests removes the requests that are older than RequestTime.
func (s *Store) ForgetRequests(ctx context.Context, now time.Time) error {
	n := 0
	return s.deleteAll(ctx, &n, `DELETE FROM requests WHERE row IN (SELECT row FROM requests ORDER BY row LIMIT ?) AND created < ?`,
		int64(sweepBatch), toMillis(now.Add(-RequestTime)))
}
