package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/placement"
)

// gather reads the facts that decide whether a region can take relays: of nodes and
// storage classes, only the metadata.
func gather(ctx context.Context, c client.Reader, region *v1alpha1.DataRegion) (placement.Facts, error) {
	facts := placement.Facts{Region: region}
	class := &metav1.PartialObjectMetadata{}
	class.SetGroupVersionKind(storagev1.SchemeGroupVersion.WithKind("StorageClass"))
	err := c.Get(ctx, client.ObjectKey{Name: string(region.Spec.StorageClassName)}, class)
	if err != nil && !apierrors.IsNotFound(err) {
		return facts, fmt.Errorf("reading the region's storage class: %w", err)
	}
	facts.ClassExists = err == nil

	nodes := &metav1.PartialObjectMetadataList{}
	nodes.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NodeList"))
	err = c.List(ctx, nodes, client.MatchingLabels{v1alpha1.LabelNodeRegion: region.Name})
	if err != nil {
		return facts, fmt.Errorf("listing the region's nodes: %w", err)
	}
	for i := range nodes.Items {
		facts.Nodes = append(facts.Nodes, nodes.Items[i].Labels)
	}
	return facts, nil
}
