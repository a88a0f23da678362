//go:build clients

package clients_test

import (
	"testing"

	"github.com/relaykeep/relaykeep/test/clients/psi"
)

func TestPsi(t *testing.T) {
	t.Parallel()
	s, ip := desktopScene(t, "Psi+")
	_, _, ca := s.server.Where()
	c, err := psi.Start(s.ctx, psi.Config{JID: number + "@" + s.domain, Password: password, Domain: s.domain, Address: ip, CA: ca})
	s.customer = c
	t.Cleanup(func() {
		if screen, err := c.Look(); t.Failed() {
			t.Logf("%s\n%v%v", c.LastWords(), screen, err)
		}
		c.Stop()
	})
	if err != nil {
		t.Fatalf("%v\nscreenshot: %s", err, s.shoot("start"))
	}
	e := expectations{businessFirst: afterRequest, reactionIn: cannot, fileIn: psi.ErrNoUpload.Error(), invitation: afterClear}
	if s.openKeys {
		e = expectations{businessFirst: unconfirmed, texts: afterAdding, reactionIn: cannot, invitation: afterNotice}
	}
	s.conversation(e)
}
