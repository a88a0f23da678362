package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

const (
	// staticFolder is the folder, in the one of the sources, with the policies for API servers that read them from files.
	staticFolder = "admission-static"
	// staticSuffix ends the names of what an API server reads from files. Nobody can give such a name to an object
	// through the API.
	staticSuffix = ".static.k8s.io"
)

// staticManifests returns, by file name, the admission policies that an API server can read from files: those without
// parameters. It can look no other object up before it serves any.
func staticManifests(config string) (map[string][]byte, error) {
	files, err := filepath.Glob(filepath.Join(config, "admission", "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("looking for the policies: %w", err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		document, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a policy: %w", err)
		}
		static, err := isStatic(document)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		if static {
			all[filepath.Base(file)] = renderStatic(filepath.Join("config", "admission", filepath.Base(file)), document)
		}
	}
	return all, nil
}

// isStatic says whether all policies and bindings of a file do without parameters.
func isStatic(document []byte) (bool, error) {
	reader := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(document), len(document)+1)
	policies := 0
	for {
		// A binding's spec has paramRef where a policy's has paramKind.
		var o struct {
			Kind string `json:"kind"`
			Spec struct {
				ParamKind *admissionregistrationv1.ParamKind `json:"paramKind"`
				ParamRef  *admissionregistrationv1.ParamRef  `json:"paramRef"`
			} `json:"spec"`
		}
		err := reader.Decode(&o)
		switch {
		case errors.Is(err, io.EOF):
			return policies > 0, nil
		case err != nil:
			return false, err
		case o.Spec.ParamKind != nil || o.Spec.ParamRef != nil:
			return false, nil
		case o.Kind == "ValidatingAdmissionPolicy":
			policies++
		}
	}
}

// renderStatic gives policies and bindings the names that such files must have.
func renderStatic(source string, document []byte) []byte {
	named := regexp.MustCompile(`(?m)^  (name|policyName): [-a-z]+$`).ReplaceAllString(string(document), "${0}"+staticSuffix)
	return []byte(fmt.Sprintf("# Generated from %s by charts/generate: do not edit it here. README.md says what to set before it is installed.\n#\n",
		source) + strings.TrimPrefix(named, "---\n"))
}
