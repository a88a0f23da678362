package controllers_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
	"github.com/relaykeep/relaykeep/test/repository"
)

// right is one thing that somebody may do: a verb on a resource, or on one object of it, or on a path.
type right struct {
	verb, group, resource, name, path string
}

func (r right) String() string {
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s/%s %s %s", r.verb, r.group, r.resource, r.name, r.path)), " ")
}

type rights map[right]bool

// without returns the rights that are not among others.
func (r rights) without(others rights) rights {
	left := maps.Clone(r)
	maps.DeleteFunc(left, func(one right, _ bool) bool { return others[one] })
	return left
}

func (r rights) with(others rights) rights {
	both := maps.Clone(r)
	maps.Copy(both, others)
	return both
}

// list is for messages.
func (r rights) list() []string {
	names := make([]string, 0, len(r))
	for one := range r {
		names = append(names, one.String())
	}
	slices.Sort(names)
	return names
}

// Places where the document says that rights hold.
const (
	everywhere = "everywhere"
	relays     = "relays' namespaces"
	own        = "its own namespace"
	forEvents  = "`default`"
	reader     = "`/metrics`"
)

// documented reads the rights that docs/permissions.md explains, by place.
func documented(t *testing.T) map[string]rights {
	t.Helper()
	path, err := repository.File("docs", "permissions.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^` ]+)(?: \"([^\"]+)\")?`")
	all := map[string]rights{everywhere: {}, relays: {}, own: {}, forEvents: {}, reader: {}}
	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || !strings.Contains(cells[4], "`") {
			continue // no row of such a table
		}
		where := strings.TrimSpace(cells[1])
		if all[where] == nil {
			t.Fatalf("%q is no place that this test knows", where)
		}
		if strings.TrimSpace(cells[5]) == "" {
			t.Errorf("nobody says why: %s", line)
		}
		group := strings.Trim(strings.TrimSpace(cells[2]), "`")
		if group == "core" {
			group = ""
		}
		for _, resource := range quoted.FindAllStringSubmatch(cells[3], -1) {
			for _, verb := range quoted.FindAllStringSubmatch(cells[4], -1) {
				one := right{verb: verb[1], group: group, resource: resource[1], name: resource[2]}
				if strings.HasPrefix(resource[1], "/") {
					one = right{verb: verb[1], path: resource[1]}
				}
				if all[where][one] {
					t.Errorf("it is there twice: %s %s", where, one)
				}
				all[where][one] = true
			}
		}
	}
	return all
}

// granted asks the API server what somebody may do in a namespace, beyond what any account may.
func granted(t *testing.T, cfg *rest.Config, namespace string) rights {
	t.Helper()
	return reviewed(t, cfg, namespace).without(reviewed(t, as("default", "nobody"), namespace))
}

func reviewed(t *testing.T, cfg *rest.Config, namespace string) rights {
	t.Helper()
	c, err := client.New(cfg, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	if err := c.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	if review.Status.Incomplete {
		t.Fatalf("the API server does not tell all: %s", review.Status.EvaluationError)
	}
	all := rights{}
	for _, rule := range review.Status.ResourceRules {
		addRule(all, rule.APIGroups, rule.Resources, rule.ResourceNames, rule.Verbs)
	}
	for _, rule := range review.Status.NonResourceRules {
		for _, verb := range rule.Verbs {
			for _, path := range rule.NonResourceURLs {
				all[right{verb: verb, path: path}] = true
			}
		}
	}
	return all
}

func addRule(to rights, groups, resources, names, verbs []string) {
	if len(names) == 0 {
		names = []string{""}
	}
	for _, verb := range verbs {
		for _, group := range groups {
			for _, resource := range resources {
				for _, name := range names {
					to[right{verb: verb, group: group, resource: resource, name: name}] = true
				}
			}
		}
	}
}

// may asks the API server whether somebody may do one thing in a namespace; none is the whole cluster.
func may(t *testing.T, user *rest.Config, namespace string, r right) bool {
	t.Helper()
	spec := authorizationv1.SubjectAccessReviewSpec{User: user.Impersonate.UserName, Groups: user.Impersonate.Groups}
	if r.path != "" {
		spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: r.path, Verb: r.verb}
	} else {
		resource, sub, _ := strings.Cut(r.resource, "/")
		spec.ResourceAttributes = &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: r.verb, Group: r.group, Resource: resource, Subresource: sub, Name: r.name}
	}
	review := &authorizationv1.SubjectAccessReview{Spec: spec}
	if err := server.Client.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

