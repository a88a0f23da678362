// Package psi drives Psi+, an XMPP client with windows (Qt 5), on a desktop of its own: it
// reads what the windows show, types, and presses their buttons. It must not know what the
// peer is. Its words are those of Psi+ 1.4.554.
package psi

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/relaykeep/relaykeep/test/clients/desktop"
)

// Config says who the customer is and where its server is. The account exists already.
type Config struct {
	JID, Password string
	Domain        string // of the server
	Address       string // IP address of the server, which listens on port 5222
	CA            []byte // PEM of the authority that the server's certificate is from
}

// Client is a running Psi+.
type Client struct {
	*desktop.Session
	own string // the customer's name in chats, which is the address up to its @
	jid string // whose chat is open
}

// The files in which Psi+ keeps an account and what its user chose.
var (
	//go:embed accounts.xml
	accountsFile string
	//go:embed options.xml
	optionsFile string

	accounts = template.Must(template.New("accounts.xml").Parse(accountsFile))
)

// profile is where Psi+ looks for them, below its home.
const profile = "config/psi+/profiles/default/"

// startTime bounds one of startTries: on a busy machine some runs of Psi+ never offer their
// windows to the accessibility interface, at which Qt registers by itself when a program starts.
// Nothing else shows whether it did, so there is nothing to wait for but the windows.
const (
	startTime  = 30 * time.Second
	startTries = 3
)

// Start starts Psi+ and waits until it is online. Stop it when done, even if there was an
// error with it.
func Start(ctx context.Context, cfg Config) (c *Client, err error) {
	for range startTries {
		if c != nil {
			c.Stop()
		}
		if c, err = start(ctx, cfg); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return c, fmt.Errorf("starting Psi+: %w", err)
	}
	return c, nil
}

func start(ctx context.Context, cfg Config) (c *Client, err error) {
	c = &Client{}
	c.own, _, _ = strings.Cut(cfg.JID, "@")
	var account strings.Builder
	if err := accounts.Execute(&account, map[string]string{"JID": cfg.JID, "Password": obscured(cfg.Password, cfg.JID), "Address": cfg.Address}); err != nil {
		return c, err
	}
	c.Session, err = desktop.Start(ctx, desktop.Options{
		Program: []string{"psi-plus"}, Hosts: map[string]string{cfg.Domain: cfg.Address}, CA: cfg.CA,
		Files: map[string]string{profile + "accounts.xml": account.String(), profile + "options.xml": optionsFile},
		Width: 1000, Height: 700,
	})
	if err != nil {
		return c, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	// The list shows the user as their own contact once the account is online.
	_, err = c.Wait(ctx, "the account in the list of contacts", c.entry(c.own))
	return c, err
}

// obscured writes a password as Psi+ keeps it: each character exclusive or one of the
// address's.
func obscured(password, jid string) string {
	key := []rune(jid)
	var b strings.Builder
	for i, r := range []rune(password) {
		fmt.Fprintf(&b, "%04x", r^key[i%len(key)])
	}
	return b.String()
}
