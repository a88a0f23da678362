package admission

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const regionYAML = `
apiVersion: relaykeep.dev/v1alpha1
kind: DataRegion
metadata: {name: eu}
spec:
  type: EU
  storageClassName: relaykeep-eu
  vault: {address: "https://vault.eu.example.org:8200"}
  carrier: {xmpp: {domain: eu.example.org}}
`

const relayYAML = `
apiVersion: relaykeep.dev/v1alpha1
kind: BusinessRelay
metadata: {name: acme, namespace: default}
spec:
  phoneNumber: "+41441234567"
  dataRegion: eu
`

// object parses a manifest and lets edit change it.
func object(t *testing.T, manifest string, edit func(o map[string]any)) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(u.Object)
	}
	return u
}

// set puts a value at a path of field names separated by slashes; nil removes it.
func set(path string, value any) func(map[string]any) {
	return func(o map[string]any) {
		fields := strings.Split(path, "/")
		if value == nil {
			unstructured.RemoveNestedField(o, fields...)
			return
		}
		if err := unstructured.SetNestedField(o, value, fields...); err != nil {
			panic(err) // a mistake in the test's table
		}
	}
}

// all applies several edits in order.
func all(edits ...func(map[string]any)) func(map[string]any) {
	return func(o map[string]any) {
		for _, edit := range edits {
			edit(o)
		}
	}
}

// rule is one thing that the API server must refuse, with its twin that it must
// accept, so that a rule which refuses everything is seen.
type rule struct {
	name     string
	accepted func(map[string]any)
	refused  func(map[string]any)
	says     string // part of the refusal
}

func (r rule) testCreate(t *testing.T, manifest string) { r.testCreateAs(t, server.Client, manifest) }

// testCreateAs is testCreate by the user of a client.
func (r rule) testCreateAs(t *testing.T, c client.Client, manifest string) {
	dry := client.DryRunAll
	if err := c.Create(t.Context(), object(t, manifest, r.accepted), dry); err != nil {
		t.Errorf("the accepted twin is refused: %v", err)
	}
	wantRefusal(t, c.Create(t.Context(), object(t, manifest, r.refused), dry), r.says)
}

// testUpdate creates the manifest with the edit before, then tries both updates.
func (r rule) testUpdate(t *testing.T, manifest string, before func(map[string]any)) {
	o := object(t, manifest, before)
	if err := server.Client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	deleteAtEnd(t, o)
	update := func(edit func(map[string]any)) error {
		u := object(t, manifest, all(before, edit))
		u.SetResourceVersion(o.GetResourceVersion())
		return server.Client.Update(t.Context(), u, client.DryRunAll)
	}
	if err := update(r.accepted); err != nil {
		t.Errorf("the accepted twin is refused: %v", err)
	}
	wantRefusal(t, update(r.refused), r.says)
}

// deleteAtEnd removes an object when the test is over.
func deleteAtEnd(t *testing.T, o client.Object) {
	t.Helper()
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if err := server.Client.Delete(context.Background(), o); err != nil {
			t.Error(err)
		}
	})
}

func wantRefusal(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil {
		t.Error("the API server accepted what it must refuse")
		return
	}
	if !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
		t.Errorf("refused as %s, want invalid or forbidden: %v", apierrors.ReasonForError(err), err)
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("the refusal is %q, want it to say %q", err, says)
	}
}

// none is the edit that changes nothing.
func none(map[string]any) {}
