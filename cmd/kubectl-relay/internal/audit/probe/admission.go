package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/permission"
)

// absent ends the names of what is asked for and is not there. No relay has so many pods.
const absent = "-999999"

// Values that no region names, for attempts.
const (
	foreignImage = "registry.invalid/another:1"
	foreignVault = "https://vault.invalid:8200"
	foreignClass = "another-class.invalid"
)

// twiceBound is the policy that has two bindings, each for some of its resources.
const twiceBound = "relaykeep-region-services"

// policyNames are the admission policies of a release; bindings have the same names, and twiceBound has a second one.
func policyNames() []string {
	return []string{
		"relaykeep-configuration-business", "relaykeep-configuration-region", "relaykeep-enter", "relaykeep-erased", "relaykeep-moves",
		"relaykeep-operator", "relaykeep-protection", "relaykeep-region-binding", "relaykeep-region-placement", "relaykeep-region-services",
		"relaykeep-shared-host", "relaykeep-tokens", "relaykeep-workloads",
	}
}

// policies looks at every admission policy and its binding.
func (s *shared) policies(ctx context.Context) audit.Outcome {
	return s.admissionAll.of(struct{}{}, func() audit.Outcome {
		var policies admissionv1.ValidatingAdmissionPolicyList
		if err := s.Client.List(ctx, &policies); err != nil {
			return unread("admission policies", err)
		}
		var bindings admissionv1.ValidatingAdmissionPolicyBindingList
		if err := s.Client.List(ctx, &bindings); err != nil {
			return unread("bindings of admission policies", err)
		}
		var wrong []string
		for _, name := range policyNames() {
			if why := wrongPolicy(name, policies.Items, bindings.Items); why != "" {
				wrong = append(wrong, why)
			}
		}
		if len(wrong) > 0 {
			return broken("helm upgrade, with the values of the release: docs/operations.md", "%s", strings.Join(wrong, "; "))
		}
		return kept("%d policies are there and bound", len(policyNames()))
	})
}

// wrongPolicy says what is wrong with a policy; empty if nothing is.
func wrongPolicy(name string, policies []admissionv1.ValidatingAdmissionPolicy, bindings []admissionv1.ValidatingAdmissionPolicyBinding) string {
	at := slices.IndexFunc(policies, func(p admissionv1.ValidatingAdmissionPolicy) bool { return p.Name == name })
	if at < 0 {
		return "the policy " + name + " is not there"
	}
	spec := policies[at].Spec
	if spec.FailurePolicy != nil && *spec.FailurePolicy != admissionv1.Fail {
		return "the policy " + name + " admits what it cannot judge: failurePolicy is not Fail"
	}
	if m := spec.MatchConstraints; m != nil && (len(m.ExcludeResourceRules) > 0 || selects(m.NamespaceSelector)) {
		return "the policy " + name + " leaves out namespaces or resources"
	}
	denies := false
	for i := range bindings {
		b := bindings[i].Spec
		if b.PolicyName != name || !slices.Contains(b.ValidationActions, admissionv1.Deny) {
			continue
		}
		if m := b.MatchResources; m != nil && (len(m.ExcludeResourceRules) > 0 || selects(m.NamespaceSelector) ||
			name != twiceBound && (len(m.ResourceRules) > 0 || selects(m.ObjectSelector))) {
			return "the binding " + bindings[i].Name + " leaves out namespaces, resources or objects"
		}
		denies = true
	}
	if !denies {
		return "no binding has the policy " + name + " deny"
	}
	return ""
}

// selects says whether a selector leaves anything out.
func selects(s *metav1.LabelSelector) bool {
	return s != nil && len(s.MatchLabels)+len(s.MatchExpressions) > 0
}

// admission makes the attempts that policies must refuse.
func (a *auditor) admission(ctx context.Context, s *subject) outcomes {
	all := outcomes{
		audit.Tokens:        a.tokens(ctx, s),
		audit.Enter:         a.enter(ctx, s),
		audit.Configuration: a.configuration(ctx, s),
		audit.OperatorScope: a.operatorScope(ctx, s),
	}
	if s.set.err != nil {
		for _, id := range []audit.ID{audit.Image, audit.Workloads, audit.Services, audit.Placement} {
			all[id] = unread("StatefulSet "+s.tenant(), s.set.err)
		}
		return all
	}
	all[audit.Image] = a.image(ctx, s)
	all[audit.Workloads] = a.refused(ctx, "relaykeep-workloads", "another image with the relay's token", s.pod(func(pod *corev1.Pod) {
		pod.Spec.Containers[0].Image = foreignImage
	}))
	all[audit.Services] = a.refused(ctx, "relaykeep-region-services", "the relay's token at another Vault", s.pod(func(pod *corev1.Pod) {
		for i, arg := range pod.Spec.Containers[0].Args {
			if strings.HasPrefix(arg, "--"+contract.FlagVaultAddress+"=") {
				pod.Spec.Containers[0].Args[i] = "--" + contract.FlagVaultAddress + "=" + foreignVault
			}
		}
	}))
	all[audit.Placement] = first(
		a.refused(ctx, "relaykeep-region-binding", "a pod of the region on any node", s.pod(func(pod *corev1.Pod) {
			delete(pod.Spec.NodeSelector, v1alpha1.LabelNodeRegion)
		})),
		a.refused(ctx, "relaykeep-region-placement", "a claim of the region in another storage class", s.foreignClaim()),
	)
	return all
}

