package controllers_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// children are all that a relay has, by kind and name.
func (w *world) children(relay *v1alpha1.BusinessRelay) map[string]client.Object {
	w.t.Helper()
	tenant := v1alpha1.TenantName(relay.Name)
	wanted := map[string]struct {
		name  string
		empty client.Object
	}{
		"ServiceAccount": {tenant, &corev1.ServiceAccount{}}, "ConfigMap": {tenant, &corev1.ConfigMap{}},
		"Service": {tenant, &corev1.Service{}}, "PersistentVolumeClaim": {tenant, &corev1.PersistentVolumeClaim{}},
		"StatefulSet": {tenant, &appsv1.StatefulSet{}}, "relay's NetworkPolicy": {tenant, &networkingv1.NetworkPolicy{}},
		"janitor's NetworkPolicy": {relay.Name + "-retention", &networkingv1.NetworkPolicy{}},
		"CronJob":                 {relay.Name + "-retention", &batchv1.CronJob{}},
		"PodDisruptionBudget":     {tenant, &policyv1.PodDisruptionBudget{}},
	}
	found := map[string]client.Object{}
	for kind, c := range wanted {
		if w.get(c.name, c.empty) {
			found[kind] = c.empty
		}
	}
	return found
}

func names(m map[string]client.Object) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func TestRelayGetsItsChildrenAndASecondPassWritesNothing(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	children := w.children(relay)
	want := "CronJob, ConfigMap, PersistentVolumeClaim, Service, ServiceAccount, StatefulSet, janitor's NetworkPolicy, relay's NetworkPolicy"
	got := names(children)
	wantList := strings.Split(want, ", ")
	slices.Sort(wantList)
	if !slices.Equal(got, wantList) {
		t.Errorf("children are %v, want %v", got, wantList)
	}
	w.want(relay, v1alpha1.ConditionPlaced, metav1.ConditionTrue, v1alpha1.ReasonPlaced)
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRelayStarting)
	w.want(relay, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonRelayStarting)
	w.absent(relay, v1alpha1.ConditionStalled)

	w.written()
	before := w.reread(relay).ResourceVersion
	w.pass(relay)
	w.pass(relay)
	if writes := w.written(); len(writes) > 0 {
		t.Errorf("a pass with nothing to do wrote: %v", writes)
	}
	if after := w.reread(relay).ResourceVersion; after != before {
		t.Error("a pass with nothing to do changed the relay")
	}
	for kind, o := range w.children(relay) {
		if o.GetResourceVersion() != children[kind].GetResourceVersion() {
			t.Errorf("a pass with nothing to do changed the %s", kind)
		}
	}
}

func TestRelayBecomesReadyWhenItSaysSoAndStaysQuiet(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	relay.Spec.Webhook = &v1alpha1.Webhook{URL: "https://hooks.example/"}
	w.create(relay)
	w.pass(relay)
	w.startPod(relay)
	w.status.set(w.healthy())
	w.eventually(relay, "ready", isReason(v1alpha1.ReasonReady))
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.absent(relay, v1alpha1.ConditionReconciling)
	w.absent(relay, v1alpha1.ConditionStalled)
	w.want(relay, v1alpha1.ConditionEndToEndTLS, metav1.ConditionTrue, v1alpha1.ReasonEndsInRelay)
	s := w.reread(relay).Status
	if s.Endpoint.PhoneNumberID != "100000000000001" || s.Endpoint.BusinessAccountID != "200000000000002" ||
		s.Endpoint.URL != "https://acme-relay."+w.name+".svc:8443" || s.Identity.DeviceID != 7 || s.Identity.Fingerprint == "" ||
		s.Region.Name != w.name || s.Region.Node != w.name || s.Quality != "GREEN" || !s.InitializedTime.Equal(new(metav1.NewTime(w.now))) {
		t.Errorf("the status is %+v", s)
	}
	w.written()
	w.pass(relay)
	if writes := w.written(); len(writes) > 0 {
		t.Errorf("a pass over a relay that is well wrote: %v", writes)
	}
}

