package lab

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"

	"github.com/hashicorp/vault/api"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// As returns a client of another user's, with the rights that the cluster gives to
// the name and the groups.
func (l *Lab) As(user string, groups ...string) (client.Client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", l.kubeconfig, err)
	}
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	c, err := client.New(config, client.Options{Scheme: l.kube.Scheme(), Mapper: l.kube.RESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster as %s: %w", user, err)
	}
	return c, nil
}

// Token asks, by a client, for a service account's token.
func Token(ctx context.Context, c client.Client, namespace, account, audience string) (string, error) {
	request := &authenticationv1.TokenRequest{}
	if audience != "" {
		request.Spec.Audiences = []string{audience}
	}
	o := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	if err := c.SubResource("token").Create(ctx, o, request); err != nil {
		return "", fmt.Errorf("asking for a token of %s/%s: %w", namespace, account, err)
	}
	return request.Status.Token, nil
}

// NodeToken returns a service account's token as a node gets it for its pods, which is
// how a test gets tokens that nobody else may request.
func (l *Lab) NodeToken(ctx context.Context, namespace, account, audience string) (string, error) {
	node, err := l.As("lab-node", "system:nodes", "system:masters")
	if err != nil {
		return "", err
	}
	return Token(ctx, node, namespace, account, audience)
}

// VaultLoginAs logs in at a region's Vault with a service account's token, in a
// role.
func (l *Lab) VaultLoginAs(ctx context.Context, r *Region, role, token string) (*api.Client, error) {
	s, err := l.Vault(ctx, r)
	if err != nil {
		return nil, err
	}
	c, err := s.Client("")
	if err != nil {
		return nil, err
	}
	secret, err := c.Logical().WriteWithContext(ctx, "auth/kubernetes/login", map[string]any{"role": role, "jwt": token})
	if err != nil {
		return nil, fmt.Errorf("logging in at Vault: %w", err)
	}
	c.SetToken(secret.Auth.ClientToken)
	return c, nil
}

// Remove deletes the objects of a manifest.
func (l *Lab) Remove(ctx context.Context, manifest string) error {
	_, err := l.run(ctx, command{path: l.kubectl, args: []string{"delete", "--ignore-not-found", "-f", "-"}, stdin: manifest, quiet: true})
	return err
}

// CutOff says whether curl, run by From, failed to connect: turned away (7) or dropped
// (28) on its way (curl(1)).
func CutOff(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return ok && slices.Contains([]int{7, 28}, exit.ExitCode())
}
