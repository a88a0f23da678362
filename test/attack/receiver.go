package attack

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// withReceiversCredentials are attempts to have a relay use, as the credentials that its webhook's receiver
// brings, what nobody brought for that: what a relay signs and shows with them goes to a URL that the clerk
// chooses.
func withReceiversCredentials() []Attempt {
	const (
		who   = "a clerk who may only write acme's BusinessRelays"
		rules = "the rules of the BusinessRelay's fields"
	)
	relay := func(name string) func(*v1alpha1.BusinessRelay) {
		return func(o *v1alpha1.BusinessRelay) {
			o.Spec.Webhook = &v1alpha1.Webhook{URL: "https://hooks.example.org/", CredentialsSecretName: v1alpha1.ObjectName(name)}
		}
	}
	own := written(clerk, "acme", relay("attack-webhook-credentials"))
	mounted := func(name string, keys ...string) act {
		source := &corev1.SecretVolumeSource{SecretName: name}
		for _, key := range keys {
			source.Items = append(source.Items, corev1.KeyToPath{Key: key, Path: key})
		}
		return statefulSet(extraVolume(corev1.VolumeSource{Secret: source}, contract.WebhookCredentialsDir))
	}
	asOperator := mounted("acme-webhook-credentials", contract.AppSecretKey, contract.VerifyTokenKey)
	return []Attempt{
		{who, "has another Secret used as the webhook's credentials", rules, "the clerk, the relay's own", written(clerk, "acme", relay("attack")), own, bySchema},
		{who, "has the credentials of another relay's webhook used", rules, "the clerk, the relay's own", written(clerk, "acme", relay("acme-webhook-credentials")), own, bySchema},
		{theOperator, "changes acme's StatefulSet to have another Secret as the webhook's credentials", workloadsPolicy, itsOwn, mounted("attack", contract.AppSecretKey, contract.VerifyTokenKey), asOperator, byPolicy},
		{theOperator, "changes acme's StatefulSet to have a further key of the webhook's credentials", workloadsPolicy, itsOwn, mounted("acme-webhook-credentials", contract.AppSecretKey, "password"), asOperator, byPolicy},
	}
}