// pod is the pod that the relay's workload would make, under a name that no pod has, and changed.
func (s *subject) pod(change func(*corev1.Pod)) *corev1.Pod {
	template := s.set.value.Spec.Template.DeepCopy()
	pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Namespace, pod.Name = s.relay.Namespace, s.tenant()+absent
	change(pod)
	return pod
}

func (s *subject) foreignClaim() *corev1.PersistentVolumeClaim {
	class := foreignClass
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.relay.Namespace, Name: s.tenant() + absent,
			Labels: map[string]string{v1alpha1.LabelRegion: string(s.relay.Spec.DataRegion)},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}
}

// image has the relay's own pod admitted, unchanged.
func (a *auditor) image(ctx context.Context, s *subject) audit.Outcome {
	pod := s.pod(func(*corev1.Pod) {})
	is := pod.Spec.Containers[0].Image
	for i := range s.pods.value {
		if runs := s.pods.value[i].Spec.Containers; len(runs) != 1 || runs[0].Image != is && a.rolledOut(s) {
			return broken("kubectl describe pod "+s.pods.value[i].Name+" -n "+s.relay.Namespace, "pod %s does not run what its workload names", s.pods.value[i].Name)
		}
	}
	err := a.Client.Create(ctx, pod, client.DryRunAll)
	switch policy := deniedBy(err); {
	case err == nil:
		return kept("admission admits the workload as it is")
	case policy != "":
		return broken(fmt.Sprintf("kubectl get statefulset %s -n %s -o yaml", s.tenant(), s.relay.Namespace), "the policy %s does not admit the relay's workload: somebody changed it", policy)
	}
	return unread("a dry run of the relay's pod", err)
}

// rolledOut says whether the relay's pods are to be those of its workload now.
func (a *auditor) rolledOut(s *subject) bool {
	set := s.set.value
	return set.Status.ObservedGeneration == set.Generation && set.Status.CurrentRevision == set.Status.UpdateRevision
}

// refused asks for an object in a dry run, which a policy must refuse.
func (a *auditor) refused(ctx context.Context, policy, attempt string, object client.Object) audit.Outcome {
	return judged(a.Client.Create(ctx, object, client.DryRunAll), policy, attempt)
}

// judged is the outcome of an attempt that a policy must refuse.
func judged(err error, policy, attempt string) audit.Outcome {
	switch by := deniedBy(err); {
	case by == policy:
		return kept("%s: refused by the policy %s", attempt, policy)
	case by != "":
		return notTried("%s: the policy %s refused it before %s was asked", attempt, by, policy)
	case err == nil:
		return broken(showPolicy(policy), "%s: admitted, and must be refused by the policy %s", attempt, policy)
	case apierrors.IsInvalid(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err), exceedsQuota(err):
		// The API server asks policies first, and quotas last.
		return broken(showPolicy(policy), "%s: not refused by the policy %s", attempt, policy)
	}
	return unread(attempt, err)
}

func showPolicy(policy string) string {
	return "kubectl get validatingadmissionpolicy,validatingadmissionpolicybinding " + policy
}

func exceedsQuota(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota")
}

// deniedBy returns which admission policy an error says that it comes from (the words of
// k8s.io/apiserver/pkg/admission/plugin/policy/validating); empty if none.
func deniedBy(err error) string {
	if err == nil {
		return ""
	}
	_, rest, found := strings.Cut(err.Error(), "ValidatingAdmissionPolicy '")
	if !found {
		return ""
	}
	name, rest, found := strings.Cut(rest, "' with binding '")
	if !found || !strings.Contains(rest, "' denied request") {
		return ""
	}
	return name
}

// tokens asks for the relay's token for Vault, for a pod that is not there: without the policy, that is why there is none.
func (a *auditor) tokens(ctx context.Context, s *subject) audit.Outcome {
	request := boundTo(s.tenant()+absent, contract.AudienceRelay(string(s.relay.Spec.DataRegion)))
	_, err := a.kube.CoreV1().ServiceAccounts(s.relay.Namespace).CreateToken(ctx, s.tenant(), request, metav1.CreateOptions{})
	return judged(err, "relaykeep-tokens", "a token with which the relay logs in at Vault")
}