func TestRelayReport_IsShownAndRecovers(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.startPod(relay)
	sealed := w.healthy()
	sealed.Conditions[0] = contract.Condition{
		Type: contract.ConditionKeysReady, Status: contract.False, Reason: "VaultSealed", Message: "unseal Vault",
	}
	w.status.set(sealed)
	w.eventually(relay, "shown", isReason("VaultSealed"))
	w.want(relay, v1alpha1.ConditionKeysReady, metav1.ConditionFalse, "VaultSealed")
	w.want(relay, v1alpha1.ConditionCarrierConnected, metav1.ConditionTrue, "Well")

	w.status.set(nil)
	w.eventually(relay, "unreachable", isReason(v1alpha1.ReasonRelayUnreachable))
	w.want(relay, v1alpha1.ConditionKeysReady, metav1.ConditionUnknown, v1alpha1.ReasonRelayUnreachable)
	w.want(relay, v1alpha1.ConditionWebhookVerified, metav1.ConditionTrue, v1alpha1.ReasonNotConfigured)

	// A relay without a webhook says that it has none, which is as asked for.
	without := w.healthy()
	without.Conditions[2] = contract.Condition{
		Type: contract.ConditionWebhookVerified, Status: contract.False, Reason: "NotConfigured", Message: "no webhook",
	}
	w.status.set(without)
	w.eventually(relay, "ready again", isReason(v1alpha1.ReasonReady))
	w.want(relay, v1alpha1.ConditionWebhookVerified, metav1.ConditionTrue, v1alpha1.ReasonNotConfigured)
	if image := w.reread(relay).Status.Image; image != "ghcr.io/relaykeep/relay@sha256:0011" {
		t.Errorf("the relay's image is %q", image)
	}
}

func TestRelayReport_CannotWriteAnythingIntoTheStatus(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.startPod(relay)
	forged := w.healthy()
	forged.PhoneNumberID, forged.Fingerprint, forged.Quality = "<script>", "not hex", "PURPLE"
	forged.Conditions = append(forged.Conditions,
		contract.Condition{Type: v1alpha1.ConditionRetentionHealthy, Status: contract.True, Reason: "Forged"},
		contract.Condition{Type: v1alpha1.ConditionPlaced, Status: contract.False, Reason: "Forged"},
		contract.Condition{Type: contract.ConditionKeysReady, Status: "Maybe", Reason: "Forged"},
		contract.Condition{Type: contract.ConditionKeysReady, Status: contract.False, Reason: "no reason"},
	)
	w.status.set(forged)
	w.eventually(relay, "ready", isReason(v1alpha1.ReasonReady))
	w.want(relay, v1alpha1.ConditionRetentionHealthy, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingFirstRun)
	w.want(relay, v1alpha1.ConditionPlaced, metav1.ConditionTrue, v1alpha1.ReasonPlaced)
	w.want(relay, v1alpha1.ConditionKeysReady, metav1.ConditionTrue, "Well")
	if s := w.reread(relay).Status; s.Endpoint.PhoneNumberID != "" || s.Identity.Fingerprint != "" || s.Quality != "" {
		t.Errorf("the status took over what has no proper form: %+v", s)
	}
}

func TestRelayOfAnUnknownRegionWaitsUntilTheRegionExists(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	relay.Spec.DataRegion = v1alpha1.ObjectName(w.name + "-later")
	w.create(relay)
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionPlaced, metav1.ConditionFalse, v1alpha1.ReasonRegionNotFound)
	w.want(relay, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonRegionNotFound)
	w.absent(relay, v1alpha1.ConditionStalled)
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRegionNotFound)
	if got := w.children(relay); len(got) > 0 {
		t.Errorf("a relay without region has children: %v", names(got))
	}
	region := w.region()
	region.Name += "-later"
	w.create(region)
	w.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: region.Name, Labels: map[string]string{v1alpha1.LabelNodeRegion: region.Name}}})
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionPlaced, metav1.ConditionTrue, v1alpha1.ReasonPlaced)
	w.absent(relay, v1alpha1.ConditionStalled)
}

func TestPlacementFailsClosed(t *testing.T) {
	w := bareWorld(t)
	w.create(w.region())
	// A node of another region is no node for this one.
	w.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.name, Labels: map[string]string{v1alpha1.LabelNodeRegion: "another"}}})
	relay := w.relay("acme")
	w.create(relay)
	noPods := func() {
		t.Helper()
		got := w.children(relay)
		if got["StatefulSet"] != nil || got["PersistentVolumeClaim"] != nil {
			t.Errorf("something was started though it has no place: %v", names(got))
		}
	}
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionPlaced, metav1.ConditionFalse, v1alpha1.ReasonStorageClassMissing)
	noPods()

	w.create(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: w.name}, Provisioner: "example.org/none"})
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionPlaced, metav1.ConditionFalse, v1alpha1.ReasonNoMatchingNode)
	noPods()

	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.name + "-b", Labels: map[string]string{v1alpha1.LabelNodeRegion: w.name}}}
	w.create(node)
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionPlaced, metav1.ConditionTrue, v1alpha1.ReasonPlaced)
	if w.children(relay)["StatefulSet"] == nil {
		t.Error("the relay has a place and was not started")
	}
}

