package phone

import (
	_ "embed"
	"strings"
)

// countries has a line for each country: its ISO 3166-1 alpha-2 code and how its numbers begin. It was
// written from libphonenumber's metadata (github.com/google/libphonenumber), which would cost every relay
// several megabytes of memory for this one question.
//
//go:embed countries.txt
var countries string

// maxPrefix is the longest beginning in countries, in digits.
const maxPrefix = 7

var prefixes = readCountries(countries)

func readCountries(text string) map[string]string {
	m := make(map[string]string, 400)
	for line := range strings.Lines(text) {
		code, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		for _, prefix := range strings.Fields(rest) {
			m[prefix] = code
		}
	}
	return m
}

// Country returns the ISO 3166-1 alpha-2 code of the country that a number belongs to. It is empty for
// numbers of no country, such as international freephone, and for who has no number.
func (n Number) Country() string {
	for length := min(maxPrefix, len(n.digits)); length > 0; length-- {
		if code := prefixes[n.digits[:length]]; code != "" {
			return code
		}
	}
	return ""
}
