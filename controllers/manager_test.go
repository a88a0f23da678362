package controllers_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers"
	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
	"github.com/relaykeep/relaykeep/test/repository"
)

// operator is the user of the tests' manager.
const operator = "the-operator"

// permitted returns a configuration of a user who may do what the ClusterRole in config/rbac/role.yaml says and nothing else.
func permitted(t *testing.T) *rest.Config {
	t.Helper()
	onServer(t)
	path, err := repository.File("config", "rbac", "role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var role *unstructured.Unstructured
	for _, o := range decode(t, data) {
		if o.GetKind() == "ClusterRole" {
			role = o
		}
	}
	if role == nil {
		t.Fatal("there is no ClusterRole")
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: operator},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.GetName()},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: operator}},
	}
	for _, o := range []client.Object{role, binding} {
		if err := server.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Client.Delete(background(), o) })
	}
	cfg := rest.CopyConfig(server.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: operator, Groups: []string{"system:authenticated"}}
	return cfg
}

// startManager runs the operator as it runs in a cluster: with its cache, its
// watches and its role.
func startManager(t *testing.T, answers *statuses) {
	t.Helper()
	runUntilEnd(t, permitted(t), controllers.Options{Source: answers})
}

// runUntilEnd runs the operator as the user of cfg until the test ends.
func runUntilEnd(t *testing.T, cfg *rest.Config, o controllers.Options) {
	t.Helper()
	stop, ended := runManager(t, cfg, o)
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the manager ended with %v", err)
		}
	})
}

