// Package connect knows what Chatwoot, Typebot and n8n have to be told to use a relay in place of the hosted Cloud API, and
// what does not work with them. It must not know Kubernetes' objects, Vault, or how a guide is printed.
package connect

import (
	"fmt"
	"strings"
)

// Relay is what a product has to know of a relay, and what decides whether they get on.
type Relay struct {
	Namespace, Name, Region          string
	Endpoint                         string // base URL, without a version
	Shared                           string // the region's shared host, likewise; empty if it does not lead to the relay
	PhoneNumber                      string // E.164, the business's own
	PhoneNumberID, BusinessAccountID string
	// OwnAuthority says that no public authority signed the endpoint's certificate.
	OwnAuthority bool
	// Secret and VerifyToken are the webhook's, empty if they are not to be shown.
	Secret, VerifyToken string
	// CredentialsSecret names the Secret with the receiver's own secret and verify token; empty for the relay's own.
	CredentialsSecret string
	MaxUpdates        int // in one webhook
	EncryptsPayloads  bool
	HidesNumbers      bool
}

// Guide says how to connect a product to a relay.
type Guide struct {
	Product string   `json:"product"`
	Version string   `json:"version"` // that was read
	Page    string   `json:"page"`    // in the documentation, which has the sources
	Steps   []Step   `json:"steps"`
	Limits  []string `json:"limits"` // what does not work, or needs care
}

// Step is one thing to do.
type Step struct {
	Title    string    `json:"title"`
	Settings []Setting `json:"settings,omitempty"`
	Text     string    `json:"text,omitempty"` // to be used as it is
	Commands []string  `json:"commands,omitempty"`
}

// Setting is a name, as the product has it, and the value to give it.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Products are the names of the products, in the order of the alphabet.
func Products() []string { return []string{"chatwoot", "n8n", "typebot"} }

// For returns the guide for a product.
func For(product string, r Relay) (Guide, error) {
	switch product {
	case "chatwoot":
		return chatwoot(r), nil
	case "n8n":
		return n8n(r), nil
	case "typebot":
		return typebot(r), nil
	}
	return Guide{}, fmt.Errorf("unknown product %q: write %s", product, strings.Join(Products(), ", "))
}

// relay is the words that name the relay in a command.
func (r Relay) relay() string { return r.Name + " -n " + r.Namespace }

// token is the step that makes a token.
func (r Relay) token(product, scopes, expires string) Step {
	return Step{
		Title:    "Make an access token of its own, which does no more than it needs. It is shown once",
		Commands: []string{fmt.Sprintf("kubectl relay token create %s --for %s --scope %s --expires %s", r.relay(), product, scopes, expires)},
	}
}

// secret is the webhook's secret, or where it is.
func (r Relay) secret() string {
	return r.credential(r.Secret, "webhook secret", "appSecret")
}

// verifyToken is the webhook's verify token, or where it is.
func (r Relay) verifyToken() string {
	return r.credential(r.VerifyToken, "verify token", "verifyToken")
}

func (r Relay) credential(shown, what, key string) string {
	switch {
	case r.CredentialsSecret != "":
		return fmt.Sprintf("(%s of the Secret %s)", key, r.CredentialsSecret)
	case shown != "":
		return shown
	}
	return fmt.Sprintf("(the relay's %s: kubectl relay credentials %s)", what, r.relay())
}

// authority is what makes a product trust the endpoint's certificate; none if a public authority signed it.
func (r Relay) authority(variable, value string) []Setting {
	if !r.OwnAuthority {
		return nil
	}
	return []Setting{{variable, fmt.Sprintf(value, "kubectl relay credentials "+r.relay()+" -o ca")}}
}

// webhook is the step that has the relay deliver to an address.
func (r Relay) webhook(title, address string) Step {
	return Step{
		Title: title,
		Commands: []string{
			fmt.Sprintf(`kubectl patch brelay %s --type merge -p '{"spec":{"webhook":{"url":%q}}}'`, r.relay(), address),
			"kubectl relay check relay/" + r.relay(),
		},
	}
}

// common are limits that follow from how this relay is set up.
func (r Relay) common(product string) []string {
	var limits []string
	if r.EncryptsPayloads {
		limits = append(limits, product+" cannot decrypt webhooks, and this relay encrypts them: take spec.payloadEncryption away, or receive with a program that knows it.")
	}
	if strings.Contains(r.Endpoint, ".svc:") {
		limits = append(limits, fmt.Sprintf("This endpoint is reached inside the cluster only: run %s there, and name its pods in spec.network.ingress of DataRegion %s. "+
			"Set spec.endpoint.domain there for an endpoint outside.", product, r.Region))
	}
	return append(limits, fmt.Sprintf("If %s runs in a private network, for example in the cluster, spec.network.privateWebhooks of DataRegion %s must name it, or no webhook arrives.", product, r.Region))
}
