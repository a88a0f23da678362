package controllers

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/conditions"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
)

// service is one that a region names, and of which its relays tell by a condition of theirs.
type service struct {
	kind    string // the region's condition
	relays  string // the relays' condition
	well    string
	unknown string
	trouble func(reason, region string) (message string) // empty for what is not the service's
}

// services are the region's Vault and its carrier, in the order in which to look for causes.
func services() []service {
	return []service{
		{
			v1alpha1.ConditionVaultReady, v1alpha1.ConditionKeysReady,
			"relays of the region have their keys from Vault, or its keeper was there", "no relay of the region tells of Vault, and its keeper was not there yet", vaultTrouble,
		},
		{
			v1alpha1.ConditionCarrierReady, v1alpha1.ConditionCarrierConnected,
			"relays of the region are connected to the carrier", "no relay of the region tells of the carrier", carrierTrouble,
		},
	}
}

// vaultTrouble is what a relay's reason says about Vault. Words are the operator's own: the region's status is read by
// others than the relay's business.
func vaultTrouble(reason, region string) string {
	switch reason {
	case v1alpha1.ReasonVaultSealed:
		return "the region's Vault is sealed: unseal it"
	case v1alpha1.ReasonVaultUnavailable:
		return "the region's Vault does not answer: start it, or correct vault.address, vault.caBundle or network.vault"
	case v1alpha1.ReasonVaultDenied:
		return "the region's Vault refuses what relays need: run kubectl relay setup vault --region " + region
	}
	return ""
}

// carrierTrouble is the same about the carrier.
func carrierTrouble(reason, _ string) string {
	switch reason {
	case v1alpha1.ReasonCarrierUnreachable, v1alpha1.ReasonLinkLost, v1alpha1.ReasonServerClosed:
		return "the region's carrier does not answer, or ended the links: start it, or correct carrier.xmpp.address or network.carrier"
	case v1alpha1.ReasonTLSFailed:
		return "the certificate of the region's carrier must name its domain and be signed by carrier.xmpp.caBundle: renew it, or correct the DataRegion"
	case v1alpha1.ReasonNoStreamManagement:
		return "the region's carrier lacks what relays need: enable XEP-0198 there (Prosody: mod_smacks)"
	}
	return ""
}

// observeServices marks whether Vault and carrier work, by what relays and keeper say, who use them; the operator itself
// has no way to either. It returns what hinders relays, nil if nothing does.
func observeServices(region *v1alpha1.DataRegion, relays []v1alpha1.BusinessRelay, status *v1alpha1.DataRegionStatus) error {
	marks := conditions.For(&status.Conditions, region.Generation)
	var stopped error
	for _, s := range services() {
		is, reason := s.judge(relays)
		if s.kind == v1alpha1.ConditionVaultReady && is == metav1.ConditionUnknown {
			is, reason = byKeeper(marks.Get(v1alpha1.ConditionKeeperHealthy))
		}
		message := s.trouble(reason, region.Name) + "; who says so: kubectl relay check region/" + region.Name
		switch is {
		case metav1.ConditionTrue:
			message = s.well
		case metav1.ConditionUnknown:
			message = s.unknown
		case metav1.ConditionFalse:
			if stopped == nil {
				stopped = outcome.Missing(reason, "%s", message)
			}
		}
		marks.Mark(s.kind, is, reason, message)
	}
	return stopped
}

// judge says what most of those relays say that tell of the service. A relay that is alone with its trouble has one of its own.
func (s service) judge(relays []v1alpha1.BusinessRelay) (metav1.ConditionStatus, string) {
	well, ill, says := 0, 0, map[string]int{}
	for i := range relays {
		c := meta.FindStatusCondition(relays[i].Status.Conditions, s.relays)
		switch {
		case c == nil || relays[i].DeletionTimestamp != nil:
		case c.Status == metav1.ConditionTrue:
			well++
		case c.Status == metav1.ConditionFalse && s.trouble(c.Reason, "") != "":
			ill++
			says[c.Reason]++
		}
	}
	switch {
	case ill > well:
		return metav1.ConditionFalse, most(says)
	case well > 0:
		return metav1.ConditionTrue, v1alpha1.ReasonReached
	}
	return metav1.ConditionUnknown, v1alpha1.ReasonNobodyTells
}

// most is the reason that is said most often; of equals the first by name, so that the verdict does not change by itself.
func most(says map[string]int) string {
	reason := ""
	for r, n := range says {
		if reason == "" || n > says[reason] || n == says[reason] && r < reason {
			reason = r
		}
	}
	return reason
}

// byKeeper is what the keeper's last run says of Vault, for a region without relays that tell.
func byKeeper(c *metav1.Condition) (metav1.ConditionStatus, string) {
	switch {
	case c != nil && c.Status == metav1.ConditionTrue:
		return metav1.ConditionTrue, v1alpha1.ReasonReached
	case c != nil && c.Status == metav1.ConditionFalse && vaultTrouble(c.Reason, "") != "":
		return metav1.ConditionFalse, c.Reason
	}
	return metav1.ConditionUnknown, v1alpha1.ReasonNobodyTells
}

// tellsOfServices passes changes of a relay that its region is judged by: what it says of Vault and carrier, and the
// region itself, which a move changes.
func tellsOfServices() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		was, is := e.ObjectOld.(*v1alpha1.BusinessRelay), e.ObjectNew.(*v1alpha1.BusinessRelay)
		if was.Spec.DataRegion != is.Spec.DataRegion || (was.DeletionTimestamp == nil) != (is.DeletionTimestamp == nil) {
			return true
		}
		for _, s := range services() {
			if saying(was, s.relays) != saying(is, s.relays) {
				return true
			}
		}
		return false
	}}
}

// saying is what a relay says by a condition, without the words.
func saying(relay *v1alpha1.BusinessRelay, kind string) string {
	c := meta.FindStatusCondition(relay.Status.Conditions, kind)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason
}
