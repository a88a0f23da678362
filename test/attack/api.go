package attack

import (
	"context"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/lab"
)

// Who gets the API server's refusals.
const (
	acmesPod = "acme's pod, with its account's rights,"
	rights   = "Kubernetes RBAC: the account has no rights"
	entering = "the admission policy relaykeep-enter"
	held     = "the admission policy relaykeep-protection"
)

// by does something at the API server as a user.
func by(user string, do func(context.Context, client.Client) error) act {
	return func(ctx context.Context, s *Scene) error {
		c, err := s.as(user)
		if err != nil {
			return err
		}
		return do(ctx, c)
	}
}

// get reads an object of a namespace.
func get(namespace, name string, into func() client.Object) func(context.Context, client.Client) error {
	return func(ctx context.Context, c client.Client) error {
		return c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into())
	}
}

func aPod() client.Object      { return &corev1.Pod{} }
func aService() client.Object  { return &corev1.Service{} }
func aClaim() client.Object    { return &corev1.PersistentVolumeClaim{} }
func aVolume() client.Object   { return &corev1.PersistentVolume{} }
func aMap() client.Object      { return &corev1.ConfigMap{} }
func aSecret() client.Object   { return &corev1.Secret{} }
func anAccount() client.Object { return &corev1.ServiceAccount{} }

// dryDelete tries to delete an object of acme's, which stays.
func dryDelete(kind func() client.Object, name string) func(context.Context, client.Client) error {
	return func(ctx context.Context, c client.Client) error {
		o := kind()
		o.SetNamespace("acme")
		o.SetName(name)
		return c.Delete(ctx, o, client.DryRunAll)
	}
}

// token asks for a token.
func token(namespace, account, audience string) func(context.Context, client.Client) error {
	return func(ctx context.Context, c client.Client) error {
		_, err := lab.Token(ctx, c, namespace, account, audience)
		return err
	}
}

// run runs the relay's own program in a business's pod: its image has no other.
func run(user string, b *lab.Business) act {
	return kubectl(user, "exec", "-n", b.Name, b.Tenant()+"-0", "--", "/relay", "version")
}

// kubectl runs kubectl as a user.
func kubectl(user string, args ...string) act {
	return func(ctx context.Context, s *Scene) error {
		if user != admin {
			args = append([]string{"--as", user, "--as-group", "system:authenticated"}, args...)
		}
		_, err := s.lab.Kubectl(ctx, args...)
		return err
	}
}

// volume reads the volume behind a business's claim.
func volume(user string, b *lab.Business) act {
	return func(ctx context.Context, s *Scene) error {
		claim := &corev1.PersistentVolumeClaim{}
		if err := s.lab.Client().Get(ctx, client.ObjectKey{Namespace: b.Name, Name: b.Tenant()}, claim); err != nil {
			return fmt.Errorf("preparing: %w", err)
		}
		return by(user, get("", claim.Spec.VolumeName, aVolume))(ctx, s)
	}
}

// plainPod is a pod as a namespace's own people make them, not really made.
func plainPod(namespace string) func(context.Context, client.Client) error {
	return func(ctx context.Context, c client.Client) error {
		return c.Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "attack"},
			Spec: corev1.PodSpec{
				SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(65532)), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
				Containers: []corev1.Container{{Name: "c", Image: "example.org/image:1", SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				}}},
			},
		}, client.DryRunAll)
	}
}

