//go:build clients

package clients_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/rig"
)

// Texts of the conversation.
const (
	greeting   = "Your parcel is here."
	question   = "May I fetch it at five"
	mistake    = "My number is seven"
	corrected  = "My number is eleven"
	answer     = "Yes, until seven."
	replied    = "Then I come at six."
	businessRe = "See you at six."
	reminder   = "Are you on your way?"
)

// wait bounds one look at the client.
func (s *scene) wait() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx, 30*time.Second)
}

// expectations are the outcomes by row that a client has other than works.
type expectations map[row]string

func (e expectations) of(r row) string {
	if other, ok := e[r]; ok {
		return other
	}
	return works
}

// conversation runs every row with a customer that is online.
func (s *scene) conversation(e expectations) {
	var first, question1, answer1 string // ids of messages
	s.run(businessFirst, e.of(businessFirst), func(s *scene) string {
		// The chat is open, so that the client has read the business's keys and its own are
		// in use: what arrives while a client logs in for the first time may stay unread.
		if err := s.customer.Open(s.ctx, s.business.JID()); err != nil {
			return outcome(err)
		}
		if c, ok := s.customer.(interface{ WaitReady(context.Context) error }); ok {
			if err := c.WaitReady(s.ctx); err != nil {
				return outcome(err)
			}
		}
		first = s.business.Say(number, greeting)
		ctx, cancel := context.WithTimeout(s.ctx, 15*time.Second)
		defer cancel()
		err := s.customer.WaitText(ctx, greeting)
		if c, ok := s.customer.(accepter); ok && err != nil {
			return s.firstAfterRequest(c, first)
		}
		return s.arrival(err, first)
	})
	s.run(texts, e.of(texts), func(s *scene) string {
		came := works
		if c, ok := s.customer.(reserved); ok && s.openKeys { // no request came that they could accept
			if err := errors.Join(c.WaitUnavailable(s.ctx), c.Add(s.ctx)); err != nil {
				return outcome(err)
			}
			came = afterAdding
		}
		if err := errors.Join(s.customer.Encrypt(s.ctx), s.customer.Send(s.ctx, question)); err != nil {
			return outcome(err)
		}
		m, err := s.text(s.business, question)
		question1 = m.ID
		if err != nil {
			return outcome(err)
		}
		answer1 = s.business.Say(number, answer)
		ctx, cancel := s.wait()
		defer cancel()
		if arrived := s.arrival(s.customer.WaitText(ctx, answer), answer1); arrived != works {
			return arrived
		}
		return came
	})
	s.run(replyIn, e.of(replyIn), func(s *scene) string { return s.replyIn(answer1) })
	s.run(replyOut, e.of(replyOut), func(s *scene) string { return s.replyOut(question1) })
	s.run(reactionIn, e.of(reactionIn), func(s *scene) string { return s.reactionIn(answer1) })
	s.run(correctionIn, e.of(correctionIn), (*scene).correctionIn)
	s.run(fileIn, e.of(fileIn), (*scene).fileIn)
	s.run(fileOut, e.of(fileOut), (*scene).fileOut)
	s.shoot("conversation")
	s.run(invitation, e.of(invitation), (*scene).invitation)
}

// arrival waits for what the business learns of a message. Shown is whether the customer
// saw it.
func (s *scene) arrival(shown error, id string) string {
	inner := *s
	ctx, cancel := context.WithTimeout(s.ctx, confirmTime)
	defer cancel()
	inner.ctx = ctx
	err := inner.status(id, "delivered", "read")
	if shown == nil && err != nil && ctx.Err() != nil && s.status(id, "sent") == nil {
		return unconfirmed
	}
	return outcome(shown, err)
}

// firstAfterRequest has the customer accept the business's contact request, for which a
// first message waits.
func (s *scene) firstAfterRequest(c accepter, id string) string {
	if err := c.Accept(s.ctx); err != nil {
		return outcome(err)
	}
	ctx, cancel := s.wait()
	defer cancel()
	err := s.customer.WaitText(ctx, greeting)
	state := s.status(id, "delivered", "read")
	if err == nil && state == nil {
		return afterRequest
	}
	if err != nil && errors.Is(state, errUnreachable) {
		return refused
	}
	return outcome(err, state)
}

// notice is what a customer gets who writes in clear.
const notice = "Your message was not encrypted with OMEMO and was not accepted. " +
	"Please switch on OMEMO encryption in this chat (usually with the padlock icon) and send the message again."

// Outcomes other than works.
const (
	afterRequest = "the message arrives when the customer has accepted the contact request"
	refused      = "the customer sees a contact request; accepted, the message still fails with 131026"
	afterAdding  = "works once the customer has added the business, and accepted the request that comes back"
	afterClear   = "a first text goes in clear and is refused with a notice and a contact request; accepted, it works"
	afterNotice  = "a first text goes in clear and is refused with a notice; it works once the customer has added the business"
	cannot       = "the client has no such command"
	withoutQuote = "the text is shown, without what it answers"
	unconfirmed  = "the customer sees the message, the business only that it was sent"
	offered      = "the file is offered, and the business sees that it was sent"
	asAnswer     = "the emoji arrives as an encrypted text that answers the message"
)

func (s *scene) replyIn(to string) string {
	c, ok := s.customer.(replier)
	if !ok {
		return cannot
	}
	if err := c.Reply(s.ctx, answer, replied); err != nil {
		return outcome(err)
	}
	m, err := s.text(s.business, replied)
	if err == nil && m.Context != to {
		err = fmt.Errorf("the context is %q", m.Context)
	}
	if err == nil { // whatever the client confirms, it showed what the user quoted
		err = s.status(to, "read")
	}
	return outcome(err)
}

