package testenv

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// InMemory returns a server that keeps its objects in this process and takes no time
// to start: for steps that read, apply and delete. It applies by field manager, counts
// generations and sets our kinds' defaults as an API server does. It has no Config,
// because it validates nothing, refuses nobody and serves no kinds but those of
// Scheme: tests of these need Start.
func InMemory(context.Context) (*Server, error) {
	objects, err := newTracker(inMemory())
	if err != nil {
		return nil, err
	}
	b := fake.NewClientBuilder()
	for field, value := range map[string]func(*corev1.Event) string{ // which an API server can select by
		"involvedObject.kind": func(e *corev1.Event) string { return e.InvolvedObject.Kind },
		"involvedObject.name": func(e *corev1.Event) string { return e.InvolvedObject.Name },
		"involvedObject.uid":  func(e *corev1.Event) string { return string(e.InvolvedObject.UID) },
		"reason":              func(e *corev1.Event) string { return e.Reason },
	} {
		b = b.WithIndex(&corev1.Event{}, field, func(o client.Object) []string { return []string{value(o.(*corev1.Event))} })
	}
	c := b.
		WithScheme(Scheme()).
		WithObjectTracker(objects).
		WithReturnManagedFields().
		WithStatusSubresource(&v1alpha1.BusinessRelay{}, &v1alpha1.DataRegion{}).
		WithIndex(&v1alpha1.BusinessRelay{}, v1alpha1.FieldDataRegion, func(o client.Object) []string {
			return []string{string(o.(*v1alpha1.BusinessRelay).Spec.DataRegion)}
		}).
		WithIndex(&v1alpha1.BusinessRelay{}, v1alpha1.FieldPhoneNumber, func(o client.Object) []string {
			return []string{o.(*v1alpha1.BusinessRelay).Spec.PhoneNumber}
		}).
		WithInterceptorFuncs(interceptor.Funcs{Delete: remove}).
		Build()
	return &Server{Client: c}, nil
}

// inMemory returns a scheme with the kinds that a server in memory keeps, each in one version: at each change of an object the
// tracker goes through all that it knows, which are hundreds in Scheme.
func inMemory() *apiruntime.Scheme {
	return schemeOf(admissionregistrationv1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, eventsv1.AddToScheme,
		networkingv1.AddToScheme, policyv1.AddToScheme, rbacv1.AddToScheme, storagev1.AddToScheme, v1alpha1.AddToScheme)
}

// remove deletes an object as an API server does. It checks the UID that the caller
// names, and holds what a controller would have to let go: the dependents of an object
// that is deleted in the foreground, and whatever is in a namespace.
func remove(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
	asked := (&client.DeleteOptions{}).ApplyOptions(options)
	live, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("deleting a %T: it is no object", o)
	}
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), live); err != nil {
		return err
	}
	if p := asked.Preconditions; p != nil && p.UID != nil && *p.UID != live.GetUID() {
		return apierrors.NewConflict(schema.GroupResource{}, o.GetName(), fmt.Errorf("the UID is %s", live.GetUID()))
	}
	if live.GetDeletionTimestamp() != nil {
		return nil
	}
	holder := ""
	if p := asked.PropagationPolicy; p != nil && *p == metav1.DeletePropagationForeground {
		holder = metav1.FinalizerDeleteDependents
	}
	if _, is := live.(*corev1.Namespace); is {
		holder = "kubernetes"
	}
	if holder != "" {
		live.SetFinalizers(append(live.GetFinalizers(), holder))
		if err := c.Update(ctx, live); err != nil {
			return err
		}
	}
	return c.Delete(ctx, live)
}

// unstructuredOf returns an object as maps and lists.
func unstructuredOf(o apiruntime.Object) (map[string]any, error) {
	fields, err := apiruntime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("reading the fields of a %T: %w", o, err)
	}
	return fields, nil
}
