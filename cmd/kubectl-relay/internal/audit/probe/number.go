package probe

import "regexp"

// numbers are what is written like a telephone number (E.164, 7 to 15 digits after a plus sign), or like a customer's
// address at the carrier, whose local part is one.
var numbers = regexp.MustCompile(`(?:\+[1-9][0-9]{6,14}\b)|(?:\b[1-9][0-9]{6,14}@)`)

// holdsNumber says whether a text has a telephone number other than the business's own.
func holdsNumber(text, own string) bool {
	for _, found := range numbers.FindAllString(text, -1) {
		if found != own && (own == "" || found != own[1:]+"@") {
			return true
		}
	}
	return false
}
