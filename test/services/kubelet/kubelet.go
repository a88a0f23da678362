// Package kubelet serves port forwarding and logs as a node's kubelet does, the former with Kubernetes' own code, for tests
// that have an API server and no nodes. It must not know what listens at a port.
package kubelet

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// Limits of a kubelet's streams.
const (
	idleTimeout   = time.Minute
	createTimeout = 30 * time.Second
)

// Ports are what answers at the ports of every pod of a node, host:port.
type Ports map[int32]string

// StartT makes a node known to an API server, whose pods have these ports, until the test ends.
func StartT(t testing.TB, kube kubernetes.Interface, name string, ports Ports) {
	t.Helper()
	StartWithLogsT(t, kube, name, ports, func(string) string { return "" })
}

// StartWithLogsT is StartT of a node whose pods have logs.
func StartWithLogsT(t testing.TB, kube kubernetes.Interface, name string, ports Ports, logs func(pod string) string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/portForward/{namespace}/{pod}", func(w http.ResponseWriter, r *http.Request) {
		portforward.ServePortForward(w, r, ports, r.PathValue("pod"), "", nil, idleTimeout, createTimeout, portforward.SupportedProtocols)
	})
	mux.HandleFunc("/containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, logs(r.PathValue("pod")))
	})
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	if err := register(t.Context(), kube, name, server.Listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
}

// register makes a node whose kubelet is at an address.
func register(ctx context.Context, kube kubernetes.Interface, name, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("reading the kubelet's address: %w", err)
	}
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return fmt.Errorf("reading the kubelet's port: %w", err)
	}
	node, err := kube.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("making a node: %w", err)
	}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: host}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(number)
	if _, err := kube.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("saying where the node's kubelet is: %w", err)
	}
	return nil
}

// PortForward implements portforward.PortForwarder.
func (p Ports) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	at, ok := p[port]
	if !ok {
		return fmt.Errorf("nothing listens at port %d", port)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	go func() {
		_, _ = io.Copy(conn, stream)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, conn)
	return err
}

// RunPod makes a pod on a node, in a phase.
func RunPod(ctx context.Context, kube kubernetes.Interface, node, namespace, name string, phase corev1.PodPhase) error {
	pod, err := kube.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main", Image: "none"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("making a pod: %w", err)
	}
	pod.Status.Phase = phase
	if phase == corev1.PodRunning {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	if _, err := kube.CoreV1().Pods(namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("saying how the pod is: %w", err)
	}
	return nil
}