func TestNumber_BelongsToTheOldestRelayUntilThatIsDeleted(t *testing.T) {
	w := newWorld(t)
	older, younger := w.relay("b-older"), w.relay("a-younger")
	w.create(older)
	w.create(younger)
	if older.CreationTimestamp.Equal(&younger.CreationTimestamp) {
		// Within one second the name decides, and that would be the other one.
		older, younger = younger, older
	}
	w.pass(older)
	w.pass(younger)
	w.want(older, v1alpha1.ConditionPlaced, metav1.ConditionTrue, v1alpha1.ReasonPlaced)
	c := w.want(younger, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonNumberInUse)
	if strings.Contains(c.Message, older.Name) || strings.Contains(c.Message, w.number()) {
		t.Errorf("the message tells whose number it is: %q", c.Message)
	}
	if got := w.children(younger); len(got) > 0 {
		t.Errorf("a relay without number has children: %v", names(got))
	}
	if err := server.Client.Delete(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	w.pass(older)
	w.pass(younger)
	w.absent(younger, v1alpha1.ConditionStalled)
	if w.children(younger)["StatefulSet"] == nil {
		t.Error("the number is free and the relay was not started")
	}
}

func TestObject_OfAnotherOwnerIsNeverAdopted(t *testing.T) {
	w := newWorld(t)
	foreign := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "acme-relay"}, Data: map[string]string{"mine": "yes"},
	}
	w.create(foreign)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	c := w.want(relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonNameTaken)
	if !strings.Contains(c.Message, "ConfigMap acme-relay") {
		t.Errorf("the message does not name the object: %q", c.Message)
	}
	if strings.Contains(c.Message, "delete") {
		t.Errorf("the message advises to delete what may not be made again: %q", c.Message)
	}
	after := &corev1.ConfigMap{}
	if !w.get("acme-relay", after) || after.ResourceVersion != foreign.ResourceVersion {
		t.Error("an object that is not ours was changed")
	}
	if err := server.Client.Delete(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	w.pass(relay)
	w.absent(relay, v1alpha1.ConditionStalled)
}

func TestChild_ForeignChangeIsReverted(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	policy := &networkingv1.NetworkPolicy{}
	w.get("acme-relay", policy)
	policy.Spec.Egress = append(policy.Spec.Egress, networkingv1.NetworkPolicyEgressRule{})
	if err := server.Client.Update(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	claim := &corev1.PersistentVolumeClaim{}
	w.get("acme-relay", claim)
	claim.Labels["team"] = "blue" // somebody's own label is none of our business
	if err := server.Client.Update(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	w.written()
	w.pass(relay)
	if writes := w.written(); len(writes) == 0 || slices.ContainsFunc(writes, func(s string) bool { return !strings.Contains(s, "NetworkPolicy") }) {
		t.Errorf("the pass wrote %v, want the changed policy only", writes)
	}
	w.get("acme-relay", policy)
	for _, rule := range policy.Spec.Egress {
		if len(rule.To) == 0 {
			t.Error("the hole in the policy is still there")
		}
	}
}

func TestSuspendStopsTheRelayAndNotTheJanitor(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = true })
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	children := w.children(relay)
	if got := *children["StatefulSet"].(*appsv1.StatefulSet).Spec.Replicas; got != 0 {
		t.Errorf("%d replicas run though the relay is suspended", got)
	}
	if job := children["CronJob"].(*batchv1.CronJob); *job.Spec.Suspend {
		t.Error("the janitor is suspended with the relay")
	}
	w.quiet(relay)
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = false })
	w.pass(relay)
	if got := *w.children(relay)["StatefulSet"].(*appsv1.StatefulSet).Spec.Replicas; got != 1 {
		t.Errorf("%d replicas run though the relay is resumed", got)
	}
}

