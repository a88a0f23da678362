package scale_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// hands is how many objects the machines work on at a time.
const hands = 8

// asKubernetes is the field manager of what Kubernetes' own controllers write.
const asKubernetes = "kube-controller-manager"

// work names an object that the machines have to do something for.
type work struct {
	claim bool // or a StatefulSet
	key   types.NamespacedName
}

// machines stand in for the controllers of StatefulSets, volumes and endpoints, the scheduler and the nodes, with the writes
// that those make but for their events: they bind claims, make and bind the pods of StatefulSets, and say step by step that
// they run. At each pod's address they answer the operator's polls as a relay does that is well.
type machines struct {
	kube   kubernetes.Interface
	sets   appslisters.StatefulSetLister
	claims corelisters.PersistentVolumeClaimLister
	queue  workqueue.TypedRateLimitingInterface[work]
	server *http.Server
	prefix string // of the pods' addresses

	mu    sync.Mutex // guards the following field
	hosts int        // how many addresses are taken
}

// startMachines runs machines until the test ends.
func startMachines(tb testing.TB, kube kubernetes.Interface) {
	tb.Helper()
	factory := informers.NewSharedInformerFactory(kube, 0)
	m := &machines{
		kube:   kube,
		sets:   factory.Apps().V1().StatefulSets().Lister(),
		claims: factory.Core().V1().PersistentVolumeClaims().Lister(),
		queue:  workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[work]()),
		prefix: fmt.Sprintf("127.%d.%d", 64+rand.IntN(128), rand.IntN(128)), // nobody else listens there
	}
	m.server = &http.Server{Handler: http.HandlerFunc(answer), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	m.watch(tb, factory.Apps().V1().StatefulSets().Informer(), false)
	m.watch(tb, factory.Core().V1().PersistentVolumeClaims().Informer(), true)
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	var running sync.WaitGroup
	for range hands {
		running.Go(func() {
			for m.next(ctx) {
			}
		})
	}
	tb.Cleanup(func() {
		stop()
		m.queue.ShutDown()
		running.Wait()
		factory.Shutdown()
		_ = m.server.Close()
	})
}

func (m *machines) watch(tb testing.TB, informer cache.SharedIndexInformer, claim bool) {
	tb.Helper()
	enqueue := func(o any) {
		if o, is := o.(metav1.Object); is {
			m.queue.Add(work{claim, types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}})
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: enqueue, UpdateFunc: func(_, o any) { enqueue(o) },
	})
	check(tb, err)
}

// next does what one object needs; false when there will be no more.
func (m *machines) next(ctx context.Context) bool {
	w, shutdown := m.queue.Get()
	if shutdown {
		return false
	}
	defer m.queue.Done(w)
	do := m.run
	if w.claim {
		do = m.bind
	}
	if err := do(ctx, w.key); err != nil && !apierrors.IsNotFound(err) {
		m.queue.AddRateLimited(w)
		return true
	}
	m.queue.Forget(w)
	return true
}

// bind gives a claim a volume of its region.
func (m *machines) bind(ctx context.Context, key types.NamespacedName) error {
	claim, err := m.claims.PersistentVolumeClaims(key.Namespace).Get(key.Name)
	if err != nil || claim.Status.Phase == corev1.ClaimBound {
		return err
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-" + string(claim.UID)},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: claim.Spec.Resources.Requests, AccessModes: claim.Spec.AccessModes, StorageClassName: *claim.Spec.StorageClassName,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "example.org", VolumeHandle: string(claim.UID)}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
				{MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: v1alpha1.LabelNodeRegion, Operator: corev1.NodeSelectorOpIn, Values: []string{claim.Labels[v1alpha1.LabelRegion]}},
				}},
			}}},
		},
	}
	made, err := m.kube.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{FieldManager: asKubernetes})
	if err == nil {
		made.Status.Phase = corev1.VolumeBound
		_, err = m.kube.CoreV1().PersistentVolumes().UpdateStatus(ctx, made, metav1.UpdateOptions{FieldManager: asKubernetes})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	bound := claim.DeepCopy()
	if bound.Spec.VolumeName != volume.Name {
		bound.Spec.VolumeName = volume.Name
		if bound, err = m.kube.CoreV1().PersistentVolumeClaims(key.Namespace).Update(ctx, bound, metav1.UpdateOptions{FieldManager: asKubernetes}); err != nil {
			return err
		}
	}
	bound.Status.Phase, bound.Status.AccessModes, bound.Status.Capacity = corev1.ClaimBound, claim.Spec.AccessModes, claim.Spec.Resources.Requests
	_, err = m.kube.CoreV1().PersistentVolumeClaims(key.Namespace).UpdateStatus(ctx, bound, metav1.UpdateOptions{FieldManager: asKubernetes})
	return err
}

