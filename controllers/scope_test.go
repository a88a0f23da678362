package controllers

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// roles stands for an API server: it lets some namespaces be read, or fails.
type roles struct {
	client.Reader

	readable []string
	fails    error
}

func (r *roles) List(_ context.Context, _ client.ObjectList, opts ...client.ListOption) error {
	o := client.ListOptions{}
	o.ApplyOptions(opts)
	switch {
	case r.fails != nil:
		return r.fails
	case o.Limit != 1:
		return errors.New("it reads more than it needs")
	case !slices.Contains(r.readable, o.Namespace):
		return apierrors.NewForbidden(schema.GroupResource{Resource: "businessrelays"}, "", nil)
	}
	return nil
}

func TestScope_IsNeverWiderThanWasAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		server  *roles
		asked   []string
		watched []string
		fails   bool
	}{
		"all":                {&roles{}, nil, nil, false},
		"each":               {&roles{readable: []string{"a", "b"}}, []string{"a", "b"}, []string{"a", "b"}, false},
		"one of two":         {&roles{readable: []string{"b"}}, []string{"a", "b"}, []string{"b"}, false},
		"none":               {&roles{}, []string{"a", "b"}, nil, true},
		"nobody can say":     {&roles{fails: errors.New("no answer")}, []string{"a"}, nil, true},
		"not even asked for": {&roles{readable: []string{"a", "c"}}, []string{"a"}, []string{"a"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			scope, err := NewScope(t.Context(), c.server, c.asked)
			if (err != nil) != c.fails {
				t.Fatalf("it ends with %v", err)
			}
			if got := scope.Watched(); !slices.Equal(got, c.watched) {
				t.Errorf("%v are watched, want %v", got, c.watched)
			}
		})
	}
}

func TestCache_HoldsKeepersOnlyInTheOperatorsNamespace(t *testing.T) {
	selectors := func(scope Scope, kind func(client.Object) bool) map[string]string {
		t.Helper()
		options, err := CacheOptions(scope, "own")
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for o, by := range options.ByObject {
			if !kind(o) {
				continue
			}
			namespaces := by.Namespaces
			if namespaces == nil {
				namespaces = options.DefaultNamespaces
			}
			for namespace, config := range namespaces {
				found[namespace] = ""
				if config.LabelSelector != nil {
					found[namespace] = config.LabelSelector.String()
				}
			}
		}
		return found
	}
	isCronJob := func(o client.Object) bool { _, is := o.(*batchv1.CronJob); return is }
	isRelay := func(o client.Object) bool { _, is := o.(*v1alpha1.BusinessRelay); return is }
	some := Scope{Namespaces: []string{"a", "b"}, LeftOut: []string{"b"}}
	if got := selectors(some, isRelay); len(got) != 1 || got["a"] != "" {
		t.Errorf("relays are watched in %v", got)
	}
	if got := selectors(some, isCronJob); len(got) != 2 || got["own"] != "app.kubernetes.io/managed-by=relaykeep,app.kubernetes.io/name=relaykeep-keeper" {
		t.Errorf("CronJobs are watched in %v", got)
	}
	if got := selectors(Scope{Namespaces: []string{"own"}}, isCronJob); len(got) != 1 || got["own"] != "" {
		t.Errorf("where relays are in the operator's namespace, CronJobs are watched in %v", got)
	}
	if got := selectors(Scope{}, isCronJob); len(got) != 0 {
		t.Errorf("without a list, CronJobs are watched in %v only", got)
	}
}

func TestScopeGuard_TellsWhatItMayReadAndEndsWhenMoreAppears(t *testing.T) {
	server := &roles{readable: []string{"a"}}
	g := newScopeGuard(Scope{Namespaces: []string{"a", "b"}, LeftOut: []string{"b"}}, server)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(g.watched)
	watched := func(namespace string) float64 {
		t.Helper()
		families, err := registry.Gather()
		if err != nil || len(families) != 1 {
			t.Fatalf("there are %d metrics, %v", len(families), err)
		}
		for _, m := range families[0].Metric {
			if m.Label[0].GetValue() == namespace {
				return m.GetGauge().GetValue()
			}
		}
		return -1
	}
	if err := g.look(t.Context()); err != nil || watched("a") != 1 || watched("b") != 0 {
		t.Errorf("it ends with %v, and says %v of a, %v of b", err, watched("a"), watched("b"))
	}
	server.readable = nil
	if err := g.look(t.Context()); err != nil || watched("a") != 0 {
		t.Errorf("without its role in a it ends with %v, and says %v", err, watched("a"))
	}
	server.fails = errors.New("no answer")
	if err := g.look(t.Context()); err != nil || watched("a") != 0 {
		t.Errorf("without an answer it ends with %v, and says %v", err, watched("a"))
	}
	server.fails, server.readable = nil, []string{"a", "b"}
	g.every = time.Millisecond
	if err := g.Start(t.Context()); !errors.Is(err, ErrNamespaceAppeared) {
		t.Errorf("when b appears it ends with %v", err)
	}
}
