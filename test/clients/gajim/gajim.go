// Package gajim drives Gajim, an XMPP client with windows (GTK 3), on a desktop of its own:
// it reads what the windows show, types, and presses their buttons. It must not know what
// the peer is. Places on the screen are those of Gajim 1.7.3 in a window of 1000 by 700.
package gajim

import (
	"context"
	"fmt"
	"image"
	"strings"

	"github.com/relaykeep/relaykeep/test/clients/desktop"
)

// Config says who the customer is and where its server is. The account exists already.
// Gajim looks for servers by their domain, on port 5222.
type Config struct {
	JID, Password string
	Domain        string // of the server
	Address       string // IP address of the server
	CA            []byte // PEM of the authority that the server's certificate is from
}

// Client is a running Gajim.
type Client struct {
	*desktop.Session
	name string // of the user, as Gajim shows it
}

// Titles of Gajim's windows.
const (
	mainWindow     = "Gajim"
	newAccount     = "Add Account"
	accountAdded   = "Account Added"
	passwordWanted = "Password Required"
	startChat      = "Start / Join Chat"
	chooseFile     = "Choose File to Send…"
)

// Start starts Gajim and signs in. Stop it when done, even if there was an error with it.
func Start(ctx context.Context, cfg Config) (*Client, error) {
	s, err := desktop.Start(ctx, desktop.Options{
		Program: []string{"gajim"}, Hosts: map[string]string{cfg.Domain: cfg.Address}, CA: cfg.CA,
		NotRoot: true, Width: 1000, Height: 700,
	})
	name, _, _ := strings.Cut(cfg.JID, "@")
	c := &Client{Session: s, name: name}
	if err == nil {
		err = c.signIn(ctx, cfg)
	}
	if err != nil {
		return c, fmt.Errorf("starting Gajim: %w", err)
	}
	return c, nil
}

func (c *Client) signIn(ctx context.Context, cfg Config) error {
	if err := c.fill(ctx, newAccount, "text", cfg.JID, "Tab"); err != nil {
		return err
	}
	if err := c.fill(ctx, newAccount, "password text", cfg.Password, "Return"); err != nil {
		return err
	}
	if err := c.press(ctx, accountAdded, "Connect"); err != nil {
		return err
	}
	// It tried the password, and asks for it again: it keeps none without a keyring.
	if err := c.fill(ctx, passwordWanted, "password text", cfg.Password, "Return"); err != nil {
		return err
	}
	if err := c.gone(ctx, passwordWanted); err != nil {
		return err
	}
	return c.maximize(ctx)
}

// fill types a text into the focused field of a window, and presses a key.
func (c *Client) fill(ctx context.Context, title, role, text, key string) error {
	err := c.Until(ctx, "an empty field in the window "+title, func(s desktop.Screen) bool {
		return s.Has(window(title)) && s.Has(func(e desktop.Element) bool { return e.Role == role && e.Focused && e.Text == "" })
	})
	if err != nil {
		return err
	}
	if err := c.Type(ctx, text); err != nil {
		return err
	}
	return c.Key(ctx, key)
}

// maximize has the main window fill the screen.
func (c *Client) maximize(ctx context.Context) error {
	if err := c.Click(ctx, image.Pt(973, 10), 1); err != nil { // a button in the window's title
		return err
	}
	_, err := c.Wait(ctx, "a window that fills the screen", func(e desktop.Element) bool { return window(mainWindow)(e) && e.Box.Dy() == 700 })
	return err
}

// window fits a window by its title.
func window(title string) func(desktop.Element) bool {
	return func(e desktop.Element) bool {
		return (e.Role == "frame" || e.Role == "file chooser") && e.Name == title
	}
}

// label fits a text that is shown.
func label(text string) func(desktop.Element) bool {
	return func(e desktop.Element) bool { return e.Role == "label" && e.Text == text }
}

// press presses a button of a window.
func (c *Client) press(ctx context.Context, title, name string) error {
	if _, err := c.Wait(ctx, "the window "+title, window(title)); err != nil {
		return err
	}
	return c.Press(ctx, "the button "+name, "click", func(e desktop.Element) bool { return e.Name == name })
}

// gone waits until a window is closed.
func (c *Client) gone(ctx context.Context, title string) error {
	return c.Until(ctx, "the window "+title+" closed", func(s desktop.Screen) bool { return !s.Has(window(title)) })
}
