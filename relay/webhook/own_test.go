package webhook_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// mounted is a Secret as the kubelet mounts it: a link leads to the folder of its present version.
type mounted struct {
	t       *testing.T
	dir     string
	version int
}

func mountSecret(t *testing.T) *mounted {
	t.Helper()
	return &mounted{t: t, dir: t.TempDir()}
}

// put replaces all keys at once.
func (m *mounted) put(keys map[string]string) {
	m.t.Helper()
	m.version++
	name := "..v" + strings.Repeat("i", m.version)
	must := func(err error) {
		if err != nil {
			m.t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(m.dir, name), 0o755))
	for key, value := range keys {
		must(os.WriteFile(filepath.Join(m.dir, name, key), []byte(value), 0o600))
	}
	must(os.Symlink(name, filepath.Join(m.dir, "..next")))
	must(os.Rename(filepath.Join(m.dir, "..next"), filepath.Join(m.dir, "..data")))
}

func (m *mounted) own() (webhook.Credentials, error) { return webhook.ReadCredentials(m.dir) }

func keys(c webhook.Credentials) map[string]string {
	return map[string]string{contract.AppSecretKey: string(c.Secret), contract.VerifyTokenKey: string(c.VerifyToken)}
}

func brought(which string) webhook.Credentials {
	return webhook.Credentials{Secret: []byte("the app secret " + which), VerifyToken: []byte("verify " + which)}
}

// verifiedWith returns a receiver that knows some credentials, the Secret that has them, and a deliverer
// that was verified with them.
func verifiedWith(t *testing.T, c webhook.Credentials) (*receiver, *mounted, *fixture) {
	t.Helper()
	r := newReceiver(t)
	r.behave(knows(c))
	secret := mountSecret(t)
	secret.put(keys(c))
	to := r.as()
	to.Own = secret.own
	f := deliver(t, to).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	return r, secret, f
}

func TestOwnCredentials_AreUsedAndFollowTheSecret(t *testing.T) {
	first, second := brought("one"), brought("two")
	r, secret, f := verifiedWith(t, first)
	if !f.work(t.Context(), job(1)).Done {
		t.Error("not delivered with the receiver's own credentials")
	}

	secret.put(keys(second)) // before the receiver has them
	c := f.reason(t, contract.False, webhook.ReasonChallengeFailed)
	if !strings.Contains(c.Message, "credentialsSecretName") || strings.Contains(c.Message, "kubectl relay credentials") {
		t.Errorf("the condition names other credentials than the receiver's: %s", c.Message)
	}
	sent := len(r.got())
	if f.work(t.Context(), job(2)).Done || len(r.got()) != sent {
		t.Error("something was sent to a receiver that does not have the new credentials")
	}
	r.behave(knows(second))
	f.reason(t, contract.True, webhook.ReasonVerified)
	if !f.work(t.Context(), job(2)).Done {
		t.Error("not delivered with the new credentials")
	}
}

// A receiver that has the next credentials first refuses what is signed with the former ones.
func TestOwnCredentials_ReceiverMayChangeFirst(t *testing.T) {
	first, second := brought("one"), brought("two")
	r, secret, f := verifiedWith(t, first)
	r.behave(knows(second))
	if f.work(t.Context(), job(1)).Done {
		t.Fatal("delivered with credentials that the receiver does not have any more")
	}
	secret.put(keys(second))
	for deadline := time.Now().Add(15 * time.Second); !f.work(t.Context(), job(1)).Done; <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not delivered after the Secret was changed")
		}
	}
}

