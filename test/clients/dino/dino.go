// Package dino drives Dino, an XMPP client with windows (GTK 4), on a desktop of its own:
// it reads what the windows show, types, and presses their buttons. It must not know what
// the peer is. Places on the screen are those of Dino 0.4.2 in a window of 1000 by 700.
package dino

import (
	"context"
	"errors"
	"fmt"
	"image"
	"path/filepath"
	"strings"

	"github.com/relaykeep/relaykeep/test/clients/desktop"
)

// Config says who the customer is and where its server is. The account exists already.
// Dino looks for servers by their domain, on port 5222.
type Config struct {
	JID, Password string
	Domain        string // of the server
	Address       string // IP address of the server
	CA            []byte // PEM of the authority that the server's certificate is from
}

// Client is a running Dino.
type Client struct{ *desktop.Session }

// border is the width of what Dino draws around its window in a corner of the screen.
const border = 5

// quoteLeft is where the text of a quote begins, right of where messages begin.
const quoteLeft = 370

// Start starts Dino and signs in. Stop it when done, even if there was an error with it.
func Start(ctx context.Context, cfg Config) (*Client, error) {
	s, err := desktop.Start(ctx, desktop.Options{
		Program: []string{"dino-im"}, Hosts: map[string]string{cfg.Domain: cfg.Address}, CA: cfg.CA,
		Windowed: true, Width: 1000, Height: 700,
	})
	c := &Client{s}
	if err == nil {
		err = c.signIn(ctx, cfg)
	}
	if err != nil {
		return c, fmt.Errorf("starting Dino: %w", err)
	}
	return c, nil
}

func (c *Client) signIn(ctx context.Context, cfg Config) error {
	if err := c.press(ctx, "Set up account"); err != nil {
		return err
	}
	for _, step := range []struct{ label, text string }{{"JID", cfg.JID}, {"Password", cfg.Password}} {
		err := c.Until(ctx, "a field for the "+step.label, func(s desktop.Screen) bool {
			return s.Has(label(step.label)) && s.Has(func(e desktop.Element) bool { return e.Role == "text" && e.Focused && e.Text == "" })
		})
		if err != nil {
			return err
		}
		if err := c.Type(ctx, step.text); err != nil {
			return err
		}
		if err := c.Key(ctx, "Return"); err != nil {
			return err
		}
	}
	return errors.Join(c.press(ctx, "Finish"), c.press(ctx, "Maximize the window"))
}

// label fits a text that is shown.
func label(text string) func(desktop.Element) bool {
	return func(e desktop.Element) bool { return e.Role == "label" && e.Text == text }
}

// press presses the last button of a name or with a tooltip.
func (c *Client) press(ctx context.Context, name string) error {
	return c.Press(ctx, "the button "+name, "click", func(e desktop.Element) bool { return e.Name == name || e.About == name })
}

// content fits what is in the open chat: right of the list of chats, below the title.
func content(fits func(desktop.Element) bool) func(desktop.Element) bool {
	return func(e desktop.Element) bool {
		return e.Box.Min.X > 300 && e.Box.Max.X < 1000 && e.Box.Min.Y > 47 && fits(e)
	}
}

// Open opens the chat with an address by its link.
func (c *Client) Open(ctx context.Context, jid string) error {
	if _, err := c.Run(ctx, "dino-im", "xmpp:"+jid+"?message;type=chat"); err != nil {
		return err
	}
	_, err := c.Wait(ctx, "the chat with "+jid, func(e desktop.Element) bool {
		return label(jid)(e) && e.Box.Min.X > 300 && e.Box.Max.Y < 47
	})
	return err
}

// Encrypt chooses OMEMO in the open chat with the padlock beside the text field.
func (c *Client) Encrypt(ctx context.Context) error {
	if err := c.Press(ctx, "the padlock", "click", lowest()); err != nil {
		return err
	}
	omemo := func(e desktop.Element) bool { return e.Role == "menu item" && e.Name == "OMEMO" }
	if err := c.Press(ctx, "OMEMO", "click", omemo); err != nil {
		return err
	}
	return c.Until(ctx, "the menu closed", func(s desktop.Screen) bool { return !s.Has(omemo) })
}

// lowest fits the buttons in the line of the text field, of which the last is the padlock.
func lowest() func(desktop.Element) bool {
	return func(e desktop.Element) bool { return e.Role == "push button" && e.Box.Min.Y > 640 && e.Box.Min.X > 930 }
}

// Send types a message into the open chat. It does not wait until that is sent.
func (c *Client) Send(ctx context.Context, text string) error {
	if err := c.Click(ctx, image.Pt(600, 663), 1); err != nil { // the text field
		return err
	}
	return c.write(ctx, text)
}

func (c *Client) write(ctx context.Context, text string) error {
	if err := c.Key(ctx, "ctrl+a"); err != nil {
		return err
	}
	return errors.Join(c.Type(ctx, text), c.Key(ctx, "Return"))
}

