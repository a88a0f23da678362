package proof

import (
	"bytes"
	"fmt"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// cosigned says whether a witness cosigned a checkpoint, and when.
func cosigned(signed []byte, w note.Verifier) (time.Time, bool) {
	n, err := note.Open(signed, note.VerifierList(w))
	if err != nil || len(n.Sigs) == 0 {
		return time.Time{}, false
	}
	seconds, err := torchwood.CosignatureTimestamp(n.Sigs[0])
	return time.Unix(seconds, 0).UTC(), err == nil
}

// Cosign adds what a witness answered, lines of signatures, to a signed checkpoint. It returns ErrSignature when its key did
// not make one of them.
func Cosign(signed, lines []byte, w note.Verifier) ([]byte, error) {
	both := append(bytes.Clone(signed), lines...)
	if len(both) > MaxCheckpoint {
		return nil, ErrCheckpoint
	}
	if _, ok := cosigned(both, w); !ok {
		return nil, fmt.Errorf("the witness's answer: %w", ErrSignature)
	}
	// Only the line of that key is kept: others' are not checked.
	n, err := note.Open(both, note.VerifierList(w))
	if err != nil {
		return nil, ErrCheckpoint
	}
	s := n.Sigs[0]
	return fmt.Appendf(bytes.Clone(signed), "— %s %s\n", s.Name, s.Base64), nil
}
