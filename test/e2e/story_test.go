//go:build e2e

package e2e

import (
	"testing"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/scan"
	"github.com/relaykeep/relaykeep/test/lab"
	"github.com/relaykeep/relaykeep/test/story"
)

// TestStory holds every claim of the demo, and then looks for traces of what was
// said: the two belong together, since nothing that was never said leaves any.
func TestStory(t *testing.T) {
	s, err := story.Open(t.Context(), environment)
	check(t, err)
	t.Cleanup(s.Close)
	for _, chapter := range s.Chapters() {
		for _, claim := range chapter.Claims {
			held := t.Run(claim.Title, func(t *testing.T) {
				if _, err := claim.Prove(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
			if !held {
				t.Fatal("what follows builds on this")
			}
		}
	}
	t.Run("neither texts nor the customer's number left traces", func(t *testing.T) { leavesNoTraces(t, s.Texts()) })
}

func leavesNoTraces(t *testing.T, texts []string) {
	places, err := environment.Places(within(t), lab.Acme)
	check(t, err)
	var secrets []scan.Secret
	for _, text := range texts {
		secrets = append(secrets, scan.Secret{Name: "a text of the story", Bytes: text})
	}
	carrier, err := scan.New(secrets...)
	check(t, err)
	number := scan.Secret{Name: "the customer's number", Bytes: environment.Customer().Digits()}
	blind, err := scan.New(append(secrets, number)...)
	check(t, err)
	for _, look := range []struct {
		scanner *scan.Scanner
		roots   []string
	}{{blind, places.Blind}, {carrier, places.Carrier}} {
		result, err := look.scanner.Tree(look.roots...)
		check(t, err)
		if result.Files == 0 || result.Bytes == 0 {
			t.Errorf("nothing was looked at in %v", look.roots)
		}
		t.Logf("looked at %d files, %d kB", result.Files, result.Bytes>>10)
		for _, f := range result.Findings {
			t.Error(f)
		}
	}
}
