package contract

import "strings"

// Names of the flags that say, in a pod's arguments, where its region's Vault, carrier and
// PostgreSQL are.
const (
	FlagVaultAddress      = "vault-address"
	FlagVaultCA           = "vault-ca"
	FlagVaultAuthPath     = "vault-auth-path"
	FlagVaultKVMount      = "vault-kv-mount"
	FlagVaultTransitMount = "vault-transit-mount"
	FlagVaultPKIMount     = "vault-pki-mount"
	FlagXMPPDomain        = "xmpp-domain"
	FlagXMPPAddress       = "xmpp-address"
	FlagXMPPCA            = "xmpp-ca"
	FlagXMPPRegistration  = "xmpp-registration"
	FlagXMPPWithoutNumber = "xmpp-customers-without-number"
	FlagPrivateLinks      = "private-links"
	FlagPostgresAddress   = "postgres-address"
	FlagPostgresCA        = "postgres-ca"
)

// PrivateLinks is the flag that names the hosts of a region's private links, none without any: pods of former
// releases have no such flag.
func PrivateLinks(hosts []string) []string {
	if len(hosts) == 0 {
		return nil
	}
	return []string{flag(FlagPrivateLinks, strings.Join(hosts, ","))}
}

// MaxArgumentBytes is the longest argument with which Linux starts a program
// (MAX_ARG_STRLEN of execve(2), without the final zero).
const MaxArgumentBytes = 128<<10 - 1

// Arguments are the flags that say where Vault is, empty ones included: the admission
// policy relaykeep-region-services compares the whole list.
func (v Vault) Arguments() []string {
	return []string{
		flag(FlagVaultAddress, v.Address), flag(FlagVaultCA, v.CABundle), flag(FlagVaultAuthPath, v.AuthPath),
		flag(FlagVaultKVMount, v.KVMount), flag(FlagVaultTransitMount, v.TransitMount), flag(FlagVaultPKIMount, v.PKIMount),
	}
}

// Arguments are the flags that say where the XMPP server is, empty ones included, and who may be a
// customer, only if not everybody needs a number: pods of former releases have no such flag.
func (x XMPP) Arguments() []string {
	args := []string{
		flag(FlagXMPPDomain, x.Domain), flag(FlagXMPPAddress, x.Address), flag(FlagXMPPCA, x.CABundle),
		flag(FlagXMPPRegistration, x.Registration),
	}
	if x.CustomersWithoutNumber != "" {
		args = append(args, flag(FlagXMPPWithoutNumber, x.CustomersWithoutNumber))
	}
	return args
}

// Arguments are the flags that say where the PostgreSQL server is. Only a relay whose store is there has
// them.
func (p PostgresServer) Arguments() []string {
	return []string{flag(FlagPostgresAddress, p.Address), flag(FlagPostgresCA, p.CABundle)}
}

func flag(name, value string) string { return "--" + name + "=" + value }
