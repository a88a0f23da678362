package stanza

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNickname is the longest nickname that is read, in code points.
const MaxNickname = 100

// Nickname returns the nickname (XEP-0172) that a stanza or an item holds, or "" for none.
func Nickname(e *Element) string { return cleanName(TextOf(e, NSNick, "nick")) }

// VCardName returns the nickname of a vCard (XEP-0054), else its full name, or "" for neither.
func VCardName(card *Element) string {
	for _, field := range []string{"NICKNAME", "FN"} {
		if name := cleanName(TextOf(card, NSVCard, field)); name != "" {
			return name
		}
	}
	return ""
}

// TextOf returns the character data of a child, or "" when there is no such child.
func TextOf(e *Element, space, local string) string {
	if child := e.Child(space, local); child != nil {
		return child.Text
	}
	return ""
}

// cleanName makes one line of a name that somebody chose for themselves: without what is not
// printed, such as marks that turn the direction of what follows, and of limited length.
func cleanName(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		switch {
		case r == utf8.RuneError, r == 0xfeff:
			continue
		case unicode.IsSpace(r):
			r = ' '
		case !unicode.IsPrint(r) && r != 0x200d: // joins emoji
			continue
		}
		if n++; n > MaxNickname {
			break
		}
		b.WriteRune(r)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
