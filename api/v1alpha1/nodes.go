package v1alpha1

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// NodeState says whether a node takes new pods.
type NodeState string

// The states of a node.
const (
	NodeUsable   NodeState = "usable"
	NodeCordoned NodeState = "cordoned"
	NodeNotReady NodeState = "not ready"
)

// StateOf says whether a node takes new pods: it is not cordoned, and nobody says that it is not ready.
func StateOf(node *corev1.Node) NodeState {
	switch {
	case slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue
	}):
		return NodeNotReady
	case node.Spec.Unschedulable:
		return NodeCordoned
	}
	return NodeUsable
}

// Admits says whether a node with these labels is one of the region's that its placement selects.
func (r *DataRegion) Admits(node map[string]string) bool {
	return node[LabelNodeRegion] == r.Name && labels.SelectorFromSet(r.Spec.Placement.NodeSelector).Matches(labels.Set(node))
}
