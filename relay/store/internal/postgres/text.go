package postgres

import (
	"strconv"
	"strings"
)

// numbered rewrites a statement of engine.Tx for PostgreSQL: parameters become $1, $2 and so
// on, and columns whose names PostgreSQL reserves are quoted. Unquoted, "user" would be the
// role's name, and no error.
func numbered(text string) string {
	var b strings.Builder
	b.Grow(len(text) + 16)
	next := 1
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\'' || c == '"':
			end := quoted(text, i)
			b.WriteString(text[i:end])
			i = end
		case c == '?':
			b.WriteByte('$')
			i++
			if end := run(text, i, digit); end > i {
				b.WriteString(text[i:end])
				i = end
				continue
			}
			b.WriteString(strconv.Itoa(next))
			next++
		case letter(c):
			end := run(text, i, func(c byte) bool { return letter(c) || digit(c) })
			if word := text[i:end]; reserved(word) {
				b.WriteString(`"` + word + `"`)
			} else {
				b.WriteString(word)
			}
			i = end
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String()
}

// reserved says whether PostgreSQL would not take a word for the column that it names.
func reserved(word string) bool { return word == "user" || word == "row" }

// quoted returns where what is quoted from i on ends.
func quoted(text string, i int) int {
	end := strings.IndexByte(text[i+1:], text[i])
	if end < 0 {
		return len(text)
	}
	return i + 1 + end + 1
}

// run returns where the bytes from i on that are of a kind end.
func run(text string, i int, kind func(byte) bool) int {
	for i < len(text) && kind(text[i]) {
		i++
	}
	return i
}

func letter(c byte) bool { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }

func digit(c byte) bool { return '0' <= c && c <= '9' }
