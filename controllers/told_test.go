package controllers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/scan"
	"github.com/relaykeep/relaykeep/controllers"
	"github.com/relaykeep/relaykeep/test/docs"
	"github.com/relaykeep/relaykeep/test/repository"
)

// journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) bytes() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Clone(j.text.Bytes())
}

// logged has managers and client-go log all that they can.
func logged(t *testing.T) *journal {
	j := &journal{}
	log := logr.FromSlogHandler(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
	managersLog = log
	klog.SetLogger(log)
	t.Cleanup(func() {
		managersLog = logr.Logger{}
		klog.ClearLogger()
	})
	return j
}

// TestNothingPersonalIsTold_AndMetricsAreThoseOfTheManual has the operator at work, with trouble of several kinds, at the highest
// verbosity. The first part of its name is what it holds first; both need the same run.
func TestNothingPersonalIsTold_AndMetricsAreThoseOfTheManual(t *testing.T) {
	onServer(t)
	j, answers := logged(t), &statuses{}
	w := newWorld(t)
	runUntilEnd(t, server.Config, controllers.Options{Source: answers, Scope: controllers.Scope{Namespaces: []string{w.name}}, OperatorNamespace: w.name})
	relay := w.relay("acme")
	relay.Spec.Profile = v1alpha1.Profile{
		DisplayName: "Featherstone boatmakers", About: "we lend boats from nine", Address: "Second Willow Lane 7", Description: "oars and landing stages", Email: "ferry@featherstone.example",
	}
	relay.Spec.Webhook = &v1alpha1.Webhook{URL: "https://hooks.example.org/a-path-that-only-the-business-knows"}
	p := relay.Spec.Profile
	var secrets []scan.Secret
	for name, text := range map[string]string{
		"the number": w.number()[1:], "the former number": w.otherNumber()[1:], "the display name": p.DisplayName, "about": p.About, "the address": p.Address,
		"the description": p.Description, "the email": p.Email, "the webhook's path": "a-path-that-only-the-business-knows",
	} {
		secrets = append(secrets, scan.Secret{Name: name, Bytes: text})
	}
	w.create(relay)
	w.await(relay, v1alpha1.ReasonRelayStarting)
	w.startPod(relay)
	answers.set(w.healthy())
	w.await(relay, v1alpha1.ReasonReady)
	rival := w.relay("rival")
	w.create(rival)
	w.await(rival, v1alpha1.ReasonNumberInUse)
	w.update(rival, func(r *v1alpha1.BusinessRelay) { r.Spec.PhoneNumber = w.otherNumber() })
	w.await(rival, v1alpha1.ReasonRelayStarting)
	taken := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "taken-relay"}}
	w.create(taken)
	third := w.relay("taken")
	third.Spec.PhoneNumber = w.otherNumber()[:9]
	w.create(third)
	w.await(third, v1alpha1.ReasonNameTaken)
	answers.set(nil)
	w.await(relay, v1alpha1.ReasonRelayUnreachable)
	oldest := w.now.Add(-24 * time.Hour)
	w.janitorRan("janitor", w.now, contract.RetentionResult{Version: contract.RetentionResultVersion, Succeeded: true, Time: w.now, OldestKeyTime: &oldest})
	w.keeperRan("keeper", w.now, keeperSaid(t, contract.KeeperResult{Succeeded: true, Time: w.now, Keys: 7, Looked: 7, OldestKeyTime: &oldest}))

	path, err := repository.File("docs", "metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	explained, err := docs.Metrics(string(text), "Of the operator")
	if err != nil {
		t.Fatal(err)
	}
	var served []*dto.MetricFamily
	var differ []string
	if !w.within(func() bool { // what the janitor and the keeper said has to arrive
		served, err = metrics.Registry.Gather()
		differ = docs.Differences(explained, served)
		return err == nil && len(differ) == 0
	}) {
		t.Errorf("the metrics are not those of the manual: %q, %v", differ, err)
	}
	scanTold(t, secrets, map[string][]byte{"the log": j.bytes(), "the metrics": shownMetrics(served), "the events": w.eventsText(), "the status": w.statusText()})
}

// shownMetrics is what metrics look like.
func shownMetrics(families []*dto.MetricFamily) (all []byte) {
	for _, f := range families {
		all = fmt.Appendln(all, f.String())
	}
	return all
}

// eventsText is every event of the namespace, and of what has none.
func (w *world) eventsText() (all []byte) {
	w.t.Helper()
	for _, namespace := range []string{w.name, metav1.NamespaceDefault} {
		list := &eventsv1.EventList{}
		if err := server.Client.List(w.t.Context(), list, client.InNamespace(namespace)); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, w.text(list.Items)...)
	}
	return all
}

// statusText is the status of every relay and region.
func (w *world) statusText() (all []byte) {
	w.t.Helper()
	relays, regions := &v1alpha1.BusinessRelayList{}, &v1alpha1.DataRegionList{}
	if err := server.Client.List(w.t.Context(), relays, client.InNamespace(w.name)); err != nil {
		w.t.Fatal(err)
	}
	if err := server.Client.List(w.t.Context(), regions); err != nil {
		w.t.Fatal(err)
	}
	for i := range relays.Items {
		all = append(all, w.text(relays.Items[i].Status)...)
	}
	for i := range regions.Items {
		all = append(all, w.text(regions.Items[i].Status)...)
	}
	return all
}

func (w *world) text(o any) []byte {
	w.t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// scanTold looks for secrets in what was told, by place, having shown that each is found there.
func scanTold(t *testing.T, secrets []scan.Secret, told map[string][]byte) {
	t.Helper()
	scanner, err := scan.New(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	for place, text := range told {
		planted := bytes.Clone(text)
		for _, s := range secrets {
			planted = fmt.Appendf(planted, " {\"msg\":%q}", s.Bytes)
		}
		r, err := scanner.Reader(place, bytes.NewReader(planted))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("looked for %d secrets in %d bytes of %s", len(secrets), len(text), place)
		for _, s := range secrets {
			if !slices.ContainsFunc(r.Findings, func(f scan.Finding) bool { return f.Secret == s.Name && f.Offset >= int64(len(text)) }) {
				t.Errorf("%s is not found in %s, where it was planted", s.Name, place)
			}
		}
		for _, f := range r.Findings {
			if f.Offset < int64(len(text)) {
				t.Error(f)
			}
		}
		if len(text) < 500 || !strings.Contains(string(text), "acme") {
			t.Errorf("%s has %d bytes, and nothing of the relay", place, len(text))
		}
	}
}
