package signal

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
)

// OMEMO2 encrypts a message's content once, for all devices, with the steps of a message of a session
// (XEP-0384 v0.9, "Message Encryption"): its sessions carry the key and the code.

// PayloadKeySize is the length of what a session carries for a payload: a random key and a code.
const PayloadKeySize = len(secret{}) + omemo2MACSize

// infoPayload is the label of a payload's keys.
const infoPayload = "OMEMO Payload"

// SealPayload encrypts content under a new key and returns what sessions carry, and the payload. The
// caller must zero the first. Content has MaxPlaintext bytes at most, or it returns ErrTooLong.
func SealPayload(content []byte) (keyAndCode, payload []byte, err error) {
	if len(content) > MaxPlaintext {
		return nil, nil, fmt.Errorf("encrypting: %w", ErrTooLong)
	}
	var seed secret
	rand.Read(seed[:]) // never fails: crypto/rand ends the process instead
	defer clear(seed[:])
	keys := deriveKeys(&seed, infoPayload)
	defer keys.destroy()
	if payload, err = keys.seal(content); err != nil {
		return nil, nil, err
	}
	code := keys.authenticate(nil, payload)
	return append(append(make([]byte, 0, PayloadKeySize), seed[:]...), code[:omemo2MACSize]...), payload, nil
}

// OpenPayload decrypts a payload with what a session carried. The code is checked first:
// ErrUnauthenticated. ErrMalformed means that what the session carried is not of PayloadKeySize, or that
// the peer did not pad the content.
func OpenPayload(keyAndCode, payload []byte) ([]byte, error) {
	if len(keyAndCode) != PayloadKeySize || len(payload) > sealedSize(MaxPlaintext) {
		return nil, fmt.Errorf("opening payload: length: %w", ErrMalformed)
	}
	seed := secret(keyAndCode)
	defer clear(seed[:])
	keys := deriveKeys(&seed, infoPayload)
	defer keys.destroy()
	code := keys.authenticate(nil, payload)
	if subtle.ConstantTimeCompare(code[:omemo2MACSize], keyAndCode[len(seed):]) != 1 {
		return nil, fmt.Errorf("opening payload: %w", ErrUnauthenticated)
	}
	return keys.unseal(payload)
}
