package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// Where the chart is installed, and as what.
const (
	Namespace = "relaykeep-system"
	release   = "relaykeep"
)

// Patience with the cluster: an object's own, and a relay's from nothing.
const (
	regionPatience = 2 * time.Minute
	relayPatience  = 3 * time.Minute
)

// startCluster starts the lab's own cluster, or looks at the one that is given.
func (l *Lab) startCluster(ctx context.Context) (string, error) {
	if l.own {
		if _, err := l.run(ctx, command{path: l.clusterProgram(), args: []string{"up"}}); err != nil {
			return "", err
		}
	}
	if err := l.connect(); err != nil {
		return "", err
	}
	return l.Kubectl(ctx, "get", "nodes", "-L", v1alpha1.LabelNodeRegion)
}

// connect makes the client of the cluster that the kubeconfig names.
func (l *Lab) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", l.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading %s: %w", l.kubeconfig, err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("knowing the API's kinds: %w", err)
		}
	}
	if l.kube, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("connecting to the cluster: %w", err)
	}
	return nil
}

// Client is a client of the cluster, as its admin.
func (l *Lab) Client() client.Client { return l.kube }

// install installs or upgrades the chart, and replaces relays that run an older
// build of the image under the same name.
func (l *Lab) install(ctx context.Context) (string, error) {
	build, err := l.buildID()
	if err != nil {
		return "", err
	}
	if err := l.makeNamespace(ctx, Namespace); err != nil {
		return "", err
	}
	_, err = l.run(ctx, command{path: l.helm, args: []string{
		"upgrade", "--install", release, "charts/relaykeep", "--namespace", Namespace, "--wait", "--timeout", "3m",
		"--set", "image.tag=" + l.version, "--set", "relayImage.tag=" + l.version,
		"--set", "pollInterval=5s", // what happens to a relay is seen soon
		"--set", "log.level=debug", // what must not be in a log is looked for in all that there can be
		// For the janitor that is to see the future; see TestClockRelay.
		"--set", "admissionPolicies.relayImages={" + strings.Join(l.keep, ",") + "},admissionPolicies.relayEnvironment={" + clockVariable + "}",
		"--set-string", `podAnnotations.relaykeep\.dev/build=` + build,
	}})
	if err != nil {
		logs, _ := l.Kubectl(ctx, "logs", "-n", Namespace, "-l", "app.kubernetes.io/component=manager", "--tail", "20")
		return "", fmt.Errorf("%w\n%s", err, logs)
	}
	if err := l.replaceOlderRelays(ctx, build); err != nil {
		return "", err
	}
	return l.Kubectl(ctx, "get", "deployments", "-n", Namespace)
}

// Uninstall removes the chart's release, and waits until what it made is gone.
func (l *Lab) Uninstall(ctx context.Context) error {
	_, err := l.run(ctx, command{path: l.helm, args: []string{"uninstall", release, "--namespace", Namespace, "--wait", "--timeout", "3m"}})
	return err
}

// Install installs the chart, or upgrades it.
func (l *Lab) Install(ctx context.Context) error {
	_, err := l.install(ctx)
	return err
}

// TestChart runs the chart's own test.
func (l *Lab) TestChart(ctx context.Context) error {
	_, err := l.run(ctx, command{path: l.helm, args: []string{"test", release, "--namespace", Namespace, "--timeout", "2m"}})
	return err
}

// UpdateRelays has the operator run relays from the image of another tag.
func (l *Lab) UpdateRelays(ctx context.Context, tag string) error {
	_, err := l.run(ctx, command{path: l.helm, args: []string{
		"upgrade", release, "charts/relaykeep", "--namespace", Namespace, "--wait", "--timeout", "3m", "--reuse-values", "--set", "relayImage.tag=" + tag,
	}})
	return err
}

