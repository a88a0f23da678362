package controllers_test

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// regionsNoted are the names of all regions as the world's region notes them.
func (w *world) regionsNoted() []string {
	w.t.Helper()
	region := &v1alpha1.DataRegion{}
	if err := server.Client.Get(w.t.Context(), client.ObjectKey{Name: w.name}, region); err != nil {
		w.t.Fatal(err)
	}
	return region.Status.Regions
}

// The admission policies refuse what names a region that no region's status knows. An
// operator that ended between a region's going and its note leaves the name behind: the
// one that takes over must not wait for another event.
func TestOperator_TakingOverForgetsDeletedRegions(t *testing.T) {
	w := newWorld(t)
	region := &v1alpha1.DataRegion{}
	if err := server.Client.Get(t.Context(), client.ObjectKey{Name: w.name}, region); err != nil {
		t.Fatal(err)
	}
	region.Status = v1alpha1.DataRegionStatus{ObservedGeneration: region.Generation, Regions: []string{w.name, w.name + "-gone"}}
	if err := server.Client.Status().Update(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	startManager(t, &statuses{})
	if !w.within(func() bool { return !slices.Contains(w.regionsNoted(), w.name+"-gone") }) {
		t.Errorf("the regions noted are %q", w.regionsNoted())
	}

	// With the operator there, a region that comes and goes is noted and forgotten.
	other := w.region()
	other.ObjectMeta = metav1.ObjectMeta{Name: w.name + "-other"}
	w.create(other)
	if !w.within(func() bool { return slices.Contains(w.regionsNoted(), other.Name) }) {
		t.Errorf("a new region is not noted among %q", w.regionsNoted())
	}
	if err := server.Client.Delete(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if !w.within(func() bool { return !slices.Contains(w.regionsNoted(), other.Name) }) {
		t.Errorf("a region that went is still among %q", w.regionsNoted())
	}
}
