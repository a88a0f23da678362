package attack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/lab"
)

const (
	theOperator     = "the operator"
	workloadsPolicy = "the admission policy relaykeep-workloads"
	servicesPolicy  = "the admission policy relaykeep-region-services"
	operatorPolicy  = "the admission policy relaykeep-operator"
	itsOwn          = "the operator, as it makes it"
)

func policyBinding() client.Object {
	return &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "relaykeep-workloads"}}
}

// ofAcme is the metadata of a child of acme's.
func ofAcme(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "acme", Name: name, Labels: map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelName: v1alpha1.NameRelay, v1alpha1.LabelInstance: "acme",
	}}
}

// podEdit changes a pod that the operator would make. Its own pods are made with none.
type podEdit func(*corev1.PodSpec)

func asItMakesIt(*corev1.PodSpec) {}

// janitorJob has the operator make a Job from acme's janitor, changed, not really.
func janitorJob(edit podEdit) act {
	return by(operator, func(ctx context.Context, c client.Client) error {
		cron := &batchv1.CronJob{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: "acme", Name: "acme-retention"}, cron); err != nil {
			return fmt.Errorf("preparing: %w", err)
		}
		job := &batchv1.Job{ObjectMeta: ofAcme("attack-erase"), Spec: *cron.Spec.JobTemplate.Spec.DeepCopy()}
		edit(&job.Spec.Template.Spec)
		return c.Create(ctx, job, client.DryRunAll)
	})
}

// statefulSet has the operator change acme's StatefulSet, not really.
func statefulSet(edit podEdit) act {
	return by(operator, func(ctx context.Context, c client.Client) error {
		set := &appsv1.StatefulSet{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: "acme", Name: "acme-relay"}, set); err != nil {
			return fmt.Errorf("preparing: %w", err)
		}
		before := set.DeepCopy()
		set.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(31)) // the twin changes something, too
		edit(&set.Spec.Template.Spec)
		return c.Patch(ctx, set, client.MergeFrom(before), client.DryRunAll)
	})
}

func container(edit func(*corev1.Container)) podEdit {
	return func(p *corev1.PodSpec) { edit(&p.Containers[0]) }
}

// place has an argument say that Vault or the carrier is elsewhere.
func place(flag, where string) func(*corev1.Container) {
	return func(c *corev1.Container) {
		c.Args = slices.Clone(c.Args)
		for i := range c.Args {
			if strings.HasPrefix(c.Args[i], flag) {
				c.Args[i] = flag + where
			}
		}
	}
}

// inNobodysRegion makes all that a pod says of its region say another, for which there is
// no DataRegion.
func inNobodysRegion(p *corev1.PodSpec) {
	p.NodeSelector = map[string]string{v1alpha1.LabelNodeRegion: "zz"}
	p.Containers[0].Args = slices.Clone(p.Containers[0].Args)
	p.Containers[0].Args[4] = "zz"
	for _, v := range p.Volumes {
		if v.Projected != nil {
			v.Projected.Sources[0].ServiceAccountToken.Audience = contract.AudienceRelay("zz")
		}
	}
}

func evilImage(c *corev1.Container) { c.Image = "example.org/evil:1" }

func extraVolume(source corev1.VolumeSource, at string) podEdit {
	return func(p *corev1.PodSpec) {
		p.Volumes = append(p.Volumes, corev1.Volume{Name: "attack", VolumeSource: source})
		p.Containers[0].VolumeMounts = append(p.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "attack", MountPath: at})
	}
}

func extraContainer(p *corev1.PodSpec) {
	p.Containers = append(p.Containers, corev1.Container{Name: "attack", Image: p.Containers[0].Image, VolumeMounts: p.Containers[0].VolumeMounts[:2]})
}

func initContainer(p *corev1.PodSpec) {
	p.InitContainers = []corev1.Container{{Name: "attack", Image: "example.org/evil:1", VolumeMounts: p.Containers[0].VolumeMounts[:2]}}
}

func secretEnv(c *corev1.Container) {
	c.EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "attack"}}}}
}

func execProbe(c *corev1.Container) {
	c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/relay", "erase"}}}}
}

func hostAlias(p *corev1.PodSpec) {
	p.HostAliases = []corev1.HostAlias{{IP: "192.0.2.1", Hostnames: []string{"vault.example.org"}}}
}

