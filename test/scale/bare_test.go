package scale_test

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// workers is how many requests are under way at a time: as many as the operator reconciles relays.
const workers = 4

// object is one that the operator applied, as it applied it.
type object struct {
	resource  schema.GroupVersionResource
	namespace string
	name      string
	config    []byte
}

// record reads what the operator applied for relays, a relay's objects one after another in the operator's order.
func (c *cluster) record() [][]object {
	c.tb.Helper()
	byRelay := map[types.NamespacedName][]object{}
	recordKind(c, byRelay, &networkingv1.NetworkPolicyList{}, networkingv1ac.ExtractNetworkPolicy, networkingv1.SchemeGroupVersion.WithResource("networkpolicies"),
		func(l *networkingv1.NetworkPolicyList) []networkingv1.NetworkPolicy { return l.Items })
	recordKind(c, byRelay, &corev1.ServiceAccountList{}, corev1ac.ExtractServiceAccount, corev1.SchemeGroupVersion.WithResource("serviceaccounts"),
		func(l *corev1.ServiceAccountList) []corev1.ServiceAccount { return l.Items })
	recordKind(c, byRelay, &corev1.ServiceList{}, corev1ac.ExtractService, corev1.SchemeGroupVersion.WithResource("services"),
		func(l *corev1.ServiceList) []corev1.Service { return l.Items })
	recordKind(c, byRelay, &corev1.ConfigMapList{}, corev1ac.ExtractConfigMap, corev1.SchemeGroupVersion.WithResource("configmaps"),
		func(l *corev1.ConfigMapList) []corev1.ConfigMap { return l.Items })
	recordKind(c, byRelay, &batchv1.CronJobList{}, batchv1ac.ExtractCronJob, batchv1.SchemeGroupVersion.WithResource("cronjobs"),
		func(l *batchv1.CronJobList) []batchv1.CronJob { return l.Items })
	recordKind(c, byRelay, &corev1.PersistentVolumeClaimList{}, corev1ac.ExtractPersistentVolumeClaim, corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims"),
		func(l *corev1.PersistentVolumeClaimList) []corev1.PersistentVolumeClaim { return l.Items })
	recordKind(c, byRelay, &appsv1.StatefulSetList{}, appsv1ac.ExtractStatefulSet, appsv1.SchemeGroupVersion.WithResource("statefulsets"),
		func(l *appsv1.StatefulSetList) []appsv1.StatefulSet { return l.Items })
	all := make([][]object, 0, len(byRelay))
	for _, objects := range byRelay {
		all = append(all, objects)
	}
	slices.SortFunc(all, func(a, b []object) int {
		return cmp.Or(cmp.Compare(a[0].name, b[0].name), cmp.Compare(a[0].namespace, b[0].namespace))
	})
	return all
}

// recordKind adds the objects of a kind to their relays'.
func recordKind[T any, L interface {
	*T
	client.Object
}, A any, List client.ObjectList](c *cluster, byRelay map[types.NamespacedName][]object, list List,
	extract func(L, string) (A, error), resource schema.GroupVersionResource, items func(List) []T,
) {
	c.tb.Helper()
	check(c.tb, c.admin.List(c.tb.Context(), list, client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelName: v1alpha1.NameRelay}))
	for _, item := range items(list) {
		o := L(&item)
		o.SetOwnerReferences(nil) // the owner is not in the other cluster
		config, err := extract(o, v1alpha1.FieldManager)
		check(c.tb, err)
		raw, err := json.Marshal(config)
		check(c.tb, err)
		key := types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetLabels()[v1alpha1.LabelInstance]}
		byRelay[key] = append(byRelay[key], object{resource, o.GetNamespace(), o.GetName(), raw})
	}
}

// applyAll applies objects, those of a relay one after another and the relays' of several workers at a time.
func applyAll(tb testing.TB, c dynamic.Interface, all [][]object) {
	tb.Helper()
	each(tb, len(all), func(ctx context.Context, n int) error {
		for _, o := range all[n] {
			_, err := c.Resource(o.resource).Namespace(o.namespace).Patch(ctx, o.name, types.ApplyPatchType, o.config,
				metav1.PatchOptions{FieldManager: "bare", Force: new(true)})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// each does something with the numbers below count, several workers at a time.
func each(tb testing.TB, count int, do func(ctx context.Context, n int) error) {
	tb.Helper()
	numbers := make(chan int)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for n := range numbers {
				if err := do(tb.Context(), n); err != nil {
					tb.Error(err)
				}
			}
		})
	}
	for n := range count {
		numbers <- n
	}
	close(numbers)
	running.Wait()
	if tb.Failed() {
		tb.FailNow()
	}
}

// counted watches the objects of a kind, and returns a function that waits until so many are so.
func counted[T client.Object](c *cluster, list client.ObjectList, want int, so func(T) bool) (wait func() time.Time) {
	c.tb.Helper()
	w, err := c.admin.Watch(c.tb.Context(), list)
	check(c.tb, err)
	done := make(chan time.Time, 1)
	go func() {
		are := map[types.NamespacedName]bool{}
		for e := range w.ResultChan() {
			o, is := e.Object.(T)
			if !is {
				continue
			}
			if key := client.ObjectKeyFromObject(o); so(o) {
				are[key] = true
			} else {
				delete(are, key)
			}
			if len(are) == want {
				done <- time.Now()
				return
			}
		}
	}()
	return func() time.Time {
		defer w.Stop()
		select {
		case at := <-done:
			return at
		case <-time.After(30 * time.Minute):
			c.tb.Fatalf("not all of %d %T are up", want, list)
		}
		return time.Time{}
	}
}
