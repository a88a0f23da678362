package probe

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/relay/vault"
)

const (
	// maxAuthority bounds what is read of an authority, in bytes.
	maxAuthority = 1 << 20
	// stranger is a tenant that no cluster has, whose paths nobody else's login may reach.
	stranger        = "audit-stranger"
	strangerAccount = "audit-stranger-relay"
)

// mounts are a region's.
type mounts struct{ auth, kv, transit, settings, pki string }

func mountsOf(region *v1alpha1.DataRegion) mounts {
	v := region.Spec.Vault
	return mounts{string(v.AuthPath), string(v.KVMount), string(v.TransitMount), vault.SettingsMount(string(v.TransitMount)), string(v.PKIMount)}
}

func vaultChecks() []audit.ID {
	return []audit.ID{audit.VaultRoles, audit.VaultRelay, audit.VaultJanitor, audit.VaultKeeper, audit.VaultCredentials, audit.VaultNames, audit.VaultKey}
}

// vault makes the checks at the region's Vault.
func (a *auditor) vault(ctx context.Context, s *subject) outcomes {
	all := outcomes{}
	fail := func(o audit.Outcome) outcomes {
		for _, id := range vaultChecks() {
			all[id] = o
		}
		return all
	}
	if s.regionErr != nil {
		return fail(unread("DataRegion "+string(s.relay.Spec.DataRegion), s.regionErr))
	}
	facts := a.shared.vaults.of(s.region.Name, func() *vaultFacts { return a.shared.readVault(ctx, s.region) })
	if facts.why != nil {
		return fail(*facts.why)
	}
	if s.account.err != nil {
		return fail(unread("service account "+s.tenant(), s.account.err))
	}
	v := &vaultOf{vaultFacts: facts, mounts: mountsOf(s.region), region: s.region.Name, operator: account{a.OperatorNamespace, a.OperatorAccount}, relay: s.relay}
	v.own = login{facts.accessor, s.relay.Namespace, s.tenant(), string(s.account.value.UID)}
	if other := a.neighbour(s.relay); other != nil {
		v.other = account{other.Namespace, v1alpha1.TenantName(other.Name)}
	}
	return outcomes{
		audit.VaultRoles:       v.judgeRoles(),
		audit.VaultRelay:       v.judgeRelay(ctx),
		audit.VaultJanitor:     v.judge(contract.RoleJanitor(v.region), v.own, v.opening(v.own.namespace, v.own.name), v.opening(stranger, strangerAccount), v.destroying(stranger, strangerAccount), v.governing()),
		audit.VaultKeeper:      v.judge(contract.RoleKeeper(v.region), login{facts.accessor, v.operator.namespace, contract.KeeperName(v.region), ""}, v.opening(v.own.namespace, v.own.name), v.governing()),
		audit.VaultCredentials: v.judge(contract.RoleCredentials(v.region), v.own, v.keysOf(v.own.namespace, v.own.name), v.opening(stranger, strangerAccount), v.destroying(v.own.namespace, v.own.name), v.governing()),
		audit.VaultNames:       v.judgeNames(ctx),
		audit.VaultKey:         v.judgeKey(ctx, a.Now),
	}
}

// readVault reads roles and policies.
func (s *shared) readVault(ctx context.Context, region *v1alpha1.DataRegion) *vaultFacts {
	ctx, cancel := context.WithTimeout(ctx, readingVault)
	defer cancel()
	facts := &vaultFacts{roles: map[string]role{}, policies: map[string][]rule{}}
	client, err := s.Vault(region)
	if err != nil {
		facts.why = new(notTried("%s", err.Error()))
		return facts
	}
	facts.client = client
	if err := facts.read(ctx, mountsOf(region).auth); err != nil {
		facts.why = new(notTried("the region's Vault: %s", said(err)))
		return facts
	}
	facts.listLogins(ctx, mountsOf(region).auth)
	return facts
}

// vaultOf is a region's Vault as one relay sees it.
type vaultOf struct {
	*vaultFacts
	mounts

	region   string
	operator account
	relay    *v1alpha1.BusinessRelay
	own      login
	other    account // another relay, if there is one
}

// forbidden is something that an identity must not be able to do.
type forbidden struct {
	path         string
	capabilities []string
	what         string
}

// all are the capabilities with which something is read, changed or used.
func all() []string { return []string{"create", "read", "update", "patch", "delete", "list", "sudo"} }

