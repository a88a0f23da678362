package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/vault"
	vaulttest "github.com/relaykeep/relaykeep/test/services/vault"
)

// acmesRelay is Vault's client of acme's relay.
func acmesRelay(t *testing.T, k *kubernetes, server *vaulttest.Server) *vault.Client {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme-relay"}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{relayAudience}}}
	check(t, k.client.SubResource("token").Create(t.Context(), account, request))
	c, err := vault.New(vault.Config{
		Vault: server.Contract(), Namespace: "acme", Tenant: "acme-relay", Role: relayRole, TokenPath: tokenFile(t, request.Status.Token),
	})
	check(t, err)
	return c
}

func TestAdoptGivesTheNamesToTheAccountThatIsThere(t *testing.T) {
	k := startKubernetes(t)
	server := k.startVault(t)
	k.createAcme(t)
	noVaultInEnvironment(t)
	kubeconfig := "--kubeconfig=" + k.kubeconfig
	t.Setenv("VAULT_TOKEN", rootToken(t, server))
	_, _, err := run(t, "setup", "vault", "--region", "eu", kubeconfig)
	check(t, err)
	adopt := func(typed string) (string, error) {
		t.Helper()
		return answering(t, typed, "adopt", "acme", "-n", "acme", kubeconfig)
	}
	if _, err := adopt("acme\n"); err == nil || !strings.Contains(err.Error(), "nothing to adopt") {
		t.Errorf("where there is nothing: error %v", err)
	}
	number, err := phone.Parse("+4930111111")
	check(t, err)
	relay := acmesRelay(t, k, server)
	first, err := relay.Own(t.Context(), number)
	check(t, err)
	made, err := relay.Access(t.Context(), 1)
	check(t, err)

	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme-relay"}}
	check(t, k.client.Delete(t.Context(), account, client.GracePeriodSeconds(0)))
	check(t, k.client.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme-relay"}}))
	_, _, err = run(t, "credentials", "acme", "-n", "acme", kubeconfig)
	if err == nil || !strings.Contains(err.Error(), "kubectl relay adopt") {
		t.Errorf("credentials of an account that was made again: error %v", err)
	}
	if _, err := adopt("globex\n"); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("without the name typed: error %v", err)
	}
	_, err = adopt("acme\n")
	check(t, err)
	later := acmesRelay(t, k, server)
	if owner, err := later.ReadOwner(t.Context()); err != nil || owner.Account == first.Account || owner.Account != k.accountUID(t) {
		t.Errorf("the owner is not the account that is there: %v", err)
	}
	out, _, err := run(t, "credentials", "acme", "-n", "acme", kubeconfig)
	check(t, err)
	if !strings.Contains(out, made.AccessToken) {
		t.Error("the business has another token than before")
	}
	_, err = adopt("") // nothing is left to ask about
	check(t, err)
}

// The account with which acme's relay logs in.
const (
	relayAudience = contract.AudiencePrefix + "relay/eu"
	relayRole     = "relaykeep-relay-eu"
)

func tokenFile(t *testing.T, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	check(t, os.WriteFile(path, []byte(token), 0o600))
	return path
}
