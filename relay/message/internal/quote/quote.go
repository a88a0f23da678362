// Package quote recognises a quote at the beginning of a text, says whether it repeats an
// earlier message, and writes such quotes. It is pure. It must not know where messages are
// stored or who sent them.
package quote

import (
	"strings"
	"unicode/utf8"
)

const (
	// maxQuoted is how much of a message a quote repeats, in code points.
	maxQuoted = 200
	// minBeginning is how much of a long message a quote must repeat to be recognised by its
	// beginning, in code points. Converse repeats 80.
	minBeginning = 20
	ellipsis     = "…"
)

// Quote is what a text quotes at its beginning. Every line of a quote begins with a mark.
type Quote struct {
	// Rest is the text below the quote; it is never blank.
	Rest  string
	lines []string // without their marks
}

// Of splits a text that begins with a quote. It returns false if there is none, or nothing
// below it.
func Of(text string) (Quote, bool) { return cut(text, end(text)) }

// In is Of for a text of which the first so many code points are said to be a quote. Dino 0.4.2
// counts bytes. If neither ends after a whole line, In returns what Of
// returns.
func In(text string, length int) (Quote, bool) {
	for _, at := range []int{offset(text, length), length} {
		if at <= 0 || at > len(text) || !lineEnds(text, at) {
			continue
		}
		if q, ok := cut(text, at); ok {
			return q, true
		}
	}
	return Of(text)
}

// offset returns where the code point of that number begins; -1 beyond the text's end.
func offset(text string, n int) int {
	for i := range text {
		if n == 0 {
			return i
		}
		n--
	}
	if n == 0 {
		return len(text)
	}
	return -1
}

// lineEnds says whether a line ends just before or at a place.
func lineEnds(text string, at int) bool {
	return at == len(text) || text[at-1] == '\n' || text[at] == '\n' || text[at] == '\r'
}

// end returns where the quote at a text's beginning ends; 0 when there is none. Blank lines
// above a quoted line belong to it: the chats of Psi+ begin with one.
func end(text string) (at int) {
	for place := 0; place < len(text); {
		line, _, _ := strings.Cut(text[place:], "\n")
		place = min(place+len(line)+1, len(text))
		switch {
		case marked(line):
			at = place
		case strings.TrimSpace(line) != "":
			return at
		}
	}
	return at
}

func marked(line string) bool {
	_, ok := unmarked(line)
	return ok
}

// unmarked returns a quoted line without its mark and the space behind that. Most clients
// mark with ">", the chats of Psi+ with "»".
func unmarked(line string) (said string, ok bool) {
	for _, mark := range []string{">", "»"} {
		if said, ok = strings.CutPrefix(line, mark); ok {
			return strings.TrimPrefix(said, " "), true
		}
	}
	return line, false
}

// cut makes a quote of a text's beginning, if that is one and something stands below it.
func cut(text string, at int) (Quote, bool) {
	q := Quote{Rest: strings.TrimLeft(text[at:], "\r\n")}
	for line := range strings.SplitSeq(text[:at], "\n") {
		said, ok := unmarked(strings.TrimRight(line, "\r"))
		switch {
		case ok:
			q.lines = append(q.lines, said)
		case strings.TrimSpace(said) != "":
			return Quote{}, false
		}
	}
	return q, len(q.lines) > 0 && strings.TrimSpace(q.Rest) != ""
}

// Author returns the first quoted line without its colon, if it may name the author of the
// lines below it, as Converse writes it; else an empty string.
func (q Quote) Author() string {
	if len(q.lines) < 2 {
		return ""
	}
	name, named := strings.CutSuffix(strings.TrimSpace(q.lines[0]), ":")
	if !named {
		return ""
	}
	return name
}

// Repeats says whether the quote repeats what a message said, apart from white space. A quote
// that ends in an ellipsis may repeat a message's beginning only. What the message itself
// quoted may be left out.
func (q Quote) Repeats(said string) bool {
	versions := [][]string{q.lines}
	if q.Author() != "" {
		versions = append(versions, q.lines[1:])
	}
	whole := plain(said)
	own := whole
	if inner, ok := Of(said); ok {
		own = plain(inner.Rest)
	}
	for _, lines := range versions {
		for _, quoted := range []string{plain(strings.Join(lines, "\n")), plain(strings.Join(unquoted(lines), "\n"))} {
			if same(quoted, whole) || same(quoted, own) {
				return true
			}
		}
	}
	return false
}

// unquoted leaves out what the quoted message itself quoted.
func unquoted(lines []string) []string {
	for len(lines) > 0 && (marked(lines[0]) || strings.TrimSpace(lines[0]) == "") {
		lines = lines[1:]
	}
	return lines
}

// plain returns a text with single spaces for all white space: clients wrap lines differently.
func plain(text string) string { return strings.Join(strings.Fields(text), " ") }

// same says whether a quoted text is a message's, or an indicated beginning of it.
func same(quoted, said string) bool {
	if quoted == "" || quoted == said {
		return quoted != ""
	}
	beginning, shortened := strings.CutSuffix(quoted, ellipsis)
	if !shortened {
		beginning, shortened = strings.CutSuffix(quoted, "...")
	}
	beginning = strings.TrimSpace(beginning)
	return shortened && utf8.RuneCountInString(beginning) >= minBeginning && strings.HasPrefix(said, beginning)
}

// Write returns the lines that quote a text, shortened if it is long; empty for a blank text.
func Write(said string) string {
	said = strings.TrimSpace(said)
	if said == "" {
		return ""
	}
	if at := offset(said, maxQuoted); at >= 0 && at < len(said) {
		said = strings.TrimSpace(said[:at]) + ellipsis
	}
	return "> " + strings.ReplaceAll(said, "\n", "\n> ") + "\n"
}