// runManager runs the operator as the user of cfg until stop is called. How it ended is sent once. With a namespace of its
// own it elects a leader there.
func runManager(t *testing.T, cfg *rest.Config, o controllers.Options) (stop func(), ended <-chan error) {
	t.Helper()
	options, err := controllers.CacheOptions(o.Scope, o.OperatorNamespace)
	if err != nil {
		t.Fatal(err)
	}
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme: testenv.Scheme(), Logger: managersLog, Cache: options, Metrics: metricsOff, Controller: config.Controller{SkipNameValidation: new(true)},
		LeaderElection: o.OperatorNamespace != "", LeaderElectionNamespace: o.OperatorNamespace, LeaderElectionID: "relaykeep-manager", LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(background())
	o.RelayImage, o.PollInterval, o.MaxConcurrentReconciles = "ghcr.io/relaykeep/relay:dev", 300*time.Millisecond, 2
	if err := controllers.Setup(ctx, mgr, o); err != nil {
		cancel()
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() { end <- mgr.Start(ctx) }()
	return cancel, end
}

var metricsOff = metrics.Options{BindAddress: "0"}

// managersLog is where managers log that are started; the zero value is nowhere in particular.
var managersLog logr.Logger

// await polls until a relay's Ready has a reason.
func (w *world) await(relay *v1alpha1.BusinessRelay, reason string) {
	w.t.Helper()
	if w.within(func() bool { return isReason(reason)(w.reread(relay)) }) {
		return
	}
	w.t.Fatalf("Ready is not %s in time: %+v", reason, meta.FindStatusCondition(w.reread(relay).Status.Conditions, v1alpha1.ConditionReady))
}

func TestOperator_WorksWithNoMoreThanItsRole(t *testing.T) {
	answers := &statuses{}
	startManager(t, answers)
	w := bareWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.await(relay, v1alpha1.ReasonRegionNotFound)

	w.create(w.region())
	w.await(relay, v1alpha1.ReasonStorageClassMissing)
	w.create(storageClass(w.name))
	w.await(relay, v1alpha1.ReasonNoMatchingNode)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	w.create(node)
	node.Labels = map[string]string{v1alpha1.LabelNodeRegion: w.name}
	if err := server.Client.Update(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	w.await(relay, v1alpha1.ReasonRelayStarting)

	w.startPod(relay)
	answers.set(w.healthy())
	w.await(relay, v1alpha1.ReasonReady)
	answers.set(nil)
	w.await(relay, v1alpha1.ReasonRelayUnreachable)
	answers.set(w.healthy())
	w.await(relay, v1alpha1.ReasonReady)

	rival := w.relay("rival")
	w.create(rival)
	w.await(rival, v1alpha1.ReasonNumberInUse)
	w.update(rival, func(r *v1alpha1.BusinessRelay) { r.Spec.PhoneNumber = r.Spec.PhoneNumber[:8] })
	w.await(rival, v1alpha1.ReasonRelayStarting)

	// What somebody deletes comes back.
	if err := server.Client.Delete(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "acme-relay"}}); err != nil {
		t.Fatal(err)
	}
	w.returns("acme-relay", &corev1.Service{})
	w.deleteAndAwait(relay)
	w.deleteAndAwait(rival)
	w.removeLeftovers()
	region := w.region()
	if err := server.Client.Delete(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	w.gone(client.ObjectKeyFromObject(region), region)
}

// By these names an admission policy, which sees one DataRegion at a time, refuses pods of
// a region that nobody made.
func TestDataRegions_NoteTheNamesOfAll(t *testing.T) {
	startManager(t, &statuses{})
	w := newWorld(t)
	noted := func(of string) func(want bool, name string) {
		return func(want bool, name string) {
			t.Helper()
			region := &v1alpha1.DataRegion{}
			if !w.within(func() bool {
				err := server.Client.Get(t.Context(), client.ObjectKey{Name: of}, region)
				return err == nil && slices.Contains(region.Status.Regions, name) == want
			}) {
				t.Errorf("%s notes %q, which has %s: want %v", of, region.Status.Regions, name, want)
			}
		}
	}
	noted(w.name)(true, w.name)
	other := w.region()
	other.Name += "-other"
	w.create(other)
	noted(w.name)(true, other.Name)
	noted(other.Name)(true, w.name)
	if err := server.Client.Delete(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	noted(w.name)(false, other.Name)
}

// TestErasureNeedsNoMoreThanTheRole holds that the operator gets as far as its Job,
// of which it may read only those that it knows.
func TestErasureNeedsNoMoreThanTheRole(t *testing.T) {
	startManager(t, &statuses{})
	w := newWorld(t)
	relay := w.relay("acme")
	relay.Spec.DeletionPolicy = v1alpha1.DeletionErase
	w.create(relay)
	w.await(relay, v1alpha1.ReasonRelayStarting)
	if err := server.Client.Delete(t.Context(), relay); err != nil {
		t.Fatal(err)
	}
	job := &batchv1.Job{}
	w.returns("acme-erase", job)
	w.end(job, batchv1.JobComplete, w.now)
	ended := w.within(func() bool {
		w.releaseClaim()
		return !w.get(relay.Name, &v1alpha1.BusinessRelay{})
	})
	if !ended {
		t.Fatalf("the relay is not gone in time: %+v", w.reread(relay).Status.Conditions)
	}
}

// removeLeftovers removes what holds a region when its relays are gone.
func (w *world) removeLeftovers() {
	w.t.Helper()
	for _, kind := range []client.Object{&batchv1.CronJob{}, &corev1.PersistentVolumeClaim{}} {
		if err := server.Client.DeleteAllOf(w.t.Context(), kind, client.InNamespace(w.name)); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, name := range []string{"acme-relay", "rival-relay"} {
		claim := &corev1.PersistentVolumeClaim{}
		if w.get(name, claim) {
			claim.Finalizers = nil
			if err := server.Client.Update(w.t.Context(), claim); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// returns waits until an object exists.
func (w *world) returns(name string, o client.Object) {
	w.t.Helper()
	if !w.within(func() bool { return w.get(name, o) }) {
		w.t.Fatalf("%T %s did not come back in time", o, name)
	}
}

func (w *world) deleteAndAwait(relay *v1alpha1.BusinessRelay) {
	w.t.Helper()
	if err := server.Client.Delete(w.t.Context(), relay); err != nil {
		w.t.Fatal(err)
	}
	w.gone(client.ObjectKeyFromObject(relay), &v1alpha1.BusinessRelay{})
	if w.get(v1alpha1.TenantName(relay.Name), &appsv1.StatefulSet{}) {
		w.collectOwned(relay)
	}
}

// collectOwned does what the garbage collector would for a relay that is gone.
func (w *world) collectOwned(relay *v1alpha1.BusinessRelay) {
	w.t.Helper()
	for _, o := range w.children(relay) {
		if len(o.GetOwnerReferences()) > 0 {
			if err := client.IgnoreNotFound(server.Client.Delete(w.t.Context(), o)); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// gone waits until an object does not exist.
func (w *world) gone(key client.ObjectKey, o client.Object) {
	w.t.Helper()
	var err error
	left := w.within(func() bool {
		err = server.Client.Get(w.t.Context(), key, o)
		return err != nil
	})
	if !left || client.IgnoreNotFound(err) != nil {
		w.t.Fatalf("%T %s is still there: %v", o, key, err)
	}
}

func TestRole_ReadsNoSecretsMakesNoTokensEntersNoPods(t *testing.T) {
	cfg := permitted(t)
	c, err := client.New(cfg, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	w := bareWorld(t)
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "s"}})
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "a"}})
	key := client.ObjectKey{Namespace: w.name, Name: "s"}
	refused(t, "reading a Secret", c.Get(t.Context(), key, &corev1.Secret{}))
	refused(t, "listing Secrets", c.List(t.Context(), &corev1.SecretList{}))
	refused(t, "making a token", requestToken(t.Context(), c, w.name, "a", "relaykeep.dev/relay"))
	refused(t, "making a pod", c.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "p"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}))
	refused(t, "binding a role", c.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "b"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
	}))
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: w.name, Name: "a"}, &corev1.ServiceAccount{}); err != nil {
		t.Errorf("what the role does hold is refused as well: %v", err)
	}
	if err := requestToken(t.Context(), server.Client, w.name, "a", "somebody"); err != nil {
		t.Errorf("an admin makes no token either: %v", err)
	}
}
