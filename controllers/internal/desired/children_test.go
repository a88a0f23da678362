package desired_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
)

func TestOwnerReferences_OnlyOnWhatMayGoWithTheRelay(t *testing.T) {
	in := full()
	file, hash, err := desired.Config(in)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]int{
		"ServiceAccount": len(desired.ServiceAccount(in).OwnerReferences),
		"ConfigMap":      len(desired.ConfigMap(in, file).OwnerReferences),
		"Claim":          len(desired.Claim(in, resource.Quantity{}).OwnerReferences),
		"CronJob":        len(desired.CronJob(in).OwnerReferences),
		"JanitorPolicy":  len(desired.JanitorPolicy(in).OwnerReferences),
		"ErasePolicy":    len(desired.ErasePolicy(in).OwnerReferences),
		"EraseJob":       len(desired.EraseJob(in).OwnerReferences),
	}
	for kind, owners := range kept {
		if owners != 0 {
			t.Errorf("%s has %d owners, want none: a foreground deletion of the relay would take it", kind, owners)
		}
	}
	owned := map[string]int{
		"Service":          len(desired.Service(in).OwnerReferences),
		"StatefulSet":      len(desired.StatefulSet(in, hash).OwnerReferences),
		"RelayPolicy":      len(desired.RelayPolicy(in).OwnerReferences),
		"DisruptionBudget": len(desired.DisruptionBudget(in).OwnerReferences),
	}
	for kind, owners := range owned {
		if owners != 1 {
			t.Errorf("%s has %d owners, want the relay", kind, owners)
		}
	}
}

// pods returns the pod templates of the relay, the janitor and the erase Job.
func pods(in desired.Input) map[string]*corev1ac.PodTemplateSpecApplyConfiguration {
	return map[string]*corev1ac.PodTemplateSpecApplyConfiguration{
		"relay":   desired.StatefulSet(in, "hash").Spec.Template,
		"janitor": desired.CronJob(in).Spec.JobTemplate.Spec.Template,
		"erase":   desired.EraseJob(in).Spec.Template,
	}
}

func TestPods_AreBoundToTheirRegion(t *testing.T) {
	in := full()
	for name, pod := range pods(in) {
		if got := pod.Labels[v1alpha1.LabelRegion]; got != "eu" {
			t.Errorf("%s: region label is %q", name, got)
		}
		selector := pod.Spec.NodeSelector
		if selector[v1alpha1.LabelNodeRegion] != "eu" || selector["disk"] != "encrypted" || len(selector) != 2 {
			t.Errorf("%s: node selector is %v", name, selector)
		}
	}
}

// The erase Job removes the carrier account, whose password only a relay may read.
func TestPods_HoldTheTokensOfTheirOwnAudiencesOnly(t *testing.T) {
	want := map[string][]string{
		"relay": {"relaykeep.dev/relay/eu"}, "janitor": {"relaykeep.dev/janitor/eu"},
		"erase": {"relaykeep.dev/janitor/eu", "relaykeep.dev/relay/eu"},
	}
	for name, pod := range pods(full()) {
		if *pod.Spec.AutomountServiceAccountToken {
			t.Errorf("%s: has a token for the Kubernetes API", name)
		}
		var audiences []string
		for _, v := range pod.Spec.Volumes {
			if v.Projected == nil {
				continue
			}
			for _, s := range v.Projected.Sources {
				audiences = append(audiences, *s.ServiceAccountToken.Audience)
			}
		}
		if !slices.Equal(audiences, want[name]) {
			t.Errorf("%s: tokens are for %v, want %q only", name, audiences, want[name])
		}
	}
}

