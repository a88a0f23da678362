package controllers_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers"
)

func TestOperator_GoesOnAfterTheAPIServerWasAway(t *testing.T) {
	startManager(t, &statuses{})
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.await(relay, v1alpha1.ReasonRelayStarting)
	if err := server.Restart(func() {}); err != nil {
		t.Fatal(err)
	}
	service := &corev1.Service{}
	if !w.within(func() bool { return w.get("acme-relay", service) }) {
		t.Fatal("the API server does not come back")
	}
	if err := server.Client.Delete(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	w.returns("acme-relay", &corev1.Service{})
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = true })
	w.await(relay, v1alpha1.ReasonSuspended)
}

// requests counts what a client asks of an API server, and answers some with 429 as the server's flow control does.
type requests struct {
	next     http.RoundTripper
	throttle func(*http.Request) bool

	throttled atomic.Int64
	mu        sync.Mutex // guards the following field
	writes    map[string]int
}

func (r *requests) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.throttle != nil && r.throttle(req) {
		r.throttled.Add(1)
		return &http.Response{
			StatusCode: http.StatusTooManyRequests, Status: "429 Too Many Requests", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Retry-After": {"1"}, "Content-Type": {"text/plain"}},
			Body:   io.NopCloser(strings.NewReader("too many requests")), Request: req,
		}, nil
	}
	if req.Method != http.MethodGet {
		r.mu.Lock()
		r.writes[req.Method+" "+req.URL.Path]++
		r.mu.Unlock()
	}
	return r.next.RoundTrip(req)
}

// written are the writes whose path has a part, since it was last asked.
func (r *requests) written(part string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, path := range slices.Sorted(maps.Keys(r.writes)) {
		if strings.Contains(path, part) {
			all = append(all, fmt.Sprintf("%d times %s", r.writes[path], path))
			delete(r.writes, path)
		}
	}
	return all
}

// counted returns cfg with its requests counted.
func counted(cfg *rest.Config, throttle func(*http.Request) bool) (*rest.Config, *requests) {
	r := &requests{throttle: throttle, writes: map[string]int{}}
	cfg = rest.CopyConfig(cfg)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		r.next = next
		return r
	})
	return cfg, r
}

// TestOperator_GetsThroughThoughItIsThrottled, and takes no 429 for a refusal.
func TestOperator_GetsThroughThoughItIsThrottled(t *testing.T) {
	w := newWorld(t)
	var seen atomic.Int64
	cfg, requests := counted(permitted(t), func(r *http.Request) bool {
		return strings.Contains(r.URL.Path, w.name) && seen.Add(1)%3 == 0
	})
	runUntilEnd(t, cfg, controllers.Options{Source: &statuses{}})
	relay := w.relay("acme")
	w.create(relay)
	w.await(relay, v1alpha1.ReasonRelayStarting)
	w.absent(relay, v1alpha1.ConditionStalled)
	if requests.throttled.Load() == 0 {
		t.Error("nothing was throttled")
	}
}

// TestOperators_TwoAtOnceComeToRest: the Lease lets one of an installation work at a time, but one that lost it may not know yet.
func TestOperators_TwoAtOnceComeToRest(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	first := w.relays
	w.restart()
	both := []*controllers.BusinessRelayReconciler{first, w.relays}
	var running sync.WaitGroup
	for _, r := range both {
		running.Go(func() {
			for range 10 { // what one of them was too late for, its next pass mends
				_, _ = r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(relay)})
			}
		})
	}
	running.Wait()
	for _, r := range both {
		w.relays = r
		w.pass(relay)
		w.quiet(relay)
	}
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRelayStarting)
	for range len(w.events.Events) {
		if e := <-w.events.Events; strings.HasPrefix(e, corev1.EventTypeWarning) {
			t.Errorf("there is an event %q", e)
		}
	}
}

// restful waits until nothing is written for longer than the operator puts anything off, and fails if that does not happen.
func (w *world) restful(written func() []string) {
	w.t.Helper()
	quiet, last := time.Now(), []string(nil)
	if !w.within(func() bool {
		if writes := written(); len(writes) > 0 {
			quiet, last = time.Now(), writes
		}
		return time.Since(quiet) > 6*time.Second
	}) {
		w.t.Errorf("it does not come to rest; the last it wrote was %v", last)
	}
}

// TestOperators_OfTwoVersionsAreNoHotLoop: each brings the other's objects back, at a pace, and says so.
func TestOperators_OfTwoVersionsAreNoHotLoop(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	first := w.relays
	w.restart()
	second := w.relays
	second.RelayImage = "ghcr.io/relaykeep/relay:next"
	w.written()
	const rounds = 30
	for range rounds {
		for _, r := range []*controllers.BusinessRelayReconciler{second, first} {
			w.relays = r
			w.pass(relay)
		}
	}
	applied := 0
	for _, write := range w.written() {
		if strings.Contains(write, "StatefulSet") {
			applied++
		}
	}
	if applied >= rounds {
		t.Errorf("in %d passes the StatefulSet was written %d times", 2*rounds, applied)
	}
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonContested)
}

// reconciled is how often the relays' reconcilers of this process ran.
func reconciled(t *testing.T) (n float64) {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "controller" && l.GetValue() == "businessrelay" {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}

// TestOperator_DoesNothingAtRest, and little until then: each write of a relay's status has the relay looked at again where
// others watch it, and passes that write nothing cost a fleet its operator's time.
func TestOperator_DoesNothingAtRest(t *testing.T) {
	cfg, requests := counted(permitted(t), nil)
	answers := &statuses{}
	runUntilEnd(t, cfg, controllers.Options{Source: answers})
	w := newWorld(t)
	answers.set(w.healthy())
	w.restful(func() []string { return requests.written("") }) // of what other tests left
	before := reconciled(t)
	const relays = 3
	for i := range relays {
		relay := w.relay(fmt.Sprintf("shop-%d", i))
		relay.Spec.PhoneNumber = fmt.Sprintf("%s%d", w.number()[:len(w.number())-1], i)
		w.create(relay)
		w.await(relay, v1alpha1.ReasonRelayStarting)
		w.startPod(relay)
		w.await(relay, v1alpha1.ReasonReady)
	}
	status := 0
	w.restful(func() []string {
		for _, write := range requests.written("/namespaces/" + w.name + "/businessrelays/") {
			var times int
			if n, _ := fmt.Sscanf(write, "%d", &times); n == 1 && strings.HasSuffix(write, "/status") {
				status += times
			}
		}
		return requests.written("")
	})
	passes, polled := reconciled(t), answers.polled()
	t.Logf("%.1f passes and %.1f writes of the status for each", (passes-before)/relays, float64(status)/relays)
	if status > relays*maxStatusWrites {
		t.Errorf("until %d relays were Ready, their status was written %d times, want at most %d each", relays, status, maxStatusWrites)
	}
	if n := (passes - before) / relays; n > maxPasses {
		t.Errorf("until relays were Ready, each was looked at %.1f times, want at most %d", n, maxPasses)
	}
	if !w.within(func() bool { return answers.polled() >= polled+10*relays }) {
		t.Fatal("the relays are not asked how they are")
	}
	if now := reconciled(t); now != passes {
		t.Errorf("at rest, relays were looked at %.0f times", now-passes)
	}
	if writes := requests.written(""); len(writes) > 0 {
		t.Errorf("at rest, the operator wrote %v", writes)
	}
}

// How often a relay may be looked at, and its status written, until it is Ready.
const (
	maxPasses       = 10
	maxStatusWrites = 4
)
