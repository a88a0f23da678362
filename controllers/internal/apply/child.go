// Package apply brings one child of a relay to its desired state, by server-side apply:
// only if a field that we set differs or others wrote into what is ours alone, and never by
// taking over somebody else's object. It must not know what any child is for.
package apply

import (
	"encoding/json"
	"fmt"
	"hash/fnv"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// Configuration is what every generated apply configuration implements.
type Configuration interface {
	runtime.ApplyConfiguration
	GetName() *string
	GetNamespace() *string
	GetKind() *string
	GetAPIVersion() *string
}

// Child is the desired state of an object.
type Child struct {
	kind    schema.GroupVersionKind
	key     client.ObjectKey
	config  runtime.ApplyConfiguration
	wanted  []byte // config in JSON
	hash    uint64 // of wanted
	empty   func() client.Object
	differs func(live client.Object) (bool, error)
}

// Name returns the kind and name, as in "Service acme-relay".
func (c Child) Name() string { return c.kind.Kind + " " + c.key.Name }

// Typed makes a child of an apply configuration. Extract is client-go's function for
// the kind: it returns those fields of a live object that our field manager owns, so
// that neither defaults nor others' fields count as a difference.
func Typed[T any, L interface {
	*T
	client.Object
}, A Configuration](want A, extract func(live L, manager string) (A, error)) Child {
	wanted := encode(want)
	return Child{
		kind:   schema.FromAPIVersionAndKind(*want.GetAPIVersion(), *want.GetKind()),
		key:    client.ObjectKey{Namespace: *want.GetNamespace(), Name: *want.GetName()},
		config: want,
		wanted: wanted,
		hash:   hashOf(wanted),
		empty:  func() client.Object { return L(new(T)) },
		differs: func(live client.Object) (bool, error) {
			have, err := extract(live.(L), v1alpha1.FieldManager)
			if err != nil {
				return false, fmt.Errorf("reading which fields are ours: %w", err)
			}
			return !equality.Semantic.DeepEqual(want, have), nil
		},
	}
}

// Untyped makes a child of a kind that this program has no types for. Its spec is
// all ours: any difference in it counts.
func Untyped(want *unstructured.Unstructured) Child {
	wanted := encode(want.Object)
	return Child{
		kind:   want.GroupVersionKind(),
		key:    client.ObjectKeyFromObject(want),
		config: client.ApplyConfigurationFromUnstructured(want),
		wanted: wanted,
		hash:   hashOf(wanted),
		empty: func() client.Object {
			u := &unstructured.Unstructured{}
			u.SetGroupVersionKind(want.GroupVersionKind())
			return u
		},
		differs: func(live client.Object) (bool, error) {
			have := live.(*unstructured.Unstructured)
			return !equality.Semantic.DeepEqual(want.Object["spec"], have.Object["spec"]) ||
				!equality.Semantic.DeepEqual(want.GetOwnerReferences(), have.GetOwnerReferences()) ||
				!contains(have.GetLabels(), want.GetLabels()), nil
		},
	}
}

// encode returns an apply configuration in JSON. What consists of strings, numbers and lists of them cannot fail.
func encode(want any) []byte {
	raw, err := json.Marshal(want)
	if err != nil {
		panic(fmt.Sprintf("encoding a %T: %v", want, err))
	}
	return raw
}

// hashOf is of a child's desired state.
func hashOf(wanted []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(wanted) // a hash never fails
	return h.Sum64()
}

func contains(have, want map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}
