package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers"
	"github.com/relaykeep/relaykeep/controllers/internal/poll"
)

// world is one test's namespace, region, node and operator. The operator is driven
// pass by pass, so that a test sees exactly what one pass does.
type world struct {
	t       *testing.T
	name    string // of namespace, region, node and storage class
	relays  *controllers.BusinessRelayReconciler
	regions *controllers.DataRegionReconciler
	events  *events.FakeRecorder
	now     time.Time
	status  *statuses

	mu     sync.Mutex // guards the following field
	writes []string
}

// statuses answers polls for relays.
type statuses struct {
	mu     sync.Mutex // guards the following fields
	answer *contract.Status
	at     map[string]*contract.Status // of hosts with an answer of their own
	asked  int
}

// polled is how often it was asked.
func (s *statuses) polled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *statuses) Fetch(_ context.Context, host string) (*contract.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	answer := s.answer
	if own := s.at[host]; own != nil {
		answer = own
	}
	if answer == nil {
		return nil, errors.New("nobody answers")
	}
	return answer, nil
}

// setAt has a host give another answer than the others.
func (s *statuses) setAt(host string, answer *contract.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		s.at = map[string]*contract.Status{}
	}
	s.at[host] = answer
}

func (s *statuses) set(answer *contract.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// newWorld makes a world with a region that has a node and a storage class.
func newWorld(t *testing.T) *world {
	w := bareWorld(t)
	w.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.name, Labels: map[string]string{
		v1alpha1.LabelNodeRegion: w.name, corev1.LabelHostname: w.name,
	}}})
	w.create(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: w.name}, Provisioner: "example.org/none"})
	w.create(w.region())
	return w
}

// bareWorld makes a namespace and an operator, and no region.
func bareWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().Truncate(time.Second), status: &statuses{}, events: events.NewFakeRecorder(100)}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := server.Client.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	w.name = ns.Name
	c := w.countingClient()
	poller := poll.New(w.status, 50*time.Millisecond)
	ctx, stop := context.WithCancel(background())
	t.Cleanup(stop)
	go func() { _ = poller.Start(ctx) }()
	go func() {
		for {
			select {
			case <-poller.Changes():
			case <-ctx.Done():
				return
			}
		}
	}()
	w.relays = &controllers.BusinessRelayReconciler{
		Client: c, Live: server.Client, Mapper: server.Client.RESTMapper(), Events: w.events, Poller: poller,
		RelayImage: "ghcr.io/relaykeep/relay:dev", OperatorNamespace: "relaykeep-system",
		Now: func() time.Time { return w.now },
	}
	w.regions = &controllers.DataRegionReconciler{
		Client: c, Live: server.Client, Events: w.events, Now: func() time.Time { return w.now },
		RelayImage: "ghcr.io/relaykeep/relay:dev", OperatorNamespace: w.name, // each world's keeper is its own
	}
	return w
}

// countingClient is a client without a cache that notes every write.
func (w *world) countingClient() client.Client {
	note := func(verb string, o any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.writes = append(w.writes, fmt.Sprintf("%s %T", verb, o))
	}
	return interceptor.NewClient(server.Client, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			note("create", o)
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			note("update", o)
			return c.Update(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			note("patch", o)
			return c.Patch(ctx, o, p, opts...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			note("apply", o)
			return c.Apply(ctx, o, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			note("delete", o)
			return c.Delete(ctx, o, opts...)
		},
		SubResourceApply: func(ctx context.Context, c client.Client, sub string, o runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
			note("apply "+sub, o)
			return c.SubResource(sub).Apply(ctx, o, opts...)
		},
	})
}

// written returns the writes since it was last called.
func (w *world) written() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	writes := w.writes
	w.writes = nil
	return writes
}

func (w *world) create(o client.Object) {
	w.t.Helper()
	if err := server.Client.Create(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
	if o.GetNamespace() == "" {
		w.t.Cleanup(func() { _ = server.Client.Delete(background(), o) })
	}
}

func (w *world) region() *v1alpha1.DataRegion {
	return &v1alpha1.DataRegion{
		ObjectMeta: metav1.ObjectMeta{Name: w.name},
		Spec: v1alpha1.DataRegionSpec{
			Type: v1alpha1.RegionEU, StorageClassName: v1alpha1.ObjectName(w.name),
			Vault:   v1alpha1.Vault{Address: "https://10.1.2.3:8200"},
			Carrier: v1alpha1.Carrier{XMPP: &v1alpha1.XMPP{Domain: "eu.example.org"}},
		},
	}
}

// number is a telephone number that no other test has.
func (w *world) number() string {
	digits := uint32(2166136261)
	for _, b := range []byte(w.name) {
		digits = (digits ^ uint32(b)) * 16777619
	}
	return fmt.Sprintf("+1%010d", digits)
}

func (w *world) relay(name string) *v1alpha1.BusinessRelay {
	return &v1alpha1.BusinessRelay{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name},
		Spec:       v1alpha1.BusinessRelaySpec{PhoneNumber: w.number(), DataRegion: v1alpha1.ObjectName(w.name)},
	}
}

// pass reconciles a relay once.
func (w *world) pass(relay *v1alpha1.BusinessRelay) ctrl.Result {
	w.t.Helper()
	result, err := w.relays.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(relay)})
	if err != nil {
		w.t.Fatalf("reconciling: %v", err)
	}
	return result
}

