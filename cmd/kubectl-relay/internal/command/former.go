package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
)

// maxNamed is how many objects a refusal names.
const maxNamed = 5

// removeFormer removes former releases' roles and policies from a region's Vault,
// unless something in the cluster still logs in with them.
func removeFormer(ctx context.Context, streams genericiooptions.IOStreams, cluster *cluster, v *api.Client, o setup.Options, region *v1alpha1.DataRegion) error {
	k, _, err := cluster.connect()
	if err != nil {
		return err
	}
	users, err := formerUsers(ctx, k, region)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		named := strings.Join(users[:min(len(users), maxNamed)], ", ")
		return fmt.Errorf("%d objects still log in with roles of earlier releases: %s; upgrade the operator, which moves relays to the new roles, "+
			"and delete what deleted relays left behind once their retention has passed", len(users), named)
	}
	return setup.RemoveFormer(ctx, v, o, func(title string) { fmt.Fprintln(streams.Out, "removed   "+title) })
}

// formerUsers names the objects that have a token for former releases' roles and may
// use it at the region's Vault: those of that region, of another region with the same
// Vault, or of a region that is gone.
func formerUsers(ctx context.Context, k client.Client, region *v1alpha1.DataRegion) ([]string, error) {
	elsewhere, err := regionsElsewhere(ctx, k, region)
	if err != nil {
		return nil, err
	}
	var users []string
	note := func(kind string, o client.Object, pod *corev1.PodTemplateSpec) {
		if former(&pod.Spec) && !slices.Contains(elsewhere, pod.Labels[v1alpha1.LabelRegion]) {
			users = append(users, kind+" "+o.GetNamespace()+"/"+o.GetName())
		}
	}
	var sets appsv1.StatefulSetList
	var crons batchv1.CronJobList
	var jobs batchv1.JobList
	var pods corev1.PodList
	for _, list := range []client.ObjectList{&sets, &crons, &jobs, &pods} {
		if err := k.List(ctx, list, client.MatchingLabels{v1alpha1.LabelName: v1alpha1.NameRelay}); err != nil {
			return nil, explain(err, "what relays run as", "")
		}
	}
	for i := range sets.Items {
		note("StatefulSet", &sets.Items[i], &sets.Items[i].Spec.Template)
	}
	for i := range crons.Items {
		note("CronJob", &crons.Items[i], &crons.Items[i].Spec.JobTemplate.Spec.Template)
	}
	for i := range jobs.Items {
		if jobs.Items[i].Status.CompletionTime == nil {
			note("Job", &jobs.Items[i], &jobs.Items[i].Spec.Template)
		}
	}
	for i := range pods.Items {
		if p := &pods.Items[i]; p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			note("Pod", p, &corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec})
		}
	}
	return users, nil
}

// regionsElsewhere names the DataRegions with another Vault than the region's.
func regionsElsewhere(ctx context.Context, k client.Client, region *v1alpha1.DataRegion) ([]string, error) {
	var regions v1alpha1.DataRegionList
	if err := k.List(ctx, &regions); err != nil {
		return nil, explain(err, "the DataRegions", "")
	}
	address := func(r *v1alpha1.DataRegion) string { return strings.TrimSuffix(r.Spec.Vault.Address, "/") }
	var names []string
	for i := range regions.Items {
		if r := &regions.Items[i]; r.Name != region.Name && address(r) != address(region) {
			names = append(names, r.Name)
		}
	}
	return names, nil
}

// former says whether a pod has a token whose audience names no region.
func former(pod *corev1.PodSpec) bool {
	return slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool {
		return v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool {
			return s.ServiceAccountToken != nil &&
				(s.ServiceAccountToken.Audience == contract.FormerAudienceRelay || s.ServiceAccountToken.Audience == contract.FormerAudienceJanitor)
		})
	})
}
