package command

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/services/kubelet"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// testThroughPod has export-customer and erase-customer reach a relay's pod through the API server, with no flag that says
// how: the endpoint's name leads nowhere here.
func testThroughPod(t *testing.T, k *kubernetes, server *vault.Server) {
	const number = "+491701234567"
	n, err := phone.Parse(number)
	check(t, err)
	own, err := phone.Parse("+4930111111")
	check(t, err)
	p := &people{number: n}
	pod := httptest.NewUnstartedServer(cloudapi.New(cloudapi.Options{
		Service: p, Customers: p, Token: "the access token", Throughput: 80, Number: cloudapi.Number{ID: "123456789012345", Phone: own},
	}))
	pod.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{endpointCertificate(t, k, server)}}
	pod.StartTLS()
	t.Cleanup(pod.Close)
	kubelet.StartT(t, k.server.Kube, "eu-1", kubelet.Ports{contract.EndpointPort: pod.Listener.Addr().String()})
	args := func(command string, more ...string) []string {
		return append([]string{command, "acme", number, "-n", "acme"}, more...)
	}
	admin := "--kubeconfig=" + k.kubeconfig
	t.Run("waits for a pod", func(t *testing.T) {
		_, _, err := run(t, args("export-customer", admin)...)
		if exit.Code(err) != exit.Failed || !strings.Contains(err.Error(), "no pod of relay acme runs (acme-relay-0 is not there)") {
			t.Errorf("exit %d, %v", exit.Code(err), err)
		}
	})
	check(t, kubelet.RunPod(t.Context(), k.server.Kube, "eu-1", "acme", "acme-relay-0", corev1.PodRunning))
	t.Run("is exported", func(t *testing.T) {
		out, _, err := run(t, args("export-customer", admin)...)
		check(t, err)
		if !strings.Contains(out, `"name": "Ada"`) || strings.Count(out, `"direction"`) != 3 {
			t.Errorf("printed %s", out)
		}
	})
	t.Run("is not told to a pod that is another", func(t *testing.T) {
		impostor := httptest.NewTLSServer(http.NotFoundHandler())
		t.Cleanup(impostor.Close)
		kubelet.StartT(t, k.server.Kube, "eu-2", kubelet.Ports{contract.EndpointPort: impostor.Listener.Addr().String()})
		check(t, k.server.Kube.CoreV1().Pods("acme").Delete(t.Context(), "acme-relay-0", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}))
		check(t, kubelet.RunPod(t.Context(), k.server.Kube, "eu-2", "acme", "acme-relay-0", corev1.PodRunning))
		_, _, err := run(t, args("export-customer", admin)...)
		if exit.Code(err) != exit.Failed || !strings.Contains(err.Error(), "--endpoint-ca") || strings.Contains(err.Error(), number[1:]) {
			t.Errorf("exit %d, %v", exit.Code(err), err)
		}
		check(t, k.server.Kube.CoreV1().Pods("acme").Delete(t.Context(), "acme-relay-0", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}))
		check(t, kubelet.RunPod(t.Context(), k.server.Kube, "eu-1", "acme", "acme-relay-0", corev1.PodRunning))
	})
	t.Run("takes the right to forward ports", func(t *testing.T) {
		clerk := "--kubeconfig=" + k.user(t, "clerk")
		rules := []rbacv1.PolicyRule{
			{APIGroups: []string{"relaykeep.dev"}, Resources: []string{"businessrelays", "dataregions"}, Verbs: []string{"get"}},
			{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, Verbs: []string{"create"}},
			{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}},
		}
		k.allow(t, "clerk", rules)
		_, _, err := run(t, args("export-customer", clerk)...)
		for _, want := range []string{"calling the relay by its name", "nor can it be called through its pod", "you lack the permission to create pods/portforward in namespace acme", "--endpoint-address"} {
			if exit.Code(err) != exit.Refused || !strings.Contains(err.Error(), want) {
				t.Errorf("exit %d, %v; want %q", exit.Code(err), err, want)
			}
		}
		k.allow(t, "clerk", append(rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"create"}}))
		_, _, err = run(t, args("export-customer", clerk)...)
		check(t, err)
	})
	t.Run("is erased", func(t *testing.T) {
		out, _, err := run(t, args("erase-customer", admin, "--yes")...)
		check(t, err)
		if !p.erased || !strings.Contains(out, "Erased") {
			t.Errorf("printed %s", out)
		}
		if _, _, err := run(t, args("export-customer", admin)...); err == nil || !strings.Contains(err.Error(), "stores nothing about this person") {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// allow gives a user these rights in the whole cluster, in place of others.
func (k *kubernetes) allow(t *testing.T, user string, rules []rbacv1.PolicyRule) {
	t.Helper()
	rbac := k.server.Kube.RbacV1() // whose updates create what is not there
	_, err := rbac.ClusterRoles().Update(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: rules}, metav1.UpdateOptions{})
	check(t, err)
	_, err = rbac.ClusterRoleBindings().Update(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
	}, metav1.UpdateOptions{})
	check(t, err)
	k.waitAllowed(t, user, rules)
}

// waitAllowed waits until the API server knows of the last of some rules.
func (k *kubernetes) waitAllowed(t *testing.T, user string, rules []rbacv1.PolicyRule) {
	t.Helper()
	last := rules[len(rules)-1]
	resource, subresource, _ := strings.Cut(last.Resources[0], "/")
	check(t, wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		review, err := k.server.Kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               user,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "acme", Verb: last.Verbs[0], Group: last.APIGroups[0], Resource: resource, Subresource: subresource},
		}}, metav1.CreateOptions{})
		return err == nil && review.Status.Allowed, err
	}))
}

// endpointCertificate is one that the region's Vault signed for acme's relay.
func endpointCertificate(t *testing.T, k *kubernetes, server *vault.Server) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"acme-relay.acme.svc"}}, key)
	check(t, err)
	signed, err := relaysLogin(t, k, server).Logical().WriteWithContext(t.Context(), "pki/sign/"+contract.RoleRelay("eu"), map[string]any{
		"csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), "format": "pem",
	})
	check(t, err)
	block, _ := pem.Decode([]byte(signed.Data["certificate"].(string)))
	return tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}
}

func testConnectShowsSecrets(t *testing.T, k *kubernetes) {
	args := []string{"connect", "chatwoot", "acme", "-n", "acme", "--kubeconfig=" + k.kubeconfig}
	out, _, err := run(t, args...)
	check(t, err)
	if strings.Contains(out, `"the secret"`) || strings.Contains(out, `"the verify token"`) || strings.Contains(out, "the access token") {
		t.Errorf("it prints a secret unasked:\n%s", out)
	}
	out, _, err = run(t, append(args, "--show-secrets")...)
	check(t, err)
	if !strings.Contains(out, `"app_secret": "the secret"`) || !strings.Contains(out, `"webhook_verify_token": "the verify token"`) || strings.Contains(out, "the access token") {
		t.Errorf("asked, it prints:\n%s", out)
	}
	out, _, err = run(t, append(args, "-o", "json")...)
	if err != nil || !strings.Contains(out, `"product": "Chatwoot"`) {
		t.Errorf("as JSON: %v\n%s", err, out)
	}
}
