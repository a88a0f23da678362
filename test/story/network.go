package story

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/test/lab"
)

// cutOff are curl's exit codes (curl(1)) for packets that were turned away (7) or
// dropped (28) on their way, whichever the cluster's policies do. The same call from
// the gateway shows that it is not the endpoint that is missing.
var cutOff = []int{7, 28}

func (s *Story) network() []Claim {
	return []Claim{
		{"acme's pod answers the gateway's pod", s.gatewayCalls},
		{"globex's pod is cut off from acme's by NetworkPolicy", s.globexCalls},
		{"though globex's pod does reach what it may", s.globexReachesVault},
	}
}

// call asks a business's endpoint for its number, without a token, as a pod.
func (s *Story) call(ctx context.Context, from *corev1.Pod) (command, answer string, err error) {
	resolve, err := s.lab.Resolve(ctx, lab.Acme)
	if err != nil {
		return "", "", err
	}
	url := fmt.Sprintf("https://%s.%s.svc:%d/v23.0/me", lab.Acme.Tenant(), lab.Acme.Name, contract.EndpointPort)
	args := []string{"curl", "-sS", "--max-time", "4", "--cacert", s.lab.EndpointCA(lab.Acme), "--resolve", resolve, url}
	answer, err = s.lab.From(ctx, from, args...)
	return fmt.Sprintf("$ curl %s   # as pod %s/%s", url, from.Namespace, from.Name), answer, err
}

func (s *Story) gatewayCalls(ctx context.Context) (string, error) {
	gateway, err := s.lab.EdgePod(ctx)
	if err != nil {
		return "", err
	}
	// The policy learns of a pod that is new a moment after it runs.
	var command, answer string
	err = lab.Poll(ctx, func(ctx context.Context) (err error) {
		command, answer, err = s.call(ctx, gateway)
		return err
	})
	if err == nil && !strings.Contains(answer, `"error"`) {
		err = fmt.Errorf("acme's endpoint answered %q, want the Cloud API's error object for want of a token", answer)
	}
	return command + "\n" + answer, err
}

func (s *Story) globexCalls(ctx context.Context) (string, error) {
	globex, err := s.lab.RelayPod(ctx, lab.Globex)
	if err != nil {
		return "", err
	}
	command, answer, err := s.call(ctx, globex)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !slices.Contains(cutOff, exit.ExitCode()) {
		return "", fmt.Errorf("globex's pod was not cut off: %q, %w", answer, err)
	}
	return command + "\n" + fmt.Sprintf("curl ends with code %d: no connection", exit.ExitCode()), nil
}

func (s *Story) globexReachesVault(ctx context.Context) (string, error) {
	globex, err := s.lab.RelayPod(ctx, lab.Globex)
	if err != nil {
		return "", err
	}
	url := s.lab.VaultAddress(lab.NA) + "/v1/sys/seal-status"
	answer, err := s.lab.From(ctx, globex, "curl", "-sS", "--max-time", "4", "--cacert", s.lab.CAFile(), url)
	if err != nil {
		return "", err
	}
	if !strings.Contains(answer, `"sealed":false`) {
		return "", fmt.Errorf("globex's Vault answered %q", answer)
	}
	return fmt.Sprintf("$ curl %s   # as pod globex/%s\n{… \"sealed\":false …}", url, globex.Name), nil
}
