// Package emoji says what may be shown as one emoji. It must not know who sends it or why.
package emoji

import "unicode"

// MaxBytes bounds an emoji; the longest that Unicode recommends have 35 bytes.
const MaxBytes = 64

// Code points with a meaning of their own (Unicode Technical Standard #51).
const (
	joiner    = '\u200d'     // joins two emoji to one
	variation = '\ufe0f'     // asks for the picture
	keycap    = '\u20e3'     // after a digit, "#" or "*"
	firstTag  = '\U000e0020' // tags spell a region's flag behind a black flag
	lastTag   = '\U000e007f'
)

// Is says whether a text is a single emoji, as Unicode Technical Standard #51 builds them:
// pictures with their modifiers, joined ones, flags and keycaps. It accepts some symbols that
// no font has as a picture, but never letters or more than one sequence: nobody can write a
// word with it.
func Is(text string) bool {
	if text == "" || len(text) > MaxBytes {
		return false
	}
	rest := []rune(text)
	for {
		n := element(rest)
		if n == 0 {
			return false
		}
		if rest = rest[n:]; len(rest) == 0 {
			return true
		}
		if rest[0] != joiner {
			return false
		}
		rest = rest[1:]
	}
}

// element returns how many code points the emoji at the beginning has, up to its end or to what
// joins it to the next; 0 when there is none.
func element(r []rune) int {
	switch {
	case len(r) == 0:
		return 0
	case isRegional(r[0]):
		if len(r) > 1 && isRegional(r[1]) {
			return 2
		}
		return 0
	case isKey(r[0]):
		n := 1
		if n < len(r) && r[n] == variation {
			n++
		}
		if n < len(r) && r[n] == keycap {
			return n + 1
		}
		return 0
	case !isPicture(r[0]):
		return 0
	}
	n := 1
	if n < len(r) && (r[n] == variation || isTone(r[n])) {
		n++
	}
	for n < len(r) && r[n] >= firstTag && r[n] <= lastTag {
		n++
	}
	return n
}

func isRegional(r rune) bool { return r >= '\U0001f1e6' && r <= '\U0001f1ff' }

func isKey(r rune) bool { return r >= '0' && r <= '9' || r == '#' || r == '*' }

func isTone(r rune) bool { return r >= '\U0001f3fb' && r <= '\U0001f3ff' }

// isPicture says whether a code point alone may be an emoji. The plane from U+1F300 on is for
// pictures only, including those that do not exist yet.
func isPicture(r rune) bool {
	switch r {
	case '©', '®', '‼', '⁉', 'ℹ', '〰', '〽': // emoji that are not of a symbol's class
		return true
	}
	block := r >= '\u2000' && r <= '\u32ff' || r >= '\U0001f000' && r < '\U0001f300'
	return r >= '\U0001f300' && r <= '\U0001faff' || block && !isRegional(r) && unicode.In(r, unicode.So, unicode.Sm)
}
