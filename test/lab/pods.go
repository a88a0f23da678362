package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// ErrForeignCluster says that something works on the lab's own cluster only, because it
// needs access to the nodes.
var ErrForeignCluster = errors.New("only the lab's own cluster lets one look into its nodes")

// RelayPod returns a business's relay pod, one of them if it has replicas.
func (l *Lab) RelayPod(ctx context.Context, b *Business) (*corev1.Pod, error) {
	pods, err := l.RelayPods(ctx, b)
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 {
		return nil, fmt.Errorf("no relay of %s runs", b.Name)
	}
	return &pods[0], nil
}

// RelayPods returns the pods of a business's relay that are not about to end.
func (l *Lab) RelayPods(ctx context.Context, b *Business) ([]corev1.Pod, error) {
	var pods corev1.PodList
	err := l.kube.List(ctx, &pods, client.InNamespace(b.Name), client.MatchingLabels{
		v1alpha1.LabelInstance: b.Name, v1alpha1.LabelComponent: v1alpha1.ComponentRelay,
	})
	if err != nil {
		return nil, fmt.Errorf("looking for the relay of %s: %w", b.Name, err)
	}
	return slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil || p.Status.PodIP == "" }), nil
}

// KillRelay kills the process of a relay's pod from its node, without a word.
func (l *Lab) KillRelay(ctx context.Context, pod *corev1.Pod) error {
	network, err := l.PodNetwork(ctx, pod)
	if err != nil {
		return err
	}
	own, err := os.Stat(network)
	if err != nil {
		return fmt.Errorf("looking at the network of pod %s: %w", pod.Name, err)
	}
	found, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return fmt.Errorf("looking for the process of pod %s: %w", pod.Name, err)
	}
	for _, file := range found {
		process := filepath.Dir(filepath.Dir(file))
		if its, err := os.Stat(file); err != nil || !os.SameFile(own, its) {
			continue // or it has ended
		}
		name, err := os.ReadFile(filepath.Join(process, "comm"))
		if err != nil || strings.TrimSpace(string(name)) != "relay" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(process))
		if err != nil {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("killing the process of pod %s: %w", pod.Name, err)
		}
		return nil
	}
	return fmt.Errorf("no process of pod %s runs here", pod.Name)
}

// edgePod is the name of the pod that stands where a gateway would.
const edgePod = "gateway"

