package record

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// ConfirmVersion begins the job of a webhook whose delivery the customer's client is told of. After
// it come a Confirm as JSON, behind its length as a varint, and the webhook's own body.
const ConfirmVersion = 3

// Confirm is the receipt that the customer's client gets once the business took a webhook.
type Confirm struct {
	Stanza string `json:"stanza,omitempty"` // what the receipt is about; empty for none
	// Parts says that the stanza has several webhooks: the receipt goes after the last of them.
	Parts bool `json:"parts,omitempty"`
}

// Encode returns the body of the webhook's job. Body is the webhook's own.
func (c Confirm) Encode(body []byte) ([]byte, error) {
	known, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding a webhook: %w", err)
	}
	return append(append(binary.AppendUvarint([]byte{ConfirmVersion}, uint64(len(known))), known...), body...), nil
}

// On returns the body of the webhook's job, which is the webhook's own if there is no receipt.
func (c Confirm) On(body []byte) ([]byte, error) {
	if c == (Confirm{}) {
		return body, nil
	}
	return c.Encode(body)
}

// ConfirmOf splits the body of a webhook's job, without what LetterOf takes off, into the receipt,
// the zero Confirm for none, and the webhook's own body. The error is ErrTold.
func ConfirmOf(job []byte) (c Confirm, body []byte, err error) {
	if len(job) == 0 || job[0] != ConfirmVersion {
		return c, job, nil
	}
	n, used := binary.Uvarint(job[1:])
	rest := job[1+max(used, 0):]
	if used <= 0 || n > uint64(len(rest)) || json.Unmarshal(rest[:n], &c) != nil {
		return Confirm{}, nil, ErrTold
	}
	return c, rest[n:], nil
}
