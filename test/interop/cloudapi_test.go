package interop_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/interop/nodeclients"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// office is a business with a real relay, whose programs are published clients of the Cloud API. Each
// of them has a customer of its own, since one may get only 45 messages at once.
type office struct {
	*business
	server    server
	accountID string
	shop      string // URL of files that the business links to

	mu       sync.Mutex
	webhooks []delivery
}

// delivery is a request that the relay sent to the business.
type delivery struct{ method, query, signature, body string }

// TestPublishedClients has each client do all it can: with one relay, since starting one takes most of
// the time.
func TestPublishedClients(t *testing.T) {
	o := openOffice(t)
	t.Run("kapso", func(t *testing.T) { o.kapso(t) })
	t.Run("chat SDK", func(t *testing.T) { o.chatSDK(t) })
	t.Run("piusalfred", func(t *testing.T) { o.piusalfred(t) })
}

func openOffice(t *testing.T) *office {
	t.Helper()
	server := prosody.StartT(t, prosody.Options{Registration: true})
	o := &office{server: server, business: &business{shared.NewBusiness(t, server), t}}
	o.Listen(func(r *http.Request, body []byte) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.webhooks = append(o.webhooks, delivery{r.Method, r.URL.RawQuery, r.Header.Get(webhook.SignatureHeader), string(body)})
	})
	o.startReady()
	o.waitPublished(server)
	var me struct{ ID string }
	check(t, json.Unmarshal([]byte(o.wantOK(o.Ask(http.MethodGet, "/me", "", nil))), &me))
	o.accountID = me.ID
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/pdf")
		_, _ = io.WriteString(w, offer)
	}))
	t.Cleanup(files.Close)
	o.shop = files.URL
	return o
}

// offer is a file that the business links to, and picture one that it uploads.
const (
	offer   = "%PDF-1.7\nan offer\n"
	picture = "\xff\xd8\xff\xe0\x00\x10JFIF a picture"
	notice  = "OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00\x01\x13OpusHead a voice note"
)

// node starts a client that runs in Node.js.
func (o *office) node(t *testing.T, name string) *nodeclients.Client {
	t.Helper()
	host := o.Config.Endpoint.Host
	address, port, err := net.SplitHostPort(o.Endpoint())
	check(t, err)
	return nodeclients.StartT(t, name, nodeclients.Config{
		URL: "https://" + net.JoinHostPort(host, port), Host: host, Address: address, Token: o.Token, NumberID: o.NumberID,
		Secret: o.Known().WebhookSecret, VerifyToken: o.Known().VerifyToken, Authorities: o.Authorities,
	})
}

// client is one of the business's clients with its customer.
type client struct {
	*nodeclients.Client
	office   *office
	t        *testing.T
	customer *customers.Client
	from     string // the customer's number in digits
}

func (o *office) client(t *testing.T, program *nodeclients.Client, number string, formats ...carrier.Format) *client {
	t.Helper()
	c := &client{program, o, t, customers.StartIn(t, o.server, number, formats...), strings.TrimPrefix(number, "+")}
	c.customer.Says(o.Business, "Good morning") // which gives the relay a session
	o.WaitText("Good morning")
	return c
}

// does has the client call a function, which must succeed.
func (c *client) does(result any, function string, args ...any) {
	c.t.Helper()
	if err := c.Call(result, function, args...); err != nil {
		c.t.Errorf("%s: %v", function, err)
	}
}

// refused has the client call a function, which the API must refuse with a code. It returns what the client
// then advises to do.
func (c *client) refused(code int, function string, args ...any) (advice string) {
	c.t.Helper()
	err := c.Call(nil, function, args...)
	var e *nodeclients.Error
	if !errors.As(err, &e) || e.Code != code {
		c.t.Errorf("%s: %v, want code %d", function, err, code)
		return ""
	}
	return e.Retry
}

// shows waits until the customer has a message with all of some parts in its text.
func (c *client) shows(parts ...string) {
	c.t.Helper()
	c.customer.Wait("a message with "+strings.Join(parts, ", "), func(e customer.Event) bool {
		if e.Kind != customer.Received {
			return false
		}
		for _, part := range parts {
			if !strings.Contains(e.Text, part) {
				return false
			}
		}
		return true
	})
}

// gets waits until the customer has a file, and fetches it.
func (c *client) gets(content string) {
	c.t.Helper()
	seen := 0
	await.Until(c.t, "a file arrives", func() bool {
		texts := c.customer.Texts()
		defer func() { seen = len(texts) }()
		for _, text := range texts[seen:] {
			file, err := media.ParseFileURL(text)
			if err != nil {
				continue
			}
			path, err := c.customer.SaveFile(c.t.Context(), file, c.t.TempDir())
			check(c.t, err)
			saved, err := os.ReadFile(path)
			check(c.t, err)
			if string(saved) == content {
				return true
			}
		}
		return false
	})
}

// sent returns the latest webhook about the client's customer that has some text in it.
func (c *client) sent(what, text string) (found delivery) {
	c.t.Helper()
	await.Until(c.t, "a webhook with "+what, func() bool {
		c.office.mu.Lock()
		defer c.office.mu.Unlock()
		for _, d := range c.office.webhooks {
			if strings.Contains(d.body, text) && strings.Contains(d.body, `"`+c.from+`"`) {
				found = d
			}
		}
		return found.body != ""
	})
	return found
}

// attaches has the customer send a file, and returns what the webhook tells of it.
func (c *client) attaches(name, content string) (id, mediaID string) {
	c.t.Helper()
	_, err := c.customer.SendFile(c.t.Context(), mustPhone(c.t, c.office.Number), name, strings.NewReader(content), int64(len(content)))
	check(c.t, err)
	await.Until(c.t, "a file at the webhook", func() bool {
		for _, u := range c.office.Updates() {
			if u.From == c.from && u.File.ID != "" && u.File.ID != mediaID {
				id, mediaID = u.ID, u.File.ID
			}
		}
		return mediaID != ""
	})
	return id, mediaID
}

func mustPhone(t *testing.T, number string) phone.Number {
	t.Helper()
	n, err := phone.Parse(number)
	check(t, err)
	return n
}
