package webhook_test

import (
	"testing"

	"github.com/relaykeep/relaykeep/relay/webhook"
)

func TestForProcessor_SecretsDiffer(t *testing.T) {
	seen := map[string]string{"business's": "secret"}
	for _, name := range []string{"a", "b"} {
		for _, secret := range []string{"secret", "rotated"} {
			c, err := webhook.ForProcessor(name, secret)
			if err != nil {
				t.Fatal(err)
			}
			again, err := webhook.ForProcessor(name, secret)
			if err != nil || string(again.Secret) != string(c.Secret) || string(again.VerifyToken) != string(c.VerifyToken) {
				t.Errorf("the second time they are others, %v", err)
			}
			for what, value := range map[string][]byte{"secret": c.Secret, "verify token": c.VerifyToken} {
				if len(value) != 64 {
					t.Errorf("the %s has %d characters", what, len(value))
				}
				for whose, other := range seen {
					if other == string(value) {
						t.Errorf("the %s of %s is %s", what, name, whose)
					}
				}
				seen[what+" of "+name+" from "+secret] = string(value)
			}
		}
	}
}
