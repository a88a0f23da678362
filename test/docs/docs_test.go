package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/docs"
)

const page = "# A page\nRun `tool one NAME` or `tool two …`, not `other`.\n" +
	"```sh\n# a comment about tool\nexport A=1\ntool three --flag=\"a b\" 'c' \\\n  d | xargs -n 1 tool four   # why\nB=2 tool five $(tool six)\n```\n" +
	"```yaml\ntool: seven\n```\n  ```sh\n  tool eight\n  ```\n"

func TestCommands_AreThoseOfBlocksAndSentences(t *testing.T) {
	got, err := docs.In("page.md", page, "tool")
	if err != nil {
		t.Fatal(err)
	}
	want := []docs.Command{
		{Where: "page.md:2", Words: []string{"tool", "one", "NAME"}},
		{Where: "page.md:2", Words: []string{"tool", "two"}},
		{Where: "page.md:6", Words: []string{"tool", "three", "--flag=a b", "c", "d"}, Whole: true},
		{Where: "page.md:7", Words: []string{"tool", "four"}, Whole: true},
		{Where: "page.md:8", Words: []string{"tool", "five", "$(tool six)"}, Whole: true},
		{Where: "page.md:8", Words: []string{"tool", "six"}, Whole: true},
		{Where: "page.md:14", Words: []string{"tool", "eight"}, Whole: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCommands_BlockThatIsNoShellsIsAnError(t *testing.T) {
	for _, text := range []string{"```sh\nif true\n```\n", "```sh\necho 'open\n```\n", "```sh\necho never ends\n"} {
		if _, err := docs.In("page.md", text, "echo"); err == nil || !strings.Contains(err.Error(), "page.md:2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestDocuments_NameTargetsThatExist holds each `make` of the documents against the Makefile.
func TestDocuments_NameTargetsThatExist(t *testing.T) {
	root := filepath.Join("..", "..")
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\.PHONY: (.+)$`).FindAllStringSubmatch(string(makefile), -1) {
		for name := range strings.FieldsSeq(m[1]) {
			targets[name] = true
		}
	}
	all, err := docs.Commands(root, "make")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, c := range all {
		for _, word := range c.Words[1:] {
			if strings.Contains(word, "=") || strings.HasPrefix(word, "-") {
				continue
			}
			found++
			if !targets[word] {
				t.Errorf("%s: there is no make %s", c.Where, word)
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d targets only", found)
	}
}

// TestDocuments_ObjectsHaveOnlyFieldsThatExist decodes the objects of this API in the documents.
func TestDocuments_ObjectsHaveOnlyFieldsThatExist(t *testing.T) {
	root := filepath.Join("..", "..")
	found := 0
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "charts/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, block := range regexp.MustCompile("(?s)\n```yaml\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
				for object := range strings.SplitSeq(block[1], "\n---\n") {
					if ours, err := decode(object); err != nil {
						t.Errorf("%s: %v in\n%s", path, err, object)
					} else if ours {
						found++
					}
				}
			}
		}
	}
	if found < 5 {
		t.Errorf("found %d objects only", found)
	}
}

// decode says whether an object is of this API, and what is wrong with it.
func decode(text string) (ours bool, err error) {
	var o struct{ Kind string }
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		return false, fmt.Errorf("this is no YAML: %w", err)
	}
	switch o.Kind {
	case "DataRegion":
		return true, yaml.UnmarshalStrict([]byte(text), &v1alpha1.DataRegion{})
	case "BusinessRelay":
		return true, yaml.UnmarshalStrict([]byte(text), &v1alpha1.BusinessRelay{})
	}
	return false, nil
}
