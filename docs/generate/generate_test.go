package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

var root = filepath.Join("..", "..")

// written are the pages as they would be written now.
func written(t *testing.T) map[string]string {
	t.Helper()
	all, err := pages(root)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestReference_IsCurrent(t *testing.T) {
	for name, want := range written(t) {
		got, err := os.ReadFile(filepath.Join(root, "docs", "reference", name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s (run make generate):\n%s", name, diff)
		}
	}
}

// TestReference_HasEveryField looks for each field of this API's own types in the table below its object's heading, and that its description is whole.
func TestReference_HasEveryField(t *testing.T) {
	for _, kind := range []string{"businessrelay", "dataregion"} {
		crd, err := readDefinition(filepath.Join(root, "config", "crd", "bases", "relaykeep.dev_"+kind+"s.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		page := written(t)[kind+".md"]
		found := 0
		var look func(path string, s apiextensionsv1.JSONSchemaProps)
		look = func(path string, s apiextensionsv1.JSONSchemaProps) {
			_, section, there := strings.Cut(page, "\n### "+path+"\n")
			if !there {
				return // one of Kubernetes' types, which are named only
			}
			section, _, _ = strings.Cut(section, "\n### ")
			for name, f := range s.Properties {
				found++
				if !strings.Contains(section, "\n| `"+name+"` | ") {
					t.Errorf("%s has no %s.%s", kind, path, name)
				}
				if d := strings.TrimSpace(f.Description); !strings.HasSuffix(d, ".") {
					t.Errorf("the description of %s.%s is cut off, perhaps before a line that begins with a plus sign: %q", path, name, d)
				}
				look(path+"."+name, f)
				if f.Items != nil {
					look(path+"."+name+"[]", *f.Items.Schema)
				}
			}
		}
		schema := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
		look("spec", schema.Properties["spec"])
		look("status", schema.Properties["status"])
		if found < 50 {
			t.Errorf("%s: looked for %d fields only", kind, found)
		}
	}
}

func TestReference_LinksLead(t *testing.T) {
	for name, page := range written(t) {
		headings := map[string]bool{}
		for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
			headings[strings.ReplaceAll(anchor(m[1]), " ", "-")] = true
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]*))?\)`).FindAllStringSubmatch(page, -1) {
			if m[1] == "" && !headings[m[2]] {
				t.Errorf("%s: no heading #%s", name, m[2])
			}
			if _, err := os.Stat(filepath.Join(root, "docs", "reference", m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestReference_SaysWhatCannotBeChanged is about rules of a field itself, of the object that it is in, and of those around that.
func TestReference_SaysWhatCannotBeChanged(t *testing.T) {
	pages := written(t)
	for field, want := range map[string]string{
		"`dataRegion`": "dataRegion and moves change only by kubectl relay move", "`phoneNumber`": "phoneNumber cannot be changed once the relay has its identity",
		"`size`": "storage.size cannot shrink", "`postgres`": "can be added only while", "`identity`": "only count up", "`database`": "cannot be changed",
		"`suspend`": "yes", "`deletionPolicy`": "yes",
	} {
		wantChange(t, pages["businessrelay.md"], field, want)
	}
	for field, want := range map[string]string{"`type`": "cannot be changed", "`country`": "cannot be changed", "`placement`": "yes", "`maxUnavailable`": "yes"} {
		wantChange(t, pages["dataregion.md"], field, want)
	}
}

// wantChange wants a text in the last cell of a field's first row.
func wantChange(t *testing.T, page, field, want string) {
	t.Helper()
	_, row, found := strings.Cut(page, "\n| "+field+" | ")
	row, _, _ = strings.Cut(row, " |\n")
	last := row[strings.LastIndex(row, " | ")+len(" | "):]
	if !found || !strings.Contains(last, want) {
		t.Errorf("%s: change is %q, want %q", field, last, want)
	}
}

// TestReasons_OfRelaysAreExplained looks for every reason that a relay gives a condition in the rows of that condition.
func TestReasons_OfRelaysAreExplained(t *testing.T) {
	rows, err := readReasons(filepath.Join(root, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for file, conditions := range map[string][]string{
		"relay/webhook/condition.go":                    {"WebhookVerified"},
		"relay/serve/carrierslot.go":                    {"CarrierConnected"},
		"relay/carrier/xmpp/failure.go":                 {"CarrierConnected"},
		"relay/carrier/xmpp/internal/stream/failure.go": {"CarrierConnected"},
		"relay/serve/room.go":                           {"VolumeHasRoom"},
		"relay/serve/integrity.go":                      {"SendingUnlimited"},
		"relay/serve/ledger.go":                         {"LogVerifiable"},
		"relay/serve/explain.go":                        {"KeysReady"},
		"relay/serve/database.go":                       {"KeysReady"},
	} {
		for _, reason := range reasonsIn(t, filepath.Join(root, filepath.FromSlash(file))) {
			found++
			for _, c := range conditions {
				if !explained(rows, "BusinessRelay", c, reason) {
					t.Errorf("docs/operations.md has no row for %s of %s", reason, c)
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("found %d reasons only", found)
	}
}

func explained(rows []reason, kind, condition, name string) bool {
	for _, r := range rows {
		for part := range strings.SplitSeq(r.reasons, ", ") {
			if part == name && r.applies(kind, condition) {
				return true
			}
		}
	}
	return false
}

// reasonsIn are the values of a file's constants Reason… that are written there.
func reasonsIn(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") || len(spec.Values) == 0 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, value)
		}
		return true
	})
	return all
}

func TestReference_HasReasonsOfEveryCondition(t *testing.T) {
	for name, page := range written(t) {
		_, conditions, _ := strings.Cut(page, "\n## Conditions")
		conditions, _, _ = strings.Cut(conditions, "\n## Fields")
		for section := range strings.SplitSeq(conditions, "\n### ") {
			title, _, _ := strings.Cut(section, "\n")
			of := title == "Ready" || strings.HasPrefix(title, ",") || title == "Reconciling" || title == "Stalled" // which take Ready's
			if !of && !strings.Contains(section, "\n| reason | ") {
				t.Errorf("%s: %s has no reason", name, title)
			}
		}
	}
}

func TestReason_IsOfTheKindThatItsRowNames(t *testing.T) {
	for _, c := range []struct {
		row, kind, name string
		want            bool
	}{
		{"Ready", "BusinessRelay", "Ready", true},
		{"Ready", "DataRegion", "Ready", false},
		{"Ready, also of a DataRegion", "DataRegion", "Ready", true},
		{"Ready, also of a DataRegion", "BusinessRelay", "Ready", true},
		{"Ready of a DataRegion", "BusinessRelay", "Ready", false},
		{"Ready of a DataRegion", "DataRegion", "Ready", true},
		{"Placed; Ready of a DataRegion", "DataRegion", "Ready", true},
		{"Placed; Ready of a DataRegion", "BusinessRelay", "Placed", true},
		{"KeysReady, VolumeHasRoom", "BusinessRelay", "VolumeHasRoom", true},
		{"KeeperHealthy", "DataRegion", "KeeperHealthy", true},
		{"KeysReady (True)", "BusinessRelay", "KeysReady", true},
	} {
		if got := (reason{condition: c.row}).applies(c.kind, c.name); got != c.want {
			t.Errorf("a row of %q applies to %s of %s: %v", c.row, c.name, c.kind, got)
		}
	}
}

func TestReferenceAndTables_MustBeThere(t *testing.T) {
	if err := run([]string{"-root", t.TempDir()}); err == nil {
		t.Error("a folder without sources is accepted")
	}
	odd := filepath.Join(t.TempDir(), "operations.md")
	for _, text := range []string{"no table\n", "| condition | reason |\n|---|---|\n| one | two |\n"} {
		if err := os.WriteFile(odd, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readReasons(odd); err == nil {
			t.Errorf("accepted: %s", text)
		}
	}
}