// The admission policies compare arguments whenever a pod is made, and a ConfigMap only
// when it is written.
func TestVaultAndCarrierAddress_AreInThePodsArgumentsOnly(t *testing.T) {
	in := full()
	carrier := map[string]int{"relay": 8, "erase": 5, "janitor": 0} // how many arguments
	for name, pod := range pods(in) {
		args := pod.Spec.Containers[0].Args
		want := []string{
			"--vault-address=https://vault.eu.example.org", "--vault-ca=" + caBundle, "--vault-auth-path=k8s/one",
			"--vault-kv-mount=one/kv", "--vault-transit-mount=one/transit", "--vault-pki-mount=one/pki",
			"--xmpp-domain=eu.example.org", "--xmpp-address=xmpp.eu.example.org:5223", "--xmpp-ca=" + caBundle, "--xmpp-registration=Closed",
			"--xmpp-customers-without-number=Allow", "--private-links=files.acme.svc,10.30.0.9,media.acme.svc",
			"--postgres-address=postgres.eu.example.org:5433", "--postgres-ca=" + caBundle,
		}[:6+carrier[name]]
		if len(args) < 5 || !slices.Equal(args[5:], want) {
			t.Errorf("%s: arguments are %q", name, args)
		}
	}
	file, _, err := desired.Config(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{`"vault"`, `"carrier"`, "vault.eu.example.org", "xmpp.eu.example.org", "postgres.eu.example.org", "one/kv"} {
		if strings.Contains(string(file), word) {
			t.Errorf("the configuration has %s", word)
		}
	}
}

func TestVolumeAndSecrets_AreMountedByTheRelayOnly(t *testing.T) {
	in := full()
	in.Volume = "of before it had a database"
	for name, pod := range pods(in) {
		claims, secrets := 0, 0
		for _, v := range pod.Spec.Volumes {
			if v.PersistentVolumeClaim != nil {
				claims++
			}
			if v.Secret != nil {
				secrets++
			}
		}
		if relay := name == "relay"; relay != (claims == 1) || relay != (secrets == 3) {
			t.Errorf("%s: mounts %d claims and %d secrets", name, claims, secrets)
		}
	}
}

func TestConfigHashChangesWithTheConfigurationOnly(t *testing.T) {
	hash := func(edit func(*desired.Input)) string {
		in := full()
		edit(&in)
		_, h, err := desired.Config(in)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	same := hash(func(*desired.Input) {})
	if got := hash(func(in *desired.Input) { in.Relay.Spec.Suspend = true }); got != same {
		t.Error("suspending the relay changed the configuration's hash")
	}
	if got := hash(func(in *desired.Input) { in.Relay.Spec.Retention.Days = 6 }); got == same {
		t.Error("another retention left the configuration's hash as it was")
	}
}

func TestConfigLargerThanARelayReadsIsRefused(t *testing.T) {
	in := full()
	in.Relay.Spec.Webhook.CABundle = v1alpha1.CABundle(strings.Repeat("a", contract.MaxConfigBytes))
	if _, _, err := desired.Config(in); err == nil {
		t.Error("a configuration that no relay reads was rendered")
	}
	in = full()
	in.Region.Spec.Vault.CABundle = v1alpha1.CABundle(strings.Repeat("a", contract.MaxArgumentBytes))
	if _, _, err := desired.Config(in); err == nil || !strings.Contains(err.Error(), "--vault-ca has") {
		t.Errorf("arguments that no program can be given: %v", err)
	}
}

func TestEndpointIsReachedByDomainOrInsideTheCluster(t *testing.T) {
	in := full()
	if got, want := desired.URL(in.Relay, in.Region), "https://acme-relay.shops.relays.example.org"; got != want {
		t.Errorf("URL is %s, want %s", got, want)
	}
	in.Region.Spec.Endpoint = v1alpha1.RegionEndpoint{}
	if got, want := desired.URL(in.Relay, in.Region), "https://acme-relay.shops.svc:8443"; got != want {
		t.Errorf("URL is %s, want %s", got, want)
	}
}

func TestClaimKeepsTheLargerSize(t *testing.T) {
	in := minimal()
	for current, want := range map[string]string{"0": "1Gi", "512Mi": "1Gi", "2Gi": "2Gi"} {
		claim := desired.Claim(in, resource.MustParse(current))
		got := (*claim.Spec.Resources.Requests)[corev1.ResourceStorage]
		if got.Cmp(resource.MustParse(want)) != 0 {
			t.Errorf("with %s there already the claim asks for %s, want %s", current, got.String(), want)
		}
	}
}

func TestRequestsNeverExceedLimits(t *testing.T) {
	memory := func(q string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(q)}
	}
	for _, asked := range []corev1.ResourceRequirements{
		{}, {Limits: memory("16Mi")}, {Requests: memory("2Gi")}, {Requests: memory("1Gi"), Limits: memory("2Gi")},
	} {
		in := minimal()
		in.Relay.Spec.Resources = asked
		got := desired.StatefulSet(in, "").Spec.Template.Spec.Containers[0].Resources
		request, limit := (*got.Requests)[corev1.ResourceMemory], (*got.Limits)[corev1.ResourceMemory]
		if request.Cmp(limit) > 0 {
			t.Errorf("asked for %v: the request %s is above the limit %s", asked, request.String(), limit.String())
		}
	}
}

func TestJanitorsAreSpreadOverTheHour(t *testing.T) {
	minutes := map[int]int{}
	for i := range 6000 {
		m := desired.JanitorMinute(types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i)))
		if m < 0 || m > 59 {
			t.Fatalf("minute %d is none", m)
		}
		minutes[m]++
	}
	for m := range 60 {
		if minutes[m] < 50 || minutes[m] > 200 {
			t.Errorf("%d of 6000 janitors run at minute %d, want about 100", minutes[m], m)
		}
	}
}

