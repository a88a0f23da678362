// Package profanity drives Profanity, a terminal XMPP client of Debian's, as the
// customer of an interoperability test: a client that people use and that shares
// no code with this project. It runs headless in a tmux server of its own, with a
// home of its own. It must not know what the peer is.
package profanity

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Errors that a caller decides on.
var (
	// ErrMissing means that profanity or tmux is not installed.
	ErrMissing = errors.New("profanity or tmux is not installed: apt-get install profanity tmux")
	// ErrNotShown means that what was waited for did not appear in time.
	ErrNotShown = errors.New("profanity did not show it in time")
)

// poll is how often the screen is looked at.
const poll = 100 * time.Millisecond

// Config says who the customer is and where its server is. The account exists
// already: Profanity's own registration asks questions.
type Config struct {
	JID      string // bare, as "+4915112345678@eu.relay.test"
	Password string
	Address  string // host:port of the server; its certificate is not checked
	// Dir holds the client's home. Empty means a new temporary directory, which
	// Stop removes; a directory that is kept keeps the device and its sessions.
	Dir string
}

// Client is a running Profanity.
type Client struct {
	cfg      Config
	home     string
	tempHome bool
	screen   *screen
}

// Start starts the client, waits until it is online and has OMEMO keys, and sets
// it to encrypt always and to trust without asking. Stop it when done.
func Start(ctx context.Context, cfg Config) (*Client, error) {
	c := &Client{cfg: cfg, home: cfg.Dir}
	if c.home == "" {
		dir, err := os.MkdirTemp("", "profanity-*")
		if err != nil {
			return nil, fmt.Errorf("making the client's home: %w", err)
		}
		c.home, c.tempHome = dir, true
	}
	if err := c.start(ctx); err != nil {
		err = fmt.Errorf("starting profanity: %w", err)
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Client) start(ctx context.Context) error {
	fresh, err := c.writeSettings()
	if err != nil {
		return err
	}
	c.screen, err = startScreen(ctx, c.home, "profanity", "-a", account)
	if err != nil {
		return err
	}
	if err := c.waitScreen(ctx, "logged in successfully"); err != nil {
		return err
	}
	if !fresh {
		return nil
	}
	if err := c.Command(ctx, "/omemo gen"); err != nil {
		return err
	}
	return c.waitScreen(ctx, "OMEMO crytographic materials generated") // its own spelling
}

// account names the account in Profanity's own settings.
const account = "customer"

// writeSettings writes Profanity's settings unless the home has them already.
func (c *Client) writeSettings() (fresh bool, err error) {
	host, port, err := net.SplitHostPort(c.cfg.Address)
	if err != nil {
		return false, fmt.Errorf("server's address: %w", err)
	}
	files := map[string]string{
		"config/profanity/profrc": "[omemo]\npolicy=always\ntrustmode=blind\n" +
			"[connection]\nreceipts.send=true\nreceipts.request=true\n[notifications]\nmessage=off\n",
		"data/profanity/accounts": fmt.Sprintf("[%s]\nenabled=true\njid=%s\nserver=%s\nport=%s\nresource=phone\npassword=%s\ntls.policy=trust\n",
			account, c.cfg.JID, host, port, c.cfg.Password),
	}
	for name, text := range files {
		path := filepath.Join(c.home, name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		fresh = true
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return false, fmt.Errorf("making the client's home: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return false, fmt.Errorf("writing the client's settings: %w", err)
		}
	}
	return fresh, nil
}

// Befriend exchanges presence with a peer that answers. Profanity publishes its
// bundle for subscribers only, so a peer that is to start needs it.
func (c *Client) Befriend(ctx context.Context, jid string) error {
	for _, cmd := range []string{"/roster add ", "/sub request ", "/sub allow "} {
		if err := c.Command(ctx, cmd+jid); err != nil {
			return err
		}
	}
	return nil
}

// Send types a message to a peer. It returns when Profanity shows it as sent,
// encrypted: not before the peer's keys are there. Text is one line.
func (c *Client) Send(ctx context.Context, jid, text string) error {
	if err := c.open(ctx, jid); err != nil {
		return err
	}
	for {
		lines, err := c.screen.text(ctx)
		if err != nil {
			return err
		}
		if err := c.screen.typeLine(ctx, text); err != nil {
			return err
		}
		switch err := c.waitOutcome(ctx, text, refusals(lines)); {
		case err == nil:
			return nil
		case !errors.Is(err, errNoKeys):
			return err
		}
		// The peer's bundle is still on its way: typing again is what a user does, and
		// not so often that the screen has no room for one more refusal.
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// open opens the chat with a peer and, where Profanity has not done so by itself,
// switches its encryption on: a chat that the peer began stays in clear although
// the policy says always.
func (c *Client) open(ctx context.Context, jid string) error {
	if err := c.Command(ctx, "/msg "+jid); err != nil {
		return err
	}
	typed := false
	var typeErr error
	err := c.until(ctx, "a chat with OMEMO", func(lines string) bool {
		title, _, _ := strings.Cut(strings.TrimLeft(lines, "\n"), "\n")
		if !strings.Contains(title, jid) {
			return false
		}
		if strings.Contains(title, "[unencrypted]") && !typed {
			typed = true
			typeErr = c.Command(ctx, "/omemo start")
		}
		return typeErr != nil || strings.Contains(title, "[OMEMO]")
	})
	return errors.Join(err, typeErr)
}

// errNoKeys says that Profanity had no session with the peer yet.
var errNoKeys = errors.New("profanity has no session with the peer yet")

// refusals counts the messages on the screen that were not sent for want of keys.
func refusals(lines string) int { return strings.Count(lines, "cannot be decrypted for any recipient") }

// waitOutcome waits until the text that was typed last is shown as sent or as
// refused, which was shown a number of times before it was typed.
func (c *Client) waitOutcome(ctx context.Context, text string, before int) error {
	var out error
	err := c.until(ctx, text, func(lines string) bool {
		switch {
		case sentLine(text).MatchString(lines):
			return true
		case refusals(lines) > before:
			out = errNoKeys
			return true
		}
		return false
	})
	return errors.Join(err, out)
}

// sentLine matches the line of a message that we sent under OMEMO.
func sentLine(text string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d ~ me: ` + regexp.QuoteMeta(text) + `\s*$`)
}

// WaitText waits until a message with the given text from the peer is on the
// screen, marked as encrypted with OMEMO. The text must fit a line.
func (c *Client) WaitText(ctx context.Context, jid, text string) error {
	if err := c.Command(ctx, "/msg "+jid); err != nil {
		return err
	}
	return c.until(ctx, text, receivedLine(jid, text).MatchString)
}

// receivedLine matches the line of a message that a peer sent under OMEMO.
func receivedLine(jid, text string) *regexp.Regexp {
	local, _, _ := strings.Cut(jid, "@")
	return regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d ~ ` + regexp.QuoteMeta(local) + `\S*: ` + regexp.QuoteMeta(text) + `\s*$`)
}

// Command types one of Profanity's own commands.
func (c *Client) Command(ctx context.Context, line string) error { return c.screen.typeLine(ctx, line) }

// waitScreen waits until the screen shows a text.
func (c *Client) waitScreen(ctx context.Context, text string) error {
	return c.until(ctx, text, func(lines string) bool { return strings.Contains(lines, text) })
}

// until polls the screen until done says so. When ctx ends first the error wraps
// ErrNotShown and shows the screen.
func (c *Client) until(ctx context.Context, what string, done func(screen string) bool) error {
	return c.watch(ctx, what, c.screen.text, done)
}

// watch is until for a way to read the screen.
func (c *Client) watch(ctx context.Context, what string, read func(context.Context) (string, error), done func(screen string) bool) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		lines, err := read(ctx)
		if err == nil && done(lines) {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %q: %w\n%s", what, ErrNotShown, c.Dump())
		case <-tick.C:
		}
	}
}

// Dump returns what is on the screen, for a failed test's log. The account's
// password is struck out should it be there.
func (c *Client) Dump() string {
	if c.screen == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	lines, err := c.screen.text(ctx)
	if err != nil {
		return "no screen: " + err.Error()
	}
	if c.cfg.Password != "" {
		lines = strings.ReplaceAll(lines, c.cfg.Password, "[password]")
	}
	return lines
}

// stopWithin is how long the client may take to say goodbye.
const stopWithin = 10 * time.Second

// Stop lets the client quit as a user would, so that it keeps its sessions, ends
// its tmux server and removes a temporary home.
func (c *Client) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	var err error
	if c.screen != nil {
		if c.screen.typeLine(ctx, "/quit") == nil {
			c.awaitEnd(ctx)
		}
		err = c.screen.stop(context.WithoutCancel(ctx))
	}
	if c.tempHome {
		err = errors.Join(err, os.RemoveAll(c.home))
	}
	return err
}

// awaitEnd waits until the program has ended, for half of the time at most.
func (c *Client) awaitEnd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopWithin/2)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for c.screen.alive(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
