package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testImages(t *testing.T) []Image {
	t.Helper()
	base, err := NewLayer([]File{{Path: "/etc/ssl/roots.pem", Mode: 0o644, Data: []byte("roots")}}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	var images []Image
	for _, arch := range []string{"amd64", "arm64"} {
		binary, err := NewLayer([]File{{Path: "/relay", Mode: 0o755, Data: []byte("binary for " + arch)}}, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, Image{
			Platform: Platform{OS: "linux", Architecture: arch},
			Config:   Config{User: "65532:65532", Entrypoint: []string{"/relay"}},
			Layers:   []Layer{base, binary},
			Created:  time.Unix(0, 0),
		})
	}
	return images
}

func archive(t *testing.T, name string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := WriteArchive(&out, name, testImages(t)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// untar returns the files of a tar by name, and the names in their order.
func untar(t *testing.T, data []byte) (map[string][]byte, []string) {
	t.Helper()
	files := map[string][]byte{}
	var names []string
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, names
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = content
		names = append(names, h.Name)
	}
}

func decode[T any](t *testing.T, data []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// blobOf returns what a descriptor names, having checked that it says the truth.
func blobOf(t *testing.T, files map[string][]byte, d descriptor) []byte {
	t.Helper()
	data, ok := files["blobs/"+strings.ReplaceAll(d.Digest, ":", "/")]
	if !ok {
		t.Fatalf("no blob %s", d.Digest)
	}
	if digest(data) != d.Digest || int64(len(data)) != d.Size {
		t.Fatalf("blob %s has digest %s and %d bytes, want %d", d.Digest, digest(data), len(data), d.Size)
	}
	return data
}

func TestArchiveHoldsEveryPlatformWithWhatItDescribes(t *testing.T) {
	files, _ := untar(t, archive(t, "ghcr.io/relaykeep/relay:dev"))
	top := decode[index](t, files["index.json"])
	if len(top.Manifests) != 1 {
		t.Fatalf("index.json names %d images, want 1", len(top.Manifests))
	}
	inner := decode[index](t, blobOf(t, files, top.Manifests[0]))
	if len(inner.Manifests) != 2 {
		t.Fatalf("the image has %d platforms, want 2", len(inner.Manifests))
	}
	for _, d := range inner.Manifests {
		m := decode[manifest](t, blobOf(t, files, d))
		c := decode[configFile](t, blobOf(t, files, m.Config))
		if c.Architecture != d.Platform.Architecture || c.OS != d.Platform.OS {
			t.Errorf("config for %s says %s/%s", d.Platform, c.OS, c.Architecture)
		}
		got := map[string]string{}
		for i, l := range m.Layers {
			z, err := gzip.NewReader(bytes.NewReader(blobOf(t, files, l)))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			if digest(plain) != c.RootFS.DiffIDs[i] {
				t.Errorf("layer %d of %s is not the one that the config names", i, d.Platform)
			}
			content, _ := untar(t, plain)
			for name, data := range content {
				got[name] = string(data)
			}
		}
		want := map[string]string{
			"etc/": "", "etc/ssl/": "", "etc/ssl/roots.pem": "roots",
			"relay": "binary for " + d.Platform.Architecture,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("files of %s (-want +got):\n%s", d.Platform, diff)
		}
	}
}

func TestArchiveCarriesItsNameForEveryLoader(t *testing.T) {
	files, order := untar(t, archive(t, "ghcr.io/relaykeep/relay:dev"))
	want := map[string]string{
		"io.containerd.image.name":          "ghcr.io/relaykeep/relay:dev",
		"org.opencontainers.image.ref.name": "dev",
	}
	if diff := cmp.Diff(want, decode[index](t, files["index.json"]).Manifests[0].Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if order[0] != "oci-layout" || order[1] != "index.json" {
		t.Errorf("archive begins with %v", order[:2])
	}
}

func TestSameInputGivesSameBytes(t *testing.T) {
	if !bytes.Equal(archive(t, "ghcr.io/relaykeep/relay:dev"), archive(t, "ghcr.io/relaykeep/relay:dev")) {
		t.Error("two archives of the same images differ")
	}
	a := []File{{Path: "/b", Mode: 0o644, Data: []byte("b")}, {Path: "/a", Mode: 0o644, Data: []byte("a")}}
	b := []File{a[1], a[0]}
	first, err := NewLayer(a, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	second, err := NewLayer(b, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if first.diffID != second.diffID {
		t.Error("the order of the files changes the layer")
	}
}

func TestArchiveNeedsFullyQualifiedNameAndPlatform(t *testing.T) {
	for _, name := range []string{"", "relay", "relay:dev", "ghcr.io/relaykeep/relay", "ghcr.io/relaykeep/relay:", "localhost:5000/relay"} {
		if err := WriteArchive(io.Discard, name, testImages(t)); err == nil {
			t.Errorf("name %q is accepted", name)
		}
	}
	if err := WriteArchive(io.Discard, "localhost:5000/relay:dev", testImages(t)); err != nil {
		t.Errorf("a registry with a port is refused: %v", err)
	}
	if err := WriteArchive(io.Discard, "ghcr.io/relaykeep/relay:dev", nil); err == nil {
		t.Error("an image without a platform is accepted")
	}
}

func TestLayerRefusesPathsThatAreNotAbsoluteCleanFiles(t *testing.T) {
	for _, path := range []string{"", "/", "relay", "/../relay", "/a//b", "/a/"} {
		if _, err := NewLayer([]File{{Path: path}}, time.Unix(0, 0)); err == nil {
			t.Errorf("path %q is accepted", path)
		}
	}
	if _, err := NewLayer([]File{{Path: "/a"}, {Path: "/a"}}, time.Unix(0, 0)); err == nil {
		t.Error("one path is accepted twice")
	}
}

func TestPlatformIsOSAndArchitecture(t *testing.T) {
	p, err := ParsePlatform("linux/arm64")
	if err != nil || p != (Platform{OS: "linux", Architecture: "arm64"}) || p.String() != "linux/arm64" {
		t.Errorf("got %v, %v", p, err)
	}
	for _, s := range []string{"", "linux", "/amd64", "linux/", "linux/arm/v7"} {
		if _, err := ParsePlatform(s); err == nil {
			t.Errorf("platform %q is accepted", s)
		}
	}
}
