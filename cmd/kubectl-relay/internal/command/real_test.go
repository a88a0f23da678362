package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

func TestSetupAndCredentialsAgainstRealVault(t *testing.T) {
	k := startKubernetes(t)
	server := k.startVault(t)
	k.createAcme(t)
	noVaultInEnvironment(t)
	kubeconfig := "--kubeconfig=" + k.kubeconfig
	setupVault := func(t *testing.T, more ...string) (string, string, error) {
		t.Helper()
		return run(t, append([]string{"setup", "vault", "--region", "eu", kubeconfig}, more...)...)
	}

	t.Run("setup says that it needs a token", func(t *testing.T) {
		if _, _, err := setupVault(t); err == nil || !strings.Contains(err.Error(), "VAULT_TOKEN") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("credentials before the setup say what to run", func(t *testing.T) {
		_, _, err := run(t, "credentials", "acme", "-n", "acme", kubeconfig)
		if err == nil || !strings.Contains(err.Error(), "kubectl relay setup vault") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("print changes nothing", func(t *testing.T) {
		t.Setenv("VAULT_TOKEN", rootToken(t, server))
		out, errOut, err := setupVault(t, "--print")
		check(t, err)
		if !strings.Contains(out, "vault policy write relaykeep-relay") || !strings.Contains(errOut, "ACCESSOR stands for") {
			t.Errorf("printed:\n%s\n%s", out, errOut)
		}
		if mounted(t, server, "kv/") {
			t.Error("printing mounted something")
		}
	})
	t.Run("setup is done once and again", func(t *testing.T) {
		t.Setenv("VAULT_TOKEN", rootToken(t, server))
		out, _, err := setupVault(t)
		check(t, err)
		if !strings.Contains(out, "written   wrapping keys") || !mounted(t, server, "kv/") {
			t.Errorf("printed:\n%s", out)
		}
		again, _, err := setupVault(t)
		check(t, err)
		if !strings.Contains(again, "is there  wrapping keys") || !strings.Contains(again, "is there  an authority") {
			t.Errorf("the second time printed:\n%s", again)
		}
		out, errOut, err := setupVault(t, "--print")
		check(t, err)
		if strings.Contains(out, "ACCESSOR") || errOut != "" {
			t.Errorf("the accessor is not known after the setup: %s", errOut)
		}
	})
	t.Run("credentials", func(t *testing.T) { testCredentials(t, k, server) })
	t.Run("a person's data", func(t *testing.T) { testThroughPod(t, k, server) })
	t.Run("usage and queues of replicas", func(t *testing.T) { testReplicas(t, k) })
	t.Run("connect", func(t *testing.T) { testConnectShowsSecrets(t, k) })
	t.Run("carrier account", func(t *testing.T) { testCarrierAccount(t, k, server) })
}

func testCredentials(t *testing.T, k *kubernetes, server *vault.Server) {
	args := []string{"credentials", "acme", "-n", "acme", "--kubeconfig=" + k.kubeconfig}
	t.Run("that the relay has not made yet", func(t *testing.T) {
		_, _, err := run(t, args...)
		if err == nil || !strings.Contains(err.Error(), "has not created its credentials yet") {
			t.Errorf("error %v", err)
		}
	})
	asRelay(t, k, server, "kv/data/acme/acme-relay/access/"+k.accountUID(t)+"/1", map[string]any{
		"accessToken": "the access token", "webhookSecret": "the secret", "verifyToken": "the verify token",
	})
	t.Run("are the relay's", func(t *testing.T) {
		out, _, err := run(t, append(args, "-o", "json")...)
		check(t, err)
		var got credentials
		check(t, json.Unmarshal([]byte(out), &got))
		if !strings.HasPrefix(got.CACertificate, "-----BEGIN CERTIFICATE-----") {
			t.Errorf("authority %q", got.CACertificate)
		}
		got.CACertificate = ""
		want := credentials{
			Endpoint: "https://acme-relay.acme.svc:8443", PhoneNumberID: "123456789012345", BusinessAccountID: "543210987654321",
			AccessToken: "the access token", WebhookSecret: "the secret", VerifyToken: "the verify token",
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("of which the receiver has its own", func(t *testing.T) {
		patch := func(webhook string) {
			t.Helper()
			relay := &v1alpha1.BusinessRelay{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme"}}
			check(t, k.client.Patch(t.Context(), relay, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"webhook":`+webhook+`}}`))))
		}
		patch(`{"url":"https://shop.test/in","credentialsSecretName":"acme-webhook-credentials"}`)
		defer patch("null")
		_, errOut, err := run(t, args...)
		check(t, err)
		if !strings.Contains(errOut, "of the Secret acme-webhook-credentials") {
			t.Errorf("printed %q", errOut)
		}
	})
	t.Run("at another address with another authority", func(t *testing.T) {
		ca := filepath.Join(t.TempDir(), "ca.pem")
		check(t, os.WriteFile(ca, server.CAPEM, 0o600))
		_, _, err := run(t, append(args, "--vault-address", server.Address(), "--vault-ca", ca)...)
		check(t, err)
		_, _, err = run(t, append(args, "--vault-address", "https://127.0.0.1:1")...)
		if exit.Code(err) != exit.Failed || !strings.Contains(err.Error(), "cannot be reached") {
			t.Errorf("exit %d, error %v", exit.Code(err), err)
		}
	})
	t.Run("are refused to who may not create tokens", func(t *testing.T) {
		_, _, err := run(t, "credentials", "acme", "-n", "acme", "--kubeconfig="+k.user(t, "stranger"))
		if exit.Code(err) != exit.Refused {
			t.Errorf("exit %d, error %v; want exit %d", exit.Code(err), err, exit.Refused)
		}
	})
	t.Run("of nobody", func(t *testing.T) {
		_, _, err := run(t, "credentials", "nobody", "-n", "acme", args[4])
		if err == nil || !strings.Contains(err.Error(), "there is no BusinessRelay nobody in namespace acme") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("of a rotation that is pending", func(t *testing.T) {
		relay := &v1alpha1.BusinessRelay{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme"}}
		check(t, k.client.Status().Patch(t.Context(), relay, client.RawPatch(types.MergePatchType, []byte(`{"status":{"rotation":{"identity":1,"access":1}}}`))))
		_, _, err := run(t, "rotate", "acme", "access", "-n", "acme", args[4])
		check(t, err)
		out, errOut, err := run(t, args...)
		check(t, err)
		if !strings.Contains(out, "the access token") || !strings.Contains(errOut, "has not made the credentials 2 yet") {
			t.Errorf("printed %q and %q", out, errOut)
		}
		asRelay(t, k, server, "kv/data/acme/acme-relay/access/"+k.accountUID(t)+"/2", map[string]any{
			"accessToken": "the access token", "webhookSecret": "the secret", "verifyToken": "the verify token",
		})
		_, errOut, err = run(t, args...)
		check(t, err)
		if errOut != "" {
			t.Errorf("once the relay has made them, it prints %q", errOut)
		}
	})
	t.Run("while vault is sealed", func(t *testing.T) {
		check(t, server.Seal(t.Context()))
		_, _, err := run(t, args...)
		if err == nil || !strings.Contains(err.Error(), "sealed") {
			t.Errorf("error %v", err)
		}
		check(t, server.Wait(t.Context())) // which unseals it
		_, _, err = run(t, args...)
		check(t, err)
	})
}

// accountUID returns the UID of acme's service account.
func (k *kubernetes) accountUID(t *testing.T) string {
	t.Helper()
	var account corev1.ServiceAccount
	check(t, k.client.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "acme-relay"}, &account))
	return string(account.UID)
}

// asRelay writes to Vault as acme's relay would, by a token with its audience.
func asRelay(t *testing.T, k *kubernetes, server *vault.Server, path string, fields map[string]any) {
	t.Helper()
	_, err := relaysLogin(t, k, server).Logical().WriteWithContext(t.Context(), path, map[string]any{"data": fields, "options": map[string]any{"cas": 0}})
	check(t, err)
}

// relaysLogin is acme's relay's, until the test ends.
func relaysLogin(t *testing.T, k *kubernetes, server *vault.Server) *api.Client {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme-relay"}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{contract.AudienceRelay("eu")}}}
	check(t, k.client.SubResource("token").Create(t.Context(), account, request))
	v, err := server.Client("")
	check(t, err)
	_, logout, err := loginVault(t.Context(), v, "kubernetes", contract.RoleRelay("eu"), request.Status.Token)
	check(t, err)
	t.Cleanup(logout)
	return v
}

func mounted(t *testing.T, server *vault.Server, path string) bool {
	t.Helper()
	root, err := server.Root()
	check(t, err)
	mounts, err := root.Sys().ListMountsWithContext(t.Context())
	check(t, err)
	return mounts[path] != (*api.MountOutput)(nil)
}

// TestCluster runs what needs an API server and nothing else.
func TestCluster(t *testing.T) {
	k := startKubernetes(t)
	_, region := acme()
	region.Spec.StorageClassName = "standard"
	check(t, k.client.Create(t.Context(), region))
	k.createAcme(t)
	t.Run("invitations are read from it", func(t *testing.T) { testInvitationOfACluster(t, k) })
	t.Run("errors", func(t *testing.T) { testErrors(t, k) })
	t.Run("names are completed from it", func(t *testing.T) { testCompletion(t, k) })
}

func testInvitationOfACluster(t *testing.T, k *kubernetes) {
	out, _, err := run(t, "invite", "acme", "-n", "acme", "-o", "uri", "--kubeconfig="+k.kubeconfig)
	check(t, err)
	if !strings.HasPrefix(out, "xmpp:+4930111111@eu.relay.test?message;type=chat;omemo-sid-1234567=0011") {
		t.Errorf("printed %q", out)
	}
	var relay v1alpha1.BusinessRelay
	check(t, k.client.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "acme"}, &relay))
	_, _, err = run(t, "chat", "--as", "+491701234567", "--to", "+4930999999", "--kubeconfig="+k.kubeconfig, "--request-timeout", time.Minute.String())
	if err == nil || !strings.Contains(err.Error(), "no BusinessRelay has the number") {
		t.Errorf("chat with a stranger: %v", err)
	}
}