// regionPass reconciles the region once.
func (w *world) regionPass() {
	w.t.Helper()
	if _, err := w.regions.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: w.name}}); err != nil {
		w.t.Fatalf("reconciling the region: %v", err)
	}
}

// get reads an object of the namespace; false when there is none.
func (w *world) get(name string, o client.Object) bool {
	w.t.Helper()
	err := server.Client.Get(w.t.Context(), client.ObjectKey{Namespace: w.name, Name: name}, o)
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	return err == nil
}

// reread reads a relay again.
func (w *world) reread(relay *v1alpha1.BusinessRelay) *v1alpha1.BusinessRelay {
	w.t.Helper()
	fresh := &v1alpha1.BusinessRelay{}
	if !w.get(relay.Name, fresh) {
		w.t.Fatal("the relay is gone")
	}
	return fresh
}

// want checks a relay's condition.
func (w *world) want(relay *v1alpha1.BusinessRelay, kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	w.t.Helper()
	fresh := w.reread(relay)
	c := meta.FindStatusCondition(fresh.Status.Conditions, kind)
	if c == nil {
		w.t.Fatalf("there is no condition %s: %+v", kind, fresh.Status.Conditions)
	}
	if c.Status != status || c.Reason != reason {
		w.t.Errorf("%s is %s, %s (%s); want %s, %s", kind, c.Status, c.Reason, c.Message, status, reason)
	}
	if c.ObservedGeneration != fresh.Generation {
		w.t.Errorf("%s is about generation %d, want %d", kind, c.ObservedGeneration, fresh.Generation)
	}
	return *c
}

// absent checks that a relay does not have a condition.
func (w *world) absent(relay *v1alpha1.BusinessRelay, kind string) {
	w.t.Helper()
	if c := meta.FindStatusCondition(w.reread(relay).Status.Conditions, kind); c != nil {
		w.t.Errorf("there is a condition %s: %s, %s", kind, c.Reason, c.Message)
	}
}

// startPod does what kubelet and StatefulSet controller would: it makes the relay's
// pod, ready, at an address.
func (w *world) startPod(relay *v1alpha1.BusinessRelay) *corev1.Pod {
	w.t.Helper()
	return w.startReplica(relay, 0)
}

// startReplica is startPod for the pod with that number, at 192.0.2.7 and up; it is the last.
func (w *world) startReplica(relay *v1alpha1.BusinessRelay, n int32) *corev1.Pod {
	w.t.Helper()
	set := &appsv1.StatefulSet{}
	if !w.within(func() bool { return w.get(v1alpha1.TenantName(relay.Name), set) }) {
		w.t.Fatal("there is no StatefulSet")
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: fmt.Sprintf("%s-%d", set.Name, n), Labels: set.Spec.Template.Labels},
		Spec:       *set.Spec.Template.Spec.DeepCopy(),
	}
	pod.Spec.NodeName = w.name
	w.create(pod)
	pod.Status.Phase = corev1.PodRunning
	pod.Status.PodIP = fmt.Sprintf("192.0.2.%d", 7+n)
	pod.Status.PodIPs = []corev1.PodIP{{IP: pod.Status.PodIP}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "relay", Ready: true, ImageID: "ghcr.io/relaykeep/relay@sha256:0011", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	if err := server.Client.Status().Update(w.t.Context(), pod); err != nil {
		w.t.Fatal(err)
	}
	set.Status = appsv1.StatefulSetStatus{ObservedGeneration: set.Generation, Replicas: n + 1, ReadyReplicas: n + 1, UpdatedReplicas: n + 1, CurrentReplicas: n + 1}
	if err := server.Client.Status().Update(w.t.Context(), set); err != nil {
		w.t.Fatal(err)
	}
	return pod
}

// healthy is the answer of a relay that works.
func (w *world) healthy() *contract.Status {
	is := func(kind string) contract.Condition {
		return contract.Condition{Type: kind, Status: contract.True, Reason: "Well", Message: "it is well"}
	}
	return &contract.Status{
		Version: contract.StatusVersion,
		Conditions: []contract.Condition{
			is(contract.ConditionKeysReady), is(contract.ConditionCarrierConnected), is(contract.ConditionWebhookVerified),
		},
		PhoneNumberID: "100000000000001", BusinessAccountID: "200000000000002",
		Fingerprint: strings.TrimSpace(strings.Repeat("0a1b2c3d ", 8)), DeviceID: 7,
		InitializedTime: &w.now, Quality: "GREEN",
	}
}

// eventually passes again and again until a condition is met: what the poller does
// takes a moment.
func (w *world) eventually(relay *v1alpha1.BusinessRelay, what string, met func(*v1alpha1.BusinessRelay) bool) {
	w.t.Helper()
	if !w.within(func() bool { w.pass(relay); return met(w.reread(relay)) }) {
		w.t.Fatalf("%s: not in time: %+v", what, w.reread(relay).Status)
	}
}

// within asks again and again whether something is so; false when it never was.
func (w *world) within(so func() bool) bool {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(w.t.Context(), 20*time.Millisecond, 20*time.Second, true,
		func(context.Context) (bool, error) { return so(), nil })
	return err == nil
}

// isReason says whether a relay's Ready has a reason.
func isReason(reason string) func(*v1alpha1.BusinessRelay) bool {
	return func(r *v1alpha1.BusinessRelay) bool {
		c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionReady)
		return c != nil && c.Reason == reason
	}
}
