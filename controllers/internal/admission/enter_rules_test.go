package admission

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
)

// connect asks for a subresource of a pod that is connected to, as a user. No kubelet is
// here: what is let through ends where the pod is looked for.
func connect(t *testing.T, cfg *rest.Config, namespace, pod, subresource string) error {
	t.Helper()
	c, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c.CoreV1().RESTClient().Post().Namespace(namespace).Resource("pods").Name(pod).SubResource(subresource).
		Param("command", "/relay").Param("stdout", "true").Do(t.Context()).Error()
}

// letThrough is what the API server answers when admission had nothing against it.
func letThrough(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsBadRequest(err)
}

// grant lets a user do things to a namespace's objects, as a role of Kubernetes would.
func grant(t *testing.T, namespace, user string, rules ...rbacv1.PolicyRule) *rest.Config {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: user}
	for _, o := range []client.Object{
		&rbacv1.Role{ObjectMeta: meta, Rules: rules},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
		},
	} {
		if err := server.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		deleteAtEnd(t, o)
	}
	cfg := rest.CopyConfig(server.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		return letThrough(connect(t, cfg, namespace, "anybody", "exec")), nil // the authorizer learns of roles a moment later
	})
	if err != nil {
		t.Fatalf("the role of %s is not in force in time: %v", user, err)
	}
	return cfg
}

// editor is what the stock role edit grants on pods.
var editor = rbacv1.PolicyRule{
	APIGroups: []string{""}, Verbs: []string{"get", "create"},
	Resources: []string{"pods/exec", "pods/attach", "pods/portforward", "pods/proxy"},
}

// testEntering holds who enters which pods. The account acme-relay is in the namespace.
func testEntering(t *testing.T) {
	edit := grant(t, "default", "editor", editor)
	const says = "nobody may enter a relay or janitor"
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		err := connect(t, edit, "default", "acme-relay-0", "exec")
		return err != nil && strings.Contains(err.Error(), says), nil
	})
	if err != nil {
		t.Fatalf("the policy on entering is not enforced in time: %v", err)
	}
	for _, pod := range []string{"acme-relay-0", "acme-relay-17", "acme-retention-29384756-abcde", "acme-retention-now-abcde", "acme-erase-abcde"} {
		for _, how := range []string{"exec", "attach"} {
			t.Run(how+" into "+pod, func(t *testing.T) { wantRefusal(t, connect(t, edit, "default", pod, how), says) })
		}
		// Their ports ask for the access token, or say nothing that is secret.
		t.Run("port of "+pod, func(t *testing.T) {
			if err := connect(t, edit, "default", pod, "portforward"); !letThrough(err) {
				t.Errorf("it is refused: %v", err)
			}
		})
	}
	for _, pod := range []string{"acme", "acme-relay", "acme-relay-x", "mail-relay-0", "logs-retention-1", "disk-erase-1", "acme-relay-0-debug"} {
		t.Run("exec into "+pod+", which is another's", func(t *testing.T) {
			if err := connect(t, edit, "default", pod, "exec"); !letThrough(err) {
				t.Errorf("it is refused: %v", err)
			}
		})
	}
	t.Run("exec in a namespace without such an account", func(t *testing.T) {
		other := grant(t, "kube-public", "elsewhere", editor)
		if err := connect(t, other, "kube-public", "acme-relay-0", "exec"); !letThrough(err) {
			t.Errorf("it is refused: %v", err)
		}
	})
	t.Run("keepers", testEnteringKeepers)
	t.Run("exec with the verb", func(t *testing.T) {
		enter := rbacv1.PolicyRule{APIGroups: []string{"relaykeep.dev"}, Resources: []string{"businessrelays"}, Verbs: []string{"enter"}}
		named := enter
		named.ResourceNames = []string{"globex"}
		wantRefusal(t, connect(t, grant(t, "default", "of-globex", editor, named), "default", "acme-relay-0", "exec"), says)
		if err := connect(t, grant(t, "default", "entrant", editor, enter), "default", "acme-relay-0", "exec"); !letThrough(err) {
			t.Errorf("it is refused: %v", err)
		}
	})
}

// testEnteringKeepers holds who enters the keepers, in the operator's namespace.
func testEnteringKeepers(t *testing.T) {
	const ns, says = "relaykeep-system", "nobody may enter a region's keeper"
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}
	if err := client.IgnoreAlreadyExists(server.Client.Create(t.Context(), namespace)); err != nil {
		t.Fatal(err)
	}
	long := contract.KeeperName(strings.Repeat("region-", 9))
	for _, name := range []string{contract.KeeperName("eu"), long} {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
		if err := server.Client.Create(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		deleteAtEnd(t, account)
	}
	edit := grant(t, ns, "editor-of-keepers", editor)
	within(t, "a keeper may be entered", func() bool {
		return !letThrough(connect(t, edit, ns, long+"-29384756-abcde", "exec"))
	})
	keepers := []string{"relaykeep-keeper-eu-29384756-abcde", "relaykeep-keeper-eu-now-abcde", long + "-29384-abcde"}
	for _, pod := range keepers {
		for _, how := range []string{"exec", "attach"} {
			t.Run(how+" into "+pod, func(t *testing.T) { wantRefusal(t, connect(t, edit, ns, pod, how), says) })
		}
	}
	for _, pod := range []string{"relaykeep-manager-abcde", "relaykeep-keeper", "relaykeep-keeper-eu", "relaykeep-keeper-na-1-abcde"} {
		if err := connect(t, edit, ns, pod, "exec"); !letThrough(err) {
			t.Errorf("exec into %s, which is no keeper's, is refused: %v", pod, err)
		}
	}
	enter := rbacv1.PolicyRule{APIGroups: []string{"relaykeep.dev"}, Resources: []string{"businessrelays"}, Verbs: []string{"enter"}}
	wantRefusal(t, connect(t, grant(t, ns, "of-relays", editor, enter), ns, keepers[0], "exec"), says)
	if err := connect(t, server.Config, ns, keepers[0], "exec"); !letThrough(err) {
		t.Errorf("a cluster admin is refused: %v", err)
	}
}
