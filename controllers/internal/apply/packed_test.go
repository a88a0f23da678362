package apply

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestPack_KeepsTheWholeObjectAndWhatItIsFoundBy(t *testing.T) {
	owned := func() metav1.ObjectMeta {
		fields := &metav1.FieldsV1{}
		fields.SetRawBytes([]byte(`{"f:spec":{}}`))
		return metav1.ObjectMeta{
			Namespace: "tenants", Name: "acme", UID: "1", ResourceVersion: "7", Labels: map[string]string{"a": "b"},
			Annotations: map[string]string{"c": "d"}, OwnerReferences: []metav1.OwnerReference{{Kind: "BusinessRelay", Name: "acme", UID: "2"}},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "somebody", FieldsType: "FieldsV1", FieldsV1: fields}},
		}
	}
	p := NewPacker()
	now := metav1.Now().Rfc3339Copy()
	job := &batchv1.CronJob{ObjectMeta: owned(), Status: batchv1.CronJobStatus{LastSuccessfulTime: &now}}
	job.Spec.Schedule, job.Spec.JobTemplate.Spec.Template.Labels = "1 * * * *", map[string]string{"e": "f"}
	for _, o := range []client.Object{
		&corev1.ConfigMap{ObjectMeta: owned(), Data: map[string]string{"key": "value"}},
		&corev1.Service{ObjectMeta: owned(), Spec: corev1.ServiceSpec{ClusterIP: "10.0.0.7"}},
		&networkingv1.NetworkPolicy{ObjectMeta: owned(), Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Egress"}}},
		job,
	} {
		was := o.DeepCopyObject().(client.Object)
		got, err := p.Pack(o)
		if err != nil {
			t.Fatal(err)
		}
		small := got.(client.Object)
		if client.ObjectKeyFromObject(small) != client.ObjectKeyFromObject(was) || small.GetResourceVersion() != "7" || small.GetLabels()["a"] != "b" || small.GetUID() != "1" {
			t.Errorf("a packed %T is not found: %+v", o, small)
		}
		if small.GetAnnotations() != nil || small.GetOwnerReferences() != nil {
			t.Errorf("a packed %T is not small: %+v", o, small)
		}
		if again, err := p.Pack(small); err != nil || again != any(small) {
			t.Errorf("a packed %T is packed again: %v", o, err)
		}
		whole, err := Unpack(small, reflect.New(reflect.TypeOf(o).Elem()).Interface().(client.Object))
		if err != nil || !equality.Semantic.DeepEqual(whole, was) {
			t.Errorf("unpacked it is\n%+v, %v, want\n%+v", whole, err, was)
		}
	}
	set := &appsv1.StatefulSet{ObjectMeta: owned(), Spec: appsv1.StatefulSetSpec{Replicas: new(int32(2)), ServiceName: "acme"}, Status: appsv1.StatefulSetStatus{ReadyReplicas: 1}}
	if o, err := p.Pack(set); err != nil {
		t.Error(err)
	} else if s := o.(*appsv1.StatefulSet); *s.Spec.Replicas != 2 || s.Status.ReadyReplicas != 1 || s.Annotations["c"] != "d" || len(s.OwnerReferences) != 1 || s.Spec.ServiceName != "" {
		t.Errorf("a packed StatefulSet is %+v", s)
	}
	got, err := p.Pack(job)
	if small, is := got.(*batchv1.CronJob); err != nil || !is || small.Status.LastSuccessfulTime == nil || small.Spec.JobTemplate.Spec.Template.Labels["e"] != "f" || small.Spec.Schedule != "" {
		t.Errorf("a packed CronJob is %+v, %v", got, err)
	}
}

func TestPack_OfManyAtOnceKeepsEachAsItWas(t *testing.T) {
	p := NewPacker()
	var packing sync.WaitGroup
	for n := range 8 {
		packing.Go(func() {
			for i := range 50 {
				was := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("relay-", n, "-", i)}, Data: map[string]string{"relay.json": strings.Repeat(fmt.Sprint(n, i), 200)}}
				small, err := p.Pack(was.DeepCopy())
				if err != nil {
					t.Error(err)
					return
				}
				whole, err := Unpack(small.(client.Object), client.Object(&corev1.ConfigMap{}))
				if err != nil || !equality.Semantic.DeepEqual(whole, client.Object(was)) {
					t.Errorf("%s is another after it was packed: %v", was.Name, err)
				}
			}
		})
	}
	packing.Wait()
}

func TestPack_TakesATenthOfTheMemory(t *testing.T) {
	p, whole, small := NewPacker(), 0, 0
	for n := range 10 {
		set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("relay-", n), UID: types.UID(fmt.Sprint(n))}}
		for i := range 60 {
			set.Spec.Template.Spec.Containers = append(set.Spec.Template.Spec.Containers, corev1.Container{Name: fmt.Sprint("container-", i, i*i), Image: "ghcr.io/relaykeep/relay:dev"})
		}
		whole += set.Size()
		o, err := p.Pack(set)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			small += len(o.(client.Object).GetManagedFields()[0].FieldsV1.GetRawBytes())
		}
	}
	if small > whole/10 {
		t.Errorf("%d bytes of %d are left", small, whole)
	}
}
