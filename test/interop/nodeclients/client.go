package nodeclients

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/await"
)

// The clients, by what drive.mjs calls them.
const (
	Kapso = "kapso" // @kapso/whatsapp-cloud-api 0.3.0
	Chat  = "chat"  // @chat-adapter/whatsapp 4.41.1 in its Chat SDK
)

// Config is what a client is told about the API.
type Config struct {
	URL         string `json:"url"`     // without a version
	Host        string `json:"host"`    // the name in URL
	Address     string `json:"address"` // the IP address that Host stands for
	Token       string `json:"token"`
	NumberID    string `json:"numberID"`
	Secret      string `json:"secret"`      // signs webhooks
	VerifyToken string `json:"verifyToken"` // of the handshake
	Authorities []byte `json:"-"`           // of the certificate at URL, in PEM
}

// Event is what a client tells by itself.
type Event struct {
	Kind        string
	ID          string // the message's
	Thread      string
	Text, Value string
	Added       bool
	Author      struct{ UserID, FullName string }
	Attachments []struct{ Type, Name, MIMEType, URL, MediaID string }
}

// Error is an error that a client throws.
type Error struct {
	Name, Message string
	Status, Code  int    // the API's, as the client tells them; 0 for none
	Retry         string // what the client advises to do
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s (%d, %d)", e.Name, e.Message, e.Status, e.Code)
}

// Bytes is binary data among a call's arguments or in its result.
type Bytes []byte

type wireBytes struct {
	Base64 []byte `json:"$bytes"`
}

// MarshalJSON implements json.Marshaler.
func (b Bytes) MarshalJSON() ([]byte, error) { return json.Marshal(wireBytes{b}) }

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bytes) UnmarshalJSON(raw []byte) error {
	var w wireBytes
	err := json.Unmarshal(raw, &w)
	*b = w.Base64
	return err
}

// Client is a running client.
type Client struct {
	t      testing.TB
	orders io.WriteCloser
	calls  int

	mu      sync.Mutex // guards the following fields
	answers map[int]answer
	events  []Event
	ended   bool
}

type answer struct {
	ID     int
	Result json.RawMessage
	Error  *Error
	Event  *Event
}

// StartT runs a client until the test ends.
func StartT(t testing.TB, name string, c Config) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // the first installation included
	defer cancel()
	dir, err := Install(ctx)
	check(t, err)
	authorities := filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(authorities, c.Authorities, 0o600))
	cmd := exec.Command("node", filepath.Join(dir, "drive.mjs"), name) //nolint:noctx // it ends with its input
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+authorities)
	cmd.Stderr = t.Output()
	client := &Client{t: t, answers: map[int]answer{}}
	client.orders, err = cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	read := make(chan struct{})
	go func() { client.listen(out); close(read) }()
	t.Cleanup(func() {
		check(t, client.orders.Close())
		<-read
		check(t, cmd.Wait())
	})
	client.order(c)
	client.Wait("the client is ready", func(e Event) bool { return e.Kind == "ready" })
	return client
}

// listen takes note of what the client says until it ends.
func (c *Client) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var a answer
		if json.Unmarshal(lines.Bytes(), &a) != nil {
			continue // a library that talks to standard output
		}
		c.mu.Lock()
		if a.Event != nil {
			c.events = append(c.events, *a.Event)
		} else {
			c.answers[a.ID] = a
		}
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

func (c *Client) order(order any) {
	c.t.Helper()
	raw, err := json.Marshal(order)
	check(c.t, err)
	_, err = c.orders.Write(append(raw, '\n'))
	check(c.t, err)
}

// Call calls a function of the client, such as messages.sendText, and reads its result into a value
// unless that is nil. What the client throws is an *Error.
func (c *Client) Call(result any, function string, args ...any) error {
	c.t.Helper()
	c.calls++
	id := c.calls
	c.order(map[string]any{"id": id, "call": function, "args": slices.Concat([]any{}, args)})
	var a answer
	await.Until(c.t, function+" returns", func() (ok bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		a, ok = c.answers[id]
		return ok || c.ended
	})
	switch {
	case a.Error != nil:
		return a.Error
	case a.ID != id:
		return errors.New("the client's process has ended")
	case result == nil:
		return nil
	}
	return json.Unmarshal(a.Result, result)
}

// Wait waits for an event that fits, among all that ever came.
func (c *Client) Wait(what string, fits func(Event) bool) (found Event) {
	c.t.Helper()
	await.Until(c.t, what, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.IndexFunc(c.events, fits)
		if i >= 0 {
			found = c.events[i]
		}
		return i >= 0 || c.ended
	})
	return found
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
