package command

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/repository"
)

// leftBehind makes objects that a gone relay left in the cluster.
func (k *kubernetes) leftBehind(t *testing.T, name, region string) {
	t.Helper()
	labels := map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelName: v1alpha1.NameRelay, v1alpha1.LabelInstance: name,
	}
	check(t, k.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	meta := metav1.ObjectMeta{Namespace: name, Name: v1alpha1.TenantName(name), Labels: labels}
	claim := meta
	claim.Labels = maps.Clone(labels)
	claim.Labels[v1alpha1.LabelRegion] = region
	pod := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: claim.Labels},
		Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "janitor", Image: "relay"}}},
	}
	janitor := meta
	janitor.Name = name + v1alpha1.SuffixRetention
	for _, o := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: meta},
		&corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"relay.json": "{\n  \"region\": \"" + region + "\",\n  \"a\": 1\n}"}},
		&corev1.PersistentVolumeClaim{ObjectMeta: claim, Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: new("standard"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}},
		&batchv1.CronJob{ObjectMeta: janitor, Spec: batchv1.CronJobSpec{
			Schedule: "0 * * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: pod}},
		}},
		&networkingv1.NetworkPolicy{ObjectMeta: janitor},
	} {
		check(t, k.client.Create(t.Context(), o))
	}
}

// installPolicies installs config/admission and waits until what a relay uses is
// protected by it.
func (k *kubernetes) installPolicies(t *testing.T, used client.Object) {
	t.Helper()
	policies, err := repository.File("config", "admission", "*.yaml")
	check(t, err)
	files, err := filepath.Glob(policies)
	check(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		check(t, err)
		for document := range strings.SplitSeq(string(data), "\n---\n") {
			o := &unstructured.Unstructured{}
			check(t, yaml.Unmarshal([]byte(document), &o.Object))
			check(t, k.client.Create(t.Context(), o))
		}
	}
	var last error
	check(t, wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		last = k.client.Delete(ctx, used, client.DryRunAll)
		return last != nil && strings.Contains(last.Error(), "relaykeep-protection"), nil
	}))
}

func TestOrphansListsWhatGoneRelaysLeftAndDeletesWhatIsNamed(t *testing.T) {
	k := startKubernetes(t)
	server := k.startVault(t)
	k.createAcme(t)
	noVaultInEnvironment(t)
	kubeconfig := "--kubeconfig=" + k.kubeconfig
	t.Setenv("VAULT_TOKEN", rootToken(t, server))
	_, _, err := run(t, "setup", "vault", "--region", "eu", kubeconfig)
	check(t, err)
	holdings(t, server)
	inUse := metav1.ObjectMeta{Namespace: "acme", Name: "acme-relay"}
	label := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+v1alpha1.LabelName+`":"`+v1alpha1.NameRelay+`"}}}`))
	check(t, k.client.Patch(t.Context(), &corev1.ServiceAccount{ObjectMeta: inUse}, label))
	k.leftBehind(t, "globex", "eu")
	k.leftBehind(t, "hooli", "na")
	k.installPolicies(t, &corev1.ServiceAccount{ObjectMeta: inUse}) // after what was made while the relays were there
	whole := held(t, server, "globex")
	list := []string{"orphans", "--region", "eu", kubeconfig}
	remove := slices.Concat(list, []string{"--delete", "globex/globex"})

	out, err := answering(t, "", list...)
	check(t, err)
	for want, is := range map[string]bool{
		"globex/globex": true, "ConfigMap, CronJob, NetworkPolicy, PersistentVolumeClaim, ServiceAccount": true, "secrets, settings key, wrapping key": true,
		"acme": false, "hooli": false,
	} {
		if strings.Contains(out, want) != is {
			t.Errorf("%q in the list: %v, want %v:\n%s", want, !is, is, out)
		}
	}

	refused := func(name, typed, want string, args ...string) {
		t.Helper()
		_, err := answering(t, typed, args...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
		if held(t, server, "globex") != whole || held(t, server, "acme") != whole {
			t.Fatalf("%s: something was erased", name)
		}
	}
	refused("another name typed", "globex\n", "the name was not confirmed", remove...)
	refused("nothing typed", "", "the name was not confirmed", remove...)
	refused("a relay that exists", "acme/acme\n", "no deleted relay", append(list[:len(list):len(list)], "--delete", "acme/acme")...)
	refused("another region's", "hooli/hooli\n", "no deleted relay", append(list[:len(list):len(list)], "--delete", "hooli/hooli")...)
	refused("who may not list relays", "globex/globex\n", "refused", "orphans", "--region", "eu", "--delete", "globex/globex", "--kubeconfig="+k.user(t, "stranger"))
	t.Setenv("VAULT_TOKEN", "nobody's")
	refused("who may not list keys", "globex/globex\n", "may list keys and secrets", remove...)
	t.Setenv("VAULT_TOKEN", rootToken(t, server))

	out, err = answering(t, "globex/globex\n", remove...)
	check(t, err)
	if held(t, server, "globex") != 0 || !strings.Contains(out, "5 objects") {
		t.Errorf("%d things are left; printed:\n%s", held(t, server, "globex"), out)
	}
	err = k.client.Get(t.Context(), client.ObjectKey{Namespace: "globex", Name: "globex-relay"}, &corev1.ServiceAccount{})
	if client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the account is left: %v", err)
	}
	// The API server keeps a claim until a controller, which is not here, sees it unused.
	claim := &corev1.PersistentVolumeClaim{}
	err = k.client.Get(t.Context(), client.ObjectKey{Namespace: "globex", Name: "globex-relay"}, claim)
	if client.IgnoreNotFound(err) != nil || err == nil && claim.DeletionTimestamp == nil {
		t.Errorf("the claim is left: %v", err)
	}
	if held(t, server, "acme") != whole {
		t.Error("another tenant lost something")
	}

	// A cluster without any relay: what the list says may be wrong.
	check(t, k.client.DeleteAllOf(t.Context(), &v1alpha1.BusinessRelay{}, client.InNamespace("acme")))
	_, err = answering(t, "acme/acme\n", append(list[:len(list):len(list)], "--delete", "acme/acme")...)
	if err == nil || !strings.Contains(err.Error(), "no BusinessRelay at all") || held(t, server, "acme") != whole {
		t.Errorf("with an empty list: %v", err)
	}
	out, err = answering(t, "", list...)
	if check(t, err); !strings.Contains(out, "acme/acme") {
		t.Errorf("the list is:\n%s", out)
	}
}
