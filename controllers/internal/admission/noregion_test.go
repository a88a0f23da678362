package admission

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
)

// Where nobody made a DataRegion yet, a configuration may be planted and a node may bear
// a region's label already: no pod that holds a token for Vault is made all the same.
func TestVaultToken_NeedsADataRegion(t *testing.T) {
	installPolicies(t)
	h := &house{in: desired.Input{Relay: &v1alpha1.BusinessRelay{}, Region: &v1alpha1.DataRegion{}, RelayImage: relayImage}}
	parse(t, relayYAML, h.in.Relay)
	parse(t, regionYAML, h.in.Region)
	h.render(t)
	for name, pod := range map[string]string{"a relay's": h.relayPod, "a janitor's": h.janitorPod, "a former janitor's": h.formerPod(t)} {
		t.Run(name, func(t *testing.T) {
			wantRefusal(t, server.Client.Create(t.Context(), object(t, pod, nil), client.DryRunAll), "no params found")
		})
	}
	wantRefusal(t, server.Client.Create(t.Context(), object(t, h.configuration, all(put("metadata/labels", nil), insert(evilVault))), client.DryRunAll),
		"must not say where Vault and the carrier are")
	plain := object(t, podYAML, all(put("metadata/labels", nil), put("spec/nodeSelector", nil)))
	if err := server.Client.Create(t.Context(), plain, client.DryRunAll); err != nil {
		t.Errorf("a pod that holds no token for Vault is refused: %v", err)
	}
}
