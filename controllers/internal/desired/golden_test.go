package desired_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const caBundle = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"

// minimal is a relay and a region with nothing but what is required, and the
// defaults that the API server adds.
func minimal() desired.Input {
	return desired.Input{
		Relay: &v1alpha1.BusinessRelay{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shops", Name: "acme", UID: "b5ba8cf9-7d0c-4dfb-8a0a-3f7b7f3c7c11"},
			Spec: v1alpha1.BusinessRelaySpec{
				PhoneNumber: "+41441234567", DataRegion: "eu",
				Retention: v1alpha1.Retention{Days: 30},
				Storage:   v1alpha1.Storage{Size: resource.MustParse("1Gi")},
				Replicas:  1, Trust: v1alpha1.TrustBlind, Throughput: 80,
				Rotation:       v1alpha1.Rotation{Identity: 1, Access: 1},
				DeletionPolicy: v1alpha1.DeletionRetain,
			},
		},
		Region: &v1alpha1.DataRegion{
			ObjectMeta: metav1.ObjectMeta{Name: "eu"},
			Spec: v1alpha1.DataRegionSpec{
				Type: v1alpha1.RegionEU, StorageClassName: "relaykeep-eu",
				Vault: v1alpha1.Vault{
					Address: "https://10.1.2.3:8200/", AuthPath: "kubernetes",
					KVMount: "kv", TransitMount: "transit", PKIMount: "pki",
				},
				Carrier: v1alpha1.Carrier{XMPP: &v1alpha1.XMPP{
					Domain: "eu.example.org", Registration: v1alpha1.RegistrationClosed,
				}},
			},
		},
		RelayImage:        "ghcr.io/relaykeep/relay:dev",
		OperatorNamespace: "relaykeep-system",
	}
}

// full sets every field.
func full() desired.Input {
	in := minimal()
	relay, region := &in.Relay.Spec, &in.Region.Spec
	relay.Profile = v1alpha1.Profile{
		DisplayName: "Acme", About: "Anvils", Address: "1 Road", Description: "All anvils",
		Email: "hello@acme.example", Websites: []string{"https://acme.example"}, Vertical: "RETAIL",
		Picture: "/9j/4AAQSkZJRg==",
	}
	relay.Webhook = &v1alpha1.Webhook{
		URL: "https://hooks.acme.example:9443/in", CABundle: caBundle, ClientCertificateSecretName: "hook-client",
		CredentialsSecretName: "acme-webhook-credentials", MaxUpdates: 100,
	}
	relay.Log = v1alpha1.RelayLog{RetentionMonths: 24, Witness: &v1alpha1.LogWitness{
		URL: "https://witness.acme.example:8089", PublicKey: "witness.acme.example+0123abcd+B" + strings.Repeat("A", 43), CABundle: caBundle,
	}}
	relay.BusinessAccount = "acme-numbers"
	in.Account = []contract.AccountNumber{{ID: "100000000000001", PhoneNumber: "+41441234568", Name: "Acme \"Shop\"", Quality: "GREEN", Connected: true}}
	relay.PayloadEncryption = &v1alpha1.PayloadEncryption{PublicKey: "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n"}
	relay.Retention.Days = 7
	relay.Storage = v1alpha1.Storage{
		Size: resource.MustParse("5Gi"), Postgres: &v1alpha1.PostgresStorage{Database: "acme"},
	}
	relay.Replicas = 3
	relay.Endpoint.TLSSecretName = "endpoint-tls"
	relay.Trust, relay.AcceptUnencrypted, relay.Throughput = v1alpha1.TrustFirstUse, true, 500
	relay.Storage.Mode = v1alpha1.StorageNone
	relay.Privacy.ClearMetadata, relay.Privacy.ShareNumbers = true, new(false)
	relay.EncryptionNotice, relay.EncryptionNoticeText = v1alpha1.EncryptionNoticeNever, "Tap the lock.\n\"Acme\" <reads> OMEMO."
	relay.Rotation = v1alpha1.Rotation{Identity: 2, Access: 3}
	relay.Resources = corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")},
	}
	relay.RuntimeClassName, relay.PriorityClassName = "gvisor", "important"
	relay.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}

	region.Placement = v1alpha1.Placement{
		NodeSelector: map[string]string{"disk": "encrypted"},
		Tolerations: []corev1.Toleration{{
			Key: "relays", Operator: corev1.TolerationOpEqual, Value: "only",
			Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(60)),
		}},
	}
	region.Pods.HostUsers = new(false)
	region.Vault = v1alpha1.Vault{
		Address: "https://vault.eu.example.org", CABundle: caBundle, AuthPath: "k8s/one",
		KVMount: "one/kv", TransitMount: "one/transit", PKIMount: "one/pki",
	}
	region.Postgres = &v1alpha1.Postgres{Address: "postgres.eu.example.org:5433", CABundle: caBundle}
	region.Carrier.XMPP.CustomersWithoutNumber = v1alpha1.CustomersWithoutNumberAllow
	region.Carrier.XMPP.Address, region.Carrier.XMPP.CABundle = "xmpp.eu.example.org:5223", caBundle
	region.Endpoint = v1alpha1.RegionEndpoint{
		Domain:     "relays.example.org",
		GatewayRef: &v1alpha1.GatewayReference{Namespace: "gateways", Name: "public", SectionName: "tls"},
		Shared:     &v1alpha1.SharedHost{Host: "api.relays.example.org", SectionName: "https"},
	}
	region.Network = fullNetwork()
	return in
}

