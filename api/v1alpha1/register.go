package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of every kind in this package.
const Group = "relaykeep.dev"

// Kinds of this package, as they appear in an object's "kind".
const (
	KindDataRegion    = "DataRegion"
	KindBusinessRelay = "BusinessRelay"
)

// GroupVersion is the group and version of every kind in this package.
//
//nolint:gochecknoglobals // as every API package has it; a value that nobody changes
var GroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

// AddToScheme registers the kinds of this package with a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&DataRegion{}, &DataRegionList{},
		&BusinessRelay{}, &BusinessRelayList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