// keysOf is what opens a tenant's messages or acts as the tenant.
func (v *vaultOf) keysOf(namespace, name string) []forbidden {
	key, owner := namespace+"."+name, namespace+"/"+name
	return []forbidden{
		{v.transit + "/decrypt/" + key, all(), "decrypt " + owner + "'s data keys"},
		{v.transit + "/datakey/plaintext/" + key, all(), "make data keys of " + owner + "'s"},
		{v.transit + "/export/encryption-key/" + key, all(), "export " + owner + "'s key"},
		{v.transit + "/backup/" + key, all(), "back " + owner + "'s key up"},
		{v.settings + "/decrypt/" + key, all(), "decrypt " + owner + "'s settings"},
		{v.settings + "/datakey/plaintext/" + key, all(), "make settings keys of " + owner + "'s"},
		{v.settings + "/export/encryption-key/" + key, all(), "export " + owner + "'s settings key"},
		{v.kv + "/data/" + namespace + "/" + name + "/identity/1", all(), "read " + owner + "'s identity"},
		{v.kv + "/data/" + namespace + "/" + name + "/carrier", all(), "read " + owner + "'s account at the carrier"},
		{v.kv + "/data/" + namespace + "/" + name + "/postgres", all(), "read " + owner + "'s login at PostgreSQL"},
	}
}

// opening is keysOf, and the business's credentials.
func (v *vaultOf) opening(namespace, name string) []forbidden {
	uid := "00000000-0000-0000-0000-000000000000"
	if namespace == v.own.namespace && name == v.own.name {
		uid = v.own.uid
	}
	return append(v.keysOf(namespace, name), forbidden{
		v.kv + "/data/" + namespace + "/" + name + "/access/" + uid + "/1", all(), "read " + namespace + "/" + name + "'s credentials",
	})
}

// destroying is what ends a tenant's keys or prolongs them.
func (v *vaultOf) destroying(namespace, name string) []forbidden {
	key, owner := namespace+"."+name, namespace+"/"+name
	return []forbidden{
		{v.transit + "/keys/" + key, []string{"delete", "read"}, "read or delete " + owner + "'s key"},
		{v.transit + "/keys/" + key + "/config", all(), "change " + owner + "'s key"},
		{v.transit + "/keys/" + key + "/trim", all(), "destroy versions of " + owner + "'s key"},
		{v.transit + "/keys/" + key + "/rotate", all(), "rotate " + owner + "'s key"},
		{v.kv + "/metadata/" + namespace + "/" + name + "/identity/1", all(), "delete " + owner + "'s entries"},
	}
}

// governing is what changes who may do what.
func (v *vaultOf) governing() []forbidden {
	return []forbidden{
		{"sys/policies/acl/" + contract.RoleRelay(v.region), all(), "read or change policies"},
		{"auth/" + v.auth + "/role/" + contract.RoleRelay(v.region), all(), "read or change roles"},
		{"auth/" + v.auth + "/config", all(), "change whom Vault asks about accounts"},
		{"sys/mounts/" + v.transit, all(), "change mounts"},
		{"sys/raw/logical", all(), "read Vault's storage"},
		{"auth/token/create", all(), "make tokens"},
	}
}

// rulesOf are the rules that a role's logins get.
func (v *vaultOf) rulesOf(name string) []rule {
	var rules []rule
	for _, policy := range v.roles[name].Policies {
		rules = append(rules, v.policies[policy]...)
	}
	if !v.roles[name].NoDefault {
		rules = append(rules, v.policies["default"]...)
	}
	return rules
}

// judge looks for what a role's login must not be able to do.
func (v *vaultOf) judge(name string, who login, lists ...[]forbidden) audit.Outcome {
	if _, ok := v.roles[name]; !ok {
		return broken("kubectl relay setup vault --region "+v.region, "Vault has no role %s", name)
	}
	rules, tried := v.rulesOf(name), 0
	for _, list := range lists {
		for _, f := range list {
			tried++
			if may := who.granted(rules, f.path, f.capabilities...); len(may) > 0 {
				return broken("vault policy read "+strings.Join(v.roles[name].Policies, " "), "the role %s may %s (%s at %s)", name, f.what, strings.Join(may, ", "), f.path)
			}
		}
	}
	return kept("%d paths are closed to the role %s, by its policies as written", tried, name)
}

// judgeRelay looks at what a relay may do, by its policy and by its login.
func (v *vaultOf) judgeRelay(ctx context.Context) audit.Outcome {
	name := contract.RoleRelay(v.region)
	lists := [][]forbidden{v.opening(stranger, strangerAccount), v.destroying(stranger, strangerAccount), v.destroying(v.own.namespace, v.own.name), v.governing()}
	if v.other.name != "" {
		lists = append(lists, v.opening(v.other.namespace, v.other.name))
	}
	written := v.judge(name, v.own, lists...)
	if written.State != audit.Kept {
		return written
	}
	accessor, ok := v.logins[name+" "+v.own.namespace+" "+v.own.name]
	if !ok {
		why := v.asked
		if why == "" {
			why = "the relay is not logged in"
		}
		return kept("%s; %s", written.Detail, why)
	}
	return first(v.ask(ctx, accessor, slices.Concat(lists...)), kept("%s; Vault says the same of the relay's login", written.Detail))
}

