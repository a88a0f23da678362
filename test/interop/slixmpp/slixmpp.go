// Package slixmpp drives a customer on Debian's python3-slixmpp and python3-oldmemo,
// libraries of another lineage than the relay's and Profanity's. The customer is
// peer.py, which takes orders and tells what happens over pipes. The package must not
// know what the peer is.
package slixmpp

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

//go:embed peer.py
var program []byte

// python is Debian's: its packages are not to be seen from another one.
const python = "/usr/bin/python3"

// Errors that a caller decides on.
var (
	// ErrMissing means that Debian's packages are not installed.
	ErrMissing = errors.New("slixmpp is not installed: apt-get install python3-slixmpp python3-oldmemo python3-xmlschema python3-aiohttp")
	// ErrEnded means that the client's process has ended.
	ErrEnded = errors.New("slixmpp's process has ended")
)

// Config says who the customer is and where its server is. The account exists
// already.
type Config struct {
	JID      string // bare
	Password string
	Address  string // host:port of the server
	CAPEM    []byte // of the server's authority, and its web server's
	// Dir keeps device and sessions between starts.
	Dir string
	// Log takes what the client complains of; nil means nothing.
	Log io.Writer
}

// Event is one thing that happened.
type Event struct {
	Event     string // online, text, file, delivered, read, typing, sent, failed
	From, ID  string
	Text      string
	Name      string // of a file
	Size      int64
	SHA256    string // hexadecimal, of a file
	Composing bool
	What, Tag string
}

// Client is a running customer.
type Client struct {
	cmd    *exec.Cmd
	orders io.WriteCloser
	ended  chan struct{}

	mu     sync.Mutex // guards the following fields
	events []Event
	more   chan struct{} // closed when there is another event
	tags   int
}

// Start starts the client and waits until it is online and its keys are published.
func Start(ctx context.Context, cfg Config) (*Client, error) {
	if err := exec.CommandContext(ctx, python, "-c", "import slixmpp, oldmemo.etree, aiohttp").Run(); err != nil {
		return nil, ErrMissing
	}
	script, ca := filepath.Join(cfg.Dir, "peer.py"), filepath.Join(cfg.Dir, "ca.pem")
	if err := errors.Join(os.WriteFile(script, program, 0o600), os.WriteFile(ca, cfg.CAPEM, 0o600)); err != nil {
		return nil, fmt.Errorf("preparing the client: %w", err)
	}
	// Not bound to a context: Stop ends it orderly.
	cmd := exec.Command(python, "-u", script, cfg.JID, cfg.Address, cfg.Dir, ca) //nolint:noctx // as said
	cmd.Env = append(os.Environ(), "PEER_PASSWORD="+cfg.Password, "SSL_CERT_FILE="+ca, "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stderr = cfg.Log
	c := &Client{cmd: cmd, ended: make(chan struct{}), more: make(chan struct{})}
	var err error
	if c.orders, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the client: %w", err)
	}
	go c.listen(out)
	if _, err := c.Wait(ctx, func(e Event) bool { return e.Event == "online" }); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// listen takes note of events until the process ends.
func (c *Client) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e Event
		if json.Unmarshal(bytes.TrimSpace(lines.Bytes()), &e) != nil {
			continue // a library that talks to standard output
		}
		c.mu.Lock()
		c.events = append(c.events, e)
		close(c.more)
		c.more = make(chan struct{})
		c.mu.Unlock()
	}
	_ = c.cmd.Wait()
	close(c.ended)
}

// Events returns everything that has happened since the start.
func (c *Client) Events() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Event(nil), c.events...)
}

// Wait returns the first event that fits, whether it has happened already or not.
func (c *Client) Wait(ctx context.Context, fits func(Event) bool) (Event, error) {
	for seen := 0; ; {
		c.mu.Lock()
		fresh, more := c.events[seen:], c.more
		seen = len(c.events)
		c.mu.Unlock()
		for _, e := range fresh {
			if fits(e) {
				return e, nil
			}
		}
		select {
		case <-more:
		case <-c.ended:
			return Event{}, ErrEnded
		case <-ctx.Done():
			return Event{}, fmt.Errorf("waiting for slixmpp: %w; it told %+v", ctx.Err(), c.Events())
		}
	}
}

// order gives an order and waits for its outcome: the id of what was sent.
func (c *Client) order(ctx context.Context, order map[string]any) (string, error) {
	c.mu.Lock()
	c.tags++
	tag := strconv.Itoa(c.tags)
	c.mu.Unlock()
	order["tag"] = tag
	line, err := json.Marshal(order)
	if err != nil {
		return "", err
	}
	if _, err := c.orders.Write(append(line, '\n')); err != nil {
		return "", errors.Join(ErrEnded, err)
	}
	e, err := c.Wait(ctx, func(e Event) bool { return e.Tag == tag && (e.Event == "sent" || e.Event == "failed") })
	if err == nil && e.Event == "failed" {
		err = fmt.Errorf("slixmpp failed: %s", e.What)
	}
	return e.ID, err
}

// Send sends a text, encrypted, and returns its id.
func (c *Client) Send(ctx context.Context, jid, text string) (string, error) {
	return c.order(ctx, map[string]any{"do": "send", "to": jid, "text": text})
}

// SendFile sends a file, encrypted, and returns the message's id.
func (c *Client) SendFile(ctx context.Context, jid, path string) (string, error) {
	return c.order(ctx, map[string]any{"do": "file", "to": jid, "path": path})
}

// Typing tells a peer that an answer is being written, or is not any more.
func (c *Client) Typing(ctx context.Context, jid string, composing bool) error {
	_, err := c.order(ctx, map[string]any{"do": "typing", "to": jid, "composing": composing})
	return err
}

// stopWithin is how long the client may take to say goodbye.
const stopWithin = 10 * time.Second

// Stop lets the client say goodbye, as closing an app does.
func (c *Client) Stop() error {
	_, _ = io.WriteString(c.orders, `{"do":"quit"}`+"\n")
	select {
	case <-c.ended:
		return nil
	case <-time.After(stopWithin):
		return c.Kill()
	}
}

// Kill ends the client at once.
func (c *Client) Kill() error {
	err := c.cmd.Process.Kill()
	<-c.ended
	return err
}