// EdgePod returns the pod that stands where a gateway would, made if need be. It
// does nothing: who calls from its network namespace calls as it.
func (l *Lab) EdgePod(ctx context.Context) (*corev1.Pod, error) {
	image, err := l.pauseImage(ctx)
	if err != nil {
		return nil, err
	}
	_, err = l.Apply(ctx, fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: %s, namespace: %s}, spec: {
		nodeSelector: {kubernetes.io/hostname: na-1}, automountServiceAccountToken: false, terminationGracePeriodSeconds: 1,
		securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}},
		containers: [{name: pause, image: %q, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]}}`,
		edgePod, EdgeNamespace, image))
	if err != nil {
		return nil, err
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: EdgeNamespace, Name: edgePod}}
	err = waitWith(ctx, func(ctx context.Context) error {
		return Poll(ctx, func(ctx context.Context) error {
			if err := l.kube.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
				return fmt.Errorf("reading pod %s: %w", edgePod, err)
			}
			if pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP == "" {
				return fmt.Errorf("pod %s is %s", edgePod, pod.Status.Phase)
			}
			return nil
		})
	})
	return pod, err
}

// pauseImage returns the image in which the nodes keep pods' namespaces: it is on
// every node and does nothing.
func (l *Lab) pauseImage(ctx context.Context) (string, error) {
	var nodes corev1.NodeList
	if err := l.kube.List(ctx, &nodes); err != nil {
		return "", fmt.Errorf("listing the nodes: %w", err)
	}
	for _, n := range nodes.Items {
		for _, i := range n.Status.Images {
			for _, name := range i.Names {
				if strings.Contains(name, "/pause:") {
					return name, nil
				}
			}
		}
	}
	return "", errors.New("no node has an image called pause")
}

// networks are the files of the network namespaces of a node's pods; the node's
// name is filled in.
const networks = "/run/relaykeep-cluster/*/%s/containerd/io.containerd.grpc.v1.cri/netns/*"

// PodNetwork returns the file of a pod's network namespace: what runs in it, such as
// `nsenter --net=FILE curl …`, is that pod on the network.
func (l *Lab) PodNetwork(ctx context.Context, pod *corev1.Pod) (string, error) {
	if !l.own {
		return "", ErrForeignCluster
	}
	files, err := filepath.Glob(fmt.Sprintf(networks, pod.Spec.NodeName))
	if err != nil {
		return "", fmt.Errorf("looking for the network of pod %s: %w", pod.Name, err)
	}
	for _, file := range files {
		out, err := l.run(ctx, command{path: "nsenter", args: []string{"--net=" + file, "ip", "-4", "-o", "address"}, quiet: true})
		if err == nil && strings.Contains(out, " "+pod.Status.PodIP+"/") {
			return file, nil
		}
	}
	return "", fmt.Errorf("none of %d network namespaces has the address of pod %s", len(files), pod.Name)
}

// From runs a program as a pod on the network, and returns what it printed.
func (l *Lab) From(ctx context.Context, pod *corev1.Pod, args ...string) (string, error) {
	network, err := l.PodNetwork(ctx, pod)
	if err != nil {
		return "", err
	}
	return l.run(ctx, command{path: "nsenter", args: append([]string{"--net=" + network}, args...), quiet: true})
}

// Resolve is the argument of curl's --resolve that makes it find a business's endpoint, whose name
// only the cluster's own resolver knows.
func (l *Lab) Resolve(ctx context.Context, b *Business) (string, error) {
	address, err := l.serviceAddress(ctx, b)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s.%s.svc:%d:%s", b.Tenant(), b.Name, contract.EndpointPort, address), nil
}

// kubeletDir is where the kubelet of a node of the lab's own cluster keeps pods'
// volumes.
func (l *Lab) kubeletDir(node string) string {
	return filepath.Join(l.root, ".cluster", "nodes", node, "kubelet", "pods")
}

// RelayToken returns the token with which a business's relay logs in at Vault, as
// the node that runs it projected it. Nobody else can have it: Kubernetes refuses
// to issue another.
func (l *Lab) RelayToken(ctx context.Context, b *Business) (string, error) {
	if !l.own {
		return "", ErrForeignCluster
	}
	pod, err := l.RelayPod(ctx, b)
	if err != nil {
		return "", err
	}
	pattern := filepath.Join(l.kubeletDir(pod.Spec.NodeName), string(pod.UID), "volumes", "kubernetes.io~projected", "*", filepath.Base(contract.RelayTokenPath))
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("node %s has %d tokens for the relay of %s, want 1", pod.Spec.NodeName, len(files), b.Name)
	}
	token, err := os.ReadFile(files[0])
	if err != nil {
		return "", fmt.Errorf("reading the token of the relay of %s: %w", b.Name, err)
	}
	return string(token), nil
}

// Volume returns the folder of a business's volume on its node.
func (l *Lab) Volume(ctx context.Context, b *Business) (string, error) {
	if !l.own {
		return "", ErrForeignCluster
	}
	var claim corev1.PersistentVolumeClaim
	if err := l.kube.Get(ctx, types.NamespacedName{Namespace: b.Name, Name: b.Tenant()}, &claim); err != nil {
		return "", fmt.Errorf("reading the claim of %s: %w", b.Name, err)
	}
	var volume corev1.PersistentVolume
	if err := l.kube.Get(ctx, types.NamespacedName{Name: claim.Spec.VolumeName}, &volume); err != nil {
		return "", fmt.Errorf("reading the volume of %s: %w", b.Name, err)
	}
	switch source := volume.Spec.PersistentVolumeSource; {
	case source.HostPath != nil:
		return source.HostPath.Path, nil
	case source.Local != nil:
		return source.Local.Path, nil
	default:
		return "", fmt.Errorf("the volume of %s is not on a node's disk", b.Name)
	}
}
