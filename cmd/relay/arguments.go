package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/config"
)

// vaultFlags adds the flags that say where the region's Vault is. The operator writes
// all of them into the pod's arguments, from the DataRegion.
func vaultFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.String(contract.FlagVaultAddress, "", "https URL of the region's Vault")
	flags.String(contract.FlagVaultCA, "", "Vault's CA certificates (PEM); empty means public CAs")
	flags.String(contract.FlagVaultAuthPath, "", "mount of the Kubernetes auth method")
	flags.String(contract.FlagVaultKVMount, "", "mount of the KV version 2 engine")
	flags.String(contract.FlagVaultTransitMount, "", "mount of the transit engine")
	flags.String(contract.FlagVaultPKIMount, "", "mount of the PKI engine")
}

// carrierFlags adds the flags that say where the region's carrier is.
func carrierFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.String(contract.FlagXMPPDomain, "", "domain of the region's XMPP server")
	flags.String(contract.FlagXMPPAddress, "", "host:port of the XMPP server; empty means the domain's DNS records")
	flags.String(contract.FlagXMPPCA, "", "the XMPP server's CA certificates (PEM); empty means public CAs")
	flags.String(contract.FlagXMPPRegistration, "", "how the relay gets its account: Closed, Open or Token")
	flags.String(contract.FlagXMPPWithoutNumber, "", "Allow: addresses that are no numbers may be customers'; empty refuses them")
}

// postgresFlags adds the flags that say where the region's PostgreSQL is.
func postgresFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.String(contract.FlagPostgresAddress, "", "host:port of the region's PostgreSQL, for a relay whose store is there")
	flags.String(contract.FlagPostgresCA, "", "PostgreSQL's CA certificates (PEM); empty means public CAs")
}

// arguments reads the flags that name the configuration file, and those for what the
// file does not decide. A command without carrier flags has no carrier.
func arguments(cmd *cobra.Command) (path string, a config.Arguments, err error) {
	var x contract.XMPP
	carrier := cmd.Flags().Lookup(contract.FlagXMPPDomain) != nil
	values := map[string]*string{
		"config": &path, "region": &a.Region,
		contract.FlagVaultAddress: &a.Vault.Address, contract.FlagVaultCA: &a.Vault.CABundle,
		contract.FlagVaultAuthPath: &a.Vault.AuthPath, contract.FlagVaultKVMount: &a.Vault.KVMount,
		contract.FlagVaultTransitMount: &a.Vault.TransitMount, contract.FlagVaultPKIMount: &a.Vault.PKIMount,
	}
	if carrier {
		values[contract.FlagXMPPDomain], values[contract.FlagXMPPAddress] = &x.Domain, &x.Address
		values[contract.FlagXMPPCA], values[contract.FlagXMPPRegistration] = &x.CABundle, &x.Registration
		values[contract.FlagXMPPWithoutNumber] = &x.CustomersWithoutNumber
	}
	if cmd.Flags().Lookup(contract.FlagPostgresAddress) != nil {
		values[contract.FlagPostgresAddress], values[contract.FlagPostgresCA] = &a.Postgres.Address, &a.Postgres.CABundle
	}
	for name, to := range values {
		value, flagErr := cmd.Flags().GetString(name)
		*to, err = value, errors.Join(err, flagErr)
	}
	if x != (contract.XMPP{}) {
		a.Carrier.XMPP = &x
	}
	return path, a, err
}
