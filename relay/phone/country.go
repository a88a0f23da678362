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

// Country returns the ISO 3166-1 alpha-2 code of the country that a number belongs to. It is empty for
// numbers of no country, such as international freephone, and for who has no number.
func (n Number) Country() string {
	for length := min(maxPrefix, len(n.digits)); length > 0; length-- {
		if code := countryOf(n.digits[:length]); code != "" {
			return code
		}
	}
	return ""
}

// countryOf returns the code of the line that has exactly this prefix.
func countryOf(prefix string) string {
	for _, end := range []string{" ", "\n"} {
		if at := strings.Index(countries, " "+prefix+end); at >= 0 {
			line := countries[strings.LastIndexByte(countries[:at], '\n')+1:]
			code, _, _ := strings.Cut(line, " ")
			return code
		}
	}
	return ""
}
