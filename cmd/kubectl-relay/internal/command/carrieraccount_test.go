package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// testCarrierAccount puts acme's account into a real Vault and reads it as acme's
// relay does.
func testCarrierAccount(t *testing.T, k *kubernetes, server *vault.Server) {
	t.Setenv("VAULT_TOKEN", rootToken(t, server))
	put := func(t *testing.T, more ...string) (string, string, error) {
		t.Helper()
		return run(t, append([]string{"setup", "carrier-account", "acme", "-n", "acme", "--kubeconfig=" + k.kubeconfig}, more...)...)
	}
	inVault := func(t *testing.T) (username, password string) {
		t.Helper()
		root, err := server.Root()
		check(t, err)
		secret, err := root.KVv2("kv").Get(t.Context(), "acme/acme-relay/carrier")
		check(t, err)
		username, _ = secret.Data["username"].(string)
		password, _ = secret.Data["password"].(string)
		return username, password
	}
	file := filepath.Join(t.TempDir(), "password")
	check(t, os.WriteFile(file, []byte("the carrier's choice\n"), 0o600))

	out, errOut, err := put(t, "--password-file", file)
	check(t, err)
	username, password := inVault(t)
	if !strings.HasPrefix(username, "+") || password != "the carrier's choice" {
		t.Error("what is in Vault is not what was given")
	}
	if strings.Contains(out+errOut, password) || strings.Contains(out+errOut, username) {
		t.Error("it printed the account")
	}
	if _, _, err := put(t, "--generate"); err == nil || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("over an account that is there: %v", err)
	}
	if _, still := inVault(t); still != password {
		t.Error("a refusal changed the account")
	}
	out, _, err = put(t, "--generate", "--replace")
	check(t, err)
	if _, made := inVault(t); out != made+"\n" || len(made) < 26 {
		t.Error("what was made is not what was printed")
	}
	testRegistrationToken(t, k, put, func() map[string]any {
		root, err := server.Root()
		check(t, err)
		secret, err := root.KVv2("kv").Get(t.Context(), "acme/acme-relay/carrier")
		check(t, err)
		return secret.Data
	})
	if _, _, err := put(t, "--password-file", filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a password came out of no file")
	}
	t.Setenv("VAULT_TOKEN", "nobody's")
	if _, _, err := put(t, "--generate"); exit.Code(err) != exit.Refused {
		t.Errorf("exit %d, error %v", exit.Code(err), err)
	}
}

// testRegistrationToken puts a token to register with in the account's place, which the
// region must want.
func testRegistrationToken(t *testing.T, k *kubernetes, put func(*testing.T, ...string) (string, string, error), inVault func() map[string]any) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	check(t, os.WriteFile(file, []byte("the invitation\n"), 0o600))
	before := inVault()["password"]
	if _, _, err := put(t, "--registration-token-file", file, "--replace"); err == nil || !strings.Contains(err.Error(), "registration: Token") {
		t.Errorf("where nobody registers: %v", err)
	}
	if inVault()["password"] != before {
		t.Error("a refusal changed the account")
	}
	_, region := acme()
	check(t, k.client.Get(t.Context(), client.ObjectKeyFromObject(region), region))
	region.Spec.Carrier.XMPP.Registration = v1alpha1.RegistrationToken
	check(t, k.client.Update(t.Context(), region))
	for _, both := range []string{"--generate", "--password-file=" + file} {
		if _, _, err := put(t, "--registration-token-file", file, "--replace", both); exit.Code(err) != exit.Usage {
			t.Errorf("with %s: exit %d, error %v", both, exit.Code(err), err)
		}
	}
	out, errOut, err := put(t, "--registration-token-file", file, "--replace")
	check(t, err)
	now := inVault()
	password, _ := now["password"].(string)
	if now["registrationToken"] != "the invitation" || len(password) < 26 || password == before {
		t.Error("what is in Vault is no token with a password of its own")
	}
	if strings.Contains(out+errOut, password) || strings.Contains(out+errOut, "the invitation") {
		t.Error("it printed the password or the token")
	}
}

func TestPasswordAndTokenAreOneLine(t *testing.T) {
	for name, tc := range map[string]struct{ in, want, refusal string }{
		"plain":          {"secret", "secret", ""},
		"with newline":   {"secret\r\n", "secret", ""},
		"inner spaces":   {" a b \n", " a b ", ""},
		"empty":          {"\n", "", "empty"},
		"two lines":      {"a\nb\n", "", "one line"},
		"as long as can": {strings.Repeat("x", maxPassword) + "\n", strings.Repeat("x", maxPassword), ""},
		"too long":       {strings.Repeat("x", maxPassword+1), "", "longer"},
	} {
		t.Run(name, func(t *testing.T) {
			password := accountFlags{passwordFile: "-"}
			got, err := password.secrets(strings.NewReader(tc.in))
			if got != (accountSecrets{password: tc.want}) || (err == nil) != (tc.refusal == "") || err != nil && !strings.Contains(err.Error(), tc.refusal) {
				t.Errorf("a password: read %d bytes, error %v", len(got.password), err)
			}
			token := accountFlags{tokenFile: "-"}
			got, err = token.secrets(strings.NewReader(tc.in))
			if got.token != tc.want || (len(got.password) >= 26) != (tc.refusal == "") || (err == nil) != (tc.refusal == "") {
				t.Errorf("a token: read %d bytes, error %v", len(got.token), err)
			}
		})
	}
}
