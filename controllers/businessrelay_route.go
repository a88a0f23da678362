package controllers

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/apply"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
)

// applyRoute routes the region's gateway, if there is one, to the relay, and removes
// the relay's other route: one that terminates TLS at the gateway must not stay once
// nobody wants it.
func (p *pass) applyRoute(ctx context.Context) error {
	if p.region.Spec.Endpoint.GatewayRef == nil {
		return p.clearRoutes(ctx, "")
	}
	kind := desired.RouteKind(p.in)
	if err := p.clearRoutes(ctx, kind.Kind); err != nil {
		return err
	}
	if err := p.servesRoutes(kind); err != nil {
		return err
	}
	_, err := p.routeApplier().Apply(ctx, p.relay, apply.Untyped(desired.Route(p.in)))
	return err
}

// servesRoutes returns nil if the cluster serves a kind of route in the version of ours.
func (p *pass) servesRoutes(kind schema.GroupKind) error {
	_, err := p.Mapper.RESTMapping(kind, desired.RouteVersion)
	if meta.IsNoMatchError(err) {
		return outcome.Waiting(outcome.Recheck, v1alpha1.ReasonGatewayAPIMissing,
			"the DataRegion names a Gateway, but the cluster serves no %s %s: install the Gateway API's standard channel, 1.5 or later, or remove endpoint.gatewayRef",
			kind.Kind, desired.RouteVersion)
	}
	if err != nil {
		return fmt.Errorf("looking for the Gateway API: %w", err)
	}
	return nil
}

// routeApplier reads from the API server: routes are not in the cache, because the kind may not exist
// when the operator starts.
func (p *pass) routeApplier() apply.Applier {
	a := p.applier()
	a.Client = liveReads{p.Client, p.Live}
	return a
}

// clearRoutes removes the relay's routes of all kinds but one. It asks the API server
// only when there may be another: after the operator started, or when the spec changed.
func (p *pass) clearRoutes(ctx context.Context, keep string) error {
	key := client.ObjectKeyFromObject(p.relay)
	if p.routes.settled(key, keep) {
		return nil
	}
	// The first pass over a relay finds none of its routes.
	if p.relay.Status.ObservedGeneration > 0 {
		for _, kind := range desired.RouteKinds() {
			if kind.Kind == keep {
				continue
			}
			if err := p.removeRoute(ctx, kind, v1alpha1.TenantName(p.relay.Name)); err != nil {
				return err
			}
		}
	}
	p.routes.settle(key, keep)
	return nil
}

func (p *pass) removeRoute(ctx context.Context, kind schema.GroupKind, name string) error {
	mapping, err := p.Mapper.RESTMapping(kind)
	if meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for the Gateway API: %w", err)
	}
	route := &unstructured.Unstructured{}
	route.SetGroupVersionKind(mapping.GroupVersionKind)
	route.SetNamespace(p.relay.Namespace)
	route.SetName(name)
	_, err = p.applier().Delete(ctx, p.relay, apply.Untyped(route))
	return err
}

// routes remembers which kind of route each relay has, since this operator started. The
// zero value remembers nothing. Its methods are safe for concurrent use.
type routes struct {
	mu   sync.Mutex // guards the following field
	left map[types.NamespacedName]string
}

func (r *routes) settled(key types.NamespacedName, kind string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	left, ok := r.left[key]
	return ok && left == kind
}

func (r *routes) settle(key types.NamespacedName, kind string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == nil {
		r.left = map[types.NamespacedName]string{}
	}
	r.left[key] = kind
}

func (r *routes) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.left, key)
}

// liveReads is a client that reads from the API server.
type liveReads struct {
	client.Client
	live client.Reader
}

// Get reads from the API server.
func (l liveReads) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return l.live.Get(ctx, key, o, opts...)
}
