package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
)

// tenant is a namespace with a relay, its claim and its service account.
type tenant struct {
	namespace string
	relay     *v1alpha1.BusinessRelay
	claim     *corev1.PersistentVolumeClaim
	account   *corev1.ServiceAccount
}

func newTenant(t *testing.T) *tenant {
	t.Helper()
	ns := newNamespace(t)
	child := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: ns, Name: name, Labels: map[string]string{
			v1alpha1.LabelName: v1alpha1.NameRelay, v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelInstance: "acme",
		}}
	}
	tn := &tenant{
		namespace: ns,
		relay: &v1alpha1.BusinessRelay{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "acme", Finalizers: []string{v1alpha1.Finalizer}},
			Spec:       v1alpha1.BusinessRelaySpec{PhoneNumber: "+41441234588", DataRegion: "eu"},
		},
		claim: &corev1.PersistentVolumeClaim{ObjectMeta: child("acme-relay"), Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}},
		account: &corev1.ServiceAccount{ObjectMeta: child("acme-relay")},
	}
	for _, o := range []client.Object{tn.relay, tn.claim, tn.account} {
		if err := server.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return tn
}

// held waits until both are protected: the policy learns of a new relay in a moment.
func (tn *tenant) held(t *testing.T) {
	t.Helper()
	for _, o := range []client.Object{tn.claim, tn.account} {
		within(t, "a deletion is not refused", func() bool { return tryDelete(t, server.Client, o) != nil })
	}
}

// free waits until both may be deleted.
func (tn *tenant) free(t *testing.T, c client.Client) {
	t.Helper()
	for _, o := range []client.Object{tn.claim, tn.account} {
		var err error
		within(t, "a deletion is refused", func() bool {
			err = tryDelete(t, c, o)
			return err == nil
		})
	}
}

func tryDelete(t *testing.T, c client.Client, o client.Object) error {
	t.Helper()
	return c.Delete(t.Context(), o.DeepCopyObject().(client.Object), client.DryRunAll)
}

func testProtection(t *testing.T) {
	t.Run("what a relay uses", func(t *testing.T) {
		tn := newTenant(t)
		tn.held(t)
		wantRefusal(t, tryDelete(t, server.Client, tn.claim), "copy the volume (docs/operations.md, A relay's volume), then annotate it relaykeep.dev/allow-deletion=true")
		wantRefusal(t, tryDelete(t, server.Client, tn.account), "kubectl relay adopt acme -n "+tn.namespace)
		err := server.Client.DeleteAllOf(t.Context(), &corev1.PersistentVolumeClaim{}, client.InNamespace(tn.namespace), client.DryRunAll)
		wantRefusal(t, err, "would be lost")
	})
	t.Run("what a relay uses that moved, and while it moves", func(t *testing.T) {
		tn := newTenant(t)
		next := tn.claim.DeepCopy()
		next.ObjectMeta = metav1.ObjectMeta{Namespace: tn.namespace, Name: "acme-relay-1", Labels: tn.claim.Labels}
		if err := server.Client.Create(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		refused := func(claim *corev1.PersistentVolumeClaim) bool { return tryDelete(t, server.Client, claim) != nil }
		tn.held(t)
		if refused(next) {
			t.Error("a claim that the relay does not use yet is held")
		}
		for _, step := range []struct {
			spec      string
			old, next bool
		}{
			{`{"suspend":true,"moving":{"from":"eu","to":"na","carrierDomain":"eu.example.org"}}`, true, true},
			{`{"dataRegion":"na","moves":1}`, true, true},
			{`{"suspend":false,"moving":{"settled":true}}`, true, true},
			{`{"moving":null}`, false, true},
		} {
			if err := server.Client.Patch(t.Context(), tn.relay, client.RawPatch("application/merge-patch+json", []byte(`{"spec":`+step.spec+`}`))); err != nil {
				t.Fatalf("%s: %v", step.spec, err)
			}
			within(t, step.spec+": the claims are not held as they should be", func() bool {
				return refused(tn.claim) == step.old && refused(next) == step.next
			})
		}
		if tryDelete(t, server.Client, tn.account) == nil {
			t.Error("the account of a relay that moved may be deleted")
		}
	})
	t.Run("what its admin lets go", func(t *testing.T) {
		tn := newTenant(t)
		tn.held(t)
		allow := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"`+v1alpha1.AnnotationAllowDeletion+`":"true"}}}`))
		for _, o := range []client.Object{tn.claim, tn.account} {
			if err := server.Client.Patch(t.Context(), o, allow); err != nil {
				t.Fatal(err)
			}
		}
		tn.free(t, server.Client)
	})
	t.Run("what is another's", func(t *testing.T) {
		tn := newTenant(t)
		tn.held(t)
		other := tn.claim.DeepCopy()
		other.ObjectMeta = metav1.ObjectMeta{Namespace: tn.namespace, Name: "other-relay", Labels: tn.claim.Labels}
		if err := server.Client.Create(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		if err := tryDelete(t, server.Client, other); err != nil {
			t.Errorf("a claim that no relay uses is held: %v", err)
		}
	})
	t.Run("of a relay that is being deleted", func(t *testing.T) {
		tn := newTenant(t)
		tn.held(t)
		if err := server.Client.Delete(t.Context(), tn.relay); err != nil {
			t.Fatal(err)
		}
		tn.free(t, server.Client)
	})
	t.Run("by the cluster", func(t *testing.T) {
		tn := newTenant(t)
		tn.held(t)
		for _, user := range []string{"namespace-controller", "generic-garbage-collector"} {
			cfg := rest.CopyConfig(server.Config)
			cfg.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:kube-system:" + user, Groups: []string{"system:masters"}}
			c, err := client.New(cfg, client.Options{Scheme: testenv.Scheme()})
			if err != nil {
				t.Fatal(err)
			}
			tn.free(t, c)
		}
	})
	t.Run("in a namespace that goes", func(t *testing.T) {
		tn := newTenant(t)
		tn.held(t)
		if err := server.Client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tn.namespace}}); err != nil {
			t.Fatal(err)
		}
		tn.free(t, server.Client)
	})
}