func TestWebhookEgressReachesPublicAddressesOnly(t *testing.T) {
	in := minimal()
	in.Relay.Spec.Webhook = &v1alpha1.Webhook{URL: "https://hooks.example:9443/"}
	rules := desired.RelayPolicy(in).Spec.Egress
	hook := rules[len(rules)-1]
	if got := hook.Ports[0].Port.IntValue(); len(hook.Ports) != 1 || got != 9443 {
		t.Errorf("the webhook's rule opens port %d, want the URL's", got)
	}
	for address, open := range map[string]bool{
		"93.184.216.34": true, "172.32.0.1": true, "2606:4700::1111": true,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "127.0.0.1": false,
		"169.254.169.254": false, "100.100.100.200": false, "192.0.0.192": false, "168.63.129.16": false,
		"224.0.0.1": false, "255.255.255.255": false, "0.0.0.0": false,
		"::1": false, "fe80::1": false, "fd00:ec2::254": false, "ff02::1": false, "::ffff:10.0.0.1": false,
		"64:ff9b::a00:1": false, "2002:a00:1::1": false, "2001:0:a00:1::1": false,
	} {
		if got := reaches(t, hook, address); got != open {
			t.Errorf("webhook egress to %s is open: %t, want %t", address, got, open)
		}
	}
}

// reaches says whether an egress rule of address blocks lets an address through.
func reaches(t *testing.T, rule networkingv1ac.NetworkPolicyEgressRuleApplyConfiguration, address string) bool {
	t.Helper()
	addr := netip.MustParseAddr(address)
	for _, peer := range rule.To {
		if !netip.MustParsePrefix(*peer.IPBlock.CIDR).Contains(addr) {
			continue
		}
		excepted := false
		for _, e := range peer.IPBlock.Except {
			excepted = excepted || netip.MustParsePrefix(e).Contains(addr)
		}
		if !excepted {
			return true
		}
	}
	return false
}

func TestNetworkPolicy_WithoutAWebhookNoneCanBeReached(t *testing.T) {
	in := full()
	with := len(desired.RelayPolicy(in).Spec.Egress)
	in.Relay.Spec.Webhook = nil
	if got := len(desired.RelayPolicy(in).Spec.Egress); got != with {
		t.Errorf("%d rules with a witness alone, %d with a webhook, too: want those of the webhook", got, with)
	}
	in.Relay.Spec.Log.Witness = nil
	if got := len(desired.RelayPolicy(in).Spec.Egress); got != with-2 {
		t.Errorf("%d rules without a webhook, %d with one: want the public and the private rule gone", got, with)
	}
}

func TestAddressesThatAreIPsOpenExactlyThose(t *testing.T) {
	in := minimal()
	in.Region.Spec.Vault.Address = "https://[2001:db8::7]:8200"
	in.Region.Spec.Carrier.XMPP.Address = "192.0.2.9:5269"
	var got []string
	for _, r := range desired.RelayPolicy(in).Spec.Egress[1:] {
		got = append(got, fmt.Sprintf("%s %d", *r.To[0].IPBlock.CIDR, r.Ports[0].Port.IntValue()))
	}
	if want := "[2001:db8::7/128 8200 192.0.2.9/32 5269]"; fmt.Sprint(got) != want {
		t.Errorf("egress is %v, want %s", got, want)
	}
}