// byTheOperatorsPods are attempts to run, with a business's account and its token
// for Vault, anything but the released relay.
func byTheOperatorsPods() []Attempt {
	job := func(tries string, edit podEdit) Attempt {
		return Attempt{theOperator, "makes a Job with acme's account and " + tries, workloadsPolicy, itsOwn, janitorJob(edit), janitorJob(asItMakesIt), byPolicy}
	}
	set := func(tries string, edit podEdit) Attempt {
		return Attempt{theOperator, "changes acme's StatefulSet to have " + tries, workloadsPolicy, itsOwn, statefulSet(edit), statefulSet(asItMakesIt), byPolicy}
	}
	point := func(tries string, edit podEdit) Attempt {
		return Attempt{theOperator, "makes acme's relay " + tries, servicesPolicy, itsOwn, statefulSet(edit), statefulSet(asItMakesIt), byPolicy}
	}
	secret := corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "attack"}}
	host := corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}
	configMap := corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "attack"}}}
	claim := corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "acme-relay"}}
	return []Attempt{
		job("an image of its own", container(evilImage)),
		job("a command of its own", container(func(c *corev1.Container) { c.Command = []string{"/bin/sh"} })),
		job("the relay's arguments", container(func(c *corev1.Container) { c.Args[0] = "serve" })),
		job("an environment variable", container(func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "VAULT_ADDR", Value: "https://192.0.2.1"}} })),
		job("acme's volume", extraVolume(claim, "/var/lib/relaykeep")),
		job("a token for the API server", func(p *corev1.PodSpec) { p.AutomountServiceAccountToken = new(true) }),
		job("the account of somebody else", func(p *corev1.PodSpec) { p.ServiceAccountName = "attack" }),
		job("no token for Vault, and an image of its own", func(p *corev1.PodSpec) {
			p.Volumes, p.Containers[0].VolumeMounts, p.Containers[0].Image = nil, nil, "example.org/evil:1"
		}),
		point("log in at a Vault of its own", container(place("--vault-address=", "https://192.0.2.1:8200"))),
		point("trust another authority at Vault", container(place("--vault-ca=", "x"))),
		point("speak to a carrier of its own", container(place("--xmpp-address=", "192.0.2.1:5222"))),
		set("an image of its own", container(evilImage)),
		set("other arguments", container(func(c *corev1.Container) { c.Args = []string{"serve", "--config", "/tmp/relay.json", "--region", "eu"} })),
		set("a second container, which sees the token", extraContainer),
		set("an init container, which sees the token", initContainer),
		set("a ConfigMap mounted over its program", extraVolume(configMap, "/relay")),
		set("a Secret of acme's as a volume", extraVolume(secret, "/etc/relaykeep/attack")),
		set("a Secret of acme's as environment", container(secretEnv)),
		set("its node's files", extraVolume(host, "/host")),
		set("another address for Vault's name", hostAlias),
		set("a probe that runs a program", container(execProbe)),
		set("another tenant's configuration", func(p *corev1.PodSpec) {
			for i := range p.Volumes {
				if p.Volumes[i].ConfigMap != nil {
					p.Volumes[i].ConfigMap.Name = "attack"
				}
			}
		}),
	}
}

// configuration has the operator rewrite acme's configuration, not really.
func configuration(old, replacement func(*lab.Lab) string) act {
	return func(ctx context.Context, s *Scene) error {
		return by(operator, func(ctx context.Context, c client.Client) error {
			m := &corev1.ConfigMap{}
			if err := c.Get(ctx, client.ObjectKey{Namespace: "acme", Name: "acme-relay"}, m); err != nil {
				return fmt.Errorf("preparing: %w", err)
			}
			before := m.DeepCopy()
			text, err := replaced(m.Data["relay.json"], old(s.lab), replacement(s.lab))
			if err != nil {
				return err
			}
			m.Data["relay.json"] = text
			return c.Patch(ctx, m, client.MergeFrom(before), client.DryRunAll)
		})(ctx, s)
	}
}

func literally(text string) func(*lab.Lab) string { return func(*lab.Lab) string { return text } }

