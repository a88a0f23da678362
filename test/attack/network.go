package attack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/test/lab"
)

// finder finds a pod.
type finder func(context.Context, *Scene) (*corev1.Pod, error)

func relayPod(b *lab.Business) finder {
	return func(ctx context.Context, s *Scene) (*corev1.Pod, error) { return s.lab.RelayPod(ctx, b) }
}

func edgePod(ctx context.Context, s *Scene) (*corev1.Pod, error)     { return s.lab.EdgePod(ctx) }
func operatorPod(ctx context.Context, s *Scene) (*corev1.Pod, error) { return s.operatorPod(ctx) }

// target finds out the address of something.
type target func(context.Context, *Scene) (url string, err error)

func podAt(of finder, scheme string, port int32) target {
	return func(ctx context.Context, s *Scene) (string, error) {
		pod, err := of(ctx, s)
		if err != nil {
			return "", err
		}
		return scheme + "://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(port))) + "/", nil
	}
}

func serviceAt(namespace, name string, port int) target {
	return func(ctx context.Context, s *Scene) (string, error) {
		var service corev1.Service
		if err := s.lab.Client().Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &service); err != nil {
			return "", fmt.Errorf("reading a Service: %w", err)
		}
		return "https://" + net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(port)) + "/", nil
	}
}

func urlOf(find func(*lab.Lab) string) target {
	return func(_ context.Context, s *Scene) (string, error) { return find(s.lab), nil }
}

// call connects to a target as a pod. Any answer is an answer.
func call(from finder, to target) act {
	return func(ctx context.Context, s *Scene) error {
		pod, err := from(ctx, s)
		if err != nil {
			return err
		}
		url, err := to(ctx, s)
		if err != nil {
			return err
		}
		_, err = s.lab.From(ctx, pod, "curl", "-sS", "-k", "--max-time", "4", "-o", "/dev/null", url)
		return err
	}
}

// patiently repeats a call that may come before the network knows of a new pod.
func patiently(do act) act {
	return func(ctx context.Context, s *Scene) error {
		ctx, cancel := context.WithTimeout(ctx, pollFor)
		defer cancel()
		return lab.Poll(ctx, func(ctx context.Context) error { return do(ctx, s) })
	}
}

// metadataAddress stands for a cloud's metadata service: an address that only the
// link itself has, here of this machine.
const metadataAddress = "169.254.77.77"

// withMetadata does something while something answers at metadataAddress.
func withMetadata(do func(url target) act) act {
	return func(ctx context.Context, s *Scene) (err error) {
		for _, verb := range []string{"add", "del"} {
			run := func() error {
				out, err := exec.CommandContext(context.WithoutCancel(ctx), "ip", "address", verb, metadataAddress+"/32", "dev", "lo").CombinedOutput()
				if err != nil {
					return fmt.Errorf("ip address %s: %w: %s", verb, err, out)
				}
				return nil
			}
			if verb == "del" {
				defer func() { err = errors.Join(err, run()) }()
			} else if err := run(); err != nil {
				return err
			}
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(metadataAddress, "443"))
		if err != nil {
			return fmt.Errorf("listening in the place of a metadata service: %w", err)
		}
		server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
		go func() { _ = server.Serve(listener) }()
		defer func() { _ = server.Close() }()
		return do(urlOf(func(*lab.Lab) string { return "http://" + metadataAddress + ":443/" }))(ctx, s)
	}
}

// onTheNetwork are attempts of acme's pod to connect where it has no business.
func onTheNetwork() []Attempt {
	acme, globex := relayPod(lab.Acme), relayPod(lab.Globex)
	const policies = "NetworkPolicy"
	reach := func(tries string, to target, owners string, owner finder) Attempt {
		return Attempt{"acme's pod", tries, policies, owners, call(acme, to), patiently(call(owner, to)), byNetwork}
	}
	return []Attempt{
		reach("calls globex's pod", podAt(globex, "https", contract.EndpointPort), "the gateway's pod", edgePod),
		reach("calls globex's Service", serviceAt("globex", "globex-relay", int(contract.EndpointPort)), "the gateway's pod", edgePod),
		reach("asks globex's relay for its status", podAt(globex, "http", contract.StatusPort), "the operator's pod", operatorPod),
		reach("calls the Vault of globex's region", urlOf(func(l *lab.Lab) string { return l.VaultAddress(lab.NA) }), "globex's pod", globex),
		reach("calls globex's webhook inside the private network", urlOf(func(l *lab.Lab) string { return l.WebhookURL(lab.Globex) }), "globex's pod", globex),
		reach("calls the API server", serviceAt("default", "kubernetes", 443), "the operator's pod", operatorPod),
		{
			"globex's pod, as for a webhook there,", "calls a metadata address", policies, "the gateway's pod on the same node, which no policy of Relaykeep's holds",
			withMetadata(func(to target) act { return call(globex, to) }),
			withMetadata(func(to target) act { return patiently(call(edgePod, to)) }), byNetwork,
		},
	}
}
