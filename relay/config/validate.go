package config

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Limits of single settings. They repeat what the API server enforces, because the relay trusts no
// file.
const (
	maxRetentionDays = 30
	maxThroughput    = 1000 // messages a second, the hosted API's ceiling for a number
	maxURL           = 2048 // bytes
	maxProfileField  = 512  // characters
	maxWebsites      = 2
	maxVolume        = 253
)

// country is a country's code as in ISO 3166-1 alpha-2.
var country = regexp.MustCompile(`^[A-Z]{2}$`)

// label is a DNS label (RFC 1123).
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// mount is a path in Vault without slashes at its ends.
var mount = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)

// witnessKey is the public key of a witness, whose type is cosignature/v1.
var witnessKey = regexp.MustCompile(`^[A-Za-z0-9._/:-]+[+][0-9a-f]{8}[+]B[A-Za-z0-9+/]{43}$`)

// database is the name of a PostgreSQL database that needs no quotes, apart from hyphens.
var database = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,62}$`)

// problems collects what is wrong.
type problems []string

func (p *problems) addf(field, format string, args ...any) {
	*p = append(*p, field+": "+fmt.Sprintf(format, args...))
}

func (p *problems) match(field, value string, re *regexp.Regexp, want string) {
	if !re.MatchString(value) || len(value) > maxURL {
		p.addf(field, "must be %s", want)
	}
}

func (p *problems) oneOf(field, value string, allowed ...string) {
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	p.addf(field, "must be one of %s", strings.Join(allowed, ", "))
}

func (p *problems) upTo(field string, value, most int) {
	if value < 1 || value > most {
		p.addf(field, "must be from 1 to %d", most)
	}
}

// https accepts absolute https URLs without credentials or fragment.
func (p *problems) https(field, value string) {
	u, err := url.Parse(value)
	switch {
	case err != nil || len(value) > maxURL || u.Host == "":
		p.addf(field, "must be an absolute URL of at most %d bytes", maxURL)
	case u.Scheme != "https":
		p.addf(field, "must start with https://, so that content is encrypted on its way")
	case u.User != nil || u.Fragment != "":
		p.addf(field, "must have neither user name, password nor fragment")
	}
}

func (p *problems) bundle(field, value string) {
	if value != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(value)) {
		p.addf(field, "must hold at least one certificate in PEM")
	}
}

// validate names every problem of c.
func validate(c *contract.Config) []string {
	var p problems
	if c.Version != contract.ConfigVersion {
		p.addf("version", "must be %d, the only version that this relay reads", contract.ConfigVersion)
	}
	p.match("namespace", c.Namespace, label, "a DNS label")
	p.match("name", c.Name, label, "a DNS label")
	p.match("region", c.Region, label, "a DNS label")
	if c.Country != "" {
		p.match("country", c.Country, country, "two capital letters")
	}
	if _, err := phone.Parse(c.PhoneNumber); err != nil {
		p.addf("phoneNumber", "%v", err)
	}
	if c.BusinessAccount != "" {
		p.match("businessAccount", c.BusinessAccount, label, "a DNS label")
	}
	p.upTo("retentionDays", c.RetentionDays, maxRetentionDays)
	p.oneOf("trust", c.Trust, "blind", "firstUse")
	if len([]rune(c.EncryptionNoticeText)) > contract.MaxNotice {
		p.addf("encryptionNoticeText", "must have at most %d characters", contract.MaxNotice)
	}
	p.upTo("throughput", c.Throughput, maxThroughput)
	p.upTo("rotation.identity", c.Rotation.Identity, 1<<20)
	p.upTo("rotation.access", c.Rotation.Access, 1<<20)
	p.oneOf("move", c.Move, "", contract.MoveDepart, contract.MoveArrive)
	if len(c.Volume) > maxVolume || strings.ContainsFunc(c.Volume, func(r rune) bool { return r <= ' ' || r > '~' }) {
		p.addf("volume", "must be a name of at most %d printable characters", maxVolume)
	}
	p.store(c)
	p.profile(c.Profile)
	p.services(c)
	p.endpoint(c.Endpoint)
	p.processors(c)
	if c.Webhook != nil {
		p.https("webhook.url", c.Webhook.URL)
		p.bundle("webhook.caBundle", c.Webhook.CABundle)
		if n := c.Webhook.MaxUpdates; n < 0 || n > contract.MaxWebhookUpdates {
			p.addf("webhook.maxUpdates", "must be 1 to %d", contract.MaxWebhookUpdates)
		}
	}
	p.optOut(c.OptOut)
	p.log(c.Log)
	if c.PayloadEncryption != nil {
		if _, err := contract.ParsePublicKey(c.PayloadEncryption.PublicKey); err != nil {
			p.addf("payloadEncryption.publicKey", "%v", err)
		}
	}
	return p
}

// optOut are the words by which customers stop the business.
func (p *problems) optOut(o *contract.OptOut) {
	if o == nil {
		return
	}
	if len(o.Words) == 0 {
		p.addf("optOut.words", "must have at least one word")
	}
	seen := map[string]bool{}
	for field, words := range map[string][]string{"optOut.words": o.Words, "optOut.resumeWords": o.ResumeWords} {
		if len(words) > contract.MaxOptOutWords {
			p.addf(field, "must have at most %d words", contract.MaxOptOutWords)
		}
		for _, w := range words {
			key := strings.ToLower(strings.TrimSpace(w))
			if key == "" || len([]rune(w)) > contract.MaxOptOutWord || seen[key] {
				p.addf(field, "must be words of 1 to %d characters, each once", contract.MaxOptOutWord)
			}
			seen[key] = true
		}
	}
	for field, text := range map[string]string{"optOut.confirmation": o.Confirmation, "optOut.resumeConfirmation": o.ResumeConfirmation} {
		if len([]rune(text)) > contract.MaxOptOutConfirmation {
			p.addf(field, "must have at most %d characters", contract.MaxOptOutConfirmation)
		}
	}
}

func (p *problems) log(c contract.Log) {
	p.upTo("log.retentionMonths", c.Months(), contract.MaxLogMonths)
	if w := c.Witness; w != nil {
		p.https("log.witness.url", w.URL)
		p.bundle("log.witness.caBundle", w.CABundle)
		p.match("log.witness.publicKey", w.PublicKey, witnessKey, "the public key of a witness, such as witness.example.org+89abcdef+B…")
	}
}

// processors are the further receivers. What is encrypted for the business they could not read.
func (p *problems) processors(c *contract.Config) {
	if len(c.Processors) > contract.MaxProcessors {
		p.addf("processors", "must be at most %d", contract.MaxProcessors)
	}
	if len(c.Processors) > 0 && c.PayloadEncryption != nil {
		p.addf("processors", "must be none with payloadEncryption, whose payloads are for the business alone")
	}
	seen := map[string]bool{}
	for i, of := range c.Processors {
		field := fmt.Sprintf("processors[%d]", i)
		p.match(field+".name", of.Name, label, "a DNS label")
		p.https(field+".url", of.URL)
		p.bundle(field+".caBundle", of.CABundle)
		if seen[of.Name] {
			p.addf(field+".name", "must not be another's")
		}
		seen[of.Name] = true
	}
}

func (p *problems) profile(c contract.Profile) {
	fields := []struct{ name, value string }{
		{"displayName", c.DisplayName},
		{"about", c.About},
		{"address", c.Address},
		{"description", c.Description},
		{"email", c.Email},
		{"vertical", c.Vertical},
	}
	for _, f := range fields {
		if len([]rune(f.value)) > maxProfileField {
			p.addf("profile."+f.name, "must have at most %d characters", maxProfileField)
		}
	}
	if len(c.Picture) > contract.MaxPicture {
		p.addf("profile.picture", "must have at most %d characters", contract.MaxPicture)
	}
	if len(c.Websites) > maxWebsites {
		p.addf("profile.websites", "must be at most %d", maxWebsites)
	}
	for i, w := range c.Websites {
		if len(w) > maxURL {
			p.addf(fmt.Sprintf("profile.websites[%d]", i), "must have at most %d bytes", maxURL)
		}
	}
}

// services are Vault and carrier, which a file need not name.
func (p *problems) services(c *contract.Config) {
	if c.Vault != (contract.Vault{}) {
		p.vault(c.Vault)
	}
	if c.Carrier.XMPP != nil {
		p.carrier(c.Carrier)
	}
}

func (p *problems) vault(c contract.Vault) {
	p.https("vault.address", c.Address)
	p.bundle("vault.caBundle", c.CABundle)
	const want = "a path in Vault without slashes at its ends"
	p.match("vault.authPath", c.AuthPath, mount, want)
	p.match("vault.kvMount", c.KVMount, mount, want)
	p.match("vault.transitMount", c.TransitMount, mount, want)
	p.match("vault.pkiMount", c.PKIMount, mount, want)
}

func (p *problems) carrier(c contract.Carrier) {
	if !hostname(c.XMPP.Domain) {
		p.addf("carrier.xmpp.domain", "must be a host name")
	}
	if c.XMPP.Address != "" && !hostPort(c.XMPP.Address) {
		p.addf("carrier.xmpp.address", "must be host:port")
	}
	p.bundle("carrier.xmpp.caBundle", c.XMPP.CABundle)
	p.oneOf("carrier.xmpp.registration", c.XMPP.Registration, "Closed", "Open", "Token")
	p.oneOf("carrier.xmpp.customersWithoutNumber", c.XMPP.CustomersWithoutNumber, "", contract.Allow)
}

// server is where the relay's database is, if it has one.
func (p *problems) server(c *contract.Postgres, s contract.PostgresServer) {
	switch {
	case c == nil:
		return
	case s.Address == "":
		p.addf("--"+contract.FlagPostgresAddress, "is missing: the operator sets it in the pod's arguments")
	case !hostPort(s.Address):
		p.addf("--"+contract.FlagPostgresAddress, "must be host:port")
	}
	p.bundle("--"+contract.FlagPostgresCA, s.CABundle)
}

// store is where the store is and who shares it.
func (p *problems) store(c *contract.Config) {
	switch {
	case c.Postgres != nil:
		p.match("postgres.database", c.Postgres.Database, database, "a name of up to 63 lower-case letters, digits, underscores and hyphens that begins with a letter or an underscore")
		if c.Postgres.Size < 1 {
			p.addf("postgres.size", "must be a number of bytes")
		}
	case c.Replicated:
		p.addf("replicated", "needs a store in a database: only one pod can have a volume")
	}
}

func (p *problems) endpoint(c contract.Endpoint) {
	p.https("endpoint.url", c.URL)
	if !hostname(c.Host) {
		p.addf("endpoint.host", "must be a host name")
	}
	p.oneOf("endpoint.tls", c.TLS, contract.TLSFromPKI, contract.TLSFromSecret, contract.TLSAtGateway)
	if c.SharedHost != "" && !hostname(c.SharedHost) {
		p.addf("endpoint.sharedHost", "must be a host name")
	}
	if c.SharedHost != "" && c.TLS != contract.TLSAtGateway {
		p.addf("endpoint.sharedHost", "needs endpoint.tls to be %q", contract.TLSAtGateway)
	}
}

// hostname accepts dotted DNS labels and IP addresses.
func hostname(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if len(s) > 253 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if !label.MatchString(part) {
			return false
		}
	}
	return true
}

func hostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || !hostname(host) {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
