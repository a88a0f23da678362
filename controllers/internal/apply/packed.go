package apply

import (
	"fmt"
	"reflect"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// packed is the field manager of the one entry of the managed fields that a packed object has. No real one is named so: a
// name of an API server's field manager has no control characters.
const packed = "\x00packed"

// encoded is what every kind of Kubernetes' own implements.
type encoded interface {
	Marshal() ([]byte, error)
	Unmarshal(data []byte) error
}

// Pack is a cache's transform for children whose content nobody reads but this package, and it only when they changed: of
// an object's fields it keeps those by which it is found, and the whole object in its encoded form. That is a third of the
// memory and less, of which there is much with many relays. Of a CronJob it keeps the status and the labels of its pods
// as well. Objects of other kinds, and packed ones, stay as they are.
func Pack(o any) (any, error) {
	whole, is := o.(client.Object)
	e, can := o.(encoded)
	if !is || !can || isPacked(whole) {
		return o, nil
	}
	raw, err := e.Marshal()
	if err != nil {
		return nil, fmt.Errorf("packing a %T: %w", o, err)
	}
	small, is := reflect.New(reflect.TypeOf(o).Elem()).Interface().(client.Object)
	if !is {
		return o, nil
	}
	small.SetNamespace(whole.GetNamespace())
	small.SetName(whole.GetName())
	small.SetUID(whole.GetUID())
	small.SetResourceVersion(whole.GetResourceVersion())
	small.SetGeneration(whole.GetGeneration())
	small.SetCreationTimestamp(whole.GetCreationTimestamp())
	small.SetDeletionTimestamp(whole.GetDeletionTimestamp())
	small.SetLabels(whole.GetLabels())
	fields := &metav1.FieldsV1{}
	fields.SetRawBytes(raw)
	small.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: packed, FieldsV1: fields}})
	if job, is := whole.(*batchv1.CronJob); is {
		to := small.(*batchv1.CronJob)
		to.Status = job.Status
		to.Spec.JobTemplate.Spec.Template.Labels = job.Spec.JobTemplate.Spec.Template.Labels
	}
	return small, nil
}

func isPacked(o client.Object) bool {
	f := o.GetManagedFields()
	return len(f) == 1 && f[0].Manager == packed
}

// unpack returns a packed object as it was, decoded into the empty object, and any other as it is.
func unpack(o, empty client.Object) (client.Object, error) {
	if !isPacked(o) {
		return o, nil
	}
	e, can := empty.(encoded)
	if !can {
		return nil, fmt.Errorf("unpacking a %T: it has no encoded form", empty)
	}
	if err := e.Unmarshal(o.GetManagedFields()[0].FieldsV1.GetRawBytes()); err != nil {
		return nil, fmt.Errorf("unpacking a %T: %w", empty, err)
	}
	return empty, nil
}
