package audit_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
)

const digest = "sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"

// released writes a signed release with a list of images; it returns the paths of the list and of the key.
func released(t *testing.T, list string) (images, key string) {
	t.Helper()
	folder := t.TempDir()
	images, key = filepath.Join(folder, "images.txt"), filepath.Join(folder, "relaykeep.pub")
	write(t, images, list)
	sums := fmt.Sprintf("%x  images.txt\n", sha256.Sum256([]byte(list)))
	write(t, filepath.Join(folder, "SHA256SUMS"), sums)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(sums))
	signature, err := ecdsa.SignASN1(rand.Reader, private, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "SHA256SUMS.sig"), base64.StdEncoding.EncodeToString(signature)+"\n")
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	return images, key
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReleased_ReadsASignedList(t *testing.T) {
	images, key := released(t, "ghcr.io/relaykeep/relay:1.0.0 "+digest+"\n")
	got, err := audit.Released(images, key)
	if err != nil || len(got) != 1 || got[0] != digest {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestReleased_RefusesWhatIsNotSigned(t *testing.T) {
	const list = "ghcr.io/relaykeep/relay:1.0.0 " + digest + "\n"
	for name, c := range map[string]struct {
		change func(folder string)
		want   string
	}{
		"another list":       {func(f string) { write(t, filepath.Join(f, "images.txt"), strings.Replace(list, "0f", "ff", 1)) }, "its sum is not in"},
		"other sums":         {func(f string) { write(t, filepath.Join(f, "SHA256SUMS"), "00  images.txt\n") }, "is not signed by this key"},
		"no signature":       {func(f string) { write(t, filepath.Join(f, "SHA256SUMS.sig"), "*") }, "it is not in base64"},
		"no sums":            {func(f string) { _ = os.Remove(filepath.Join(f, "SHA256SUMS")) }, "reading a release"},
		"a key that is none": {func(f string) { write(t, filepath.Join(f, "relaykeep.pub"), "no key") }, "must be a public key in PEM"},
		"a list too long": {
			func(f string) { write(t, filepath.Join(f, "images.txt"), strings.Repeat("x", 2<<20)) }, "longer than a file of a release",
		},
	} {
		t.Run(name, func(t *testing.T) {
			images, key := released(t, list)
			c.change(filepath.Dir(images))
			if got, err := audit.Released(images, key); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want %q", got, err, c.want)
			}
		})
	}
	for _, list := range []string{"", "relay\n", "relay sha256:0\n", "relay " + digest + " more\n"} {
		images, key := released(t, list)
		if got, err := audit.Released(images, key); err == nil {
			t.Errorf("the list %q has images %v", list, got)
		}
	}
}

func FuzzReleased(f *testing.F) {
	f.Add("ghcr.io/relaykeep/relay:1.0.0 " + digest + "\n")
	f.Fuzz(func(t *testing.T, list string) {
		got, err := audit.Digests([]byte(list))
		if err != nil {
			return
		}
		for _, d := range got {
			if !strings.HasPrefix(d, "sha256:") || len(d) != len(digest) {
				t.Errorf("%q is no digest", d)
			}
		}
	})
}
