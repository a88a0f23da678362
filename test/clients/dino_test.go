//go:build clients

package clients_test

import (
	"testing"

	"github.com/relaykeep/relaykeep/test/clients/dino"
)

func TestDino(t *testing.T) {
	t.Parallel()
	s, ip := desktopScene(t, "Dino")
	_, _, ca := s.server.Where()
	c, err := dino.Start(s.ctx, dino.Config{JID: number + "@" + s.domain, Password: password, Domain: s.domain, Address: ip, CA: ca})
	s.seats(c, err)
	s.waitKeys(number)
	s.conversation(expectations{fileOut: offered})
}
