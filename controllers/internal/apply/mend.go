package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
)

// settle brings a child to its desired state, if it is not in it; live is the child as it is, nil if there is none.
// What others wrote into it is taken out, and what they removed comes back.
func (a Applier) settle(ctx context.Context, c Child, live client.Object) error {
	if live != nil && a.Memory.settled(a.Owner, c, live.GetResourceVersion()) {
		return nil
	}
	found, err := a.examine(ctx, c, live)
	if err != nil {
		return err
	}
	if live = found.live; live != nil && found.drift == nil && !found.differs {
		a.Memory.noteVersion(a.Owner, c, live.GetResourceVersion())
		return nil
	}
	if found.drift != nil && !a.Memory.mayMend(a.Owner, a.Now()) {
		return outcome.Waiting(mendPause, v1alpha1.ReasonContested,
			"%s, and is changed again and again: stop who changes it; until then it is brought back every %s", *found.drift, mendPause)
	}
	if live != nil && found.foreign {
		err = a.prune(ctx, c, live)
	}
	if err == nil {
		err = a.Client.Apply(ctx, c.config, client.FieldOwner(v1alpha1.FieldManager), client.ForceOwnership)
	}
	if live != nil && cannotChange(live, err) {
		err = a.replace(ctx, c, live)
	}
	if err == nil && found.foreign {
		err = a.disown(ctx, c)
	}
	if err != nil {
		return outcome.FromAPI("applying "+c.Name(), err)
	}
	a.Memory.note(a.Owner, c)
	if found.drift != nil {
		a.Told(*found.drift)
	}
	return nil
}

// Mend undoes what others did to a child of relay. Otherwise the child stays as it is: it may be of another version, whose time
// to be changed has not come.
func (a Applier) Mend(ctx context.Context, relay *v1alpha1.BusinessRelay, c Child) error {
	live, err := a.get(ctx, c)
	if err != nil {
		return err
	}
	if live != nil {
		if err := guard(relay, c, live); err != nil {
			return err
		}
		if found, err := a.compare(c, live); err != nil || found.drift == nil {
			return err
		}
	}
	return a.settle(ctx, c, live)
}

// finding is how a child is, compared with how it should be.
type finding struct {
	live    client.Object
	differs bool   // from what we want
	drift   *Drift // what others did; nil for nothing
	foreign bool   // whether something of others is in it
}

// examine compares a child with its desired state. It takes nothing that others did from the cache alone, which may
// not know yet that it was mended.
func (a Applier) examine(ctx context.Context, c Child, live client.Object) (finding, error) {
	f, err := a.compare(c, live)
	if err != nil || f.drift == nil {
		return f, err
	}
	fresh := c.empty()
	switch err := a.Live.Get(ctx, c.key, fresh); {
	case apierrors.IsNotFound(err):
		return a.compare(c, nil)
	case err != nil:
		return finding{}, fmt.Errorf("reading %s: %w", c.Name(), err)
	case live == nil || fresh.GetUID() != live.GetUID() || fresh.GetDeletionTimestamp() != nil:
		return finding{}, outcome.Waiting(goneSoon, v1alpha1.ReasonProgressing, "%s is being replaced", c.Name()) // it is not known to be ours
	}
	return a.compare(c, fresh)
}

func (a Applier) compare(c Child, live client.Object) (finding, error) {
	ever, same := a.Memory.applied(a.Owner, c)
	f := finding{live: live, differs: true}
	if live == nil {
		if ever {
			f.drift = &Drift{Kind: c.kind.Kind, Name: c.key.Name}
		}
		return f, nil
	}
	by, err := c.foreign(live)
	if err != nil {
		return f, err
	}
	if f.differs, err = c.differs(live); err != nil {
		return f, err
	}
	switch {
	case len(by) > 0:
		f.drift, f.foreign = c.drift(live, by), true
	case f.differs && same: // somebody removed something
		f.drift = c.drift(live, nil)
		if w := lastWriter(live); w != "" {
			f.drift.By = add(nil, w, maxManagers)
		}
	}
	return f, nil
}

