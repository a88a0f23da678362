#!/bin/bash
# Kubernetes server-side apply: applying with force does not make a list of the type set or map equal to the manifest. Items
# that another manager applied stay, and there is no conflict.
#
# "Force" (kubectl apply --server-side --force-conflicts) sounds like "make it what my manifest says". It only decides
# conflicts: fields for which two managers want different values. With listType=set or listType=map each item is a field of
# its own, so two managers who want different items do not conflict. An address that somebody else applied to a list of allowed
# addresses is still there after the manifest's owner has applied it with force, and the apply succeeds. Only lists with
# listType=atomic, the default in custom resources, are replaced as a whole.
# So: make a list atomic if an item that the manifest omits must not be there, or compare the result with the manifest.
#
# This runs the library that decides it in the API server, sigs.k8s.io/structured-merge-diff.
# Source: Kubernetes' documentation, "Server-Side Apply" (merge strategy); and the output below.
. "$(dirname "$0")/lib/common.sh"

version=v6.4.2
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/merge"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

const schema = `types:
- name: example
  map:
    fields:
    - name: set
      type: {list: {elementType: {scalar: string}, elementRelationship: associative}}
    - name: map
      type: {list: {elementType: {namedType: port}, elementRelationship: associative, keys: [name]}}
    - name: atomic
      type: {list: {elementType: {scalar: string}, elementRelationship: atomic}}
- name: port
  map:
    fields:
    - name: name
      type: {scalar: string}
    - name: number
      type: {scalar: numeric}
`

// same converts between versions where there is one.
type same struct{}

func (same) Convert(o *typed.TypedValue, _ fieldpath.APIVersion) (*typed.TypedValue, error) { return o, nil }
func (same) IsMissingVersionError(error) bool                                               { return false }

func must[T any](v T, err error) T {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(2)
	}
	return v
}

func main() {
	example := must(typed.NewParser(schema)).Type("example")
	updater := (&merge.UpdaterBuilder{Converter: same{}}).BuildUpdater()
	live, managers := must(example.FromYAML("{}")), fieldpath.ManagedFields{}
	apply := func(manager string, force bool, manifest typed.YAMLObject) {
		o, m, err := updater.Apply(live, must(example.FromYAML(manifest)), "v1", managers, manager, force)
		fmt.Printf("%s applies %s, force %v: %d conflicts\n", manager, manifest, force, conflicts(err))
		if err != nil {
			return
		}
		if managers = m; o != nil {
			live = o
		}
		fmt.Println("  live:", live.AsValue().Unstructured())
	}
	for _, list := range []string{"set: [%s]", "map: [{name: %s, number: 1}]", "atomic: [%s]"} {
		apply("helper", false, typed.YAMLObject(fmt.Sprintf(list, "theirs")))
		apply("owner", false, typed.YAMLObject(fmt.Sprintf(list, "ours")))
		apply("owner", true, typed.YAMLObject(fmt.Sprintf(list, "ours")))
		live, managers = must(example.FromYAML("{}")), fieldpath.ManagedFields{}
	}
}

func conflicts(err error) int {
	if err == nil {
		return 0
	}
	c, ok := err.(merge.Conflicts)
	if !ok {
		must(0, err)
	}
	return len(c)
}
GO
go_program "sigs.k8s.io/structured-merge-diff/v6@$version"
echo "sigs.k8s.io/structured-merge-diff $version"
expect 'helper applies set: [theirs], force false: 0 conflicts
  live: map[set:[theirs]]
owner applies set: [ours], force false: 0 conflicts
  live: map[set:[theirs ours]]
owner applies set: [ours], force true: 0 conflicts
  live: map[set:[theirs ours]]
helper applies map: [{name: theirs, number: 1}], force false: 0 conflicts
  live: map[map:[map[name:theirs number:1]]]
owner applies map: [{name: ours, number: 1}], force false: 0 conflicts
  live: map[map:[map[name:theirs number:1] map[name:ours number:1]]]
owner applies map: [{name: ours, number: 1}], force true: 0 conflicts
  live: map[map:[map[name:theirs number:1] map[name:ours number:1]]]
helper applies atomic: [theirs], force false: 0 conflicts
  live: map[atomic:[theirs]]
owner applies atomic: [ours], force false: 1 conflicts
owner applies atomic: [ours], force true: 0 conflicts
  live: map[atomic:[ours]]' ./program
