package charts

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/test/docs"
)

// TestDocuments_NameValuesThatExist renders the chart with the values of each `helm install` and `helm upgrade` of the documents:
// its schema refuses others than it has.
func TestDocuments_NameValuesThatExist(t *testing.T) {
	all, err := docs.Commands("..", "helm")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, c := range all {
		if len(c.Words) < 2 || !slices.Contains([]string{"install", "upgrade", "template"}, c.Words[1]) {
			continue
		}
		args := []string{"template", "relaykeep", "relaykeep", "--namespace", "relaykeep-system"}
		for i, word := range c.Words {
			switch name, value, both := strings.Cut(word, "="); {
			case !strings.HasPrefix(name, "--set"):
			case both:
				args = append(args, name, value)
			case i+1 < len(c.Words):
				args = append(args, name, c.Words[i+1])
			}
		}
		found++
		if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--set") }) {
			continue
		}
		if _, complaint, err := run(t, args...); err != nil {
			t.Errorf("%s: %s: %v: %s", c.Where, strings.Join(c.Words, " "), err, complaint)
		}
	}
	if found < 4 {
		t.Errorf("found %d commands only", found)
	}
}

// chartValue finds what a sentence calls a value of the chart.
var chartValue = regexp.MustCompile("chart's `([^`]+)`|`([A-Za-z.]+)`(?:, `[A-Za-z.]+`| and `[A-Za-z.]+`)* of the chart")

// TestDocuments_NameTheChartsValues looks up what documents call the chart's.
func TestDocuments_NameTheChartsValues(t *testing.T) {
	values := schemaValues(t)
	found := 0
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range chartValue.FindAllString(string(text), -1) {
			for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(m, -1) {
				found++
				if !values[name[1]] {
					t.Errorf("%s: the chart has no value %s", path, name[1])
				}
			}
		}
	}
	if found < 8 {
		t.Errorf("found %d names only", found)
	}
}

// documents are the documents that users read.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "charts/*/*.md", "config/*/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// TestChartsPage_HasEveryValue holds the first column of the page's table against the schema, both ways.
func TestChartsPage_HasEveryValue(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("relaykeep", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| value | default | meaning |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	named := map[string]bool{}
	for line := range strings.SplitSeq(table, "\n") {
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		parent := ""
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			name := m[1]
			if rest, ok := strings.CutPrefix(name, "."); ok {
				name = parent + "." + rest
			} else if i := strings.LastIndex(name, "."); i > 0 {
				parent = name[:i]
			}
			named[name] = true
		}
	}
	values := schemaValues(t)
	for name := range named {
		if !values[name] {
			t.Errorf("the chart has no value %s", name)
		}
	}
	for name := range values {
		covered := named[name] || slices.ContainsFunc(slices.Collect(maps.Keys(named)), func(n string) bool {
			return strings.HasPrefix(n, name+".") || strings.HasPrefix(name, n+".")
		})
		if !covered {
			t.Errorf("the page does not say what %s means", name)
		}
	}
}

// node is a part of a JSON schema.
type node struct {
	Ref         string          `json:"$ref"`
	Description string          `json:"description"`
	Properties  map[string]node `json:"properties"`
	Definitions map[string]node `json:"definitions"`
}

// schema reads the chart's schema.
func schema(t *testing.T) node {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("relaykeep", "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var root node
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	return root
}

// schemaValues are the paths of all values in the schema.
func schemaValues(t *testing.T) map[string]bool {
	t.Helper()
	values := map[string]bool{}
	walkValues(schema(t), func(path string, _ node) { values[path] = true })
	return values
}

// walkValues visits every value of a schema.
func walkValues(root node, visit func(path string, n node)) {
	var walk func(path string, n node)
	walk = func(path string, n node) {
		description := n.Description
		if name, ok := strings.CutPrefix(n.Ref, "#/definitions/"); ok {
			n = root.Definitions[name]
		}
		if description != "" {
			n.Description = description
		}
		if path != "" {
			visit(path, n)
		}
		for name, child := range n.Properties {
			walk(strings.TrimPrefix(path+"."+name, "."), child)
		}
	}
	walk("", root)
}

// TestSchema_SaysWhatValuesYamlSays wants the comment of each value in values.yaml as its description, which editors show.
func TestSchema_SaysWhatValuesYamlSays(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("relaykeep", "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	said := comments(string(text))
	walkValues(schema(t), func(path string, n node) {
		if len(n.Properties) == 0 && n.Description == "" {
			t.Errorf("the schema does not describe %s", path)
		}
		if len(n.Properties) == 0 && said[path] != n.Description {
			t.Errorf("of %s values.yaml says %q, the schema %q", path, said[path], n.Description)
		}
	})
}

// comments are the comments before values that begin with two dashes.
func comments(text string) map[string]string {
	all := map[string]string{}
	var path []string
	var comment []string
	value := regexp.MustCompile(`^( *)([A-Za-z_]+):`)
	for line := range strings.SplitSeq(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(trimmed, "# -- "); ok {
			comment = []string{rest}
			continue
		}
		if rest, ok := strings.CutPrefix(trimmed, "#"); ok {
			if comment != nil {
				comment = append(comment, strings.TrimSpace(rest))
			}
			continue
		}
		if m := value.FindStringSubmatch(line); m != nil {
			path = append(path[:len(m[1])/2], m[2])
			if comment != nil {
				all[strings.Join(path, ".")] = strings.Join(comment, " ")
			}
		}
		comment = nil
	}
	return all
}
