package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// StatefulSet runs the relay. ConfigHash makes a change of the configuration
// restart it.
func StatefulSet(in Input, configHash string) *appsv1ac.StatefulSetApplyConfiguration {
	replicas := in.Relay.Spec.Replicas
	switch {
	case in.Relay.Spec.Suspend && !in.Relay.InTransit() || in.Stopped:
		replicas = 0
	case !in.replicated():
		replicas = 1
	}
	template := corev1ac.PodTemplateSpec().
		WithLabels(in.regional(v1alpha1.ComponentRelay)).
		WithAnnotations(map[string]string{v1alpha1.AnnotationConfigHash: configHash}).
		WithSpec(in.relayPod())
	annotations := map[string]string{
		v1alpha1.AnnotationTemplateHash: hashOf(template), v1alpha1.AnnotationSpecGeneration: strconv.FormatInt(in.Relay.Generation, 10),
	}
	if in.Updating != "" {
		annotations[v1alpha1.AnnotationUpdating] = in.Updating
	}
	return appsv1ac.StatefulSet(in.tenant(), in.Relay.Namespace).
		WithLabels(in.labels(v1alpha1.ComponentRelay)).
		WithAnnotations(annotations).
		WithOwnerReferences(in.owner()).
		WithSpec(appsv1ac.StatefulSetSpec().
			WithReplicas(replicas).
			WithServiceName(in.tenant()).
			WithRevisionHistoryLimit(3).
			// With OrderedReady, a pod that never becomes ready would never be replaced by a
			// repaired revision.
			WithPodManagementPolicy(appsv1.ParallelPodManagement).
			WithUpdateStrategy(appsv1ac.StatefulSetUpdateStrategy().
				WithType(appsv1.RollingUpdateStatefulSetStrategyType)).
			WithSelector(metav1ac.LabelSelector().
				WithMatchLabels(in.selector(v1alpha1.ComponentRelay))).
			WithTemplate(template))
}

// hashOf is a hash of what is rendered.
func hashOf(rendered any) string {
	raw, err := json.Marshal(rendered)
	if err != nil {
		panic(fmt.Sprintf("encoding a %T: %v", rendered, err)) // it consists of strings, numbers and lists of them
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])[:16]
}

func (in Input) relayPod() *corev1ac.PodSpecApplyConfiguration {
	relay := in.Relay.Spec
	container := in.relayContainer()
	spec := in.podSpec(contract.AudienceRelay(in.Region.Name)).
		WithTerminationGracePeriodSeconds(graceSeconds)
	if in.UsesClaim() {
		spec.WithVolumes(corev1ac.Volume().WithName(volumeData).WithPersistentVolumeClaim(
			corev1ac.PersistentVolumeClaimVolumeSource().WithClaimName(v1alpha1.ClaimName(in.Relay))))
		container.WithVolumeMounts(mount(volumeData, contract.DataDir, false))
	}
	if s := relay.Endpoint.TLSSecretName; s != "" {
		spec.WithVolumes(secretVolume(volumeTLS, s))
		container.WithVolumeMounts(mount(volumeTLS, contract.TLSDir, true))
	}
	if w := relay.Webhook; w != nil && w.ClientCertificateSecretName != "" {
		spec.WithVolumes(secretVolume(volumeWebhook, w.ClientCertificateSecretName))
		container.WithVolumeMounts(mount(volumeWebhook, contract.WebhookClientDir, true))
	}
	if w := relay.Webhook; w != nil && w.CredentialsSecretName != "" {
		spec.WithVolumes(credentialsVolume(w.CredentialsSecretName))
		container.WithVolumeMounts(mount(volumeCredentials, contract.WebhookCredentialsDir, true))
	}
	if relay.BusinessAccount != "" {
		spec.WithVolumes(in.changingVolume(volumeAccount, contract.AccountFile))
		container.WithVolumeMounts(mount(volumeAccount, contract.AccountDir, true))
	}
	spec.WithVolumes(in.changingVolume(volumeIntegrity, contract.IntegrityFile))
	container.WithVolumeMounts(mount(volumeIntegrity, contract.IntegrityDir, true))
	if in.replicated() {
		spec.WithTopologySpreadConstraints(in.spread(corev1.LabelTopologyZone), in.spread(corev1.LabelHostname))
	}
	if relay.RuntimeClassName != "" {
		spec.WithRuntimeClassName(string(relay.RuntimeClassName))
	}
	if relay.PriorityClassName != "" {
		spec.WithPriorityClassName(string(relay.PriorityClassName))
	}
	return spec.WithContainers(container)
}

// spread has replicas run apart, as far as there is room: a replica that starts late is better than none.
func (in Input) spread(over string) *corev1ac.TopologySpreadConstraintApplyConfiguration {
	return corev1ac.TopologySpreadConstraint().
		WithMaxSkew(1).
		WithTopologyKey(over).
		WithWhenUnsatisfiable(corev1.ScheduleAnyway).
		WithLabelSelector(metav1ac.LabelSelector().WithMatchLabels(in.selector(v1alpha1.ComponentRelay)))
}

func (in Input) relayContainer() *corev1ac.ContainerApplyConfiguration {
	return in.container(ContainerRelay, contract.RelayTokenPath, in.serveArgs()).
		WithPorts(containerPort(portHTTPS, contract.EndpointPort), containerPort(portStatus, contract.StatusPort)).
		WithResources(resources(in.Relay.Spec.Resources)).
		WithStartupProbe(probe("/healthz", 1).WithFailureThreshold(60)).
		WithLivenessProbe(probe("/healthz", 20).WithFailureThreshold(3)).
		WithReadinessProbe(probe("/readyz", 2).WithFailureThreshold(2))
}

func containerPort(name string, port int32) *corev1ac.ContainerPortApplyConfiguration {
	return corev1ac.ContainerPort().WithName(name).WithContainerPort(port).WithProtocol(corev1.ProtocolTCP)
}

func probe(path string, period int32) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().
		WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString(portStatus))).
		WithPeriodSeconds(period).
		WithTimeoutSeconds(3)
}

// resources fills in what the business left open: enough for a quiet relay, and a
// bound on memory so that one business cannot starve a node.
func resources(asked corev1.ResourceRequirements) *corev1ac.ResourceRequirementsApplyConfiguration {
	requests := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("10m"),
		corev1.ResourceMemory: resource.MustParse("48Mi"),
	}
	limits := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")}
	maps.Copy(requests, asked.Requests)
	maps.Copy(limits, asked.Limits)
	// A limit below a default request, or a request above a default limit, would be
	// refused: the business's own value decides for both.
	for name, limit := range limits {
		request, ok := requests[name]
		if !ok || request.Cmp(limit) <= 0 {
			continue
		}
		if _, own := asked.Limits[name]; own {
			requests[name] = limit
		} else {
			limits[name] = request
		}
	}
	return corev1ac.ResourceRequirements().WithRequests(requests).WithLimits(limits)
}