// atTheAPI are attempts of acme's account, which may do nothing at all in Kubernetes,
// and of acme's admin beyond his namespace.
func atTheAPI() []Attempt {
	steal := func(tries string, do func(context.Context, client.Client) error) Attempt {
		return Attempt{acmesPod, tries, rights, "globex's admin", by(acmeAccount, do), by(globexAdmin, do), byRBAC}
	}
	cross := func(tries string, do func(context.Context, client.Client) error) Attempt {
		return Attempt{"acme's admin", tries, "Kubernetes RBAC: the namespace is the boundary", "globex's admin", by(acmeAdmin, do), by(globexAdmin, do), byRBAC}
	}
	return []Attempt{
		steal("reads globex's pod", get("globex", "globex-relay-0", aPod)),
		steal("reads globex's Service", get("globex", "globex-relay", aService)),
		steal("reads globex's claim", get("globex", "globex-relay", aClaim)),
		{acmesPod, "reads globex's volume", rights, "the operator, which checks where it is", volume(acmeAccount, lab.Globex), volume(operator, lab.Globex), byRBAC},
		steal("reads globex's configuration", get("globex", "globex-relay", aMap)),
		steal("reads a Secret of globex's", get("globex", "attack", aSecret)),
		{acmesPod, "reads a Secret of acme's", rights, "acme's admin", by(acmeAccount, get("acme", "attack", aSecret)), by(acmeAdmin, get("acme", "attack", aSecret)), byRBAC},
		steal("asks for a token of globex's account", token("globex", "globex-relay", contract.AudienceCredentials(lab.NA.Name))),
		{acmesPod, "runs a program in globex's pod", rights, "the cluster's admin", run(acmeAccount, lab.Globex), run(admin, lab.Globex), byRBAC},
		cross("reads a Secret of globex's", get("globex", "attack", aSecret)),
		cross("asks for a token of globex's account", token("globex", "globex-relay", contract.AudienceCredentials(lab.NA.Name))),
		cross("makes a pod in globex's namespace", plainPod("globex")),
		{
			"acme's admin", "asks for a token with which acme's relay logs in at Vault", "the admission policy relaykeep-tokens", "the pod's node",
			by(acmeAdmin, token("acme", "acme-relay", contract.AudienceRelay(lab.EU.Name))), enterAs("acme", "acme-relay", contract.AudienceRelay(lab.EU.Name)), byPolicy,
		},
		{
			"acme's admin", "deletes the claim that acme's relay uses", held, "acme's admin, what no relay uses",
			by(acmeAdmin, dryDelete(aClaim, "acme-relay")), by(acmeAdmin, dryDelete(aMap, "kube-root-ca.crt")), byPolicy,
		},
		{
			"acme's admin", "deletes the service account of acme's relay", held, "acme's admin, one that no relay uses",
			by(acmeAdmin, dryDelete(anAccount, "acme-relay")), by(acmeAdmin, dryDelete(anAccount, "attack")), byPolicy,
		},
		{"acme's admin", "runs a program in acme's relay", entering, "the cluster's admin", run(acmeAdmin, lab.Acme), run(admin, lab.Acme), byPolicy},
		{
			"acme's admin", "attaches to acme's relay", entering, "acme's admin, who reads its log",
			kubectl(acmeAdmin, "attach", "-n", "acme", "acme-relay-0", "--pod-running-timeout=5s"),
			kubectl(acmeAdmin, "logs", "-n", "acme", "acme-relay-0", "--tail=1"), byPolicy,
		},
		{
			"acme's admin", "makes a pod that they could enter, with the relay's token", workloadsPolicy, "acme's admin, of a name that nobody may enter",
			podOfRelay("attack"), podOfRelay("acme-relay-1"), byPolicy,
		},
		{
			"acme's admin", "makes a pod of acme's relay that logs in at a Vault of their own", servicesPolicy, "acme's admin, at the region's",
			changedPodOfRelay("acme-relay-1", container(place("--vault-address=", "https://192.0.2.1:8200")), nil), podOfRelay("acme-relay-1"), byPolicy,
		},
		{
			"acme's admin", "makes a pod of acme's relay that uses a carrier of their own", servicesPolicy, "acme's admin, to the region's",
			changedPodOfRelay("acme-relay-1", container(place("--xmpp-address=", "192.0.2.1:5222")), nil), podOfRelay("acme-relay-1"), byPolicy,
		},
		{
			"acme's admin", "makes a pod of acme's relay in a region that does not exist", "the admission policy relaykeep-region-placement", "acme's admin, in its region",
			changedPodOfRelay("acme-relay-1", inNobodysRegion, map[string]string{v1alpha1.LabelRegion: "zz"}), podOfRelay("acme-relay-1"), byPolicy,
		},
		{
			"a user who may debug any pod", "debugs acme's with a container of their own", "the admission policy relaykeep-workloads", "the same, for a pod without a token for Vault",
			debug(relayPod(lab.Acme)), debug(edgePod), byPolicy,
		},
	}
}

