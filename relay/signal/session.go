package signal

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// MaxPlaintext is the longest plaintext that Encrypt accepts.
const MaxPlaintext = 256 << 10

// Ciphertext is a message on the wire.
type Ciphertext struct {
	Format Format
	Data   []byte
	// PreKey says that Data is a pre-key message, which begins a session.
	PreKey bool
}

// Decrypted is the result of Decrypt. It prints as "[decrypted message]".
type Decrypted struct {
	Plaintext []byte
	// Record is the successor of the record that the message was decrypted with.
	Record *Record
	// UsedPreKey is the id of the one-time pre-key that the message used, or 0. Once Record is
	// stored, it must no longer be published.
	UsedPreKey uint32
	// Begun identifies the session that the message began: zero when it began none. A caller
	// that keeps pre-keys after their use must refuse a Begun that it saw before.
	Begun Begun
	// Identity is the key that the message was authenticated with.
	Identity IdentityKey
	// IdentityChanged says that Identity is not that of the session that was current before.
	IdentityChanged bool
	// NewSession says that the message began a session. The peer repeats its
	// pre-key with every message until it gets one back.
	NewSession bool
	// Answers says that the message is the peer's first in a session that we began: the peer
	// could decrypt something in it.
	Answers bool
	// Heartbeat says that the peer sent so much under one ratchet key that it needs an answer, which may be
	// empty: only then does it make another key, with new secrecy. It is said once a key.
	Heartbeat bool
}

// heartbeatAt is the first message number of a chain that asks for a heartbeat (XEP-0384 v0.9, "Business
// rules"; in Legacy clients choose numbers of their own).
const heartbeatAt = 53

// Begun identifies a session that a peer began. None of it is secret: it travelled unencrypted.
type Begun struct {
	Base         [32]byte // the peer's base key, which is random
	SignedPreKey uint32   // the id of our signed pre-key
}

// Format implements fmt.Formatter for every verb: content is never printed.
func (d Decrypted) Format(f fmt.State, _ rune) { redact(f, "[decrypted message]") }

// LogValue implements slog.LogValuer.
func (d Decrypted) LogValue() slog.Value { return slog.StringValue("[decrypted message]") }

// Initiate begins a session with the device that published b and makes it the
// current one; r, which may be nil, keeps its sessions as archived ones. A record of another format
// than the bundle's does not go on: the successor has none of its sessions. The
// bundle is verified first: ErrMalformed, ErrUnauthenticated.
func Initiate(l Local, r *Record, b Bundle, now time.Time) (*Record, error) {
	if err := b.Verify(); err != nil {
		return nil, err
	}
	s, err := newInitiator(l, &b)
	if err != nil {
		return nil, fmt.Errorf("beginning session: %w", err)
	}
	return r.as(b.Format).successor(s, nil, now), nil
}

// Encrypt encrypts plaintext in r's current session. It returns ErrNoSession when r is nil or has
// no current session that fits the identity l, or ErrTooLong. Only one ciphertext made from one
// record may ever leave the device.
func Encrypt(r *Record, l Local, plaintext []byte) (Ciphertext, *Record, error) {
	if len(plaintext) > MaxPlaintext {
		return Ciphertext{}, nil, fmt.Errorf("encrypting: %w", ErrTooLong)
	}
	if !r.HasSession() || !r.current.local.Equal(l.Identity.key.public) {
		return Ciphertext{}, nil, fmt.Errorf("encrypting: %w", ErrNoSession)
	}
	next := new(*r.current)
	c, err := next.seal(l, plaintext)
	if err != nil {
		return Ciphertext{}, nil, fmt.Errorf("encrypting: %w", err)
	}
	return c, r.moved(next), nil
}

// Decrypt authenticates and decrypts c in one of r's sessions, or in the new one that c begins; r
// may be nil, and has to be of c's format, or none of its sessions counts. It depends only on its
// arguments, uses no randomness and changes nothing. Errors
// belong to the classes of this package or come from the PreKeySource, and mean that nothing
// happened.
func Decrypt(l Local, r *Record, keys PreKeySource, c Ciphertext, now time.Time) (Decrypted, error) {
	d, err := decrypt(l, r.as(c.Format), keys, c, now)
	if err != nil {
		return Decrypted{}, fmt.Errorf("decrypting: %w", err)
	}
	d.Identity = IdentityKey{p: d.Record.current.remote}
	before, known := r.Identity()
	d.IdentityChanged = known && !before.Equal(d.Identity)
	return d, nil
}

