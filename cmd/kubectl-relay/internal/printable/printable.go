// Package printable makes text from elsewhere safe to show in a terminal. It must not
// know where the text comes from.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxShown is how many bytes of a text from elsewhere are shown.
const maxShown = 16 << 10

// Text makes a text that came from elsewhere safe to show in a terminal:
// control and format characters, which could move the cursor, fake a line of ours
// or turn the writing around, become U+FFFD; line breaks and tabs stay.
func Text(s string) string {
	if len(s) > maxShown {
		cut := maxShown
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + " […]"
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == zeroWidthJoiner: // holds emoji together
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

const zeroWidthJoiner = '\u200D'

// Indented puts every line of s but the first below its first column.
func Indented(s, indent string) string { return strings.ReplaceAll(s, "\n", "\n"+indent) }
