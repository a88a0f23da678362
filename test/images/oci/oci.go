// Package oci writes container images as OCI archives: a tar of an image layout
// that containerd, podman, skopeo and docker load alike. Its one job is the
// format (OCI image-spec v1.1); it must not know what is in an image, and the
// same input gives the same bytes wherever and whenever it is written.
package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Media types of the OCI image-spec v1.1.
const (
	mediaTypeIndex    = "application/vnd.oci.image.index.v1+json"
	mediaTypeManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaTypeConfig   = "application/vnd.oci.image.config.v1+json"
	mediaTypeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// Platform names what an image runs on, in Go's words.
type Platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
}

// String returns the platform as os/architecture.
func (p Platform) String() string { return p.OS + "/" + p.Architecture }

// ParsePlatform reads "os/architecture".
func ParsePlatform(s string) (Platform, error) {
	system, arch, ok := strings.Cut(s, "/")
	if !ok || system == "" || arch == "" || strings.Contains(arch, "/") {
		return Platform{}, fmt.Errorf("platform %q: write os/architecture, such as linux/amd64", s)
	}
	return Platform{OS: system, Architecture: arch}, nil
}

// File is one file of a layer. Its parent directories are made for it, 0755 and
// owned by root, as the file itself is.
type File struct {
	Path string // absolute
	Mode int64  // permission bits
	Data []byte
}

// Layer is one compressed layer.
type Layer struct {
	blob   blob
	diffID string
}

// NewLayer packs files into a layer. Their order does not matter.
func NewLayer(files []File, created time.Time) (Layer, error) {
	plain, err := packTar(files, created)
	if err != nil {
		return Layer{}, fmt.Errorf("packing a layer: %w", err)
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return Layer{}, fmt.Errorf("packing a layer: %w", err)
	}
	if _, err := z.Write(plain); err != nil {
		return Layer{}, fmt.Errorf("packing a layer: %w", err)
	}
	if err := z.Close(); err != nil {
		return Layer{}, fmt.Errorf("packing a layer: %w", err)
	}
	return Layer{blob: blob{mediaTypeLayer, packed.Bytes()}, diffID: digest(plain)}, nil
}

// Config is what a runtime needs to know to start the image.
type Config struct {
	User       string            // uid:gid
	Entrypoint []string          // absolute path first
	Env        []string          // NAME=value
	WorkingDir string            // absolute
	Labels     map[string]string // org.opencontainers.image.*
}

// Image is an image for one platform.
type Image struct {
	Platform Platform
	Config   Config
	Layers   []Layer
	Created  time.Time
	// Attest returns what is attested about the image, whose manifest has this digest; nil attests nothing.
	Attest func(digest string) ([]Attachment, error)
}

// Attachment is a document beside an image.
type Attachment struct {
	MediaType   string
	Data        []byte
	Annotations map[string]string
}

// WriteArchive writes the images, one a platform, as one OCI archive under the
// fully qualified name, such as ghcr.io/relaykeep/relay:dev.
func WriteArchive(w io.Writer, name string, images []Image) error {
	if len(images) == 0 {
		return fmt.Errorf("writing %s: no platform given", name)
	}
	tag, ok := tagOf(name)
	if !ok {
		return fmt.Errorf("writing %q: a name needs a registry, a repository and a tag", name)
	}
	blobs := map[string]blob{}
	var manifests, attestations []descriptor
	for _, image := range images {
		d, err := addImage(blobs, image)
		if err != nil {
			return fmt.Errorf("writing %s for %s: %w", name, image.Platform, err)
		}
		manifests = append(manifests, d)
		if image.Attest == nil {
			continue
		}
		a, err := addAttestation(blobs, d.Digest, image.Attest)
		if err != nil {
			return fmt.Errorf("attesting %s for %s: %w", name, image.Platform, err)
		}
		attestations = append(attestations, a)
	}
	// Behind the images: those who take the first of a platform never meet them.
	manifests = append(manifests, attestations...)
	inner, err := add(blobs, mediaTypeIndex, index{SchemaVersion: 2, MediaType: mediaTypeIndex, Manifests: manifests})
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return writeNamed(w, name, tag, inner, blobs)
}

// WriteArtifact writes documents that are no image under a fully qualified name.
func WriteArtifact(w io.Writer, name string, documents []Attachment) error {
	tag, ok := tagOf(name)
	if !ok {
		return fmt.Errorf("writing %q: a name needs a registry, a repository and a tag", name)
	}
	blobs := map[string]blob{}
	d, err := addDocuments(blobs, documents)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return writeNamed(w, name, tag, d, blobs)
}

