package chat

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// commands is what /help shows.
const commands = `/file PATH   send a file
/save [DIR]  fetch the files that came, into DIR, that of --files, or this one
/keys        show your identity key and the business's, to compare
/help        list these commands
//...        send a text that begins with /`

// typed acts on one line of the input. A filter's lines are all text: piped input may
// come from anybody, and must not send files.
func (c *conversation) typed(ctx context.Context, text string) error {
	if !c.view.interactive || !strings.HasPrefix(text, "/") {
		return c.say(ctx, text)
	}
	command, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.HasPrefix(text, "//"):
		return c.say(ctx, text[1:])
	case command == "/me": // XEP-0245: the receiver's client shows it
		return c.say(ctx, text)
	case command == "/file" && rest != "":
		c.send(asPath(rest))
	case command == "/save":
		c.saveAll(rest)
	case command == "/keys":
		c.view.notef("%s", c.keys())
	case command == "/help":
		c.view.notef("%s", commands)
	default:
		c.view.notef("✗ not sent, unknown command:\n%s", commands)
	}
	return nil
}

// keys returns the identity keys of both sides, as their clients show them.
func (c *conversation) keys() string {
	_, own := c.customer.State.Device()
	lines := []string{"Your key, as kubectl relay fingerprints shows it to the business:", "  " + own}
	theirs := c.customer.State.PeerKeys(c.To)
	if len(theirs) == 0 {
		return strings.Join(append(lines, "The business's key is not known yet: send it a message first."), "\n")
	}
	lines = append(lines, "The business's key, which must be the one in its invitation:")
	for _, k := range theirs {
		lines = append(lines, "  "+k.Fingerprint)
	}
	return strings.Join(lines, "\n")
}

// attach sends the files of --attach; in a terminal in the background, so that Ctrl-D
// can end the chat.
func (c *conversation) attach(ctx context.Context) error {
	for _, path := range c.Attach {
		if c.view.interactive {
			c.send(path)
		} else if err := c.sendFile(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

// send sends a file in the background.
func (c *conversation) send(path string) {
	added := c.files.sending.add(func(ctx context.Context) {
		_ = c.sendFile(ctx, path) // it has reported the failure; at the chat's end nobody reads it
	})
	if !added {
		c.view.notef("✗ sending %s: %v", path, errBusy)
	}
}

// saveAll fetches the received files that were not fetched yet.
func (c *conversation) saveAll(dir string) {
	came := c.files.take()
	if len(came) == 0 {
		c.view.notef("no files to fetch")
	}
	switch {
	case dir != "":
		dir = asPath(dir)
	case c.FilesDir != "":
		dir = c.FilesDir
	default:
		dir = "."
	}
	for _, link := range came {
		c.save(link, dir)
	}
}

// asPath reads a path as people type it and terminals paste it, like a shell: quoted as
// a whole, or beginning with ~.
func asPath(text string) string {
	if last := len(text) - 1; last > 0 && (text[0] == '\'' || text[0] == '"') && text[last] == text[0] {
		return text[1:last]
	}
	rest, is := strings.CutPrefix(text, "~/")
	home, err := os.UserHomeDir()
	if !is || err != nil {
		return text
	}
	return filepath.Join(home, rest)
}
