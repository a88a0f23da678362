// Package converse drives Converse.js, an XMPP client for web pages, in a headless
// Chromium: it reads what the page shows, types and clicks. It must not know what the
// peer is.
package converse

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/relaykeep/relaykeep/test/clients/browser"
)

// Config says who the customer is and where its server is. The account exists already.
type Config struct {
	JID       string // bare
	Password  string
	Domain    string // of the server
	WebSocket string // wss address, whose host is the domain
	Files     string // directory that Install returned
	Dir       string // for the browser's profile
}

// Client is a running Converse.
type Client struct {
	page   *browser.Page
	server *httptest.Server
}

// page is the site. The trailing script starts the client with what a site that offers
// it would set, and leaves the rest as it comes.
const page = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Chat</title>
<link rel="stylesheet" href="/converse.min.css"></head>
<body class="converse-fullscreen"><div id="conversejs-bg"></div><script type="module">
import '/converse.min.js';
window.converse.initialize({websocket_url: %q, view_mode: 'fullscreen', assets_path: '/', discover_connection_methods: false,
  allow_registration: false, i18n: 'en', show_background: false, muc_subscribe_to_rai: false});
</script></body></html>`

// Start opens the site and logs in. Stop it when done.
func Start(ctx context.Context, cfg Config) (*Client, error) {
	c := &Client{}
	site := http.NewServeMux()
	site.Handle("/", http.FileServer(http.Dir(cfg.Files)))
	site.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, page, cfg.WebSocket)
	})
	c.server = httptest.NewServer(site) // on the loopback address, which browsers take as secure
	var err error
	if c.page, err = browser.Open(ctx, browser.Options{Dir: cfg.Dir, Names: []string{cfg.Domain}, Width: 1000, Height: 700}); err == nil {
		err = c.logIn(ctx, cfg)
	}
	if err != nil {
		return c, fmt.Errorf("starting Converse: %w", err)
	}
	return c, nil
}

func (c *Client) logIn(ctx context.Context, cfg Config) error {
	if err := c.page.Navigate(ctx, c.server.URL); err != nil {
		return err
	}
	for field, text := range map[string]string{"jid": cfg.JID, "password": cfg.Password} {
		if err := c.page.Click(ctx, "#converse-login input[name="+field+"]"); err != nil {
			return err
		}
		if err := c.page.Type(ctx, text); err != nil {
			return err
		}
	}
	if err := c.page.Click(ctx, "#converse-login button[type=submit]"); err != nil {
		return err
	}
	return c.page.Until(ctx, "the list of chats", `()=>document.querySelector('.chat-status, converse-user-profile, .xmpp-status')`)
}

// Stop closes the browser and the site.
func (c *Client) Stop() {
	if c.page != nil {
		c.page.Close()
	}
	c.server.Close()
}

// Screenshot returns a PNG of what the page shows.
func (c *Client) Screenshot() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return c.page.Screenshot(ctx)
}

// Console returns what the page wrote to its console.
func (c *Client) Console() []string { return c.page.Console() }
