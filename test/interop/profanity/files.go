package profanity

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// aesgcmLink matches the line of a file that the peer sent.
func aesgcmLink(jid string) *regexp.Regexp {
	local, _, _ := strings.Cut(jid, "@")
	return regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d ~ ` + regexp.QuoteMeta(local) + `\S*: (aesgcm://\S+)\s*$`)
}

// SendFile sends a file to a peer, encrypted (XEP-0454), and returns once Profanity
// has uploaded it and sent its link.
func (c *Client) SendFile(ctx context.Context, jid, path string) error {
	if err := c.open(ctx, jid); err != nil {
		return err
	}
	sent := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d ~ me: aesgcm://\S+\s*$`)
	lines, err := c.screen.text(ctx)
	if err != nil {
		return err
	}
	before := len(sent.FindAllString(lines, -1))
	if err := c.Command(ctx, "/sendfile "+path); err != nil {
		return err
	}
	return c.until(ctx, "the link to a file", func(lines string) bool {
		return len(sent.FindAllString(lines, -1)) > before
	})
}

// SaveFile has Profanity download and decrypt the last file that a peer sent to a
// path, and returns its content, which is to have so many bytes: Profanity does not
// say when it is through.
func (c *Client) SaveFile(ctx context.Context, jid, path string, size int64) ([]byte, error) {
	if err := c.Command(ctx, "/msg "+jid); err != nil {
		return nil, err
	}
	var link string
	err := c.until(ctx, "a file from the peer", func(lines string) bool {
		found := aesgcmLink(jid).FindAllStringSubmatch(lines, -1)
		if len(found) > 0 {
			link = found[len(found)-1][1]
		}
		return link != ""
	})
	if err != nil {
		return nil, err
	}
	if err := c.Command(ctx, "/url save "+link+" "+path); err != nil {
		return nil, err
	}
	err = c.until(ctx, "the file's download", func(lines string) bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() >= size || strings.Contains(lines, "failed")
	})
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("profanity saved no file: %w\n%s", err, c.Dump())
	}
	return content, nil
}

// Count says how often the screen shows a text of a peer's.
func (c *Client) Count(ctx context.Context, jid, text string) (int, error) {
	if err := c.Command(ctx, "/msg "+jid); err != nil {
		return 0, err
	}
	lines, err := c.screen.text(ctx)
	return len(receivedLine(jid, text).FindAllString(lines, -1)), err
}