// run makes the pod of a StatefulSet and says that it runs.
func (m *machines) run(ctx context.Context, key types.NamespacedName) error {
	set, err := m.sets.StatefulSets(key.Namespace).Get(key.Name)
	if err != nil || set.Status.ReadyReplicas == *set.Spec.Replicas && set.Status.ObservedGeneration == set.Generation {
		return err
	}
	pods := m.kube.CoreV1().Pods(key.Namespace)
	revision := revisionOf(set)
	if _, err := m.kube.AppsV1().ControllerRevisions(key.Namespace).Create(ctx, revision, metav1.CreateOptions{FieldManager: asKubernetes}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	pod, err := pods.Create(ctx, podOf(set), metav1.CreateOptions{FieldManager: asKubernetes})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	up := set.DeepCopy()
	up.Status = appsv1.StatefulSetStatus{
		ObservedGeneration: set.Generation, Replicas: 1, UpdatedReplicas: 1, CurrentReplicas: 1,
		CurrentRevision: revision.Name, UpdateRevision: revision.Name, CollisionCount: new(int32),
	}
	if err == nil {
		if err := m.start(ctx, pod); err != nil {
			return err
		}
	}
	if up, err = m.kube.AppsV1().StatefulSets(key.Namespace).UpdateStatus(ctx, up, metav1.UpdateOptions{FieldManager: asKubernetes}); err != nil {
		return err
	}
	up.Status.ReadyReplicas, up.Status.AvailableReplicas = 1, 1
	_, err = m.kube.AppsV1().StatefulSets(key.Namespace).UpdateStatus(ctx, up, metav1.UpdateOptions{FieldManager: asKubernetes})
	return err
}

// start puts a pod on a node, and says there that its container is being created, runs and is ready, as its endpoint is.
func (m *machines) start(ctx context.Context, pod *corev1.Pod) error {
	pods := m.kube.CoreV1().Pods(pod.Namespace)
	node := nodeName(pod.Spec.NodeSelector[v1alpha1.LabelNodeRegion])
	err := pods.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}, metav1.CreateOptions{FieldManager: "kube-scheduler"})
	if err != nil {
		return err
	}
	if pod, err = pods.Get(ctx, pod.Name, metav1.GetOptions{}); err != nil {
		return err
	}
	host, err := m.listen()
	if err != nil {
		return err
	}
	slice, err := m.kube.DiscoveryV1().EndpointSlices(pod.Namespace).Create(ctx, sliceOf(pod), metav1.CreateOptions{FieldManager: asKubernetes})
	if err != nil {
		return err
	}
	for _, now := range []corev1.PodStatus{creating(), running(host, false), running(host, true)} {
		pod.Status = now
		if pod, err = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{FieldManager: "kubelet"}); err != nil {
			return err
		}
	}
	slice.Endpoints[0].Conditions.Ready = new(true)
	_, err = m.kube.DiscoveryV1().EndpointSlices(pod.Namespace).Update(ctx, slice, metav1.UpdateOptions{FieldManager: asKubernetes})
	return err
}

