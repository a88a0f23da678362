package proof

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxCheckpoint is the longest checkpoint with its signatures, in bytes.
const MaxCheckpoint = 16 << 10

// Origin names the log of a relay by the number's id, in all checkpoints.
func Origin(phoneNumberID string) string { return "relaykeep.dev/log/" + phoneNumberID }

// ErrCheckpoint means that something is not a checkpoint, or not of the log that it should be of.
var ErrCheckpoint = errors.New("not a checkpoint of this log")

// ErrSignature means that a key did not sign a checkpoint.
var ErrSignature = errors.New("not signed by this key")

// Checkpoint is what a log was at one time.
type Checkpoint struct {
	Origin string
	tlog.Tree
	// Note is the checkpoint with all its signatures.
	Note []byte
}

// Text is what is signed of a tree.
func Text(origin string, tree tlog.Tree) string {
	return torchwood.Checkpoint{Origin: origin, Tree: tree}.String()
}

// KeyOf writes a log's public key as signed notes have it.
func KeyOf(origin string, key ed25519.PublicKey) (string, error) {
	text, err := note.NewEd25519VerifierKey(origin, key)
	if err != nil {
		return "", fmt.Errorf("writing the log's public key: %w", err)
	}
	return text, nil
}

var originForm = regexp.MustCompile(`^[!-*,-~]{1,256}$`)

// ParseCheckpoint reads a checkpoint and checks that one of the verifiers signed it.
func ParseCheckpoint(signed []byte, verifiers ...note.Verifier) (Checkpoint, error) {
	if len(signed) > MaxCheckpoint {
		return Checkpoint{}, ErrCheckpoint
	}
	n, err := note.Open(signed, note.VerifierList(verifiers...))
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified), errors.As(err, &invalid):
		return Checkpoint{}, ErrSignature
	case err != nil:
		return Checkpoint{}, ErrCheckpoint
	}
	return readCheckpoint(n.Text, signed)
}

// readCheckpoint reads the signed part of a checkpoint.
func readCheckpoint(text string, signed []byte) (Checkpoint, error) {
	c, err := torchwood.ParseCheckpoint(text)
	if err != nil || !originForm.MatchString(c.Origin) || c.Extension != "" {
		return Checkpoint{}, ErrCheckpoint
	}
	return Checkpoint{Origin: c.Origin, Tree: c.Tree, Note: signed}, nil
}

// Unverified reads a checkpoint whoever signed it.
func Unverified(signed []byte) (Checkpoint, error) {
	text, _, found := strings.Cut(string(signed), "\n\n")
	if !found || len(signed) > MaxCheckpoint {
		return Checkpoint{}, ErrCheckpoint
	}
	return readCheckpoint(text+"\n", signed)
}

// LogVerifier reads the public key of a log.
func LogVerifier(key string) (note.Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSpace(key))
	if err != nil {
		return nil, errors.New("not the public key of a log, such as relaykeep.dev/log/1234+89abcdef+A…")
	}
	return v, nil
}

// WitnessVerifier reads the public key of a witness.
func WitnessVerifier(key string) (note.Verifier, error) {
	v, err := torchwood.NewCosignatureVerifier(strings.TrimSpace(key))
	if err != nil {
		return nil, errors.New("not the public key of a witness, such as witness.example.org+89abcdef+B…")
	}
	return v, nil
}
