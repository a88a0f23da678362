//go:build e2e

package e2e

import (
	"testing"

	"github.com/relaykeep/relaykeep/test/attack"
)

// TestAttempts_AreRefusedAndTheOwnersSameCommandSucceeds makes every attempt of
// the threat model, and beside each does the same as its rightful owner.
func TestAttempts_AreRefusedAndTheOwnersSameCommandSucceeds(t *testing.T) {
	scene, err := attack.Open(within(t), environment)
	check(t, err)
	t.Cleanup(func() { check(t, scene.Close(withoutTest())) })
	for _, a := range attack.All() {
		t.Run(a.Name(), func(t *testing.T) {
			if err := a.Attack(within(t), scene); err != nil {
				t.Error(err)
			}
			if err := a.Twin(within(t), scene); err != nil {
				t.Error(err)
			}
		})
	}
}
