package vaultaudit

import (
	"slices"
	"strings"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// Subject is the relay whose paths are looked at, and where they are in its region's Vault.
type Subject struct {
	Region    string
	Namespace string
	Account   string // of the relay: "<BusinessRelay>-relay"

	AuthPath, KVMount, TransitMount, PKIMount string
}

// Kind is what an act does.
type Kind string

// Kinds of acts: on the relay's secrets, keys and receipts, and on what decides about them.
const (
	SecretRead    Kind = "reads a secret"
	SecretList    Kind = "lists secrets"
	SecretWrite   Kind = "writes a secret"
	SecretDelete  Kind = "deletes a secret"
	KeyUse        Kind = "uses a key"
	KeyRead       Kind = "reads a key's versions"
	KeyChange     Kind = "changes a key"
	KeyDestroy    Kind = "destroys versions of a key"
	KeyDelete     Kind = "deletes a key"
	KeyCopy       Kind = "copies a key out of Vault"
	KeyRestore    Kind = "puts a key back"
	ReceiptCreate Kind = "puts a receipt"
	ReceiptRead   Kind = "reads receipts"
	ReceiptChange Kind = "changes or removes receipts"
	Policy        Kind = "changes a policy"
	Login         Kind = "changes who may log in"
	Mount         Kind = "changes a mount"
	AuditDevice   Kind = "changes an audit device"
	Snapshot      Kind = "copies or restores Vault"
	Authority     Kind = "changes the certificate authority"
)

// act is what an entry did to the subject's paths.
type act struct {
	kind    Kind
	name    string // of a receipt or secret, below the tenant
	wraps   bool   // the key is the wrapping key
	ofAdmin bool   // it is about the whole region
}

// classify says what an operation on a path does; false if it is nothing of the subject's.
func (s *Subject) classify(operation, path string) (act, bool) {
	path = strings.Trim(path, "/")
	settings := vault.SettingsMount(s.TransitMount)
	for _, m := range []struct {
		mount string
		in    func(operation, rest string) (act, bool)
	}{
		{vault.ReceiptsMount(s.KVMount), s.receipts},
		{s.KVMount, s.secrets},
		{settings, func(operation, rest string) (act, bool) { return s.keys(operation, rest, false) }},
		{s.TransitMount, func(operation, rest string) (act, bool) { return s.keys(operation, rest, true) }},
		{s.PKIMount, s.authority},
		{"sys", s.system},
		{"auth/" + s.AuthPath, s.logins},
		{"auth/token", s.tokens},
	} {
		if rest, is := strings.CutPrefix(path, m.mount+"/"); is {
			return m.in(operation, rest)
		}
	}
	return act{}, false
}

func changes(operation string) bool { return operation != "read" && operation != "list" }

// tenant cuts the subject's folder from a path of a KV engine: "data/NAMESPACE/ACCOUNT/name".
func (s *Subject) tenant(rest string) (verb, name string, ok bool) {
	verb, path, _ := strings.Cut(rest, "/")
	own := s.Namespace + "/" + s.Account
	if path == own {
		return verb, "", true
	}
	name, ok = strings.CutPrefix(path, own+"/")
	return verb, name, ok
}

func (s *Subject) secrets(operation, rest string) (act, bool) {
	verb, name, ok := s.tenant(rest)
	a := act{name: name}
	switch {
	case !ok:
		return a, false
	case operation == "list":
		a.kind = SecretList
	case operation == "read":
		a.kind = SecretRead
	case operation == "delete" || verb == "delete" || verb == "destroy":
		a.kind = SecretDelete
	default:
		a.kind = SecretWrite
	}
	return a, true
}

func (s *Subject) receipts(operation, rest string) (act, bool) {
	verb, name, ok := s.tenant(rest)
	a := act{name: name}
	switch {
	case rest == "config" && changes(operation):
		return act{kind: Mount, ofAdmin: true}, true
	case !ok:
		return a, false
	case !changes(operation):
		a.kind = ReceiptRead
	case verb == "data" && operation == "create":
		a.kind = ReceiptCreate
	default:
		a.kind = ReceiptChange
	}
	return a, true
}

// keys is about a transit mount. A key's name is the last part of most paths, and the second of those below keys.
func (s *Subject) keys(operation, rest string, wrapping bool) (act, bool) {
	parts := strings.Split(rest, "/")
	own := s.Namespace + "." + s.Account
	at := slices.IndexFunc(parts, func(part string) bool {
		suffix, is := strings.CutPrefix(part, own)
		return is && slices.Contains([]string{"", "-settings", "-arrival", "-log"}, suffix)
	})
	if at < 1 {
		if parts[0] == "restore" || parts[0] == "config" || parts[0] == "cache-config" {
			return act{kind: Mount, ofAdmin: true}, changes(operation) // of a key that the path does not name, or of all
		}
		return act{}, false
	}
	a := act{kind: KeyUse, name: parts[at], wraps: wrapping && parts[at] == own}
	further := parts[at+1:]
	switch parts[0] {
	case "keys":
		a.kind = keyKind(operation, further)
	case "export", "backup", "byok-export":
		a.kind = KeyCopy
	case "restore":
		a.kind = KeyRestore
	}
	return a, true
}

func keyKind(operation string, further []string) Kind {
	switch {
	case len(further) == 0 && operation == "delete":
		return KeyDelete
	case !changes(operation):
		return KeyRead
	case len(further) == 0:
		return KeyUse // makes it, if it is missing
	case further[0] == "trim":
		return KeyDestroy
	case further[0] == "import" || further[0] == "import_version":
		return KeyRestore
	}
	return KeyChange
}

// authority is about the PKI mount: signing for a relay is logged by the relay's own name, so only what an admin does counts.
func (s *Subject) authority(operation, rest string) (act, bool) {
	verb, _, _ := strings.Cut(rest, "/")
	if !changes(operation) || verb == "sign" && rest == "sign/"+contract.RoleRelay(s.Region) {
		return act{}, false
	}
	return act{kind: Authority, ofAdmin: true}, true
}

// ownNames says whether a policy's or role's name is of the region.
func (s *Subject) ownName(name string) bool {
	return slices.Contains([]string{
		contract.RoleRelay(s.Region), contract.RoleJanitor(s.Region), contract.RoleCredentials(s.Region), contract.RoleKeeper(s.Region),
		contract.FormerRoleRelay, contract.FormerRoleJanitor, contract.FormerRoleCredentials,
	}, name)
}

func (s *Subject) logins(operation, rest string) (act, bool) {
	role, isRole := strings.CutPrefix(rest, "role/")
	return act{kind: Login, ofAdmin: true}, changes(operation) && (rest == "config" || isRole && s.ownName(role))
}

// tokens is about tokens that somebody makes who is logged in already.
func (s *Subject) tokens(operation, rest string) (act, bool) {
	return act{kind: Login, ofAdmin: true}, changes(operation) && (strings.HasPrefix(rest, "create") || strings.HasPrefix(rest, "roles/"))
}

func (s *Subject) system(operation, rest string) (act, bool) {
	a := act{ofAdmin: true}
	verb, name, _ := strings.Cut(rest, "/")
	switch verb {
	case "policy", "policies":
		a.kind = Policy
		return a, changes(operation) && s.ownName(strings.TrimPrefix(name, "acl/"))
	case "mounts", "remount", "auth":
		a.kind = Mount
		return a, changes(operation) && (verb == "remount" || s.ownMount(verb, name))
	case "audit", "config":
		a.kind = AuditDevice
		return a, changes(operation) && (verb == "audit" || strings.HasPrefix(name, "auditing"))
	case "storage", "raw":
		a.kind = Snapshot
		return a, verb == "raw" || strings.Contains(name, "snapshot")
	case "generate-root", "rekey", "rotate", "seal", "step-down":
		a.kind = Login
		return a, changes(operation) && verb == "generate-root"
	}
	return a, false
}

func (s *Subject) ownMount(verb, name string) bool {
	if verb == "auth" {
		return strings.HasPrefix(name+"/", s.AuthPath+"/")
	}
	name = strings.TrimSuffix(name, "/tune")
	return slices.Contains([]string{
		s.KVMount, vault.ReceiptsMount(s.KVMount), s.TransitMount, vault.SettingsMount(s.TransitMount), s.PKIMount,
	}, name)
}

// party says which of the parties an entry's login is: the relay, its janitor or the region's keeper, or empty for anybody else.
// Nobody but Vault's admin can make another login look like one of them in all of this.
func (s *Subject) party(a *auth) string {
	namespace, account := a.Metadata["service_account_namespace"], a.Metadata["service_account_name"]
	if len(a.Policies) != 1 || a.Policies[0] != a.Metadata["role"] ||
		a.DisplayName != strings.ReplaceAll(s.AuthPath, "/", "-")+"-"+namespace+"-"+account {
		return ""
	}
	own := namespace == s.Namespace && account == s.Account
	switch role := a.Metadata["role"]; {
	case own && (role == contract.RoleRelay(s.Region) || role == contract.FormerRoleRelay):
		return Relay
	case own && (role == contract.RoleJanitor(s.Region) || role == contract.FormerRoleJanitor):
		return Janitor
	case account == contract.KeeperName(s.Region) && role == contract.RoleKeeper(s.Region):
		return Keeper
	}
	return ""
}

// The parties of which each does what it is there for.
const (
	Relay   = "the relay"
	Janitor = "the janitor"
	Keeper  = "the keeper"
)

// expected says whether a party is there to do that.
func expected(party string, a act) bool {
	switch party {
	case Relay:
		return slices.Contains([]Kind{SecretRead, SecretWrite, KeyUse, ReceiptRead}, a.kind)
	case Janitor:
		return slices.Contains([]Kind{SecretList, SecretDelete, KeyRead, KeyChange, KeyDestroy, KeyDelete}, a.kind) ||
			a.kind == ReceiptCreate && strings.HasPrefix(a.name, string(receipt.Janitor)+"/")
	case Keeper:
		return slices.Contains([]Kind{KeyRead, KeyChange, KeyDestroy}, a.kind) ||
			a.kind == ReceiptCreate && strings.HasPrefix(a.name, string(receipt.Keeper)+"/")
	}
	return false
}
