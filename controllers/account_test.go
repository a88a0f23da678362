package controllers_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// member is a relay of a business account, with a number of its own.
func (w *world) member(name, account string) *v1alpha1.BusinessRelay {
	relay := w.relay(name)
	relay.Spec.BusinessAccount = account
	relay.Spec.PhoneNumber = "+3" + w.number()[2:] + string(rune('0'+len(name)))
	relay.Spec.Profile.DisplayName = "Number " + name
	return relay
}

// reported gives a relay the status of one that runs.
func (w *world) reported(relay *v1alpha1.BusinessRelay, id string) {
	w.t.Helper()
	fresh := w.reread(relay)
	fresh.Status.Endpoint.PhoneNumberID, fresh.Status.InitializedTime, fresh.Status.Quality = id, new(metav1.NewTime(w.now)), "GREEN"
	meta.SetStatusCondition(&fresh.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionCarrierConnected, Status: metav1.ConditionTrue, Reason: "Well"})
	if err := server.Client.Status().Update(w.t.Context(), fresh); err != nil {
		w.t.Fatal(err)
	}
}

// tellsOf returns the ids of the numbers that a relay may tell of, and whether its ConfigMap has the file at all.
func (w *world) tellsOf(relay *v1alpha1.BusinessRelay) (ids []string, there bool) {
	w.t.Helper()
	made := &corev1.ConfigMap{}
	if !w.get(v1alpha1.TenantName(relay.Name), made) {
		return nil, false
	}
	text, there := made.Data[contract.AccountFile]
	var file contract.Account
	if there && json.Unmarshal([]byte(text), &file) != nil {
		w.t.Fatalf("the account file is %s", text)
	}
	for _, n := range file.Numbers {
		ids = append(ids, n.ID)
	}
	return ids, there
}

func TestAccount_RelaysKnowTheOtherNumbersOfTheirAccount(t *testing.T) {
	w := newWorld(t)
	one, two, three, alone, other := w.member("a", "shop"), w.member("bb", "shop"), w.member("ccc", "shop"), w.member("dddd", ""), w.member("eeeee", "other")
	for i, relay := range []*v1alpha1.BusinessRelay{one, two, three, alone, other} {
		w.create(relay)
		w.pass(relay)
		if relay != three { // which has not run yet
			w.reported(relay, "10000000000000"+string(rune('1'+i)))
		}
	}
	for _, relay := range []*v1alpha1.BusinessRelay{one, two, alone, other} {
		w.pass(relay)
	}
	for relay, want := range map[*v1alpha1.BusinessRelay][]string{one: {"100000000000002"}, two: {"100000000000001"}, other: nil} {
		if got, there := w.tellsOf(relay); !there || !slices.Equal(got, want) {
			t.Errorf("%s tells of %q, want %q", relay.Name, got, want)
		}
	}
	if _, there := w.tellsOf(alone); there {
		t.Error("a relay without a business account has a file about it")
	}
	made := &corev1.ConfigMap{}
	w.get("a-relay", made)
	for _, want := range []string{`"name": "Number bb"`, two.Spec.PhoneNumber, `"quality": "GREEN"`, `"connected": true`} {
		if !strings.Contains(made.Data[contract.AccountFile], want) {
			t.Errorf("the account file has no %s:\n%s", want, made.Data[contract.AccountFile])
		}
	}
	set := &appsv1.StatefulSet{}
	w.get("a-relay", set)
	hash := set.Spec.Template.Annotations[v1alpha1.AnnotationConfigHash]
	w.written()
	w.reported(three, "100000000000003")
	w.pass(one)
	if got, _ := w.tellsOf(one); !slices.Equal(got, []string{"100000000000002", "100000000000003"}) {
		t.Errorf("after another joined it tells of %q", got)
	}
	w.get("a-relay", set)
	if set.Spec.Template.Annotations[v1alpha1.AnnotationConfigHash] != hash {
		t.Error("another's number restarts the relay")
	}
	if writes := w.written(); len(writes) != 1 {
		t.Errorf("to tell of another number took %q", writes)
	}
	w.update(two, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = true })
	w.pass(one)
	w.get("a-relay", made)
	if !strings.Contains(made.Data[contract.AccountFile], `"connected": false`) {
		t.Errorf("a suspended relay counts as connected:\n%s", made.Data[contract.AccountFile])
	}
}

// TestAccount_ChangesReachTheOtherRelays holds that what one relay reports comes to another by itself.
func TestAccount_ChangesReachTheOtherRelays(t *testing.T) {
	answers := &statuses{}
	startManager(t, answers)
	w := newWorld(t)
	one, two := w.member("a", "shop"), w.member("bb", "shop")
	w.create(one)
	w.create(two)
	w.await(two, v1alpha1.ReasonRelayStarting)
	w.await(one, v1alpha1.ReasonRelayStarting)
	tells := func(want ...string) {
		t.Helper()
		if !w.within(func() bool { got, _ := w.tellsOf(one); return slices.Equal(got, want) }) {
			got, _ := w.tellsOf(one)
			t.Fatalf("it tells of %q, want %q", got, want)
		}
	}
	answers.set(w.healthy())
	w.startPod(two)
	tells("100000000000001")
	w.update(two, func(r *v1alpha1.BusinessRelay) { r.Spec.BusinessAccount = "other" })
	tells()
	w.update(two, func(r *v1alpha1.BusinessRelay) { r.Spec.BusinessAccount = "shop" })
	tells("100000000000001")
}