// addAttestation adds what is attested about an image in the form that BuildKit gave it, so that it is copied with the image's index
// and found by tools that read it there.
func addAttestation(blobs map[string]blob, image string, attest func(string) ([]Attachment, error)) (descriptor, error) {
	documents, err := attest(image)
	if err != nil {
		return descriptor{}, err
	}
	d, err := addDocuments(blobs, documents)
	d.Platform = &Platform{OS: "unknown", Architecture: "unknown"} // nothing that runs
	d.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image}
	return d, err
}

// addDocuments adds a manifest of documents, with a configuration that names them as layers, as registries and tools expect one.
func addDocuments(blobs map[string]blob, documents []Attachment) (descriptor, error) {
	config := configFile{Architecture: "unknown", OS: "unknown", RootFS: rootFS{Type: "layers"}, Created: time.Unix(0, 0).UTC()}
	m := manifest{SchemaVersion: 2, MediaType: mediaTypeManifest}
	for _, a := range documents {
		d := addBlob(blobs, blob{a.MediaType, a.Data})
		d.Annotations = a.Annotations
		m.Layers = append(m.Layers, d)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, d.Digest)
		config.History = append(config.History, history{Created: time.Unix(0, 0).UTC(), CreatedBy: "relaykeep images"})
	}
	var err error
	if m.Config, err = add(blobs, mediaTypeConfig, config); err != nil {
		return descriptor{}, err
	}
	return add(blobs, mediaTypeManifest, m)
}

// writeNamed writes a layout whose one entry has a name.
func writeNamed(w io.Writer, name, tag string, inner descriptor, blobs map[string]blob) error {
	// containerd takes the name from the first, other tools the tag from the second.
	inner.Annotations = map[string]string{
		"io.containerd.image.name":          name,
		"org.opencontainers.image.ref.name": tag,
	}
	top := index{SchemaVersion: 2, MediaType: mediaTypeIndex, Manifests: []descriptor{inner}}
	return writeLayout(w, top, blobs)
}

// tagOf returns the tag of registry/repository:tag. The registry is needed because
// containerd finds only fully qualified names.
func tagOf(name string) (tag string, ok bool) {
	i := strings.LastIndexByte(name, ':')
	if i < 0 || !strings.Contains(name[:i], "/") || strings.Contains(name[i:], "/") || i+1 == len(name) {
		return "", false
	}
	return name[i+1:], true
}

func addImage(blobs map[string]blob, image Image) (descriptor, error) {
	config := configFile{
		Created:      image.Created.UTC(),
		Architecture: image.Platform.Architecture,
		OS:           image.Platform.OS,
		Config:       runConfig(image.Config),
		RootFS:       rootFS{Type: "layers"},
	}
	m := manifest{SchemaVersion: 2, MediaType: mediaTypeManifest}
	for _, layer := range image.Layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.diffID)
		config.History = append(config.History, history{Created: image.Created.UTC(), CreatedBy: "relaykeep images"})
		m.Layers = append(m.Layers, addBlob(blobs, layer.blob))
	}
	d, err := add(blobs, mediaTypeConfig, config)
	if err != nil {
		return descriptor{}, err
	}
	m.Config = d
	d, err = add(blobs, mediaTypeManifest, m)
	if err != nil {
		return descriptor{}, err
	}
	d.Platform = &image.Platform
	return d, nil
}

// blob is content that a layout keeps under its digest.
type blob struct {
	mediaType string
	data      []byte
}

func add(blobs map[string]blob, mediaType string, v any) (descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, fmt.Errorf("encoding %s: %w", mediaType, err)
	}
	return addBlob(blobs, blob{mediaType, data}), nil
}

func addBlob(blobs map[string]blob, b blob) descriptor {
	d := descriptor{MediaType: b.mediaType, Digest: digest(b.data), Size: int64(len(b.data))}
	blobs[d.Digest] = b
	return d
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// writeLayout writes an image layout: what names it first, so that a reader
// knows early what it has before it, then the blobs in the order of their digests.
func writeLayout(w io.Writer, top index, blobs map[string]blob) error {
	data, err := json.Marshal(top)
	if err != nil {
		return fmt.Errorf("encoding the index: %w", err)
	}
	t := tar.NewWriter(w)
	files := []File{
		{Path: "oci-layout", Mode: 0o644, Data: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{Path: "index.json", Mode: 0o644, Data: data},
	}
	for _, name := range slices.Sorted(maps.Keys(blobs)) {
		algorithm, sum, _ := strings.Cut(name, ":")
		files = append(files, File{Path: path.Join("blobs", algorithm, sum), Mode: 0o644, Data: blobs[name].data})
	}
	for _, f := range files {
		if err := writeFile(t, f, time.Unix(0, 0)); err != nil {
			return fmt.Errorf("writing the archive: %w", err)
		}
	}
	if err := t.Close(); err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	return nil
}
