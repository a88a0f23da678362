package scale_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/repository"
	"github.com/relaykeep/relaykeep/test/services/apiserver"
)

const (
	regions    = 4
	namespaces = 20
	// operatorNamespace is where the manager has its Lease and the regions their keepers.
	operatorNamespace = "relaykeep-system"
	image             = "ghcr.io/relaykeep/relay:dev"
	imageID           = "ghcr.io/relaykeep/relay@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
)

func regionName(n int) string       { return fmt.Sprint("region-", n%regions) }
func nodeName(region string) string { return region + "-node" }

// namespaceOf says in which namespace the relay with a number is.
func namespaceOf(n int) string { return fmt.Sprint("tenants-", n%namespaces) }

// cluster is an API server with nodes, namespaces and machines, and no relays yet.
type cluster struct {
	*apiserver.Server

	tb    testing.TB
	admin client.WithWatch
}

func startCluster(tb testing.TB) *cluster {
	tb.Helper()
	server := apiserver.StartT(tb, apiserver.Options{CRDs: []string{"config/crd/bases"}})
	scheme := runtime.NewScheme()
	check(tb, clientgoscheme.AddToScheme(scheme))
	check(tb, v1alpha1.AddToScheme(scheme))
	admin, err := client.NewWithWatch(server.Config, client.Options{Scheme: scheme})
	check(tb, err)
	c := &cluster{Server: server, tb: tb, admin: admin}
	for n := range regions {
		region := regionName(n)
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName(region), Labels: map[string]string{
			v1alpha1.LabelNodeRegion: region, corev1.LabelHostname: nodeName(region),
		}}}
		c.create(node)
		node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		check(tb, admin.Status().Update(tb.Context(), node))
		c.create(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: region}, Provisioner: "example.org/none"})
	}
	for n := range namespaces {
		c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespaceOf(n)}})
	}
	c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}})
	startMachines(tb, server.Kube)
	return c
}

func (c *cluster) create(o client.Object) {
	c.tb.Helper()
	check(c.tb, c.admin.Create(c.tb.Context(), o))
}

// addRegions makes the DataRegions and waits until they take relays.
func (c *cluster) addRegions() {
	c.tb.Helper()
	for n := range regions {
		c.create(&v1alpha1.DataRegion{ObjectMeta: metav1.ObjectMeta{Name: regionName(n)}, Spec: v1alpha1.DataRegionSpec{
			Type: v1alpha1.RegionEU, StorageClassName: v1alpha1.ObjectName(regionName(n)),
			Vault:    v1alpha1.Vault{Address: "https://vault.example.org:8200"},
			Carrier:  v1alpha1.Carrier{XMPP: &v1alpha1.XMPP{Domain: "example.org"}},
			Endpoint: v1alpha1.RegionEndpoint{Domain: "relays.example.org"},
		}})
	}
	await(c.tb, "the regions are ready", time.Minute, func(ctx context.Context) bool {
		list := &v1alpha1.DataRegionList{}
		check(c.tb, c.admin.List(ctx, list))
		for i := range list.Items {
			if !is(list.Items[i].Status.Conditions, v1alpha1.ConditionReady) {
				return false
			}
		}
		return true
	})
}

// relay is the BusinessRelay with a number.
func relay(n int) *v1alpha1.BusinessRelay {
	return &v1alpha1.BusinessRelay{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindBusinessRelay},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespaceOf(n), Name: fmt.Sprint("business-", n)},
		Spec: v1alpha1.BusinessRelaySpec{
			PhoneNumber: fmt.Sprintf("+4144%07d", n), DataRegion: v1alpha1.ObjectName(regionName(n)),
			Profile: v1alpha1.Profile{DisplayName: fmt.Sprint("Business ", n)},
			Webhook: &v1alpha1.Webhook{URL: fmt.Sprintf("https://business-%d.example.org/webhook", n)},
		},
	}
}

