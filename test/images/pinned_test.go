package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestImagesFromElsewhereAreNamedByDigest reads every Dockerfile, and every manifest
// and template that is not generated for a test. An image is either built from this
// repository or named by its content.
func TestImagesFromElsewhereAreNamedByDigest(t *testing.T) {
	from := regexp.MustCompile(`(?m)^(?:FROM\s+(?:--platform=\S+\s+)?|ARG\s+\w*IMAGE=|#\s*syntax\s*=\s*)(\S+)`)
	image := regexp.MustCompile(`(?m)^[ \t]*(?:- )?image:[ \t]*["']?([^\s"'#]+)`)
	digest := regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)
	found := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() && (base == ".git" || base == ".cluster" || base == "testdata" || base == "dist" || base == "bin") {
			return filepath.SkipDir
		}
		pattern := image
		if strings.Contains(base, "Dockerfile") && !d.IsDir() {
			pattern = from
		} else if ext := filepath.Ext(base); d.IsDir() || ext != ".yaml" && ext != ".yml" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		stages := map[string]bool{"scratch": true}
		for _, m := range regexp.MustCompile(`(?m)^FROM\s.*\sAS\s+(\S+)`).FindAllStringSubmatch(string(text), -1) {
			stages[m[1]] = true
		}
		for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
			if m[1] == "{" {
				continue // a mapping, of a schema's field of that name
			}
			found++
			ours := stages[m[1]] || strings.HasPrefix(m[1], "$") || strings.HasPrefix(m[1], "{{") || strings.HasPrefix(m[1], "ghcr.io/relaykeep/")
			if !ours && !digest.MatchString(m[1]) {
				t.Errorf("%s: %s is not named by its digest", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	checkDevcontainer(t)
	if found < 4 {
		t.Errorf("%d images were looked at", found)
	}
}

// checkDevcontainer holds the development container to the builder's image, so that both
// have one Go.
func checkDevcontainer(t *testing.T) {
	t.Helper()
	image := func(path, pattern string) string {
		text, err := os.ReadFile(filepath.Join("..", "..", path))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(pattern).FindSubmatch(text)
		if m == nil {
			t.Fatalf("%s names no image", path)
		}
		return string(m[1])
	}
	builder, devcontainer := image("Dockerfile", `(?m)^ARG GO_IMAGE=(\S+)`), image(".devcontainer/devcontainer.json", `"image": "([^"]+)"`)
	if builder != devcontainer {
		t.Errorf("the development container is %s, and the builder is %s", devcontainer, builder)
	}
}
