package controllers_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers"
	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
	"github.com/relaykeep/relaykeep/test/nightly"
	"github.com/relaykeep/relaykeep/test/repository"
	"github.com/relaykeep/relaykeep/test/services/helm"
)

// namespaced installs what the chart renders for an operator that watches some namespaces: its roles, and the policies
// that there are for that reason.
func namespaced(t *testing.T, namespaces ...string) {
	t.Helper()
	objects := slices.DeleteFunc(chart(t, "--set", "watchNamespaces={"+strings.Join(namespaces, ",")+"}"), func(o *unstructured.Unstructured) bool {
		return strings.HasPrefix(o.GetKind(), "Validating") && !strings.HasPrefix(o.GetName(), "relaykeep-watched")
	})
	install(t, objects, append(roleKinds(), "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")...)
}

// startNamespaced is namespaced, and runs the operator as its account.
func startNamespaced(t *testing.T, namespaces ...string) {
	t.Helper()
	namespaced(t, namespaces...)
	operator := as(chartNamespace, chartAccount)
	c, err := client.New(operator, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	var scope controllers.Scope
	if !w.within(func() bool { // the API server learns of roles in a moment
		scope, err = controllers.NewScope(t.Context(), c, namespaces)
		return err == nil && len(scope.LeftOut) == 0
	}) {
		t.Fatalf("the operator may not read its namespaces: %+v, %v", scope, err)
	}
	runUntilEnd(t, operator, controllers.Options{Source: &statuses{}, Scope: scope, OperatorNamespace: chartNamespace})
}

func TestNamespaces_OnlyTheirRelaysAreWatched(t *testing.T) {
	onServer(t)
	w, elsewhere := newWorld(t), bareWorld(t)
	other := elsewhere.relay("other") // of the same number, in the same region
	other.Spec.PhoneNumber, other.Spec.DataRegion = w.number(), v1alpha1.ObjectName(w.name)
	elsewhere.create(other)
	startNamespaced(t, w.name)

	relay := w.relay("acme")
	w.create(relay)
	w.await(relay, v1alpha1.ReasonRelayStarting)
	w.startPod(relay)
	keeper := client.ObjectKey{Namespace: chartNamespace, Name: contract.KeeperName(w.name)}
	if !w.within(func() bool { return server.Client.Get(t.Context(), keeper, &batchv1.CronJob{}) == nil }) {
		t.Error("the region has no keeper")
	}
	if !w.within(func() bool { return w.toldOfRegion() }) {
		t.Error("there is no event about the region")
	}
	region := &v1alpha1.DataRegion{}
	if !w.within(func() bool {
		err := server.Client.Get(t.Context(), client.ObjectKey{Name: w.name}, region)
		return err == nil && region.Status.Relays == 1
	}) {
		t.Errorf("the region counts %d relays, want the one that is watched", region.Status.Relays)
	}
	if is := elsewhere.reread(other); len(is.Status.Conditions) > 0 || len(is.Finalizers) > 0 || len(elsewhere.children(other)) > 0 {
		t.Errorf("a relay of another namespace was touched: %+v", is)
	}

	// What somebody deletes comes back, and so does a keeper's.
	if err := server.Client.Delete(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "acme-relay"}}); err != nil {
		t.Fatal(err)
	}
	w.returns("acme-relay", &corev1.Service{})
	if err := server.Client.Delete(t.Context(), &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: keeper.Namespace, Name: keeper.Name}}); err != nil {
		t.Fatal(err)
	}
	if !w.within(func() bool { return server.Client.Get(t.Context(), keeper, &batchv1.CronJob{}) == nil }) {
		t.Error("the keeper does not come back")
	}
	w.deleteAndAwait(relay)
	w.removeLeftovers()
	if err := server.Client.Delete(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	w.gone(client.ObjectKeyFromObject(region), region)
	w.gone(keeper, &batchv1.CronJob{})
}

// toldOfRegion says whether there is an event about the region.
func (w *world) toldOfRegion() bool {
	w.t.Helper()
	list := &eventsv1.EventList{}
	if err := server.Client.List(w.t.Context(), list, client.InNamespace(metav1.NamespaceDefault)); err != nil {
		w.t.Fatal(err)
	}
	return slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool { return e.Regarding.Name == w.name })
}

