package controllers_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

func TestTransfers_AreShownAndForbidden(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	relay.Spec.Webhook = &v1alpha1.Webhook{URL: "https://hooks.example/", Country: "CH"}
	relay.Spec.Processors = []v1alpha1.Processor{{Name: "insight", URL: "https://copies.example/", Purpose: "statistics", Country: "DE"}}
	w.create(relay)
	w.pass(relay)
	w.startPod(relay)
	answer := w.healthy()
	answer.Processors = []contract.ProcessorStatus{{Name: "insight", Verified: true, Reason: "Verified"}, {Name: "stranger", Reason: "Verified"}}
	w.status.set(answer)
	w.eventually(relay, "says how its processors are", func(r *v1alpha1.BusinessRelay) bool {
		return slices.Equal(r.Status.Processors, []v1alpha1.ProcessorStatus{{Name: "insight", Verified: true, Reason: "Verified"}})
	})
	c := w.want(relay, v1alpha1.ConditionTransfersAllowed, metav1.ConditionTrue, v1alpha1.ReasonLeavesRegion)
	if !strings.Contains(c.Message, "webhook in CH") || strings.Contains(c.Message, "insight") {
		t.Errorf("the message is %q", c.Message)
	}
	w.quiet(relay)

	w.updateRegion(func(r *v1alpha1.DataRegion) { r.Spec.Transfers = v1alpha1.TransfersForbid })
	w.pass(relay)
	c = w.want(relay, v1alpha1.ConditionTransfersAllowed, metav1.ConditionFalse, v1alpha1.ReasonTransferForbidden)
	if !strings.Contains(c.Message, "webhook in CH") || !strings.Contains(c.Message, "spec.transfers") {
		t.Errorf("the message is %q", c.Message)
	}
	w.want(relay, v1alpha1.ConditionWebhookVerified, metav1.ConditionFalse, v1alpha1.ReasonTransferForbidden)
	if got := w.reread(relay).Status.Transfers; len(got) != 1 || got[0] != (v1alpha1.Transfer{Receiver: "webhook", Country: "CH", Forbidden: true}) {
		t.Errorf("transfers are %v", got)
	}
	if file := w.children(relay)["ConfigMap"].(*corev1.ConfigMap).Data["relay.json"]; strings.Contains(file, "hooks.example") || !strings.Contains(file, "copies.example") {
		t.Errorf("the relay is given %s", file)
	}

	w.updateRegion(func(r *v1alpha1.DataRegion) { r.Spec.Transfers = v1alpha1.TransfersAllow })
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionTransfersAllowed, metav1.ConditionTrue, v1alpha1.ReasonLeavesRegion)
	if file := w.children(relay)["ConfigMap"].(*corev1.ConfigMap).Data["relay.json"]; !strings.Contains(file, "hooks.example") {
		t.Errorf("the relay is given %s", file)
	}
}

// A relay whose receivers declare nothing has no condition about it, until its region asks.
func TestTransfers_AreNotAskedForByDefault(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	relay.Spec.Webhook = &v1alpha1.Webhook{URL: "https://hooks.example/"}
	w.create(relay)
	w.pass(relay)
	w.absent(relay, v1alpha1.ConditionTransfersAllowed)
	w.updateRegion(func(r *v1alpha1.DataRegion) { r.Spec.Transfers = v1alpha1.TransfersForbid })
	w.pass(relay)
	c := w.want(relay, v1alpha1.ConditionTransfersAllowed, metav1.ConditionFalse, v1alpha1.ReasonTransferForbidden)
	if !strings.Contains(c.Message, "declares no country") {
		t.Errorf("the message is %q", c.Message)
	}
}

// What nobody tells of is not verified: a processor that the region forbids, and all of a relay that does not answer.
func TestProcessors_AreVerifiedOnlyWhileTheRelaySaysSo(t *testing.T) {
	w := newWorld(t)
	w.updateRegion(func(r *v1alpha1.DataRegion) { r.Spec.Transfers = v1alpha1.TransfersForbid })
	relay := w.relay("acme")
	relay.Spec.Processors = []v1alpha1.Processor{
		{Name: "insight", URL: "https://copies.example/", Purpose: "statistics", Country: "DE"},
		{Name: "archive", URL: "https://archive.example/", Purpose: "archive", Country: "US"},
	}
	w.create(relay)
	w.pass(relay)
	w.startPod(relay)
	answer := w.healthy()
	answer.Processors = []contract.ProcessorStatus{{Name: "insight", Verified: true, Reason: "Verified"}}
	w.status.set(answer)
	forbidden := v1alpha1.ProcessorStatus{Name: "archive", Reason: v1alpha1.ReasonTransferForbidden}
	says := func(what string, insight v1alpha1.ProcessorStatus) {
		t.Helper()
		w.eventually(relay, what, func(r *v1alpha1.BusinessRelay) bool {
			return slices.Equal(r.Status.Processors, []v1alpha1.ProcessorStatus{insight, forbidden})
		})
	}
	says("says that one is verified and one forbidden", v1alpha1.ProcessorStatus{Name: "insight", Verified: true, Reason: "Verified"})
	w.status.set(nil)
	says("says that none is known to be verified", v1alpha1.ProcessorStatus{Name: "insight", Reason: v1alpha1.ReasonRelayUnreachable})
}
