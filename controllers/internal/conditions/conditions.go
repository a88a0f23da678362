// Package conditions keeps an object's conditions and writes its status, once and
// only when something in it changed. It must not know what any condition means.
package conditions

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
)

// Set is the conditions of one object, for one generation of its spec.
type Set struct {
	list       *[]metav1.Condition
	generation int64
}

// For returns the set of conditions at list.
func For(list *[]metav1.Condition, generation int64) Set { return Set{list, generation} }

// Mark sets a condition. Its time changes only with its status.
func (s Set) Mark(kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(s.list, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: outcome.Clip(message), ObservedGeneration: s.generation,
	})
}

// Get returns a condition, nil if there is none of that type.
func (s Set) Get(kind string) *metav1.Condition { return meta.FindStatusCondition(*s.list, kind) }

// Remove takes a condition away.
func (s Set) Remove(kind string) { meta.RemoveStatusCondition(s.list, kind) }

// Progress sets Reconciling and Stalled as kstatus wants them: each present only
// while it is True.
func (s Set) Progress(v outcome.Verdict) {
	s.present(v1alpha1.ConditionReconciling, v.Moving, v)
	s.present(v1alpha1.ConditionStalled, v.Stalled, v)
}

func (s Set) present(kind string, yes bool, v outcome.Verdict) {
	if !yes {
		s.Remove(kind)
		return
	}
	s.Mark(kind, metav1.ConditionTrue, v.Reason, v.Message)
}

// WriteStatus applies an object's status if it changed. Only the operator writes it, so
// fields that status leaves out are removed.
func WriteStatus(ctx context.Context, c client.Client, kind schema.GroupVersionKind, key client.ObjectKey, was, is any) error {
	if equality.Semantic.DeepEqual(was, is) {
		return nil
	}
	status, err := runtime.DefaultUnstructuredConverter.ToUnstructured(is)
	if err != nil {
		return fmt.Errorf("encoding the status: %w", err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	u.SetGroupVersionKind(kind)
	u.SetNamespace(key.Namespace)
	u.SetName(key.Name)
	err = c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u),
		client.FieldOwner(v1alpha1.FieldManager), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}
