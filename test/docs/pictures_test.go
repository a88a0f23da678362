package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// arrow is an edge between two quoted nodes of a picture.
var arrow = regexp.MustCompile(`"([a-z/]+)" -> "([a-z/]+)"`)

func TestPictures_ArrowsAreImports(t *testing.T) {
	const relay = "github.com/relaykeep/relaykeep/relay/"
	found, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedImports, Dir: "../.."}, "./relay/...")
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string][]string{}
	for _, p := range found {
		for path := range p.Imports {
			imports[strings.TrimPrefix(p.PkgPath, relay)] = append(imports[strings.TrimPrefix(p.PkgPath, relay)], strings.TrimPrefix(path, relay))
		}
	}
	text, err := os.ReadFile("../../docs/pictures/packages.dot")
	if err != nil {
		t.Fatal(err)
	}
	arrows := arrow.FindAllStringSubmatch(string(text), -1)
	if len(arrows) == 0 {
		t.Fatal("no arrows")
	}
	for _, a := range arrows {
		if !slices.Contains(imports[a[1]], a[2]) {
			t.Errorf("%s does not import %s", a[1], a[2])
		}
	}
}

func TestPictures_AreDrawnAndShown(t *testing.T) {
	sources, err := filepath.Glob("../../docs/pictures/*.dot")
	if err != nil || len(sources) == 0 {
		t.Fatalf("%d pictures, %v", len(sources), err)
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		drawn := strings.TrimSuffix(source, ".dot") + ".svg"
		if _, err := os.Stat(drawn); err != nil {
			t.Errorf("%v: make generate", err)
		}
		if !slices.ContainsFunc(pages, func(page string) bool {
			text, err := os.ReadFile(page)
			return err == nil && strings.Contains(string(text), "](pictures/"+filepath.Base(drawn)+")")
		}) {
			t.Errorf("no page shows %s", drawn)
		}
	}
}
