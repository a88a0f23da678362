package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// Artifact Hub's annotations of a chart: https://artifacthub.io/docs/topics/annotations/helm. Those that belong to a release are
// written when it is made, so that they say nothing else than what they are taken from. There is no signKey, which is for PGP.
type (
	hubImage struct {
		Name      string   `json:"name"`
		Image     string   `json:"image"`
		Platforms []string `json:"platforms"`
	}
	hubDefinition struct {
		Kind        string `json:"kind"`
		Version     string `json:"version"`
		Name        string `json:"name"`
		DisplayName string `json:"displayName"`
		Description string `json:"description"`
	}
	hubChange struct {
		Kind        string `json:"kind"`
		Description string `json:"description"`
	}
)

// hubAnnotations are the annotations of a version, from the source below root.
func hubAnnotations(root, version string) (map[string]string, error) {
	changelog, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		return nil, fmt.Errorf("reading what changed: %w", err)
	}
	changes, err := changesOf(string(changelog), version)
	if err != nil {
		return nil, err
	}
	definitions, err := hubDefinitions(root)
	if err != nil {
		return nil, err
	}
	examples, err := hubExamples(root)
	if err != nil {
		return nil, err
	}
	var images []hubImage
	for _, name := range imageNames() {
		image := hubImage{Name: name, Image: reference(name, version)}
		for _, p := range clusters() {
			image.Platforms = append(image.Platforms, p.os+"/"+p.arch)
		}
		images = append(images, image)
	}
	annotations := map[string]string{"artifacthub.io/prerelease": strconv.FormatBool(semver.Prerelease(version) != "")}
	for name, value := range map[string]any{"images": images, "crds": definitions, "crdsExamples": examples, "changes": changes} {
		text, err := yaml.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("writing Artifact Hub's annotations: %w", err)
		}
		annotations["artifacthub.io/"+name] = string(text)
	}
	return annotations, nil
}

func hubDefinitions(root string) ([]hubDefinition, error) {
	paths, err := filepath.Glob(filepath.Join(root, "config", "crd", "bases", "*.yaml"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("looking for definitions: found %d: %w", len(paths), err)
	}
	var all []hubDefinition
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a definition: %w", err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		for _, v := range crd.Spec.Versions {
			all = append(all, hubDefinition{
				Kind: crd.Spec.Names.Kind, Version: v.Name, Name: crd.Name, DisplayName: crd.Spec.Names.Kind,
				Description: strings.Join(strings.Fields(v.Schema.OpenAPIV3Schema.Description), " "),
			})
		}
	}
	return all, nil
}

// hubExamples are the samples.
func hubExamples(root string) ([]map[string]any, error) {
	paths, err := filepath.Glob(filepath.Join(root, "config", "samples", "*.yaml"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("looking for samples: found %d: %w", len(paths), err)
	}
	var all []map[string]any
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a sample: %w", err)
		}
		for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
			var object map[string]any
			if err := yaml.Unmarshal(document, &object); err != nil {
				return nil, fmt.Errorf("reading %s: %w", path, err)
			}
			if object != nil {
				all = append(all, object)
			}
		}
	}
	return all, nil
}

// kindsOfChange are Artifact Hub's and Keep a Changelog's alike.
func kindsOfChange() []string {
	return []string{"added", "changed", "deprecated", "removed", "fixed", "security"}
}

// changesOf are a version's changes, or those that are not released yet if the changelog does not know the version.
func changesOf(changelog, version string) ([]hubChange, error) {
	sections := strings.Split(changelog, "\n## [")
	section := ""
	for _, s := range sections[1:] {
		switch name, _, _ := strings.Cut(s, "]"); {
		case name == strings.TrimPrefix(version, "v"):
			return changesIn(s)
		case name == "Unreleased":
			section = s
		}
	}
	if section == "" {
		return nil, fmt.Errorf("CHANGELOG.md has neither a section %s nor Unreleased", strings.TrimPrefix(version, "v"))
	}
	return changesIn(section)
}

func changesIn(section string) ([]hubChange, error) {
	var all []hubChange
	for part := range strings.SplitSeq(section, "\n### ") {
		title, entries, _ := strings.Cut(part, "\n")
		kind := strings.ToLower(strings.TrimSpace(title))
		if strings.Contains(title, "]") { // the section's own heading
			continue
		}
		if !slices.Contains(kindsOfChange(), kind) {
			return nil, fmt.Errorf("CHANGELOG.md has changes of the kind %q; there are %s", title, strings.Join(kindsOfChange(), ", "))
		}
		for entry := range strings.SplitSeq("\n"+entries, "\n- ") {
			if entry = plainText(entry); entry != "" {
				all = append(all, hubChange{kind, entry})
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("CHANGELOG.md says nothing of this version")
	}
	return all, nil
}

var (
	link     = regexp.MustCompile(`\[([^\]]+)\]\([^)]+\)`)
	emphasis = regexp.MustCompile(`\*\*([^*]+)\*\*`)
)

// plainText is an entry without links and emphasis, in one line.
func plainText(markdown string) string {
	return strings.Join(strings.Fields(emphasis.ReplaceAllString(link.ReplaceAllString(markdown, "$1"), "$1")), " ")
}

// annotate adds annotations to a Chart.yaml.
func annotate(chart []byte, annotations map[string]string) ([]byte, error) {
	var content map[string]any
	if err := yaml.Unmarshal(chart, &content); err != nil {
		return nil, fmt.Errorf("reading Chart.yaml: %w", err)
	}
	all, ok := content["annotations"].(map[string]any)
	if !ok {
		all = map[string]any{}
		content["annotations"] = all
	}
	for name, value := range annotations {
		all[name] = value
	}
	out, err := yaml.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("writing Chart.yaml: %w", err)
	}
	return out, nil
}
