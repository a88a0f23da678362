// Package bom describes what a program was built from, as a CycloneDX document. Its one job is that the same program gives the same
// document. It must not know where documents are kept.
package bom

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"runtime/debug"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// specification is the version of CycloneDX that is written.
const specification = cdx.SpecVersion1_6

// Product is the module whose programs are described.
const Product = "github.com/relaykeep/relaykeep"

// Describe renders the list of modules that Go wrote into a program, and Go itself, as a
// CycloneDX document. Platform is os/architecture. It has no serial number and no time: both would differ each time.
func Describe(name, version, platform string, program []byte) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return nil, fmt.Errorf("reading what it was built from: %w", err)
	}
	sum := sha256.Sum256(program)
	url := PURL(Product, version) + "#cmd/" + name
	self := cdx.Component{
		BOMRef: url, Type: cdx.ComponentTypeApplication, Name: name, Version: version, PackageURL: url,
		Licenses:   &cdx.Licenses{{License: &cdx.License{ID: "GPL-3.0-only"}}},
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
		Properties: &[]cdx.Property{{Name: "relaykeep:platform", Value: platform}},
	}
	components := []cdx.Component{library("std", info.GoVersion)}
	for _, m := range info.Deps {
		components = append(components, module(m))
	}
	var refs []string
	for _, c := range components {
		refs = append(refs, c.BOMRef)
	}
	dependencies := []cdx.Dependency{{Ref: self.BOMRef, Dependencies: &refs}}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &self}
	bom.Components, bom.Dependencies = &components, &dependencies
	var out bytes.Buffer
	err = cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, specification)
	return out.Bytes(), err
}

// module describes a module as it was built: what replaced it where it was replaced.
func module(m *debug.Module) cdx.Component {
	if m.Replace != nil {
		m = m.Replace
	}
	c := library(m.Path, m.Version)
	if m.Sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.Sum}}
	}
	return c
}

func library(path, version string) cdx.Component {
	return cdx.Component{
		BOMRef: PURL(path, version), Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: PURL(path, version),
	}
}

// PURL is a module's package URL: https://github.com/package-url/purl-spec.
func PURL(path, version string) string { return "pkg:golang/" + path + "@" + version }
