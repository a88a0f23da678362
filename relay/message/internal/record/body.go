package record

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/store"
)

// bodyVersion begins a message's body. After it come the text, the caption and the ciphertext
// as raw bytes, each behind its length as a varint, and the rest as JSON. In JSON a control
// character would take six bytes, and a ciphertext a third more. Earlier relays wrote
// everything as JSON, which begins with a brace.
const bodyVersion = 1

// ErrBody means that a message's body is not what a relay writes.
var ErrBody = errors.New("decoding a message: it is not what this relay writes")

// Encode returns a message's body as it is stored.
func (c Content) Encode() ([]byte, error) {
	parts := [][]byte{[]byte(c.Text), []byte(c.Caption), nil}
	c.Text, c.Caption = "", ""
	if c.Envelope != nil {
		bare := *c.Envelope
		parts[2], bare.Payload = bare.Payload, nil
		c.Envelope = &bare
	}
	var rest bytes.Buffer
	e := json.NewEncoder(&rest)
	e.SetEscapeHTML(false) // URLs are full of ampersands
	if err := e.Encode(c); err != nil {
		return nil, fmt.Errorf("encoding a message: %w", err)
	}
	body := []byte{bodyVersion}
	for _, p := range parts {
		body = append(binary.AppendUvarint(body, uint64(len(p))), p...)
	}
	return append(body, bytes.TrimSuffix(rest.Bytes(), []byte("\n"))...), nil
}

// ContentOf reads a message's body.
func ContentOf(m store.Message) (Content, error) {
	parts, rest, err := splitBody(m.Body)
	if err != nil {
		return Content{}, err
	}
	c := Content{Life: m.Life, Borrowed: m.Borrowed}
	if json.Unmarshal(rest, &c) != nil {
		return Content{}, ErrBody
	}
	if parts == nil {
		return c, nil
	}
	c.Text, c.Caption = string(parts[0]), string(parts[1])
	if c.Envelope != nil && len(parts[2]) > 0 {
		c.Envelope.Payload = parts[2]
	}
	return c, nil
}

// WentToUser says whether a message's ToUser is set, without decoding the message.
func WentToUser(m store.Message) bool {
	_, rest, err := splitBody(m.Body)
	return err == nil && bytes.Contains(rest, []byte(`"toUser":true`)) // within a string the quotes are escaped
}

// splitBody splits a body; there are no parts if the rest holds everything.
func splitBody(body []byte) (parts [][]byte, rest []byte, err error) {
	if len(body) == 0 || body[0] != bodyVersion {
		return nil, body, nil
	}
	rest = body[1:]
	for range 3 {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > uint64(len(rest)-used) {
			return nil, nil, ErrBody
		}
		end := used + int(n)
		parts = append(parts, rest[used:end:end])
		rest = rest[end:]
	}
	return parts, rest, nil
}