func TestOwnCredentials_NothingIsSentWithoutThem(t *testing.T) {
	t.Parallel()
	good := brought("one")
	with := func(key, value string) map[string]string {
		k := keys(good)
		k[key] = value
		return k
	}
	only := func(key string) map[string]string { return map[string]string{key: keys(good)[key]} }
	for name, content := range map[string]map[string]string{
		"no keys":            {},
		"no app secret":      only(contract.VerifyTokenKey),
		"no verify token":    only(contract.AppSecretKey),
		"empty app secret":   with(contract.AppSecretKey, "\n"),
		"empty verify token": with(contract.VerifyTokenKey, ""),
		"short app secret":   with(contract.AppSecretKey, "0123456789abcde"),
		"long app secret":    with(contract.AppSecretKey, strings.Repeat("a", 257)),
		"huge verify token":  with(contract.VerifyTokenKey, strings.Repeat("a", 1<<20)),
		"two lines":          with(contract.AppSecretKey, "0123456789abcdef\n0123456789abcdef"),
		"not text":           with(contract.VerifyTokenKey, "\xff\xfe"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			r.behave(echo, ok)
			secret := mountSecret(t)
			secret.put(content)
			to := r.as()
			to.Own = secret.own
			f := deliver(t, to).start(t)
			c := f.reason(t, contract.False, webhook.ReasonCredentials)
			if !strings.Contains(c.Message, "credentialsSecretName") || strings.Contains(c.Message, "0123456789") {
				t.Errorf("the condition does not say what to do, or says too much: %s", c.Message)
			}
			if f.work(t.Context(), job(1)).Done || len(r.got()) != 0 {
				t.Error("something was sent")
			}
			r.behave(knows(good))
			secret.put(keys(good))
			f.reason(t, contract.True, webhook.ReasonVerified)
		})
	}
}

// Credentials that disappear stop deliveries that were verified before.
func TestOwnCredentials_AreMissedWhenTheyGo(t *testing.T) {
	good := brought("one")
	r, secret, f := verifiedWith(t, good)
	secret.put(nil)
	if f.work(t.Context(), job(1)).Done || len(r.got()) != 0 {
		t.Error("something was sent without credentials")
	}
	f.reason(t, contract.False, webhook.ReasonCredentials)
}

func TestOwnCredentials_AreOverwrittenAfterUse(t *testing.T) {
	r := newReceiver(t)
	good := brought("one")
	r.behave(knows(good))
	read := make(chan webhook.Credentials, 64)
	to := r.as()
	to.Own = func() (webhook.Credentials, error) {
		c := brought("one")
		select {
		case read <- c:
		default:
		}
		return c, nil
	}
	f := deliver(t, to).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	if c := <-read; strings.Trim(string(c.Secret)+string(c.VerifyToken), "\x00") != "" {
		t.Error("what the handshake used was not overwritten")
	}
}

func TestReadCredentials_WithoutAKubelet(t *testing.T) {
	dir := t.TempDir()
	for key, value := range keys(brought("one")) {
		if err := os.WriteFile(filepath.Join(dir, key), []byte(value+"\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := webhook.ReadCredentials(dir)
	if err != nil || string(c.Secret) != "the app secret one" || string(c.VerifyToken) != "verify one" {
		t.Errorf("read with line ends: %v", err)
	}
}

func FuzzReadCredentials(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), []byte("token\r\n"))
	f.Add([]byte{}, []byte("\n"))
	f.Add([]byte("\xff\x00"), bytes.Repeat([]byte("a"), 300))
	f.Fuzz(func(t *testing.T, appSecret, token []byte) {
		dir := t.TempDir()
		_ = os.WriteFile(filepath.Join(dir, contract.AppSecretKey), appSecret, 0o600)
		_ = os.WriteFile(filepath.Join(dir, contract.VerifyTokenKey), token, 0o600)
		c, err := webhook.ReadCredentials(dir)
		var bad *webhook.CredentialsError
		switch {
		case err != nil && (!errors.As(err, &bad) || len(c.Secret)+len(c.VerifyToken) > 0):
			t.Errorf("%v with credentials", err)
		case err == nil && (len(c.Secret) < 16 || len(c.Secret) > 256 || len(c.VerifyToken) == 0 || len(c.VerifyToken) > 256):
			t.Errorf("accepted %d and %d bytes", len(c.Secret), len(c.VerifyToken))
		case err == nil && (!bytes.HasPrefix(appSecret, c.Secret) || !bytes.HasPrefix(token, c.VerifyToken)):
			t.Error("it is not what the files have")
		}
	})
}
