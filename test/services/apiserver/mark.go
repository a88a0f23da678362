package apiserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
)

// object names an object of the server.
type object struct {
	schema.GroupVersionResource
	types.NamespacedName
}

// Mark notes what is in the server. The function that it returns removes all that came after, whatever finalizers hold it,
// so that a package's tests can share a server and each find it as new. What Kubernetes makes for itself stays, and events do.
func (s *Server) Mark(ctx context.Context) (restore func(context.Context) error, err error) {
	c, err := metadata.NewForConfig(s.Config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	before, err := s.objects(ctx, c)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		for {
			if n, err := s.removeOthers(ctx, c, before); n == 0 || err != nil {
				return err
			}
		}
	}, nil
}

// removeOthers removes all objects but those that were there before, and returns how many there were.
func (s *Server) removeOthers(ctx context.Context, c metadata.Interface, before map[object][]string) (n int, err error) {
	now, err := s.objects(ctx, c)
	if err != nil {
		return 0, err
	}
	for o, finalizers := range now {
		if _, was := before[o]; was {
			continue
		}
		n++
		if err := s.remove(ctx, c, o, finalizers); err != nil {
			return n, fmt.Errorf("removing %s %s: %w", o.Resource, o.NamespacedName, err)
		}
	}
	return n, nil
}

// objects returns what is in the server, each object with its finalizers.
func (s *Server) objects(ctx context.Context, c metadata.Interface) (map[object][]string, error) {
	kinds, err := s.kinds()
	if err != nil {
		return nil, err
	}
	found := map[object][]string{}
	for _, kind := range kinds {
		list, err := c.Resource(kind).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", kind.Resource, err)
		}
		for i := range list.Items {
			o := &list.Items[i]
			if !strings.HasPrefix(o.Namespace, "kube-") && !strings.HasPrefix(o.Name, "system:") {
				found[object{kind, types.NamespacedName{Namespace: o.Namespace, Name: o.Name}}] = o.Finalizers
			}
		}
	}
	return found, nil
}

// kinds returns those of which objects can be listed and deleted.
func (s *Server) kinds() (all []schema.GroupVersionResource, err error) {
	groups, err := s.Kube.Discovery().ServerPreferredResources()
	if err != nil {
		return nil, fmt.Errorf("asking for the kinds of objects: %w", err)
	}
	for _, group := range groups {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("reading the kinds of objects: %w", err)
		}
		for _, kind := range group.APIResources {
			if kind.Kind != "Event" && slices.Contains(kind.Verbs, "list") && slices.Contains(kind.Verbs, "delete") {
				all = append(all, version.WithResource(kind.Name))
			}
		}
	}
	return all, nil
}

// remove deletes an object that nothing may hold. One that is gone is no error.
func (s *Server) remove(ctx context.Context, c metadata.Interface, o object, finalizers []string) error {
	one := c.Resource(o.GroupVersionResource).Namespace(o.Namespace)
	var err error
	if len(finalizers) > 0 {
		_, err = one.Patch(ctx, o.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	}
	now := int64(0)
	err = errors.Join(ignoreGone(err), ignoreGone(one.Delete(ctx, o.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})))
	if err == nil && o.GroupResource() == corev1.Resource("namespaces") {
		// What is in it is removed as it was found: there is no controller that does so.
		_, err = s.Kube.CoreV1().Namespaces().Finalize(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: o.Name}}, metav1.UpdateOptions{})
	}
	return ignoreGone(err)
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