func decrypt(l Local, r *Record, keys PreKeySource, c Ciphertext, now time.Time) (Decrypted, error) {
	if len(c.Data) > MaxCiphertext {
		return Decrypted{}, fmt.Errorf("reading message: %w", ErrMalformed)
	}
	if c.PreKey {
		return decryptPreKey(l, r, keys, c, now)
	}
	m, err := parse(c)
	if err != nil {
		return Decrypted{}, err
	}
	return r.decrypt(&m, now)
}

// decrypt tries the sessions that the message can belong to.
func (r *Record) decrypt(m *message, now time.Time) (Decrypted, error) {
	if r.HasSession() && r.current.chain(m) >= 0 {
		return r.decryptIn(r.current, m, now)
	}
	sessions := r.all()
	if len(sessions) == 0 {
		return Decrypted{}, ErrNoSession
	}
	for _, s := range sessions {
		// A ratchet key is random: the message belongs to the session that knows it.
		if s.chain(m) >= 0 {
			return r.decryptIn(s, m, now)
		}
	}
	for _, s := range sessions {
		if !s.mayTurn() {
			continue
		}
		d, err := r.decryptIn(s, m, now)
		if err == nil || !errors.Is(err, ErrUnauthenticated) {
			return d, err
		}
	}
	return Decrypted{}, fmt.Errorf("no session verifies the message: %w", ErrUnauthenticated)
}

// decryptIn decrypts in session s, which becomes the current one.
func (r *Record) decryptIn(s *session, m *message, now time.Time) (Decrypted, error) {
	next, plaintext, err := s.open(m, now)
	if err != nil {
		return Decrypted{}, err
	}
	d := Decrypted{Plaintext: plaintext, Answers: s.initiated, Heartbeat: s.needsHeartbeat(m)}
	if s == r.current {
		d.Record = r.moved(next).bounded(now)
	} else {
		d.Record = r.successor(next, s, now)
	}
	return d, nil
}

// decryptPreKey decrypts a pre-key message in the session that it began before, or else in a new
// one.
func decryptPreKey(l Local, r *Record, keys PreKeySource, c Ciphertext, now time.Time) (Decrypted, error) {
	m, err := parsePreKey(c)
	if err != nil {
		return Decrypted{}, err
	}
	for _, s := range r.all() {
		if s.began(&m) {
			return r.decryptIn(s, &m.message, now)
		}
	}
	own, err := findKeys(keys, &m)
	if err != nil {
		return Decrypted{}, err
	}
	s, err := newResponder(l, own, c.Format, &m.identity, &m.base)
	if err != nil {
		return Decrypted{}, err
	}
	next, plaintext, err := s.open(&m.message, now)
	if err != nil {
		return Decrypted{}, err
	}
	d := Decrypted{Plaintext: plaintext, Record: r.successor(next, nil, now), NewSession: true}
	d.Begun = Begun{Base: m.base.u, SignedPreKey: own.signed.id}
	if own.oneTime != nil {
		d.UsedPreKey = own.oneTime.id
	}
	return d, nil
}

// needsHeartbeat reports whether m is the first message of the peer's latest chain with that number or a
// higher one. S is the session before it.
func (s *session) needsHeartbeat(m *message) bool {
	next := uint32(0) // of a chain that the message begins
	switch at := s.chain(m); {
	case at > 0:
		return false // the peer has another key already
	case at == 0:
		next = s.receive[0].next
	}
	return m.counter >= heartbeatAt && next <= heartbeatAt
}

// began reports whether the peer began s with the pre-key message m.
func (s *session) began(m *preKeyMessage) bool {
	return s.base.u == m.base.u && s.remote.u == m.identity.p.u
}

// findKeys looks up our keys that the message names.
func findKeys(keys PreKeySource, m *preKeyMessage) (responderKeys, error) {
	var own responderKeys
	var err error
	if own.signed, err = keys.SignedPreKey(m.signedPreKey); err != nil {
		return own, fmt.Errorf("finding signed pre-key: %w", err)
	}
	if own.signed == nil {
		return own, fmt.Errorf("finding signed pre-key: %w", ErrUnknownPreKey)
	}
	if !m.hasPreKey {
		return own, nil
	}
	if own.oneTime, err = keys.PreKey(m.preKeyID); err != nil {
		return own, fmt.Errorf("finding pre-key: %w", err)
	}
	if own.oneTime == nil {
		return own, fmt.Errorf("finding pre-key: %w", ErrUnknownPreKey)
	}
	return own, nil
}