// WatchOnly has the operator watch some namespaces, which must exist; without any, all.
func (l *Lab) WatchOnly(ctx context.Context, namespaces ...string) error {
	list, err := json.Marshal(append([]string{}, namespaces...))
	if err != nil {
		return fmt.Errorf("naming the namespaces: %w", err)
	}
	_, err = l.run(ctx, command{path: l.helm, args: []string{
		"upgrade", release, "charts/relaykeep", "--namespace", Namespace, "--wait", "--timeout", "3m", "--reuse-values", "--set-json", "watchNamespaces=" + string(list),
	}})
	return err
}

// buildNote is the note of which build the relays run.
const buildNote = "relays-build"

// replaceOlderRelays restarts relays that were started from other images: the
// images' name is the same for every build of the lab.
func (l *Lab) replaceOlderRelays(ctx context.Context, build string) error {
	was, err := l.remembered(buildNote)
	if err != nil || was == build {
		return err
	}
	if was != "" {
		_, err := l.Kubectl(ctx, "delete", "pods", "-A", "--wait=false",
			"-l", v1alpha1.LabelName+"="+v1alpha1.NameRelay+","+v1alpha1.LabelComponent+"="+v1alpha1.ComponentRelay)
		if err != nil {
			return err
		}
	}
	return l.remember(buildNote, build)
}

// makeNamespace makes a namespace whose pods are held to the restricted profile.
func (l *Lab) makeNamespace(ctx context.Context, name string) error {
	_, err := l.Apply(ctx, fmt.Sprintf(`{apiVersion: v1, kind: Namespace, metadata: {name: %q, labels: {pod-security.kubernetes.io/enforce: restricted}}}`, name))
	return err
}

// WaitCondition waits until the object's condition has the status, and returns it.
// While it waits, the condition's reason and message are shown.
func (l *Lab) WaitCondition(ctx context.Context, o client.Object, condition string, status metav1.ConditionStatus) (metav1.Condition, error) {
	var last metav1.Condition
	err := Poll(ctx, func(ctx context.Context) error {
		if err := l.kube.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return fmt.Errorf("reading %s: %w", o.GetName(), err)
		}
		found := meta.FindStatusCondition(conditionsOf(o), condition)
		if found == nil {
			return fmt.Errorf("%s says nothing of %s yet", o.GetName(), condition)
		}
		last = *found
		if last.Status == status && last.ObservedGeneration >= o.GetGeneration() {
			return nil
		}
		said := fmt.Sprintf("%s is %s=%s, %s: %s", o.GetName(), condition, last.Status, last.Reason, last.Message)
		l.report.Detail(said)
		return fmt.Errorf("%s", said)
	})
	return last, err
}

func conditionsOf(o client.Object) []metav1.Condition {
	switch o := o.(type) {
	case *v1alpha1.BusinessRelay:
		return o.Status.Conditions
	case *v1alpha1.DataRegion:
		return o.Status.Conditions
	default:
		return nil
	}
}

// Relay returns a business's BusinessRelay, not read yet.
func (b *Business) Relay() *v1alpha1.BusinessRelay {
	return &v1alpha1.BusinessRelay{ObjectMeta: metav1.ObjectMeta{Namespace: b.Name, Name: b.Name}}
}

// trouble returns what the cluster says of a business's pods, for an error.
func (l *Lab) trouble(ctx context.Context, b *Business) string {
	var said strings.Builder
	for _, args := range [][]string{
		{"get", "brelay,pods,pvc", "-n", b.Name, "-o", "wide"},
		{"get", "events", "-n", b.Name, "--sort-by=.lastTimestamp"},
		{"logs", "-n", b.Name, "-l", v1alpha1.LabelInstance + "=" + b.Name, "--tail", "20"},
	} {
		out, err := l.Kubectl(ctx, args...)
		if err != nil {
			out = err.Error()
		}
		fmt.Fprintf(&said, "$ kubectl %s\n%s\n", strings.Join(args, " "), tail(out, 25))
	}
	return said.String()
}
