package profanity

import (
	"context"
	"regexp"
	"strings"
)

// awaited is the colour of a message that was not received yet, in Profanity's own
// theme: "receipt.sent" is red. With the receipt it takes the colour of the others.
const awaited = "31"

// Unreceived says how many messages to a peer are on the screen that we sent, and how
// many of them Profanity shows as not received yet (XEP-0184).
func (c *Client) Unreceived(ctx context.Context, jid string) (sent, missing int, err error) {
	if err := c.Command(ctx, "/msg "+jid); err != nil {
		return 0, 0, err
	}
	styled, err := c.screen.styled(ctx)
	sent, missing = unreceived(styled)
	return sent, missing, err
}

// WaitReceived waits until Profanity shows each message that it sent to a peer, and at
// least one, as received.
func (c *Client) WaitReceived(ctx context.Context, jid string) error {
	if err := c.Command(ctx, "/msg "+jid); err != nil {
		return err
	}
	return c.watch(ctx, "receipts of all messages", c.screen.styled, func(styled string) bool {
		sent, missing := unreceived(styled)
		return sent > 0 && missing == 0
	})
}

// ours matches the line of any message that we sent under OMEMO.
var ours = regexp.MustCompile(`^\d\d:\d\d:\d\d ~ me: \S`)

// unreceived counts the messages that we sent, and those that are shown as awaited.
func unreceived(styled string) (sent, missing int) {
	for _, l := range coloured(styled) {
		if ours.MatchString(l.text) {
			sent++
			if l.colour == awaited {
				missing++
			}
		}
	}
	return sent, missing
}

// line is a line of the screen, and the colour in which its text ends.
type line struct{ text, colour string }

// style matches what sets colours (ECMA-48, SGR).
var style = regexp.MustCompile("\x1b\\[([0-9;]*)m")

// coloured takes the colours out of the screen's content. They go on from line to line.
func coloured(styled string) []line {
	var lines []line
	colour := ""
	for _, raw := range strings.Split(styled, "\n") {
		var l line
		at := 0
		for _, m := range append(style.FindAllStringSubmatchIndex(raw, -1), nil) {
			end := len(raw)
			if m != nil {
				end = m[0]
			}
			l.text += raw[at:end]
			if strings.TrimSpace(raw[at:end]) != "" {
				l.colour = colour
			}
			if m != nil {
				colour = foreground(colour, raw[m[2]:m[3]])
				at = m[1]
			}
		}
		lines = append(lines, l)
	}
	return lines
}

// foreground returns the colour of the text after codes, "" for the terminal's own.
func foreground(now, codes string) string {
	for rest := codes; ; {
		code, more, found := strings.Cut(rest, ";")
		switch {
		case code == "" || code == "0" || code == "39":
			now = ""
		case code == "38":
			return rest // a colour by number
		case len(code) == 2 && (code[0] == '3' || code[0] == '9'):
			now = code
		}
		if !found {
			return now
		}
		rest = more
	}
}
