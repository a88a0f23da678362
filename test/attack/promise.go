package attack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/lab"
)

// The attackers on the promise that nothing is readable for longer than the retention,
// as the threat model calls them.
const (
	theKeeper     = "the region's keeper"
	reader        = "acme's admin, who may read credentials,"
	erasedPolicy  = "the admission policy relaykeep-erased"
	tokensPolicy  = "the admission policy relaykeep-tokens"
	hands         = "an admin who may enter pods of the operator's namespace"
	operations    = "attack-operations" // the user that does
	theVaultAdmin = "Vault's admin"
)

// operationsYAML lets somebody enter pods of the operator's namespace, as Kubernetes' role
// edit does.
const operationsYAML = `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: attack-edit, namespace: ` + lab.Namespace + `}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ` + operations + `}]
`

func (s *Scene) makeOperations(ctx context.Context) error {
	s.undo = append(s.undo, func(ctx context.Context) error { return s.lab.Remove(ctx, operationsYAML) })
	if _, err := s.lab.Apply(ctx, operationsYAML); err != nil {
		return fmt.Errorf("preparing the operator's namespace: %w", err)
	}
	return nil
}

// atThePromise are attempts to skip an erasure, to keep keys from dying, or to destroy or
// read what a janitor or keeper may only let die.
func atThePromise() []Attempt {
	return append(atTheErasure(), atTheKeeper()...)
}

func atTheErasure() []Attempt {
	const (
		who     = "a clerk who may only write acme's BusinessRelays"
		erasing = "the cluster's admin, who erased them"
		note    = `{"metadata":{"annotations":{"` + v1alpha1.AnnotationErased + `":"` + v1alpha1.AnnotationErasedYes + `"}}}`
	)
	relay := lab.Acme.Relay()
	born := candidate("acme", func(o *v1alpha1.BusinessRelay) {
		o.Annotations = map[string]string{v1alpha1.AnnotationErased: v1alpha1.AnnotationErasedYes}
		o.Spec.DeletionPolicy = v1alpha1.DeletionErase
	})
	return []Attempt{
		{who, "marks acme's keys as erased while they exist", erasedPolicy, erasing, patched(clerk, relay, note), patched(admin, relay, note), byPolicy},
		{who, "makes a relay whose keys are marked as erased before it has any", erasedPolicy, "the cluster's admin", made(clerk, born), made(admin, born), byPolicy},
		{who, "removes the mark that keys are erased", erasedPolicy, "the cluster's admin", unnoted(clerk), unnoted(admin), byPolicy},
		{"acme's admin", "marks acme's keys as erased while they exist", "Kubernetes RBAC, or the policy relaykeep-erased where they may write BusinessRelays", erasing, patched(acmeAdmin, relay, note), patched(admin, relay, note), byAny},
		{"acme's admin", "asks for a token with which acme's janitor logs in at Vault", tokensPolicy, "the pod's node", by(acmeAdmin, token("acme", "acme-relay", contract.AudienceJanitor(lab.EU.Name))), enter(janitorOf(lab.Acme), janitorOf(lab.Acme)), byPolicy},
		{"acme's admin", "runs a program in acme's janitor", entering, "the cluster's admin", execInto(acmeAdmin, "acme", "acme-retention-1-attack"), execInto(admin, "acme", "acme-retention-1-attack"), byPolicy},
		{"acme's admin", "runs a program in the Job that erases acme's keys", entering, "the cluster's admin", execInto(acmeAdmin, "acme", "acme-erase-attack"), execInto(admin, "acme", "acme-erase-attack"), byPolicy},
		{"acme's admin", "makes a pod of acme's relay that takes another's place on its node", workloadsPolicy, "acme's admin, of no system priority", changedPodOfRelay("acme-relay-1", systemPriority, nil), podOfRelay("acme-relay-1"), byPolicy},
		{"acme's admin", "makes a pod of acme's relay in the group of root", workloadsPolicy, "acme's admin, in the images' group", changedPodOfRelay("acme-relay-1", rootsGroup, nil), podOfRelay("acme-relay-1"), byPolicy},
		{acmesRelay, "logs in with a token for a region that does not exist", "the audience that its Vault role demands", "its token for its region", enterAs("acme", "acme-relay", contract.AudienceRelay("zz")), enterAs("acme", "acme-relay", contract.AudienceRelay(lab.EU.Name)), byVaultsRules},
		{reader, "overwrites the record of who used acme's names first", vaultsPolicy, theVaultAdmin + ", who adopts", write(credentialsOf(lab.Acme), data(lab.Acme, "owner"), map[string]any{"data": map[string]any{"a": "b"}}), rewriteOwner, byVault},
		{acmesJanitor, "overwrites the record of who used acme's names first", vaultsPolicy, theVaultAdmin + ", who adopts", write(janitorOf(lab.Acme), data(lab.Acme, "owner"), map[string]any{"data": map[string]any{"a": "b"}}), rewriteOwner, byVault},
	}
}

