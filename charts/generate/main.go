// Command generate writes the chart's templates whose content has another source:
// the CustomResourceDefinitions, the operator's roles and the admission policies,
// all under config/, and the admission policies that an API server can read from files.
// Its one job is that none of them ever says anything else than its source. It must not
// know what is in them.
//
//go:generate go run . -config ../../config -chart ../relaykeep
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	config := flags.String("config", "config", "`folder` with crd, rbac and admission")
	chart := flags.String("chart", filepath.Join("charts", "relaykeep"), "`folder` of the chart")
	check := flags.Bool("check", false, "change nothing; fail when something would change")
	if err := flags.Parse(args); err != nil {
		return err
	}
	outputs, err := render(*config, *chart)
	if err != nil {
		return err
	}
	var stale []string
	for _, o := range outputs {
		names, err := o.stale()
		if err != nil {
			return err
		}
		if !*check {
			if err := o.write(names); err != nil {
				return err
			}
		}
		stale = append(stale, names...)
	}
	if *check && len(stale) > 0 {
		return fmt.Errorf("not current: %s: run `go generate ./charts/...`", strings.Join(stale, ", "))
	}
	return nil
}

// prefix begins the name of every generated template, so that one whose source is
// gone is found and removed.
const prefix = "generated-"

// output is a folder with generated files.
type output struct {
	dir     string
	pattern string // of the names of generated files; what else is in the folder is written by hand
	want    map[string][]byte
}

// render returns what should be generated from the folder config.
func render(config, chart string) ([]output, error) {
	inChart, err := templates(config)
	if err != nil {
		return nil, err
	}
	static, err := staticManifests(config)
	if err != nil {
		return nil, err
	}
	return []output{
		{filepath.Join(chart, "templates"), prefix + "*", inChart},
		{filepath.Join(config, staticFolder), "*.yaml", static},
	}, nil
}

// stale returns the names of files that are missing, differ, or should not be.
func (o output) stale() ([]string, error) {
	var stale []string
	there, err := filepath.Glob(filepath.Join(o.dir, o.pattern))
	if err != nil {
		return nil, fmt.Errorf("reading what was generated: %w", err)
	}
	for _, path := range there {
		if _, ok := o.want[filepath.Base(path)]; !ok {
			stale = append(stale, filepath.Base(path))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.want)) {
		got, err := os.ReadFile(filepath.Join(o.dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("reading what was generated: %w", err)
		}
		if err != nil || !bytes.Equal(got, o.want[name]) {
			stale = append(stale, name)
		}
	}
	return stale, nil
}

// write writes and removes stale files.
func (o output) write(stale []string) error {
	if err := os.MkdirAll(o.dir, 0o750); err != nil {
		return fmt.Errorf("making room for what is generated: %w", err)
	}
	for _, name := range stale {
		path := filepath.Join(o.dir, name)
		if data, ok := o.want[name]; ok {
			if err := os.WriteFile(path, data, 0o644); err != nil {
				return fmt.Errorf("writing what is generated: %w", err)
			}
			continue
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("removing what has no source any more: %w", err)
		}
	}
	return nil
}
