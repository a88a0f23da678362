package probe

import (
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestWrongPolicy_FindsWhatLeavesSomethingOut, in a policy or in its binding.
func TestWrongPolicy_FindsWhatLeavesSomethingOut(t *testing.T) {
	const name = "relaykeep-moves"
	some := &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
	one := []admissionv1.NamedRuleWithOperations{{ResourceNames: []string{"acme"}}}
	ignore := admissionv1.Ignore
	for what, c := range map[string]struct {
		change func(p *admissionv1.ValidatingAdmissionPolicySpec, b *admissionv1.ValidatingAdmissionPolicyBindingSpec)
		want   string
	}{
		"nothing": {func(*admissionv1.ValidatingAdmissionPolicySpec, *admissionv1.ValidatingAdmissionPolicyBindingSpec) {}, ""},
		"a failure that admits": {func(p *admissionv1.ValidatingAdmissionPolicySpec, _ *admissionv1.ValidatingAdmissionPolicyBindingSpec) {
			p.FailurePolicy = &ignore
		}, "failurePolicy is not Fail"},
		"namespaces of the policy": {func(p *admissionv1.ValidatingAdmissionPolicySpec, _ *admissionv1.ValidatingAdmissionPolicyBindingSpec) {
			p.MatchConstraints = &admissionv1.MatchResources{NamespaceSelector: some}
		}, "leaves out"},
		"namespaces of the binding": {func(_ *admissionv1.ValidatingAdmissionPolicySpec, b *admissionv1.ValidatingAdmissionPolicyBindingSpec) {
			b.MatchResources = &admissionv1.MatchResources{NamespaceSelector: some}
		}, "leaves out"},
		"objects of the binding": {func(_ *admissionv1.ValidatingAdmissionPolicySpec, b *admissionv1.ValidatingAdmissionPolicyBindingSpec) {
			b.MatchResources = &admissionv1.MatchResources{ObjectSelector: some}
		}, "leaves out"},
		"all but one name of the binding": {func(_ *admissionv1.ValidatingAdmissionPolicySpec, b *admissionv1.ValidatingAdmissionPolicyBindingSpec) {
			b.MatchResources = &admissionv1.MatchResources{ResourceRules: one}
		}, "leaves out"},
		"a binding that only warns": {func(_ *admissionv1.ValidatingAdmissionPolicySpec, b *admissionv1.ValidatingAdmissionPolicyBindingSpec) {
			b.ValidationActions = []admissionv1.ValidationAction{admissionv1.Warn}
		}, "no binding has the policy"},
	} {
		policy := admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		binding := admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		}}
		c.change(&policy.Spec, &binding.Spec)
		got := wrongPolicy(name, []admissionv1.ValidatingAdmissionPolicy{policy}, []admissionv1.ValidatingAdmissionPolicyBinding{binding})
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", what, got)
		}
	}
}