// user returns a configuration of a user of the API server and his kubeconfig, with the roles of the given folder and file
// of the repository, or of a cluster admin without one; nobody of them is exempt from the API server's flow control.
func (c *cluster) user(name string, roles ...string) (*rest.Config, []byte) {
	c.tb.Helper()
	kubeconfig, err := c.UserKubeconfig(name)
	check(c.tb, err)
	cfg, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	check(c.tb, err)
	cfg.QPS, cfg.Burst = -1, -1 // as controller-runtime has it
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}}
	bind := func(kind, namespace, role string) {
		meta, ref := metav1.ObjectMeta{Namespace: namespace, Name: name}, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role}
		if namespace == "" {
			c.create(&rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects})
			return
		}
		c.create(&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects})
	}
	if len(roles) == 0 {
		bind("ClusterRole", "", "cluster-admin")
		return cfg, kubeconfig
	}
	path, err := repository.File(roles...)
	check(c.tb, err)
	data, err := os.ReadFile(path)
	check(c.tb, err)
	for document := range strings.SplitSeq(string(data), "\n---\n") {
		if strings.Contains(document, "kind: ClusterRole\n") {
			role := &rbacv1.ClusterRole{}
			check(c.tb, yaml.UnmarshalStrict([]byte(document), role))
			c.create(role)
			bind("ClusterRole", "", role.Name)
		} else {
			role := &rbacv1.Role{}
			check(c.tb, yaml.UnmarshalStrict([]byte(document), role))
			c.create(role)
			bind("Role", role.Namespace, role.Name)
		}
	}
	// As the chart has it in a role of its own.
	meta := metav1.ObjectMeta{Namespace: operatorNamespace, Name: name + "-lease"}
	c.create(&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "create", "update", "patch"}},
		{APIGroups: []string{"", "events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
	}})
	c.create(&rbacv1.RoleBinding{
		ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
	})
	return cfg, kubeconfig
}

// requests counts what the API server was asked, without watches, Leases and what was asked by it alone.
type requests struct{ reads, writes float64 }

func (r requests) since(before requests) requests {
	return requests{r.reads - before.reads, r.writes - before.writes}
}

// requests returns how much the API server was asked until now, by all.
func (c *cluster) requests() (sum requests) {
	c.tb.Helper()
	raw, err := c.Kube.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(c.tb.Context())
	check(c.tb, err)
	for labels, value := range series(c.tb, raw, "apiserver_request_total") {
		switch {
		case labels["resource"] == "leases" || labels["resource"] == "":
		case labels["verb"] == "GET" || labels["verb"] == "LIST":
			sum.reads += value
		case labels["verb"] != "WATCH":
			sum.writes += value
		}
	}
	return sum
}

// series are the values of a metric, each with its labels.
func series(tb testing.TB, raw []byte, name string) func(yield func(map[string]string, float64) bool) {
	tb.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(raw))
	check(tb, err)
	return func(yield func(map[string]string, float64) bool) {
		for _, m := range families[name].GetMetric() {
			labels := maps.Collect(func(yield func(string, string) bool) {
				for _, l := range m.GetLabel() {
					if !yield(l.GetName(), l.GetValue()) {
						return
					}
				}
			})
			if !yield(labels, valueOf(m)) {
				return
			}
		}
	}
}

func valueOf(m *dto.Metric) float64 { return m.GetCounter().GetValue() + m.GetGauge().GetValue() }

// is says whether a condition is True.
func is(all []metav1.Condition, kind string) bool {
	for _, c := range all {
		if c.Type == kind {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// await asks every tenth of a second until something is so.
func await(tb testing.TB, what string, within time.Duration, so func(context.Context) bool) {
	tb.Helper()
	every(tb, 100*time.Millisecond, what, within, so)
}

// every asks again and again until something is so.
func every(tb testing.TB, pause time.Duration, what string, within time.Duration, so func(context.Context) bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), within)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for !so(tb.Context()) {
		select {
		case <-ctx.Done():
			tb.Fatalf("not within %s: %s", within, what)
		case <-tick.C:
		}
	}
}
