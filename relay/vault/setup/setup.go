// Package setup prepares a Vault for relays, once: mounts, policies and roles, all
// templated on the service account that logs in, so that a new business needs no
// change here. It renders the whole as an ordered list of writes, for an admin to
// review, and applies it; applied again it changes nothing that is as it should be.
// It knows nothing of any tenant.
package setup

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// Default mounts.
const (
	DefaultAuthPath     = "kubernetes"
	DefaultKVMount      = "kv"
	DefaultTransitMount = "transit"
	DefaultPKIMount     = "pki"

	DefaultOperatorNamespace = "relaykeep-system"
)

// Options says what to set up. Empty mounts are the default ones.
type Options struct {
	// Region is the DataRegion whose relays, janitors and businesses log in: a DNS label.
	Region string

	// OperatorNamespace is the operator's, where the region's keeper runs; empty means
	// DefaultOperatorNamespace.
	OperatorNamespace string

	AuthPath, KVMount, TransitMount, PKIMount string

	// KubernetesHost is the API server's address as Vault reaches it, an https URL.
	KubernetesHost string
	// KubernetesCA is the API server's authority, PEM.
	KubernetesCA string
	// ReviewerToken is a service account token bound to system:auth-delegator, by
	// which Vault has logins reviewed. It is not printed.
	ReviewerToken string
	// EndpointDomain is the region's domain for businesses' endpoints.
	EndpointDomain string
	// AuthorityName is the common name of the certificate authority that is made in
	// the PKI mount when that has none.
	AuthorityName string
}

// Step is one write to Vault.
type Step struct {
	Title  string
	Path   string // below /v1/
	Data   map[string]any
	Secret []string // names in Data that are not to be shown
	// Once says that the step makes something which must not be made again: it is
	// skipped where that exists.
	Once bool
	// FormerPolicy, when not empty, is a policy of an earlier release: the step keeps alive
	// what goes on with that, and is skipped where the policy is not there.
	FormerPolicy string
}

// accessorPlaceholder stands for the auth mount's accessor, which Vault chooses when
// it is mounted.
const accessorPlaceholder = "ACCESSOR"

// Retentions are those for which relays may create keys, in days.
const (
	minRetentionDays = 1
	maxRetentionDays = 30
)

// label is a DNS label (RFC 1123), as a DataRegion's name is.
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// withMounts fills in the default mounts.
func (o Options) withMounts() (Options, error) {
	for field, fallback := range map[*string]string{
		&o.AuthPath: DefaultAuthPath, &o.KVMount: DefaultKVMount, &o.TransitMount: DefaultTransitMount,
		&o.PKIMount: DefaultPKIMount, &o.AuthorityName: "Relaykeep endpoints", &o.OperatorNamespace: DefaultOperatorNamespace,
	} {
		if *field == "" {
			*field = fallback
		}
		*field = strings.Trim(*field, "/")
	}
	if !label.MatchString(o.Region) {
		return o, errors.New("setting up Vault: the region's name is missing or not a valid DataRegion name")
	}
	return o, nil
}

func (o Options) withDefaults() (Options, error) {
	o, err := o.withMounts()
	if err != nil {
		return o, err
	}
	switch {
	case !strings.HasPrefix(o.KubernetesHost, "https://"):
		return o, errors.New("setting up Vault: the Kubernetes API server's address must begin with https://")
	case o.KubernetesCA == "":
		return o, errors.New("setting up Vault: the Kubernetes API server's CA certificate is missing")
	case o.ReviewerToken == "":
		return o, errors.New("setting up Vault: the token of a service account bound to system:auth-delegator is missing")
	case strings.HasSuffix(o.TransitMount, vault.SettingsMount("")):
		return o, errors.New("setting up Vault: choose a transit mount that does not end in -settings: those hold another's settings keys")
	case strings.HasSuffix(o.KVMount, vault.ReceiptsMount("")):
		return o, errors.New("setting up Vault: choose a KV mount that does not end in -receipts: those hold another's receipts")
	case o.EndpointDomain == "" || strings.ContainsAny(o.EndpointDomain, ",*{} /"):
		return o, errors.New("setting up Vault: the endpoint domain must be one DNS name")
	}
	return o, nil
}

