package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/conditions"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
)

// answers is after what time a relay that begins to be asked should have answered.
const answers = 3 * time.Second

// required are the conditions that Ready needs; Ready shows the first of them that
// fails. VolumeHasRoom is not one of them: a version that does not report it can be
// ready, and a relay whose volume is full still sends and delivers.
func required() []string {
	return []string{
		v1alpha1.ConditionPlaced, v1alpha1.ConditionKeysReady, v1alpha1.ConditionCarrierConnected, v1alpha1.ConditionWebhookVerified,
	}
}

// summarize computes Ready, Reconciling and Stalled and writes the status. It emits an
// event when Ready or RetentionHealthy changes.
func (p *pass) summarize(ctx context.Context, stopped error) error {
	was := conditions.For(&p.relay.Status.Conditions, 0)
	before, retention := was.Get(v1alpha1.ConditionReady).DeepCopy(), was.Get(v1alpha1.ConditionRetentionHealthy).DeepCopy()
	v, status := p.conclude(stopped)
	if p.noNews(before, v) {
		p.lookAgain(answers)
		return nil
	}
	if err := p.writeStatus(ctx); err != nil {
		return err
	}
	if before == nil || before.Status != status || before.Reason != v.Reason {
		p.tell(v, p.troubled(before, status, v))
	}
	p.tellRetention(retention, p.marks.Get(v1alpha1.ConditionRetentionHealthy))
	return nil
}

// noNews says whether all there is to tell is that a relay that is starting runs and is being asked: its answer comes at
// once, as a rule, and is told with it.
func (p *pass) noNews(before *metav1.Condition, v outcome.Verdict) bool {
	return p.asked && v.Reason == v1alpha1.ReasonRelayStarting && before != nil && before.Reason == v.Reason &&
		(p.working == nil || before.Message == v.Message) && p.wrote.ObservedGeneration == p.relay.Generation
}

// conclude marks Ready, Reconciling and Stalled by what stopped the pass and by the other conditions.
func (p *pass) conclude(stopped error) (outcome.Verdict, metav1.ConditionStatus) {
	p.status.ObservedGeneration = p.relay.Generation
	v, status := p.verdict(stopped)
	behind := p.behind()
	if behind != nil && v.Moving {
		v.Message += "; " + outcome.Of(behind).Message
	}
	p.marks.Mark(v1alpha1.ConditionReady, status, v.Reason, v.Message)
	if behind != nil && !v.Stalled && !v.Moving {
		p.marks.Progress(outcome.Of(behind)) // it is ready, and not yet as it should be
	} else {
		p.marks.Progress(v)
	}
	return v, status
}

// behind says what is not yet as it should be though the relay works; nil for nothing.
func (p *pass) behind() error {
	switch {
	case p.relay.Spec.Suspend: // what is left happens once it is resumed
		return nil
	case p.waits != nil:
		return p.waits
	default:
		return p.grows
	}
}

// writeStatus writes the status if it changed.
func (p *pass) writeStatus(ctx context.Context) error {
	err := conditions.WriteStatus(ctx, p.Client, v1alpha1.GroupVersion.WithKind(v1alpha1.KindBusinessRelay),
		client.ObjectKeyFromObject(p.relay), &p.wrote, &p.status)
	if err == nil {
		p.wrote = *p.status.DeepCopy()
	}
	return err
}

// tellRetention emits an event when old keys are no longer erased on time, and when
// they are again, regardless of what else is wrong with the relay.
func (p *pass) tellRetention(was, is *metav1.Condition) {
	if is == nil {
		return
	}
	failing := was != nil && was.Status == metav1.ConditionFalse
	switch {
	case is.Status == metav1.ConditionFalse && (!failing || was.Reason != is.Reason):
		p.Events.Eventf(p.relay, nil, corev1.EventTypeWarning, is.Reason, "Retain", "%s", is.Message)
	case is.Status == metav1.ConditionTrue && failing:
		p.Events.Eventf(p.relay, nil, corev1.EventTypeNormal, is.Reason, "Retain", "%s", is.Message)
	}
}

