package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/connect"
)

func TestConnect_PrintsWhatAProductIsTold(t *testing.T) {
	for _, product := range connect.Products() {
		t.Run(product, func(t *testing.T) {
			relay, _ := acme()
			relay.Spec.Webhook = &v1alpha1.Webhook{URL: "https://shop.test/in", MaxUpdates: 1}
			golden(t, "connect/"+product+".txt", guideOf(t, product, relay))
		})
	}
}

func TestConnect_WarnsOfWhatTheRelayDoes(t *testing.T) {
	relay, _ := acme()
	relay.Spec.Webhook = &v1alpha1.Webhook{URL: "https://shop.test/in", MaxUpdates: 50, CredentialsSecretName: "acme-webhook-credentials"}
	relay.Spec.PayloadEncryption = &v1alpha1.PayloadEncryption{PublicKey: "x"}
	relay.Spec.Privacy.ShareNumbers = new(false)
	relay.Spec.Endpoint.TLSSecretName = "acme-tls"
	for product, words := range map[string][]string{
		"chatwoot": {"spec.webhook.maxUpdates to 1", "cannot decrypt webhooks", "shareNumbers: false", "(appSecret of the Secret acme-webhook-credentials)"},
		"typebot":  {"they do not work together", "cannot decrypt webhooks", "(verifyToken of the Secret acme-webhook-credentials)"},
		"n8n":      {"several updates", "cannot decrypt webhooks", `"recipient"`},
	} {
		text := guideOf(t, product, relay)
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q is missing in\n%s", product, w, text)
			}
		}
		if strings.Contains(text, "-o ca") {
			t.Errorf("%s is told of an authority that did not sign the certificate", product)
		}
	}
}

func TestConnect_SaysThatTheRelayHasNotReported(t *testing.T) {
	relay, _ := acme()
	relay.Status.Endpoint.BusinessAccountID = ""
	if _, err := new(connectFlags).relay(t.Context(), nil, relay); err == nil || !strings.Contains(err.Error(), "not reported") {
		t.Errorf("error %v", err)
	}
}

// TestConnect_KnowsTheSharedHost: what is one URL for an installation is that of many relays; Typebot cannot use it.
func TestConnect_KnowsTheSharedHost(t *testing.T) {
	const shared = "https://api.relays.test"
	for product, want := range map[string]struct{ says, not string }{
		"chatwoot": {"WHATSAPP_CLOUD_BASE_URL   " + shared, "-o ca"},
		"typebot":  {"Do not give it the region's shared host, " + shared, "WHATSAPP_CLOUD_API_URL   " + shared},
		"n8n":      {shared + " in place of https://acme-relay.acme.svc:8443", shared + "/v25.0"},
	} {
		relay, _ := acme()
		if text := guideOf(t, product, relay); strings.Contains(text, shared) {
			t.Errorf("%s is told of a shared host that does not lead to the relay", product)
		}
		relay.Status.Endpoint.SharedURL = shared
		if text := guideOf(t, product, relay); !strings.Contains(text, want.says) || strings.Contains(text, want.not) {
			t.Errorf("%s: %q is missing, or %q is there:\n%s", product, want.says, want.not, text)
		}
	}
}

// guideOf is what connect prints about a relay.
func guideOf(t *testing.T, product string, relay *v1alpha1.BusinessRelay) string {
	t.Helper()
	told, err := new(connectFlags).relay(t.Context(), nil, relay)
	check(t, err)
	guide, err := connect.For(product, told)
	check(t, err)
	var out bytes.Buffer
	check(t, printGuide(&out, guide, relay))
	return out.String()
}