// Plan returns the writes in their order. accessor is that of the auth mount; empty,
// where it is not mounted yet, it is rendered as ACCESSOR.
func Plan(o Options, accessor string) ([]Step, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	policies, err := Policies(o, accessor)
	if err != nil {
		return nil, err
	}
	steps := mounts(o)
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		steps = append(steps, policyStep(name, policies[name]))
	}
	steps = append(steps, roles(o)...)
	steps = append(steps, authority(o, accessor)...)
	formers, err := formerSteps(o, accessor)
	return append(steps, formers...), err
}

func policyStep(name, text string) Step {
	return Step{Title: "policy " + name, Path: "sys/policies/acl/" + name, Data: map[string]any{"policy": text}}
}

func mounts(o Options) []Step {
	return []Step{
		{
			Title: "logins by service account", Path: "sys/auth/" + o.AuthPath, Once: true,
			Data: map[string]any{"type": "kubernetes"},
		},
		{
			Title: "whom to ask about service account tokens", Path: "auth/" + o.AuthPath + "/config",
			Data: map[string]any{
				"kubernetes_host":                   o.KubernetesHost,
				"kubernetes_ca_cert":                o.KubernetesCA,
				"token_reviewer_jwt":                o.ReviewerToken,
				"disable_local_ca_jwt":              true,
				"use_annotations_as_alias_metadata": false,
			},
			Secret: []string{"token_reviewer_jwt"},
		},
		{
			Title: "identities and credentials", Path: "sys/mounts/" + o.KVMount, Once: true,
			Data: map[string]any{"type": "kv", "options": map[string]any{"version": "2"}},
		},
		{
			Title: "receipts of erasures", Path: "sys/mounts/" + vault.ReceiptsMount(o.KVMount), Once: true,
			Data: map[string]any{"type": "kv", "options": map[string]any{"version": "2"}},
		},
		{
			Title: "wrapping keys", Path: "sys/mounts/" + o.TransitMount, Once: true,
			Data: map[string]any{"type": "transit"},
		},
		{
			Title: "settings keys", Path: "sys/mounts/" + vault.SettingsMount(o.TransitMount), Once: true,
			Data: map[string]any{"type": "transit"},
		},
		{
			Title: "endpoint certificates", Path: "sys/mounts/" + o.PKIMount, Once: true,
			Data: map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "87600h"}},
		},
	}
}

// roles binds each role to the audience that only its pods' tokens have.
func roles(o Options) []Step {
	return []Step{
		role(o, contract.RoleCredentials(o.Region), contract.AudienceCredentials(o.Region)),
		role(o, contract.RoleJanitor(o.Region), contract.AudienceJanitor(o.Region)),
		role(o, contract.RoleRelay(o.Region), contract.AudienceRelay(o.Region)),
		roleOf(o, contract.RoleKeeper(o.Region), contract.AudienceKeeper(o.Region), contract.KeeperName(o.Region), o.OperatorNamespace),
	}
}

// role lets service accounts of relays log in with tokens of an audience. The policy
// has the role's name.
func role(o Options, name, audience string) Step { return roleOf(o, name, audience, "*-relay", "*") }

// roleOf lets the accounts of those names and namespaces log in.
func roleOf(o Options, name, audience, accounts, namespaces string) Step {
	return Step{
		Title: "role " + name, Path: "auth/" + o.AuthPath + "/role/" + name,
		Data: map[string]any{
			"bound_service_account_names":      []string{accounts},
			"bound_service_account_namespaces": []string{namespaces},
			"audience":                         audience,
			"token_policies":                   []string{name},
			"token_no_default_policy":          true,
			"token_ttl":                        "15m",
			"token_max_ttl":                    "1h",
		},
	}
}

