package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
)

const (
	// failedCreate is the reason of the events with which Kubernetes' controllers say that they could not make a pod.
	failedCreate = "FailedCreate"
	// failedCheck is when to look again for such an event: nothing that is watched tells of it.
	failedCheck = 15 * time.Second
	// failedRecent is how old such an event may be: Kubernetes tries again, and says so, after a quarter of an hour at most.
	failedRecent = 20 * time.Minute
	// maxEvents is how many events of one object are read.
	maxEvents = 50
)

// whyNoPod adds to the reason for which a relay is not up why a pod of it could not be made, for example because of a
// quota, a priority class or an admission policy: in the words of Kubernetes.
func (p *pass) whyNoPod(ctx context.Context, live client.Object, working error) error {
	set, ok := live.(*appsv1.StatefulSet)
	if working == nil || !ok || set == nil || set.Spec.Replicas == nil || set.Status.Replicas >= *set.Spec.Replicas {
		return working
	}
	p.lookAgain(failedCheck)
	return p.withFailure(ctx, "StatefulSet", set, working)
}

// withFailure adds the last failure to make a pod for an object, if there was one, to what the operator waits for.
func (p *pass) withFailure(ctx context.Context, kind string, of client.Object, waiting error) error {
	list := &corev1.EventList{}
	err := p.Live.List(ctx, list, client.InNamespace(of.GetNamespace()), client.Limit(maxEvents), client.MatchingFieldsSelector{Selector: fields.Set{
		"involvedObject.kind": kind, "involvedObject.name": of.GetName(), "involvedObject.uid": string(of.GetUID()), "reason": failedCreate,
	}.AsSelector()})
	if err != nil {
		return fmt.Errorf("looking why there is no pod: %w", err)
	}
	var last *corev1.Event
	for i := range list.Items {
		if e := &list.Items[i]; last == nil || last.LastTimestamp.Before(&e.LastTimestamp) {
			last = e
		}
	}
	if last == nil || p.Now().Sub(last.LastTimestamp.Time) > failedRecent {
		return waiting
	}
	v := outcome.Of(waiting)
	return outcome.Waiting(failedCheck, v.Reason, "%s: %s", v.Message, outcome.Clip(last.Message))
}
