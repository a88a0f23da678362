package omemo

import (
	"bytes"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// Content is what a message says.
type Content struct {
	// Text is the text as it was sealed, at most MaxText bytes; not necessarily
	// valid UTF-8. It is nil for a message without one, such as a key transport message, and empty for
	// one that has only Files.
	Text []byte
	// Legacy has nothing but text inside the encryption. WantsReceipt and WantsRead say that the peer asked
	// for them there, and Receipts are what it said about our messages.
	WantsReceipt, WantsRead bool
	Receipts                []carrier.Receipt
	// References, Reaction and Retraction are what the message says about others inside the encryption. The
	// latter two are nil for none.
	References carrier.References
	Reaction   *carrier.Reaction
	Retraction *carrier.Retraction
	// OptOut is nil unless the peer asks for messages without OMEMO.
	OptOut *OptOut
	// Files describes files, and says where they are.
	Files []carrier.SharedFile
}

// Words returns the text, and below it the links to files that it does not name (see media.FileURL). It is nil
// for a message without text and files.
func (c Content) Words() []byte {
	words := c.Text
	for _, f := range c.Files {
		if f.Link == "" || bytes.Contains(c.Text, []byte(f.Link)) {
			continue
		}
		if len(words) > 0 {
			words = append(words[:len(words):len(words)], '\n')
		}
		words = append(words[:len(words):len(words)], f.Link...)
	}
	return words
}

// Clear says which references stood outside the encryption, where the carrier may have written them.
type Clear struct{ Reply, Corrects bool }

// Refers returns which messages the text of m is about: of each kind what the encryption holds, or else what
// stands outside. Some clients encrypt which message they answer, but not which one they correct (Converse).
func (c Content) Refers(m carrier.Message) (refs carrier.References, outside Clear) {
	refs = c.References
	if refs.ReplyTo == "" && m.References.ReplyTo != "" {
		refs.ReplyTo, refs.ReplyToOwn, refs.Quote = m.References.ReplyTo, m.References.ReplyToOwn, m.References.Quote
		outside.Reply = true
	}
	if refs.Corrects == "" && m.References.Corrects != "" {
		refs.Corrects, outside.Corrects = m.References.Corrects, true
	}
	return refs, outside
}

// Opened is what an envelope held and what it changed.
type Opened struct {
	Content
	// NewSession says that the message started a session. Answer with a key transport message
	// (Seal with nil) unless a text goes out at once: the peer sends pre-key messages until it
	// gets an answer.
	NewSession bool
	// Answers says that the message is the peer's first in a session that we began.
	Answers bool
	// Heartbeat says that the peer has written so much without an answer that it is owed one, as after
	// NewSession: only an answer lets it make new keys.
	Heartbeat bool
	// Replaced says that the new session replaced another. The device may have lost that one
	// with what was sent in it, or both ends began a session at once.
	Replaced bool
	// PreKeyUsed says that one of our one-time pre-keys was used: publish the
	// bundle again, filled up.
	PreKeyUsed bool
	// IdentityChanged says that the device used another identity key than before, and that the
	// new key is on record now.
	IdentityChanged bool
	// NewDevice says that the device had no identity key on record before.
	NewDevice bool
	// Identity is the key that the message was authenticated with.
	Identity signal.IdentityKey
}

// Open opens the envelope of a message that arrived. It treats everything in m as forged until the
// Signal message authenticates it.
//
// After an error that wraps ErrNotForUs, ErrMalformed, ErrContent or one of the Signal layer,
// nothing was written to s. After signal.ErrNoSession, signal.ErrUnknownPreKey and
// signal.ErrUnauthenticated, a new session (Start) and a key transport message let the peer
// recover. signal.ErrReplay means that the same message was opened before. For a refused identity
// key it returns an *UntrustedError.
func (a *Account) Open(s Sessions, m carrier.Message, now time.Time) (Opened, error) {
	key, err := a.keyFor(m.Envelope)
	if err != nil {
		return Opened{}, err
	}
	peer, device := m.From, m.Envelope.Sender
	record, err := s.Record(peer, device, m.Envelope.Format)
	if err != nil {
		return Opened{}, fmt.Errorf("reading a session: %w", err)
	}
	d, err := signal.Decrypt(a.Local, record, s, signal.Ciphertext{Format: formatOf(m.Envelope.Format), Data: key.Data, PreKey: key.PreKey}, now)
	if err != nil {
		return Opened{}, fmt.Errorf("omemo: opening the content key: %w", err)
	}
	content, err := a.openContent(d.Plaintext, m)
	clear(d.Plaintext)
	if err != nil {
		return Opened{}, err
	}
	opened := Opened{
		Content: content, NewSession: d.NewSession, Replaced: d.NewSession && record.HasSession(),
		PreKeyUsed: d.UsedPreKey != 0, Identity: d.Identity,
		Answers: d.Answers, Heartbeat: d.Heartbeat,
	}
	if d.NewSession {
		if err := s.Begin(d.Begun); err != nil {
			return Opened{}, fmt.Errorf("omemo: beginning a session: %w", err)
		}
	}
	// A late message of an archived session has the identity key of its time, so only a new
	// session may change the key on record.
	if d.NewSession {
		if opened.IdentityChanged, opened.NewDevice, err = a.admit(s, peer, device, m.Envelope.Format, d.Identity); err != nil {
			return Opened{}, err
		}
	}
	if d.UsedPreKey != 0 {
		if err := s.UsePreKey(d.UsedPreKey); err != nil {
			return Opened{}, fmt.Errorf("noting that a pre-key was used: %w", err)
		}
	}
	if err := s.PutRecord(peer, device, m.Envelope.Format, d.Record); err != nil {
		return Opened{}, fmt.Errorf("keeping a session: %w", err)
	}
	return opened, nil
}

// keyFor checks the envelope's form and returns the key for our device. Faults in other devices'
// keys do not matter.
func (a *Account) keyFor(e carrier.Envelope) (carrier.Key, error) {
	switch {
	case e.Sender < 1 || e.Sender > maxDeviceID:
		return carrier.Key{}, fmt.Errorf("%w: sender's device id is out of range", ErrMalformed)
	case e.Format == carrier.OMEMO2 && (a.Address == nil || len(e.Payload) > maxContent+tagSize):
		return carrier.Key{}, fmt.Errorf("%w: payload is longer than %d bytes, or the format is off", ErrMalformed, maxContent+tagSize)
	case e.Format == carrier.OMEMO2:
	case len(e.Payload) > MaxText+tagSize:
		return carrier.Key{}, fmt.Errorf("%w: payload is longer than %d bytes", ErrMalformed, MaxText+tagSize)
	case e.Payload != nil && len(e.IV) != ivSize && len(e.IV) != oldIVSize:
		return carrier.Key{}, fmt.Errorf("%w: iv is not %d or %d bytes", ErrMalformed, ivSize, oldIVSize)
	}
	err := ErrNotForUs
	for _, k := range e.Keys {
		switch {
		case k.Device != a.Device:
		case len(k.Data) == 0 || len(k.Data) > maxKeyData:
			err = fmt.Errorf("%w: key is empty or longer than %d bytes", ErrMalformed, maxKeyData)
		default:
			return k, nil
		}
	}
	return carrier.Key{}, err
}
