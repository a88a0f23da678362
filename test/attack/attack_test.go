package attack

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the table in docs/threat-model.md")

// Marks around the table in the document.
const (
	begin = "<!-- attempts: written by `go test ./test/attack -update` -->\n"
	end   = "<!-- end of the attempts -->\n"
)

func TestThreatModel_ListsEveryAttempt(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "threat-model.md")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), begin)
	table, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no marks around the table", path)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+Table()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(table, Table()); diff != "" {
		t.Errorf("(-document +attempts; rewrite with -update):\n%s", diff)
	}
}

func TestAttempts_AreCompleteAndNamedOnce(t *testing.T) {
	all := All()
	if len(all) < 40 {
		t.Errorf("there are %d attempts", len(all))
	}
	seen := map[string]bool{}
	for _, a := range all {
		if a.Who == "" || a.Tries == "" || a.Stopped == "" || a.Owner == "" || a.attack == nil || a.twin == nil || a.refused == nil {
			t.Errorf("%q is incomplete: %+v", a.Name(), a)
		}
		if seen[a.Name()] {
			t.Errorf("%q is there twice", a.Name())
		}
		seen[a.Name()] = true
		if strings.Contains(a.Name()+a.Stopped+a.Owner, "|") {
			t.Errorf("%q breaks the table", a.Name())
		}
	}
}

// TestDocuments_NameTestsThatExist reads the tests that what is promised, the threat model and the
// manual rest on: a name that ends in … stands for all that begin so.
func TestDocuments_NameTestsThatExist(t *testing.T) {
	var source strings.Builder
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		source.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test\\w+)(…?)`")
	for _, document := range []string{"compliance.md", "threat-model.md", "operations.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", document))
		if err != nil {
			t.Fatal(err)
		}
		found := named.FindAllStringSubmatch(string(text), -1)
		if len(found) < 4 {
			t.Errorf("%s names %d tests", document, len(found))
		}
		for _, m := range found {
			declared := "\nfunc " + m[1]
			if m[2] == "" {
				declared += "("
			}
			if !strings.Contains(source.String(), declared) {
				t.Errorf("%s names %s%s, which is no test", document, m[1], m[2])
			}
		}
	}
}