// podOfRelay has acme's admin make a pod like that of acme's relay, not really.
func podOfRelay(name string) act { return changedPodOfRelay(name, asItMakesIt, nil) }

// changedPodOfRelay has acme's admin make such a pod with other contents and labels.
func changedPodOfRelay(name string, edit podEdit, labels map[string]string) act {
	return func(ctx context.Context, s *Scene) error {
		running, err := s.lab.RelayPod(ctx, lab.Acme)
		if err != nil {
			return fmt.Errorf("preparing: %w", err)
		}
		spec := running.Spec.DeepCopy()
		spec.NodeName = "" // the scheduler's to say
		edit(spec)
		all := maps.Clone(running.Labels)
		maps.Copy(all, labels)
		return by(acmeAdmin, func(ctx context.Context, c client.Client) error {
			return c.Create(ctx, &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: name, Labels: all}, Spec: *spec,
			}, client.DryRunAll)
		})(ctx, s)
	}
}

// debug has the cluster's admin add a container to a pod, not really.
func debug(find finder) act {
	return func(ctx context.Context, s *Scene) error {
		pod, err := find(ctx, s)
		if err != nil {
			return err
		}
		patch := client.RawPatch(types.StrategicMergePatchType, []byte(`{"spec":{"ephemeralContainers":[{"name":"attack","image":"example.org/image:1",
			"securityContext":{"allowPrivilegeEscalation":false,"runAsNonRoot":true,"capabilities":{"drop":["ALL"]},"seccompProfile":{"type":"RuntimeDefault"}}}]}}`))
		return s.lab.Client().SubResource("ephemeralcontainers").Patch(ctx, pod, patch, client.DryRunAll)
	}
}

// byTheOperator are attempts of the operator's account beyond its role.
func byTheOperator() []Attempt {
	const role = "Kubernetes RBAC: not in the operator's role"
	beyond := func(tries string, do func(context.Context, client.Client) error, owners, owner string) Attempt {
		return Attempt{"the operator", tries, role, owners, by(operator, do), by(owner, do), byRBAC}
	}
	secrets := func(ctx context.Context, c client.Client) error { return c.List(ctx, &corev1.SecretList{}) }
	bind := func(ctx context.Context, c client.Client) error {
		return c.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "attack"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: lab.Namespace, Name: "relaykeep-manager"}},
		}, client.DryRunAll)
	}
	return []Attempt{
		beyond("reads a Secret of acme's", get("acme", "attack", aSecret), "acme's admin", acmeAdmin),
		beyond("lists all Secrets", secrets, "the cluster's admin", admin),
		{"the operator", "runs a program in acme's pod", role, "the cluster's admin", run(operator, lab.Acme), run(admin, lab.Acme), byRBAC},
		beyond("asks for a token of acme's account, for its credentials", token("acme", "acme-relay", contract.AudienceCredentials(lab.EU.Name)), "acme's admin", acmeAdmin),
		{
			"the operator", "asks for a token with which acme's relay logs in at Vault", role, "the pod's node",
			by(operator, token("acme", "acme-relay", contract.AudienceRelay(lab.EU.Name))), enterAs("acme", "acme-relay", contract.AudienceRelay(lab.EU.Name)),
			func(err error) bool { return byRBAC(err) || byPolicy(err) },
		},
		beyond("makes a pod", plainPod("acme"), "acme's admin", acmeAdmin),
		beyond("gives itself every right", bind, "the cluster's admin", admin),
		beyond("removes the policy that holds it", removePolicy, "the cluster's admin", admin),
	}
}

// removePolicy deletes the binding of a policy, not really.
func removePolicy(ctx context.Context, c client.Client) error {
	o := policyBinding()
	return c.Delete(ctx, o, client.DryRunAll)
}

// replaced replaces text, which must be there.
func replaced(text, old, replacement string) (string, error) {
	if !strings.Contains(text, old) {
		return "", fmt.Errorf("preparing: the configuration has no %s", old)
	}
	return strings.ReplaceAll(text, old, replacement), nil
}
