package stream

import (
	"bufio"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

func FuzzEnding(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add("<a/>text<b x='>'>" + strings.Repeat("y", maxEnd) + "</b><c><d/><![CDATA[</c>]]></c>")
	for _, text := range xmpptest.Stanzas() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, content string) {
		wire := &wire{in: bufio.NewReader(strings.NewReader("<message>" + content + "</message>")), budget: headerBudget}
		frames := newFramer(wire, 1, maxWire)
		for range 2 {
			_, _ = frames.ReadByte() // past its limit
		}
		end, err := frames.pass()
		kept := 0
		for _, child := range end.last {
			kept += len(child)
		}
		if len(end.last) > maxEnding || kept > maxEnding*maxEnd || len(end.open) > maxEnd {
			t.Errorf("%d children of %d bytes are kept", len(end.last), kept)
		}
		if got := parseEnd(end); len(got) == 0 {
			t.Errorf("nothing stands at the end of %q, error %v", content, err)
		}
	})
}
