package signal

import "fmt"

// Bundle is what a peer's device publishes so that others can begin a session with it, reduced to
// one of its one-time pre-keys.
type Bundle struct {
	Format         Format // of the session that begins with it
	Identity       IdentityKey
	SignedPreKeyID uint32
	SignedPreKey   PublicKey
	// Signature is Identity's: in Legacy XEdDSA's, of SignedPreKey.Bytes(), and in OMEMO2 EdDSA's, of
	// SignedPreKey.Coordinate().
	Signature      [SignatureSize]byte
	PreKeyID       uint32 // 0 when there is no one-time pre-key, which OMEMO2 does not allow
	PreKey         PublicKey
	RegistrationID uint32 // 0 when unknown, as always in OMEMO
}

// Verify checks that the bundle is complete (ErrMalformed) and that the identity
// signed the signed pre-key (ErrUnauthenticated). [Initiate] does it too.
func (b Bundle) Verify() error {
	if b.Identity.IsZero() || b.SignedPreKey.IsZero() || (b.PreKeyID == 0) != b.PreKey.IsZero() {
		return fmt.Errorf("checking bundle: incomplete: %w", ErrMalformed)
	}
	if b.Format == OMEMO2 && b.PreKeyID == 0 {
		return fmt.Errorf("checking bundle: no one-time pre-key: %w", ErrMalformed)
	}
	if err := b.verifySignature(); err != nil {
		return fmt.Errorf("checking bundle: %w", err)
	}
	return nil
}

func (b Bundle) verifySignature() error {
	if b.Format == OMEMO2 {
		return b.Identity.verifyEdwards(b.SignedPreKey.Coordinate(), &b.Signature)
	}
	return b.Identity.Verify(b.SignedPreKey.Bytes(), b.Signature)
}
