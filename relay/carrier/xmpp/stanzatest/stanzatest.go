// Package stanzatest reads stanzas as a relay's carrier does, for tests that have no server. It
// must not know what becomes of them.
package stanzatest

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Domain is that of every address.
const Domain = "relay.test"

// Events returns what one <message/> to an account says that arrives now.
func Events(own phone.Number, text string, now time.Time) ([]carrier.Event, error) {
	d := xml.NewDecoder(strings.NewReader("<stream xmlns='" + stanza.NSClient + "'>" + text))
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("reading a stanza: %w", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if depth++; depth < 2 {
			continue
		}
		e, err := stanza.ReadElement(d, start)
		if err != nil {
			return nil, fmt.Errorf("reading a stanza: %w", err)
		}
		r := stanza.Reader{Addresses: stanza.Addresses{Own: own, Domain: Domain}}
		return r.Message(e, stanza.Span{Now: now}).Events, nil
	}
}

// Encrypted returns the element of an envelope to an account, as its version of OMEMO writes it.
func Encrypted(to phone.Number, e carrier.Envelope) string {
	m := stanza.Outgoing(stanza.Addresses{Domain: Domain}, carrier.Outgoing{To: to, Envelope: e})
	space := stanza.NSOMEMO
	if e.Format == carrier.OMEMO2 {
		space = stanza.NSOMEMO2
	}
	return string(m.Child(space, "encrypted").Bytes())
}
