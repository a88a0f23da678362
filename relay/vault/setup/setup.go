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
)

// Options says what to set up. Empty mounts are the default ones.
type Options struct {
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
}

// accessorPlaceholder stands for the auth mount's accessor, which Vault chooses when
// it is mounted.
const accessorPlaceholder = "ACCESSOR"

// Retentions are those for which relays may create keys, in days.
const (
	minRetentionDays = 1
	maxRetentionDays = 30
)

func (o Options) withDefaults() (Options, error) {
	for field, fallback := range map[*string]string{
		&o.AuthPath: DefaultAuthPath, &o.KVMount: DefaultKVMount, &o.TransitMount: DefaultTransitMount,
		&o.PKIMount: DefaultPKIMount, &o.AuthorityName: "Relaykeep endpoints",
	} {
		if *field == "" {
			*field = fallback
		}
		*field = strings.Trim(*field, "/")
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
		steps = append(steps, Step{
			Title: "policy " + name,
			Path:  "sys/policies/acl/" + name,
			Data:  map[string]any{"policy": policies[name]},
		})
	}
	steps = append(steps, roles(o)...)
	return append(steps, authority(o, accessor)...), nil
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
	audiences := map[string]string{
		contract.RoleRelay:       contract.AudienceRelay,
		contract.RoleJanitor:     contract.AudienceJanitor,
		contract.RoleCredentials: contract.AudienceCredentials,
	}
	steps := make([]Step, 0, len(audiences))
	for _, role := range slices.Sorted(maps.Keys(audiences)) {
		steps = append(steps, Step{
			Title: "role " + role, Path: "auth/" + o.AuthPath + "/role/" + role,
			Data: map[string]any{
				"bound_service_account_names":      []string{"*-relay"},
				"bound_service_account_namespaces": []string{"*"},
				"audience":                         audiences[role],
				"token_policies":                   []string{role},
				"token_no_default_policy":          true,
				"token_ttl":                        "15m",
				"token_max_ttl":                    "1h",
			},
		})
	}
	return steps
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
		{
			Title: "role " + vault.PKIRole + " for certificates", Path: o.PKIMount + "/roles/" + vault.PKIRole,
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
		},
	}
}

//go:embed policies/*.hcl
var policyFiles embed.FS

// templateData is what the policies are rendered from. N and S are Vault's own
// templates for the namespace and the name of the service account that logged in.
type templateData struct {
	N, S, KV, Transit, Settings, PKI string
	Periods                          []string
	Roles                            struct{ Relay, Janitor, Credentials string }
}

func newTemplateData(o Options, accessor string) templateData {
	if accessor == "" {
		accessor = accessorPlaceholder
	}
	alias := "{{identity.entity.aliases." + accessor + ".metadata."
	d := templateData{
		N: alias + "service_account_namespace}}", S: alias + "service_account_name}}",
		KV: o.KVMount, Transit: o.TransitMount, Settings: vault.SettingsMount(o.TransitMount), PKI: o.PKIMount, Periods: periods(),
	}
	d.Roles.Relay, d.Roles.Janitor, d.Roles.Credentials = contract.RoleRelay, contract.RoleJanitor, contract.RoleCredentials
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
	texts, err := template.ParseFS(policyFiles, "policies/*.hcl")
	if err != nil {
		return nil, fmt.Errorf("reading the policies: %w", err)
	}
	policies := make(map[string]string)
	for name, file := range map[string]string{
		contract.RoleRelay: "relay.hcl", contract.RoleJanitor: "janitor.hcl", contract.RoleCredentials: "credentials.hcl",
	} {
		var text strings.Builder
		if err := texts.ExecuteTemplate(&text, file, newTemplateData(o, accessor)); err != nil {
			return nil, fmt.Errorf("rendering the policy %s: %w", name, err)
		}
		policies[name] = text.String()
	}
	return policies, nil
}
