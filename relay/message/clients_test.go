package message_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/stanzatest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// stanzaOf is what a client's stanza is written from.
type stanzaOf struct {
	Business, Customer  string // addresses
	Question, Own, This string // stanza ids
	QuestionText        string
	encrypt             func(text string) string
	file                func(name string) string // the link to a file of the customer's
	question, owned     string                   // as the business knows them
}

// TestClients_StanzasAreToldAsGolden reads what each client sends when its user replies, corrects,
// reacts, takes something back or sends a file, and compares the webhook with the one beside the stanza.
func TestClients_StanzasAreToldAsGolden(t *testing.T) {
	stanzas, err := filepath.Glob("testdata/clients/*.xml")
	check(t, err)
	if len(stanzas) == 0 {
		t.Fatal("there are no stanzas")
	}
	for _, path := range stanzas {
		name := strings.TrimSuffix(filepath.Base(path), ".xml")
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			stanza, err := os.ReadFile(path)
			check(t, err)
			inBubbleWith(t, func(w *world) {
				w.web = newWeb()
				if strings.Contains(string(stanza), `"urn:xmpp:omemo:2"`) {
					w.speaksOMEMO2()
					w.formats = []carrier.Format{carrier.OMEMO2} // of the customer
				}
			}, func(t *testing.T, w *world) {
				s := answering(w, dir)
				events, err := stanzatest.Events(w.number, rendered(t, string(stanza), s), time.Now())
				check(t, err)
				check(t, w.brings(events...))
				w.take()
				golden(t, strings.TrimSuffix(path, ".xml")+".json", normal(t, w, s))
			})
		})
	}
}

// answering has a customer ask, and the business ask back.
func answering(w *world, dir string) stanzaOf {
	w.t.Helper()
	p := w.customer(dir, alice)
	s := stanzaOf{
		Business: w.number.E164() + "@" + stanzatest.Domain, Customer: p.number.E164() + "@" + stanzatest.Domain, This: "this-stanza",
		QuestionText: "Das haben wir in Grün. Welche Größe?",
	}
	s.Own = p.says(w.number, "Do you have it in green?")
	s.owned = w.take()[0].ID
	s.question = w.says(p.number, s.QuestionText)
	w.take()
	s.Question = w.carrier.LastText().ID
	s.encrypt = func(text string) string {
		w.keepSecret(text)
		var e carrier.Envelope
		p.carrier.Bounce(func(o carrier.Outgoing) (back, temporary bool) {
			e = o.Envelope
			return true, false // it does not arrive
		})
		defer p.carrier.Bounce(nil)
		_, err := p.Send(context.Background(), w.number, text)
		check(w.t, err)
		return stanzatest.Encrypted(w.number, e)
	}
	s.file = func(name string) string { return p.hands("https://up.test:5281/9/"+name, picture()).Text() }
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bodies = nil
	return s
}

// rendered fills a stanza in.
func rendered(t *testing.T, stanza string, s stanzaOf) string {
	t.Helper()
	parsed, err := template.New("stanza").Funcs(template.FuncMap{
		"encrypt": s.encrypt, "file": s.file, "characters": utf8.RuneCountInString, "bytes": func(text string) int { return len(text) },
	}).Parse(stanza)
	check(t, err)
	var b strings.Builder
	check(t, parsed.Execute(&b, s))
	return b.String()
}

// userID is the form of a user id of a German number.
var userID = regexp.MustCompile(`DE\.[A-Z2-7]{26}`)

// normal returns the webhooks that came, without what differs each time.
func normal(t *testing.T, w *world, s stanzaOf) []byte {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []any
	for _, body := range w.bodies {
		var webhook struct {
			Entry []struct {
				Changes []struct{ Value map[string]any }
			}
		}
		check(t, json.Unmarshal(body, &webhook))
		all = append(all, webhook.Entry[0].Changes[0].Value)
	}
	plain, err := json.MarshalIndent(all, "", "  ")
	check(t, err)
	text := strings.NewReplacer(s.question, "wamid.QUESTION", s.owned, "wamid.OWN").Replace(string(plain))
	text = userID.ReplaceAllString(text, "DE.USER")
	var lines []string
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		varies := key == `"timestamp"` || key == `"identity_key_hash"` || key == `"id"` && !strings.Contains(value, `"wamid.QUESTION"`) && !strings.Contains(value, `"wamid.OWN"`)
		if varies {
			line = strings.Replace(line, strings.TrimSuffix(value, ","), `"…"`, 1)
		}
		lines = append(lines, line)
	}
	return append([]byte(strings.TrimSuffix(strings.Join(lines, ""), "\n")), '\n')
}

// golden compares with a file, or rewrites it.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		check(t, os.WriteFile(path, got, 0o600))
		return
	}
	want, err := os.ReadFile(path)
	check(t, err)
	if !bytes.Equal(got, want) {
		t.Error(cmp.Diff(string(want), string(got)))
	}
}
