// Package story is what Relaykeep claims, told with two businesses and a customer:
// each claim with the proof of it, in an order in which one leads to the next. The
// demo shows it and the tests on the cluster hold it. It must not know how its
// environment is made, nor who watches.
package story

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/lab"
)

// patience with the proof of one claim.
const patience = 90 * time.Second

// Story is one telling, with texts of its own.
type Story struct {
	lab      *lab.Lab
	customer *lab.Customer
	inbox    *lab.Inbox
	mark     string // tells this telling's messages from those of others

	// begin begins a chat of the customer's with acme, which outlasts the claim that
	// it begins in; it expects so many messages.
	begin func(text string, expect int) (*lab.Chat, error)
	close func()

	// What the proof of one claim leaves to the next.
	chat     *lab.Chat
	received webhooktest.Update // the customer's message as the business got it
	replyID  string
	sealed   lab.Sealed // the same message as it lies on the volume
}

// Claim is one thing that Relaykeep claims.
type Claim struct {
	Title string
	prove func(context.Context) (evidence string, err error)
}

// Chapter is a part of the story. Its claims, and those of the chapters before it,
// build on each other.
type Chapter struct {
	Title  string
	Claims []Claim
}

// Open begins a story in an environment that is up. It ends with Close, at the
// latest when ctx does.
func Open(ctx context.Context, l *lab.Lab) (*Story, error) {
	inbox, err := l.OpenInbox(lab.Acme)
	if err != nil {
		return nil, err
	}
	s := &Story{lab: l, customer: l.Customer(), inbox: inbox, mark: rand.Text()[:6]}
	whole, hangUp := context.WithCancel(ctx)
	s.begin = func(text string, expect int) (*lab.Chat, error) { return s.customer.Say(whole, lab.Acme, text, expect) }
	s.close = func() {
		hangUp()
		if s.chat != nil {
			_ = s.chat.Wait(context.WithoutCancel(whole)) // it was told to end, however it takes that
		}
	}
	return s, nil
}

// Close ends the customer's chat, if there still is one.
func (s *Story) Close() { s.close() }

// Chapters returns the whole story, in order.
func (s *Story) Chapters() []Chapter {
	return []Chapter{
		{"A customer and a business", s.conversation()},
		{"Who may open what", s.keys()},
		{"Who may call whom", s.network()},
		{"What is not kept", s.erasure()},
	}
}

// Texts are all that is said in the story.
func (s *Story) Texts() []string {
	return []string{s.question(), s.reply(), s.farewell(), s.thanks()}
}

// Prove proves the claim and returns what shows it, for a person to read.
func (c Claim) Prove(ctx context.Context) (evidence string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.prove(ctx)
}
