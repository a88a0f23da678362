package xmpp

import (
	"crypto/sha1" // XEP-0115 names it
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier/about"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// TestCaps_HashIsOfWhatIsDisclosed computes the verification string from the answer, as clients
// do (XEP-0115, 5.1): they cache what does not match under another name, or not at all.
func TestCaps_HashIsOfWhatIsDisclosed(t *testing.T) {
	t.Parallel()
	var identities, features, fields []string
	var form string
	for _, c := range disco("").Children {
		switch {
		case c.Is(stanza.NSDisco, "identity"):
			identities = append(identities, c.Attr("category")+"/"+c.Attr("type")+"//"+c.Attr("name")+"<")
		case c.Is(stanza.NSDisco, "feature"):
			features = append(features, c.Attr("var")+"<")
		case c.Is(stanza.NSForm, "x"):
			for _, f := range c.Children {
				value := f.Child(stanza.NSForm, "value").Text
				if f.Attr("var") == "FORM_TYPE" {
					form = value + "<"
				} else {
					fields = append(fields, f.Attr("var")+"<"+value+"<")
				}
			}
		}
	}
	for _, list := range [][]string{identities, features, fields} {
		slices.Sort(list)
	}
	sum := sha1.Sum([]byte(strings.Join(identities, "") + strings.Join(features, "") + form + strings.Join(fields, "")))
	if want := base64.StdEncoding.EncodeToString(sum[:]); capsVersion() != want {
		t.Errorf("the hash is %s, want %s", capsVersion(), want)
	}
	for _, ns := range []string{about.NSReply, about.NSCorrect, about.NSReactions, about.NSRetract} {
		if !slices.Contains(features, ns+"<") {
			t.Errorf("%s is not disclosed", ns)
		}
	}
}
