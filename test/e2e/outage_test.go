//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/lab"
)

// withoutTest is for what has to be done after a test, whose own context has ended.
func withoutTest() context.Context { return context.Background() }

// outage is one that acme's relay has to report and to outlast.
type outage struct {
	name      string
	of        func(*testing.T) lab.Outage
	condition string
	reason    string // empty: any
	says      string // what the condition tells people to do
}

// outages are those of everything that a relay leans on.
func outages() []outage {
	return []outage{
		{
			"Vault sealed", func(t *testing.T) lab.Outage {
				o, err := environment.VaultSealed(within(t), lab.EU)
				check(t, err)
				return o
			},
			v1alpha1.ConditionKeysReady, "VaultSealed", "unseal",
		},
		{
			"the carrier away", func(t *testing.T) lab.Outage {
				o, err := environment.ProsodyAway(lab.EU)
				check(t, err)
				return o
			},
			v1alpha1.ConditionCarrierConnected, "", "carrier",
		},
		{
			"the webhook down", func(*testing.T) lab.Outage { return environment.WebhookAway(lab.Acme) },
			v1alpha1.ConditionWebhookVerified, "", "webhook",
		},
	}
}

// TestOutage_IsAConditionAndPassesWithoutARestart takes each service away while a
// message is on its way, and gives it back.
func TestOutage_IsAConditionAndPassesWithoutARestart(t *testing.T) {
	for _, o := range outages() {
		t.Run(o.name, func(t *testing.T) {
			_, err := environment.WaitCondition(within(t), lab.Acme.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
			check(t, err)
			before := relayInstance(t, lab.Acme)
			away := o.of(t)
			t.Cleanup(func() { check(t, away.Restore(withoutTest())) })
			check(t, away.Begin(within(t)))
			text := "Written during an outage, " + rand.Text()[:6]
			if o.condition == v1alpha1.ConditionWebhookVerified {
				say(t, text) // which the webhook's absence shows by
			}
			c, err := environment.WaitCondition(within(t), lab.Acme.Relay(), o.condition, metav1.ConditionFalse)
			check(t, err)
			if o.reason != "" && c.Reason != o.reason {
				t.Errorf("the reason is %s, want %s", c.Reason, o.reason)
			}
			contains(t, c.Message, o.says)
			_, err = environment.WaitCondition(within(t), lab.Acme.Relay(), v1alpha1.ConditionReady, metav1.ConditionFalse)
			check(t, err)
			check(t, away.Restore(within(t)))
			for _, condition := range []string{o.condition, v1alpha1.ConditionReady} {
				_, err = environment.WaitCondition(within(t), lab.Acme.Relay(), condition, metav1.ConditionTrue)
				check(t, err)
			}
			if o.condition != v1alpha1.ConditionWebhookVerified {
				say(t, text)
			}
			arrives(t, text)
			if after := relayInstance(t, lab.Acme); after != before {
				t.Error("the relay was restarted")
			}
		})
	}
}

// say lets the customer write to acme.
func say(t *testing.T, text string) {
	t.Helper()
	chat, err := environment.Customer().Say(within(t), lab.Acme, text, 0)
	check(t, err)
	check(t, chat.Wait(within(t)))
}

// arrives waits until acme's webhook has a text, and wants it there once.
func arrives(t *testing.T, text string) {
	t.Helper()
	inbox, err := environment.Inbox(lab.Acme)
	check(t, err)
	_, err = inbox.Wait(within(t), "the customer's message", func(m webhooktest.Update) bool { return m.Text == text })
	check(t, err)
	all, err := inbox.Messages()
	check(t, err)
	ids := map[string]bool{} // a webhook may repeat a message, under its id
	for _, m := range all {
		if m.Text == text {
			ids[m.ID] = true
		}
	}
	if len(ids) != 1 {
		t.Errorf("the message arrived as %d messages", len(ids))
	}
}
