package probe

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
)

func TestProcessors_AreHeldAgainstTheConfiguration(t *testing.T) {
	const (
		webhook = `"webhook":{"url":"https://hooks.example/in"}`
		insight = `{"name":"insight","url":"https://copies.example/"}`
	)
	for name, c := range map[string]struct {
		file     string
		country  v1alpha1.CountryCode
		transfer v1alpha1.TransferPolicy
		want     audit.State
		says     string
	}{
		"the webhook alone":               {"{" + webhook + "}", "DE", "", audit.Kept, "no processor"},
		"a processor in the region":       {"{" + webhook + `,"processors":[` + insight + "]}", "DE", "", audit.ByDesign, "processor insight:"},
		"a processor elsewhere":           {"{" + webhook + `,"processors":[` + insight + "]}", "US", "", audit.ByDesign, "processor insight in US, a transfer"},
		"a processor that is forbidden":   {"{" + webhook + `,"processors":[` + insight + "]}", "US", v1alpha1.TransfersForbid, audit.Broken, "processor insight"},
		"a forbidden one is kept from it": {"{" + webhook + "}", "US", v1alpha1.TransfersForbid, audit.Kept, "no processor"},
		"a processor that nobody named":   {`{"processors":[{"name":"spy","url":"https://spy.example/"}]}`, "DE", "", audit.Broken, "processor spy"},
		"another address":                 {`{"processors":[{"name":"insight","url":"https://spy.example/"}]}`, "DE", "", audit.Broken, "processor insight"},
		"another webhook":                 {`{"webhook":{"url":"https://spy.example/"}}`, "DE", "", audit.Broken, "the webhook"},
		"no configuration":                {"none", "DE", "", audit.Broken, "holds no configuration"},
	} {
		s := &subject{
			relay: &v1alpha1.BusinessRelay{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme"}, Spec: v1alpha1.BusinessRelaySpec{
				Webhook:    &v1alpha1.Webhook{URL: "https://hooks.example/in", Country: "DE"},
				Processors: []v1alpha1.Processor{{Name: "insight", URL: "https://copies.example/", Country: c.country}},
			}},
			region: &v1alpha1.DataRegion{Spec: v1alpha1.DataRegionSpec{Type: v1alpha1.RegionEU, Transfers: c.transfer}},
			config: read[*corev1.ConfigMap]{value: &corev1.ConfigMap{Data: map[string]string{configKey: c.file}}},
		}
		if o := s.processors(); o.State != c.want || !strings.Contains(o.Detail, c.says) {
			t.Errorf("%s: %s (%s), want %s (%s)", name, o.State, o.Detail, c.want, c.says)
		}
	}
}
