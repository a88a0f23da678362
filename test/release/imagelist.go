package main

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// registry is where the images of a release are published.
const registry = "ghcr.io/relaykeep"

// imageListFile has a line for each image, its name and its digest, for those who mirror them.
const imageListFile = "images.txt"

// maxIndex bounds what is read of an archive's index, in bytes.
const maxIndex = 1 << 20

// imageNames are the images of a release: all that a cluster runs of it.
func imageNames() []string { return []string{"manager", "relay"} }

// reference is an image's name with its tag.
func reference(name, version string) string { return registry + "/" + name + ":" + version }

// imageList writes the list of images.
func (r *release) imageList(context.Context) error {
	var text strings.Builder
	for _, name := range imageNames() {
		digest, err := digestOf(filepath.Join(r.out, name+"-"+r.version+".tar"), reference(name, r.version))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s %s\n", reference(name, r.version), digest)
	}
	return r.write(imageListFile, []byte(text.String()))
}

// digestOf reads the digest that an image has in a registry, that of its index of platforms, from its OCI archive. The archive must
// hold the image of that name and no other.
func digestOf(path, name string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("looking for an image's digest: %w", err)
	}
	defer f.Close()
	archive := tar.NewReader(f)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return "", fmt.Errorf("%s has no index.json", path)
		}
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", path, err)
		}
		if h.Name != "index.json" {
			continue
		}
		var index struct {
			Manifests []struct {
				Digest      string            `json:"digest"`
				Annotations map[string]string `json:"annotations"`
			} `json:"manifests"`
		}
		if err := json.NewDecoder(io.LimitReader(archive, maxIndex)).Decode(&index); err != nil {
			return "", fmt.Errorf("reading the index of %s: %w", path, err)
		}
		if len(index.Manifests) != 1 || index.Manifests[0].Annotations["io.containerd.image.name"] != name {
			return "", fmt.Errorf("%s does not hold %s alone", path, name)
		}
		return index.Manifests[0].Digest, nil
	}
}
