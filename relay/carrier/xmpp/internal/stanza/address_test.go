package stanza

import (
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/phone"
)

func TestName_IsAPeerOnlyWhereItIsAllowed(t *testing.T) {
	own, err := phone.Parse("+4930222222")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"anna@relay.test/phone": true, "anna@relay.test": true, "müller@relay.test/x": true,
		"anna@other.test/x": false, "relay.test/anna": false, "49301234567@relay.test/x": false, "0049301234567@relay.test/x": false,
		"+4930222222@relay.test/x": false, "Anna@relay.test/x": false, "@relay.test": false, strings.Repeat("a", 256) + "@relay.test": false,
	} {
		a := Addresses{Own: own, Domain: "relay.test"}
		if from, _ := a.Origin(address); from == FromPeer {
			t.Errorf("where names are refused, %q is a peer", address)
		}
		a.Names = true
		from, n := a.Origin(address)
		if (from == FromPeer) != want || n.IsZero() == want {
			t.Errorf("where names are allowed, %q is a peer: %v", address, from == FromPeer)
		}
		if bare, _, _ := strings.Cut(address, "/"); want && a.Of(n) != bare {
			t.Errorf("%q is written to at %q", address, a.Of(n))
		}
	}
}