func atTheKeeper() []Attempt {
	const (
		limits  = "Kubernetes RBAC"
		abandon = `{"metadata":{"annotations":{"` + v1alpha1.AnnotationAbandonKeys + `":"` + v1alpha1.AnnotationAbandonKeysYes + `"}}}`
	)
	keeper, name := keeperOf(lab.Acme), contract.KeeperName(lab.EU.Name)
	audience := contract.AudienceKeeper(lab.EU.Name)
	cron := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: lab.Namespace, Name: name}}
	region := &v1alpha1.DataRegion{ObjectMeta: metav1.ObjectMeta{Name: lab.EU.Name}}
	pod := name + "-1-attack"
	removed := func(l login) func(path string) act { return func(path string) act { return remove(l, path) } }
	return []Attempt{
		{theKeeper, "deletes a key", vaultsPolicy, theVaultAdmin, spareKey(removed(keeper)), spareKey(func(path string) act { return rooted(lab.EU, http.MethodDelete, path) }), byVault},
		{theKeeper, "lists the tenants", vaultsPolicy, theVaultAdmin, list(keeper, "kv/metadata"), rooted(lab.EU, "LIST", "kv/metadata"), byVault},
		{theKeeper, "deletes an entry of acme's", vaultsPolicy, "acme's janitor", remove(keeper, "kv/metadata/acme/acme-relay/attack/none"), remove(janitorOf(lab.Acme), "kv/metadata/acme/acme-relay/attack/none"), byVault},
		{theKeeper, "logs in at the Vault of another region", "the audience that its Vault role demands", "that region's keeper", enter(keeper.at(lab.NA), keeper), enter(keeper.at(lab.NA), keeper.at(lab.NA)), byVaultsRules},
		{acmesJanitor, "logs in as the region's keeper", "the audience that its Vault role demands", "the keeper", enter(keeper, janitorOf(lab.Acme)), enter(keeper, keeper), byVaultsRules},
		{"an admin who may create any token", "asks for one with which the region's keeper logs in at Vault", tokensPolicy, "the pod's node", by(admin, token(lab.Namespace, name, audience)), enter(keeper, keeper), byPolicy},
		{"acme's admin", "makes a pod with the token of the region's keeper", workloadsPolicy, "acme's admin, with the relay's", changedPodOfRelay("acme-relay-1", withAudience(audience), nil), podOfRelay("acme-relay-1"), byPolicy},
		{hands, "runs a program in the region's keeper", entering, "the cluster's admin", execInto(operations, lab.Namespace, pod), execInto(admin, lab.Namespace, pod), byPolicy},
		{"acme's admin", "removes the region's keeper", limits, "the cluster's admin", deleted(acmeAdmin, cron), deleted(admin, cron), byRBAC},
		{"acme's admin", "has the region deleted while its Vault holds keys", limits, "the cluster's admin", patched(acmeAdmin, region, abandon), patched(admin, region, abandon), byRBAC},
	}
}

// byAny is the refusal of Kubernetes' roles or of one of our policies.
func byAny(err error) bool { return byRBAC(err) || byPolicy(err) }

// unnoted has a user remove the note from a relay whose keys an admin noted as erased. It
// names a region that nobody made: nothing is made for it.
func unnoted(user string) act {
	return func(ctx context.Context, s *Scene) (err error) {
		o := candidate("acme", func(o *v1alpha1.BusinessRelay) {
			o.Name, o.Spec.DataRegion, o.Spec.PhoneNumber = "noted-"+s.mark, "zz", "+493023125110"
			o.Annotations = map[string]string{v1alpha1.AnnotationErased: v1alpha1.AnnotationErasedYes}
		})
		if err := s.lab.Client().Create(ctx, o); err != nil {
			return fmt.Errorf("preparing: %w", err)
		}
		defer func() {
			if left := s.forget(context.WithoutCancel(ctx), o); left != nil {
				err = left
			}
		}()
		return patched(user, o, `{"metadata":{"annotations":null}}`)(ctx, s)
	}
}

// execInto has a user enter a pod that is not there, whose name says what it would be:
// admission answers before the pod is looked for. Getting as far as that is success.
func execInto(user, namespace, pod string) act {
	path := fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/exec?command=/relay&stdout=true", namespace, pod)
	try := kubectl(user, "create", "--raw", path, "-f", "/dev/null")
	return func(ctx context.Context, s *Scene) error {
		err := try(ctx, s)
		if err != nil && strings.Contains(err.Error(), "(NotFound)") {
			return nil
		}
		return err
	}
}

func systemPriority(p *corev1.PodSpec) {
	p.PriorityClassName, p.Priority, p.PreemptionPolicy = "system-node-critical", nil, nil
}

func rootsGroup(p *corev1.PodSpec) {
	p.SecurityContext = p.SecurityContext.DeepCopy()
	p.SecurityContext.SupplementalGroups = []int64{0}
}

func withAudience(audience string) podEdit {
	return func(p *corev1.PodSpec) {
		for _, v := range p.Volumes {
			if v.Projected != nil {
				v.Projected.Sources[0].ServiceAccountToken.Audience = audience
			}
		}
	}
}

// spareKey makes a key that belongs to no tenant and may be deleted, and has somebody
// delete it.
func spareKey(del func(path string) act) act {
	return func(ctx context.Context, s *Scene) error {
		root, path := s.root[lab.EU].Logical(), "transit/keys/attack."+s.mark
		if _, err := root.WriteWithContext(ctx, path, nil); err != nil {
			return fmt.Errorf("preparing: making a key: %w", err)
		}
		if _, err := root.WriteWithContext(ctx, path+"/config", map[string]any{"deletion_allowed": true}); err != nil {
			return fmt.Errorf("preparing: letting a key be deleted: %w", err)
		}
		err := del(path)(ctx, s)
		if err == nil {
			return nil
		}
		if _, left := root.DeleteWithContext(context.WithoutCancel(ctx), path); left != nil {
			return errors.Join(errors.New("a spare key is left"), left)
		}
		return err
	}
}

// rewriteOwner has Vault's admin write the record of acme's owner, as it is.
func rewriteOwner(ctx context.Context, s *Scene) error {
	root, path := s.root[lab.EU].Logical(), data(lab.Acme, "owner")
	secret, err := root.ReadWithContext(ctx, path)
	if err != nil {
		return err
	}
	if secret == nil {
		return errors.New("nobody is recorded")
	}
	_, err = root.WriteWithContext(ctx, path, map[string]any{"data": secret.Data["data"]})
	return err
}
