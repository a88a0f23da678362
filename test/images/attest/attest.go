// Package attest says of an image what it was built from and how, as in-toto statements: a bill of materials (CycloneDX) and the
// provenance (SLSA v1). The same build gives the same bytes: no statement has a time. It must not know where statements are kept.
package attest

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/relaykeep/relaykeep/test/images/bom"
)

// MediaType is a statement's.
const MediaType = "application/vnd.in-toto+json"

// The types of the predicates.
const (
	PredicateBOM        = "https://cyclonedx.org/bom"
	PredicateProvenance = "https://slsa.dev/provenance/v1"
)

// What the provenance names: how a release is built, and by what.
const (
	source    = "https://" + bom.Product
	buildType = source + "/blob/HEAD/docs/decisions/0081-supply-chain.md#build-type"
	builder   = source + "/blob/HEAD/test/release"
)

// Build is one image of a platform that was built.
type Build struct {
	Image    string // as the command line calls it
	Name     string // registry and repository
	Version  string
	Revision string // commit of the source; empty when it is none's
	Platform string // os/architecture
	Program  []byte
}

// Statement is one of them.
type Statement struct {
	Predicate string // its type
	Document  []byte // JSON
}

type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     any       `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// provenance is https://slsa.dev/spec/v1.0/provenance, as much of it as is known.
type provenance struct {
	BuildDefinition struct {
		BuildType            string            `json:"buildType"`
		ExternalParameters   map[string]string `json:"externalParameters"`
		ResolvedDependencies []resource        `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
	} `json:"runDetails"`
}

type resource struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest,omitempty"`
}

// Statements are those about the image whose manifest has this digest, such as sha256:0123.
func (b Build) Statements(digest string) ([]Statement, error) {
	materials, err := bom.Describe(b.Image, b.Version, b.Platform, b.Program)
	if err != nil {
		return nil, err
	}
	made, err := b.provenance()
	if err != nil {
		return nil, err
	}
	algorithm, sum, _ := strings.Cut(digest, ":")
	about := []subject{{Name: b.Name, Digest: map[string]string{algorithm: sum}}}
	var all []Statement
	for _, s := range []statement{
		{PredicateType: PredicateBOM, Predicate: json.RawMessage(materials)},
		{PredicateType: PredicateProvenance, Predicate: made},
	} {
		s.Type, s.Subject = "https://in-toto.io/Statement/v1", about
		document, err := json.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("writing a statement about %s: %w", b.Image, err)
		}
		all = append(all, Statement{s.PredicateType, document})
	}
	return all, nil
}

func (b Build) provenance() (p provenance, err error) {
	info, err := buildinfo.Read(bytes.NewReader(b.Program))
	if err != nil {
		return p, fmt.Errorf("reading what %s was built with: %w", b.Image, err)
	}
	code := resource{URI: "git+" + source}
	if b.Revision != "" {
		code.Digest = map[string]string{"gitCommit": b.Revision}
	}
	p.BuildDefinition.BuildType = buildType
	p.BuildDefinition.ExternalParameters = map[string]string{"image": b.Image, "version": b.Version, "platform": b.Platform}
	p.BuildDefinition.ResolvedDependencies = []resource{code, {URI: bom.PURL("std", info.GoVersion)}}
	p.RunDetails.Builder.ID = builder
	return p, nil
}
