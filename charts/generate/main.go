// Command generate writes the chart's templates whose content has another source:
// the CustomResourceDefinitions, the operator's role and the admission policies,
// all under config/. Its one job is that the chart never says anything else than
// they do. It must not know what is in them.
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
	want, err := templates(*config)
	if err != nil {
		return err
	}
	dir := filepath.Join(*chart, "templates")
	stale, err := staleFiles(dir, want)
	if err != nil {
		return err
	}
	if *check {
		if len(stale) > 0 {
			return fmt.Errorf("not current: %s: run `go generate ./charts/...`", strings.Join(stale, ", "))
		}
		return nil
	}
	return write(dir, want, stale)
}

// prefix begins the name of every generated template, so that one whose source is
// gone is found and removed.
const prefix = "generated-"

// staleFiles returns the names of files that are missing, differ, or should not be.
func staleFiles(dir string, want map[string][]byte) ([]string, error) {
	var stale []string
	there, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("reading the chart: %w", err)
	}
	for _, path := range there {
		if _, ok := want[filepath.Base(path)]; !ok {
			stale = append(stale, filepath.Base(path))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("reading the chart: %w", err)
		}
		if err != nil || !bytes.Equal(got, want[name]) {
			stale = append(stale, name)
		}
	}
	return stale, nil
}

func write(dir string, want map[string][]byte, stale []string) error {
	for _, name := range stale {
		path := filepath.Join(dir, name)
		if data, ok := want[name]; ok {
			if err := os.WriteFile(path, data, 0o644); err != nil {
				return fmt.Errorf("writing the chart: %w", err)
			}
			continue
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("removing what has no source any more: %w", err)
		}
	}
	return nil
}
