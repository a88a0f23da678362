package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// EdgeNamespace is where a gateway would stand: the only pods that may call relays.
const EdgeNamespace = "edge"

// manifest renders objects as one would write them: without status.
func manifest(objects ...any) (string, error) {
	var out strings.Builder
	for _, o := range objects {
		data, err := json.Marshal(o)
		if err != nil {
			return "", fmt.Errorf("rendering a manifest: %w", err)
		}
		var fields map[string]any
		if err := json.Unmarshal(data, &fields); err != nil {
			return "", fmt.Errorf("rendering a manifest: %w", err)
		}
		delete(fields, "status")
		text, err := yaml.Marshal(fields)
		if err != nil {
			return "", fmt.Errorf("rendering a manifest: %w", err)
		}
		fmt.Fprintf(&out, "---\n%s", text)
	}
	return out.String(), nil
}

// dataRegion is what a cluster admin of the lab would write.
func (l *Lab) dataRegion(r *Region) *v1alpha1.DataRegion {
	ca := v1alpha1.CABundle(l.authority.PEM())
	here := networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: l.address + "/32"}}
	var webhooks []networkingv1.NetworkPolicyPort
	for _, b := range businesses() {
		if b.Region == r {
			webhooks = append(webhooks, networkingv1.NetworkPolicyPort{
				Port: new(intstr.FromInt(b.webhookPort)), Protocol: new(corev1.ProtocolTCP),
			})
		}
	}
	return &v1alpha1.DataRegion{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "DataRegion"},
		ObjectMeta: metav1.ObjectMeta{Name: r.Name},
		Spec: v1alpha1.DataRegionSpec{
			Type:             r.Type,
			StorageClassName: v1alpha1.ObjectName(r.StorageClass),
			Vault:            v1alpha1.Vault{Address: l.VaultAddress(r), CABundle: ca},
			Carrier: v1alpha1.Carrier{XMPP: &v1alpha1.XMPP{
				Domain: v1alpha1.Hostname(r.Domain), Address: v1alpha1.HostPort(l.ProsodyAddress(r)), CABundle: ca,
				Registration: v1alpha1.RegistrationOpen,
			}},
			Network: v1alpha1.Network{
				Ingress: []networkingv1.NetworkPolicyPeer{
					{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: EdgeNamespace}}},
					here, // this machine, so that the demo's curl gets through
				},
				PrivateWebhooks: []v1alpha1.Egress{{To: []networkingv1.NetworkPolicyPeer{here}, Ports: webhooks}},
			},
		},
	}
}

func (l *Lab) applyRegions(ctx context.Context) (string, error) {
	for _, r := range regions() {
		text, err := manifest(l.dataRegion(r))
		if err != nil {
			return "", err
		}
		if _, err := l.Apply(ctx, text); err != nil {
			return "", err
		}
	}
	wait, cancel := context.WithTimeout(ctx, regionPatience)
	defer cancel()
	for _, r := range regions() {
		o := &v1alpha1.DataRegion{ObjectMeta: metav1.ObjectMeta{Name: r.Name}}
		if _, err := l.WaitCondition(wait, o, v1alpha1.ConditionReady, metav1.ConditionTrue); err != nil {
			return "", err
		}
	}
	return l.Kubectl(ctx, "get", "dataregions")
}

// businessRelay is what a business of the lab would write.
func (l *Lab) businessRelay(b *Business) *v1alpha1.BusinessRelay {
	relay := b.Relay()
	relay.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "BusinessRelay"}
	relay.Spec = v1alpha1.BusinessRelaySpec{
		PhoneNumber: b.Number,
		DataRegion:  v1alpha1.ObjectName(b.Region.Name),
		Profile:     v1alpha1.Profile{DisplayName: b.DisplayName},
		Webhook:     &v1alpha1.Webhook{URL: l.WebhookURL(b), CABundle: v1alpha1.CABundle(l.authority.PEM())},
	}
	return relay
}

// applyBusinesses makes the businesses' namespaces and relays, and waits until all is
// Ready.
func (l *Lab) applyBusinesses(ctx context.Context) (string, error) {
	if err := l.makeNamespace(ctx, EdgeNamespace); err != nil {
		return "", err
	}
	for _, b := range businesses() {
		text, err := manifest(l.businessRelay(b))
		if err != nil {
			return "", err
		}
		if err := l.makeNamespace(ctx, b.Name); err != nil {
			return "", err
		}
		if _, err := l.Apply(ctx, text); err != nil {
			return "", err
		}
	}
	return l.awaitBusinesses(ctx)
}

// awaitBusinesses gives each webhook its relay's credentials as soon as they exist,
// and waits until all is Ready.
func (l *Lab) awaitBusinesses(ctx context.Context) (string, error) {
	wait, cancel := context.WithTimeout(ctx, relayPatience)
	defer cancel()
	for _, b := range businesses() {
		if err := l.bringToReady(wait, b); err != nil {
			return "", fmt.Errorf("%w\n%s", err, l.trouble(ctx, b))
		}
	}
	return l.Kubectl(ctx, "get", "brelay", "-A")
}

func (l *Lab) bringToReady(ctx context.Context, b *Business) error {
	if _, err := l.WaitCondition(ctx, b.Relay(), v1alpha1.ConditionKeysReady, metav1.ConditionTrue); err != nil {
		return err
	}
	known, err := l.TakeCredentials(ctx, b)
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.EndpointCA(b), []byte(known.CACertificate), 0o644); err != nil {
		return fmt.Errorf("keeping the authority of %s: %w", b.Name, err)
	}
	_, err = l.WaitCondition(ctx, b.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
	return err
}

// Credentials are what a business knows of its relay, from `kubectl relay
// credentials NAME -o json`.
type Credentials struct {
	Endpoint          string `json:"endpoint"`
	PhoneNumberID     string `json:"phoneNumberID"`
	BusinessAccountID string `json:"businessAccountID"`
	AccessToken       string `json:"accessToken"`
	WebhookSecret     string `json:"webhookSecret"`
	VerifyToken       string `json:"verifyToken"`
	CACertificate     string `json:"caCertificate"`
}

// TakeCredentials has a business keep what it is given once its relay has keys.
func (l *Lab) TakeCredentials(ctx context.Context, b *Business) (Credentials, error) {
	text, err := l.Kubectl(ctx, "relay", "credentials", b.Name, "-n", b.Name, "-o", "json")
	if err != nil {
		return Credentials{}, err
	}
	if err := os.WriteFile(l.credentialsFile(b), []byte(text), 0o600); err != nil {
		return Credentials{}, fmt.Errorf("keeping the credentials of %s: %w", b.Name, err)
	}
	return l.Credentials(b)
}

// KeepCredentials has a business, and its webhook's receiver, go by other credentials.
func (l *Lab) KeepCredentials(b *Business, c Credentials) error {
	text, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(l.credentialsFile(b), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keeping the credentials of %s: %w", b.Name, err)
	}
	return nil
}

// Credentials returns what a business was given when its relay became ready.
func (l *Lab) Credentials(b *Business) (Credentials, error) {
	data, err := os.ReadFile(l.credentialsFile(b))
	if err != nil {
		return Credentials{}, fmt.Errorf("reading the credentials of %s: %w", b.Name, err)
	}
	var c Credentials
	if err := json.Unmarshal(data, &c); err != nil {
		return Credentials{}, fmt.Errorf("reading the credentials of %s: %w", b.Name, err)
	}
	return c, nil
}