// ask has Vault say what a login may do at paths that must be closed to it.
func (v *vaultOf) ask(ctx context.Context, accessor string, list []forbidden) audit.Outcome {
	paths := make([]string, len(list))
	for i, f := range list {
		paths[i] = f.path
	}
	answer, err := v.client.Logical().WriteWithContext(ctx, "sys/capabilities-accessor", map[string]any{"accessor": accessor, "paths": paths})
	switch {
	case err != nil:
		return notTried("what the relay's login may do: %s", said(err))
	case answer == nil:
		return notTried("what the relay's login may do: Vault did not say")
	}
	for _, f := range list {
		said, ok := answer.Data[f.path].([]any)
		if !ok {
			return notTried("what the relay's login may do at %s: Vault did not say", f.path)
		}
		for _, c := range said {
			if c == "root" || slices.ContainsFunc(f.capabilities, func(may string) bool { return may == c }) {
				return broken("vault policy read "+contract.RoleRelay(v.region), "Vault says that the relay's login may %s", f.what)
			}
		}
	}
	return kept("Vault says the same")
}

// judgeRoles looks at who logs in by which role.
func (v *vaultOf) judgeRoles() audit.Outcome {
	relays := role{Names: []string{"*" + v1alpha1.SuffixRelay}, Namespaces: []string{"*"}}
	keeper := role{Names: []string{contract.KeeperName(v.region)}, Namespaces: []string{v.operator.namespace}}
	remedy := "kubectl relay setup vault --region " + v.region
	known := map[string]role{}
	for name, want := range map[string]struct {
		role
		audience string
	}{
		contract.RoleRelay(v.region):       {relays, contract.AudienceRelay(v.region)},
		contract.RoleJanitor(v.region):     {relays, contract.AudienceJanitor(v.region)},
		contract.RoleCredentials(v.region): {relays, contract.AudienceCredentials(v.region)},
		contract.RoleKeeper(v.region):      {keeper, contract.AudienceKeeper(v.region)},
	} {
		is, ok := v.roles[name]
		known[name] = is
		switch {
		case !ok:
			return broken(remedy, "Vault has no role %s", name)
		case is.Audience != want.audience:
			return broken(remedy, "the role %s takes tokens of another audience", name)
		case !slices.Equal(is.Names, want.Names) || !slices.Equal(is.Namespaces, want.Namespaces):
			return broken(remedy, "the role %s is bound to other accounts", name)
		case !slices.Equal(is.Policies, []string{name}) || !is.NoDefault:
			return broken(remedy, "the role %s gives other policies than its own", name)
		}
	}
	for _, former := range []string{contract.FormerRoleRelay, contract.FormerRoleJanitor, contract.FormerRoleCredentials} {
		known[former] = v.roles[former]
	}
	return v.judgeOthers(known)
}

// judgeOthers looks for roles of somebody else's that open what is the relay's.
func (v *vaultOf) judgeOthers(known map[string]role) audit.Outcome {
	for _, name := range slices.Sorted(maps.Keys(v.roles)) {
		if _, ours := known[name]; ours || strings.HasPrefix(name, "relaykeep-") && v.otherRegions(name) {
			continue
		}
		who := login{v.accessor, stranger, strangerAccount, ""}
		if is := v.roles[name]; admits(is.Names, v.own.name) && admits(is.Namespaces, v.own.namespace) {
			who = v.own
		}
		for _, f := range append(v.opening(v.own.namespace, v.own.name), v.governing()[:3]...) {
			if may := who.granted(v.rulesOf(name), f.path, f.capabilities...); len(may) > 0 {
				return broken("vault read auth/"+v.auth+"/role/"+name, "the role %s, which is not Relaykeep's, may %s (%s at %s)", name, f.what, strings.Join(may, ", "), f.path)
			}
		}
	}
	return kept("the roles are bound as set up, and no other role opens what is the relay's")
}

// admits says whether one of a role's patterns is for a name.
func admits(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return ok || err != nil
	})
}

