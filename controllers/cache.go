package controllers

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/apply"
)

// CacheOptions limits what the operator keeps in memory: otherwise it would hold every
// pod and ConfigMap of the cluster. Relays and their children are watched in the scope's
// namespaces, keepers in the operator's own. Every namespace costs a watch for each of ten kinds.
func CacheOptions(scope Scope, operatorNamespace string) (cache.Options, error) {
	ours := labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})
	inARegion, err := labels.NewRequirement(v1alpha1.LabelNodeRegion, selection.Exists, nil)
	if err != nil {
		return cache.Options{}, fmt.Errorf("selecting the regions' nodes: %w", err)
	}
	// Children: only those we made. They keep their managed fields, which show a pass
	// whether anything that we set was changed, and are packed.
	pack := apply.NewPacker().Pack
	children := cache.ByObject{Label: ours, Transform: pack}
	orKeepers := cache.ByObject{Label: ours, Transform: pack, Namespaces: keeperNamespaces(scope, operatorNamespace)}
	return cache.Options{DefaultNamespaces: configs(scope), ByObject: map[client.Object]cache.ByObject{
		&corev1.ServiceAccount{}:        orKeepers,
		&corev1.ConfigMap{}:             children,
		&corev1.Service{}:               children,
		&corev1.PersistentVolumeClaim{}: children,
		&appsv1.StatefulSet{}:           children,
		&batchv1.CronJob{}:              orKeepers,
		&networkingv1.NetworkPolicy{}:   orKeepers,
		&policyv1.PodDisruptionBudget{}: children,
		// Pods: of their spec, only the node is of interest.
		&corev1.Pod{}: {Label: ours, Transform: slimPod, Namespaces: orKeepers.Namespaces},
		// Nodes: only those of a region.
		&corev1.Node{}: {
			Label:     labels.NewSelector().Add(*inARegion),
			Transform: slimNode,
		},
		// Storage classes are few. Only the metadata is watched.
		&storagev1.StorageClass{}: {Transform: stripManagedFields},
		// Our own kinds: their managed fields are not needed.
		&v1alpha1.BusinessRelay{}: {Transform: stripManagedFields},
		&v1alpha1.DataRegion{}:    {Transform: stripManagedFields},
	}}, nil
}

// configs are the settings of the scope's namespaces; nil stands for all namespaces.
func configs(scope Scope) map[string]cache.Config {
	watched := scope.Watched()
	if len(watched) == 0 {
		return nil
	}
	all := make(map[string]cache.Config, len(watched)+1)
	for _, namespace := range watched {
		all[namespace] = cache.Config{}
	}
	return all
}

// keeperNamespaces are the settings for the kinds that keepers consist of. In the operator's own namespace, unless
// relays are watched there as well, the operator looks at keepers only.
func keeperNamespaces(scope Scope, operatorNamespace string) map[string]cache.Config {
	all := configs(scope)
	if _, watched := all[operatorNamespace]; all == nil || watched || operatorNamespace == "" {
		return all
	}
	all[operatorNamespace] = cache.Config{LabelSelector: labels.SelectorFromSet(labels.Set{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelName: v1alpha1.NameKeeper,
	})}
	return all
}

func stripManagedFields(o any) (any, error) {
	if m, err := meta.Accessor(o); err == nil {
		m.SetManagedFields(nil)
	}
	return o, nil
}

// slimNode keeps a node's labels, and whether it takes pods.
func slimNode(o any) (any, error) {
	node, ok := o.(*corev1.Node)
	if !ok {
		return o, nil
	}
	node.ManagedFields, node.Annotations = nil, nil
	node.Spec = corev1.NodeSpec{Unschedulable: node.Spec.Unschedulable}
	var ready []corev1.NodeCondition
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			ready = append(ready, corev1.NodeCondition{Type: c.Type, Status: c.Status})
		}
	}
	node.Status = corev1.NodeStatus{Conditions: ready}
	return node, nil
}

// slimPod keeps only the parts of a pod that its relay's status is made from.
func slimPod(o any) (any, error) {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return o, nil
	}
	pod.ManagedFields = nil
	pod.Annotations = nil
	pod.Spec = corev1.PodSpec{NodeName: pod.Spec.NodeName}
	small := corev1.PodStatus{Phase: pod.Status.Phase, PodIP: pod.Status.PodIP}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled {
			small.Conditions = []corev1.PodCondition{{Type: c.Type, Status: c.Status, Message: c.Message}}
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		small.ContainerStatuses = append(small.ContainerStatuses, corev1.ContainerStatus{
			Name: s.Name, Ready: s.Ready, RestartCount: s.RestartCount, ImageID: s.ImageID, State: s.State,
		})
	}
	pod.Status = small
	return pod, nil
}
