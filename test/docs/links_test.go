package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/test/docs"
)

var (
	links    = regexp.MustCompile(`\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)`)
	headings = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	anchors  = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
	code     = regexp.MustCompile("(?ms)^ *```.*?^ *```|`[^`\n]*`")
	// dropped is what GitHub leaves out of a heading when it makes an anchor of it.
	dropped = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_ -]`)
)

// TestDocuments_LinksLead follows the links of every document to files of the repository and to their headings.
func TestDocuments_LinksLead(t *testing.T) {
	root := filepath.Join("..", "..")
	documents, err := docs.Documents(root)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, from := range documents {
		text := read(t, from)
		for _, m := range links.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, ":") {
				continue // elsewhere
			}
			found++
			to := from
			if path != "" {
				to = filepath.Join(filepath.Dir(from), filepath.FromSlash(path))
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %s leads nowhere", from, m[1])
				continue
			}
			if anchor != "" && strings.HasSuffix(to, ".md") && !hasAnchor(read(t, to), anchor) {
				t.Errorf("%s: %s has no heading #%s", from, to, anchor)
			}
		}
	}
	if found < 300 {
		t.Errorf("found %d links only", found)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// hasAnchor says whether GitHub gives a document's page that anchor.
func hasAnchor(text, anchor string) bool {
	for _, m := range anchors.FindAllStringSubmatch(text, -1) {
		if m[1] == anchor {
			return true
		}
	}
	for _, m := range headings.FindAllStringSubmatch(text, -1) {
		title := links.ReplaceAllString(m[1], "]")
		if strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(title), ""), " ", "-") == anchor {
			return true
		}
	}
	return false
}
