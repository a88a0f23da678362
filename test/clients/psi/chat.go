package psi

import (
	"bytes"
	"context"
	"errors"
	"image"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/test/clients/desktop"
)

// ErrNoUpload means that Psi+ tells its user that the server takes no files: it asks for an
// older version of HTTP Upload (XEP-0363) than Prosody 0.12 has.
var ErrNoUpload = errors.New("the client says that the server does not support HTTP Upload")

// Names of what Psi+ shows.
const (
	unavailable = "OMEMO is not available for this contact"
	available   = "Enable OMEMO"
	enabled     = "OMEMO is enabled"
)

// entry fits an entry in the list of contacts.
func (c *Client) entry(name string) func(desktop.Element) bool {
	return func(e desktop.Element) bool { return e.Role == "table cell" && e.Name == name }
}

// contacts returns the entries of people in the list of contacts, which stand deepest in it.
// Two may have the same nickname.
func contacts(s desktop.Screen) (entries []desktop.Element) {
	for _, e := range s {
		switch {
		case e.Role != "table cell" || len(entries) > 0 && e.Box.Min.X < entries[0].Box.Min.X:
			continue
		case len(entries) > 0 && e.Box.Min.X > entries[0].Box.Min.X:
			entries = nil
		}
		entries = append(entries, e)
	}
	return entries
}

// window returns what the window around an element shows.
func window(s desktop.Screen, of desktop.Element) (w desktop.Screen) {
	parents := map[int]int{}
	for _, e := range s {
		parents[e.ID] = e.Parent
	}
	root := func(id int) int {
		for {
			parent, ok := parents[id]
			if _, shown := parents[parent]; !ok || !shown {
				return id
			}
			id = parent
		}
	}
	for _, e := range s {
		if root(e.ID) == root(of.ID) {
			w = append(w, e)
		}
	}
	return w
}

// chat returns what the open chat's window shows: it has a list of the peer's addresses.
func (c *Client) chat(s desktop.Screen) (desktop.Screen, bool) {
	e, ok := s.Find(func(e desktop.Element) bool {
		return e.Role == "combo box" && strings.Contains(e.Name, c.jid)
	})
	if !ok {
		return nil, false
	}
	return window(s, e), true
}

// wait waits for an element of the open chat's window.
func (c *Client) wait(ctx context.Context, what string, fits func(desktop.Element) bool) (e desktop.Element, err error) {
	err = c.Until(ctx, what, func(s desktop.Screen) (found bool) {
		if w, ok := c.chat(s); ok {
			e, found = w.Find(fits)
		}
		return found
	})
	return e, err
}

// history fits what was said in the chat, and field where the user writes: both are texts,
// one above and one below the row of buttons.
func history(e desktop.Element) bool {
	return e.Role == "text" && strings.Contains(e.Text, "] ") && e.Box.Dy() > 60
}

func field(e desktop.Element) bool { return e.Role == "text" && e.Can("SetFocus") }

// Open opens the chat with an address by its link.
func (c *Client) Open(ctx context.Context, jid string) error {
	if _, err := c.Run(ctx, "psi-plus", "--uri=xmpp:"+jid+"?message;type=chat"); err != nil {
		return err
	}
	c.jid = jid
	_, err := c.wait(ctx, "the chat with "+jid, field)
	return err
}

// Add adds the open chat's peer to the list of contacts, and accepts the request that the peer
// sends in return.
func (c *Client) Add(ctx context.Context) error {
	if _, err := c.wait(ctx, "the button Add Contact", named("Add Contact")); err != nil {
		return err
	}
	return errors.Join(
		c.Press(ctx, "Add Contact", "Press", named("Add Contact")),
		c.Press(ctx, "Add", "Press", named("Add")), c.Press(ctx, "OK", "Press", named("OK")), c.Accept(ctx))
}