func (s *scene) replyOut(to string) string {
	id := s.business.SayWith(number, businessRe, map[string]any{"context": map[string]string{"message_id": to}})
	ctx, cancel := s.wait()
	defer cancel()
	if c, ok := s.customer.(quoter); ok {
		return s.arrival(c.WaitQuote(ctx, businessRe, question), id)
	}
	if err := errors.Join(s.customer.WaitText(ctx, businessRe), s.status(id, "delivered", "read")); err != nil {
		return outcome(err)
	}
	return withoutQuote
}

func (s *scene) reactionIn(to string) string {
	c, ok := s.customer.(reactor)
	if !ok {
		return cannot
	}
	emoji, err := c.React(s.ctx, answer)
	if err != nil {
		return outcome(err)
	}
	m, err := s.message(s.business, "a reaction", func(u webhooktest.Update) bool { return u.Type == "reaction" || u.Text == emoji })
	if err == nil && m.Type == "text" && m.Context == to && !m.Unencrypted {
		return asAnswer
	}
	if err == nil && (m.About != to || m.Emoji != emoji) {
		err = errors.New("the reaction is another one, or to another message")
	}
	return outcome(err)
}

// correctionIn corrects the user's last message: some clients correct no other.
func (s *scene) correctionIn() string {
	c, ok := s.customer.(corrector)
	if !ok {
		return cannot
	}
	if err := s.customer.Send(s.ctx, mistake); err != nil {
		return outcome(err)
	}
	wrong, err := s.text(s.business, mistake)
	if err == nil {
		err = c.Correct(s.ctx, mistake, corrected)
	}
	if err != nil {
		return outcome(err)
	}
	m, err := s.message(s.business, "an edit", func(u webhooktest.Update) bool { return u.Text == corrected })
	if err == nil && (m.Type != "edit" || m.About != wrong.ID) {
		err = fmt.Errorf("the correction comes as %s", m.Type)
	}
	return outcome(err)
}

// picture returns a picture that no other test has.
func picture() []byte {
	p := image.NewRGBA(image.Rect(0, 0, 120, 80))
	draw.Draw(p, p.Bounds(), image.NewUniform(color.RGBA{230, 150, 40, 255}), image.Point{}, draw.Src)
	var out bytes.Buffer
	_ = png.Encode(&out, p) // a buffer takes all
	return out.Bytes()
}

func (s *scene) fileIn() string {
	path := filepath.Join(s.TempDir(), "parcel.png")
	check(s.T, os.WriteFile(path, picture(), 0o600))
	if err := s.customer.SendFile(s.ctx, path); err != nil {
		return outcome(err)
	}
	m, err := s.message(s.business, "a picture", func(u webhooktest.Update) bool { return u.Type == "image" })
	if err == nil && m.File.MIME != "image/png" {
		err = fmt.Errorf("the picture is %s", m.File.MIME)
	}
	return outcome(err)
}

func (s *scene) fileOut() string {
	id := s.business.SendImage(number, s.business.Keep("image/png", string(picture())), "")
	ctx, cancel := s.wait()
	defer cancel()
	if c, ok := s.customer.(offerer); ok {
		if err := errors.Join(c.WaitOffered(ctx), s.status(id, "sent")); err != nil {
			return outcome(err)
		}
		return offered
	}
	return s.arrival(s.customer.WaitPicture(ctx), id)
}

// invitation has the customer write first, to a business that it never heard of.
func (s *scene) invitation() string {
	other := s.newBusiness()
	const text = "Are you open on Sunday?"
	came := works
	if err := s.customer.Open(s.ctx, other.JID()); err != nil {
		return outcome(err)
	}
	if c, ok := s.customer.(reserved); ok {
		if err := s.refuseClear(c, other, text); err != nil {
			return outcome(err)
		}
		if came = afterClear; s.openKeys {
			came = afterNotice
		}
	}
	if err := errors.Join(s.customer.Encrypt(s.ctx), s.customer.Send(s.ctx, text)); err != nil {
		return outcome(err)
	}
	if _, err := s.text(other, text); err != nil {
		return outcome(err)
	}
	other.Say(number, "From ten to four.")
	ctx, cancel := s.wait()
	defer cancel()
	if err := s.customer.WaitText(ctx, "From ten to four."); err != nil {
		return outcome(err)
	}
	return came
}

// refuseClear has the customer write in clear, read the notice about that, and accept a
// contact request: one that comes with the notice, or the answer to their own.
func (s *scene) refuseClear(c reserved, b *rig.Business, text string) error {
	if err := errors.Join(c.WaitUnavailable(s.ctx), s.customer.Send(s.ctx, text)); err != nil {
		return err
	}
	m, err := s.message(b, "that a text came in clear", func(u webhooktest.Update) bool { return u.Type == "unsupported" })
	if err == nil && (m.Code != 131051 || !strings.HasPrefix(m.Details, "The message came without encryption")) {
		err = fmt.Errorf("the business is told %d: %s", m.Code, m.Details)
	}
	if err != nil {
		return err
	}
	ctx, cancel := s.wait()
	defer cancel()
	if s.openKeys {
		return errors.Join(s.customer.WaitText(ctx, notice), c.Add(ctx))
	}
	return errors.Join(c.Accept(ctx), s.customer.WaitText(ctx, notice))
}
