package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// ConfigKey is the key of the relay's configuration file in its ConfigMap.
const ConfigKey = "relay.json"

// Host is the DNS name of the relay's endpoint.
func Host(relay *v1alpha1.BusinessRelay, region *v1alpha1.DataRegion) string {
	name := v1alpha1.TenantName(relay.Name) + "." + relay.Namespace
	if d := region.Spec.Endpoint.Domain; d != "" {
		return name + "." + string(d)
	}
	return name + ".svc"
}

// URL is the base URL of the relay's endpoint.
func URL(relay *v1alpha1.BusinessRelay, region *v1alpha1.DataRegion) string {
	if region.Spec.Endpoint.Domain == "" {
		return "https://" + net.JoinHostPort(Host(relay, region), strconv.Itoa(int(contract.EndpointPort)))
	}
	return "https://" + Host(relay, region)
}

// Config is the relay's configuration file and its hash, the lower-case hex
// SHA-256 of its bytes, which the relay reports as the one it runs with.
func Config(in Input) (file []byte, hash string, err error) {
	file, err = json.MarshalIndent(config(in), "", "  ")
	if err != nil {
		return nil, "", fmt.Errorf("rendering the relay's configuration: %w", err)
	}
	file = append(file, '\n')
	if len(file) > contract.MaxConfigBytes {
		return nil, "", fmt.Errorf("rendering the relay's configuration: %d bytes are more than the %d that a relay reads",
			len(file), contract.MaxConfigBytes)
	}
	for _, arg := range in.serveArgs() {
		if len(arg) > contract.MaxArgumentBytes {
			name, _, _ := strings.Cut(arg, "=")
			return nil, "", fmt.Errorf("rendering the relay's arguments: %s has %d bytes, more than the %d that a program can be given: shorten it in the DataRegion",
				name, len(arg), contract.MaxArgumentBytes)
		}
	}
	sum := sha256.Sum256(file)
	return file, hex.EncodeToString(sum[:]), nil
}

func config(in Input) contract.Config {
	relay := in.Relay.Spec
	c := contract.Config{
		Version:     contract.ConfigVersion,
		Namespace:   in.Relay.Namespace,
		Name:        in.tenant(),
		Region:      in.Region.Name,
		Country:     country(in.Region.Spec),
		PhoneNumber: relay.PhoneNumber,

		BusinessAccount: relay.BusinessAccount,

		Profile: contract.Profile(relay.Profile),
		Endpoint: contract.Endpoint{
			URL:  URL(in.Relay, in.Region),
			Host: Host(in.Relay, in.Region),
			TLS:  tlsSource(relay.Endpoint),

			SharedHost: SharedHost(in.Relay, in.Region),
		},
		RetentionDays:        int(relay.Retention.Days),
		Trust:                string(relay.Trust),
		AcceptUnencrypted:    relay.AcceptUnencrypted,
		ClearMetadata:        relay.Privacy.ClearMetadata,
		NoStorage:            relay.Storage.Mode == v1alpha1.StorageNone,
		HideNumbers:          relay.Privacy.ShareNumbers != nil && !*relay.Privacy.ShareNumbers,
		NoEncryptionNotice:   relay.EncryptionNotice == v1alpha1.EncryptionNoticeNever,
		EncryptionNoticeText: relay.EncryptionNoticeText,
		Throughput:           int(relay.Throughput),
		Volume:               in.Volume,
		Replicated:           in.replicated(),
		Rotation: contract.Rotation{
			Identity: int(relay.Rotation.Identity),
			Access:   int(relay.Rotation.Access),
		},
	}
	switch {
	case in.Relay.Arrives():
		c.Move = contract.MoveArrive
	case in.Relay.InTransit():
		c.Move = contract.MoveDepart
	}
	if w := in.webhook(); w != nil {
		c.Webhook = &contract.Webhook{
			URL:               w.URL,
			CABundle:          string(w.CABundle),
			ClientCertificate: w.ClientCertificateSecretName != "",
			OwnCredentials:    w.CredentialsSecretName != "",
		}
		if w.MaxUpdates > 1 { // files of former releases have none
			c.Webhook.MaxUpdates = int(w.MaxUpdates)
		}
	}
	if o := relay.OptOut; o != nil {
		c.OptOut = &contract.OptOut{
			Words: o.Words, ResumeWords: o.ResumeWords, Confirmation: o.Confirmation, ResumeConfirmation: o.ResumeConfirmation,
			MarketingOnly: o.Applies == v1alpha1.OptOutMarketing,
		}
	}
	if m := relay.Log.RetentionMonths; m != contract.DefaultLogMonths { // files of former releases have none
		c.Log.RetentionMonths = int(m)
	}
	if w := relay.Log.Witness; w != nil {
		c.Log.Witness = &contract.Witness{URL: w.URL, PublicKey: w.PublicKey, CABundle: string(w.CABundle)}
	}
	for _, p := range in.processors() {
		c.Processors = append(c.Processors, contract.Processor{Name: p.Name, URL: p.URL, CABundle: string(p.CABundle)})
	}
	if p := relay.Storage.Postgres; p != nil {
		c.Postgres = &contract.Postgres{Database: p.Database, Size: relay.Storage.Size.Value()}
	}
	if e := relay.PayloadEncryption; e != nil {
		c.PayloadEncryption = &contract.PayloadEncryption{PublicKey: e.PublicKey}
	}
	return c
}

// country is what the user ids of customers begin with whose numbers have no country. EU is reserved in
// ISO 3166-1; North America has nothing of that kind.
func country(region v1alpha1.DataRegionSpec) string {
	switch region.Type {
	case v1alpha1.RegionEU:
		return "EU"
	case v1alpha1.RegionNA:
		return "US"
	case v1alpha1.RegionLocal:
	}
	return string(region.Country)
}

func tlsSource(e v1alpha1.RelayEndpoint) string {
	switch {
	case e.TerminateAtGateway:
		return contract.TLSAtGateway
	case e.TLSSecretName != "":
		return contract.TLSFromSecret
	default:
		return contract.TLSFromPKI
	}
}

// ConfigMap holds the configuration file, what holds for first contacts, and what the relay tells of its business account if it
// names one. It outlives the relay, because the janitor reads it.
func ConfigMap(in Input, file []byte) *corev1ac.ConfigMapApplyConfiguration {
	data := map[string]string{ConfigKey: string(file), contract.IntegrityFile: indented(in.Integrity)}
	if in.Relay.Spec.BusinessAccount != "" {
		data[contract.AccountFile] = account(in.Account)
	}
	return corev1ac.ConfigMap(in.tenant(), in.Relay.Namespace).
		WithLabels(in.labels(v1alpha1.ComponentRelay)).
		WithData(data)
}

// account is the account file.
func account(numbers []contract.AccountNumber) string {
	if len(numbers) == 0 {
		numbers = []contract.AccountNumber{}
	}
	return indented(contract.Account{Version: contract.AccountVersion, Numbers: numbers})
}

// indented is a struct as a JSON file.
func indented(content any) string {
	file, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		panic(err) // the structs have nothing that cannot be written
	}
	return string(file) + "\n"
}
