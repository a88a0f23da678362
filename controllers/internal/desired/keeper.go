package desired

import (
	"fmt"
	"path"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// keeperDeadlineSeconds ends a run of the keeper that hangs, well before the next one:
// the run itself takes no longer than 25 minutes.
const keeperDeadlineSeconds int64 = 1800

// leavingSchedule makes the keeper of a region that is being deleted check every five
// minutes whether keys are left: the region waits for that.
const leavingSchedule = "*/5 * * * *"

// KeeperInput is all that a region's keeper of last resort depends on.
type KeeperInput struct {
	Region *v1alpha1.DataRegion
	// RelayImage is the reference of the relay's image.
	RelayImage string
	// PullSecrets name the Secrets of Namespace with which the image is pulled.
	PullSecrets []string
	// Namespace is the operator's.
	Namespace string
}

func (in KeeperInput) name() string { return contract.KeeperName(in.Region.Name) }

// region is the input of what a keeper has in common with a relay's children.
func (in KeeperInput) region() Input { return Input{Region: in.Region, RelayImage: in.RelayImage} }

// KeeperLabels find the keeper of a region.
func KeeperLabels(region string) map[string]string {
	return map[string]string{
		v1alpha1.LabelName:      v1alpha1.NameKeeper,
		v1alpha1.LabelComponent: v1alpha1.ComponentKeeper,
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
		v1alpha1.LabelRegion:    region,
	}
}

// KeeperAccount is the keeper's identity towards Vault; it has no rights in Kubernetes.
func KeeperAccount(in KeeperInput) *corev1ac.ServiceAccountApplyConfiguration {
	return corev1ac.ServiceAccount(in.name(), in.Namespace).
		WithLabels(KeeperLabels(in.Region.Name)).
		WithAutomountServiceAccountToken(false)
}

// KeeperPolicy lets the keeper reach DNS and Vault, and nobody reach the keeper.
func KeeperPolicy(in KeeperInput) *networkingv1ac.NetworkPolicyApplyConfiguration {
	return networkingv1ac.NetworkPolicy(in.name(), in.Namespace).
		WithLabels(KeeperLabels(in.Region.Name)).
		WithSpec(networkingv1ac.NetworkPolicySpec().
			WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(map[string]string{
				v1alpha1.LabelName: v1alpha1.NameKeeper, v1alpha1.LabelRegion: in.Region.Name,
			})).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress).
			WithEgress(in.region().dnsEgress(), in.region().vaultEgress()))
}

// KeeperCronJob runs the keeper every hour. It has no owner: a foreground deletion of the
// DataRegion would take it while there are keys left.
func KeeperCronJob(in KeeperInput) *batchv1ac.CronJobApplyConfiguration {
	schedule := fmt.Sprintf("%d * * * *", JanitorMinute(in.Region.UID))
	if in.Region.DeletionTimestamp != nil {
		schedule = leavingSchedule
	}
	return batchv1ac.CronJob(in.name(), in.Namespace).
		WithLabels(KeeperLabels(in.Region.Name)).
		WithSpec(batchv1ac.CronJobSpec().
			WithSchedule(schedule).
			WithConcurrencyPolicy(batchv1.ForbidConcurrent).
			WithSuspend(false).
			WithStartingDeadlineSeconds(janitorStartSeconds).
			WithSuccessfulJobsHistoryLimit(1).
			WithFailedJobsHistoryLimit(1).
			WithJobTemplate(batchv1ac.JobTemplateSpec().
				WithLabels(KeeperLabels(in.Region.Name)).
				WithSpec(batchv1ac.JobSpec().
					WithBackoffLimit(janitorRetries).
					WithActiveDeadlineSeconds(keeperDeadlineSeconds).
					WithTemplate(corev1ac.PodTemplateSpec().
						WithLabels(KeeperLabels(in.Region.Name)).
						WithSpec(in.pod())))))
}

// pod runs on the region's nodes, as a relay does: another region's node would see a
// token that can destroy every wrapping key of this region.
func (in KeeperInput) pod() *corev1ac.PodSpecApplyConfiguration {
	common := in.region()
	// The arguments have a janitor's form, for the admission policies to compare. The
	// keeper reads no configuration.
	container := common.container(ContainerKeeper, contract.KeeperTokenPath, common.janitorArgs("keep")).
		WithResources(corev1ac.ResourceRequirements().
			WithRequests(corev1.ResourceList{
				corev1.ResourceCPU:    resource.MustParse("10m"),
				corev1.ResourceMemory: resource.MustParse("32Mi"),
			}).
			WithLimits(corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")}))
	container.VolumeMounts = nil
	container.WithVolumeMounts(
		mount(volumeToken, path.Dir(contract.KeeperTokenPath), true),
		mount(volumeTmp, "/tmp", false),
	)
	spec := common.barePod(in.name())
	for _, name := range in.PullSecrets {
		spec.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(name))
	}
	return spec.
		WithVolumes(tokenVolume(contract.AudienceKeeper(in.Region.Name)), tmpVolume()).
		WithRestartPolicy(corev1.RestartPolicyNever).
		WithContainers(container)
}
