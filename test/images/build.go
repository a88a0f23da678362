package main

import (
	"context"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/test/images/attest"
	"github.com/relaykeep/relaykeep/test/images/binary"
	"github.com/relaykeep/relaykeep/test/images/oci"
)

// user is whom the images run as: not root, and a number, so that a cluster can
// check runAsNonRoot without a password file.
const user = "65532:65532"

// image is one image and the command in it.
type image struct {
	name       string // as the command line calls it
	repository string // last part of its repository, and its binary's file name
	command    string // package path of the command
	buildTags  string
	tagSuffix  string // appended to the version as the image's tag
	title      string
}

var images = []image{
	{name: "manager", repository: "manager", command: "./cmd/manager", title: "Relaykeep operator"},
	{name: "relay", repository: "relay", command: "./cmd/relay", title: "Relaykeep relay"},
	// For tests and the demo: it reads a clock offset from its environment, which
	// no released image may do.
	{
		name: "relay-testclock", repository: "relay", command: "./cmd/relay", title: "Relaykeep relay with a clock to set, for tests",
		buildTags: "testclock", tagSuffix: "-testclock",
	},
}

func imageNamed(name string) (image, error) {
	for _, i := range images {
		if i.name == name {
			return i, nil
		}
	}
	return image{}, fmt.Errorf("no image is called %q: write manager, relay or relay-testclock", name)
}

func (i image) tag(version string) string { return version + i.tagSuffix }

// programPath is where the image has its program.
func (i image) programPath() string { return "/" + i.repository }

// build makes the image of these files for one platform.
func (i image) build(p oci.Platform, version string, files []oci.File) (oci.Image, error) {
	created := time.Unix(0, 0)
	// One layer a file: the authorities' is the same in every image.
	var layers []oci.Layer
	for _, f := range files {
		layer, err := oci.NewLayer([]oci.File{f}, created)
		if err != nil {
			return oci.Image{}, err
		}
		layers = append(layers, layer)
	}
	return oci.Image{Platform: p, Config: i.config(version), Layers: layers, Created: created}, nil
}

// attested is what is attested about the image: what its program was built from, and how.
func (i image) attested(o options, p oci.Platform, files []oci.File) func(string) ([]oci.Attachment, error) {
	build := attest.Build{Image: i.name, Name: o.registry + "/" + i.repository, Version: o.version, Revision: o.revision, Platform: p.String()}
	for _, f := range files {
		if f.Path == i.programPath() {
			build.Program = f.Data
		}
	}
	return func(digest string) ([]oci.Attachment, error) {
		statements, err := build.Statements(digest)
		var all []oci.Attachment
		for _, s := range statements {
			all = append(all, oci.Attachment{
				MediaType: attest.MediaType, Data: s.Document, Annotations: map[string]string{"in-toto.io/predicate-type": s.Predicate},
			})
		}
		return all, err
	}
}

func (i image) config(version string) oci.Config {
	return oci.Config{
		User:       user,
		Entrypoint: []string{i.programPath()},
		Env:        []string{"PATH=/"},
		WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":    i.title,
			"org.opencontainers.image.version":  version,
			"org.opencontainers.image.licenses": "GPL-3.0-only",
			"org.opencontainers.image.source":   "https://github.com/relaykeep/relaykeep",
		},
	}
}

// files are all that is in the image.
func (i image) files(ctx context.Context, p oci.Platform, version string) ([]oci.File, error) {
	roots, err := rootsPEM()
	if err != nil {
		return nil, err
	}
	program, err := binary.Compile(ctx, binary.Program{
		Package: i.command, Tags: i.buildTags, Version: version, OS: p.OS, Arch: p.Architecture,
	})
	if err != nil {
		return nil, err
	}
	return []oci.File{
		{Path: rootsPath, Mode: 0o644, Data: roots},
		{Path: i.programPath(), Mode: 0o755, Data: program},
	}, nil
}