// Accept opens the open chat's contact request in the list of contacts, and agrees to it.
func (c *Client) Accept(ctx context.Context) error {
	// The title of the window with the contacts begins with a star while something is unread.
	var entries []desktop.Element
	err := c.Until(ctx, "something new in the list of contacts", func(s desktop.Screen) bool {
		entries = contacts(s)
		return s.Has(named("* Psi+"))
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(entries, func(a, b desktop.Element) int { return first(a.Name == c.jid) - first(b.Name == c.jid) })
	opened := 0
	for shown := false; !shown; opened++ {
		if opened == len(entries) {
			return errors.New("there is no contact request")
		}
		if shown, err = c.openRequest(ctx, entries[opened]); err != nil {
			return err
		}
	}
	if err := c.agree(ctx); err != nil || opened == 1 {
		return err
	}
	return c.Open(ctx, c.jid) // another's chat may be in front
}

// first orders true before false.
func first(so bool) int {
	if so {
		return 0
	}
	return 1
}

// openRequest opens what is new in an entry of the list of contacts, and tells whether that
// is a request. It closes anything else.
func (c *Client) openRequest(ctx context.Context, e desktop.Element) (shown bool, err error) {
	within, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := c.DoubleClick(ctx, middle(e.Box)); err != nil {
		return false, err
	}
	err = c.Until(within, "something new", func(s desktop.Screen) bool {
		shown = s.Has(named("Add/Auth"))
		return shown || s.Has(named("Close"))
	})
	if err != nil || shown {
		return shown, ctx.Err() // without anything new, its chat opens
	}
	return false, c.closeMessage(ctx)
}

// agree agrees to the request that is open, and closes it. It closes by itself then, unless
// there is something else to read, as that the peer accepted.
func (c *Client) agree(ctx context.Context) error {
	if err := c.Press(ctx, "Add/Auth", "Press", named("Add/Auth")); err != nil {
		return err
	}
	shown := false
	err := c.Until(ctx, "the request accepted", func(s desktop.Screen) bool {
		var e desktop.Element
		e, shown = s.Find(named("Add/Auth"))
		return !shown || !e.Enabled
	})
	if err != nil || !shown {
		return err
	}
	return c.closeMessage(ctx)
}

// closeMessage closes the window that shows a request or a message of the server's.
func (c *Client) closeMessage(ctx context.Context) error {
	return errors.Join(
		c.Press(ctx, "Close", "Press", named("Close")),
		c.Until(ctx, "the message closed", func(s desktop.Screen) bool { return !s.Has(named("Close")) }))
}

func middle(box image.Rectangle) image.Point { return box.Min.Add(box.Max).Div(2) }

// Encrypt switches OMEMO on in the open chat with its button, if it is not on already.
func (c *Client) Encrypt(ctx context.Context) error {
	on, err := c.wait(ctx, "OMEMO is available", func(e desktop.Element) bool { return e.Name == available || e.Name == enabled })
	if err != nil || on.Name == enabled {
		return err
	}
	if err := c.Click(ctx, middle(on.Box), 1); err != nil {
		return err
	}
	_, err = c.wait(ctx, "OMEMO is on", named(enabled))
	return err
}

// WaitUnavailable waits until the open chat says that the user cannot encrypt: Psi+ learns
// the devices of contacts only, who must have the user as a contact, too.
func (c *Client) WaitUnavailable(ctx context.Context) error {
	_, err := c.wait(ctx, unavailable, named(unavailable))
	return err
}

func named(name string) func(desktop.Element) bool {
	return func(e desktop.Element) bool { return e.Name == name }
}

// Send types a message into the open chat. It does not wait until that is sent.
func (c *Client) Send(ctx context.Context, text string) error {
	e, err := c.wait(ctx, "the field for messages", field)
	if err != nil {
		return err
	}
	return errors.Join(c.Click(ctx, middle(e.Box), 1), c.Key(ctx, "ctrl+a"), c.Type(ctx, text), c.Key(ctx, "Return"))
}

// said matches a message in the history. Pictures count as a character.
var said = regexp.MustCompile(`(?m)^\x{fffc}*\[\d\d:\d\d:\d\d\] <([^>]*)> (.*?)[ \x{fffc}]*$`)

// peerSaid tells whether the peer said a text in the open chat, whose lines are as in said.
func (c *Client) peerSaid(s desktop.Screen, fits func(text string) bool) bool {
	w, ok := c.chat(s)
	if !ok {
		return false
	}
	e, ok := w.Find(history)
	if !ok {
		return false
	}
	for _, m := range said.FindAllStringSubmatch(e.Text, -1) {
		if m[1] != c.own && fits(m[2]) {
			return true
		}
	}
	return false
}

// WaitText waits until the open chat shows a text of the peer's.
func (c *Client) WaitText(ctx context.Context, text string) error {
	return c.Until(ctx, text, func(s desktop.Screen) bool {
		return c.peerSaid(s, func(said string) bool { return said == text })
	})
}

// WaitQuote waits until the open chat shows a text of the peer's below the line that it
// answers.
func (c *Client) WaitQuote(ctx context.Context, text, quoted string) error {
	return c.Until(ctx, text+" below what it answers", func(s desktop.Screen) bool {
		return c.peerSaid(s, func(said string) bool { return said == "> "+quoted+"\u2028"+text })
	})
}

// Reply answers a message of the peer's: it marks the words and quotes them.
func (c *Client) Reply(ctx context.Context, to, text string) error {
	e, err := c.wait(ctx, to, func(e desktop.Element) bool { return history(e) && strings.Contains(e.Text, to) })
	if err != nil {
		return err
	}
	if err := errors.Join(c.Select(ctx, e, to), c.Key(ctx, "ctrl+s")); err != nil { // "Quote" in the menu
		return err
	}
	if _, err := c.wait(ctx, "the quote in the field for messages", func(e desktop.Element) bool { return field(e) && strings.Contains(e.Text, to) }); err != nil {
		return err
	}
	return errors.Join(c.Type(ctx, text), c.Key(ctx, "Return"))
}

// Correct changes the user's last message: the key fetches it back.
func (c *Client) Correct(ctx context.Context, old, text string) error {
	e, err := c.wait(ctx, "the field for messages", field)
	if err != nil {
		return err
	}
	if err := errors.Join(c.Click(ctx, middle(e.Box), 1), c.Key(ctx, "ctrl+Up")); err != nil {
		return err
	}
	if _, err := c.wait(ctx, "the old text in the field for messages", func(e desktop.Element) bool { return field(e) && e.Text == old }); err != nil {
		return err
	}
	return errors.Join(c.Key(ctx, "ctrl+a"), c.Type(ctx, text), c.Key(ctx, "Return"))
}

// SendFile sends a file in the open chat, or returns ErrNoUpload.
func (c *Client) SendFile(ctx context.Context, path string) error {
	e, err := c.wait(ctx, "the button Upload File", named("Upload File"))
	if err != nil {
		return err
	}
	if err := c.Click(ctx, middle(e.Box), 1); err != nil {
		return err
	}
	refused := false
	err = c.Until(ctx, "a window for choosing files", func(s desktop.Screen) bool {
		refused = s.Has(func(e desktop.Element) bool { return strings.Contains(e.Name, "does not support HTTP Upload") })
		return refused || s.Has(func(e desktop.Element) bool { return e.Role == "dialog" && e.Name == "Upload file" })
	})
	if err != nil {
		return err
	}
	if refused {
		return errors.Join(ErrNoUpload, c.Key(ctx, "Return"))
	}
	return errors.Join(c.Type(ctx, path), c.Key(ctx, "Return"))
}

// WaitPicture waits until the open chat shows the link to a picture of the peer's that
// Psi+ has downloaded and decrypted, and says that OMEMO is on still.
func (c *Client) WaitPicture(ctx context.Context) error {
	err := c.Until(ctx, "a picture", func(s desktop.Screen) bool {
		return c.peerSaid(s, func(said string) bool {
			link, err := url.Parse(said)
			if err != nil || link.Scheme != "file" {
				return false
			}
			content, err := os.ReadFile(link.Path)
			return err == nil && bytes.HasPrefix(content, []byte("\x89PNG"))
		})
	})
	if err != nil {
		return err
	}
	_, err = c.wait(ctx, "OMEMO is on", named(enabled))
	return err
}
