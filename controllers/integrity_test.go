package controllers_test

import (
	"encoding/json"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// limitsOf is what a relay is told of its first contacts.
func (w *world) limitsOf(relay *v1alpha1.BusinessRelay) (i contract.Integrity) {
	w.t.Helper()
	made := &corev1.ConfigMap{}
	if w.get(v1alpha1.TenantName(relay.Name), made) && json.Unmarshal([]byte(made.Data[contract.IntegrityFile]), &i) != nil {
		w.t.Fatalf("the integrity file is %s", made.Data[contract.IntegrityFile])
	}
	return i
}

// limits are those of a relay that is alone in its namespace.
func limits(is string) contract.Integrity {
	return contract.Integrity{Version: contract.IntegrityVersion, Limits: is, Relays: 1}
}

func TestIntegrity_AnAdminExemptsARelayWithoutARestart(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	if got := w.limitsOf(relay); got != limits(contract.LimitsEnforced) {
		t.Errorf("by default it is told %+v", got)
	}
	set := &appsv1.StatefulSet{}
	w.get("acme-relay", set)
	template := set.Spec.Template.DeepCopy()
	for name, c := range map[string]struct {
		set  v1alpha1.Integrity
		want string
	}{
		"another relay": {v1alpha1.Integrity{Exemptions: []v1alpha1.RelayReference{{Namespace: v1alpha1.ObjectName(w.name), Name: "other"}}}, contract.LimitsEnforced},
		"the relay":     {v1alpha1.Integrity{Exemptions: []v1alpha1.RelayReference{{Namespace: v1alpha1.ObjectName(w.name), Name: "acme"}}}, contract.LimitsExempt},
		"its namespace": {v1alpha1.Integrity{ExemptNamespaces: []v1alpha1.ObjectName{v1alpha1.ObjectName(w.name)}}, contract.LimitsExempt},
		"the region":    {v1alpha1.Integrity{FirstContacts: v1alpha1.FirstContactsCounted}, contract.LimitsOff},
	} {
		region := &v1alpha1.DataRegion{}
		if err := server.Client.Get(t.Context(), client.ObjectKey{Name: w.name}, region); err != nil {
			t.Fatal(err)
		}
		region.Spec.Integrity = c.set
		region.Spec.Integrity.Thresholds = v1alpha1.IntegrityThresholds{YellowPercent: 5, RedPercent: 15}
		if err := server.Client.Update(t.Context(), region); err != nil {
			t.Fatal(err)
		}
		w.pass(relay)
		want := limits(c.want)
		want.YellowPercent, want.RedPercent = 5, 15
		if got := w.limitsOf(relay); got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	w.get("acme-relay", set)
	if set.Spec.Template.Annotations[v1alpha1.AnnotationConfigHash] != template.Annotations[v1alpha1.AnnotationConfigHash] {
		t.Error("an exemption restarts the relay")
	}
}

func TestIntegrity_RelaysOfANamespaceShareTheirLimit(t *testing.T) {
	onServer(t)
	answers := &statuses{}
	startManager(t, answers)
	w := newWorld(t)
	one, two, three := w.member("a", ""), w.member("bb", ""), w.member("ccc", "")
	for _, relay := range []*v1alpha1.BusinessRelay{one, two, three} {
		w.create(relay)
	}
	for _, relay := range []*v1alpha1.BusinessRelay{one, two, three} {
		w.await(relay, v1alpha1.ReasonRelayStarting)
	}
	tells := func(what string, change func(*contract.Integrity)) {
		t.Helper()
		want := limits(contract.LimitsEnforced)
		want.Relays = 4 // three, rounded up
		change(&want)
		if !w.within(func() bool { return w.limitsOf(one) == want }) {
			t.Fatalf("%s: it is told %+v, want %+v", what, w.limitsOf(one), want)
		}
	}
	tells("at first", func(*contract.Integrity) {})
	said := w.healthy()
	said.Integrity = &contract.IntegrityStatus{FirstContacts: 75, DailyLimit: 250, Held: true}
	answers.set(said)
	w.startPod(two)
	tells("once another reports", func(i *contract.Integrity) { i.Others, i.OthersHeld = 75, true })
	if got := w.reread(two).Status.Integrity; got != v1alpha1.IntegrityStatus(*said.Integrity) {
		t.Errorf("the status has %+v", got)
	}
	lie := *said
	lie.Integrity = &contract.IntegrityStatus{FirstContacts: -75, DailyLimit: 250}
	answers.set(&lie)
	recovered := w.healthy()
	recovered.Integrity = &contract.IntegrityStatus{FirstContacts: 100, DailyLimit: 250}
	answers.set(recovered)
	tells("once that recovered", func(i *contract.Integrity) { i.Others = 100 })
	exempt := w.healthy()
	exempt.Integrity = &contract.IntegrityStatus{FirstContacts: 9000}
	answers.set(exempt)
	tells("an exempt one does not count", func(*contract.Integrity) {})
	answers.set(nil)
	tells("one that does not answer counts as having used its part", func(i *contract.Integrity) { i.Silent = 1 })
}