func fullNetwork() v1alpha1.Network {
	peer := func(cidr string) []networkingv1.NetworkPolicyPeer {
		return []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: cidr}}}
	}
	port := func(n int32) []networkingv1.NetworkPolicyPort {
		return []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromInt32(n))}}
	}
	return v1alpha1.Network{
		Ingress: []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "gateways"}},
			PodSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: "gateway", Operator: metav1.LabelSelectorOpExists},
				{Key: "tier", Operator: metav1.LabelSelectorOpIn, Values: []string{"edge"}},
			}},
		}},
		Monitoring: []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{},
		}},
		DNS:      &v1alpha1.Egress{To: peer("169.254.20.10/32"), Ports: []networkingv1.NetworkPolicyPort{{Protocol: new(corev1.ProtocolUDP), Port: new(intstr.FromInt32(53))}}},
		Vault:    &v1alpha1.Egress{To: peer("10.9.0.0/24"), Ports: port(8200)},
		Carrier:  &v1alpha1.Egress{To: peer("2001:db8::5/128"), Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromInt32(5222)), EndPort: new(int32(5223))}}},
		Postgres: &v1alpha1.Egress{To: peer("10.40.0.7/32"), Ports: port(5433)},
		PrivateLinks: []v1alpha1.PrivateLinks{
			{Hosts: []v1alpha1.Hostname{"files.acme.svc", "10.30.0.9"}, Egress: v1alpha1.Egress{To: peer("10.30.0.0/24"), Ports: port(8080)}},
			{Hosts: []v1alpha1.Hostname{"media.acme.svc"}, Egress: v1alpha1.Egress{To: peer("10.31.0.0/24"), Ports: port(443)}},
		},
		PrivateWebhooks: []v1alpha1.Egress{{
			To:    []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.20.0.0/16", Except: []string{"10.20.1.0/24"}}}},
			Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromString("https"))}},
		}},
	}
}

// children renders all of a relay's children, as the golden files hold them.
func children(t *testing.T, in desired.Input) []byte {
	t.Helper()
	file, hash, err := desired.Config(in)
	if err != nil {
		t.Fatal(err)
	}
	objects := []any{
		desired.ServiceAccount(in), desired.ConfigMap(in, file),
		desired.RelayPolicy(in), desired.JanitorPolicy(in), desired.Service(in),
		desired.Claim(in, resource.Quantity{}), desired.StatefulSet(in, hash),
		desired.DisruptionBudget(in), desired.CronJob(in), desired.ErasePolicy(in), desired.EraseJob(in),
	}
	if in.Region.Spec.Endpoint.GatewayRef != nil {
		objects = append(objects, desired.Route(in).Object)
	}
	if desired.SharedHost(in.Relay, in.Region) != "" {
		objects = append(objects, desired.SharedRoute(in, "100000000000001", "200000000000002").Object)
	}
	var out bytes.Buffer
	for _, o := range objects {
		data, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(data)
	}
	return out.Bytes()
}

// keeper renders all that a region's keeper needs.
func keeper(t *testing.T, in desired.Input) []byte {
	t.Helper()
	k := desired.KeeperInput{Region: in.Region, RelayImage: in.RelayImage, Namespace: in.OperatorNamespace}
	for _, s := range in.Relay.Spec.ImagePullSecrets {
		k.PullSecrets = append(k.PullSecrets, s.Name)
	}
	var out bytes.Buffer
	for _, o := range []any{desired.KeeperAccount(k), desired.KeeperPolicy(k), desired.KeeperCronJob(k)} {
		data, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(data)
	}
	return out.Bytes()
}

func TestKeepersAreRenderedAsTheGoldenFilesSay(t *testing.T) {
	for name, in := range map[string]desired.Input{"keeper-minimal": minimal(), "keeper-full": full()} {
		path := filepath.Join("testdata", name+".yaml")
		got := keeper(t, in)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v (run 'go test ./controllers/internal/desired -update')", err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("the keeper differs from %s (-want +got); after an intended change run 'go test ./controllers/internal/desired -update':\n%s", path, diff)
		}
	}
}

func TestChildrenAreRenderedAsTheGoldenFilesSay(t *testing.T) {
	gateway := full()
	gateway.Relay.Spec.Endpoint = v1alpha1.RelayEndpoint{TerminateAtGateway: true, Shared: true}
	gateway.Relay.Spec.Suspend = true
	gateway.OperatorNamespace = ""
	forbidden := withProcessors()
	forbidden.Region.Spec.Transfers = v1alpha1.TransfersForbid
	for name, in := range map[string]desired.Input{
		"minimal": minimal(), "full": full(), "gateway-suspended": gateway, "processors": withProcessors(), "transfers-forbidden": forbidden,
	} {
		t.Run(name, func(t *testing.T) {
			got := children(t, in)
			path := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v (run 'go test ./controllers/internal/desired -update')", err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("children differ from %s (-want +got); after an intended change run 'go test ./controllers/internal/desired -update':\n%s", path, diff)
			}
		})
	}
}

func TestRendering_IsDeterministic(t *testing.T) {
	first := children(t, full())
	for range 20 {
		if !bytes.Equal(first, children(t, full())) {
			t.Fatal("the same input rendered two different sets of children")
		}
	}
}
