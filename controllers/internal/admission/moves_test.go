package admission

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
)

// testMoves checks that a relay changes its region only by who may move it, between regions that both agree, with one
// carrier, and that nobody deletes it meanwhile.
func testMoves(t *testing.T) {
	relays := rbacv1.PolicyRule{APIGroups: []string{"relaykeep.dev"}, Resources: []string{"businessrelays"}, Verbs: []string{"*"}}
	move := rbacv1.PolicyRule{APIGroups: []string{"relaykeep.dev"}, Resources: []string{"dataregions"}, Verbs: []string{"move"}}
	ns := newNamespace(t)
	ruler := userWho(t, "ruler-of-its-relays", relays)
	half := userWho(t, "mover-of-one-region", relays)
	mover := userWho(t, "mover-of-all", relays, move)
	mayMoveFrom(t, "mover-of-one-region", "eu")

	named := set("metadata/namespace", ns)
	moving := func(to, domain string) map[string]any {
		return map[string]any{"from": "eu", "to": to, "carrierDomain": domain}
	}
	onItsWay := all(named, set("spec/suspend", true), set("spec/moving", moving("na", "eu.example.org")))
	within(t, "a relay is created on its way", func() bool {
		return mover.Create(t.Context(), object(t, relayYAML, onItsWay), client.DryRunAll) != nil
	})
	wantRefusal(t, mover.Create(t.Context(), object(t, relayYAML, onItsWay), client.DryRunAll), "remove spec.moving")

	o := object(t, relayYAML, all(named, set("spec/phoneNumber", "+41441234631"), set("spec/log/retentionMonths", int64(24))))
	if err := ruler.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	change := func(c client.Client, spec map[string]any, opts ...client.PatchOption) error {
		copied := o.DeepCopy()
		for field, value := range spec {
			copied.Object["spec"].(map[string]any)[field] = value
			if value == nil {
				delete(copied.Object["spec"].(map[string]any), field)
			}
		}
		err := c.Patch(t.Context(), copied, client.MergeFrom(o), opts...)
		if err == nil && len(opts) == 0 {
			o = copied
		}
		return err
	}
	try := func(c client.Client, spec map[string]any) error { return change(c, spec, client.DryRunAll) }
	const only = "only who may move relays"
	begin := fields{"suspend": true, "moving": moving("na", "eu.example.org")}
	for name, c := range map[string]client.Client{"who rules its namespace": ruler, "who may move from one region": half} {
		t.Log(name)
		wantRefusal(t, try(c, begin), only)
	}
	to := func(region, domain string) fields { return fields{"suspend": true, "moving": moving(region, domain)} }
	wantRefusal(t, try(mover, to("eu2", "eu.example.org")), "the carrier domain of DataRegion eu2 is other.example.org")
	wantRefusal(t, try(mover, to("eu2", "other.example.org")), "the carrier domain of DataRegion eu is eu.example.org")
	wantRefusal(t, try(mover, to("zz", "eu.example.org")), "there is no DataRegion zz")
	back := object(t, relayYAML, all(named, set("metadata/name", "other"), set("spec/dataRegion", "na"), set("spec/phoneNumber", "+41441234632")))
	if err := ruler.Create(t.Context(), back); err != nil {
		t.Fatal(err)
	}
	wrong := back.DeepCopy()
	set("spec/suspend", true)(wrong.Object)
	set("spec/moving", map[string]any{"from": "na", "to": "eu", "carrierDomain": "eu.example.org"})(wrong.Object)
	wantRefusal(t, mover.Patch(t.Context(), wrong, client.MergeFrom(back), client.DryRunAll), "lets no relay move to eu")

	if err := change(mover, begin); err != nil {
		t.Fatalf("who may move it: %v", err)
	}
	testLeaving(t, o.GetNamespace(), o.GetName())
	wantRefusal(t, try(ruler, fields{"suspend": false, "moving": nil}), only)
	if err := try(ruler, fields{"throughput": int64(10)}); err != nil {
		t.Errorf("changing something else meanwhile: %v", err)
	}
	for name, c := range map[string]client.Client{"who rules its namespace": ruler, "who may move it": mover, "a cluster admin": server.Client} {
		t.Log(name)
		wantRefusal(t, tryDelete(t, c, o), "one of the two would keep its keys")
	}
	cfg := rest.CopyConfig(server.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:kube-system:namespace-controller", Groups: []string{"system:masters"}}
	cleaner, err := client.New(cfg, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	if err := tryDelete(t, cleaner, o); err != nil {
		t.Errorf("its namespace cannot be deleted: %v", err)
	}
	there, home := fields{"dataRegion": "na", "moves": int64(1)}, fields{"dataRegion": "eu", "moves": nil}
	wantRefusal(t, try(ruler, there), only)
	for _, step := range []fields{there, home, there} {
		if err := change(mover, step); err != nil {
			t.Fatalf("who may move it: %v: %v", step, err)
		}
	}
	settled := moving("na", "eu.example.org")
	settled["settled"] = true
	start := fields{"suspend": false, "moving": settled}
	wantRefusal(t, try(ruler, start), only)
	if err := change(mover, start); err != nil {
		t.Fatalf("who may move it: %v", err)
	}
	wantRefusal(t, try(ruler, fields{"moving": nil}), only)
	if err := change(mover, fields{"moving": nil}); err != nil {
		t.Fatalf("who may move it: %v", err)
	}
	if err := tryDelete(t, ruler, o); err != nil {
		t.Errorf("a relay that moved cannot be deleted: %v", err)
	}
}

// testLeaving checks that a relay that has begun to move is told to leave, whatever else its configuration says, and cannot be
// told to arrive.
func testLeaving(t *testing.T, namespace, name string) {
	t.Helper()
	one := &house{in: desired.Input{
		Relay: &v1alpha1.BusinessRelay{}, Region: &v1alpha1.DataRegion{}, RelayImage: relayImage, OperatorNamespace: "relaykeep-system",
	}}
	for o, key := range map[client.Object]client.ObjectKey{one.in.Relay: {Namespace: namespace, Name: name}, one.in.Region: {Name: "eu"}} {
		if err := server.Client.Get(t.Context(), key, o); err != nil {
			t.Fatal(err)
		}
	}
	one.render(t)
	within(t, "a relay with settings of its log cannot be told to leave", func() bool {
		return server.Client.Create(t.Context(), object(t, one.configuration, nil), client.DryRunAll) == nil
	})
	arrive := object(t, one.configuration, rewrite(`"move": "Depart"`, `"move": "Arrive"`))
	wantRefusal(t, server.Client.Create(t.Context(), arrive, client.DryRunAll), "only as its BusinessRelay says")
}

// mayMoveFrom grants a user the verb move on one region.
func mayMoveFrom(t *testing.T, user, region string) {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user + "-" + region}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"relaykeep.dev"}, Resources: []string{"dataregions"}, Verbs: []string{"move"}, ResourceNames: []string{region}},
	}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	for _, o := range []client.Object{role, binding} {
		if err := server.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		deleteAtEnd(t, o)
	}
}
