package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// otherMembers lists the other relays of a relay's business account, sorted by name; none if it names no account.
func (r *BusinessRelayReconciler) otherMembers(ctx context.Context, relay *v1alpha1.BusinessRelay) ([]v1alpha1.BusinessRelay, error) {
	if relay.Spec.BusinessAccount == "" {
		return nil, nil
	}
	list := &v1alpha1.BusinessRelayList{}
	if err := r.Client.List(ctx, list, client.InNamespace(relay.Namespace)); err != nil {
		return nil, fmt.Errorf("looking for the relays of the business account: %w", err)
	}
	others := slices.DeleteFunc(list.Items, func(o v1alpha1.BusinessRelay) bool {
		return o.Name == relay.Name || o.Spec.BusinessAccount != relay.Spec.BusinessAccount
	})
	slices.SortFunc(others, func(a, b v1alpha1.BusinessRelay) int { return strings.Compare(a.Name, b.Name) })
	return others, nil
}

// accountNumbers returns what a relay tells of the other numbers of its business account.
func (r *BusinessRelayReconciler) accountNumbers(ctx context.Context, relay *v1alpha1.BusinessRelay) ([]contract.AccountNumber, error) {
	others, err := r.otherMembers(ctx, relay)
	if err != nil {
		return nil, err
	}
	var numbers []contract.AccountNumber
	for i := range others {
		if n, ok := accountNumber(&others[i]); ok && len(numbers) < contract.MaxAccountNumbers {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

// accountNumber is what other relays of the account tell of a relay, once it has its number for good.
func accountNumber(relay *v1alpha1.BusinessRelay) (n contract.AccountNumber, ok bool) {
	id := relay.Status.Endpoint.PhoneNumberID
	if id == "" || relay.Status.InitializedTime == nil || relay.DeletionTimestamp != nil {
		return contract.AccountNumber{}, false
	}
	return contract.AccountNumber{
		ID: id, PhoneNumber: relay.Spec.PhoneNumber, Name: relay.Spec.Profile.DisplayName, Quality: relay.Status.Quality,
		Connected: !relay.Spec.Suspend && meta.IsStatusConditionTrue(relay.Status.Conditions, v1alpha1.ConditionCarrierConnected),
	}, true
}

// accountMembers requeues the other relays of a business account when what they tell of a relay changes.
func (r *BusinessRelayReconciler) accountMembers() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(ctx context.Context, o *v1alpha1.BusinessRelay, q queue) {
		others, err := r.otherMembers(ctx, o)
		if err != nil {
			log.FromContext(ctx).Error(err, "looking for relays that a change may concern")
		}
		for i := range others {
			q.Add(request(others[i].Namespace, others[i].Name))
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			enqueue(ctx, e.Object.(*v1alpha1.BusinessRelay), q)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			before, after := e.ObjectOld.(*v1alpha1.BusinessRelay), e.ObjectNew.(*v1alpha1.BusinessRelay)
			was, _ := accountNumber(before)
			is, _ := accountNumber(after)
			moved := before.Spec.BusinessAccount != after.Spec.BusinessAccount
			if moved {
				enqueue(ctx, before, q)
			}
			if moved || was != is {
				enqueue(ctx, after, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			enqueue(ctx, e.Object.(*v1alpha1.BusinessRelay), q)
		},
	}
}
