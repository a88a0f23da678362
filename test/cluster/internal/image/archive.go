// Package image writes container images from scratch: a few static programs and links in one layer, as an OCI image layout in a tar
// file that containerd imports. It needs no registry, no builder and no privilege.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Image is what is in an image and how it starts.
type Image struct {
	// Reference is the image's full name, with registry host and tag.
	Reference string
	// Files are local files by their path in the image, without leading slash. All are executable by anyone.
	Files map[string]string
	// Links are symbolic links: target by path in the image.
	Links map[string]string
	// Entrypoint is the command.
	Entrypoint []string
	// User is the numeric user, and group after a colon; empty is root.
	User string
}

// epoch makes archives reproducible: nothing in them depends on when they were made.
var epoch = time.Unix(0, 0).UTC()

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Write writes the image as an OCI image layout (image-spec v1.1, image-layout.md) in a tar file.
func (i Image) Write(w io.Writer) error {
	layer, err := i.layer()
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config": map[string]any{
			"Entrypoint": i.Entrypoint, "User": i.User, "Env": []string{"PATH=/bin"}, "WorkingDir": "/",
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.manifest.v1+json",
		"config":        describe("application/vnd.oci.image.config.v1+json", config),
		"layers":        []descriptor{describe("application/vnd.oci.image.layer.v1.tar", layer)},
	})
	if err != nil {
		return err
	}
	top := describe("application/vnd.oci.image.manifest.v1+json", manifest)
	top.Annotations = map[string]string{
		"io.containerd.image.name":          i.Reference,
		"org.opencontainers.image.ref.name": i.Reference[strings.LastIndexByte(i.Reference, ':')+1:],
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{top}})
	if err != nil {
		return err
	}
	return writeLayout(w, index, config, manifest, layer)
}

func writeLayout(w io.Writer, index []byte, blobs ...[]byte) error {
	t := tar.NewWriter(w)
	if err := writeFile(t, "oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	for _, b := range blobs {
		name := "blobs/sha256/" + strings.TrimPrefix(digest(b), "sha256:")
		if err := writeFile(t, name, 0o644, b); err != nil {
			return err
		}
	}
	if err := writeFile(t, "index.json", 0o644, index); err != nil {
		return err
	}
	return t.Close()
}

// layer is the image's one layer, an uncompressed tar file: it is read once, from this machine.
func (i Image) layer() ([]byte, error) {
	var buffer bytes.Buffer
	t := tar.NewWriter(&buffer)
	if err := i.writeDirectories(t); err != nil {
		return nil, err
	}
	for _, name := range sorted(i.Files) {
		content, err := os.ReadFile(i.Files[name])
		if err != nil {
			return nil, fmt.Errorf("reading a file of %s: %w", i.Reference, err)
		}
		if err := writeFile(t, name, 0o755, content); err != nil {
			return nil, err
		}
	}
	for _, name := range sorted(i.Links) {
		h := &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: i.Links[name], Mode: 0o777, ModTime: epoch}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// writeDirectories writes every directory that files and links are in, parents first.
func (i Image) writeDirectories(t *tar.Writer) error {
	seen := map[string]bool{"tmp": true}
	for _, name := range append(sorted(i.Files), sorted(i.Links)...) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			seen[dir] = true
		}
	}
	for _, dir := range sorted(seen) {
		mode := int64(0o755)
		if dir == "tmp" {
			mode = 0o1777
		}
		h := &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: mode, ModTime: epoch}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(t *tar.Writer, name string, mode int64, content []byte) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content)), ModTime: epoch}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err := t.Write(content)
	return err
}

func describe(mediaType string, content []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: digest(content), Size: int64(len(content))}
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
