package attack

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/lab"
)

// copiesHost is a processor's of the attempts.
const copiesHost = "copies.attack.test"

// strictYAML is a region that forbids transfers, in which nothing runs.
const strictYAML = `
apiVersion: relaykeep.dev/v1alpha1
kind: DataRegion
metadata: {name: strict-%[1]s, annotations: {relaykeep.dev/abandon-keys: "true"}}
spec:
  type: EU
  transfers: Forbid
  storageClassName: relaykeep-eu
  vault: {address: "https://vault.attack.test:8200"}
  carrier: {xmpp: {domain: eu.relay.test}}
`

// processor names one in a BusinessRelay.
func processor(url string, country v1alpha1.CountryCode) func(*v1alpha1.BusinessRelay) {
	return func(o *v1alpha1.BusinessRelay) {
		o.Spec.Webhook = &v1alpha1.Webhook{URL: "https://hooks.example.org/", Country: "DE"}
		o.Spec.Processors = []v1alpha1.Processor{{Name: "attack", URL: url, Purpose: "attack", Country: country}}
	}
}

// copied has the clerk name a processor in a country, for a moment, in a region that forbids transfers. It returns as an
// error the condition that says that the processor gets nothing; and nil also if the relay is told of it all the same.
func copied(country v1alpha1.CountryCode) act {
	return func(ctx context.Context, s *Scene) (err error) {
		region := fmt.Sprintf(strictYAML, s.mark)
		if _, err := s.lab.Apply(ctx, region); err != nil {
			return fmt.Errorf("preparing a region: %w", err)
		}
		o := candidate("acme", processor("https://"+copiesHost+"/", country))
		o.Name, o.Spec.DataRegion = "copied-"+s.mark, v1alpha1.ObjectName("strict-"+s.mark)
		c, err := s.as(clerk)
		if err == nil {
			err = c.Create(ctx, o)
		}
		if err != nil {
			return fmt.Errorf("preparing: %w", err)
		}
		defer func() {
			if left := s.forget(context.WithoutCancel(ctx), o); left != nil {
				err = left
			} else if left := s.lab.Remove(context.WithoutCancel(ctx), region); left != nil {
				err = left
			}
		}()
		ctx, cancel := context.WithTimeout(ctx, pollFor)
		defer cancel()
		return lab.Poll(ctx, func(ctx context.Context) error { return s.copiesTo(ctx, o) })
	}
}

// copiesTo returns nil if a relay may copy to its processor, or is told of it; the condition that says no otherwise.
func (s *Scene) copiesTo(ctx context.Context, o *v1alpha1.BusinessRelay) error {
	if err := s.lab.Client().Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return err
	}
	is := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionTransfersAllowed)
	if is == nil {
		return fmt.Errorf("BusinessRelay %s does not say whether transfers are allowed", o.Name)
	}
	var told corev1.ConfigMap
	key := client.ObjectKey{Namespace: o.Namespace, Name: v1alpha1.TenantName(o.Name)}
	if err := client.IgnoreNotFound(s.lab.Client().Get(ctx, key, &told)); err != nil {
		return err
	}
	if is.Status == metav1.ConditionTrue || strings.Contains(fmt.Sprint(told.Data), copiesHost) {
		return nil
	}
	return lab.Final(conditionError{is.Reason, is.Message})
}

// atTheCopies are attempts to have what customers write copied to where it must not go.
func atTheCopies() []Attempt {
	const (
		who   = "a clerk who may only write acme's BusinessRelays"
		rules = "the rules of the BusinessRelay's fields"
		https = "https://" + copiesHost + "/"
	)
	own := written(clerk, "acme", processor(https, "DE"))
	aProcessor := func(file string) string {
		return strings.Replace(file, "{\n", "{\n  \"processors\": [\n    {\n      \"name\": \"attack\",\n      \"url\": \""+https+"\"\n    }\n  ],\n", 1)
	}
	return []Attempt{
		{who, "has copies sent to a metadata service in clear", rules, "the clerk, over TLS; the network stops an address", written(clerk, "acme", processor("http://169.254.169.254/latest/meta-data/", "DE")), own, bySchema},
		{who, "has copies sent without saying to which country", rules, "the clerk, who says so", written(clerk, "acme", processor(https, "")), own, bySchema},
		{who, "has copies sent to another country, where the region forbids transfers", "the operator: the relay is not told of it", "the clerk, within the region", copied("US"), copied("DE"), byCondition(v1alpha1.ReasonTransferForbidden)},
		{"acme's admin", "adds a processor to the configuration of acme's relay", "the admission policy relaykeep-configuration-business", "acme's admin, an annotation", configured(acmeAdmin, "relay.json", aProcessor), labelled(acmeAdmin), byPolicy},
	}
}
