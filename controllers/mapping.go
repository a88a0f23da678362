package controllers

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// instance maps a child to its relay by its label: what outlives a relay has no
// owner reference.
func instance(_ context.Context, o client.Object) []reconcile.Request {
	if name := o.GetLabels()[v1alpha1.LabelInstance]; name != "" {
		return []reconcile.Request{request(o.GetNamespace(), name)}
	}
	return nil
}

// relays lists the relays with a field of the cache's index.
func (r *BusinessRelayReconciler) relays(ctx context.Context, field, value string) []reconcile.Request {
	list := &v1alpha1.BusinessRelayList{}
	if err := r.Client.List(ctx, list, client.MatchingFields{field: value}); err != nil {
		log.FromContext(ctx).Error(err, "listing relays that a change may concern", "field", field)
		return nil
	}
	requests := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, request(list.Items[i].Namespace, list.Items[i].Name))
	}
	return requests
}

func (r *BusinessRelayReconciler) inRegion(ctx context.Context, region client.Object) []reconcile.Request {
	return r.relays(ctx, v1alpha1.FieldDataRegion, region.GetName())
}

// onNode maps a node to the relays of its region. A node that lost its label is
// gone from the cache, and comes with the labels that it had.
func (r *BusinessRelayReconciler) onNode(ctx context.Context, node client.Object) []reconcile.Request {
	return r.relays(ctx, v1alpha1.FieldDataRegion, node.GetLabels()[v1alpha1.LabelNodeRegion])
}

// ofClass maps a storage class to the relays of the regions that name it.
func (r *BusinessRelayReconciler) ofClass(ctx context.Context, class client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, region := range regionsWithClass(ctx, r.Client, class.GetName()) {
		requests = append(requests, r.relays(ctx, v1alpha1.FieldDataRegion, region)...)
	}
	return requests
}

// neighbours requeues every region when one is created or deleted: each records the
// names of all.
func (r *DataRegionReconciler) neighbours() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	all := func(ctx context.Context, q queue) {
		names, err := r.names(ctx)
		if err != nil {
			log.FromContext(ctx).Error(err, "looking for the regions that a change concerns")
		}
		for _, name := range names {
			q.Add(request("", name))
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, _ event.CreateEvent, q queue) { all(ctx, q) },
		DeleteFunc: func(ctx context.Context, _ event.DeleteEvent, q queue) { all(ctx, q) },
	}
}

func (r *DataRegionReconciler) withClass(ctx context.Context, class client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, region := range regionsWithClass(ctx, r.Client, class.GetName()) {
		requests = append(requests, request("", region))
	}
	return requests
}

func regionsWithClass(ctx context.Context, c client.Reader, class string) []string {
	list := &v1alpha1.DataRegionList{}
	if err := c.List(ctx, list); err != nil {
		log.FromContext(ctx).Error(err, "listing regions that a storage class may concern")
		return nil
	}
	var names []string
	for i := range list.Items {
		if string(list.Items[i].Spec.StorageClassName) == class {
			names = append(names, list.Items[i].Name)
		}
	}
	return names
}

// regionPause is how long a region waits for more of what changes before it is looked at: each look counts its relays and
// what deleted ones left behind, and relays come and their janitors run by the thousand.
const regionPause = time.Second

// gathered requeues the regions of an object once regionPause has passed, however many objects change meanwhile.
func gathered(regions handler.MapFunc) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(ctx context.Context, q queue, objects ...client.Object) {
		for _, o := range objects {
			for _, r := range regions(ctx, o) {
				q.AddAfter(r, regionPause)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(ctx, q, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { enqueue(ctx, q, e.ObjectOld, e.ObjectNew) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(ctx, q, e.Object) },
	}
}

func regionOf(_ context.Context, relay client.Object) []reconcile.Request {
	return []reconcile.Request{request("", string(relay.(*v1alpha1.BusinessRelay).Spec.DataRegion))}
}

func regionOfJanitor(_ context.Context, job client.Object) []reconcile.Request {
	return regionNamed(janitorRegion(job.(*batchv1.CronJob)))
}

func regionOfClaim(_ context.Context, claim client.Object) []reconcile.Request {
	return regionNamed(claim.GetLabels()[v1alpha1.LabelRegion])
}

func regionNamed(name string) []reconcile.Request {
	if name == "" {
		return nil
	}
	return []reconcile.Request{request("", name)}
}

// byNode maps a node to its region; when its label changes, to both.
func byNode() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, node client.Object) []reconcile.Request {
		if region := node.GetLabels()[v1alpha1.LabelNodeRegion]; region != "" {
			return []reconcile.Request{request("", region)}
		}
		return nil
	})
}

// keeperOf maps an object of a keeper's to its region.
func keeperOf(_ context.Context, o client.Object) []reconcile.Request {
	l := o.GetLabels()
	if region := l[v1alpha1.LabelRegion]; region != "" && l[v1alpha1.LabelComponent] == v1alpha1.ComponentKeeper {
		return []reconcile.Request{request("", region)}
	}
	return nil
}

// rivals requeues the other claims of a number when the relay that had it is deleted or
// changes its number, and those of the number that it changes to.
func (r *BusinessRelayReconciler) rivals() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(ctx context.Context, o client.Object, q queue) {
		for _, req := range r.relays(ctx, v1alpha1.FieldPhoneNumber, o.(*v1alpha1.BusinessRelay).Spec.PhoneNumber) {
			q.Add(req)
		}
	}
	return handler.Funcs{
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if e.ObjectOld.(*v1alpha1.BusinessRelay).Spec.PhoneNumber != e.ObjectNew.(*v1alpha1.BusinessRelay).Spec.PhoneNumber {
				enqueue(ctx, e.ObjectOld, q)
				enqueue(ctx, e.ObjectNew, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(ctx, e.Object, q) },
	}
}

// conductPause is how long the other relays of a namespace wait for more of what changes.
const conductPause = 5 * time.Second

// namespaceRelays remembers what relays say of their conduct, and requeues the others of a namespace when that changes.
func (r *BusinessRelayReconciler) namespaceRelays() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	tell := func(o client.Object, q queue) {
		for _, name := range r.conducts.others(client.ObjectKeyFromObject(o)) {
			q.AddAfter(request(o.GetNamespace(), name), conductPause)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if r.conducts.note(e.Object.(*v1alpha1.BusinessRelay)) {
				tell(e.Object, q)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if r.conducts.note(e.ObjectNew.(*v1alpha1.BusinessRelay)) {
				tell(e.ObjectNew, q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			r.conducts.forget(client.ObjectKeyFromObject(e.Object))
			tell(e.Object, q)
		},
	}
}
