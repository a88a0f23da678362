package converse

import (
	"context"
	"errors"
)

// Selectors of the open chat.
const (
	field   = "converse-chat textarea.chat-textarea"
	message = "converse-chat converse-chat-message"
	words   = ".chat-msg__text" // of a message
	padlock = "converse-chat .toggle-omemo"
)

// shown is JavaScript that finds the elements of the open chat: others are hidden.
const shown = `(s)=>[...document.querySelectorAll(s)].filter(e=>e.checkVisibility())`

// Open opens the chat with a peer by the address that a site's link to it has. While
// another chat is open, Converse only adds the new one to its list, where it is clicked.
func (c *Client) Open(ctx context.Context, jid string) error {
	if err := c.page.Eval(ctx, nil, `j=>{location.hash='#converse/chat?jid='+j}`, jid); err != nil {
		return err
	}
	chat, item := `converse-chat[jid="`+jid+`"]`, `.open-chat[data-jid="`+jid+`"]`
	if err := c.page.Until(ctx, "the chat or its place in the list", `(c,i)=>(`+shown+`)(c+','+i).length>0`, chat, item); err != nil {
		return err
	}
	var open bool
	if err := c.page.Eval(ctx, &open, `c=>(`+shown+`)(c).length>0`, chat); err != nil {
		return err
	}
	if !open {
		if err := c.page.Click(ctx, item); err != nil {
			return err
		}
	}
	return c.page.Until(ctx, "the chat's text field", `f=>(`+shown+`)(f).length>0`, chat+" textarea.chat-textarea")
}

// WaitReady waits until the open chat could be encrypted.
func (c *Client) WaitReady(ctx context.Context) error {
	return c.page.Until(ctx, "a padlock that can be used", `p=>(`+shown+`)(p)[0]?.title.startsWith('Messages are ')`, padlock)
}

// Encrypt switches encryption on in the open chat by its padlock, unless it is on.
func (c *Client) Encrypt(ctx context.Context) error {
	var on bool
	err := errors.Join(
		c.WaitReady(ctx),
		c.page.Eval(ctx, &on, `p=>(`+shown+`)(p)[0].title==='Messages are sent encrypted'`, padlock))
	if err == nil && !on {
		err = c.page.Click(ctx, padlock)
	}
	if err != nil {
		return err
	}
	return c.page.Until(ctx, "a closed padlock", `p=>(`+shown+`)(p)[0]?.title==='Messages are sent encrypted'`, padlock)
}

// Send types a message into the open chat. It does not wait until that is sent.
func (c *Client) Send(ctx context.Context, text string) error {
	return c.write(ctx, text)
}

// write replaces what is in the text field and presses Enter.
func (c *Client) write(ctx context.Context, text string) error {
	if err := c.page.Click(ctx, field); err != nil {
		return err
	}
	if err := c.page.SelectAll(ctx); err != nil {
		return err
	}
	if err := c.page.Type(ctx, text); err != nil {
		return err
	}
	return c.page.Enter(ctx)
}

// WaitText waits until the open chat shows a text.
func (c *Client) WaitText(ctx context.Context, text string) error {
	return c.page.Until(ctx, "the text "+text,
		`(m,t)=>(`+shown+`)(m).some(e=>e.textContent.includes(t))`, message+" "+words, text)
}

// WaitQuote waits until the open chat shows a text as the answer to another one.
func (c *Client) WaitQuote(ctx context.Context, text, quoted string) error {
	return c.page.Until(ctx, "the text "+text+" with what it answers",
		`(m,t,q)=>(`+shown+`)(m).some(e=>e.querySelector('.chat-msg__text')?.textContent.trim()===t
			&& e.querySelector('.chat-msg__reply-context')?.textContent.includes(q))`, message, text, quoted)
}

// WaitPicture waits until the open chat shows a picture that was decrypted.
func (c *Client) WaitPicture(ctx context.Context) error {
	return c.page.Until(ctx, "a picture",
		`m=>(`+shown+`)(m+' .chat-msg__text img').some(e=>e.src.startsWith('blob:')&&e.complete&&e.naturalWidth>0)`, message)
}

// SendFile sends a file in the open chat.
func (c *Client) SendFile(ctx context.Context, path string) error {
	return c.page.Choose(ctx, "converse-chat input.fileupload", path)
}

// choose clicks an action in the menu of the last message that has a text, not counting
// what a message quotes.
func (c *Client) choose(ctx context.Context, text, action string) error {
	var id string
	err := c.page.Eval(ctx, &id, `(m,w,t)=>(`+shown+`)(m).filter(e=>e.querySelector(w)?.textContent.includes(t)).at(-1)
		?.querySelector('[data-msgid]')?.dataset.msgid ?? ''`, message, words, text)
	if err != nil {
		return err
	}
	of := `converse-chat-message:has([data-msgid="` + id + `"])`
	return errors.Join(
		c.page.ClickIn(ctx, of, text, "converse-dropdown .dropdown-toggle"),
		c.page.ClickIn(ctx, of, text, ".chat-msg__action-"+action))
}

// Reply answers a message with "Reply" of its menu.
func (c *Client) Reply(ctx context.Context, to, text string) error {
	if err := c.choose(ctx, to, "reply"); err != nil {
		return err
	}
	return c.write(ctx, text)
}

// Correct changes a message of the user's own with "Edit" of its menu.
func (c *Client) Correct(ctx context.Context, old, text string) error {
	if err := c.choose(ctx, old, "edit"); err != nil {
		return err
	}
	err := c.page.Until(ctx, "the old text in the text field", `(f,o)=>(`+shown+`)(f)[0]?.value.includes(o)`, field, old)
	if err != nil {
		return err
	}
	return c.write(ctx, text)
}

// React reacts to a message with one of the emojis that "Add Reaction" of its menu offers,
// and returns the one that Converse then shows below the message: the emojis are still
// moving when they can be clicked.
func (c *Client) React(ctx context.Context, to string) (emoji string, err error) {
	const reaction = message + " .chat-msg__reaction.reacted"
	if err := c.choose(ctx, to, "reaction"); err != nil {
		return "", err
	}
	if err := c.page.ClickIn(ctx, "converse-reaction-picker .reaction-picker", "", ".reaction-item"); err != nil {
		return "", err
	}
	if err := c.page.Until(ctx, "a reaction below the message", `r=>(`+shown+`)(r).length>0`, reaction); err != nil {
		return "", err
	}
	err = c.page.Eval(ctx, &emoji, `r=>(`+shown+`)(r)[0].innerText.trim().split(/\s/)[0]`, reaction)
	return emoji, err
}

// Shown returns what the open chat shows, or the page if there is none.
func (c *Client) Shown(ctx context.Context) (text string, err error) {
	err = c.page.Eval(ctx, &text, `()=>(document.querySelector('converse-chat') ?? document.body).innerText`)
	return text, err
}
