package testenv

import (
	"fmt"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	clientgoapply "k8s.io/client-go/applyconfigurations"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// protection is the finalizer that every claim gets from the API server.
const protection = "kubernetes.io/pvc-protection"

// tracker keeps objects by client-go's tracker, which knows field managers, and adds
// to them what an API server sets: UID, time of creation, generation, defaults.
type tracker struct {
	clienttesting.ObjectTracker
	scheme   *apiruntime.Scheme
	defaults defaults
	made     *atomic.Int64
}

func newTracker(scheme *apiruntime.Scheme) (*tracker, error) {
	d, err := readDefaults()
	if err != nil {
		return nil, err
	}
	return &tracker{
		ObjectTracker: clienttesting.NewFieldManagedObjectTracker(scheme,
			serializer.NewCodecFactory(scheme).UniversalDecoder(), converters{
				clientgoapply.NewTypeConverter(clientgoscheme.Scheme), managedfields.NewDeducedTypeConverter(),
			}),
		scheme: scheme, defaults: d, made: new(atomic.Int64),
	}, nil
}

// Create adds an object.
func (t *tracker) Create(gvr schema.GroupVersionResource, o apiruntime.Object, ns string, options ...metav1.CreateOptions) error {
	if err := t.begin(o); err != nil {
		return err
	}
	return t.ObjectTracker.Create(gvr, o, ns, options...)
}

// Update replaces an object.
func (t *tracker) Update(gvr schema.GroupVersionResource, o apiruntime.Object, ns string, options ...metav1.UpdateOptions) error {
	if err := t.count(gvr, o, ns); err != nil {
		return err
	}
	return t.ObjectTracker.Update(gvr, o, ns, options...)
}

// Patch replaces an object by its patched form.
func (t *tracker) Patch(gvr schema.GroupVersionResource, o apiruntime.Object, ns string, options ...metav1.PatchOptions) error {
	if err := t.count(gvr, o, ns); err != nil {
		return err
	}
	return t.ObjectTracker.Patch(gvr, o, ns, options...)
}

// Apply merges an apply configuration into an object, or creates the object.
func (t *tracker) Apply(gvr schema.GroupVersionResource, o apiruntime.Object, ns string, options ...metav1.PatchOptions) error {
	wanted, err := meta.Accessor(o)
	if err != nil {
		return fmt.Errorf("applying a %T: %w", o, err)
	}
	if o, err = t.withoutStatus(gvr, o); err != nil {
		return err
	}
	before, beforeErr := t.Get(gvr, ns, wanted.GetName())
	if err := t.ObjectTracker.Apply(gvr, o, ns, options...); err != nil {
		return err
	}
	after, err := t.Get(gvr, ns, wanted.GetName())
	if err != nil {
		return err
	}
	if beforeErr != nil { // there was none
		err = t.begin(after)
	} else {
		err = generation(before, after)
	}
	if err != nil {
		return err
	}
	return t.ObjectTracker.Update(gvr, after, ns)
}

// withoutStatus returns an apply configuration as it was meant: the client adds a status, the present one or an empty
// one, also to what says nothing of it. We only apply that of our own kinds.
func (t *tracker) withoutStatus(gvr schema.GroupVersionResource, o apiruntime.Object) (apiruntime.Object, error) {
	u, is := o.(*unstructured.Unstructured)
	if gvr.Group == v1alpha1.GroupVersion.Group && (!is || u.Object["status"] != nil) {
		return o, nil
	}
	if !is {
		content, err := unstructuredOf(o)
		if err != nil {
			return nil, err
		}
		kinds, _, err := t.scheme.ObjectKinds(o)
		if err != nil {
			return nil, fmt.Errorf("applying a %T: %w", o, err)
		}
		u = &unstructured.Unstructured{Object: content}
		u.SetGroupVersionKind(kinds[0])
	}
	delete(u.Object, "status")
	return u, nil
}

// begin sets what a new object gets.
func (t *tracker) begin(o apiruntime.Object) error {
	m, err := meta.Accessor(o)
	if err != nil {
		return fmt.Errorf("creating a %T: %w", o, err)
	}
	m.SetUID(types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", t.made.Add(1))))
	m.SetCreationTimestamp(metav1.Now())
	m.SetGeneration(1)
	if _, is := o.(*corev1.PersistentVolumeClaim); is {
		m.SetFinalizers(append(m.GetFinalizers(), protection))
	}
	kinds, _, err := t.scheme.ObjectKinds(o)
	if err != nil {
		return fmt.Errorf("creating a %T: %w", o, err)
	}
	return t.defaults.set(kinds[0].Kind, o)
}

// count sets the generation of an object that is about to be replaced.
func (t *tracker) count(gvr schema.GroupVersionResource, o apiruntime.Object, ns string) error {
	m, err := meta.Accessor(o)
	if err != nil {
		return fmt.Errorf("updating a %T: %w", o, err)
	}
	before, err := t.Get(gvr, ns, m.GetName())
	if err != nil {
		return err
	}
	return generation(before, o)
}

// generation counts one up where more than metadata and status differ.
func generation(before, after apiruntime.Object) error {
	old, err := unstructuredOf(before)
	if err != nil {
		return err
	}
	fresh, err := unstructuredOf(after)
	if err != nil {
		return err
	}
	for _, part := range []string{"apiVersion", "kind", "metadata", "status"} {
		delete(old, part)
		delete(fresh, part)
	}
	from, err := meta.Accessor(before)
	if err != nil {
		return err
	}
	to, err := meta.Accessor(after)
	if err != nil {
		return err
	}
	to.SetGeneration(from.GetGeneration())
	if !equality.Semantic.DeepEqual(old, fresh) {
		to.SetGeneration(from.GetGeneration() + 1)
	}
	return nil
}

// converters know the fields of Kubernetes' kinds from their definitions, and deduce
// those of ours.
type converters []managedfields.TypeConverter

// ObjectToTyped converts by the first that knows the kind.
func (c converters) ObjectToTyped(o apiruntime.Object, options ...typed.ValidationOptions) (value *typed.TypedValue, err error) {
	for _, converter := range c {
		if value, err = converter.ObjectToTyped(o, options...); err == nil {
			return value, nil
		}
	}
	return nil, err
}

// TypedToObject converts by the first that knows the kind.
func (c converters) TypedToObject(value *typed.TypedValue) (o apiruntime.Object, err error) {
	for _, converter := range c {
		if o, err = converter.TypedToObject(value); err == nil {
			return o, nil
		}
	}
	return nil, err
}
