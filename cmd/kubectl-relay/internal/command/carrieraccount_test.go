package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	if _, _, err := put(t, "--password-file", filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a password came out of no file")
	}
	t.Setenv("VAULT_TOKEN", "nobody's")
	if _, _, err := put(t, "--generate"); ExitCode(err) != exitRefused {
		t.Errorf("exit %d, error %v", ExitCode(err), err)
	}
}

func TestPasswordIsOneLine(t *testing.T) {
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
			f := accountFlags{passwordFile: "-"}
			got, err := f.password(strings.NewReader(tc.in))
			if got != tc.want || (err == nil) != (tc.refusal == "") || err != nil && !strings.Contains(err.Error(), tc.refusal) {
				t.Errorf("read %d bytes, error %v", len(got), err)
			}
		})
	}
}
