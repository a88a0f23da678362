// Package v1alpha1 is the Kubernetes API of Relaykeep: the kinds DataRegion and
// BusinessRelay, what their conditions are called, and the labels by which their
// children are found. It has no behaviour: controllers act on these types, and it must
// not know how.
//
// +kubebuilder:object:generate=true
// +groupName=relaykeep.dev
package v1alpha1
