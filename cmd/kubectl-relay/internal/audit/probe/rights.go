package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
)

// metricsReaderSuffix ends the name of the ClusterRole with which the operator's metrics are read.
const metricsReaderSuffix = "-metrics-reader"

// right is what somebody may do with a kind of objects.
type right struct{ verb, group, resource, subresource string }

func (r right) String() string {
	name := r.resource
	if r.subresource != "" {
		name += "/" + r.subresource
	}
	if r.group != "" {
		name += "." + r.group
	}
	return r.verb + " " + name
}

// entering are the ways into a pod, or to its ports, and to what opens a business's secrets.
func entering() []right {
	return []right{
		{"get", "", "secrets", ""},
		{"list", "", "secrets", ""},
		{"create", "", "serviceaccounts", "token"},
		{"create", "", "pods", "exec"},
		{"create", "", "pods", "attach"},
		{"create", "", "pods", "portforward"},
		{"create", "", "pods", "proxy"},
		{"create", "", "services", "proxy"},
		{"update", "", "pods", "ephemeralcontainers"},
		{"impersonate", "", "users", ""},
		{"impersonate", "", "serviceaccounts", ""},
	}
}

// governing are the ways to change what holds others.
func governing() []right {
	return []right{
		{"delete", "admissionregistration.k8s.io", "validatingadmissionpolicies", ""},
		{"patch", "admissionregistration.k8s.io", "validatingadmissionpolicies", ""},
		{"delete", "admissionregistration.k8s.io", "validatingadmissionpolicybindings", ""},
		{"patch", "admissionregistration.k8s.io", "validatingadmissionpolicybindings", ""},
		{"create", "rbac.authorization.k8s.io", "rolebindings", ""},
		{"create", "rbac.authorization.k8s.io", "clusterrolebindings", ""},
		{"escalate", "rbac.authorization.k8s.io", "clusterroles", ""},
		{"bind", "rbac.authorization.k8s.io", "clusterroles", ""},
		{"create", "", "pods", ""},
		{"get", "", "pods", "log"},
	}
}

// reading are the ways to learn of a business and its relay.
func reading() []right {
	return []right{
		{"get", "", "pods", ""},
		{"list", "", "pods", ""},
		{"get", "", "configmaps", ""},
		{"get", "", "persistentvolumeclaims", ""},
		{"list", "", "services", ""},
		{"get", "apps", "statefulsets", ""},
		{"create", "batch", "jobs", ""},
		{"get", v1alpha1.GroupVersion.Group, "businessrelays", ""},
		{"patch", v1alpha1.GroupVersion.Group, "businessrelays", ""},
		{"get", v1alpha1.GroupVersion.Group, "dataregions", ""},
		{"list", "", "events", ""},
	}
}

// crossing are the ways from one relay to another's secrets, pods and settings.
func crossing() []right {
	return []right{
		{"get", "", "secrets", ""},
		{"create", "", "serviceaccounts", "token"},
		{"create", "", "pods", "exec"},
		{"create", "", "pods", ""},
		{"get", "", "pods", ""},
		{"get", "", "configmaps", ""},
		{"get", v1alpha1.GroupVersion.Group, "businessrelays", ""},
	}
}

// mayNot asks the API server for each right of an account in a namespace, which must be refused.
func (s *shared) mayNot(ctx context.Context, who account, namespace, list string, rights []right) audit.Outcome {
	return s.rights.of(rightsKey{who, namespace, list}, func() audit.Outcome {
		if err := s.Client.Get(ctx, client.ObjectKey{Namespace: who.namespace, Name: who.name}, &corev1.ServiceAccount{}); err != nil {
			return unread("service account "+who.String(), err)
		}
		var has []string
		for _, r := range rights {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: who.user(), Groups: who.groups(),
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: namespace, Verb: r.verb, Group: r.group, Resource: r.resource, Subresource: r.subresource,
				},
			}}
			if err := s.Client.Create(ctx, review); err != nil {
				return unread("rights of "+who.String(), err)
			}
			if review.Status.Allowed {
				has = append(has, r.String())
			}
		}
		if len(has) > 0 {
			return broken(fmt.Sprintf("kubectl auth can-i --list --as %s -n %s", who.user(), namespace),
				"service account %s may %s in namespace %s", who, strings.Join(has, ", "), namespace)
		}
		return kept("%d rights of service account %s in namespace %s were asked for and refused", len(rights), who, namespace)
	})
}

