package desired

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// Names of ports, volumes and containers within the pods.
const (
	portHTTPS  = "https"
	portStatus = "status"

	volumeConfig     = "config"
	volumeToken      = "token"
	volumeRelayToken = "relay-token"
	volumeData       = "data"
	volumeTLS        = "tls"
	volumeWebhook    = "webhook-client"
	volumeTmp        = "tmp"

	volumeCredentials = "webhook-credentials"
	volumeAccount     = "account"
	volumeIntegrity   = "integrity"

	// ContainerRelay and ContainerJanitor name the only container of each pod.
	ContainerRelay   = "relay"
	ContainerJanitor = "janitor"
	// ContainerKeeper names that of a region's keeper.
	ContainerKeeper = "keeper"
)

const (
	// userID is the images' user, and the group that volumes are made readable for.
	userID int64 = 65532
	// tokenSeconds is the life of a projected token, the shortest that the API
	// server allows: the kubelet replaces it at four fifths.
	tokenSeconds int64 = 600
	// graceSeconds gives a relay time to finish its work and close its store.
	graceSeconds int64 = 30
	// tmpLimit bounds the scratch space that a read-only root leaves.
	tmpLimit = "64Mi"
)

// podSpec is what relay, janitor and erase Job have in common: the restricted
// profile, no token but one for the given audience, the region's nodes.
func (in Input) podSpec(audience string) *corev1ac.PodSpecApplyConfiguration {
	spec := in.barePod(in.tenant()).WithVolumes(in.configVolume(), tokenVolume(audience), tmpVolume())
	for _, s := range in.Relay.Spec.ImagePullSecrets {
		spec.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(s.Name))
	}
	return spec
}

// barePod is a pod of the region, without volumes, as a service account.
func (in Input) barePod(account string) *corev1ac.PodSpecApplyConfiguration {
	spec := corev1ac.PodSpec().
		WithServiceAccountName(account).
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithNodeSelector(in.nodeSelector()).
		WithSecurityContext(corev1ac.PodSecurityContext().
			WithRunAsNonRoot(true).
			WithRunAsUser(userID).
			WithRunAsGroup(userID).
			WithFSGroup(userID).
			WithFSGroupChangePolicy(corev1.FSGroupChangeOnRootMismatch).
			WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault)))
	if hostUsers := in.Region.Spec.Pods.HostUsers; hostUsers != nil {
		spec.WithHostUsers(*hostUsers)
	}
	for _, t := range in.Region.Spec.Placement.Tolerations {
		spec.WithTolerations(toleration(t))
	}
	return spec
}

// container is what every container has in common.
func (in Input) container(name, tokenPath string, args []string) *corev1ac.ContainerApplyConfiguration {
	return corev1ac.Container().
		WithName(name).
		WithImage(in.RelayImage).
		WithImagePullPolicy(corev1.PullIfNotPresent).
		WithArgs(args...).
		WithTerminationMessagePath(contract.TerminationPath).
		// Never from the logs: what is in the message ends up in the status.
		WithTerminationMessagePolicy(corev1.TerminationMessageReadFile).
		WithSecurityContext(corev1ac.SecurityContext().
			WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).
			WithRunAsNonRoot(true).
			WithCapabilities(corev1ac.Capabilities().WithDrop("ALL"))).
		WithVolumeMounts(
			// As a single file: mounts below a read-only folder (the tenant's
			// certificates) would fail. It stays as it was when the pod started,
			// which the configuration's hash on the template accounts for.
			mount(volumeConfig, contract.ConfigPath, true).WithSubPath(ConfigKey),
			mount(volumeToken, path.Dir(tokenPath), true),
			mount(volumeTmp, "/tmp", false),
		)
}

func mount(volume, at string, readOnly bool) *corev1ac.VolumeMountApplyConfiguration {
	m := corev1ac.VolumeMount().WithName(volume).WithMountPath(at)
	if readOnly {
		m.WithReadOnly(true)
	}
	return m
}

func (in Input) configVolume() *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName(volumeConfig).WithConfigMap(corev1ac.ConfigMapVolumeSource().
		WithName(in.tenant()).WithDefaultMode(0o444).
		WithItems(corev1ac.KeyToPath().WithKey(ConfigKey).WithPath(ConfigKey)))
}

// changingVolume mounts one file of the ConfigMap as a folder: it changes while the relay runs.
func (in Input) changingVolume(name, file string) *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName(name).WithConfigMap(corev1ac.ConfigMapVolumeSource().
		WithName(in.tenant()).WithDefaultMode(0o444).
		WithItems(corev1ac.KeyToPath().WithKey(file).WithPath(file)))
}

// tokenVolume projects a token that only Vault accepts, and only for the role of that
// audience.
func tokenVolume(audience string) *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName(volumeToken).WithProjected(corev1ac.ProjectedVolumeSource().
		WithDefaultMode(0o440).
		WithSources(corev1ac.VolumeProjection().WithServiceAccountToken(
			corev1ac.ServiceAccountTokenProjection().
				WithAudience(audience).
				WithExpirationSeconds(tokenSeconds).
				WithPath(path.Base(contract.RelayTokenPath)))))
}

func tmpVolume() *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName(volumeTmp).WithEmptyDir(corev1ac.EmptyDirVolumeSource().
		WithSizeLimit(resource.MustParse(tmpLimit)))
}

// secretVolume mounts a tenant's own Secret by its name. The kubelet reads it; the
// operator never does.
func secretVolume(volume string, secret v1alpha1.ObjectName) *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName(volume).WithSecret(corev1ac.SecretVolumeSource().
		WithSecretName(string(secret)).WithDefaultMode(0o440).
		WithItems(
			corev1ac.KeyToPath().WithKey(corev1.TLSCertKey).WithPath(corev1.TLSCertKey),
			corev1ac.KeyToPath().WithKey(corev1.TLSPrivateKeyKey).WithPath(corev1.TLSPrivateKeyKey),
		))
}

// credentialsVolume mounts the credentials that a webhook's receiver brings. Without the Secret,
// or with a part of it, the relay starts all the same, and says what is missing.
func credentialsVolume(secret v1alpha1.ObjectName) *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName(volumeCredentials).WithSecret(corev1ac.SecretVolumeSource().
		WithSecretName(string(secret)).WithDefaultMode(0o440).WithOptional(true).
		WithItems(
			corev1ac.KeyToPath().WithKey(contract.AppSecretKey).WithPath(contract.AppSecretKey),
			corev1ac.KeyToPath().WithKey(contract.VerifyTokenKey).WithPath(contract.VerifyTokenKey),
		))
}

func toleration(t corev1.Toleration) *corev1ac.TolerationApplyConfiguration {
	a := corev1ac.Toleration()
	if t.Key != "" {
		a.WithKey(t.Key)
	}
	if t.Operator != "" {
		a.WithOperator(t.Operator)
	}
	if t.Value != "" {
		a.WithValue(t.Value)
	}
	if t.Effect != "" {
		a.WithEffect(t.Effect)
	}
	if t.TolerationSeconds != nil {
		a.WithTolerationSeconds(*t.TolerationSeconds)
	}
	return a
}
