package apply

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// Bounds on what a Drift names: others choose it.
const (
	maxManagers = 3
	maxFields   = 4
	maxName     = 64 // bytes of one field manager's or field's name
)

// restartedAt is the annotation with which kubectl rollout restart replaces pods. It is the one thing that others may
// write into a child: a restart is an admin's right, and its removal would be another.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

// Drift is what others did to a child, which was brought back.
type Drift struct {
	Kind, Name string
	// Live is the object as it was found; nil if the whole object was gone.
	Live client.Object
	// By are the field managers that wrote, empty if the object does not tell.
	By []string
	// Fields are the names of what they wrote, as in "spec.template.spec.containers", without keys and values; empty if
	// they removed something.
	Fields []string
}

// String says in one sentence what happened, for an event.
func (d Drift) String() string {
	if d.Live == nil {
		return fmt.Sprintf("%s %s was deleted by somebody; it is made again", d.Kind, d.Name)
	}
	by := "somebody"
	if len(d.By) > 0 {
		by = strings.Join(d.By, ", ")
	}
	fields := ""
	if len(d.Fields) > 0 {
		fields = " (" + strings.Join(d.Fields, ", ") + ")"
	}
	return fmt.Sprintf("%s %s was changed by %s%s; it is as the operator wants it again", d.Kind, d.Name, by, fields)
}

// content are the fields of a kind, at the top, in which nobody else has anything to write.
func content(kind string) []string {
	switch kind {
	case "ConfigMap":
		return []string{"data", "binaryData", "immutable"}
	case "ServiceAccount":
		return []string{"secrets", "automountServiceAccountToken"} // some clusters give every account pull secrets
	case "PersistentVolumeClaim", "Job": // the API server lets nothing of them be changed that matters, and fills in much
		return nil
	default:
		return []string{"spec"}
	}
}

// owned is what one field manager owns of an object.
type owned struct {
	manager string
	fields  *fieldpath.Set
}

// foreign returns what others own of a live child's content and we do not: what they added or changed.
func (c Child) foreign(live client.Object) (all []owned, err error) {
	ours := fieldpath.NewSet()
	for _, entry := range live.GetManagedFields() {
		if entry.FieldsV1 == nil || entry.Subresource == "status" {
			continue
		}
		fields, err := c.fields(entry)
		if err != nil {
			return nil, err
		}
		if isOurs(entry) {
			ours = ours.Union(fields)
			continue
		}
		all = append(all, owned{entry.Manager, fields})
	}
	for i, o := range all {
		all[i].fields = filter(o.fields.Difference(ours).Leaves(), c.isOnlyOurs)
	}
	return slices.DeleteFunc(all, func(o owned) bool { return o.fields.Empty() }), nil
}

// owners are a live child's managed fields without what others own of its content, and whether that is a change.
func (c Child) owners(live client.Object) (kept []metav1.ManagedFieldsEntry, changed bool, err error) {
	for _, entry := range live.GetManagedFields() {
		if entry.FieldsV1 == nil || entry.Subresource == "status" || isOurs(entry) {
			kept = append(kept, entry)
			continue
		}
		fields, err := c.fields(entry)
		if err != nil {
			return nil, false, err
		}
		rest := filter(fields, func(p fieldpath.Path) bool { return !c.isOnlyOurs(p) })
		if changed = changed || !rest.Equals(fields); rest.Empty() {
			continue
		}
		raw, err := rest.ToJSON()
		if err != nil {
			return nil, false, fmt.Errorf("writing who owns the fields of %s: %w", c.Name(), err)
		}
		entry.FieldsV1 = entry.FieldsV1.DeepCopy()
		entry.FieldsV1.SetRawBytes(raw)
		kept = append(kept, entry)
	}
	return kept, changed, nil
}

// isOurs says whether an entry of the managed fields is our apply's. What we wrote in any other way is as good as another's.
func isOurs(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager == v1alpha1.FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply
}

// fields reads which fields an entry of a child's managed fields is about.
func (c Child) fields(entry metav1.ManagedFieldsEntry) (*fieldpath.Set, error) {
	fields := fieldpath.NewSet()
	if err := fields.FromJSON(entry.FieldsV1.GetRawReader()); err != nil {
		return nil, fmt.Errorf("reading who owns the fields of %s: %w", c.Name(), err)
	}
	return fields, nil
}

// isOnlyOurs says whether nobody else may own a field of a child.
func (c Child) isOnlyOurs(p fieldpath.Path) bool {
	return len(p) > 0 && p[0].FieldName != nil && slices.Contains(content(c.kind.Kind), *p[0].FieldName) && !isRestart(p)
}

func filter(s *fieldpath.Set, keep func(fieldpath.Path) bool) *fieldpath.Set {
	kept := fieldpath.NewSet()
	s.Iterate(func(p fieldpath.Path) {
		if keep(p) {
			kept.Insert(p.Copy())
		}
	})
	return kept
}

func isRestart(p fieldpath.Path) bool {
	last := p[len(p)-1].FieldName
	return last != nil && *last == restartedAt
}

// drift describes what others did to a child.
func (c Child) drift(live client.Object, by []owned) *Drift {
	d := &Drift{Kind: c.kind.Kind, Name: c.key.Name, Live: live}
	for _, o := range by {
		if o.manager != v1alpha1.FieldManager {
			d.By = add(d.By, o.manager, maxManagers)
		}
		o.fields.Iterate(func(p fieldpath.Path) { d.Fields = add(d.Fields, named(p), maxFields) })
	}
	return d
}

// add adds a name that is not there yet, as long as there is room.
func add(names []string, name string, room int) []string {
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	if len(names) == room || slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

// named joins the names of a path's fields up to four levels, and no further than the first list or map: below it, names
// may be anything.
func named(p fieldpath.Path) string {
	var names []string
	for _, e := range p {
		if e.FieldName == nil || len(names) == 4 {
			break
		}
		names = append(names, *e.FieldName)
		if slices.Contains([]string{"data", "binaryData", "selector", "matchLabels", "labels", "annotations", "nodeSelector"}, *e.FieldName) {
			break
		}
	}
	return strings.Join(names, ".")
}

// lastWriter is the field manager that was the last to write an object since we applied it, other than those who write its
// status; empty if there is none. A removal leaves no other trace.
func lastWriter(o client.Object) (manager string) {
	var at metav1.Time
	for _, entry := range o.GetManagedFields() {
		if entry.Manager == v1alpha1.FieldManager && entry.Time != nil && at.Before(entry.Time) {
			at = *entry.Time
		}
	}
	for _, entry := range o.GetManagedFields() {
		if entry.Manager != v1alpha1.FieldManager && entry.Subresource != "status" && entry.Time != nil && at.Before(entry.Time) {
			manager, at = entry.Manager, *entry.Time
		}
	}
	return manager
}