// enter starts a program in a pod that is not there. Who may enter relays, as a cluster's admin may, sees no policy refuse
// that, and the policy itself is looked at.
func (a *auditor) enter(ctx context.Context, s *subject) audit.Outcome {
	may, err := a.self(ctx, authorizationv1.ResourceAttributes{
		Namespace: s.relay.Namespace, Verb: "enter", Group: v1alpha1.GroupVersion.Group, Resource: "businessrelays", Name: s.relay.Name,
	})
	if err != nil {
		return unread("whether you may enter the relay", err)
	}
	if may {
		return a.shared.enterPolicy(ctx)
	}
	err = a.kube.CoreV1().RESTClient().Post().Namespace(s.relay.Namespace).Resource("pods").Name(s.tenant()+absent).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: []string{"true"}, Stdout: true}, scheme.ParameterCodec).Do(ctx).Error()
	return judged(err, "relaykeep-enter", "a program in the relay's pod")
}

// enterPolicy reads the policy that keeps others out.
func (s *shared) enterPolicy(ctx context.Context) audit.Outcome {
	const name = "relaykeep-enter"
	policy := get(ctx, s.Client, client.ObjectKey{Name: name}, &admissionv1.ValidatingAdmissionPolicy{})
	if client.IgnoreNotFound(policy.err) != nil {
		return unread("policy "+name, policy.err)
	}
	binding := get(ctx, s.Client, client.ObjectKey{Name: name}, &admissionv1.ValidatingAdmissionPolicyBinding{})
	if client.IgnoreNotFound(binding.err) != nil {
		return unread("binding "+name, binding.err)
	}
	var policies []admissionv1.ValidatingAdmissionPolicy
	var bindings []admissionv1.ValidatingAdmissionPolicyBinding
	if policy.err == nil {
		policies = append(policies, *policy.value)
	}
	if binding.err == nil {
		bindings = append(bindings, *binding.value)
	}
	if why := wrongPolicy(name, policies, bindings); why != "" {
		return broken(showPolicy(name), "%s", why)
	}
	for _, way := range []string{"pods/exec", "pods/attach"} {
		if m := policy.value.Spec.MatchConstraints; m == nil || !slices.ContainsFunc(m.ResourceRules, func(r admissionv1.NamedRuleWithOperations) bool {
			return slices.Contains(r.Resources, way) && slices.Contains(r.Operations, admissionv1.Connect)
		}) {
			return broken(showPolicy(name), "the policy %s does not see %s", name, way)
		}
	}
	return kept("the policy %s sees exec and attach, and denies; it was read and not tried, because you are one of those who may enter", name)
}

// configuration tries to change the relay's configuration file.
func (a *auditor) configuration(ctx context.Context, s *subject) audit.Outcome {
	if s.config.err != nil {
		return unread("ConfigMap "+s.tenant(), s.config.err)
	}
	with := func(old, replacement string) *corev1.ConfigMap {
		changed := s.config.value.DeepCopy()
		changed.Data[configKey] = strings.Replace(changed.Data[configKey], old, replacement, 1)
		return changed
	}
	days := s.relay.Spec.Retention.Days
	return first(
		a.unchanged(ctx, "relaykeep-configuration-business", "another retention in the relay's configuration",
			with(fmt.Sprintf(`"retentionDays": %d,`, days), fmt.Sprintf(`"retentionDays": %d,`, days+1))),
		a.unchanged(ctx, "relaykeep-configuration-region", "a Vault in the relay's configuration", with("{\n", "{\n  \"vault\": {},\n")),
	)
}

// unchanged updates an object in a dry run, which a policy must refuse.
func (a *auditor) unchanged(ctx context.Context, policy, attempt string, object client.Object) audit.Outcome {
	err := a.Client.Update(ctx, object, client.DryRunAll)
	if apierrors.IsConflict(err) {
		return notTried("%s: the object changed meanwhile; audit again", attempt)
	}
	return judged(err, policy, attempt)
}

// operatorScope tries, as the operator, to write what is no relay's.
func (a *auditor) operatorScope(ctx context.Context, s *subject) audit.Outcome {
	operator := account{a.OperatorNamespace, a.OperatorAccount}
	config := rest.CopyConfig(a.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: operator.user(), Groups: operator.groups()}
	as, err := client.New(config, client.Options{Scheme: a.Client.Scheme(), Mapper: a.Client.RESTMapper()})
	if err != nil {
		return unread("a connection as the operator", err)
	}
	const attempt = "an object that is no relay's, as the operator"
	err = as.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.relay.Namespace, Name: "audit" + absent}}, client.DryRunAll)
	if apierrors.IsForbidden(err) && deniedBy(err) == "" {
		missing := permission.Missing(err)
		if strings.HasPrefix(missing, "you lack the permission to impersonate") {
			return notTried("%s: %s", attempt, missing)
		}
		if missing != "" {
			return notTried("%s: the account %s is not the operator's: name it with --operator-namespace and --operator-account", attempt, operator)
		}
	}
	return judged(err, "relaykeep-operator", attempt)
}
