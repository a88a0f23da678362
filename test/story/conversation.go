package story

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/lab"
)

func (s *Story) conversation() []Claim {
	return []Claim{
		{"a customer writes to acme, end-to-end encrypted", s.write},
		{"acme's webhook gets the plaintext, signed", s.receive},
		{"acme answers with one curl", s.answer},
		{"the customer sees the answer", s.see},
		{"the statuses follow: sent, delivered, read", s.statuses},
	}
}

// question and reply are this run's texts.
func (s *Story) question() string { return "Good morning, is order " + s.mark + " on its way?" }
func (s *Story) reply() string    { return "It is: order " + s.mark + " arrives tomorrow." }

func (s *Story) write(ctx context.Context) (string, error) {
	var err error
	if s.chat, err = s.begin(s.question(), 1); err != nil {
		return "", err
	}
	err = s.chat.Sent(ctx)
	return fmt.Sprintf("$ echo %q | kubectl relay chat --as %s --to %s --expect 1\n%s",
		s.question(), s.customer.Number, lab.Acme.Number, s.chat.Notes()), err
}

func (s *Story) receive(ctx context.Context) (string, error) {
	var err error
	s.received, err = s.inbox.Wait(ctx, "the customer's message", func(m webhooktest.Update) bool { return m.Text == s.question() })
	if err == nil && s.received.From != s.customer.Digits() {
		err = fmt.Errorf("the webhook names another sender than the customer")
	}
	return fmt.Sprintf("%s\n%s wrote %q", s.lab.WebhookURL(lab.Acme), s.received.From, s.received.Text), err
}

func (s *Story) answer(ctx context.Context) (string, error) {
	script, err := s.lab.ReplyScript(ctx, lab.Acme, s.customer.Digits(), s.reply())
	if err != nil {
		return "", err
	}
	out, err := s.lab.Shell(ctx, script)
	if err != nil {
		return "", err
	}
	var accepted struct{ Messages []struct{ ID string } }
	if err := json.Unmarshal([]byte(out), &accepted); err != nil || len(accepted.Messages) != 1 {
		return "", fmt.Errorf("the endpoint answered %s", out)
	}
	s.replyID = accepted.Messages[0].ID
	return "$ " + strings.ReplaceAll(script, "\n", "\n  ") + "\n" + out, nil
}

func (s *Story) see(ctx context.Context) (string, error) {
	got, err := s.chat.Next(ctx)
	if err != nil {
		return "", err
	}
	if got != s.reply() {
		return "", fmt.Errorf("the customer sees %q", got)
	}
	return "<- " + got, s.chat.Wait(ctx)
}

func (s *Story) statuses(ctx context.Context) (string, error) {
	var seen []string
	for _, want := range []string{"sent", "delivered", "read"} {
		_, err := s.inbox.Wait(ctx, "the status "+want, func(m webhooktest.Update) bool { return m.ID == s.replyID && m.Status == want })
		if err != nil {
			return "", err
		}
		seen = append(seen, want)
	}
	return s.replyID + ": " + strings.Join(seen, ", "), nil
}
