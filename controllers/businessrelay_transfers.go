package controllers

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
)

// markTransfers says which receivers are outside the region, and whether the region lets the relay deliver there.
func (p *pass) markTransfers() {
	spec := p.relay.Spec
	p.status.Transfers = desired.Transfers(p.relay, p.region)
	declares := len(spec.Processors) > 0 || spec.Webhook != nil && spec.Webhook.Country != ""
	asked := spec.Webhook != nil && p.region.Spec.Transfers == v1alpha1.TransfersForbid
	if !declares && !asked {
		p.marks.Remove(v1alpha1.ConditionTransfersAllowed)
		return
	}
	var forbidden, leaving []string
	for _, t := range p.status.Transfers {
		what := t.Receiver + " in " + t.Country
		if t.Country == "" {
			what = t.Receiver + ", which declares no country"
		}
		if t.Forbidden {
			forbidden = append(forbidden, what)
		} else {
			leaving = append(leaving, what)
		}
	}
	switch {
	case len(forbidden) > 0:
		p.marks.Mark(v1alpha1.ConditionTransfersAllowed, metav1.ConditionFalse, v1alpha1.ReasonTransferForbidden, fmt.Sprintf(
			"DataRegion %s forbids transfers out of its countries, and nothing is sent to: %s. Declare the receiver's country, use one within the region, or ask a cluster admin to set spec.transfers of the DataRegion to Allow",
			p.region.Name, strings.Join(forbidden, "; ")))
	case len(leaving) > 0:
		p.marks.Mark(v1alpha1.ConditionTransfersAllowed, metav1.ConditionTrue, v1alpha1.ReasonLeavesRegion,
			"by what the business declares, data leaves the region's countries to: "+strings.Join(leaving, "; "))
	default:
		p.marks.Mark(v1alpha1.ConditionTransfersAllowed, metav1.ConditionTrue, v1alpha1.ReasonInRegion,
			"the receivers that declare a country are within the region")
	}
}

// markNoWebhook marks WebhookVerified where the relay cannot know what it should say: it has no webhook because none is
// asked for, or because the region forbids it. It says whether that is so.
func (p *pass) markNoWebhook() bool {
	if p.relay.Spec.Webhook == nil {
		p.marks.Mark(v1alpha1.ConditionWebhookVerified, metav1.ConditionTrue, v1alpha1.ReasonNotConfigured,
			"spec.webhook is not set: the relay only sends")
		return true
	}
	withheld := p.withheld(desired.ReceiverWebhook)
	if withheld {
		p.marks.Mark(v1alpha1.ConditionWebhookVerified, metav1.ConditionFalse, v1alpha1.ReasonTransferForbidden,
			"the DataRegion forbids the webhook for its country: see TransfersAllowed")
	}
	return withheld
}

// withheld says whether the region forbids a receiver, so that the relay does not know of it.
func (p *pass) withheld(receiver string) bool {
	return slices.ContainsFunc(p.status.Transfers, func(t v1alpha1.Transfer) bool { return t.Receiver == receiver && t.Forbidden })
}

// carryProcessors copies what the relay says of the processors that the spec names. Of one that it does not tell of, the
// reason is that which is given.
func (p *pass) carryProcessors(said []contract.ProcessorStatus, otherwise string) {
	p.status.Processors = nil
	for _, of := range p.relay.Spec.Processors {
		is := v1alpha1.ProcessorStatus{Name: of.Name, Reason: otherwise}
		i := slices.IndexFunc(said, func(s contract.ProcessorStatus) bool { return s.Name == of.Name && reasonPattern.MatchString(s.Reason) })
		switch {
		case p.withheld(desired.ReceiverProcessor(of.Name)):
			is.Reason = v1alpha1.ReasonTransferForbidden
		case i >= 0:
			is = v1alpha1.ProcessorStatus(said[i])
		}
		p.status.Processors = append(p.status.Processors, is)
	}
}