// otherRegions says whether a role is another region's that has the same Vault.
func (v *vaultOf) otherRegions(name string) bool {
	is := v.roles[name]
	for _, kind := range []struct{ former, audience string }{
		{contract.FormerRoleRelay, contract.FormerAudienceRelay},
		{contract.FormerRoleJanitor, contract.FormerAudienceJanitor},
		{contract.FormerRoleCredentials, contract.FormerAudienceCredentials},
		{"relaykeep-keeper", contract.AudiencePrefix + "keeper"},
	} {
		if region, ok := strings.CutPrefix(name, kind.former+"-"); ok {
			return is.Audience == kind.audience+"/"+region && slices.Equal(is.Policies, []string{name}) && is.NoDefault
		}
	}
	return false
}

// judgeNames looks for numbers in the names of the relay's entries. No entry is read.
func (v *vaultOf) judgeNames(ctx context.Context) audit.Outcome {
	pending, seen := []string{v.kv + "/metadata/" + v.own.namespace + "/" + v.own.name + "/"}, 0
	for len(pending) > 0 && seen < maxLogins {
		folder := pending[0]
		pending = pending[1:]
		names, err := v.list(ctx, folder)
		if err != nil {
			return notTried("the names of the relay's entries: %s", said(err))
		}
		for _, name := range names {
			seen++
			if holdsNumber(name, "") || holdsNumber(name+"@", "") {
				return broken("vault kv list "+folder, "an entry of the relay's is named like a telephone number")
			}
			if strings.HasSuffix(name, "/") {
				pending = append(pending, folder+name)
			}
		}
	}
	return kept("%d entries, none named like a number; no entry was read", seen)
}

// transitKey is what Vault says of a key.
type transitKey struct {
	Exportable bool                   `json:"exportable"`
	Backup     bool                   `json:"allow_plaintext_backup"`
	Rotates    float64                `json:"auto_rotate_period"`
	Oldest     int                    `json:"min_decryption_version"`
	Available  int                    `json:"min_available_version"`
	Keys       map[string]json.Number `json:"keys"`
}

// judgeKey looks at the relay's wrapping key and its settings key.
func (v *vaultOf) judgeKey(ctx context.Context, now time.Time) audit.Outcome {
	name := v.own.namespace + "." + v.own.name
	for _, mount := range []string{v.transit, v.settings} {
		at := mount + "/keys/" + name
		answer, err := v.client.Logical().ReadWithContext(ctx, at)
		switch {
		case err != nil:
			return notTried("the settings of the relay's key: %s", said(err))
		case answer == nil && mount == v.transit:
			return notTried("the relay has no key in Vault yet")
		case answer == nil:
			continue
		}
		var key transitKey
		if err := decode(answer.Data, &key); err != nil {
			return notTried("the settings of the relay's key: Vault's answer cannot be read")
		}
		show := "vault read " + at
		switch {
		case key.Exportable || key.Backup:
			return broken(show, "the relay's key in %s can leave Vault", mount)
		case mount != v.transit:
		case key.Rotates <= 0:
			return broken("vault write "+at+"/config auto_rotate_period="+vault.RotationPeriod(time.Duration(v.relay.Spec.Retention.Days)*day), "the relay's key no longer rotates")
		default:
			if o := v.judgeVersions(key, now); o.State != audit.Kept {
				return o
			}
		}
	}
	return kept("it cannot be exported or backed up, rotates, and has no version older than the retention")
}

// judgeVersions judges the age of the key's oldest version.
func (v *vaultOf) judgeVersions(key transitKey, now time.Time) audit.Outcome {
	oldest := now
	for _, created := range key.Keys {
		if seconds, err := created.Int64(); err == nil && time.Unix(seconds, 0).Before(oldest) {
			oldest = time.Unix(seconds, 0)
		}
	}
	return aged(now.Sub(oldest), v.relay)
}

// authority reads what the region's Vault signs endpoints' certificates with. Vault tells it to anybody.
func (s *shared) authority(ctx context.Context, of *subject) ([]byte, error) {
	if of.regionErr != nil {
		return nil, of.regionErr
	}
	found := s.authorities.of(of.region.Name, func() read[[]byte] {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connecting) // others wait for it, too
		defer cancel()
		client, err := s.Anybody(of.region)
		if err != nil {
			return read[[]byte]{err: err}
		}
		answer, err := client.Logical().ReadRawWithContext(ctx, mountsOf(of.region).pki+"/ca_chain")
		if err != nil {
			return read[[]byte]{err: errors.New(said(err))}
		}
		defer func() { _ = answer.Body.Close() }()
		pem, err := io.ReadAll(io.LimitReader(answer.Body, maxAuthority))
		return read[[]byte]{pem, err}
	})
	return found.value, found.err
}