// wantRights waits until what is granted in a namespace is what the document explains: the API server learns of roles in
// a moment.
func wantRights(t *testing.T, cfg *rest.Config, namespace string, want rights) {
	t.Helper()
	var got rights
	_ = wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 5*time.Second, true, func(context.Context) (bool, error) {
		got = granted(t, cfg, namespace)
		return maps.Equal(got, want), nil
	})
	if wider := got.without(want).list(); len(wider) > 0 {
		t.Errorf("%s may do more in %s than docs/permissions.md explains:\n%s", cfg.Impersonate.UserName, namespace, strings.Join(wider, "\n"))
	}
	if missing := want.without(got).list(); len(missing) > 0 {
		t.Errorf("%s may not do in %s what docs/permissions.md explains:\n%s", cfg.Impersonate.UserName, namespace, strings.Join(missing, "\n"))
	}
}

// wantAnswers asks about each right alone, in a namespace or, if that is empty, in all.
func wantAnswers(t *testing.T, cfg *rest.Config, namespace string, yes rights, no []right) {
	t.Helper()
	for one := range yes {
		if !may(t, cfg, namespace, one) {
			t.Errorf("%s may not, in %q: %s", cfg.Impersonate.UserName, namespace, one)
		}
	}
	for _, one := range no {
		if may(t, cfg, namespace, one) {
			t.Errorf("%s may, in %q: %s", cfg.Impersonate.UserName, namespace, one)
		}
	}
}

// never are rights that would end what the threat model says of the operator, whatever the document explains.
func never() (all []right) {
	for group, resources := range map[string]map[string]string{
		"": {
			"secrets": "get list watch create update patch delete deletecollection", "serviceaccounts/token": "create",
			"serviceaccounts": "impersonate update", "users": "impersonate", "groups": "impersonate",
			"pods": "create update patch delete deletecollection", "pods/exec": "get create", "pods/attach": "get create", "pods/portforward": "get create",
			"pods/log": "get", "pods/ephemeralcontainers": "update patch", "pods/eviction": "create", "pods/proxy": "get create", "services/proxy": "get create",
			"nodes": "create update patch delete", "nodes/proxy": "get create", "persistentvolumes": "list watch create update patch delete",
			"namespaces": "get list create update patch delete", "configmaps": "update deletecollection",
		},
		"rbac.authorization.k8s.io": {
			"roles": "get create update patch bind escalate", "rolebindings": "get create update patch",
			"clusterroles": "get create update patch bind escalate", "clusterrolebindings": "get create update patch",
		},
		"apiextensions.k8s.io": {"customresourcedefinitions": "get create update patch delete"},
		"admissionregistration.k8s.io": {
			"validatingadmissionpolicies": "get create update patch delete", "validatingadmissionpolicybindings": "get create update patch delete",
			"mutatingwebhookconfigurations": "create update patch", "validatingwebhookconfigurations": "create update patch",
		},
		"certificates.k8s.io":      {"certificatesigningrequests": "create", "certificatesigningrequests/approval": "update", "signers": "sign approve"},
		"apiregistration.k8s.io":   {"apiservices": "create update patch"},
		"apps":                     {"deployments": "get create update patch", "daemonsets": "create update patch", "statefulsets": "update deletecollection"},
		"coordination.k8s.io":      {"leases": "get update patch delete list watch"},
		"storage.k8s.io":           {"storageclasses": "create update patch delete"},
		"authentication.k8s.io":    {"userextras/scopes": "impersonate", "uids": "impersonate"},
		"relaykeep.dev":            {"businessrelays": "create update delete enter", "dataregions": "create update delete enter", "businessrelays/status": "update"},
		"networking.k8s.io":        {"networkpolicies": "update deletecollection", "ingresses": "create"},
		"a-group-that-comes-later": {"things": "get"},
		"*":                        {"*": "*"},
	} {
		for resource, verbs := range resources {
			for verb := range strings.FieldsSeq(verbs) {
				all = append(all, right{verb: verb, group: group, resource: resource})
			}
		}
	}
	return append(all, right{verb: "get", path: "/metrics"}, right{verb: "get", path: "/logs"}, right{verb: "*", path: "*"})
}

