package signal

import "fmt"

// Bundle is what a peer's device publishes so that others can begin a session with it, reduced to
// one of its one-time pre-keys.
type Bundle struct {
	Identity       IdentityKey
	SignedPreKeyID uint32
	SignedPreKey   PublicKey
	Signature      [SignatureSize]byte // by Identity, of SignedPreKey.Bytes()
	PreKeyID       uint32              // 0 when there is no one-time pre-key
	PreKey         PublicKey
	RegistrationID uint32 // 0 when unknown, as always in OMEMO
}

// Verify checks that the bundle is complete (ErrMalformed) and that the identity
// signed the signed pre-key (ErrUnauthenticated). [Initiate] does it too.
func (b Bundle) Verify() error {
	if b.Identity.IsZero() || b.SignedPreKey.IsZero() || (b.PreKeyID == 0) != b.PreKey.IsZero() {
		return fmt.Errorf("checking bundle: incomplete: %w", ErrMalformed)
	}
	if err := b.Identity.Verify(b.SignedPreKey.Bytes(), b.Signature); err != nil {
		return fmt.Errorf("checking bundle: %w", err)
	}
	return nil
}
