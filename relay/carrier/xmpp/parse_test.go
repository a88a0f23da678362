package xmpp

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// parse reads the first element of text as a client's stream would have it.
func parse(text string) (*stanza.Element, error) {
	d := xml.NewDecoder(strings.NewReader("<stream:stream xmlns='" + stanza.NSClient + "' xmlns:stream='" + stanza.NSStream + "'>" + text))
	for {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		if start, ok := tok.(xml.StartElement); ok && start.Name.Space != stanza.NSStream {
			return stanza.ReadElement(d, start)
		}
	}
}

func mustParse(t testing.TB, text string) *stanza.Element {
	t.Helper()
	e, err := parse(text)
	if err != nil {
		t.Fatalf("parsing %s: %v", text, err)
	}
	return e
}
