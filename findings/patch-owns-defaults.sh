#!/bin/bash
# Kubernetes server-side apply: who takes a field out with a patch or an update becomes the owner of the default to which the
# field goes back, although the request did not name the field.
#
# A field that has a default belongs to nobody until somebody sets it. One sets it; another, such as a controller that keeps an
# object as it should be, sends an update without the field. The API server fills in the default before it compares the objects,
# so for the managed fields the second manager has changed the value, and owns it from then on. A controller that looks into the
# managed fields for what others own, and also updates, finds itself: its own "Update" entry has a field that its "Apply" entry does
# not have, in every pass, and no further update or apply takes it away. Without a default, the field simply belongs to nobody again.
# So: after taking foreign fields out, write the managed fields themselves (a patch of metadata.managedFields alone).
#
# This runs the library that decides it in the API server, sigs.k8s.io/structured-merge-diff; the defaults are filled in by hand,
# as the API server does before it calls the library.
# Source: Kubernetes' documentation, "Server-Side Apply" (field management); and the output below.
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
- name: service
  map:
    fields:
    - name: port
      type: {scalar: numeric}
    - name: affinity
      type: {scalar: string}
    - name: comment
      type: {scalar: string}
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
	service := must(typed.NewParser(schema)).Type("service")
	updater := (&merge.UpdaterBuilder{Converter: same{}}).BuildUpdater()
	// Nobody set the affinity: it is the default.
	live, managers := must(service.FromYAML("{port: 80, affinity: None}")), fieldpath.ManagedFields{}
	update := func(manager string, object typed.YAMLObject) {
		o, m, err := updater.Update(live, must(service.FromYAML(object)), "v1", managers, manager)
		must(0, err)
		live, managers = o, m
		fmt.Printf("%s updates to %s\n", manager, object)
		for _, name := range []string{"guest", "keeper"} {
			if owned, has := managers[name]; has {
				fmt.Printf("  %s owns %s\n", name, owned.Set())
			}
		}
	}
	update("guest", "{port: 80, affinity: ClientIP, comment: hello}")
	// The keeper sends {port: 80}; the default is filled in before the library sees it.
	update("keeper", "{port: 80, affinity: None}")
	update("keeper", "{port: 80, affinity: None}")
}
GO
go_program "sigs.k8s.io/structured-merge-diff/v6@$version"
echo "sigs.k8s.io/structured-merge-diff $version"
expect 'guest updates to {port: 80, affinity: ClientIP, comment: hello}
  guest owns .affinity
.comment
keeper updates to {port: 80, affinity: None}
  keeper owns .affinity
keeper updates to {port: 80, affinity: None}
  keeper owns .affinity' ./program
