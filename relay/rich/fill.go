package rich

import (
	"regexp"
	"slices"
)

// variable matches a place for a value in a template's text.
var variable = regexp.MustCompile(`\{\{\s*([A-Za-z0-9_]+)\s*\}\}`)

// Variables returns the names of the values that a text has places for, each once, in the order in which
// they come first. "{{1}}" and "{{order_id}}" are such places.
func Variables(text string) (names []string) {
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

// Fill puts values in their places in a text. What a value says is not read as a place.
func Fill(text string, values map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(place string) string {
		return values[variable.FindStringSubmatch(place)[1]]
	})
}
