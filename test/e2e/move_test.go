//go:build e2e

package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/lab"
)

// downtime is the longest for which a relay may be away while it moves.
const downtime = 5 * time.Minute

// TestMove moves a relay to another region, node and Vault in the midst of a conversation: it keeps its identity and its
// sessions, no message is lost, and the region that it left has nothing of it.
func TestMove(t *testing.T) {
	g := newGuest(t)
	moveNode(t, "na-1", "na", lab.West.Name)
	t.Cleanup(func() { check(t, environment.CloseWest(withoutTest())) })
	check(t, environment.OpenWest(within(t), g.Business))
	g.host(1)
	g.converse(t, "Before the move")
	before := g.Relay()
	check(t, environment.Client().Get(within(t), client.ObjectKeyFromObject(before), before))

	begun, moved := time.Now(), make(chan error, 1)
	var said string
	go func() {
		var err error
		said, err = environment.Move(t.Context(), g.Business, lab.West)
		moved <- err
	}()
	check(t, lab.Poll(within(t), func(ctx context.Context) error {
		relay := g.Relay()
		if err := environment.Client().Get(ctx, client.ObjectKeyFromObject(relay), relay); err != nil {
			return err
		}
		if relay.Spec.Moving == nil {
			return errors.New("the relay has not begun to move")
		}
		return nil
	}))
	onTheWay := "Written while the relay moves"
	g.people[0].Says(g, onTheWay)
	check(t, <-moved)
	took := time.Since(begun)
	t.Logf("the relay was Ready in the new region %s after it was stopped in the old one\n%s", took.Round(time.Second), said)
	if took > downtime {
		t.Errorf("it was away for longer than %s", downtime)
	}

	_, err := g.inbox.Wait(within(t), "what was written on the way", func(m webhooktest.Update) bool { return m.Text == onTheWay })
	check(t, err)
	g.converse(t, "After the move")
	after := g.Relay()
	check(t, environment.Client().Get(within(t), client.ObjectKeyFromObject(after), after))
	if after.Status.Identity != before.Status.Identity || after.Status.Endpoint.PhoneNumberID != before.Status.Endpoint.PhoneNumberID {
		t.Errorf("the relay was %+v %s and is %+v %s", before.Status.Identity, before.Status.Endpoint.PhoneNumberID, after.Status.Identity, after.Status.Endpoint.PhoneNumberID)
	}
	if is := after.Status.Region; is.Name != lab.West.Name || is.Node != "na-1" {
		t.Errorf("the relay is in %+v", is)
	}
	claims := &corev1.PersistentVolumeClaimList{}
	check(t, environment.Client().List(within(t), claims, client.InNamespace(g.Name)))
	for _, c := range claims.Items {
		if c.Name != "initrode-relay-1" && c.DeletionTimestamp == nil {
			t.Errorf("claim %s is left", c.Name)
		}
	}
	g.leftNothing(t, lab.EU)
}

// leftNothing wants no key and no secret of the business in a region's Vault.
func (r *replicated) leftNothing(t *testing.T, region *lab.Region) {
	t.Helper()
	server, err := environment.Vault(within(t), region)
	check(t, err)
	root, err := server.Root()
	check(t, err)
	for _, key := range []string{"transit/keys/" + r.WrappingKey(), "transit-settings/keys/" + r.WrappingKey()} {
		found, err := root.Logical().ReadWithContext(within(t), key)
		check(t, err)
		if found != nil {
			t.Errorf("%s is left", key)
		}
	}
	secrets, err := root.Logical().ListWithContext(within(t), "kv/metadata/"+r.Name+"/"+r.Tenant())
	check(t, err)
	if secrets != nil {
		t.Errorf("secrets are left: %v", secrets.Data["keys"])
	}
}
