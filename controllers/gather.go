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

// gather reads the facts that decide whether a region can take relays.
func gather(ctx context.Context, c client.Reader, region *v1alpha1.DataRegion) (placement.Facts, error) {
	facts := placement.Facts{Region: region}
	class := &metav1.PartialObjectMetadata{}
	class.SetGroupVersionKind(storagev1.SchemeGroupVersion.WithKind("StorageClass"))
	err := c.Get(ctx, client.ObjectKey{Name: string(region.Spec.StorageClassName)}, class)
	if err != nil && !apierrors.IsNotFound(err) {
		return facts, fmt.Errorf("reading the region's storage class: %w", err)
	}
	facts.ClassExists = err == nil

	nodes := &corev1.NodeList{}
	err = c.List(ctx, nodes, client.MatchingLabels{v1alpha1.LabelNodeRegion: region.Name})
	if err != nil {
		return facts, fmt.Errorf("listing the region's nodes: %w", err)
	}
	for i := range nodes.Items {
		node := &nodes.Items[i]
		facts.Nodes = append(facts.Nodes, node.Labels)
		facts.Names = append(facts.Names, node.Name)
		if usable(node) {
			facts.Usable = append(facts.Usable, node.Labels)
		}
	}
	return facts, nil
}

// usable says whether a node takes new pods.
func usable(node *corev1.Node) bool { return v1alpha1.StateOf(node) == v1alpha1.NodeUsable }
