// Command generate writes the reference of the API, one page for each kind below docs/reference: every field from the
// definitions in config/crd/bases, printed columns, and every condition with the reasons that docs/operations.md explains. Its
// one job is that a page never says anything else than these. It must not know any field or reason.
//
//go:generate go run . -root ../..
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	root := flags.String("root", ".", "`folder` of the repository")
	if err := flags.Parse(args); err != nil {
		return err
	}
	written, err := pages(*root)
	if err != nil {
		return err
	}
	for name, text := range written {
		path := filepath.Join(*root, "docs", "reference", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return fmt.Errorf("making room for the reference: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing the reference: %w", err)
		}
	}
	return nil
}

// kinds are the kinds that have a page, with the type that says which of a field's types are Kubernetes' own.
func kinds() []any { return []any{v1alpha1.BusinessRelay{}, v1alpha1.DataRegion{}} }

// pages returns the pages by file name.
func pages(root string) (map[string]string, error) {
	conditions, err := readConditions(filepath.Join(root, "api", "v1alpha1", "conditions.go"))
	if err != nil {
		return nil, err
	}
	rows, err := readReasons(filepath.Join(root, "docs", "operations.md"))
	if err != nil {
		return nil, err
	}
	written := map[string]string{}
	for _, kind := range kinds() {
		goType := reflect.TypeOf(kind)
		name := strings.ToLower(goType.Name())
		crd, err := readDefinition(filepath.Join(root, "config", "crd", "bases", "relaykeep.dev_"+name+"s.yaml"))
		if err != nil {
			return nil, err
		}
		p := &page{kind: goType.Name(), crd: crd, conditions: conditions, rows: rows}
		if err := p.write(goType); err != nil {
			return nil, fmt.Errorf("the page of %s: %w", goType.Name(), err)
		}
		written[name+".md"] = p.out.String()
	}
	return written, nil
}

// readDefinition reads a definition with one version.
func readDefinition(path string) (*apiextensionsv1.CustomResourceDefinition, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a definition: %w", err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, crd); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(crd.Spec.Versions) != 1 || crd.Spec.Versions[0].Schema == nil {
		return nil, fmt.Errorf("%s has %d versions, want one with a schema", path, len(crd.Spec.Versions))
	}
	return crd, nil
}