// update changes a relay as its user would.
func (w *world) update(relay *v1alpha1.BusinessRelay, edit func(*v1alpha1.BusinessRelay)) {
	w.t.Helper()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error { // a manager may write meanwhile
		fresh := w.reread(relay)
		edit(fresh)
		return server.Client.Update(w.t.Context(), fresh)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestConfiguration_ChangeRestartsTheRelayOnly(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	hash := func() string {
		return w.children(relay)["StatefulSet"].(*appsv1.StatefulSet).Spec.Template.Annotations[v1alpha1.AnnotationConfigHash]
	}
	before := hash()
	w.written()
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Retention.Days = 7 })
	w.pass(relay)
	if hash() == before {
		t.Error("the pod template does not show the changed configuration")
	}
	for _, write := range w.written() {
		if !strings.Contains(write, "ConfigMap") && !strings.Contains(write, "StatefulSet") && !strings.Contains(write, "status") {
			t.Errorf("the change wrote %s", write)
		}
	}
}

// withDatabase gives the world's region a PostgreSQL.
func (w *world) withDatabase() {
	w.t.Helper()
	region := &v1alpha1.DataRegion{}
	if err := server.Client.Get(w.t.Context(), client.ObjectKey{Name: w.name}, region); err != nil {
		w.t.Fatal(err)
	}
	region.Spec.Postgres = &v1alpha1.Postgres{Address: "192.0.2.9:5432"}
	if err := server.Client.Update(w.t.Context(), region); err != nil {
		w.t.Fatal(err)
	}
}

// Replicas stand by for one that holds the store, and only that one can tell of the relay.
func TestReplicas_AreToldOfByTheOneThatHoldsTheStore(t *testing.T) {
	w := newWorld(t)
	w.withDatabase()
	relay := w.relay("acme")
	relay.Spec.Storage.Postgres = &v1alpha1.PostgresStorage{Database: "acme"}
	relay.Spec.Replicas = 2
	w.create(relay)
	w.pass(relay)
	set := &appsv1.StatefulSet{}
	if !w.get("acme-relay", set) || *set.Spec.Replicas != 2 || len(set.Spec.Template.Spec.TopologySpreadConstraints) != 2 {
		t.Fatalf("the relay runs as %+v", set.Spec)
	}
	if !w.get("acme-relay", &policyv1.PodDisruptionBudget{}) {
		t.Error("its pods may all be evicted at once")
	}
	standsBy := &contract.Status{
		Version: contract.StatusVersion, Holder: "192.0.2.8:8443",
		Conditions: []contract.Condition{
			{Type: contract.ConditionKeysReady, Status: contract.True, Reason: "StandingBy"},
			{Type: contract.ConditionCarrierConnected, Status: contract.Unknown, Reason: "KeysNotReady"},
		},
	}
	w.status.setAt("192.0.2.7", standsBy)
	w.status.set(w.healthy())
	w.startPod(relay)
	holder := w.startReplica(relay, 1)
	w.eventually(relay, "the holder's answer", isReason(v1alpha1.ReasonReady))
	w.want(relay, v1alpha1.ConditionKeysReady, metav1.ConditionTrue, "Well")
	for range 5 { // and it stays with it
		w.pass(relay)
		w.want(relay, v1alpha1.ConditionCarrierConnected, metav1.ConditionTrue, "Well")
	}
	// The holder ends; the other takes over.
	w.status.setAt("192.0.2.7", nil)
	if err := server.Client.Delete(t.Context(), holder, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	other := w.healthy()
	other.Quality = "YELLOW"
	w.status.set(other)
	w.eventually(relay, "the other's answer", func(r *v1alpha1.BusinessRelay) bool { return r.Status.Quality == "YELLOW" })
}

func TestReplicas_ThatWouldShareAVolumeWait(t *testing.T) {
	w := newWorld(t)
	w.withDatabase()
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = true })
	w.pass(relay)
	w.update(relay, func(r *v1alpha1.BusinessRelay) {
		r.Spec.Storage.Postgres = &v1alpha1.PostgresStorage{Database: "acme"}
		r.Spec.Replicas = 3
	})
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = false })
	w.pass(relay)
	set := &appsv1.StatefulSet{}
	if !w.get("acme-relay", set) || *set.Spec.Replicas != 1 {
		t.Errorf("%d pods have the volume from which the store is moved", *set.Spec.Replicas)
	}
}

