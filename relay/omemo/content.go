package omemo

import (
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo/internal/sce"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// emptyKey is what a session carries in a key transport message of OMEMO2 (XEP-0384 v0.9, "Sending a
// message").
const emptyKey = 32

// errOff means that the account has no address.
var errOff = errors.New("omemo: the account has no address for envelopes")

// sealContent encrypts an envelope with that text (OMEMO2). Nil makes a key transport message.
func (a *Account) sealContent(text []byte, now time.Time) (keyAndCode, payload []byte, err error) {
	switch {
	case a.Address == nil:
		return nil, nil, errOff
	case text == nil:
		return make([]byte, emptyKey), nil, nil
	}
	envelope, err := sce.Seal(sce.Envelope{
		From: a.Address(a.Own), Time: now,
		Content: sce.Content{Body: text, WantsReceipt: true, WantsRead: true},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("omemo: %w", err)
	}
	defer clear(envelope)
	if len(envelope) > maxContent {
		return nil, nil, ErrTooLong
	}
	keyAndCode, payload, err = signal.SealPayload(envelope)
	if err != nil {
		return nil, nil, fmt.Errorf("omemo: sealing the content: %w", err)
	}
	return keyAndCode, payload, nil
}

// openContent decrypts what an envelope says with what its session carried. What the carrier made of the
// envelope, and what was written for another conversation, is ErrContent.
func (a *Account) openContent(carried []byte, m carrier.Message) (Content, error) {
	if m.Envelope.Format != carrier.OMEMO2 {
		text, err := openPayload(carried, m.Envelope)
		return Content{Text: text}, err
	}
	if m.Envelope.Payload == nil {
		return Content{}, nil
	}
	plain, err := signal.OpenPayload(carried, m.Envelope.Payload)
	if err != nil {
		return Content{}, ErrContent
	}
	defer clear(plain)
	said, err := sce.Open(plain, sce.Parties{From: a.Address(m.From), To: a.Address(a.Own)})
	switch {
	case err != nil:
		return Content{}, fmt.Errorf("%w: %w", ErrContent, err)
	case len(said.Body) > MaxText:
		return Content{}, fmt.Errorf("%w: text is longer than %d bytes", ErrContent, MaxText)
	}
	content := Content{Text: said.Body, WantsReceipt: said.WantsReceipt, WantsRead: said.WantsRead}
	for _, id := range said.Received {
		content.Receipts = append(content.Receipts, carrier.Receipt{From: m.From, ID: id, Kind: carrier.Delivered})
	}
	for _, id := range said.Displayed {
		content.Receipts = append(content.Receipts, carrier.Receipt{From: m.From, ID: id, Kind: carrier.Read})
	}
	return content, nil
}