// patched has a user patch an object, not really.
func patched(user string, o client.Object, patch string) act {
	return by(user, func(ctx context.Context, c client.Client) error {
		copied, _ := o.DeepCopyObject().(client.Object)
		return c.Patch(ctx, copied, client.RawPatch("application/merge-patch+json", []byte(patch)), client.DryRunAll)
	})
}

// made has a user make an object, not really.
func made(user string, o client.Object) act {
	return by(user, func(ctx context.Context, c client.Client) error {
		copied, _ := o.DeepCopyObject().(client.Object)
		return c.Create(ctx, copied, client.DryRunAll)
	})
}

// byTheOperatorsObjects are attempts to have a relay log in, speak or deliver
// elsewhere, and to write what is not a relay's.
func byTheOperatorsObjects() []Attempt {
	const (
		regions    = "the admission policy relaykeep-configuration-region"
		businesses = "the admission policy relaykeep-configuration-business"
	)
	harmless := configuration(literally(`"throughput": 80`), literally(`"throughput": 79`))
	point := func(tries, policy string, old func(*lab.Lab) string, evil string) Attempt {
		return Attempt{theOperator, tries, policy, "the operator, for what nobody else decides", configuration(old, literally(evil)), harmless, byPolicy}
	}
	relay, region := lab.Acme.Relay(), &v1alpha1.DataRegion{ObjectMeta: metav1.ObjectMeta{Name: "eu"}}
	const webhook, vault = `{"spec":{"webhook":{"url":"https://evil.example/"}}}`, `{"spec":{"vault":{"address":"https://evil.example:8200"}}}`
	service := &corev1.Service{ObjectMeta: ofAcme("attack-relay"), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}}}
	external := service.DeepCopy()
	external.Spec.ExternalIPs = []string{"192.0.2.1"}
	policy := &networkingv1.NetworkPolicy{ObjectMeta: ofAcme("attack-relay")}
	policy.Spec.PodSelector.MatchLabels = map[string]string{v1alpha1.LabelName: v1alpha1.NameRelay}
	everyPod := policy.DeepCopy()
	everyPod.Spec.PodSelector.MatchLabels = nil
	dns := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "kube-root-ca.crt"}}
	own := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme-relay"}}
	const note = `{"metadata":{"annotations":{"attack":"yes"}}}`
	return []Attempt{
		point("has acme's configuration name a Vault of its own", regions, literally(`"region": "eu",`), "\"region\": \"eu\",\n  \"vault\": {\"address\": \"https://192.0.2.1:8200\"},"),
		point("has acme's configuration name a carrier of its own", regions, literally(`"region": "eu",`), "\"region\": \"eu\",\n  \"carrier\": {\"xmpp\": {\"domain\": \"192.0.2.1\"}},"),
		point("has acme's messages delivered to itself", businesses, func(l *lab.Lab) string { return l.WebhookURL(lab.Acme) }, "https://192.0.2.1/"),
		point("has acme's messages kept for longer", businesses, literally(`"retentionDays": 30`), `"retentionDays": 300`),
		{theOperator, "changes the webhook in acme's BusinessRelay", operatorPolicy, "a user who may change it", patched(operator, relay, webhook), patched(admin, relay, webhook), byPolicy},
		{theOperator, "changes the Vault in the DataRegion", operatorPolicy, "the cluster's admin", patched(operator, region, vault), patched(admin, region, vault), byPolicy},
		{theOperator, "deletes a ConfigMap that it did not make", operatorPolicy, "the cluster's admin", deleted(operator, dns), deleted(admin, dns), byPolicy},
		{theOperator, "changes a ConfigMap that it did not make", operatorPolicy, "the operator, one that it made", patched(operator, dns, note), patched(operator, own, note), byPolicy},
		{theOperator, "makes a Service for somebody's address", operatorPolicy, "the operator, one inside the cluster", made(operator, external), made(operator, service), byPolicy},
		{theOperator, "makes a NetworkPolicy for every pod of acme's", operatorPolicy, "the operator, one for its relay", made(operator, everyPod), made(operator, policy), byPolicy},
	}
}

// deleted has a user delete an object, not really.
func deleted(user string, o client.Object) act {
	return by(user, func(ctx context.Context, c client.Client) error {
		copied, _ := o.DeepCopyObject().(client.Object)
		return c.Delete(ctx, copied, client.DryRunAll)
	})
}
