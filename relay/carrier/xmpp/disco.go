package xmpp

import (
	"crypto/sha1" //nolint:gosec // XEP-0115 names it; nothing depends on its strength
	"encoding/base64"
	"slices"
	"strings"

	"github.com/relaykeep/relaykeep/relay/carrier/about"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// What we tell others about ourselves (XEP-0030). The node names only the software.
const (
	clientNode = "https://relaykeep.dev"
	clientName = "Relaykeep"
)

// features are what others may send us. "+notify" asks servers for the device lists of
// peers who let us see their presence (XEP-0163).
func features() []string {
	return []string{
		stanza.NSCaps, stanza.NSStates, stanza.NSDisco, stanza.NodeDevices + "+notify", stanza.NodeDevices2 + "+notify", stanza.NSEME, stanza.NSMarkers, stanza.NSPing, stanza.NSReceipts,
		about.NSCorrect, about.NSRetract, about.NSReactions, about.NSReply,
	}
}

// What clients are told about reactions (XEP-0444, 2.2): the Cloud API knows one for each person
// and message.
const (
	reactionForm = about.NSReactions + ":restrictions"
	reactionMax  = "max_reactions_per_user"
)

// capsVersion is the verification string of XEP-0115, 5.1.
func capsVersion() string {
	sorted := slices.Sorted(slices.Values(features()))
	s := "client/bot//" + clientName + "<" + strings.Join(sorted, "<") + "<" + reactionForm + "<" + reactionMax + "<1<"
	sum := sha1.Sum([]byte(s)) //nolint:gosec // as above
	return base64.StdEncoding.EncodeToString(sum[:])
}

// presence says that we are online and what we understand, to all who may see it or to an address.
func presence(attrs ...string) *stanza.Element {
	return stanza.New(stanza.NSClient, "presence", attrs...).With(
		stanza.New(stanza.NSCaps, "c", "hash", "sha-1", "node", clientNode, "ver", capsVersion()))
}

func ourNode(node string) bool { return node == "" || node == clientNode+"#"+capsVersion() }

func disco(node string) *stanza.Element {
	q := stanza.New(stanza.NSDisco, "query", "node", node).With(
		stanza.New(stanza.NSDisco, "identity", "category", "client", "type", "bot", "name", clientName))
	for _, f := range features() {
		q.With(stanza.New(stanza.NSDisco, "feature", "var", f))
	}
	field := func(name, kind, value string) *stanza.Element {
		return stanza.New(stanza.NSForm, "field", "var", name, "type", kind).With(stanza.New(stanza.NSForm, "value").WithText(value))
	}
	return q.With(stanza.New(stanza.NSForm, "x", "type", "result").With(
		field("FORM_TYPE", "hidden", reactionForm), field(reactionMax, "", "1")))
}
