package signal

import (
	"fmt"
	"math"
	"time"
)

// maxChains is how many of a peer's ratchet keys a session remembers, including the current one, so
// that messages of earlier turns may come late.
const maxChains = 5

// session is the state of one Double Ratchet
// (https://signal.org/docs/specifications/doubleratchet/). It is not modified
// once a Record holds it: operations work on a copy. What it points to, the
// skipped keys, is shared between copies and never written to.
type session struct {
	format        Format
	local, remote PublicKey // identity keys
	// ad is OMEMO2's associated data: the Ed25519 forms of the initiator's identity key and the
	// responder's. It is zero in Legacy.
	ad [2 * EdwardsKeySize]byte
	// base is the initiator's base key, which shows that repeated pre-key messages belong to
	// this session.
	base      PublicKey
	root      secret
	initiated bool          // by us, and the peer did not answer yet:
	pending   pendingPreKey // goes with every message
	send      sendChain
	receive   [maxChains]receiveChain // newest first; a zero ratchet key ends the list
	archived  int64                   // when it stopped being the current one: Unix time, seconds
}

// sendChain is the chain of the messages that we send.
type sendChain struct {
	// due says that the peer's latest ratchet key has not been answered: the next message
	// begins a new chain under a new key pair. Making that pair late keeps decryption free of
	// randomness, halves the cost of messages that nobody answers, and gives the secret less
	// time to leak (Double Ratchet, section 6.5).
	due      bool
	ratchet  privateKey
	key      secret
	index    uint32 // of the next message
	previous uint32 // what Format.previous says about the chain before
}

// receiveChain is a chain of messages that the peer sends under one ratchet key.
type receiveChain struct {
	ratchet PublicKey
	key     secret
	next    uint32       // index of the message that key is for
	skipped []skippedKey // ascending by index, all below next
}

// nextSend begins the chain that is due.
func (s *session) nextSend() error {
	var pair privateKey
	if err := pair.generate(); err != nil {
		return fmt.Errorf("generating ratchet key: %w", err)
	}
	root, chain, err := ratchetRoot(s.format, &s.root, &pair, &s.receive[0].ratchet)
	if err != nil {
		return err
	}
	s.root = root
	s.send = sendChain{ratchet: pair, key: chain, previous: s.send.previous}
	return nil
}

// seal encrypts plaintext and advances s, which must be the caller's own copy.
func (s *session) seal(l Local, plaintext []byte) (Ciphertext, error) {
	if s.send.due {
		if err := s.nextSend(); err != nil {
			return Ciphertext{}, err
		}
	}
	if s.send.index == math.MaxUint32 {
		return Ciphertext{}, fmt.Errorf("chain is used up: %w", ErrNoSession)
	}
	seed := messageSeed(&s.send.key)
	keys := deriveMessageKeys(s.format, &seed)
	clear(seed[:])
	defer keys.destroy()
	data, err := s.write(&keys, plaintext)
	if err != nil {
		return Ciphertext{}, err
	}
	s.send.key = nextChain(&s.send.key)
	s.send.index++
	if !s.initiated {
		return Ciphertext{Format: s.format, Data: data}, nil
	}
	data, err = s.wrap(l.RegistrationID, data)
	return Ciphertext{Format: s.format, Data: data, PreKey: true}, err
}

// chain returns the index in receive of the chain that the message belongs to, or -1.
func (s *session) chain(m *message) int {
	u := [32]byte(m.ratchet)
	for i := range s.receive {
		if s.receive[i].ratchet.u == u && !s.receive[i].ratchet.IsZero() {
			return i
		}
	}
	return -1
}

// mayTurn reports whether the peer can have begun a new chain, which it does only in answer to a
// ratchet key that we sent.
func (s *session) mayTurn() bool { return !s.send.due }

// open decrypts a message and returns the session's successor. If the message is not authentic, the
// successor is zeroed.
func (s *session) open(m *message, now time.Time) (_ *session, plaintext []byte, err error) {
	next := *s
	defer func() {
		if err != nil {
			next.destroy(s)
		}
	}()
	at := s.chain(m)
	if at < 0 {
		if err := next.turn(m); err != nil {
			return nil, nil, err
		}
		at = 0
	}
	seed, err := next.receive[at].take(m.counter, now)
	if err != nil {
		return nil, nil, err
	}
	keys := deriveMessageKeys(s.format, &seed)
	clear(seed[:])
	defer keys.destroy()
	var associated [associatedSize]byte
	if !keys.verify(s.associated(&associated, false), m.authenticated, m.code) {
		return nil, nil, fmt.Errorf("verifying message: %w", ErrUnauthenticated)
	}
	if plaintext, err = keys.unseal(m.body); err != nil {
		return nil, nil, err
	}
	next.initiated, next.pending = false, pendingPreKey{}
	return &next, plaintext, nil
}

// destroy zeroes s and the skipped keys that it does not share with kept.
func (s *session) destroy(kept *session) {
	for i := range s.receive {
		skipped := s.receive[i].skipped
		if len(skipped) > 0 && !kept.shares(&skipped[0]) {
			clear(skipped)
		}
	}
	*s = session{send: sendChain{due: true}}
}

// shares reports whether one of the lists of skipped keys begins at first.
func (s *session) shares(first *skippedKey) bool {
	for i := range s.receive {
		if skipped := s.receive[i].skipped; len(skipped) > 0 && &skipped[0] == first {
			return true
		}
	}
	return false
}

// turn begins the receiving chain of the message's ratchet key. Our next message answers it with a
// chain of ours.
func (s *session) turn(m *message) error {
	if !s.mayTurn() {
		return fmt.Errorf("no such chain: %w", ErrUnauthenticated)
	}
	if m.counter > MaxSkip {
		return fmt.Errorf("reading chain: %w", ErrTooFarAhead)
	}
	ratchet, err := parseCoordinate(m.ratchet)
	if err != nil {
		return fmt.Errorf("reading chain: %w", err)
	}
	root, chain, err := ratchetRoot(s.format, &s.root, &s.send.ratchet, &ratchet)
	if err != nil {
		return err
	}
	s.root = root
	s.send = sendChain{due: true, previous: s.format.previous(s.send.index)}
	copy(s.receive[1:], s.receive[:])
	s.receive[0] = receiveChain{ratchet: ratchet, key: chain}
	return nil
}

// associated writes to b what a message's code covers in addition to the message. In libsignal it is
// the identity keys of sender and receiver, in OMEMO2 those of the session's initiator and responder.
func (s *session) associated(b *[associatedSize]byte, fromUs bool) []byte {
	if s.format == OMEMO2 {
		return append(b[:0], s.ad[:]...)
	}
	sender, receiver := &s.remote, &s.local
	if fromUs {
		sender, receiver = receiver, sender
	}
	return receiver.append(sender.append(b[:0]))
}
