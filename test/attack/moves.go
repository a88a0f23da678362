package attack

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/relaykeep/relaykeep/test/lab"
)

// movesYAML are two regions on acme's carrier, in which nothing runs: one takes relays from acme's, one does not.
const movesYAML = `
apiVersion: relaykeep.dev/v1alpha1
kind: DataRegion
metadata: {name: west-%[1]s, annotations: {relaykeep.dev/abandon-keys: "true"}}
spec:
  type: EU
  storageClassName: relaykeep-eu
  vault: {address: "https://vault.attack.test:8200"}
  carrier: {xmpp: {domain: eu.relay.test}}
  moves: {from: [eu]}
---
apiVersion: relaykeep.dev/v1alpha1
kind: DataRegion
metadata: {name: closed-%[1]s, annotations: {relaykeep.dev/abandon-keys: "true"}}
spec:
  type: EU
  storageClassName: relaykeep-eu
  vault: {address: "https://vault.attack.test:8200"}
  carrier: {xmpp: {domain: eu.relay.test}}
`

// What a BusinessRelay is told to move to a region of the scene, and what it must not be told.
const (
	leavesFor   = `{"spec":{"suspend":true,"moving":{"from":"eu","to":"%s-%s","carrierDomain":"eu.relay.test"}}}`
	isElsewhere = `{"spec":{"dataRegion":"%s-%s"}}`
)

// makeMoves makes the regions, and has acme's let relays go to both, until Close.
func (s *Scene) makeMoves(ctx context.Context) error {
	text := fmt.Sprintf(movesYAML, s.mark)
	s.undo = append(s.undo, func(ctx context.Context) error { return s.lab.Remove(ctx, text) })
	if _, err := s.lab.Apply(ctx, text); err != nil {
		return fmt.Errorf("preparing regions to move to: %w", err)
	}
	s.undo = append(s.undo, func(ctx context.Context) error { return s.letGo(ctx, "null") })
	if err := s.letGo(ctx, fmt.Sprintf(`{"to":["west-%[1]s","closed-%[1]s"]}`, s.mark)); err != nil {
		return err
	}
	if err := s.makeArrivalKey(ctx); err != nil {
		return err
	}
	// The policies learn of a region a moment later.
	return lab.Poll(ctx, func(ctx context.Context) error { return told(admin, leavesFor, "west")(ctx, s) })
}

// arrivalKey is the key in another region's Vault to which acme's relay seals what it brings there.
func arrivalKey() string { return lab.Acme.WrappingKey() + "-arrival" }

// makeArrivalKey makes that key as kubectl relay move does, until Close.
func (s *Scene) makeArrivalKey(ctx context.Context) error {
	root, path := s.root[lab.NA].Logical(), "transit-settings/keys/"+arrivalKey()
	if _, err := root.WriteWithContext(ctx, path, map[string]any{"type": "rsa-3072"}); err != nil {
		return fmt.Errorf("preparing the key of a move: %w", err)
	}
	s.undo = append(s.undo, func(ctx context.Context) error {
		if _, err := root.WriteWithContext(ctx, path+"/config", map[string]any{"deletion_allowed": true}); err != nil {
			return fmt.Errorf("removing the key of a move: %w", err)
		}
		_, err := root.DeleteWithContext(ctx, path)
		return err
	})
	return nil
}

// letGo sets the moves of acme's region.
func (s *Scene) letGo(ctx context.Context, moves string) error {
	if _, err := s.lab.Kubectl(ctx, "patch", "dataregion", lab.EU.Name, "--type=merge", "-p", `{"spec":{"moves":`+moves+`}}`); err != nil {
		return fmt.Errorf("preparing acme's region: %w", err)
	}
	return nil
}

// told has a user tell acme's BusinessRelay something about a region of the scene, not really.
func told(user, what, region string) act {
	return func(ctx context.Context, s *Scene) error {
		return patched(user, lab.Acme.Relay(), fmt.Sprintf(what, region, s.mark))(ctx, s)
	}
}

// openArrival has somebody decrypt, at the Vault of another region, what is sealed for acme's relay that moves there.
func openArrival(l login) act {
	return func(ctx context.Context, s *Scene) error {
		root := s.root[lab.NA].Logical()
		sealed, err := root.WriteWithContext(ctx, "transit-settings/encrypt/"+arrivalKey(), map[string]any{"plaintext": base64.StdEncoding.EncodeToString([]byte("attack"))})
		if err != nil {
			return fmt.Errorf("preparing: sealing to the key of a move: %w", err)
		}
		return write(l, "transit-settings/decrypt/"+arrivalKey(), map[string]any{"ciphertext": sealed.Data["ciphertext"]})(ctx, s)
	}
}

// onMoves are attempts to take a relay's data to another region, or out of what carries it there.
func onMoves() []Attempt {
	const (
		policy = "the admission policy relaykeep-moves"
		mover  = "the cluster's admin, who may move relays,"
		agreed = "the same, to a region that takes relays from there"
	)
	there := relayOf(lab.Acme).at(lab.NA)
	return []Attempt{
		{"a clerk who may only write acme's BusinessRelays", "moves acme's relay to another region", policy, "the cluster's admin, who may move relays", told(clerk, leavesFor, "west"), told(admin, leavesFor, "west"), byPolicy},
		{mover, "changes the region of acme's relay while it runs", "the rules of the BusinessRelay's fields", "the same, by the steps of kubectl relay move", told(admin, isElsewhere, "west"), told(admin, leavesFor, "west"), bySchema},
		{mover, "moves acme's relay to a region that does not take it", policy, agreed, told(admin, leavesFor, "closed"), told(admin, leavesFor, "west"), byPolicy},
		{"globex's relay", "opens what acme's relay brings to its region", vaultsPolicy, "acme's relay there", openArrival(relayOf(lab.Globex)), openArrival(there), byVault},
		{acmesJanitor, "opens what acme's relay brings to another region", vaultsPolicy, "acme's relay there", openArrival(janitorOf(lab.Acme).at(lab.NA)), openArrival(there), byVault},
	}
}