// revisionOf is the one revision of a StatefulSet's template.
func revisionOf(set *appsv1.StatefulSet) *appsv1.ControllerRevision {
	raw, err := json.Marshal(map[string]any{"spec": map[string]any{"template": set.Spec.Template}})
	if err != nil {
		panic(err) // it came from the API server
	}
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: set.Namespace, Name: set.Name + "-1", Labels: set.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))},
		},
		Data: runtime.RawExtension{Raw: raw}, Revision: 1,
	}
}

// sliceOf is the slice of endpoints of a pod's Service.
func sliceOf(pod *corev1.Pod) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, Labels: map[string]string{discoveryv1.LabelServiceName: strings.TrimSuffix(pod.Name, "-0")}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{
			Addresses: []string{"192.0.2.1"}, NodeName: &pod.Spec.NodeName, Conditions: discoveryv1.EndpointConditions{Ready: new(false)},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		}},
	}
}

// podOf is the first pod of a StatefulSet, on a node of its region.
func podOf(set *appsv1.StatefulSet) *corev1.Pod {
	template := set.Spec.Template.DeepCopy()
	pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Namespace, pod.Name = set.Namespace, set.Name+"-0"
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))}
	return pod
}

// creating is the status of a pod whose container is being created.
func creating() corev1.PodStatus {
	now := metav1.Now()
	return corev1.PodStatus{
		Phase: corev1.PodPending, HostIP: "192.0.2.1", StartTime: &now, QOSClass: corev1.PodQOSBurstable, Conditions: conditions(now, false),
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "relay", Image: image, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}},
		}},
	}
}

// running is the status of a pod whose container runs.
func running(host string, ready bool) corev1.PodStatus {
	now := metav1.Now()
	return corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: host, PodIPs: []corev1.PodIP{{IP: host}}, HostIP: "192.0.2.1", StartTime: &now, QOSClass: corev1.PodQOSBurstable,
		Conditions: conditions(now, ready),
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "relay", Ready: ready, Started: new(true), Image: image, ImageID: imageID, ContainerID: "containerd://" + strings.Repeat("0f", 32),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		}},
	}
}

// conditions are those of a pod that is on its node.
func conditions(now metav1.Time, ready bool) (all []corev1.PodCondition) {
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		c := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now}
		if !ready && (kind == corev1.ContainersReady || kind == corev1.PodReady) {
			c.Status = corev1.ConditionFalse
		}
		all = append(all, c)
	}
	return all
}

// listen has the next address answer polls.
func (m *machines) listen() (host string, err error) {
	m.mu.Lock()
	n := m.hosts
	m.hosts++
	m.mu.Unlock()
	base := strings.LastIndexByte(m.prefix, '.')
	third, _ := strconv.Atoi(m.prefix[base+1:])
	host = fmt.Sprintf("%s.%d.%d", m.prefix[:base], third+n/250, 1+n%250)
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(int(contract.StatusPort))))
	if err != nil {
		return "", fmt.Errorf("listening for polls: %w", err)
	}
	go func() { _ = m.server.Serve(l) }() // until the server is closed
	return host, nil
}

// answer says that a relay is well, with values of its own.
func answer(w http.ResponseWriter, r *http.Request) {
	host := fmt.Sprint(r.Context().Value(http.LocalAddrContextKey))
	id := strings.NewReplacer(".", "", ":", "").Replace(host)
	well := func(kind string) contract.Condition {
		return contract.Condition{Type: kind, Status: contract.True, Reason: "Well", Message: "the relay says that all is well"}
	}
	started := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	_ = json.NewEncoder(w).Encode(contract.Status{
		Version: contract.StatusVersion,
		Conditions: []contract.Condition{
			well(contract.ConditionKeysReady), well(contract.ConditionCarrierConnected), well(contract.ConditionWebhookVerified), well(contract.ConditionVolumeHasRoom), well(contract.ConditionSendingUnlimited),
		},
		PhoneNumberID: "1" + id, BusinessAccountID: "2" + id, Fingerprint: strings.TrimSpace(strings.Repeat("0a1b2c3d ", 8)), DeviceID: 7,
		InitializedTime: &started, Quality: "GREEN", Counts: contract.Counts{MessagesIn: time.Now().Unix()},
	})
}
