//go:build clients

package clients_test

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/interop/profanity"
)

// terminal is Profanity as a customer.
type terminal struct {
	*profanity.Client
	t   *testing.T
	jid string // whose chat is open
}

func (p *terminal) Open(_ context.Context, jid string) error {
	p.jid = jid
	return nil
}

// Encrypt does nothing: Send switches encryption on, as the setting says.
func (p *terminal) Encrypt(context.Context) error { return nil }

func (p *terminal) Send(ctx context.Context, text string) error {
	return p.Client.Send(ctx, p.jid, text)
}

func (p *terminal) WaitText(ctx context.Context, text string) error {
	err := p.Client.WaitText(ctx, p.jid, text)
	if errors.Is(err, profanity.ErrNotShown) { // without the screen, which is in the screenshot
		err = errors.New("the text is not shown: " + text)
	}
	return err
}

func (p *terminal) SendFile(ctx context.Context, path string) error {
	return p.Client.SendFile(ctx, p.jid, path)
}

func (p *terminal) WaitPicture(ctx context.Context) error {
	_, err := p.SaveFile(ctx, p.jid, p.t.TempDir()+"/picture.png", int64(len(picture())))
	return err
}

// WaitQuote waits until a text is shown below the line that it answers.
func (p *terminal) WaitQuote(ctx context.Context, text, quoted string) error {
	answers := regexp.MustCompile("> " + regexp.QuoteMeta(quoted) + `\s*\n\s*` + regexp.QuoteMeta(text))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !answers.MatchString(p.Dump()) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("the text is not shown with what it answers: " + text)
		}
	}
	return nil
}

// Accept answers the peer's contact request.
func (p *terminal) Accept(ctx context.Context) error {
	return p.Command(ctx, "/sub allow "+p.jid)
}

// Correct changes the last message that the user sent.
func (p *terminal) Correct(ctx context.Context, _, text string) error {
	return p.Command(ctx, "/correct "+text)
}

func (p *terminal) Screenshot() ([]byte, string, error) { return []byte(p.Dump()), ".txt", nil }

func (p *terminal) Stop() { check(p.t, p.Client.Stop()) }

func TestProfanity(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Profanity", "")
	_, address, _ := s.server.Where()
	p, err := profanity.Start(s.ctx, profanity.Config{
		JID: number + "@" + s.domain, Password: password, Address: address, Dir: t.TempDir(),
	})
	check(t, err)
	s.customer = &terminal{Client: p, t: t}
	t.Cleanup(s.customer.Stop)
	e := expectations{businessFirst: refused, replyIn: cannot, reactionIn: cannot}
	if s.openKeys { // and it finds a list of its own devices, which Prosody hides from it
		delete(e, businessFirst)
		s.waitKeys(number) // it publishes them a moment after it says that it has them
	}
	s.conversation(e)
}
