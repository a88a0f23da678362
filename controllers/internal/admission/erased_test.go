package admission

import (
	"context"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
	"github.com/relaykeep/relaykeep/test/await"
)

// userWho is a client of a user who may do what the verbs say to kinds of our own.
func userWho(t *testing.T, name string, rules ...rbacv1.PolicyRule) client.Client {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}
	for _, o := range []client.Object{role, binding} {
		if err := server.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		deleteAtEnd(t, o)
	}
	cfg := rest.CopyConfig(server.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	c, err := client.New(cfg, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	awaitRights(t, name, "", rules)
	return c
}

// awaitRights waits until the API server's authorizer knows what a user may do: it learns of roles a moment after they are made.
func awaitRights(t *testing.T, user, namespace string, rules []rbacv1.PolicyRule) {
	t.Helper()
	for _, rule := range rules {
		resource, sub, _ := strings.Cut(rule.Resources[0], "/")
		await.Until(t, "the user's rights count", func() bool {
			asked := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: user, Groups: []string{"system:authenticated"}, ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: namespace, Group: rule.APIGroups[0], Resource: resource, Subresource: sub, Verb: rule.Verbs[0],
				},
			}}
			return server.Client.Create(t.Context(), asked) == nil && asked.Status.Allowed
		})
	}
}

// userIn is a client of a user who may do what the rules say in one namespace.
func userIn(t *testing.T, namespace, name string, rules ...rbacv1.PolicyRule) client.Client {
	t.Helper()
	c := userWho(t, name)
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Rules: rules}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}
	for _, o := range []client.Object{role, binding} {
		if err := server.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		deleteAtEnd(t, o)
	}
	awaitRights(t, name, namespace, rules)
	return c
}

// testErased checks that a person who may write a BusinessRelay cannot skip its erasure.
func (h *house) testErased(t *testing.T) {
	everything := []string{"get", "create", "update", "patch", "delete"}
	relays := rbacv1.PolicyRule{APIGroups: []string{"relaykeep.dev"}, Resources: []string{"businessrelays"}, Verbs: everything}
	regions := rbacv1.PolicyRule{APIGroups: []string{"relaykeep.dev"}, Resources: []string{"dataregions"}, Verbs: []string{"get", "update"}}
	clerk, admin := userWho(t, "clerk-of-relays", relays), userWho(t, "admin-of-regions", relays, regions)
	patch := func(c client.Client, o client.Object, text string) error {
		copied, _ := o.DeepCopyObject().(client.Object)
		return c.Patch(t.Context(), copied, client.RawPatch("application/merge-patch+json", []byte(text)), client.DryRunAll)
	}
	const says, erased = "may mark a relay's keys as erased", `{"metadata":{"annotations":{"relaykeep.dev/erased":"true"}}}`
	wantRefusal(t, patch(clerk, h.in.Relay, erased), says)
	for name, c := range map[string]client.Client{"the operator": h.operator, "a cluster admin": admin} {
		if err := patch(c, h.in.Relay, erased); err != nil {
			t.Errorf("%s is refused it as well: %v", name, err)
		}
	}
	noted := set("metadata/annotations", fields{v1alpha1.AnnotationErased: "yes"})
	named := all(set("metadata/name", "noted"), set("spec/deletionPolicy", "Erase"), set("metadata/finalizers", []any{v1alpha1.Finalizer}))
	wantRefusal(t, clerk.Create(t.Context(), object(t, relayYAML, all(named, noted)), client.DryRunAll), says)

	// What an admin has noted stays, and stays changeable in all else.
	o := object(t, relayYAML, all(named, noted))
	if err := admin.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Client.Patch(context.WithoutCancel(t.Context()), o, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))
	})
	if err := patch(clerk, o, `{"spec":{"suspend":true}}`); err != nil {
		t.Errorf("changing something else: %v", err)
	}
	wantRefusal(t, patch(clerk, o, erased), says)
	const takeBack = `{"metadata":{"annotations":null}}`
	wantRefusal(t, patch(clerk, o, takeBack), says)
	for name, c := range map[string]client.Client{"the operator": h.operator, "a cluster admin": admin} {
		if err := patch(c, o, takeBack); err != nil {
			t.Errorf("%s is refused to take the note back: %v", name, err)
		}
	}
	if err := patch(clerk, h.in.Relay, `{"metadata":{"annotations":{"relaykeep.dev/erased":"","example.org/a":"b"}}}`); err != nil {
		t.Errorf("an annotation that says nothing: %v", err)
	}

	// By its status the operator knows that there is something to erase.
	everyResource := rbacv1.PolicyRule{APIGroups: []string{"relaykeep.dev"}, Resources: []string{"*"}, Verbs: []string{"*"}}
	ruler := userIn(t, o.GetNamespace(), "ruler-of-relays", everyResource)
	forget := func(c client.Client) error {
		copied, _ := o.DeepCopyObject().(client.Object)
		return c.Status().Patch(t.Context(), copied, client.RawPatch("application/merge-patch+json", []byte(`{"status":{"startedTime":null}}`)), &client.SubResourcePatchOptions{PatchOptions: client.PatchOptions{DryRun: []string{metav1.DryRunAll}}})
	}
	wantRefusal(t, forget(ruler), "only the operator may write a relay's status")
	for name, c := range map[string]client.Client{"the operator": h.operator, "a cluster admin": server.Client} {
		if err := forget(c); err != nil {
			t.Errorf("%s is refused to write the status: %v", name, err)
		}
	}

	// Without its finalizer the object would be gone before the erasure.
	const letGo = `{"metadata":{"finalizers":null}}`
	const retain = `{"spec":{"deletionPolicy":"Retain"}}`
	for _, change := range []string{letGo, retain} {
		if err := patch(clerk, o, change); err != nil {
			t.Errorf("before it is deleted, %s: %v", change, err)
		}
	}
	if err := clerk.Delete(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, patch(clerk, o, letGo), "leave the finalizer")
	wantRefusal(t, patch(clerk, o, retain), "an erasure that has begun")
	wantRefusal(t, patch(clerk, o, `{"spec":{"deletionPolicy":"Retain"},"metadata":{"finalizers":null}}`), "deletionPolicy at Erase")
	if err := patch(admin, o, retain); err != nil {
		t.Errorf("a cluster admin may not change the policy: %v", err)
	}
	for name, c := range map[string]client.Client{"the operator": h.operator, "a cluster admin": admin} {
		if err := patch(c, o, letGo); err != nil {
			t.Errorf("%s is refused it as well: %v", name, err)
		}
	}
}
