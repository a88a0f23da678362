package main

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/images/oci"
)

// keyFile writes a key as openssl does.
func keyFile(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "release.key")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signed makes a release of two images without content, and signs it.
func signed(t *testing.T, key string) *release {
	t.Helper()
	r := &release{version: "v1.2.3", out: t.TempDir()}
	for _, name := range imageNames() {
		var archive bytes.Buffer
		image := oci.Image{Platform: oci.Platform{OS: "linux", Architecture: "amd64"}, Created: time.Unix(0, 0)}
		if err := oci.WriteArchive(&archive, reference(name, r.version), []oci.Image{image}); err != nil {
			t.Fatal(err)
		}
		if err := r.write(name+"-v1.2.3.tar", archive.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if r.sums, err = writeSums(r.out); err != nil {
		t.Fatal(err)
	}
	private, err := readKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.sign(private); err != nil {
		t.Fatal(err)
	}
	return r
}

// documented returns the commands of the manual's section about checking a release.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n### Checking a release\n")
	_, commands, fenced := strings.Cut(section, "```sh\n")
	commands, _, closed := strings.Cut(commands, "```")
	if !found || !fenced || !closed {
		t.Fatal("docs/operations.md does not say how a release is checked")
	}
	return commands
}

func TestSignature_IsCheckedByTheDocumentedCommands(t *testing.T) {
	commands := documented(t)
	r := signed(t, keyFile(t, newKey(t, elliptic.P256())))
	check := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", commands)
		cmd.Dir = r.out
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := check(); err != nil || !strings.Contains(out, "Verified OK") || !strings.Contains(out, "relay-v1.2.3.tar: OK") {
		t.Fatalf("what was signed does not pass: %v\n%s", err, out)
	}
	for _, name := range []string{sumsFile, "relay-v1.2.3.tar"} {
		path := filepath.Join(r.out, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(bytes.Clone(good), '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := check(); err == nil {
			t.Errorf("with another %s it passes:\n%s", name, out)
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other := signed(t, keyFile(t, newKey(t, elliptic.P256())))
	public, err := os.ReadFile(filepath.Join(other.out, publicKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.out, publicKeyFile), public, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := check(); err == nil {
		t.Errorf("with another key it passes:\n%s", out)
	}
}

func TestSignature_OfTheSameIsTheSame(t *testing.T) {
	key := keyFile(t, newKey(t, elliptic.P256()))
	a, b := signed(t, key), signed(t, key)
	for _, name := range []string{signatureFile, publicKeyFile, "manager-v1.2.3.sig.tar", "relay-v1.2.3.sig.tar"} {
		one, err := os.ReadFile(filepath.Join(a.out, name))
		if err != nil {
			t.Fatal(err)
		}
		if two, err := os.ReadFile(filepath.Join(b.out, name)); err != nil || !bytes.Equal(one, two) {
			t.Errorf("%s differs: %v", name, err)
		}
	}
}

// TestSignature_OfAnImageIsCosigns takes the archive apart as cosign's specification says, and has openssl check it.
func TestSignature_OfAnImageIsCosigns(t *testing.T) {
	r := signed(t, keyFile(t, newKey(t, elliptic.P256())))
	digest, err := digestOf(filepath.Join(r.out, "relay-v1.2.3.tar"), reference("relay", r.version))
	if err != nil {
		t.Fatal(err)
	}
	files := untar(t, filepath.Join(r.out, "relay-v1.2.3.sig.tar"))
	type descriptor struct {
		MediaType, Digest string
		Annotations       map[string]string
	}
	var index struct{ Manifests []descriptor }
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	blob := func(d descriptor) []byte { return files["blobs/"+strings.Replace(d.Digest, ":", "/", 1)] }
	if err := json.Unmarshal(files["index.json"], &index); err != nil || len(index.Manifests) != 1 {
		t.Fatalf("the index has %+v, %v", index, err)
	}
	if name := index.Manifests[0].Annotations["io.containerd.image.name"]; name != "ghcr.io/relaykeep/relay:"+strings.Replace(digest, ":", "-", 1)+".sig" {
		t.Errorf("it is named %s", name)
	}
	if err := json.Unmarshal(blob(index.Manifests[0]), &manifest); err != nil || len(manifest.Layers) != 1 || blob(manifest.Config) == nil {
		t.Fatalf("the manifest is %+v, %v", manifest, err)
	}
	layer := manifest.Layers[0]
	payload := blob(layer)
	var said struct {
		Critical struct {
			Identity struct {
				Reference string `json:"docker-reference"`
			}
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			}
			Type string
		}
	}
	if err := json.Unmarshal(payload, &said); err != nil || said.Critical.Image.Digest != digest || said.Critical.Type != "cosign container image signature" ||
		said.Critical.Identity.Reference != "ghcr.io/relaykeep/relay" || layer.MediaType != "application/vnd.dev.cosign.simplesigning.v1+json" {
		t.Errorf("it signs %s as %s, %v", payload, layer.MediaType, err)
	}
	signature, err := base64.StdEncoding.DecodeString(layer.Annotations["dev.cosignproject.cosign/signature"])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"payload": payload, "signature": signature} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "openssl", "dgst", "-sha256", "-verify", filepath.Join(r.out, publicKeyFile), "-signature", "signature", "payload")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func untar(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKey_ThatIsNoneIsRefusedAndNotShown(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	open := keyFile(t, newKey(t, elliptic.P256()))
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("correct horse battery staple"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		keyFile(t, newKey(t, elliptic.P384())): "openssl genpkey", keyFile(t, weak): "openssl genpkey", open: "chmod 600",
		text: "no key in PEM", filepath.Join(t.TempDir(), "gone"): "no such file",
	} {
		if _, err := readKey(path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "horse") {
			t.Errorf("%s is taken, or refused with %v; want %q", filepath.Base(path), err, want)
		}
	}
	sec1 := filepath.Join(t.TempDir(), "sec1.key")
	if out, err := exec.CommandContext(t.Context(), "openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", sec1).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Chmod(sec1, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readKey(sec1); err != nil {
		t.Errorf("openssl's own is refused: %v", err)
	}
}

// TestImages_BuiltAgainElsewhereHaveTheSameDigest builds the relay's image for this machine's platform from two folders, with what is
// attested about it; a release does so with all of them.
func TestImages_BuiltAgainElsewhereHaveTheSameDigest(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the images twice")
	}
	source := t.TempDir()
	if err := copySource(t.Context(), root, source); err != nil {
		t.Fatal(err)
	}
	var digests []string
	for _, from := range []string{root, source} {
		r := &release{version: "v1.2.3", root: from}
		out := t.TempDir()
		if _, err := r.command(t.Context(), "go", "run", "./test/images", "-version", r.version, "-attest", "-revision", "0123", "-image", "relay", "-platforms", "host", "-out", out); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(out, "relay-v1.2.3.tar")
		digest, err := digestOf(path, reference("relay", r.version))
		if err != nil {
			t.Fatal(err)
		}
		attested(t, path)
		digests = append(digests, digest)
	}
	if digests[0] != digests[1] {
		t.Errorf("the digests are %q", digests)
	}
}

// attested wants an image's index to have what is attested about each of its images.
func attested(t *testing.T, archive string) {
	t.Helper()
	files := untar(t, archive)
	type descriptor struct {
		Digest      string
		Platform    struct{ OS, Architecture string }
		Annotations map[string]string
	}
	var top, inner struct{ Manifests []descriptor }
	read := func(d descriptor, to any) {
		t.Helper()
		if err := json.Unmarshal(files["blobs/"+strings.Replace(d.Digest, ":", "/", 1)], to); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal(files["index.json"], &top); err != nil {
		t.Fatal(err)
	}
	read(top.Manifests[0], &inner)
	if len(inner.Manifests) != 2 || inner.Manifests[0].Platform.OS != "linux" || inner.Manifests[1].Platform.OS != "unknown" {
		t.Fatalf("the index has %+v", inner)
	}
	image, beside := inner.Manifests[0], inner.Manifests[1]
	if beside.Annotations["vnd.docker.reference.type"] != "attestation-manifest" || beside.Annotations["vnd.docker.reference.digest"] != image.Digest {
		t.Errorf("it is attached as %v", beside.Annotations)
	}
	var manifest struct{ Layers []descriptor }
	read(beside, &manifest)
	found := map[string]bool{}
	for _, l := range manifest.Layers {
		var s struct {
			Type          string `json:"_type"`
			Subject       []struct{ Digest map[string]string }
			PredicateType string
			Predicate     struct {
				BOMFormat       string
				Components      []struct{ Name string }
				BuildDefinition struct {
					ResolvedDependencies []struct {
						URI    string
						Digest map[string]string
					}
				}
			}
		}
		read(l, &s)
		if s.Type != "https://in-toto.io/Statement/v1" || l.Annotations["in-toto.io/predicate-type"] != s.PredicateType || "sha256:"+s.Subject[0].Digest["sha256"] != image.Digest {
			t.Errorf("a statement is %+v in %v", s, l.Annotations)
		}
		switch s.PredicateType {
		case "https://cyclonedx.org/bom":
			found["bom"] = s.Predicate.BOMFormat == "CycloneDX" && len(s.Predicate.Components) > 10
		case "https://slsa.dev/provenance/v1":
			d := s.Predicate.BuildDefinition.ResolvedDependencies
			found["provenance"] = len(d) == 2 && d[0].Digest["gitCommit"] == "0123" && strings.HasPrefix(d[1].URI, "pkg:golang/std@go")
		}
	}
	if !found["bom"] || !found["provenance"] {
		t.Errorf("attested are %v", found)
	}
}
