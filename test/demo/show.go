package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/test/lab"
	"github.com/relaykeep/relaykeep/test/lab/report"
)

// Patience with one step of the story.
const stepPatience = 90 * time.Second

// show is one run of the demo.
type show struct {
	lab      *lab.Lab
	report   *report.Reporter
	customer *lab.Customer
	inbox    *lab.Inbox
	mark     string // tells this run's messages from those of others

	whole context.Context // of the whole run: what outlasts a step runs under it

	// What one step leaves to the next.
	chat     *lab.Chat
	received lab.Message // the customer's message as the business got it
	replyID  string
	sealed   lab.Sealed // the same message as it lies on the volume
}

// step is one claim: what is claimed, and how it is proven.
type step struct {
	title string
	do    func(context.Context) (evidence string, err error)
}

func (s *show) run(ctx context.Context) error {
	whole, hangUp := context.WithCancel(ctx)
	defer func() {
		hangUp()
		if s.chat != nil {
			_ = s.chat.Wait(context.WithoutCancel(ctx)) // it was told to end, however it takes that
		}
	}()
	s.whole = whole
	s.report.Section("The environment")
	if err := s.lab.Up(ctx); err != nil {
		return err
	}
	s.customer = s.lab.Customer()
	s.mark = rand.Text()[:6]
	var err error
	if s.inbox, err = s.lab.OpenInbox(lab.Acme); err != nil {
		return err
	}
	for _, part := range []struct {
		title string
		steps []step
	}{
		{"A customer and a business", s.conversation()},
		{"Who may open what", s.keys()},
		{"Who may call whom", s.network()},
		{"What is not kept", s.erasure()},
	} {
		s.report.Section(part.title)
		for _, p := range part.steps {
			if err := s.prove(ctx, p); err != nil {
				return err
			}
		}
	}
	return s.farewell(ctx)
}

func (s *show) prove(ctx context.Context, p step) error {
	return s.report.Step(ctx, p.title, func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, stepPatience)
		defer cancel()
		return p.do(ctx)
	})
}

// farewell says what to try next.
func (s *show) farewell(ctx context.Context) error {
	reply, err := s.lab.ReplyScript(ctx, lab.Acme, s.customer.Digits(), "Anything else?")
	if err != nil {
		return err
	}
	s.report.Section("All of it holds, and everything is left running. What to try next, from this folder:")
	s.report.Print(fmt.Sprintf(`
%s

# The businesses, their regions and how they are
kubectl get brelay -A -o wide

# See what acme's webhook gets, in another terminal
tail -f %s

# Be the customer, in this terminal
%s

# Answer as acme
%s

# The address by which other customers reach acme
kubectl relay invite acme -n acme

# End it all
make demo-down
`, s.lab.ShellSetup(), s.lab.Short(s.lab.WebhookLog(lab.Acme)), s.customer.ChatScript(lab.Acme), reply))
	return nil
}
