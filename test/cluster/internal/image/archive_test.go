package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func example(t *testing.T) Image {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!program"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Image{
		Reference: "registry.test/a/b:v1", Files: map[string]string{"usr/bin/program": program},
		Links: map[string]string{"bin/alias": "/usr/bin/program"}, Entrypoint: []string{"/usr/bin/program"}, User: "65532:65532",
	}
}

func archive(t *testing.T, i Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := i.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type entry struct {
	header  tar.Header
	content []byte
}

// entries reads a tar file.
func entries(t *testing.T, content []byte) map[string]entry {
	t.Helper()
	all := make(map[string]entry)
	for r := tar.NewReader(bytes.NewReader(content)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[h.Name] = entry{*h, body}
	}
}

// blob reads a blob by its descriptor, and checks it against that.
func blob(t *testing.T, all map[string]entry, d descriptor) []byte {
	t.Helper()
	e, ok := all["blobs/sha256/"+strings.TrimPrefix(d.Digest, "sha256:")]
	if !ok {
		t.Fatalf("no blob %s", d.Digest)
	}
	if digest(e.content) != d.Digest || int64(len(e.content)) != d.Size {
		t.Errorf("the blob %s has another content or size", d.Digest)
	}
	return e.content
}

func decode[T any](t *testing.T, content []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(content, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestArchive_IsAnImageLayoutFromIndexToFiles(t *testing.T) {
	i := example(t)
	all := entries(t, archive(t, i))
	if got := string(all["oci-layout"].content); got != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("the layout's version is %q", got)
	}
	index := decode[struct{ Manifests []descriptor }](t, all["index.json"].content)
	if got := index.Manifests[0].Annotations["io.containerd.image.name"]; got != i.Reference {
		t.Errorf("the image is called %q", got)
	}
	manifest := decode[struct {
		Config descriptor
		Layers []descriptor
	}](t, blob(t, all, index.Manifests[0]))
	config := decode[struct {
		Config struct {
			Entrypoint []string
			User       string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}](t, blob(t, all, manifest.Config))
	if !slices.Equal(config.Config.Entrypoint, i.Entrypoint) || config.Config.User != i.User {
		t.Errorf("it runs as %+v", config.Config)
	}
	if config.RootFS.DiffIDs[0] != manifest.Layers[0].Digest {
		t.Error("the layer is not the one that the configuration names")
	}
	layer := entries(t, blob(t, all, manifest.Layers[0]))
	want := []string{"bin/", "bin/alias", "tmp/", "usr/", "usr/bin/", "usr/bin/program"}
	if got := slices.Sorted(maps.Keys(layer)); !slices.Equal(got, want) {
		t.Errorf("in it are %v, want %v", got, want)
	}
	if e := layer["usr/bin/program"]; string(e.content) != "#!program" || e.header.Mode != 0o755 {
		t.Errorf("the program is %q, mode %o", e.content, e.header.Mode)
	}
	if e := layer["bin/alias"]; e.header.Linkname != "/usr/bin/program" || e.header.Typeflag != tar.TypeSymlink {
		t.Errorf("the link is %+v", e.header)
	}
	if e := layer["tmp/"]; e.header.Mode != 0o1777 {
		t.Errorf("the directory for temporary files has mode %o", e.header.Mode)
	}
}

func TestArchive_IsTheSameForTheSameImage(t *testing.T) {
	i := example(t)
	if first, second := archive(t, i), archive(t, i); !bytes.Equal(first, second) {
		t.Error("two archives of one image differ")
	}
}

func TestWriteFailsWithoutItsFiles(t *testing.T) {
	i := example(t)
	i.Files["bin/none"] = filepath.Join(t.TempDir(), "none")
	if err := i.Write(io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestWriteFailsWithItsWriter(t *testing.T) {
	full := errors.New("disk full")
	size := len(archive(t, example(t)))
	for _, room := range []int{0, 600, 1500, size - 1} {
		if err := example(t).Write(&bounded{room: room, err: full}); !errors.Is(err, full) {
			t.Errorf("with room for %d bytes: %v", room, err)
		}
	}
}

// bounded is a writer that is full at some point.
type bounded struct {
	room int
	err  error
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.room -= len(p); b.room < 0 {
		return 0, b.err
	}
	return len(p), nil
}
