package testenv

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/test/repository"
)

// defaults are the schemas of our kinds, by kind.
type defaults map[string]*apiextensionsv1.JSONSchemaProps

// readDefaults reads the schemas from config/crd/bases.
func readDefaults() (defaults, error) {
	folder, err := repository.File("config", "crd", "bases")
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("looking for our kinds: %w", err)
	}
	d := defaults{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a kind: %w", err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(data, crd); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		for _, version := range crd.Spec.Versions {
			d[crd.Spec.Names.Kind] = version.Schema.OpenAPIV3Schema
		}
	}
	return d, nil
}

// set gives an object of ours the defaults of fields that it does not have.
func (d defaults) set(kind string, o apiruntime.Object) error {
	s := d[kind]
	if s == nil {
		return nil
	}
	fields, err := unstructuredOf(o)
	if err != nil {
		return err
	}
	if err := setDefaults(s, fields); err != nil {
		return err
	}
	if err := apiruntime.DefaultUnstructuredConverter.FromUnstructured(fields, o); err != nil {
		return fmt.Errorf("setting the defaults of a %T: %w", o, err)
	}
	return nil
}

func setDefaults(s *apiextensionsv1.JSONSchemaProps, fields map[string]any) error {
	for name, p := range s.Properties {
		if _, has := fields[name]; !has && p.Default != nil {
			var value any
			if err := json.Unmarshal(p.Default.Raw, &value); err != nil {
				return fmt.Errorf("reading the default of %s: %w", name, err)
			}
			fields[name] = value
		}
		if child, is := fields[name].(map[string]any); is {
			if err := setDefaults(&p, child); err != nil {
				return err
			}
		}
	}
	return nil
}
