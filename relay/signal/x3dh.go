package signal

import "fmt"

// pendingPreKey is what an initiator repeats with every message until the peer
// answers.
type pendingPreKey struct {
	preKeyID       uint32 // 0 when there was none
	signedPreKeyID uint32
}

// agreementSize is the length of X3DH's input to the key derivation with a
// one-time pre-key: 32 bytes 0xff and four shared secrets.
const agreementSize = 5 * 32

// agreement collects X3DH's shared secrets (https://signal.org/docs/specifications/x3dh/).
type agreement struct {
	buffer [agreementSize]byte
	used   int
	err    error
}

func newAgreement() *agreement {
	a := &agreement{used: 32}
	for i := range a.used {
		a.buffer[i] = 0xff
	}
	return a
}

// add appends the secret that own and peer share.
func (a *agreement) add(own *privateKey, peer *PublicKey) {
	if a.err == nil {
		a.err = own.agree((*secret)(a.buffer[a.used:]), peer)
		a.used += len(secret{})
	}
}

// derive returns the first root and chain key, and zeroes the secrets. OMEMO2 has no such chain: HKDF's
// first 32 bytes are its root key. The chain key is a secret there that nobody uses, so that no message
// can be authentic in the chain.
func (a *agreement) derive(f Format) (root, chain secret, err error) {
	defer func() { clear(a.buffer[:]) }()
	if a.err != nil {
		return root, chain, a.err
	}
	return derivePair(a.buffer[:a.used], nil, f.labels().session)
}

// newInitiator is X3DH on the side that has a bundle, which must be verified. The first message
// begins the sending chain with a ratchet step on the signed pre-key.
func newInitiator(l Local, b *Bundle) (*session, error) {
	var base privateKey
	if err := base.generate(); err != nil {
		return nil, fmt.Errorf("generating base key: %w", err)
	}
	return initiatorWith(l, b, base)
}

// initiatorWith is newInitiator with a given base key.
func initiatorWith(l Local, b *Bundle, base privateKey) (*session, error) {
	defer base.destroy()
	a := newAgreement()
	a.add(&l.Identity.key, &b.SignedPreKey)
	a.add(&base, &b.Identity.p)
	a.add(&base, &b.SignedPreKey)
	if b.PreKeyID != 0 {
		a.add(&base, &b.PreKey)
	}
	root, chain, err := a.derive(b.Format)
	if err != nil {
		return nil, err
	}
	s := &session{
		format: b.Format, local: l.Identity.key.public, remote: b.Identity.p, base: base.public, root: root,
		initiated: true,
		pending:   pendingPreKey{preKeyID: b.PreKeyID, signedPreKeyID: b.SignedPreKeyID},
		send:      sendChain{due: true},
	}
	s.receive[0] = receiveChain{ratchet: b.SignedPreKey, key: chain}
	s.associate(l.Identity.Public(), b.Identity)
	return s, nil
}

// responderKeys are our own keys that a pre-key message names.
type responderKeys struct {
	signed  *SignedPreKey
	oneTime *PreKey // nil when it names none
}

// newResponder is X3DH on the side that got a pre-key message. The session is not authenticated
// before it has decrypted that message.
func newResponder(l Local, keys responderKeys, f Format, identity *IdentityKey, base *PublicKey) (*session, error) {
	a := newAgreement()
	a.add(&keys.signed.key, &identity.p)
	a.add(&l.Identity.key, base)
	a.add(&keys.signed.key, base)
	if keys.oneTime != nil {
		a.add(&keys.oneTime.key, base)
	}
	root, chain, err := a.derive(f)
	if err != nil {
		return nil, err
	}
	s := &session{
		format: f, local: l.Identity.key.public, remote: identity.p, base: *base, root: root,
		send: sendChain{ratchet: keys.signed.key, key: chain},
	}
	s.associate(*identity, l.Identity.Public())
	return s, nil
}

// associate writes OMEMO2's associated data. An initiator's sign bit is part of it: a message with
// another one is not authentic.
func (s *session) associate(initiator, responder IdentityKey) {
	if s.format == OMEMO2 {
		copy(s.ad[:], initiator.Edwards())
		copy(s.ad[EdwardsKeySize:], responder.Edwards())
	}
}
