package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// withProcessors is a relay that declares a webhook and two processors, of which its region forbids one.
func withProcessors() (*v1alpha1.BusinessRelay, *v1alpha1.DataRegion) {
	relay, region := acme()
	region.Spec.Countries = []v1alpha1.CountryCode{"DE", "FR"}
	relay.Spec.Webhook = &v1alpha1.Webhook{URL: "https://hooks.acme.example/in?token=x"}
	relay.Spec.Processors = []v1alpha1.Processor{
		{Name: "insight", URL: "https://copies.example:9443/acme", Purpose: "response\ntimes \x1b[31m", Country: "DE"},
		{Name: "archive", URL: "https://archive.example/", Purpose: "archive", Country: "US"},
	}
	region.Spec.Transfers = v1alpha1.TransfersForbid
	relay.Status.Transfers = []v1alpha1.Transfer{{Receiver: "processor archive", Country: "US", Forbidden: true}}
	relay.Status.Processors = []v1alpha1.ProcessorStatus{{Name: "insight", Verified: true, Reason: "Verified"}, {Name: "archive", Reason: "NotReported"}}
	return relay, region
}

func TestProcessors_Print(t *testing.T) {
	relay, region := withProcessors()
	var out bytes.Buffer
	check(t, printInvolved(&out, involvedIn(relay, region)))
	golden(t, "processors/all.txt", out.String())
	if strings.Contains(out.String(), "token=x") {
		t.Error("it prints more of a URL than its host")
	}
	region.Spec.Transfers = v1alpha1.TransfersAllow
	out.Reset()
	check(t, writeJSON(&out, involvedIn(relay, region)))
	golden(t, "processors/all.json", out.String())
}

func TestStatus_ShowsProcessorsAndTransfers(t *testing.T) {
	relay, _ := withProcessors()
	if got := processorsIn(relay.Status.Processors); got != "insight (Verified), archive (NotReported)" {
		t.Errorf("processors: %s", got)
	}
	relay.Status.Transfers = append(relay.Status.Transfers, v1alpha1.Transfer{Receiver: "webhook", Forbidden: true})
	if got := transfersIn(relay.Status.Transfers); got != "processor archive in US (forbidden), webhook without a country (forbidden)" {
		t.Errorf("transfers: %s", got)
	}
}
