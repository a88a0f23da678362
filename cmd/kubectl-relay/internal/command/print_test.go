package command

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// acme is a relay that has reported itself, and its region.
func acme() (*v1alpha1.BusinessRelay, *v1alpha1.DataRegion) {
	relay := &v1alpha1.BusinessRelay{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme"},
		Spec: v1alpha1.BusinessRelaySpec{
			PhoneNumber: "+4930111111", DataRegion: "eu",
			Profile:  v1alpha1.Profile{DisplayName: "Acme \x1b[31mGmbH"},
			Rotation: v1alpha1.Rotation{Identity: 1, Access: 1},
		},
		Status: v1alpha1.BusinessRelayStatus{
			Endpoint: v1alpha1.EndpointStatus{URL: "https://acme-relay.acme.svc:8443", PhoneNumberID: "123456789012345", BusinessAccountID: "543210987654321"},
			Identity: v1alpha1.IdentityStatus{Fingerprint: "00112233 44556677 8899aabb ccddeeff 00112233 44556677 8899aabb ccddeeff", DeviceID: 1234567},
		},
	}
	region := &v1alpha1.DataRegion{
		ObjectMeta: metav1.ObjectMeta{Name: "eu"},
		Spec: v1alpha1.DataRegionSpec{
			Type:    v1alpha1.RegionEU,
			Carrier: v1alpha1.Carrier{XMPP: &v1alpha1.XMPP{Domain: "eu.relay.test", Address: "10.99.0.1:5222"}},
			Vault: v1alpha1.Vault{
				Address: "https://vault.eu.example.org:8200", AuthPath: "kubernetes", KVMount: "kv", TransitMount: "transit", PKIMount: "pki",
			},
		},
	}
	return relay, region
}

func TestInvitation(t *testing.T) {
	for name, tt := range map[string]struct {
		linkOnly bool
		change   func(*v1alpha1.BusinessRelay)
	}{
		"ready":            {false, func(*v1alpha1.BusinessRelay) {}},
		"link":             {true, func(*v1alpha1.BusinessRelay) {}},
		"without-identity": {false, func(r *v1alpha1.BusinessRelay) { r.Status = v1alpha1.BusinessRelayStatus{} }},
		"without-device":   {true, func(r *v1alpha1.BusinessRelay) { r.Status.Identity.DeviceID = 0 }},
		"pending":          {true, func(r *v1alpha1.BusinessRelay) { r.Spec.Rotation.Identity, r.Status.Rotation.Identity = 2, 1 }},
		"without-a-name":   {false, func(r *v1alpha1.BusinessRelay) { r.Spec.Profile.DisplayName = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			relay, region := acme()
			tt.change(relay)
			var out, errOut bytes.Buffer
			check(t, printInvitation(genericiooptions.IOStreams{Out: &out, ErrOut: &errOut}, relay, region, tt.linkOnly))
			golden(t, "invite/"+name+".txt", out.String()+errOut.String())
		})
	}
}

func TestInvitationWithoutCarrierSaysWhatToSet(t *testing.T) {
	relay, region := acme()
	region.Spec.Carrier.XMPP = nil
	err := printInvitation(genericiooptions.NewTestIOStreamsDiscard(), relay, region, true)
	if err == nil || !strings.Contains(err.Error(), "spec.carrier.xmpp") {
		t.Errorf("error %v", err)
	}
}

func sample() *credentials {
	return &credentials{
		Endpoint: "https://acme-relay.acme.svc:8443", PhoneNumberID: "123456789012345", BusinessAccountID: "543210987654321",
		AccessToken: "access'$(reboot)", WebhookSecret: "secret", VerifyToken: "verify",
		CACertificate: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
	}
}

func TestCredentialsOutputs(t *testing.T) {
	for name, show := range credentialPrinters() {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			check(t, show(&out, sample()))
			golden(t, "credentials/"+name+".txt", out.String())
		})
	}
	t.Run("text of a relay that is not ready", func(t *testing.T) {
		var out bytes.Buffer
		check(t, printCredentials(&out, &credentials{AccessToken: "a", WebhookSecret: "b", VerifyToken: "c"}))
		golden(t, "credentials/not-ready.txt", out.String())
	})
	t.Run("of a shared host, where it leads to the relay", func(t *testing.T) {
		c := sample()
		c.SharedEndpoint = "https://api.relays.test"
		for name, want := range map[string]string{
			"text": "Shared endpoint      https://api.relays.test\n", "env": "RELAYKEEP_SHARED_ENDPOINT='https://api.relays.test'\n",
			"json": `"sharedEndpoint": "https://api.relays.test"`, "yaml": "sharedEndpoint: https://api.relays.test\n",
		} {
			var out bytes.Buffer
			check(t, credentialPrinters()[name](&out, c))
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, out.String())
			}
		}
	})
	t.Run("no authority", func(t *testing.T) {
		c := sample()
		c.CACertificate = ""
		if err := credentialPrinters()["ca"](&bytes.Buffer{}, c); err == nil {
			t.Error("printed nothing without an error")
		}
	})
}

func TestEnvironmentIsSafeToEvaluate(t *testing.T) {
	var out bytes.Buffer
	check(t, printEnvironment(&out, sample()))
	got, err := exec.CommandContext(t.Context(), "sh", "-c", out.String()+`printf %s "$RELAYKEEP_ACCESS_TOKEN"`).CombinedOutput()
	check(t, err)
	if string(got) != sample().AccessToken {
		t.Errorf("the shell reads %q", got)
	}
}
