package controllers_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// somebody writes into what is the operator's.
const somebody = client.FieldOwner("somebody")

// change has somebody change a child.
func (w *world) change(o client.Object) {
	w.t.Helper()
	if err := server.Client.Update(w.t.Context(), o, somebody); err != nil {
		w.t.Fatal(err)
	}
}

// contentOf is what a child consists of, without metadata and status.
func contentOf(t *testing.T, o client.Object) map[string]any {
	t.Helper()
	content, err := apiruntime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		t.Fatal(err)
	}
	delete(content, "metadata")
	delete(content, "status")
	return content
}

// TestDrift_WhatOthersWriteIsTakenOutAndTold: each of these left a relay down, frozen or without erasure until somebody
// deleted the child by hand.
func TestDrift_WhatOthersWriteIsTakenOutAndTold(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.pass(relay)
	for _, d := range []struct {
		name, child string
		edit        func(client.Object)
	}{
		{"an environment variable", "StatefulSet", pods(func(s *corev1.PodSpec) {
			s.Containers[0].Env = append(s.Containers[0].Env, corev1.EnvVar{Name: "DEBUG", Value: "1"})
		})},
		{"a sidecar", "StatefulSet", pods(func(s *corev1.PodSpec) {
			s.Containers = append(s.Containers, corev1.Container{Name: "proxy", Image: "example.org/proxy"})
		})},
		{"an affinity", "StatefulSet", pods(func(s *corev1.PodSpec) { s.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{}} })},
		{"a toleration", "StatefulSet", pods(func(s *corev1.PodSpec) { s.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}} })},
		{"another image", "StatefulSet", pods(func(s *corev1.PodSpec) { s.Containers[0].Image = "example.org/relay" })},
		{"a label of the pods", "StatefulSet", func(o client.Object) { o.(*appsv1.StatefulSet).Spec.Template.Labels["open"] = "yes" }},
		{"no pods", "StatefulSet", func(o client.Object) { o.(*appsv1.StatefulSet).Spec.Replicas = new(int32(0)) }},
		{"external addresses", "Service", func(o client.Object) { o.(*corev1.Service).Spec.ExternalIPs = []string{"192.0.2.7"} }},
		{"a further selector", "Service", func(o client.Object) { o.(*corev1.Service).Spec.Selector["canary"] = "yes" }},
		{"a further port", "Service", func(o client.Object) {
			s := o.(*corev1.Service)
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "more", Port: 9999})
		}},
		{"a field with a default", "Service", func(o client.Object) { o.(*corev1.Service).Spec.SessionAffinity = corev1.ServiceAffinityClientIP }},
		{"another field with a default", "StatefulSet", func(o client.Object) {
			o.(*appsv1.StatefulSet).Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: new(int32(1))}
		}},
		{"a policy for names", "StatefulSet", pods(func(s *corev1.PodSpec) { s.DNSPolicy = corev1.DNSDefault })},
		{"secrets", "ServiceAccount", func(o client.Object) {
			o.(*corev1.ServiceAccount).Secrets = []corev1.ObjectReference{{Name: "acme"}}
		}},
		{"another file", "ConfigMap", func(o client.Object) { o.(*corev1.ConfigMap).Data["more"] = "more" }},
		{"suspended Jobs", "CronJob", jobs(func(s *batchv1.JobSpec) { s.Suspend = new(true) })},
		{"Jobs that are complete at once", "CronJob", jobs(func(s *batchv1.JobSpec) { s.Completions = new(int32(0)) })},
		{"another time zone", "CronJob", func(o client.Object) { o.(*batchv1.CronJob).Spec.TimeZone = new("Asia/Tokyo") }},
		{"no janitor", "CronJob", func(o client.Object) { o.(*batchv1.CronJob).Spec.Suspend = new(true) }},
		{"an open policy", "relay's NetworkPolicy", func(o client.Object) {
			p := o.(*networkingv1.NetworkPolicy)
			p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{})
		}},
		{"an open policy of the janitor's", "janitor's NetworkPolicy", func(o client.Object) {
			p := o.(*networkingv1.NetworkPolicy)
			p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{})
		}},
		{"a policy without types", "relay's NetworkPolicy", func(o client.Object) {
			o.(*networkingv1.NetworkPolicy).Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		}},
	} {
		t.Run(d.name, func(t *testing.T) {
			w.restart() // or the changes would be a contest
			child := w.children(relay)[d.child]
			before := contentOf(t, child)
			d.edit(child)
			w.change(child)
			w.told()
			w.pass(relay)
			if after := contentOf(t, w.children(relay)[d.child]); !equality.Semantic.DeepEqual(before, after) {
				t.Errorf("the child is\n%v, want\n%v", after, before)
			}
			want := "Warning " + v1alpha1.ReasonChildChanged
			if strings.Contains(d.child, "NetworkPolicy") {
				want = "Warning " + v1alpha1.ReasonNetworkPolicyChanged
			}
			w.wantTold(want)
			w.quiet(relay)
		})
	}
}

func pods(edit func(*corev1.PodSpec)) func(client.Object) {
	return func(o client.Object) { edit(&o.(*appsv1.StatefulSet).Spec.Template.Spec) }
}

func jobs(edit func(*batchv1.JobSpec)) func(client.Object) {
	return func(o client.Object) { edit(&o.(*batchv1.CronJob).Spec.JobTemplate.Spec) }
}

