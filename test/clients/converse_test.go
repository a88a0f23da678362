//go:build clients

package clients_test

import (
	"testing"

	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/clients/converse"
)

// web is Converse as a customer.
type web struct{ *converse.Client }

func (w web) Screenshot() ([]byte, string, error) {
	picture, err := w.Client.Screenshot()
	return picture, ".png", err
}

func TestConverse(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Converse", "")
	files, err := converse.Install(s.ctx)
	check(t, err)
	c, err := converse.Start(s.ctx, converse.Config{
		JID: number + "@" + s.domain, Password: password, Domain: s.domain,
		WebSocket: s.server.WebSocket(), Files: files, Dir: t.TempDir(),
	})
	if c != nil {
		s.customer = web{c}
		t.Cleanup(c.Stop)
	}
	if err != nil {
		t.Fatalf("%v\nscreenshot: %s", err, s.shoot("start"))
	}
	s.waitKeys(number)
	s.conversation(expectations{})
	// It chose omemo:2: only there is a reaction encrypted. It names what it corrects in clear all the same.
	s.business.WaitUpdate("an encrypted reaction", func(u webhooktest.Update) bool { return u.Type == "reaction" && !u.Unencrypted })
	s.business.WaitUpdate("an encrypted reply", func(u webhooktest.Update) bool { return u.Text == replied && u.Context != "" && u.Clear == "" })
	s.business.WaitUpdate("a correction in clear", func(u webhooktest.Update) bool { return u.Type == "edit" && u.Clear == "edit.original_message_id" })
}
