// Package parcel is the file in which a relay moves to another region: its secrets, its data keys and its store, sealed to
// an RSA key of the new region's Vault. It is an age file (age-encryption.org/v1), which is read and written as a stream. It
// must not know where keys are kept, nor what is in a store.
package parcel

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"
)

// Version is that of Contents.
const Version = 1

// maxContents bounds Contents as it is written: some 130 data keys of each kind, and as many secrets, take a tenth of it.
const maxContents = 4 << 20

// stanza is the type of the age stanza that holds the file key, encrypted by RSA-OAEP with SHA-256 and no label.
const stanza = "relaykeep.dev/rsa-oaep-sha256"

// ErrInvalid means that a file is no parcel, or was changed or cut off.
var ErrInvalid = errors.New("the file is not the whole of a relay's, or was changed")

// Contents is what a parcel has before the store.
type Contents struct {
	Version int `json:"version"`
	// Number is the business's, in E.164 form, so that no other relay takes the parcel.
	Number  string   `json:"number"`
	StoreID [16]byte `json:"storeID"`
	Secrets []Secret `json:"secrets"`
	Epochs  []Key    `json:"epochs"`
	// Settings are the data keys of the settings, which do not age.
	Settings []Key `json:"settings"`
	// Restored says that the store was restored and not opened since.
	Restored bool `json:"restored,omitempty"`
	// Form says how the store is written, in the store's words.
	Form string `json:"form,omitempty"`
	Size int64  `json:"size"` // of the store, in bytes
}

// Secret is what Vault holds of the relay.
type Secret struct {
	Name string         `json:"name"`
	Data map[string]any `json:"data"`
}

// Key is a data key. It has no Plain if it was destroyed.
type Key struct {
	ID      int64     `json:"id"`
	Plain   []byte    `json:"plain,omitempty"`
	Created time.Time `json:"created,omitzero"` // since when it counts
}

// Destroy overwrites the data keys.
func (c *Contents) Destroy() {
	for _, keys := range [][]Key{c.Epochs, c.Settings} {
		for _, k := range keys {
			clear(k.Plain)
		}
	}
}

// Write seals contents and store to a key and writes both to w. It does not close w.
func Write(w io.Writer, to *rsa.PublicKey, c Contents, store io.Reader) error {
	head, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("writing a parcel: %w", err)
	}
	defer clear(head)
	if len(head) > maxContents {
		return errors.New("writing a parcel: the relay has too many keys and secrets")
	}
	sealed, err := age.Encrypt(w, recipient{to})
	if err != nil {
		return fmt.Errorf("sealing a parcel: %w", err)
	}
	length := binary.BigEndian.AppendUint32(nil, uint32(len(head)))
	for _, part := range []io.Reader{bytes.NewReader(length), bytes.NewReader(head), io.LimitReader(store, c.Size)} {
		if _, err := io.Copy(sealed, part); err != nil {
			return fmt.Errorf("sealing a parcel: %w", err)
		}
	}
	if err := sealed.Close(); err != nil {
		return fmt.Errorf("sealing a parcel: %w", err)
	}
	return nil
}

// Read opens a parcel. Open decrypts the file key. Store returns the store's bytes, and ErrInvalid at the first that was
// changed; it returns io.EOF only once the whole parcel was read and is what was sealed.
func Read(r io.Reader, open func(sealed []byte) ([]byte, error)) (c Contents, store io.Reader, err error) {
	id := &identity{open: open}
	plain, err := age.Decrypt(r, id)
	if err != nil {
		if id.failed != nil {
			return c, nil, id.failed
		}
		return c, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return unpack(plain)
}

// unpack reads what is inside a parcel.
func unpack(plain io.Reader) (c Contents, store io.Reader, err error) {
	var length [4]byte
	if _, err := io.ReadFull(plain, length[:]); err != nil {
		return c, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxContents {
		return c, nil, ErrInvalid
	}
	head := make([]byte, n)
	defer clear(head)
	if _, err := io.ReadFull(plain, head); err != nil {
		return c, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(head))
	decoder.UseNumber() // secrets are written as they were
	if err := decoder.Decode(&c); err != nil {
		return c, nil, ErrInvalid // the decoder's error may quote what it read
	}
	if c.Version != Version || c.Size < 0 {
		return c, nil, fmt.Errorf("%w: it is of another release", ErrInvalid)
	}
	return c, &body{plain, c.Size}, nil
}

// body is the store in a parcel.
type body struct {
	from io.Reader
	left int64
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.left -= int64(n)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return 0, fmt.Errorf("%w: %w", ErrInvalid, err)
	case b.left < 0, err != nil && b.left > 0:
		return 0, ErrInvalid
	}
	return n, err
}

// recipient encrypts file keys to an RSA key.
type recipient struct{ key *rsa.PublicKey }

// Wrap implements age.Recipient.
func (r recipient) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, r.key, fileKey, nil)
	if err != nil {
		return nil, err
	}
	return []*age.Stanza{{Type: stanza, Body: sealed}}, nil
}

// identity has somebody else decrypt file keys.
type identity struct {
	open   func([]byte) ([]byte, error)
	failed error // why that failed
}

// Unwrap implements age.Identity.
func (i *identity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type != stanza {
			continue
		}
		key, err := i.open(s.Body)
		i.failed = err
		return key, err
	}
	return nil, age.ErrIncorrectIdentity
}
