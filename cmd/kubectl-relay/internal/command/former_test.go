package command

import (
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// leftBehind is a janitor that a deleted relay left behind, with a token of an audience.
func leftBehind(name, region, audience string) *batchv1.CronJob {
	labels := map[string]string{v1alpha1.LabelName: v1alpha1.NameRelay}
	o := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: name, Labels: labels}}
	o.Spec.Schedule = "0 * * * *"
	template := &o.Spec.JobTemplate.Spec.Template
	template.Labels = map[string]string{v1alpha1.LabelRegion: region}
	template.Spec = corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "janitor", Image: "ghcr.io/relaykeep/relay:dev"}},
		Volumes: []corev1.Volume{{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: audience, Path: "token"}}},
		}}}},
	}
	return o
}

func TestFormerRoles_AreRemovedOnceNothingUsesThem(t *testing.T) {
	k := startKubernetes(t)
	server := k.startVault(t)
	k.createAcme(t)
	noVaultInEnvironment(t)
	root, err := server.Root()
	check(t, err)
	t.Setenv("VAULT_TOKEN", root.Token())
	setupVault := func(more ...string) (string, string, error) {
		return run(t, append([]string{"setup", "vault", "--region", "eu", "--kubeconfig=" + k.kubeconfig}, more...)...)
	}
	_, other := acme()
	other.Name, other.Spec.StorageClassName, other.Spec.Vault.Address = "na", "standard", "https://vault.na.test:8200"
	check(t, k.client.Create(t.Context(), other))
	// As a former release left Vault.
	check(t, root.Sys().PutPolicyWithContext(t.Context(), "relaykeep-janitor", `path "auth/token/revoke-self" { capabilities = ["update"] }`))
	out, _, err := setupVault()
	check(t, err)
	if !strings.Contains(out, "written   role relaykeep-janitor\n") || strings.Contains(out, "role relaykeep-relay\n") {
		t.Errorf("set up again, what a former release made does not stay as it was:\n%s", out)
	}
	policies := func() []string {
		all, err := root.Sys().ListPoliciesWithContext(t.Context())
		check(t, err)
		return all
	}

	former := leftBehind("former-retention", "eu", "relaykeep.dev/janitor")
	gone := leftBehind("gone-retention", "gone", "relaykeep.dev/janitor") // its region's Vault may be this one
	for _, o := range []*batchv1.CronJob{
		former, gone, leftBehind("elsewhere-retention", "na", "relaykeep.dev/janitor"), leftBehind("present-retention", "eu", "relaykeep.dev/janitor/eu"),
	} {
		check(t, k.client.Create(t.Context(), o))
	}
	_, _, err = setupVault("--remove-former")
	if err == nil || !strings.Contains(err.Error(), "2 objects still log in with roles of earlier releases: CronJob acme/former-retention, CronJob acme/gone-retention;") {
		t.Errorf("while janitors use them: %v", err)
	}
	if !slices.Contains(policies(), "relaykeep-janitor") {
		t.Error("the policy went though a janitor uses it")
	}
	check(t, k.client.Delete(t.Context(), former))
	check(t, k.client.Delete(t.Context(), gone))
	out, _, err = setupVault("--remove-former")
	check(t, err)
	if !strings.Contains(out, "removed   role relaykeep-janitor\n") || slices.Contains(policies(), "relaykeep-janitor") || !slices.Contains(policies(), "relaykeep-janitor-eu") {
		t.Errorf("once nothing uses them, printed:\n%sand left the policies %v", out, policies())
	}
}