// accountRights asks for everything that a relay's account could be given, and for what another relay's may do here.
func (a *auditor) accountRights(ctx context.Context, s *subject) audit.Outcome {
	if s.account.err != nil {
		return unread("service account "+s.tenant(), s.account.err)
	}
	all := slices.Concat(entering(), governing(), reading())
	own := account{s.relay.Namespace, s.tenant()}
	outcomes := []audit.Outcome{a.shared.mayNot(ctx, own, s.relay.Namespace, "all", all)}
	if other := a.neighbour(s.relay); other != nil {
		outcomes = append(outcomes, a.shared.mayNot(ctx, account{other.Namespace, v1alpha1.TenantName(other.Name)}, s.relay.Namespace, "crossing", crossing()))
	}
	return first(outcomes...)
}

// neighbour is the next relay of another namespace, or else the next one; nil if there is no other.
func (a *auditor) neighbour(relay *v1alpha1.BusinessRelay) *v1alpha1.BusinessRelay {
	at := slices.IndexFunc(a.relays, func(r v1alpha1.BusinessRelay) bool {
		return r.Namespace == relay.Namespace && r.Name == relay.Name
	})
	var next *v1alpha1.BusinessRelay
	for i := 1; i < len(a.relays); i++ {
		other := &a.relays[(at+i)%len(a.relays)]
		if other.Namespace != relay.Namespace {
			return other
		}
		if next == nil {
			next = other
		}
	}
	return next
}

func (s *shared) operatorRights(ctx context.Context, namespace string) audit.Outcome {
	return s.mayNot(ctx, account{s.OperatorNamespace, s.OperatorAccount}, namespace, "operator", slices.Concat(entering(), governing()))
}

func (s *shared) keeperRights(ctx context.Context, region *v1alpha1.DataRegion, namespace string) audit.Outcome {
	keeper := account{s.OperatorNamespace, contract.KeeperName(region.Name)}
	return s.mayNot(ctx, keeper, namespace, "all", slices.Concat(entering(), governing(), reading()))
}

// metricsRights looks at the accounts that may read the operator's metrics.
func (s *shared) metricsRights(ctx context.Context, namespace string) audit.Outcome {
	readers := s.readers.of(struct{}{}, func() read[[]account] { return s.metricsReaders(ctx) })
	if readers.err != nil {
		return unread("ClusterRoleBindings of "+metricsReaderSuffix[1:], readers.err)
	}
	all := []audit.Outcome{kept("no account is bound to read the operator's metrics")}
	if len(readers.value) > 0 {
		all = nil
	}
	for _, reader := range readers.value {
		all = append(all, s.mayNot(ctx, reader, namespace, "metrics", entering()))
	}
	return first(all...)
}

func (s *shared) metricsReaders(ctx context.Context) read[[]account] {
	var bindings rbacv1.ClusterRoleBindingList
	if err := s.Client.List(ctx, &bindings); err != nil {
		return read[[]account]{err: err}
	}
	var readers []account
	for i := range bindings.Items {
		b := &bindings.Items[i]
		if b.Labels[v1alpha1.LabelName] != "relaykeep" || !strings.HasSuffix(b.RoleRef.Name, metricsReaderSuffix) {
			continue
		}
		for _, subject := range b.Subjects {
			if subject.Kind == rbacv1.ServiceAccountKind {
				readers = append(readers, account{subject.Namespace, subject.Name})
			}
		}
	}
	return read[[]account]{value: readers}
}

// self says whether who audits may do something.
func (a *auditor) self(ctx context.Context, attributes authorizationv1.ResourceAttributes) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &attributes}}
	answer, err := a.kube.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return answer.Status.Allowed, nil
}

// boundTo is a token request for a pod that is not there: admission is asked, and no token is made.
func boundTo(pod, audience string) *authenticationv1.TokenRequest {
	return &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{audience},
		BoundObjectRef: &authenticationv1.BoundObjectReference{
			APIVersion: "v1", Kind: "Pod", Name: pod, UID: "00000000-0000-0000-0000-000000000000",
		},
	}}
}
