// Package placement decides whether a region can take a relay: a chain of pure
// checks over what was gathered. It fails closed: what is not known to be in the region
// counts as outside it. It must not know a client.
package placement

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
)

// Facts are the input of a decision.
type Facts struct {
	// Region is what the relay names.
	Region *v1alpha1.DataRegion
	// ClassExists says whether the region's storage class does.
	ClassExists bool
	// Nodes are the labels of the nodes that carry the region's own label.
	Nodes []map[string]string
	// Names are those nodes' names.
	Names []string
	// Usable are those of them that are ready and take new pods.
	Usable []map[string]string
	// Started says that the relay ran before: one whose store is in a database has no claim.
	Started bool
	// Claim is the relay's, nil while there is none.
	Claim *corev1.PersistentVolumeClaim
}

// Matching counts the nodes that the region's placement admits.
func Matching(region *v1alpha1.DataRegion, nodes []map[string]string) int {
	count := 0
	for _, node := range nodes {
		if region.Admits(node) {
			count++
		}
	}
	return count
}

// Region says whether a region can take relays at all: nil, or why not.
func Region(f Facts) error {
	name := f.Region.Name
	switch {
	case !f.ClassExists:
		return outcome.Missing(v1alpha1.ReasonStorageClassMissing,
			"there is no StorageClass %q, which DataRegion %q names: create it, or correct storageClassName", f.Region.Spec.StorageClassName, name)
	case Matching(f.Region, f.Usable) == 0 && Matching(f.Region, f.Nodes) > 0:
		return outcome.Missing(v1alpha1.ReasonNoMatchingNode,
			"no node of DataRegion %q is ready and takes pods: see kubectl get nodes -l %s=%s", name, v1alpha1.LabelNodeRegion, name)
	case Matching(f.Region, f.Nodes) == 0:
		return outcome.Missing(v1alpha1.ReasonNoMatchingNode,
			"no node belongs to DataRegion %q: label one %s=%s%s", name, v1alpha1.LabelNodeRegion, name, alsoWith(f.Region))
	}
	return nil
}

func alsoWith(region *v1alpha1.DataRegion) string {
	if s := region.Spec.Placement.NodeSelector; len(s) > 0 {
		return ", with the labels of placement.nodeSelector (" + labels.FormatLabels(s) + ")"
	}
	return ""
}

// Relay says whether the region can take this relay: nil, or why not.
func Relay(f Facts) error {
	if f.Claim == nil && !f.Started && f.Region.DeletionTimestamp != nil {
		return outcome.Stalled(v1alpha1.ReasonRegionNotReady,
			"DataRegion %q is being deleted and accepts no new relays: use another DataRegion", f.Region.Name)
	}
	if f.Started { // what runs goes on, also on a node that takes no more
		f.Usable = f.Nodes
	}
	if err := Region(f); err != nil {
		return err
	}
	if f.Claim == nil {
		return nil
	}
	in, says := f.Claim.Labels[v1alpha1.LabelRegion]
	if !says {
		return outcome.Stalled(v1alpha1.ReasonVolumeElsewhere,
			"PersistentVolumeClaim %s does not say that its volume is in the region: if you restored it from a snapshot, make it again from that with all labels of the one that it replaces, which are %s=%s, %s=%s and %s=%s at least",
			f.Claim.Name, v1alpha1.LabelManagedBy, v1alpha1.ManagedBy, v1alpha1.LabelInstance, strings.TrimSuffix(f.Claim.Name, v1alpha1.SuffixRelay), v1alpha1.LabelRegion, f.Region.Name)
	}
	if in != f.Region.Name {
		return outcome.Stalled(v1alpha1.ReasonVolumeElsewhere,
			"PersistentVolumeClaim %s, left by an earlier relay, belongs to region %q: delete it, or use another name for the relay", f.Claim.Name, in)
	}
	if class := f.Claim.Spec.StorageClassName; class == nil || *class != string(f.Region.Spec.StorageClassName) {
		return outcome.Stalled(v1alpha1.ReasonVolumeElsewhere,
			"PersistentVolumeClaim %s is not of the region's StorageClass %q: set the DataRegion back to the previous class, or use another name for the relay", f.Claim.Name, f.Region.Spec.StorageClassName)
	}
	return nil
}

// Evidence says how certain it is that a volume is in the region: its own node affinity
// proves it, or else only the storage class declares it.
func Evidence(region string, nodes []map[string]string, volume *corev1.PersistentVolume) v1alpha1.VolumeEvidence {
	affinity := volume.Spec.NodeAffinity
	if affinity == nil || affinity.Required == nil || len(affinity.Required.NodeSelectorTerms) == 0 {
		return v1alpha1.VolumeDeclared
	}
	for _, term := range affinity.Required.NodeSelectorTerms {
		if !slices.ContainsFunc(term.MatchExpressions, func(r corev1.NodeSelectorRequirement) bool {
			return confines(r, region, nodes)
		}) {
			return v1alpha1.VolumeDeclared
		}
	}
	return v1alpha1.VolumeVerified
}

// confines says whether a requirement admits nodes of the region only.
func confines(r corev1.NodeSelectorRequirement, region string, nodes []map[string]string) bool {
	if r.Operator != corev1.NodeSelectorOpIn || len(r.Values) == 0 {
		return false
	}
	switch r.Key {
	case v1alpha1.LabelNodeRegion:
		return len(r.Values) == 1 && r.Values[0] == region
	case corev1.LabelHostname:
		for _, host := range r.Values {
			if !slices.ContainsFunc(nodes, func(n map[string]string) bool {
				return n[corev1.LabelHostname] == host && n[v1alpha1.LabelNodeRegion] == region
			}) {
				return false
			}
		}
		return true
	}
	return false
}
