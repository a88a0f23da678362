package build

import (
	"strings"
	"testing"
	"time"
)

func TestProgressCountsWhatGoPrintsInPieces(t *testing.T) {
	p := &progress{}
	text := "go: downloading a.test/m v1.0.0\na.test/m\na.test/m/sub\n# a.test/m/sub\nx.go:1:2: wrong\nlast"
	for len(text) > 0 {
		n := min(7, len(text))
		if _, err := p.Write([]byte(text[:n])); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	got := p.describe(10, 61*time.Second)
	if want := "1 modules fetched, 2 of at most 10 packages compiled, now a.test/m/sub, 61 s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if failure := p.failure(); !strings.HasSuffix(failure, "x.go:1:2: wrong\nlast") {
		t.Errorf("the failure is reported as %q", failure)
	}
}

func TestProgressSaysHowLongTheRestTakes(t *testing.T) {
	p := &progress{}
	if _, err := p.Write([]byte(strings.Repeat("a.test/m\n", 199))); err != nil {
		t.Fatal(err)
	}
	if got, want := p.describe(800, 20*time.Second), "199 of at most 800 packages compiled, now a.test/m, 20 s"; got != want {
		t.Errorf("with few compiled: got %q, want %q", got, want)
	}
	if _, err := p.Write([]byte("a.test/n\n")); err != nil {
		t.Fatal(err)
	}
	if got, want := p.describe(800, 20*time.Second), "200 of at most 800 packages compiled, now a.test/n, 20 s, about 60 s more, less if some is cached"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProgressKeepsOnlyTheEnd(t *testing.T) {
	p := &progress{}
	for range 1000 {
		if _, err := p.Write([]byte("some: line\n")); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(p.failure(), "some: line"); got != tail {
		t.Errorf("kept %d lines, want %d", got, tail)
	}
}

func TestProgressWithoutATotalDoesNotInventOne(t *testing.T) {
	if got := (&progress{}).describe(0, time.Second); got != "0 packages compiled, 1 s" {
		t.Errorf("got %q", got)
	}
}