// Helm takes rights away before it makes roles, so it must not begin what it cannot end.
func TestNamespaces_MustExistBeforeTheChartChangesAnything(t *testing.T) {
	onServer(t)
	w := bareWorld(t)
	program, err := helmProgram()
	if err != nil {
		t.Fatal(err)
	}
	args := withServer(t)
	if _, err := helm.Template(t.Context(), program, append(args, "--set", "watchNamespaces={"+w.name+"}")...); err != nil {
		t.Errorf("with a namespace that exists: %v", err)
	}
	_, err = helm.Template(t.Context(), program, append(args, "--set", "watchNamespaces={"+w.name+",nowhere}")...)
	if err == nil || !strings.Contains(err.Error(), "watchNamespaces names nowhere, which does not exist: create that namespace first") {
		t.Errorf("with one that does not: %v", err)
	}
}

func TestScope_LeavesOutWhatCannotBeRead(t *testing.T) {
	onServer(t)
	w, elsewhere := bareWorld(t), bareWorld(t)
	namespaced(t, w.name)
	c, err := client.New(as(chartNamespace, chartAccount), client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	var scope controllers.Scope
	if !w.within(func() bool {
		scope, err = controllers.NewScope(t.Context(), c, []string{w.name, elsewhere.name, "nowhere"})
		return err == nil
	}) {
		t.Fatal(err)
	}
	if !slices.Equal(scope.LeftOut, []string{elsewhere.name, "nowhere"}) || !slices.Equal(scope.Watched(), []string{w.name}) {
		t.Errorf("the scope is %+v, and watches %v", scope, scope.Watched())
	}
	if scope, err := controllers.NewScope(t.Context(), c, []string{elsewhere.name}); err == nil || len(scope.Namespaces) > 0 {
		t.Errorf("without a namespace that can be read the scope is %+v, %v", scope, err)
	}
	err = c.Get(t.Context(), client.ObjectKey{Namespace: elsewhere.name, Name: "any"}, &v1alpha1.BusinessRelay{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("reading a relay of another namespace ends with %v", err)
	}
}

// A manager whose scope leaves a namespace out ends as soon as it may read it, so that a new start watches it.
func TestScope_EndsTheManagerWhenANamespaceAppears(t *testing.T) {
	onServer(t)
	w, late := bareWorld(t), bareWorld(t)
	namespaced(t, w.name, late.name)
	operator := as(chartNamespace, chartAccount)
	wantRights(t, operator, late.name, documented(t)[everywhere].with(documented(t)[relays]))
	stop, ended := runManager(t, operator, controllers.Options{
		Source: &statuses{}, OperatorNamespace: chartNamespace, Scope: controllers.Scope{Namespaces: []string{w.name, late.name}, LeftOut: []string{late.name}},
	})
	defer stop()
	select {
	case err := <-ended:
		if !errors.Is(err, controllers.ErrNamespaceAppeared) {
			t.Errorf("the manager ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the manager goes on without the namespace")
	}
}

// TestNamespaces_DeletedOneLetsItsRelaysGo has Kubernetes' own controller delete the namespace of a relay, which it begins
// five seconds after it was asked to.
func TestNamespaces_DeletedOneLetsItsRelaysGo(t *testing.T) {
	onServer(t)
	if !nightly.Or(true, false) {
		t.Skip("it waits for Kubernetes: RELAYKEEP_NIGHTLY=1 runs it")
	}
	w := newWorld(t)
	startNamespaced(t, w.name)
	relay := w.relay("acme")
	w.create(relay)
	w.await(relay, v1alpha1.ReasonRelayStarting)
	startNamespaceController(t)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	if err := server.Client.Delete(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	key := client.ObjectKey{Name: w.name}
	if !w.within(func() bool {
		w.releaseClaim()
		return apierrors.IsNotFound(server.Client.Get(t.Context(), key, namespace))
	}) {
		t.Errorf("the namespace does not go: %+v", namespace.Status.Conditions)
	}
}

// startNamespaceController runs Kubernetes' controller manager, for the one controller that empties deleted namespaces.
func startNamespaceController(t *testing.T) {
	t.Helper()
	programs, err := repository.Program(t.Context(), "kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(kubeconfig, server.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(background(), filepath.Join(filepath.Dir(programs), "kube-controller-manager"),
		"--controllers=namespace-controller", "--use-service-account-credentials", "--leader-elect=false", "--secure-port=0", "--kubeconfig="+kubeconfig)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the controller manager's last words:\n%s", text[max(0, len(text)-3000):])
		}
		_ = log.Close()
	})
}

// warnings keeps what the API server warns of.
type warnings struct{ texts []string }

func (w *warnings) HandleWarningHeader(_ int, _, text string) { w.texts = append(w.texts, text) }

func TestNamespaces_ComeWithPolicies(t *testing.T) {
	onServer(t)
	w, elsewhere := bareWorld(t), bareWorld(t)
	namespaced(t, w.name)
	t.Run("who writes a relay that nobody watches is warned", func(t *testing.T) { testWarned(t, w, elsewhere) })
	t.Run("a deleted namespace keeps its roles for its relays", func(t *testing.T) { testKeptRoles(t, w) })
}

// testKeptRoles deletes, as Kubernetes' controller does, what is in a deleted namespace: the operator's roles, before the
// operator has let the relay go.
func testKeptRoles(t *testing.T, w *world) {
	relay := w.relay("acme")
	relay.Finalizers = []string{v1alpha1.Finalizer}
	w.create(relay)
	emptied := func(user string) error {
		t.Helper()
		cfg := rest.CopyConfig(server.Config)
		cfg.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:masters"}}
		c, err := client.New(cfg, client.Options{Scheme: testenv.Scheme()})
		if err != nil {
			t.Fatal(err)
		}
		// Each kind alone, as the controller does: what is refused of one does not keep the other.
		return errors.Join(c.DeleteAllOf(t.Context(), &rbacv1.Role{}, client.InNamespace(w.name), client.DryRunAll),
			c.DeleteAllOf(t.Context(), &rbacv1.RoleBinding{}, client.InNamespace(w.name), client.DryRunAll))
	}
	const controller = "system:serviceaccount:kube-system:namespace-controller"
	var err error
	if !w.within(func() bool {
		err = emptied(controller)
		return err != nil && strings.Count(err.Error(), "the operator needs this until BusinessRelay acme is gone: kubectl describe brelay acme -n "+w.name) == 2
	}) {
		t.Errorf("the namespace's roles are not both kept: %v", err)
	}
	if err := emptied("an-admin"); err != nil {
		t.Errorf("an admin may not take the operator's roles: %v", err)
	}
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Finalizers = nil })
	if !w.within(func() bool {
		err = emptied(controller)
		return err == nil
	}) {
		t.Errorf("once the relay needs nothing the roles are kept all the same: %v", err)
	}
}

// testWarned writes a relay that nobody watches.
func testWarned(t *testing.T, w, elsewhere *world) {
	var told warnings
	cfg := rest.CopyConfig(server.Config)
	cfg.WarningHandler = &told
	c, err := client.New(cfg, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	create := func(relay *v1alpha1.BusinessRelay) string {
		told.texts = nil
		if err := c.Create(t.Context(), relay, client.DryRunAll); err != nil {
			t.Fatal(err)
		}
		return strings.Join(told.texts, "\n")
	}
	want := "no operator watches namespace " + elsewhere.name + ": this BusinessRelay does nothing until a cluster admin adds the namespace to watchNamespaces"
	var got string
	if !w.within(func() bool {
		got = create(elsewhere.relay("acme"))
		return strings.Contains(got, want)
	}) {
		t.Errorf("the API server warns %q, want %q", got, want)
	}
	if !w.within(func() bool { // a policy of before, of other namespaces, counts for a moment
		got = create(w.relay("acme"))
		return got == ""
	}) {
		t.Errorf("in a namespace that is watched it warns %q", got)
	}
}
