package admission

import (
	"context"
	"errors"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers"
	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
)

// nobody answers the operator's polls.
type nobody struct{}

func (nobody) Fetch(context.Context, string) (*contract.Status, error) {
	return nil, errors.New("nobody answers")
}

// startOperator runs the operator as its own account until the test ends.
func (h *house) startOperator(t *testing.T) {
	t.Helper()
	options, err := controllers.CacheOptions(controllers.Scope{}, "")
	if err != nil {
		t.Fatal(err)
	}
	mgr, err := ctrl.NewManager(h.operatorConfig, ctrl.Options{
		Scheme: testenv.Scheme(), Cache: options, Metrics: metrics.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	err = controllers.Setup(ctx, mgr, controllers.Options{RelayImage: relayImage, PollInterval: time.Second, MaxConcurrentReconciles: 1, Source: nobody{}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the operator ended with %v", err)
		}
	})
}

// testOperatorAtWork holds that the operator itself, not only what it would write,
// gets by under the policies: it makes, changes and deletes a relay's children.
func (h *house) testOperatorAtWork(t *testing.T) {
	place := []client.Object{
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "eu-1", Labels: map[string]string{v1alpha1.LabelNodeRegion: "eu", "disk": "encrypted"}}},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "relaykeep-eu"}, Provisioner: "example.org/none"},
	}
	for _, o := range place {
		if err := server.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		deleteAtEnd(t, o)
	}
	ns := newNamespace(t)
	t.Cleanup(func() { release(t) }) // once the operator has ended
	h.startOperator(t)
	relay := &v1alpha1.BusinessRelay{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "worker"},
		Spec:       v1alpha1.BusinessRelaySpec{PhoneNumber: "+41441234599", DataRegion: "eu", Webhook: &v1alpha1.Webhook{URL: "https://one.example/"}},
	}
	if err := server.Client.Create(t.Context(), relay); err != nil {
		t.Fatal(err)
	}
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "worker-relay"}}
	within(t, "the relay is not made", func() bool { return exists(t, set) })
	for _, child := range []client.Object{
		&corev1.ConfigMap{}, &corev1.ServiceAccount{}, &corev1.Service{}, &corev1.PersistentVolumeClaim{}, &networkingv1.NetworkPolicy{},
	} {
		child.SetNamespace(ns)
		child.SetName("worker-relay")
		if !exists(t, child) {
			t.Errorf("%T is not made", child)
		}
	}
	if !exists(t, &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "worker-retention"}}) {
		t.Error("the janitor is not made")
	}

	before := set.Spec.Template.Annotations[v1alpha1.AnnotationConfigHash]
	change := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"webhook":{"url":"https://two.example/"}}}`))
	if err := server.Client.Patch(t.Context(), relay, change); err != nil {
		t.Fatal(err)
	}
	within(t, "the changed webhook does not reach the relay", func() bool {
		return exists(t, set) && set.Spec.Template.Annotations[v1alpha1.AnnotationConfigHash] != before
	})
	h.testLostLabels(t, ns)
	if err := server.Client.Delete(t.Context(), relay); err != nil {
		t.Fatal(err)
	}
	within(t, "the relay does not go", func() bool { return !exists(t, relay) })
}

// testLostLabels holds that the operator may bring back labels which somebody took from
// what it made.
func (h *house) testLostLabels(t *testing.T, ns string) {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "worker-relay"}}
	lose := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"app.kubernetes.io/managed-by":null}}}`))
	if err := server.Client.Patch(t.Context(), claim, lose); err != nil {
		t.Fatal(err)
	}
	within(t, "the claim does not get its label back", func() bool {
		return exists(t, claim) && claim.Labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy
	})
}

// newNamespace makes a namespace and returns its name, which no test had before: the
// controller that lets a deleted namespace go is not here, and neither is the one that
// would delete what is in it.
func newNamespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := server.Client.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

// release takes off what the operator put on objects that it will not let go any more.
func release(t *testing.T) {
	t.Helper()
	relays, regions := &v1alpha1.BusinessRelayList{}, &v1alpha1.DataRegionList{}
	var held []client.Object
	for _, list := range []client.ObjectList{relays, regions} {
		if err := server.Client.List(context.Background(), list); err != nil {
			t.Fatal(err)
		}
	}
	for i := range relays.Items {
		held = append(held, &relays.Items[i])
	}
	for i := range regions.Items {
		held = append(held, &regions.Items[i])
	}
	for _, o := range held {
		if err := server.Client.Patch(context.Background(), o, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
			t.Error(err)
		}
	}
}

func exists(t *testing.T, o client.Object) bool {
	t.Helper()
	err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o)
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

// within waits until something has come about.
func within(t *testing.T, otherwise string, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatal(otherwise)
	}
}
