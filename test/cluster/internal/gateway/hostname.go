package gateway

import "strings"

// narrower returns the host names that two patterns have in common, as a pattern: empty stands for all host names, and
// *.example.org for all below example.org.
func narrower(a, b string) (string, bool) {
	switch {
	case a == "" || a == b:
		return b, true
	case b == "":
		return a, true
	case covers(a, b):
		return b, true
	case covers(b, a):
		return a, true
	}
	return "", false
}

// covers says whether a wildcard covers a name, or a narrower wildcard.
func covers(wildcard, name string) bool {
	suffix, ok := strings.CutPrefix(wildcard, "*")
	return ok && strings.HasSuffix(strings.TrimPrefix(name, "*"), suffix) && len(name) > len(suffix)
}

// moreSpecific says which of two host name patterns comes first: the one with more characters in a name without
// wildcard, then the one with more characters.
func moreSpecific(a, b string) int {
	if x, y := exactLength(a), exactLength(b); x != y {
		return y - x
	}
	return len(b) - len(a)
}

func exactLength(host string) int {
	if strings.HasPrefix(host, "*") {
		return 0
	}
	return len(host)
}
