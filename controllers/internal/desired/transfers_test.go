package desired_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
)

// withProcessors has a webhook, a processor in the region and one that is not.
func withProcessors() desired.Input {
	in := minimal()
	in.Relay.Spec.Webhook = &v1alpha1.Webhook{URL: "https://hooks.acme.example/in"}
	in.Relay.Spec.Processors = []v1alpha1.Processor{
		{Name: "insight", URL: "https://copies.example:9443/acme?a=1&b=2", CABundle: caBundle, Purpose: "statistics", Country: "DE"},
		{Name: "archive", URL: "https://archive.example/", Purpose: "archive", Country: "US"},
	}
	return in
}

// ports are those that a relay may reach at public addresses.
func ports(in desired.Input) (open []int) {
	for _, r := range desired.RelayPolicy(in).Spec.Egress[3:] { // behind DNS, Vault and carrier
		for _, p := range r.Ports {
			open = append(open, p.Port.IntValue())
		}
	}
	return open
}

func TestTransfers_ByDeclaredCountryAndRegion(t *testing.T) {
	in := withProcessors()
	want := func(when string, want ...v1alpha1.Transfer) {
		t.Helper()
		if diff := cmp.Diff(want, desired.Transfers(in.Relay, in.Region)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	want("allowed", v1alpha1.Transfer{Receiver: "processor archive", Country: "US"})
	if got := ports(in); !slices.Equal(got, []int{443, 9443}) {
		t.Errorf("open are %v", got)
	}
	in.Region.Spec.Countries = []v1alpha1.CountryCode{"FR"}
	want("in one country", v1alpha1.Transfer{Receiver: "processor insight", Country: "DE"}, v1alpha1.Transfer{Receiver: "processor archive", Country: "US"})
	in.Region.Spec.Countries, in.Region.Spec.Transfers = nil, v1alpha1.TransfersForbid
	want("forbidden", v1alpha1.Transfer{Receiver: "webhook", Forbidden: true}, v1alpha1.Transfer{Receiver: "processor archive", Country: "US", Forbidden: true})
	if got := ports(in); !slices.Equal(got, []int{9443}) {
		t.Errorf("open are %v, want the one receiver's that is in the region", got)
	}
	in.Relay.Spec.Webhook.Country = "IE"
	want("declared", v1alpha1.Transfer{Receiver: "processor archive", Country: "US", Forbidden: true})
	if got := ports(in); !slices.Equal(got, []int{443, 9443}) {
		t.Errorf("open are %v", got)
	}
}