// WaitText waits until the open chat shows a text.
func (c *Client) WaitText(ctx context.Context, text string) error {
	_, err := c.Wait(ctx, text, content(label(text)))
	return err
}

// WaitQuote waits until the open chat shows a text below the one that it answers, which
// Dino shows in a box in the same message.
func (c *Client) WaitQuote(ctx context.Context, text, quoted string) error {
	return c.Until(ctx, text+" below what it answers", func(s desktop.Screen) bool {
		below, ok := s.Find(content(label(text)))
		return ok && s.Has(content(func(e desktop.Element) bool {
			return label(quoted)(e) && e.Box.Min.X > below.Box.Min.X && e.Box.Max.Y < below.Box.Min.Y && e.Box.Max.Y > below.Box.Min.Y-20
		}))
	})
}

// hover points at the last message with a text, beside which Dino then shows buttons.
func (c *Client) hover(ctx context.Context, text, button string) error {
	e, err := c.Wait(ctx, text, content(func(e desktop.Element) bool {
		return label(text)(e) && e.Box.Min.X < quoteLeft
	}))
	if err != nil {
		return err
	}
	at := image.Pt(700, (e.Box.Min.Y+e.Box.Max.Y)/2+border)
	if err := c.Point(ctx, at); err != nil {
		return err
	}
	// The buttons move to the message: they are at its top.
	return c.Press(ctx, button, "click", func(b desktop.Element) bool {
		return b.About == button && b.Box.Min.X > 880 && b.Box.Max.Y <= e.Box.Max.Y && b.Box.Min.Y > e.Box.Min.Y-60
	})
}

// Reply answers a message with the button "Reply" beside it.
func (c *Client) Reply(ctx context.Context, to, text string) error {
	if err := c.hover(ctx, to, "Reply"); err != nil {
		return err
	}
	// What is answered is shown above the text field.
	err := c.Until(ctx, "the message to answer", func(s desktop.Screen) bool {
		n := 0
		for _, e := range s {
			if content(label(to))(e) {
				n++
			}
		}
		return n > 1
	})
	if err != nil {
		return err
	}
	return c.write(ctx, text)
}

// Correct changes the user's last message with the button "Edit message" beside it.
func (c *Client) Correct(ctx context.Context, old, text string) error {
	if err := c.hover(ctx, old, "Edit message"); err != nil {
		return err
	}
	_, err := c.Wait(ctx, "the old text in a text field", func(e desktop.Element) bool {
		return e.Role == "text" && e.Focused && strings.Contains(e.Text, old)
	})
	if err != nil {
		return err
	}
	return c.write(ctx, text)
}

// React reacts to a message with the first emoji that Dino offers, and returns it.
func (c *Client) React(ctx context.Context, to string) (emoji string, err error) {
	if err := c.hover(ctx, to, "Add reaction"); err != nil {
		return "", err
	}
	if _, err := c.Wait(ctx, "the list of emojis", func(e desktop.Element) bool { return e.Role == "entry" && e.Focused }); err != nil {
		return "", err
	}
	if err := c.Key(ctx, "Tab", "Return"); err != nil {
		return "", err
	}
	const shown = "You reacted with "
	e, err := c.Wait(ctx, "a reaction below the message", func(e desktop.Element) bool { return strings.HasPrefix(e.About, shown) })
	return strings.TrimPrefix(e.About, shown), err
}

// SendFile sends a file in the open chat.
func (c *Client) SendFile(ctx context.Context, path string) error {
	if err := c.press(ctx, "Send a file"); err != nil {
		return err
	}
	if _, err := c.Wait(ctx, "a window for choosing files", func(e desktop.Element) bool { return e.Name == "Select file" }); err != nil {
		return err
	}
	// A text that begins with a slash opens a field for it.
	if err := c.Type(ctx, path); err != nil {
		return err
	}
	_, err := c.Wait(ctx, "the file's path", func(e desktop.Element) bool { return e.Text == path || e.Text == filepath.Base(path) })
	if err != nil {
		return err
	}
	if err := c.Key(ctx, "Return"); err != nil {
		return err
	}
	return c.press(ctx, "Send")
}

// WaitOffered waits until the open chat offers a file of the peer's, which Dino does not
// download by itself from somebody who is no contact.
func (c *Client) WaitOffered(ctx context.Context) error {
	_, err := c.Wait(ctx, "an offered file", content(label("File offered")))
	return err
}

// WaitPicture waits until the open chat shows a picture of the peer's.
func (c *Client) WaitPicture(ctx context.Context) error {
	return c.Until(ctx, "the picture as the last message", func(s desktop.Screen) bool {
		last, ok := s.Find(content(func(e desktop.Element) bool {
			return e.Box.Min.X < quoteLeft && (e.Role == "label" || strings.Contains(e.Name, "FixedRatioPicture"))
		}))
		return ok && last.Role != "label"
	})
}