func TestDatabase_NeedsARegionThatHasPostgreSQLAndNoClaim(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	relay.Spec.Storage.Postgres = &v1alpha1.PostgresStorage{Database: "acme"}
	w.create(relay)
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonPostgresMissing)

	w.withDatabase()
	w.pass(relay)
	w.absent(relay, v1alpha1.ConditionStalled)
	set := &appsv1.StatefulSet{}
	if !w.get("acme-relay", set) {
		t.Fatal("the relay does not run")
	}
	if args := set.Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--postgres-address=192.0.2.9:5432") {
		t.Errorf("the relay's arguments are %q", args)
	}
	if w.get("acme-relay", &corev1.PersistentVolumeClaim{}) {
		t.Error("a relay whose store is in a database has a claim")
	}
}

func TestDatabase_AddedLaterKeepsTheClaimUntilItIsDeleted(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.withDatabase()
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = true })
	w.pass(relay)
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Storage.Postgres = &v1alpha1.PostgresStorage{Database: "acme"} })
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = false })
	claim := func() bool {
		w.pass(relay)
		set := &appsv1.StatefulSet{}
		w.get("acme-relay", set)
		return slices.ContainsFunc(set.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil })
	}
	if !claim() {
		t.Error("the relay cannot reach the volume that it has to move")
	}
	c := &corev1.PersistentVolumeClaim{}
	w.get("acme-relay", c)
	if err := server.Client.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if claim() {
		t.Error("the relay holds on to a claim that is being deleted")
	}
}

// The API server checks how a public key begins; the operator reads it whole, before any child has it.
func TestPublicKey_ThatNoRelayReadsStallsAndChangesNothing(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	config := &corev1.ConfigMap{}
	w.get("acme-relay", config)
	before := config.Data
	relay = w.reread(relay)
	relay.Spec.PayloadEncryption = &v1alpha1.PayloadEncryption{PublicKey: shortKey}
	if err := server.Client.Update(t.Context(), relay); err != nil {
		t.Fatal(err)
	}
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalidPublicKey)
	w.get("acme-relay", config)
	if !maps.Equal(config.Data, before) {
		t.Error("the relay's configuration changed")
	}
}

// shortKey is an RSA public key of 2,040 bits.
const shortKey = `-----BEGIN PUBLIC KEY-----
MIIBITANBgkqhkiG9w0BAQEFAAOCAQ4AMIIBCQKCAQAA2U+VrnXx67B1Ms+JenzC
9dfT9OY6DvxFe3ynC6gk6zCjPmRelnX+8Lofh/Us+Qj8PH8ckkooceC0HoXBqDOm
niGk/hhi2O2YO0CxdEIha1RuLY1MGdUibAfooQm+z+6sgmrRodMKRLCKQvkNTxrc
bP/x1Ep3A0DmwV4rZhyewuC7tUFuRpeDeFCzuVJy45mW7kHvP65xPlrv0qWmBuP9
l4QqusLASHSfAevjI5uZgBN03/xD8Mhq83+W6e4EmFJHZyQR2NwXM5OFeTp+DzhS
kAPXyCmGkVi/SrXppUTcYWhB5Ur7ub/u39gHhXYmcS6pfMXW/jS3/oxlHZ72uNxX
AgMBAAE=
-----END PUBLIC KEY-----
`

// What the operator made is its relay's, whichever of its labels somebody takes away,
// and gets them back: nobody is told that it is somebody else's.
func TestChild_WithoutItsLabelStaysTheRelays(t *testing.T) {
	for _, lost := range [][]string{
		{v1alpha1.LabelInstance},
		{v1alpha1.LabelManagedBy},
		{v1alpha1.LabelInstance, v1alpha1.LabelManagedBy, v1alpha1.LabelName, v1alpha1.LabelComponent},
	} {
		t.Run(strings.Join(lost, " "), func(t *testing.T) {
			w := newWorld(t)
			relay := w.relay("acme")
			w.create(relay)
			w.pass(relay)
			uid := w.children(relay)["PersistentVolumeClaim"].GetUID()
			for _, kind := range kept {
				child := w.children(relay)[kind]
				for _, label := range lost {
					delete(child.GetLabels(), label)
				}
				if err := server.Client.Update(t.Context(), child); err != nil {
					t.Fatal(err)
				}
			}
			w.pass(relay)
			w.absent(relay, v1alpha1.ConditionStalled)
			for _, kind := range kept {
				child := w.children(relay)[kind]
				for _, label := range lost {
					if child.GetLabels()[label] == "" {
						t.Errorf("%s does not get its label %s back", kind, label)
					}
				}
			}
			if got := w.children(relay)["PersistentVolumeClaim"].GetUID(); got != uid {
				t.Error("the relay has another claim than before")
			}
		})
	}
}
