package gajim

import (
	"context"
	"errors"
	"strings"

	"github.com/relaykeep/relaykeep/test/clients/desktop"
)

// Places in the open chat: it is right of the list of chats, with the peer's name above
// and the text field below.
const (
	left   = 419
	top    = 105
	bottom = 650
)

// content fits what is said in the open chat.
func content(fits func(desktop.Element) bool) func(desktop.Element) bool {
	return func(e desktop.Element) bool {
		return e.Box.Min.X > left && e.Box.Min.Y > top && e.Box.Max.Y < bottom && fits(e)
	}
}

// below fits what is in the line of the text field, which grows upwards with its text.
func below(fits func(desktop.Element) bool) func(desktop.Element) bool {
	return func(e desktop.Element) bool { return e.Box.Min.X > left && e.Box.Max.Y > bottom && fits(e) }
}

// field fits the text field.
func field() func(desktop.Element) bool {
	return below(func(e desktop.Element) bool { return e.Role == "text" })
}

// Open opens the chat with an address by its link. For somebody new, Gajim asks whether to
// start a chat, with the address filled in.
func (c *Client) Open(ctx context.Context, jid string) error {
	if _, err := c.Run(ctx, "gajim", "xmpp:"+jid+"?message"); err != nil {
		return err
	}
	name, _, _ := strings.Cut(jid, "@")
	title := func(e desktop.Element) bool { return label(name)(e) && e.Box.Min.X > left && e.Box.Max.Y < top }
	var opened bool
	var offer desktop.Element
	err := c.Until(ctx, "the chat or the offer of a new one", func(s desktop.Screen) (offered bool) {
		opened = s.Has(title) && !s.Has(window(startChat))
		offer, offered = offers(s, jid)
		return opened || offered
	})
	if err != nil || opened {
		return err
	}
	// On a busy machine the Return key alone may still choose somebody who has left the list.
	if err := errors.Join(c.Click(ctx, offer.Box.Min.Add(offer.Box.Size().Div(2)), 1), c.Key(ctx, "Return")); err != nil {
		return err
	}
	if err := c.gone(ctx, startChat); err != nil {
		return err
	}
	_, err = c.Wait(ctx, "the chat with "+name, title)
	return err
}

// offers tells whether Gajim asks whether to start a chat with an address, and has taken
// everybody else out of the list. It returns what stands there for the chat.
func offers(s desktop.Screen, jid string) (desktop.Element, bool) {
	dialog, ok := s.Find(window(startChat))
	if !ok {
		return desktop.Element{}, false
	}
	n := 0
	for _, e := range s {
		if e.Role == "list item" && e.Box.In(dialog.Box) {
			n++
		}
	}
	e, ok := s.Find(func(e desktop.Element) bool { return label(jid)(e) && e.Box.In(dialog.Box) })
	return e, n == 1 && ok
}

// Encrypt chooses OMEMO in the open chat with the padlock beside the text field. It is an
// error if OMEMO is on already, for Gajim leaves that to its user.
func (c *Client) Encrypt(ctx context.Context) error {
	active := below(func(e desktop.Element) bool { return strings.HasPrefix(e.About, "OMEMO encryption is active") })
	padlock := below(func(e desktop.Element) bool { return e.About == "Choose encryption" })
	omemo := func(e desktop.Element) bool { return e.Role == "radio button" && e.Name == "OMEMO" }
	screen, err := c.Look()
	if err == nil && screen.Has(active) {
		err = errors.New("OMEMO is on before its user switched it on")
	}
	if err != nil {
		return err
	}
	if err := c.Press(ctx, "the padlock", "click", padlock); err != nil {
		return err
	}
	if err := c.Press(ctx, "OMEMO", "click", omemo); err != nil {
		return err
	}
	if _, err := c.Wait(ctx, "a shield beside the padlock", active); err != nil {
		return err
	}
	if err := c.Key(ctx, "Escape"); err != nil { // the menu stays open
		return err
	}
	return c.Until(ctx, "the menu closed", func(s desktop.Screen) bool { return !s.Has(omemo) })
}

// Send types a message into the open chat. It does not wait until that is sent.
func (c *Client) Send(ctx context.Context, text string) error {
	e, err := c.Wait(ctx, "a text field", field())
	if err != nil {
		return err
	}
	if err := c.Click(ctx, e.Box.Min.Add(e.Box.Size().Div(2)), 1); err != nil {
		return err
	}
	return c.write(ctx, text)
}

func (c *Client) write(ctx context.Context, text string) error {
	if err := c.Key(ctx, "ctrl+a"); err != nil {
		return err
	}
	if err := c.Type(ctx, text); err != nil {
		return err
	}
	return c.submit(ctx)
}

// submit sends what is in the text field. Before the first message to somebody, Gajim says
// that it looks for keys, and leaves the text where it is.
func (c *Client) submit(ctx context.Context) error {
	asked := 0
	for {
		if err := c.Key(ctx, "Return"); err != nil {
			return err
		}
		sent := false
		err := c.Until(ctx, "an empty text field", func(s desktop.Screen) bool {
			e, ok := s.Find(field())
			sent = ok && e.Text == ""
			n := 0
			for _, e := range s {
				if content(label("No devices found. Query in progress..."))(e) {
					n++
				}
			}
			again := n > asked
			asked = max(asked, n)
			return sent || again
		})
		if err != nil || sent {
			return err
		}
	}
}