func TestDrift_EventSaysWhoAndWhere(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	set := w.children(relay)["StatefulSet"].(*appsv1.StatefulSet)
	set.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "TOKEN", Value: "planted"}}
	w.change(set)
	w.told()
	w.pass(relay)
	event := <-w.events.Events
	for _, part := range []string{"StatefulSet acme-relay", "somebody", "spec.template.spec.containers"} {
		if !strings.Contains(event, part) {
			t.Errorf("the event %q does not name %q", event, part)
		}
	}
	for _, part := range []string{"TOKEN", "planted"} {
		if strings.Contains(event, part) {
			t.Errorf("the event %q names what was written, %q", event, part)
		}
	}
}

// What is as the operator wants it is nobody's but its own, and what it never said anything about is others'.
func TestDrift_RestartsAndLabelsOfOthersStay(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.pass(relay)
	set := w.children(relay)["StatefulSet"].(*appsv1.StatefulSet)
	set.Labels["team"] = "blue"
	set.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] = "2026-01-01T00:00:00Z"
	w.change(set)
	w.told()
	w.quiet(relay)
	w.wantTold("")
	set = w.children(relay)["StatefulSet"].(*appsv1.StatefulSet)
	set.Spec.Template.Spec.PriorityClassName = "high"
	w.change(set)
	w.pass(relay)
	set = w.children(relay)["StatefulSet"].(*appsv1.StatefulSet)
	if set.Spec.Template.Spec.PriorityClassName != "" || set.Labels["team"] != "blue" || set.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] == "" {
		t.Errorf("with a priority class taken out, the set has the labels %v and its pods %v", set.Labels, set.Spec.Template.Annotations)
	}
}

func TestDrift_DeletedOrImmutableChildrenAreMadeAgain(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.pass(relay)
	for _, child := range []string{"Service", "ConfigMap", "relay's NetworkPolicy"} {
		if err := server.Client.Delete(t.Context(), w.children(relay)[child]); err != nil {
			t.Fatal(err)
		}
		w.told()
		w.pass(relay)
		if w.children(relay)[child] == nil {
			t.Errorf("the deleted %s is not made again", child)
		}
		if told := w.told(); !strings.Contains(told, "Changed") {
			t.Errorf("of the deleted %s is told %q", child, told)
		}
	}
	file := w.children(relay)["ConfigMap"].(*corev1.ConfigMap)
	file.Immutable = new(true)
	w.change(file)
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Retention.Days = 7 })
	w.pass(relay) // deletes it
	w.pass(relay)
	fresh, _ := w.children(relay)["ConfigMap"].(*corev1.ConfigMap)
	if fresh == nil || fresh.UID == file.UID || fresh.Immutable != nil || equality.Semantic.DeepEqual(fresh.Data, file.Data) {
		t.Error("the configuration that somebody made immutable is not made again")
	}
}

// TestDrift_AnAdoptedObjectIsOursAlone: somebody restored the Service from a backup, and owns even what the API server chose.
func TestDrift_AnAdoptedObjectIsOursAlone(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	service := w.children(relay)["Service"].(*corev1.Service)
	backup := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: service.Name, Labels: service.Labels}, Spec: *service.Spec.DeepCopy()}
	if err := server.Client.Delete(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	if err := server.Client.Create(t.Context(), backup, somebody); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.pass(relay)
	w.quiet(relay)
}

// TestDrift_SetThatCannotBeChangedIsMadeAgainWithoutItsPods: a field of a StatefulSet that cannot be changed differs.
func TestDrift_SetThatCannotBeChangedIsMadeAgainWithoutItsPods(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	set := w.children(relay)["StatefulSet"].(*appsv1.StatefulSet)
	other := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: set.Name, Labels: set.Labels, OwnerReferences: set.OwnerReferences}, Spec: *set.Spec.DeepCopy(),
	}
	other.Spec.ServiceName = "other"
	if err := server.Client.Delete(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	if err := server.Client.Create(t.Context(), other, somebody); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.pass(relay)
	going := w.children(relay)["StatefulSet"].(*appsv1.StatefulSet)
	if going.DeletionTimestamp == nil || len(going.Finalizers) != 1 || going.Finalizers[0] != metav1.FinalizerOrphanDependents {
		t.Fatalf("the set is deleted at %v with the finalizers %v, want it to leave its pods", going.DeletionTimestamp, going.Finalizers)
	}
	going.Finalizers = nil // as the garbage collector does once the pods are nobody's
	w.change(going)
	w.pass(relay)
	if fresh, is := w.children(relay)["StatefulSet"].(*appsv1.StatefulSet); !is || fresh.Spec.ServiceName != set.Spec.ServiceName {
		t.Error("the set is not made again")
	}
}

func TestDrift_ContestedChildIsNoHotLoop(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	for range 20 {
		service := w.children(relay)["Service"].(*corev1.Service)
		service.Spec.ExternalIPs = []string{"192.0.2.7"}
		w.change(service)
		w.pass(relay)
		w.told()
	}
	w.want(relay, v1alpha1.ConditionReady, "False", v1alpha1.ReasonContested)
	w.written()
	if again := w.pass(relay); again.RequeueAfter <= 0 {
		t.Error("nobody looks at the child again")
	}
	for _, write := range w.written() {
		if strings.Contains(write, "Service") {
			t.Errorf("in a contest the pass writes %s", write)
		}
	}
	w.now = w.now.Add(w.pass(relay).RequeueAfter)
	w.pass(relay)
	if service := w.children(relay)["Service"].(*corev1.Service); len(service.Spec.ExternalIPs) > 0 {
		t.Error("the child is not brought back when its time has come")
	}
}