// verdict sums up: what stopped the pass comes first, then the condition that says
// most about why the relay does not work, then that its pods are not up.
func (p *pass) verdict(stopped error) (outcome.Verdict, metav1.ConditionStatus) {
	if stopped != nil {
		return outcome.Of(stopped), metav1.ConditionFalse
	}
	if p.relay.InTransit() {
		m := p.relay.Spec.Moving
		return outcome.Verdict{Reason: v1alpha1.ReasonMoving, Moving: true, Message: fmt.Sprintf(
			"the relay moves from DataRegion %s to %s and does nothing else: go on with kubectl relay move %s -n %s --to-region %s, or return with --back",
			m.From, m.To, p.relay.Name, p.relay.Namespace, m.To)}, metav1.ConditionFalse
	}
	if v := outcome.Of(p.grows); v.Stalled {
		return v, metav1.ConditionFalse
	}
	if p.relay.Spec.Suspend {
		return p.suspended()
	}
	if c := p.firstThatIs(metav1.ConditionFalse); c != nil {
		return outcome.Verdict{Reason: c.Reason, Message: c.Message, Moving: true}, metav1.ConditionFalse
	}
	if p.working != nil {
		return outcome.Of(p.working), metav1.ConditionFalse
	}
	if c := p.firstThatIs(metav1.ConditionUnknown); c != nil {
		if c.Reason == v1alpha1.ReasonNotReported { // its pods are up, and it is being asked
			return outcome.Of(outcome.Waiting(outcome.Recheck, v1alpha1.ReasonRelayStarting, "the relay has not said how it is yet")), metav1.ConditionFalse
		}
		return outcome.Verdict{Reason: c.Reason, Message: c.Message, Moving: true}, metav1.ConditionFalse
	}
	// One failed run of the janitor shows only in its condition; after two in a row the
	// relay does not keep its promise.
	if c := p.marks.Get(v1alpha1.ConditionRetentionHealthy); c != nil && c.Reason == v1alpha1.ReasonOverdue {
		return outcome.Verdict{Reason: c.Reason, Message: c.Message, Moving: true}, metav1.ConditionFalse
	}
	return outcome.Verdict{Reason: v1alpha1.ReasonReady, Message: "the relay receives, delivers and sends messages"}, metav1.ConditionTrue
}

// suspended is the verdict on a relay that spec.suspend stops. Once it has no pod it is as its spec wants it: tools that wait
// for the object (kstatus) take one whose Ready is not True for unfinished, and would wait until it is resumed.
func (p *pass) suspended() (outcome.Verdict, metav1.ConditionStatus) {
	if p.pods > 0 {
		return outcome.Verdict{Reason: v1alpha1.ReasonProgressing, Message: "the relay is being stopped by spec.suspend", Moving: true}, metav1.ConditionFalse
	}
	return outcome.Verdict{Reason: v1alpha1.ReasonSuspended, Message: "the relay is stopped by spec.suspend, as asked for; the janitor keeps running"}, metav1.ConditionTrue
}

func (p *pass) firstThatIs(status metav1.ConditionStatus) *metav1.Condition {
	for _, kind := range required() {
		if c := p.marks.Get(kind); c != nil && c.Status == status {
			return c
		}
	}
	return nil
}

// troubled says whether a verdict deserves a warning: somebody must act, something that
// the relay needs is missing, or the relay worked before. A relay that is starting,
// suspended or being deleted does what it was told.
func (p *pass) troubled(before *metav1.Condition, status metav1.ConditionStatus, v outcome.Verdict) bool {
	switch {
	case status == metav1.ConditionTrue || v.Reason == v1alpha1.ReasonMoving:
		return false
	case v.Stalled || v.Missing || p.relay.DeletionTimestamp != nil || p.relay.Spec.Suspend:
		return v.Stalled || v.Missing
	default:
		lost := before != nil && before.Status == metav1.ConditionTrue && p.status.ObservedGeneration == before.ObservedGeneration
		return lost || p.firstThatIs(metav1.ConditionFalse) != nil
	}
}

// tell emits an event. Everybody who may read the namespace sees it: reasons and
// messages contain the relay's name, but no telephone number.
func (p *pass) tell(v outcome.Verdict, warn bool) {
	kind := corev1.EventTypeNormal
	if warn {
		kind = corev1.EventTypeWarning
	}
	p.Events.Eventf(p.relay, nil, kind, v.Reason, "Reconcile", "%s", v.Message)
}
