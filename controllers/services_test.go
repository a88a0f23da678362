package controllers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// telling makes a relay that has reported two conditions, each as "Status Reason"; empty is not reported.
func (w *world) telling(name, keys, carrier string) *v1alpha1.BusinessRelay {
	w.t.Helper()
	relay := w.relay(name)
	w.create(relay)
	for kind, said := range map[string]string{v1alpha1.ConditionKeysReady: keys, v1alpha1.ConditionCarrierConnected: carrier} {
		if is, reason, found := strings.Cut(said, " "); found {
			meta.SetStatusCondition(&relay.Status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionStatus(is), Reason: reason, Message: "in the words of " + name})
		}
	}
	if err := server.Client.Status().Update(w.t.Context(), relay); err != nil {
		w.t.Fatal(err)
	}
	return relay
}

// wantRegion checks a condition of the region, without a pass, and returns it.
func (w *world) wantRegion(kind, want string) *metav1.Condition {
	w.t.Helper()
	region := &v1alpha1.DataRegion{}
	if err := server.Client.Get(w.t.Context(), client.ObjectKey{Name: w.name}, region); err != nil {
		w.t.Fatal(err)
	}
	c := meta.FindStatusCondition(region.Status.Conditions, kind)
	if c == nil || string(c.Status)+" "+c.Reason != want {
		w.t.Errorf("%s is %+v, want %s", kind, c, want)
		return &metav1.Condition{}
	}
	return c
}

// TestRegion_JudgesVaultAndCarrierByMostOfItsRelays, and tells what hinders them all in its own words.
func TestRegion_JudgesVaultAndCarrierByMostOfItsRelays(t *testing.T) {
	const well, nobody = "True Reached", "Unknown NobodyTells"
	for name, c := range map[string]struct {
		relays                [][2]string
		vault, carrier, ready string
	}{
		"no relay":                  {nil, nobody, nobody, "True Ready"},
		"all well":                  {[][2]string{{"True Ready", "True Connected"}}, well, well, "True Ready"},
		"nobody tells yet":          {[][2]string{{"Unknown Starting", ""}}, nobody, nobody, "True Ready"},
		"its own trouble":           {[][2]string{{"False StoreLocked", "False CredentialsRefused"}}, nobody, nobody, "True Ready"},
		"Vault is sealed":           {[][2]string{{"False VaultSealed", "Unknown KeysNotReady"}}, "False VaultSealed", nobody, "False VaultSealed"},
		"carrier is down":           {[][2]string{{"True Ready", "False CarrierUnreachable"}}, well, "False CarrierUnreachable", "False CarrierUnreachable"},
		"both":                      {[][2]string{{"False VaultUnavailable", "False TLSFailed"}}, "False VaultUnavailable", "False TLSFailed", "False VaultUnavailable"},
		"one of two":                {[][2]string{{"False VaultDenied", "False LinkLost"}, {"True Ready", "True Connected"}}, well, well, "True Ready"},
		"two of three, differently": {[][2]string{{"False VaultDenied", "True Connected"}, {"True Ready", "False ServerClosed"}, {"False VaultSealed", "False LinkLost"}}, "False VaultDenied", "False LinkLost", "False VaultDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i, said := range c.relays {
				w.telling(fmt.Sprintf("relay-%d", i), said[0], said[1])
			}
			w.regionPass()
			w.wantRegion(v1alpha1.ConditionVaultReady, c.vault)
			w.wantRegion(v1alpha1.ConditionCarrierReady, c.carrier)
			ready := w.wantRegion(v1alpha1.ConditionReady, c.ready)
			if strings.Contains(ready.Message, "relay-") {
				t.Errorf("the region tells every reader of one relay: %s", ready.Message)
			}
			want := status.CurrentStatus
			if ready.Status == metav1.ConditionFalse {
				want = status.InProgressStatus // and mends itself
				if !strings.Contains(ready.Message, "kubectl relay check region/"+w.name) {
					t.Errorf("the message is %q", ready.Message)
				}
			}
			if got := w.waitsFor(w.region()); got != want {
				t.Errorf("the region is %s, want %s", got, want)
			}
			w.written()
			w.regionPass()
			if writes := w.written(); len(writes) > 0 {
				t.Errorf("a pass with nothing new wrote %v", writes)
			}
		})
	}
}

// TestRegion_WithoutRelaysKnowsVaultByItsKeeper, which logs in there each hour.
func TestRegion_WithoutRelaysKnowsVaultByItsKeeper(t *testing.T) {
	w := newWorld(t)
	w.regionPass()
	w.keeperRan("one", w.now, keeperSaid(t, contract.KeeperResult{Time: w.now, Reason: "VaultSealed", Message: "sealed"}))
	w.regionPass()
	w.wantRegion(v1alpha1.ConditionVaultReady, "False VaultSealed")
	w.wantRegion(v1alpha1.ConditionReady, "False VaultSealed")
	w.wantRegion(v1alpha1.ConditionCarrierReady, "Unknown NobodyTells")
	w.now = w.now.Add(time.Hour)
	w.keeperRan("two", w.now, keeperSaid(t, contract.KeeperResult{Succeeded: true, Time: w.now}))
	w.regionPass()
	w.wantRegion(v1alpha1.ConditionVaultReady, "True Reached")
	w.wantRegion(v1alpha1.ConditionReady, "True Ready")
	w.telling("acme", "False VaultUnavailable", "")
	w.regionPass()
	w.wantRegion(v1alpha1.ConditionVaultReady, "False VaultUnavailable") // relays ask more often
}

// TestRegion_FollowsWhatItsRelaysSay within seconds, and the relays that come to it and leave it.
func TestRegion_FollowsWhatItsRelaysSay(t *testing.T) {
	answers := &statuses{}
	startManager(t, answers)
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.startPod(relay)
	answers.set(w.healthy())
	becomes := func(want string) {
		t.Helper()
		region := &v1alpha1.DataRegion{}
		if !w.within(func() bool {
			if err := server.Client.Get(t.Context(), client.ObjectKey{Name: w.name}, region); err != nil {
				t.Fatal(err)
			}
			c := meta.FindStatusCondition(region.Status.Conditions, v1alpha1.ConditionVaultReady)
			return c != nil && string(c.Status)+" "+c.Reason == want
		}) {
			t.Fatalf("not %s in time: %+v", want, region.Status)
		}
	}
	becomes("True Reached")
	sealed := w.healthy()
	sealed.Conditions[0] = contract.Condition{Type: contract.ConditionKeysReady, Status: contract.False, Reason: "VaultSealed", Message: "sealed"}
	answers.set(sealed)
	becomes("False VaultSealed")
	answers.set(w.healthy())
	becomes("True Reached")
	na := w.other()
	w.update(relay, func(r *v1alpha1.BusinessRelay) {
		r.Spec.Suspend, r.Spec.Moving = true, &v1alpha1.Moving{From: r.Spec.DataRegion, To: v1alpha1.ObjectName(na), CarrierDomain: "eu.example.org"}
	})
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.DataRegion, r.Spec.Moves = v1alpha1.ObjectName(na), 1 })
	becomes("Unknown NobodyTells")
	moved := &v1alpha1.DataRegion{}
	if !w.within(func() bool {
		return server.Client.Get(t.Context(), client.ObjectKey{Name: na}, moved) == nil && moved.Status.Relays == 1
	}) {
		t.Errorf("the region that the relay came to counts %d relays", moved.Status.Relays)
	}
}
