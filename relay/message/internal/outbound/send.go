package outbound

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/files"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/store"
)

// send sends a message to the carrier, in every attempt: the ciphertext that an earlier attempt
// left, or else a new one, which is durable before it is sent.
func (s *Outbound) send(ctx context.Context, c store.Customer, m store.Message, body record.Content) (err error) {
	if m.Lost {
		return fails(contentGone())
	}
	to, err := s.answered(ctx, c.ID, body)
	if err != nil {
		return err
	}
	inClear, err := s.reactsInClear(ctx, c, m, body)
	if err != nil {
		return err
	}
	if inClear {
		return s.sendReaction(ctx, c, m, body, to)
	}
	if body.Envelope == nil {
		sealed, err := s.sealText(ctx, c, m, body, to)
		if peers.IsUnreachable(err) && s.mayReactInClear(m, body) {
			return s.sendReaction(ctx, c, m, body, to)
		}
		if err != nil {
			return err
		}
		body.Envelope, body.Other = sealed.Envelope, sealed.Other
		body.Quoted = utf8.RuneCountInString(to.quote)
	}
	err = s.Carrier.Send(ctx, carrier.Outgoing{
		ID: m.CarrierID, To: c.Number, Envelope: *body.Envelope, Other: body.Other, Receipts: true, References: outside(body, to),
	})
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return nil
}

// outside returns what a message's stanza says in clear about others: what it answers, for devices of
// Legacy. Envelopes of OMEMO2 say it inside.
func outside(body record.Content, to answered) carrier.References {
	for _, e := range []*carrier.Envelope{body.Envelope, body.Other} {
		if e != nil && e.Format == carrier.Legacy {
			return to.references(body.Quoted)
		}
	}
	return carrier.References{}
}

// sealText encrypts a message, behind a quote of what it answers, for all of a customer's
// devices. When it returns, the ratchets' steps and the ciphertext are durable, in one
// transaction.
func (s *Outbound) sealText(ctx context.Context, c store.Customer, m store.Message, body record.Content, to answered) (peers.Sealed, error) {
	devices, err := s.recipients(ctx, c, body)
	if err != nil {
		return peers.Sealed{}, err
	}
	p, missing, err := s.peers.Choose(ctx, c, devices)
	if err != nil {
		return peers.Sealed{}, err
	}
	if p, err = s.peers.Fetch(ctx, c, p, missing); err != nil {
		return peers.Sealed{}, err
	}
	p.Identity = body.IdentityHash
	say := saying(m, body, to)
	if say.Files, err = s.shared(ctx, body); err != nil {
		return peers.Sealed{}, err
	}
	sealed, err := s.peers.Encrypt(ctx, c, p, say, func(tx *store.Tx, e peers.Sealed) (err error) {
		if m, err = tx.Message(m.ID); err != nil {
			return err
		}
		return s.putSealed(tx, m, e, to)
	})
	if record.IsNotFound(err) {
		err = record.ErrFinished
	}
	if err != nil {
		return peers.Sealed{}, fmt.Errorf("encrypting: %w", err)
	}
	return sealed, nil
}

// putSealed writes a message's ciphertext.
func (s *Outbound) putSealed(tx *store.Tx, m store.Message, e peers.Sealed, to answered) error {
	return record.PutBody(tx, m, func(b *record.Content) { s.setSealed(b, e, to) })
}

// setSealed puts a message's ciphertext into its content.
func (s *Outbound) setSealed(b *record.Content, e peers.Sealed, to answered) {
	b.Envelope, b.Other, b.For, b.Sealed, b.Unproven = e.Envelope, e.Other, e.For, s.Now(), beginsOnly(e)
	b.Quoted, b.Borrowed = utf8.RuneCountInString(to.quote), to.life
}

// saying returns what to encrypt for a message.
func saying(m store.Message, body record.Content, to answered) omemo.Saying {
	say := omemo.Text([]byte(to.quote + wording(m, body)))
	say.References = to.references(utf8.RuneCountInString(to.quote))
	if m.Type == record.TypeReaction && to.refs.ReplyTo != "" {
		say.Reaction = &omemo.Reaction{About: to.refs.ReplyTo, Emoji: body.Text}
	}
	return say
}

// shared describes a message's file, for envelopes that tell of files inside. It has no name: a document's goes
// with its caption, and what else the business calls its files is its own.
func (s *Outbound) shared(ctx context.Context, body record.Content) ([]carrier.SharedFile, error) {
	if body.Media == nil || !body.Media.Uploaded {
		return nil, nil
	}
	m, err := s.files.Media(ctx, body.Media.ID)
	if errors.Is(err, files.ErrUnknownMedia) {
		return nil, nil // it was deleted since; its link still works
	}
	if err != nil {
		return nil, err
	}
	return []carrier.SharedFile{{MIME: m.MIME, Size: m.Size, SHA256: m.SHA256[:], Link: body.Text}}, nil
}

// recipients returns the devices that a message goes to.
func (s *Outbound) recipients(ctx context.Context, c store.Customer, body record.Content) ([]carrier.DeviceID, error) {
	if body.IdentityHash != "" {
		d, err := s.peers.Named(ctx, c, body.IdentityHash)
		return []carrier.DeviceID{d}, err
	}
	devices, err := s.peers.DevicesOf(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.stillFor(ctx, c, body, devices)
}

// stillFor returns those of a message's devices that still have the identity keys that it was
// encrypted for. For a message that was not encrypted yet it returns all.
func (s *Outbound) stillFor(ctx context.Context, c store.Customer, body record.Content, devices []carrier.DeviceID) ([]carrier.DeviceID, error) {
	if body.For == nil {
		return devices, nil
	}
	var same []carrier.DeviceID
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		same = nil
		for _, d := range devices {
			known, err := tx.Device(c.ID, d)
			if err != nil {
				return err
			}
			if known.IdentityKey != nil && peers.IdentityHash(known.IdentityKey) == body.For[d] {
				same = append(same, d)
			}
		}
		return nil
	})
	if err == nil && len(same) == 0 {
		err = peers.ErrUnreachable
	}
	return same, err
}