// WaitText waits until the open chat shows a text.
func (c *Client) WaitText(ctx context.Context, text string) error {
	_, err := c.Wait(ctx, text, content(label(text)))
	return err
}

// WaitQuote waits until the open chat shows a text below the one that it answers, both in
// one message.
func (c *Client) WaitQuote(ctx context.Context, text, quoted string) error {
	return c.Until(ctx, text+" below what it answers", func(s desktop.Screen) bool {
		below, ok := s.Find(content(label(text)))
		return ok && s.Has(content(func(e desktop.Element) bool {
			return label(quoted)(e) && e.Box.Max.Y <= below.Box.Min.Y && e.Box.Max.Y > below.Box.Min.Y-20
		}))
	})
}

// choose chooses from the menu beside the last message with a text.
func (c *Client) choose(ctx context.Context, text, item string) error {
	e, err := c.Wait(ctx, text, content(label(text)))
	if err != nil {
		return err
	}
	err = c.Press(ctx, "the menu of "+text, "click", content(func(b desktop.Element) bool {
		return b.Role == "push button" && b.Name == "" && b.Box.Min.Y == e.Box.Min.Y
	}))
	if err != nil {
		return err
	}
	return c.Press(ctx, item, "click", func(b desktop.Element) bool { return b.Name == item })
}

// Reply answers a message with "Quote…" from its menu, which puts it into the text field.
func (c *Client) Reply(ctx context.Context, to, text string) error {
	if err := c.choose(ctx, to, "Quote…"); err != nil {
		return err
	}
	_, err := c.Wait(ctx, "a quote in the text field", below(func(e desktop.Element) bool {
		return e.Role == "text" && strings.HasPrefix(e.Text, "> "+to)
	}))
	if err != nil {
		return err
	}
	if err := c.Key(ctx, "ctrl+End"); err != nil {
		return err
	}
	if err := c.Type(ctx, text); err != nil {
		return err
	}
	return c.submit(ctx)
}

// Correct changes the user's last message with "Correct…" from its menu.
func (c *Client) Correct(ctx context.Context, old, text string) error {
	if err := c.choose(ctx, old, "Correct…"); err != nil {
		return err
	}
	_, err := c.Wait(ctx, "the old text in the text field", below(func(e desktop.Element) bool {
		return e.Role == "text" && e.Text == old
	}))
	if err != nil {
		return err
	}
	return c.write(ctx, text)
}

// SendFile sends a file in the open chat.
func (c *Client) SendFile(ctx context.Context, path string) error {
	path, err := c.Give(path)
	if err != nil {
		return err
	}
	err = c.Press(ctx, "the paper clip", "click", below(func(e desktop.Element) bool { return strings.HasPrefix(e.About, "Send File") }))
	if err != nil {
		return err
	}
	if err := c.press(ctx, mainWindow, "Add Files…"); err != nil {
		return err
	}
	if _, err := c.Wait(ctx, "a window for choosing files", window(chooseFile)); err != nil {
		return err
	}
	// A text that begins with a slash opens a field for it.
	if err := c.Type(ctx, path); err != nil {
		return err
	}
	if _, err := c.Wait(ctx, "the file's path", func(e desktop.Element) bool { return e.Role == "text" && e.Text == path }); err != nil {
		return err
	}
	return errors.Join(c.Key(ctx, "Return"), c.gone(ctx, chooseFile), c.press(ctx, mainWindow, "Send Files"))
}

// WaitPicture waits until the open chat shows a picture of the peer's: the last line above
// it that names an author does not name the user.
func (c *Client) WaitPicture(ctx context.Context) error {
	return c.Until(ctx, "a picture of the peer's", func(s desktop.Screen) bool {
		picture, ok := s.Find(preview(s))
		author := desktop.Element{Text: c.name}
		for _, e := range s {
			if content(named)(e) && e.Box.Max.Y <= picture.Box.Min.Y && e.Box.Min.Y > author.Box.Min.Y {
				author = e
			}
		}
		return ok && author.Text != c.name
	})
}

// preview fits a picture: it is above its size in bytes. What stands for a file that is no
// picture, or was not downloaded, is square.
func preview(s desktop.Screen) func(desktop.Element) bool {
	return content(func(p desktop.Element) bool {
		size := p.Box.Size()
		return p.Role == "panel" && size.X > 60 && size.X <= 300 && size.Y > 60 && size.Y <= 300 && size.X != size.Y &&
			s.Has(func(e desktop.Element) bool {
				return e.Role == "label" && strings.HasSuffix(e.Text, " bytes") && e.Box.Min.X < p.Box.Max.X && e.Box.Max.X > p.Box.Min.X &&
					e.Box.Min.Y > p.Box.Max.Y && e.Box.Max.Y < p.Box.Max.Y+40
			})
	})
}

// named fits the number that stands above a message as its author.
func named(e desktop.Element) bool {
	return e.Role == "label" && strings.HasPrefix(e.Text, "+") && e.Box.Min.X < left+70
}
