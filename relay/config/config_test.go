package config_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/config"
)

// valid returns a configuration with every required field in order.
func valid() contract.Config {
	return contract.Config{
		Version: contract.ConfigVersion, Namespace: "acme", Name: "shop-relay", Region: "eu",
		PhoneNumber: "+4930123456",
		Vault: contract.Vault{
			Address: "https://vault.eu.test:8200", AuthPath: "kubernetes",
			KVMount: "kv", TransitMount: "transit", PKIMount: "pki",
		},
		Carrier: contract.Carrier{XMPP: &contract.XMPP{
			Domain: "eu.relay.test", Address: "10.99.0.1:5222", Registration: "Open",
		}},
		Endpoint: contract.Endpoint{
			URL: "https://shop-relay.acme.eu.relay.test", Host: "shop-relay.acme.eu.relay.test",
			TLS: contract.TLSFromPKI,
		},
		Webhook:       &contract.Webhook{URL: "https://hook.acme.test/in"},
		RetentionDays: 30, Trust: "blind", Throughput: 80,
		Rotation: contract.Rotation{Identity: 1, Access: 1},
	}
}

// strongKey and weakKey are RSA public keys of 2,048 and 1,024 bits.
const (
	strongKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuCdnZNA/P/Bj0y/D4TiE
kRKN9r3+VbP+T6ODIMppibkYAro6/BkgiS353sifnQdedFKf6rxXbdgv2LkryQEU
ATFREHsQ0j2XP2KUWk8pQ0aeawzhAa4iBRuECOludlG1izD9YFq+bbvGdR/UOd4i
NbmAO9ifHTwE+/05Amnt7IrIYkaHOMB1Hv0mPZZmHHRbqH6EEfQvY05KyfHwWVp8
iGQFrxCO6K8jdv7CLR6GtDjOWISFjaFmlyiQMX6afYu2Hq4J/CNXYWGlFvRB5s6N
pR2K+5WwC26EuQMKVIRCYyjWfRT5DM0r6zYTlrAIXnazh2R8niN9TGcuuYPoQxXM
RQIDAQAB
-----END PUBLIC KEY-----
`
	weakKey = `-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDN4+aT6hZqupK0dy0NxnDIKbfb
vh7LTIN4VG4iapB1fmuVqlvYi+4AtEi1qnLDyPtL+ImTipOz8N5tz37aAdgKd4z5
kyfwa6UUy6InnAJf0ccAtowbvMvFULGVowJ0fls9dI6cf/4lRqk0DyIk3OpkK24R
hCqdr7dQfldgNAHRbQIDAQAB
-----END PUBLIC KEY-----
`
)

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestLoadReadsWhatTheOperatorRenders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.json")
	want := valid()
	want.PayloadEncryption = &contract.PayloadEncryption{PublicKey: strongKey}
	if err := os.WriteFile(path, encode(t, want), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, f.Config); diff != "" {
		t.Error(diff)
	}
	if len(f.Hash) != 64 {
		t.Errorf("hash %q is no SHA-256 in hex", f.Hash)
	}
}

// given returns the arguments that the operator writes for a valid configuration.
func given() config.Arguments {
	c := valid()
	return config.Arguments{Region: c.Region, Vault: c.Vault, Carrier: c.Carrier}
}

// write writes a configuration as the operator renders it, without Vault and carrier,
// or as an earlier release's did.
func write(t *testing.T, former bool) string {
	t.Helper()
	c := valid()
	if former {
		c.Vault.Address, c.Carrier.XMPP.Domain = "https://vault.former.test", "former.test"
	} else {
		c.Vault, c.Carrier = contract.Vault{}, contract.Carrier{}
	}
	path := filepath.Join(t.TempDir(), "relay.json")
	if err := os.WriteFile(path, encode(t, c), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigurationOfAnotherRegionIsRefused(t *testing.T) {
	path := write(t, false)
	for region, refused := range map[string]bool{"": false, "eu": false, "na": true, "e": true} {
		args := given()
		args.Region = region
		for name, load := range map[string]func(string, config.Arguments) (*config.File, error){"relay": config.LoadRelay, "janitor": config.LoadJanitor} {
			_, err := load(path, args)
			if _, invalid := errors.AsType[*config.Invalid](err); invalid != refused {
				t.Errorf("%s for %q: %v", name, region, err)
			}
		}
	}
}

// A configuration may have been there before its region was: what it says of Vault and
// carrier counts for nothing beside the arguments, which admission has compared.
func TestArgumentsSayWhereVaultAndCarrierAreWhateverTheFileSays(t *testing.T) {
	for _, former := range []bool{false, true} {
		f, err := config.LoadRelay(write(t, former), given())
		if err != nil {
			t.Fatal(err)
		}
		if f.Vault != valid().Vault || *f.Carrier.XMPP != *valid().Carrier.XMPP || f.EarlierRelease {
			t.Errorf("former %v: %+v, %+v, %v", former, f.Vault, f.Carrier.XMPP, f.EarlierRelease)
		}
		args := given()
		args.Carrier = contract.Carrier{} // a janitor's have none
		if f, err = config.LoadJanitor(write(t, former), args); err != nil {
			t.Fatal(err)
		}
		if f.Vault != valid().Vault || f.Carrier.XMPP != nil || f.EarlierRelease {
			t.Errorf("a janitor, former %v: %+v, %+v, %v", former, f.Vault, f.Carrier.XMPP, f.EarlierRelease)
		}
	}
}

func TestArgumentsAreCheckedAsTheFileIs(t *testing.T) {
	args := given()
	args.Vault.Address, args.Carrier.XMPP = "http://vault.test", &contract.XMPP{Domain: "eu.relay.test", Address: "nowhere", Registration: "Open"}
	_, err := config.LoadRelay(write(t, false), args)
	if err == nil || !strings.Contains(err.Error(), "vault.address: must start with https") || !strings.Contains(err.Error(), "carrier.xmpp.address: must be host:port") {
		t.Errorf("error is %v", err)
	}
}

// Only a janitor may take the file's word: one that was left behind by an earlier release
// has the arguments of then, and can read nothing.
func TestVaultAddress_ComesFromTheFileForFormerJanitorsOnly(t *testing.T) {
	bare := config.Arguments{Region: "eu"}
	f, err := config.LoadJanitor(write(t, true), bare)
	if err != nil || !f.EarlierRelease || f.Vault.Address != "https://vault.former.test" {
		t.Errorf("a former janitor: %+v, %v", f, err)
	}
	for name, try := range map[string]func() error{
		"a relay without arguments": func() error { _, err := config.LoadRelay(write(t, true), bare); return err },
		"a relay without a carrier": func() error {
			_, err := config.LoadRelay(write(t, true), config.Arguments{Vault: valid().Vault})
			return err
		},
		"a janitor that is told nowhere": func() error { _, err := config.LoadJanitor(write(t, false), bare); return err },
		"a janitor with a part of the places": func() error {
			_, err := config.LoadJanitor(write(t, true), config.Arguments{Vault: contract.Vault{KVMount: "kv"}})
			return err
		},
	} {
		if _, invalid := errors.AsType[*config.Invalid](try()); !invalid {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestLoadSaysThatTheFileIsMissing(t *testing.T) {
	if _, err := config.Load(filepath.Join(t.TempDir(), "none.json")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v, want a missing file", err)
	}
}

func TestArguments_NameTheHostsOfPrivateLinks(t *testing.T) {
	a := given()
	a.PrivateLinks = []string{"files.acme.svc", "10.1.2.3"}
	f, err := config.LoadRelay(write(t, false), a)
	if err != nil || len(f.PrivateLinks) != 2 {
		t.Errorf("read %v: %v", f, err)
	}
	a.PrivateLinks = []string{"https://files.acme.svc"}
	if _, err := config.LoadRelay(write(t, false), a); err == nil || !strings.Contains(err.Error(), "--private-links:") {
		t.Errorf("an address in place of a name: %v", err)
	}
}

func TestParseNamesTheFieldAtFault(t *testing.T) {
	cases := map[string]struct {
		change func(*contract.Config)
		want   string
	}{
		"version":         {func(c *contract.Config) { c.Version = 2 }, "version:"},
		"namespace":       {func(c *contract.Config) { c.Namespace = "Acme" }, "namespace:"},
		"name":            {func(c *contract.Config) { c.Name = "" }, "name:"},
		"region":          {func(c *contract.Config) { c.Region = "e.u" }, "region:"},
		"number":          {func(c *contract.Config) { c.PhoneNumber = "030123456" }, "phoneNumber:"},
		"account":         {func(c *contract.Config) { c.BusinessAccount = "Acme" }, "businessAccount:"},
		"31 days":         {func(c *contract.Config) { c.RetentionDays = 31 }, "retentionDays: must be from 1 to 30"},
		"trust":           {func(c *contract.Config) { c.Trust = "all" }, "trust: must be one of blind, firstUse"},
		"notice":          {func(c *contract.Config) { c.EncryptionNoticeText = strings.Repeat("ä", 1001) }, "encryptionNoticeText: must have at most 1000"},
		"throughput":      {func(c *contract.Config) { c.Throughput = 0 }, "throughput:"},
		"identity count":  {func(c *contract.Config) { c.Rotation.Identity = 0 }, "rotation.identity:"},
		"access count":    {func(c *contract.Config) { c.Rotation.Access = 0 }, "rotation.access:"},
		"vault in clear":  {func(c *contract.Config) { c.Vault.Address = "http://vault" }, "vault.address: must start with https"},
		"vault mount":     {func(c *contract.Config) { c.Vault.KVMount = "/kv" }, "vault.kvMount:"},
		"vault bundle":    {func(c *contract.Config) { c.Vault.CABundle = "no PEM" }, "vault.caBundle:"},
		"carrier domain":  {func(c *contract.Config) { c.Carrier.XMPP.Domain = "a b" }, "carrier.xmpp.domain:"},
		"carrier address": {func(c *contract.Config) { c.Carrier.XMPP.Address = "host" }, "carrier.xmpp.address:"},
		"registration":    {func(c *contract.Config) { c.Carrier.XMPP.Registration = "" }, "carrier.xmpp.registration:"},
		"endpoint tls":    {func(c *contract.Config) { c.Endpoint.TLS = "maybe" }, "endpoint.tls:"},
		"shared host":     {func(c *contract.Config) { c.Endpoint.SharedHost, c.Endpoint.TLS = "a b", "None" }, "endpoint.sharedHost: must be a host name"},
		"shared with TLS": {func(c *contract.Config) { c.Endpoint.SharedHost, c.Endpoint.TLS = "api.example.org", "PKI" }, "endpoint.sharedHost: needs endpoint.tls"},
		"endpoint host":   {func(c *contract.Config) { c.Endpoint.Host = "" }, "endpoint.host:"},
		"webhook clear":   {func(c *contract.Config) { c.Webhook.URL = "http://hook" }, "webhook.url: must start with https"},
		"webhook updates": {func(c *contract.Config) { c.Webhook.MaxUpdates = 1001 }, "webhook.maxUpdates: must be 1 to 1000"},
		"webhook fewer":   {func(c *contract.Config) { c.Webhook.MaxUpdates = -1 }, "webhook.maxUpdates: must be 1 to 1000"},
		"webhook login":   {func(c *contract.Config) { c.Webhook.URL = "https://u:p@hook" }, "webhook.url: must have neither"},
		"profile":         {func(c *contract.Config) { c.Profile.About = strings.Repeat("ä", 513) }, "profile.about:"},
		"volume":          {func(c *contract.Config) { c.Volume = "a b" }, "volume:"},
		"picture":         {func(c *contract.Config) { c.Profile.Picture = strings.Repeat("A", contract.MaxPicture+1) }, "profile.picture:"},
		"no public key":   {func(c *contract.Config) { c.PayloadEncryption = &contract.PayloadEncryption{} }, "payloadEncryption.publicKey: must be one RSA public key"},
		"weak public key": {func(c *contract.Config) { c.PayloadEncryption = &contract.PayloadEncryption{PublicKey: weakKey} }, "payloadEncryption.publicKey: must have 2048 to 8192 bits"},
		"websites":        {func(c *contract.Config) { c.Profile.Websites = []string{"a", "b", "c"} }, "profile.websites:"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := valid()
			tc.change(&c)
			_, err := config.Parse(encode(t, c))
			var invalid *config.Invalid
			if !errors.As(err, &invalid) {
				t.Fatalf("got %v, want *Invalid", err)
			}
			if len(invalid.Problems) != 1 || !strings.HasPrefix(invalid.Problems[0], tc.want) {
				t.Errorf("problems %q, want one that starts with %q", invalid.Problems, tc.want)
			}
		})
	}
}

func TestParseNamesEveryProblemAtOnce(t *testing.T) {
	c := valid()
	c.RetentionDays, c.Trust, c.Webhook.URL = 0, "", "ftp://x"
	_, err := config.Parse(encode(t, c))
	for _, want := range []string{"retentionDays", "trust", "webhook.url"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

func TestParseRefusesWhatIsNoConfiguration(t *testing.T) {
	good := string(encode(t, valid()))
	cases := map[string]struct{ in, want string }{
		"empty":         {"", "cut short"},
		"cut":           {good[:len(good)/2], "cut short"},
		"not JSON":      {"version: 1", "not JSON at byte"},
		"wrong kind":    {`{"version":"1"}`, "version: must be a int, is a string"},
		"unknown field": {strings.Replace(good, `"region"`, `"regoin"`, 1), "regoin: unknown field"},
		"two objects":   {good + good, "data after"},
		"twice":         {strings.Replace(good, `{`, `{"region":"us",`, 1), "region: stands twice"},
		"twice, nested": {strings.Replace(good, `"kvMount"`, `"address":"https://evil.test","kvMount"`, 1), "address: stands twice"},
		"capitals":      {strings.Replace(good, `"vault"`, `"Vault"`, 1), "Vault: must have the field's exact spelling"},
		"escaped":       {strings.Replace(good, `{`, `{"\u0072egion":"us",`, 1), "region: stands twice"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := config.Parse([]byte(tc.in)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestParseRefusesAFileBeyondTheLimit(t *testing.T) {
	big := make([]byte, contract.MaxConfigBytes+1)
	if _, err := config.Parse(big); !errors.Is(err, config.ErrTooLarge) {
		t.Fatalf("got %v, want ErrTooLarge", err)
	}
}

// FuzzParse holds that no input makes the parser panic, and that what it accepts
// it accepts again after being rewritten.
func FuzzParse(f *testing.F) {
	seed, _ := json.Marshal(valid())
	f.Add(seed)
	f.Add([]byte(`{"version":1,"carrier":{"xmpp":null}}`))
	f.Add([]byte(`{"unknown":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := config.Parse(data)
		if err != nil {
			return
		}
		if _, err := config.Parse(encode(t, file.Config)); err != nil {
			t.Errorf("accepted once, then refused: %v", err)
		}
	})
}

func TestDatabase_NeedsItsServerInTheArguments(t *testing.T) {
	c := valid()
	c.Vault, c.Carrier = contract.Vault{}, contract.Carrier{}
	c.Postgres = &contract.Postgres{Database: "acme_1-x", Size: 1 << 30}
	path := filepath.Join(t.TempDir(), "relay.json")
	if err := os.WriteFile(path, encode(t, c), 0o600); err != nil {
		t.Fatal(err)
	}
	a := config.Arguments{Vault: valid().Vault, Carrier: valid().Carrier}
	for address, problem := range map[string]string{
		"": "--postgres-address: is missing", "db.eu.test": "must be host:port", "db.eu.test:5432": "",
	} {
		a.Postgres.Address = address
		if _, err := config.LoadEraser(path, a); err != nil {
			t.Errorf("%q: who erases needs no database: %v", address, err)
		}
		f, err := config.LoadRelay(path, a)
		if problem == "" {
			if err != nil || f.Server.Address != address || f.Postgres.Database != "acme_1-x" {
				t.Errorf("%q: %v", address, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: %v, want %q", address, err, problem)
		}
	}
	for _, name := range []string{"", "Acme", "1acme", "acme;", strings.Repeat("a", 64)} {
		c := valid()
		c.Postgres = &contract.Postgres{Database: name, Size: 1}
		if _, err := config.Parse(encode(t, c)); err == nil || !strings.Contains(err.Error(), "postgres.database") {
			t.Errorf("the database %q: %v", name, err)
		}
	}
}

func TestReplicas_NeedADatabase(t *testing.T) {
	c := valid()
	c.Replicated = true
	if _, err := config.Parse(encode(t, c)); err == nil || !strings.Contains(err.Error(), "replicated: ") {
		t.Errorf("without a database: %v", err)
	}
	c.Postgres = &contract.Postgres{Database: "acme", Size: 1}
	if _, err := config.Parse(encode(t, c)); err != nil {
		t.Error(err)
	}
}