func TestRegionWithoutIngressPeersLetsNobodyIn(t *testing.T) {
	in := minimal()
	for _, r := range desired.RelayPolicy(in).Spec.Ingress {
		if len(r.From) == 0 {
			t.Error("a rule without peers lets everybody in")
		}
		for _, p := range r.Ports {
			if p.Port.IntValue() == int(contract.EndpointPort) {
				t.Error("the endpoint's port is open though the region names no peers")
			}
		}
	}
	in.OperatorNamespace = ""
	if got := len(desired.RelayPolicy(in).Spec.Ingress); got != 0 {
		t.Errorf("%d rules let somebody in, want none", got)
	}
}

func TestConfigMap_KeyIsTheFilesName(t *testing.T) {
	if got := path.Base(contract.ConfigPath); got != desired.ConfigKey {
		t.Errorf("the relay reads %s, the ConfigMap has %s", got, desired.ConfigKey)
	}
}

func TestConfigHoldsNoSecretName(t *testing.T) {
	file, _, err := desired.Config(full())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"endpoint-tls", "hook-client", "registry"} {
		if strings.Contains(string(file), secret) {
			t.Errorf("the configuration names the Secret %s", secret)
		}
	}
	var c contract.Config
	if err := json.Unmarshal(file, &c); err != nil {
		t.Fatal(err)
	}
	if !c.Webhook.ClientCertificate || c.Endpoint.TLS != contract.TLSFromSecret {
		t.Error("the configuration does not tell the relay to use the mounted certificates")
	}
}

// A relay whose store is in a database needs no volume, and reaches that server alone. One that had a volume keeps it
// until its claim is gone.
func TestDatabase_TakesTheVolumesPlace(t *testing.T) {
	in := minimal()
	in.Region.Spec.Postgres = &v1alpha1.Postgres{Address: "10.40.0.7:5432"}
	opens := func() (there bool) {
		for _, rule := range desired.RelayPolicy(in).Spec.Egress {
			for _, p := range rule.Ports {
				there = there || p.Port.IntValue() == 5432 && len(rule.To) == 1 && *rule.To[0].IPBlock.CIDR == "10.40.0.7/32"
			}
		}
		return there
	}
	mounts := func() bool {
		return slices.ContainsFunc(desired.StatefulSet(in, "").Spec.Template.Spec.Volumes, func(v corev1ac.VolumeApplyConfiguration) bool {
			return v.PersistentVolumeClaim != nil
		})
	}
	if opens() || !mounts() {
		t.Error("a relay with a volume reaches PostgreSQL, or has no volume")
	}
	in.Relay.Spec.Storage.Postgres = &v1alpha1.PostgresStorage{Database: "acme"}
	if !opens() || mounts() {
		t.Error("a relay with a database does not reach PostgreSQL, or has a volume")
	}
	in.Volume = "there is a claim"
	if !mounts() {
		t.Error("a relay cannot move what is on its volume")
	}
}

// A relay with replicas hands its store over from one pod: the others could take it.
func TestMove_OfReplicasIsMadeByOnePod(t *testing.T) {
	in := full()
	in.Volume = ""
	if got := *desired.StatefulSet(in, "").Spec.Replicas; got != 3 {
		t.Fatalf("at rest it has %d pods", got)
	}
	in.Relay.Spec.Suspend = true
	in.Relay.Spec.Moving = &v1alpha1.Moving{From: in.Relay.Spec.DataRegion, To: "elsewhere", CarrierDomain: "eu.example.org"}
	if got := *desired.StatefulSet(in, "").Spec.Replicas; got != 1 {
		t.Errorf("on its way it has %d pods", got)
	}
	file, _, err := desired.Config(in)
	if err != nil || !strings.Contains(string(file), `"move": "Depart"`) || strings.Contains(string(file), `"replicated"`) {
		t.Errorf("it is told %s, %v", file, err)
	}
}
