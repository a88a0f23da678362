package xmpp

import (
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
)

// TestArchive_TwoDelaysHaveTheArchivesTime reads messages of the archive that waited for the
// account, too: the server dated them twice, and a client may have added a date of its own.
func TestArchive_TwoDelaysHaveTheArchivesTime(t *testing.T) {
	const archived = "<delay xmlns='urn:xmpp:delay' stamp='2026-02-03T04:05:06Z'/>"
	stored := "<delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2026-01-02T03:04:05Z'>Offline Storage</delay>"
	want := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	message := func(before, after string) string {
		return "<message xmlns='jabber:client' from='" + xmpptest.PeerJID + "' id='1' type='chat'>" + before + xmpptest.Enc + after + "</message>"
	}
	for name, forwarded := range map[string]string{
		"Prosody":                         archived + message("", stored),
		"ejabberd, which dates it first":  archived + message(stored, ""),
		"the message before the date":     message("", stored) + archived,
		"two dates around the message":    archived + message("", "") + strings.Replace(archived, "2026-02-03", "2026-01-01", 1),
		"the server's second date inside": archived + message(stored, stored),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := New(Config{Login: Login{Account: xmpptest.Number(t, xmpptest.Business), Domain: "relay.test", Password: password}})
			check(t, err)
			c.progress.query, c.progress.wanted = "q", true
			s := &service{c: c}
			text := "<message from='" + xmpptest.Business + "@relay.test'><result xmlns='urn:xmpp:mam:2' queryid='q' id='a1'><forwarded xmlns='urn:xmpp:forward:0'>" +
				forwarded + "</forwarded></result></message>"
			r, id := s.archived(mustParse(t, text), time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC))
			if len(r.Events) != 1 || id != "a1" {
				t.Fatalf("read as %+v, id %q, dropped %v", r.Events, id, r.Drops)
			}
			if m, ok := r.Events[0].(carrier.Message); !ok || !m.Time.Equal(want) {
				t.Errorf("read as %+v", r.Events[0])
			}
		})
	}
}
