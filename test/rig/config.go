package rig

import (
	"encoding/pem"
	"net/http/httptest"

	"github.com/relaykeep/relaykeep/api/contract"
)

// Config is what the operator tells a relay of this house: the service account is the
// relay's, host the name of its endpoint, and hook the business's webhook.
func (h *House) Config(namespace, account, number, host string, carrier Carrier, hook *httptest.Server) contract.Config {
	domain, addr, ca := carrier.Where()
	hookCA := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})
	return contract.Config{
		Version: contract.ConfigVersion, Namespace: namespace, Name: account, Region: Region, PhoneNumber: number,
		Profile: contract.Profile{DisplayName: "Acme"}, Vault: h.Vault.Contract(),
		Carrier: contract.Carrier{XMPP: &contract.XMPP{
			Domain: domain, Address: addr, CABundle: string(ca), Registration: "Open",
		}},
		Endpoint:      contract.Endpoint{URL: "https://" + host, Host: host, TLS: contract.TLSFromPKI},
		Webhook:       &contract.Webhook{URL: hook.URL, CABundle: string(hookCA)},
		RetentionDays: 30, Trust: "blind", Throughput: 80, Rotation: contract.Rotation{Identity: 1, Access: 1},
	}
}
