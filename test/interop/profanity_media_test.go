package interop_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// chat is a conversation of a business and a customer at Profanity.
type chat struct {
	t        *testing.T
	business *business
	human    *human
	n        int
	seen     map[string]int // what the business got, by text or by hash
}

// humanWrites has the customer send a text and a file, and returns both.
func (c *chat) humanWrites() (text string, file []byte) {
	c.t.Helper()
	c.n++
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	text, file = fmt.Sprintf("from the customer %d", c.n), fresh(200_000)
	path := filepath.Join(c.t.TempDir(), "photo.jpg")
	check(c.t, os.WriteFile(path, file, 0o600))
	check(c.t, c.human.client.Send(ctx, c.business.JID(), text))
	check(c.t, c.human.client.SendFile(ctx, c.business.JID(), path))
	return text, file
}

// businessReads waits for a text and a file.
func (c *chat) businessReads(text string, file []byte) {
	c.t.Helper()
	for c.seen[text] == 0 || c.seen[sum(file)] == 0 {
		m := c.business.Next()
		switch m.Type {
		case "text":
			c.seen[m.Text]++
		case "image":
			c.seen[sum(c.business.download(m.File))]++
		default:
			c.t.Fatalf("the business got a message of type %s", m.Type)
		}
	}
}

// humanWaits looks that Profanity shows the last text and file, and nothing else, as
// not received.
func (c *chat) humanWaits() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	sent, missing, err := c.human.client.Unreceived(ctx, c.business.JID())
	if err != nil || sent < 2 || missing != 2 {
		c.t.Errorf("of %d messages %d are shown as not received, want 2: %v", sent, missing, err)
	}
}

// humanSeesReceipts waits until Profanity shows all of its texts and files as received.
func (c *chat) humanSeesReceipts() {
	c.t.Helper()
	c.human.waitReceived(c.t, c.business.JID())
}

// businessWrites has the business send a text and a file with a caption.
func (c *chat) businessWrites() (ids []string, text, caption string, file []byte) {
	c.t.Helper()
	c.n++
	text, caption, file = fmt.Sprintf("from the business %d", c.n), fmt.Sprintf("caption %d", c.n), fresh(200_000)
	upload := c.business.upload(file)
	return []string{c.business.Say(profanityNumber, text), c.business.SendImage(profanityNumber, upload, caption)}, text, caption, file
}

// humanReads waits until Profanity shows the text and has the file, and the business
// knows it.
func (c *chat) humanReads(ids []string, text, caption string, file []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	check(c.t, c.human.client.WaitText(ctx, c.business.JID(), text))
	check(c.t, c.human.client.WaitText(ctx, c.business.JID(), caption))
	got, err := c.human.client.SaveFile(ctx, c.business.JID(), filepath.Join(c.t.TempDir(), "answer.jpg"), int64(len(file)))
	check(c.t, err)
	if !bytes.Equal(got, file) {
		c.t.Error("the customer has another file")
	}
	for _, shown := range []string{text, caption} {
		n, err := c.human.client.Count(ctx, c.business.JID(), shown)
		if err != nil || n != 1 {
			c.t.Errorf("Profanity shows a text %d times: %v", n, err)
		}
	}
	for _, id := range ids {
		c.business.WaitStatus(id, "delivered")
	}
}

// TestProfanityAndARelaySendFiles has a customer at Profanity and a business exchange
// texts, receipts and files: both online, then each of them away, then across a
// restart of the server.
func TestProfanityAndARelaySendFiles(t *testing.T) {
	onServers(t, func(t *testing.T, server server) {
		c := &chat{t: t, business: startBusiness(t, server), human: startProfanity(t, server, profanityNumber, false), seen: map[string]int{}}
		c.businessReads(c.humanWrites())
		c.humanSeesReceipts()
		c.humanReads(c.businessWrites())

		c.human.stop(t)
		ids, text, caption, file := c.businessWrites()
		for _, id := range ids {
			c.business.WaitStatus(id, "sent")
		}
		c.business.waitIdle() // the caption has no status
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		check(t, server.Restart(ctx))
		c.human.start(t)
		c.humanReads(ids, text, caption, file)

		c.business.Stop()
		said, sent := c.humanWrites()
		c.humanWaits()
		c.business.startReady()
		c.businessReads(said, sent)
		c.humanSeesReceipts()
		c.humanReads(c.businessWrites())
		for what, n := range c.seen {
			if n != 1 {
				t.Errorf("the business has %q %d times", what, n)
			}
		}
	})
}