// wantModest wants no rule of the chart's roles to be open to more than it names, and no binding to give them to others.
func wantModest(t *testing.T, objects []*unstructured.Unstructured, subjects ...string) {
	t.Helper()
	for _, o := range objects {
		switch o.GetKind() {
		case "ClusterRole", "Role":
			role := &rbacv1.ClusterRole{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, role); err != nil {
				t.Fatal(err)
			}
			if role.AggregationRule != nil || len(role.Labels) > 0 && strings.Contains(fmt.Sprint(role.Labels), "aggregate-to") {
				t.Errorf("%s %s takes its rules from others, or gives them to others", o.GetKind(), o.GetName())
			}
			for _, rule := range role.Rules {
				for _, is := range slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs, rule.NonResourceURLs) {
					if strings.Contains(is, "*") || slices.Contains([]string{"bind", "escalate", "impersonate", "secrets", "serviceaccounts/token"}, is) {
						t.Errorf("%s %s has %q", o.GetKind(), o.GetName(), is)
					}
				}
			}
		case "ClusterRoleBinding", "RoleBinding":
			binding := &rbacv1.ClusterRoleBinding{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, binding); err != nil {
				t.Fatal(err)
			}
			for _, s := range binding.Subjects {
				if name := s.Kind + " " + s.Namespace + "/" + s.Name; !slices.Contains(subjects, name) {
					t.Errorf("%s %s gives a role to %s", o.GetKind(), o.GetName(), name)
				}
			}
		}
	}
}

const managerSubject = "ServiceAccount " + chartNamespace + "/" + chartAccount

func TestPermissions_OfTheOperatorAreThoseThatTheDocumentExplains(t *testing.T) {
	onServer(t)
	explained := documented(t)
	cluster, here := explained[everywhere], explained[everywhere].with(explained[relays])
	unguarded := maps.Clone(cluster)
	maps.DeleteFunc(unguarded, func(r right, _ bool) bool { return strings.HasPrefix(r.group, "auth") })
	operator := as(chartNamespace, chartAccount)
	for name, c := range map[string]struct {
		set  string
		want map[string]rights // by namespace
	}{
		"all namespaces": {"replicas=1", map[string]rights{
			"acme": here, "globex": here, chartNamespace: here.with(explained[own]), "default": here.with(explained[forEvents]),
		}},
		"some namespaces": {"watchNamespaces={acme}", map[string]rights{
			"acme": here, "globex": cluster, chartNamespace: cluster.with(explained[own]), "default": cluster.with(explained[forEvents]),
		}},
		"its own among them": {"watchNamespaces={" + chartNamespace + ",default}", map[string]rights{
			"acme": cluster, chartNamespace: here.with(explained[own]), "default": here.with(explained[forEvents]),
		}},
		"metrics for anybody": {"metrics.secure=false,watchNamespaces={acme}", map[string]rights{
			"acme": unguarded.with(explained[relays]), "globex": unguarded,
		}},
		"no metrics": {"metrics.enabled=false,watchNamespaces={acme}", map[string]rights{"globex": unguarded}},
	} {
		t.Run(name, func(t *testing.T) {
			makeNamespaces(t, "acme", "globex")
			objects := chart(t, "--set", c.set)
			wantModest(t, objects, managerSubject)
			install(t, objects, roleKinds()...)
			for namespace, want := range c.want {
				wantRights(t, operator, namespace, want)
			}
		})
	}
	t.Run("asked about each", func(t *testing.T) {
		makeNamespaces(t, "acme")
		install(t, chart(t, "--set", "watchNamespaces={acme}"), roleKinds()...)
		wantRights(t, operator, "acme", here)
		wantAnswers(t, operator, "acme", here, never())
		wantAnswers(t, operator, chartNamespace, cluster.with(explained[own]), never())
		wantAnswers(t, operator, "", cluster, slices.AppendSeq(never(), maps.Keys(explained[relays].without(cluster))))
	})
}

func TestPermissions_OfWhoReadsMetricsAreTheMetrics(t *testing.T) {
	onServer(t)
	objects := chart(t, "--set", "metrics.readers[0].namespace=monitoring,metrics.readers[0].name=prometheus")
	wantModest(t, objects, managerSubject, "ServiceAccount monitoring/prometheus")
	install(t, objects, roleKinds()...)
	wantRights(t, as("monitoring", "prometheus"), "default", documented(t)[reader])
}

func TestPermissions_OfRelaysJanitorsAndKeepersAreNone(t *testing.T) {
	onServer(t)
	makeNamespaces(t, "acme")
	install(t, chart(t), roleKinds()...)
	for namespace, account := range map[string]string{"acme": "acme-relay", chartNamespace: "relaykeep-keeper-eu"} {
		wantRights(t, as(namespace, account), namespace, rights{})
	}
}