// authority makes an authority where there is none and the role by which a relay
// has its own two names signed.
func authority(o Options, accessor string) []Step {
	t := newTemplateData(o, accessor)
	return []Step{
		{
			Title: "an authority of its own, unless the mount has one", Path: o.PKIMount + "/root/generate/internal", Once: true,
			Data: map[string]any{"common_name": o.AuthorityName, "key_type": "ec", "key_bits": 256, "ttl": "87600h"},
		},
		certificateRole(o, t, t.Roles.Relay),
	}
}

func certificateRole(o Options, t templateData, name string) Step {
	return Step{
		Title: "role " + name + " for certificates", Path: o.PKIMount + "/roles/" + name,
		Data: map[string]any{
			"allowed_domains":             []string{t.S + "." + t.N + "." + o.EndpointDomain, t.S + "." + t.N + ".svc"},
			"allowed_domains_template":    true,
			"allow_bare_domains":          true,
			"allow_subdomains":            false,
			"allow_glob_domains":          false,
			"allow_wildcard_certificates": false,
			"allow_any_name":              false,
			"allow_localhost":             false,
			"allow_ip_sans":               false,
			"enforce_hostnames":           true,
			"require_cn":                  false,
			"use_csr_common_name":         false,
			"key_type":                    "ec",
			"key_bits":                    256,
			"server_flag":                 true,
			"client_flag":                 false,
			"ttl":                         "72h",
			"max_ttl":                     "72h",
		},
	}
}

//go:embed policies/*.hcl
var policyFiles embed.FS

// templateData is what the policies are rendered from. N, S and U are Vault's own
// templates for namespace, name and UID of the service account that logged in.
type templateData struct {
	N, S, U, KV, Receipts, Transit, Settings, PKI string
	Periods                                       []string
	Roles                                         struct{ Relay, Janitor, Credentials, Keeper string }
}

func newTemplateData(o Options, accessor string) templateData {
	if accessor == "" {
		accessor = accessorPlaceholder
	}
	alias := "{{identity.entity.aliases." + accessor + ".metadata."
	d := templateData{
		N: alias + "service_account_namespace}}", S: alias + "service_account_name}}", U: alias + vault.MetadataAccount + "}}",
		KV: o.KVMount, Receipts: vault.ReceiptsMount(o.KVMount),
		Transit: o.TransitMount, Settings: vault.SettingsMount(o.TransitMount), PKI: o.PKIMount, Periods: periods(),
	}
	d.Roles.Relay, d.Roles.Janitor, d.Roles.Credentials = contract.RoleRelay(o.Region), contract.RoleJanitor(o.Region), contract.RoleCredentials(o.Region)
	d.Roles.Keeper = contract.RoleKeeper(o.Region)
	return d
}

// periods are the rotations that relays may ask for: one for each retention.
func periods() []string {
	var all []string
	for days := minRetentionDays; days <= maxRetentionDays; days++ {
		p := vault.RotationPeriod(time.Duration(days) * 24 * time.Hour)
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// Policies returns the policies' texts by name.
func Policies(o Options, accessor string) (map[string]string, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	t := newTemplateData(o, accessor)
	return render(map[string]string{
		t.Roles.Relay: "relay.hcl", t.Roles.Janitor: "janitor.hcl", t.Roles.Credentials: "credentials.hcl",
		t.Roles.Keeper: "keeper.hcl",
	}, t)
}

// render renders policies, whose files are given by the policies' names.
func render(files map[string]string, t templateData) (map[string]string, error) {
	texts, err := template.ParseFS(policyFiles, "policies/*.hcl")
	if err != nil {
		return nil, fmt.Errorf("reading the policies: %w", err)
	}
	policies := make(map[string]string)
	for name, file := range files {
		var text strings.Builder
		if err := texts.ExecuteTemplate(&text, file, t); err != nil {
			return nil, fmt.Errorf("rendering the policy %s: %w", name, err)
		}
		policies[name] = text.String()
	}
	return policies, nil
}
