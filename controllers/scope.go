package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

const (
	// scopeInterval is how often the operator looks whether it may still read its namespaces.
	scopeInterval = 30 * time.Second
	// scopeTime bounds one such look.
	scopeTime = 20 * time.Second
)

// Scope says in which namespaces the operator watches BusinessRelays. The zero value stands for all namespaces.
type Scope struct {
	// Namespaces are those that it was told; none means all.
	Namespaces []string
	// LeftOut are those of Namespaces that it may not read: they do not exist, or nobody gave it its role there.
	LeftOut []string
}

// Watched returns the namespaces that are watched; none means all.
func (s Scope) Watched() []string {
	return slices.DeleteFunc(slices.Clone(s.Namespaces), func(n string) bool { return slices.Contains(s.LeftOut, n) })
}

// NewScope finds out which namespaces can be watched: a cache that waits for one that cannot would hold up the relays of
// all others. It fails if none can, because a cache without namespaces has all.
func NewScope(ctx context.Context, live client.Reader, namespaces []string) (Scope, error) {
	scope := Scope{Namespaces: namespaces}
	for _, namespace := range namespaces {
		may, err := mayRead(ctx, live, namespace)
		if err != nil {
			return Scope{}, err
		}
		if !may {
			scope.LeftOut = append(scope.LeftOut, namespace)
		}
	}
	if len(namespaces) > 0 && len(scope.LeftOut) == len(namespaces) {
		return Scope{}, fmt.Errorf("none of the namespaces %s can be watched: each must exist and have the operator's role, "+
			"which the chart makes where its watchNamespaces names it", strings.Join(namespaces, ", "))
	}
	return scope, nil
}

// mayRead says whether the operator may list BusinessRelays in a namespace.
func mayRead(ctx context.Context, live client.Reader, namespace string) (bool, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.KindBusinessRelay + "List"))
	err := live.List(ctx, list, client.InNamespace(namespace), client.Limit(1))
	if err != nil && !apierrors.IsForbidden(err) {
		return false, fmt.Errorf("looking for BusinessRelays in namespace %s: %w", namespace, err)
	}
	return err == nil, nil
}

// ErrNamespaceAppeared ends the manager: a namespace that its cache leaves out can be watched now. Only a new start
// watches it.
var ErrNamespaceAppeared = errors.New("a namespace that was left out can be watched now")

// scopeGuard looks now and then whether the operator may read its namespaces, and tells it in a metric.
type scopeGuard struct {
	scope   Scope
	live    client.Reader
	every   time.Duration
	watched *prometheus.GaugeVec
}

func newScopeGuard(scope Scope, live client.Reader) *scopeGuard {
	return &scopeGuard{scope: scope, live: live, every: scopeInterval, watched: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "relaykeep_operator_namespace_watched",
		Help: "1 for each of the operator's namespaces that it may read, 0 for one that does not exist or has no role for it. There is none when it watches all.",
	}, []string{"namespace"})}
}

// addScopeGuard adds it to a manager that does not watch all namespaces. The leader alone shows the metric.
func addScopeGuard(mgr ctrl.Manager, scope Scope) error {
	if len(scope.Namespaces) == 0 {
		return nil
	}
	g := newScopeGuard(scope, mgr.GetAPIReader())
	return errors.Join(mgr.Add(g), mgr.Add(leaderOnly{served{metrics.Registry, g.watched}}))
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: those that stand by have a cache, too.
func (*scopeGuard) NeedLeaderElection() bool { return false }

// Start looks until ctx ends, or until a namespace that is left out can be watched.
func (g *scopeGuard) Start(ctx context.Context) error {
	tick := time.NewTicker(g.every)
	defer tick.Stop()
	for {
		if err := g.look(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look returns ErrNamespaceAppeared, or nil. What cannot be found out stays as it was.
func (g *scopeGuard) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, scopeTime)
	defer cancel()
	for _, namespace := range g.scope.Namespaces {
		may, err := mayRead(ctx, g.live, namespace)
		if err != nil {
			log.FromContext(ctx).Error(err, "cannot tell whether a namespace is watched", "namespace", namespace)
			continue
		}
		value := 0.0
		if may {
			value = 1
		}
		g.watched.WithLabelValues(namespace).Set(value)
		if may && slices.Contains(g.scope.LeftOut, namespace) {
			return fmt.Errorf("%w: %s", ErrNamespaceAppeared, namespace)
		}
	}
	return nil
}