// prune replaces a child's content by what we want, in one write, so that nothing of others stays: an apply leaves what
// others own.
func (a Applier) prune(ctx context.Context, c Child, live client.Object) error {
	have, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return fmt.Errorf("reading %s: %w", c.Name(), err)
	}
	var want map[string]any
	if err := json.Unmarshal(c.wanted, &want); err != nil {
		return fmt.Errorf("reading what %s should be: %w", c.Name(), err)
	}
	carry(have, want)
	var patch []operation
	for _, field := range content(c.kind.Kind) {
		if value, ok := want[field]; ok {
			patch = append(patch, operation{"add", "/" + field, value}) // or replace
		} else if _, ok := have[field]; ok {
			patch = append(patch, operation{Op: "remove", Path: "/" + field})
		}
	}
	return a.patch(ctx, c, live, patch...)
}

// patch changes a child in the version that was read, and in no other.
func (a Applier) patch(ctx context.Context, c Child, live client.Object, operations ...operation) error {
	raw, err := json.Marshal(append([]operation{{"replace", "/metadata/resourceVersion", live.GetResourceVersion()}}, operations...))
	if err != nil {
		return fmt.Errorf("bringing %s back: %w", c.Name(), err)
	}
	return a.Client.Patch(ctx, live, client.RawPatch(types.JSONPatchType, raw), client.FieldOwner(v1alpha1.FieldManager))
}

// disown leaves our apply the only owner of a child's content. A prune makes us the owner of the defaults that come back, and
// others stay the owners of what they set to its default: each pass would find both again.
func (a Applier) disown(ctx context.Context, c Child) error {
	live := c.empty()
	if err := a.Live.Get(ctx, c.key, live); err != nil {
		return fmt.Errorf("reading %s: %w", c.Name(), err)
	}
	entries, changed, err := c.owners(live)
	if err != nil || !changed {
		return err
	}
	return a.patch(ctx, c, live, operation{"replace", "/metadata/managedFields", entries})
}

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// carry takes over what neither we nor others decide: the addresses that the API server gave a Service, and an admin's
// wish to have pods restarted.
func carry(have, want map[string]any) {
	paths := [][]string{{"spec", "template", "metadata", "annotations", restartedAt}}
	if want["kind"] == "Service" {
		for _, name := range []string{"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} {
			paths = append(paths, []string{"spec", name})
		}
	}
	for _, path := range paths {
		value, there, _ := unstructured.NestedFieldCopy(have, path...) // another type is as good as none
		if _, wanted, _ := unstructured.NestedFieldNoCopy(want, path...); there && !wanted {
			_ = unstructured.SetNestedField(want, value, path...)
		}
	}
}

// immutable ends the API server's words about a field that cannot be changed.
const immutable = "field is immutable"

// cannotChange says whether a write failed because its object cannot take the change, but a new one could.
func cannotChange(live client.Object, err error) bool {
	if !apierrors.IsInvalid(err) {
		return false
	}
	switch o := live.(type) {
	case *corev1.ConfigMap:
		return o.Immutable != nil && *o.Immutable
	case *appsv1.StatefulSet:
		status, is := errors.AsType[*apierrors.StatusError](err)
		return is && status.Status().Details != nil && slices.ContainsFunc(status.Status().Details.Causes, func(cause metav1.StatusCause) bool {
			// Some API servers forbid a change of the spec as a whole, others name the field.
			return cause.Field == "spec" && cause.Type == metav1.CauseTypeForbidden || strings.HasSuffix(cause.Message, immutable)
		})
	}
	return false
}

// replace deletes a child that cannot be changed. A StatefulSet's pods go on, and the new one takes them over. The child is
// made again by the pass that its deletion causes.
func (a Applier) replace(ctx context.Context, c Child, live client.Object) error {
	dependents := metav1.DeletePropagationBackground
	if _, is := live.(*appsv1.StatefulSet); is {
		dependents = metav1.DeletePropagationOrphan
	}
	err := a.Client.Delete(ctx, live, client.Preconditions{UID: new(live.GetUID())}, client.PropagationPolicy(dependents))
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	a.Memory.drop(a.Owner, c)
	return outcome.Waiting(goneSoon, v1alpha1.ReasonProgressing, "%s cannot be changed in place; it is made again", c.Name())
}
