package apply

import (
	"reflect"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
		got, err := Pack(o)
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
		if again, err := Pack(small); err != nil || again != any(small) {
			t.Errorf("a packed %T is packed again: %v", o, err)
		}
		whole, err := unpack(small, reflect.New(reflect.TypeOf(o).Elem()).Interface().(client.Object))
		if err != nil || !equality.Semantic.DeepEqual(whole, was) {
			t.Errorf("unpacked it is\n%+v, %v, want\n%+v", whole, err, was)
		}
	}
	got, err := Pack(job)
	if small, is := got.(*batchv1.CronJob); err != nil || !is || small.Status.LastSuccessfulTime == nil || small.Spec.JobTemplate.Spec.Template.Labels["e"] != "f" || small.Spec.Schedule != "" {
		t.Errorf("a packed CronJob is %+v, %v", got, err)
	}
}
