package desired

import (
	"strings"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// janitorArgs are the arguments of a pod that uses Vault only. They, and not the
// configuration, say where Vault is: the admission policies compare arguments with the
// DataRegion whenever a pod is created, but a ConfigMap only when it is written.
func (in Input) janitorArgs(command string) []string {
	args := []string{command, "--config", contract.ConfigPath, "--region", in.Region.Name}
	return append(args, in.vault().Arguments()...)
}

// relayArgs are those of a pod that also uses the carrier.
func (in Input) relayArgs(command string) []string {
	args := in.janitorArgs(command)
	x := in.Region.Spec.Carrier.XMPP
	if x == nil {
		return args
	}
	to := contract.XMPP{
		Domain: string(x.Domain), Address: string(x.Address), CABundle: string(x.CABundle), Registration: string(x.Registration),
	}
	if x.CustomersWithoutNumber == v1alpha1.CustomersWithoutNumberAllow {
		to.CustomersWithoutNumber = contract.Allow
	}
	return append(args, to.Arguments()...)
}

// serveArgs are those of a pod that also fetches the files of a business's links, and may have its store
// in a database.
func (in Input) serveArgs() []string {
	var hosts []string
	for _, l := range in.Region.Spec.Network.PrivateLinks {
		for _, h := range l.Hosts {
			hosts = append(hosts, string(h))
		}
	}
	return append(append(in.relayArgs("serve"), contract.PrivateLinks(hosts)...), in.postgresArgs()...)
}

// postgresArgs are those of a relay whose store is in a database.
func (in Input) postgresArgs() []string {
	p := in.Region.Spec.Postgres
	if in.Relay.Spec.Storage.Postgres == nil || p == nil {
		return nil
	}
	return contract.PostgresServer{Address: string(p.Address), CABundle: string(p.CABundle)}.Arguments()
}

func (in Input) vault() contract.Vault {
	v := in.Region.Spec.Vault
	return contract.Vault{
		Address:      strings.TrimSuffix(v.Address, "/"),
		CABundle:     string(v.CABundle),
		AuthPath:     string(v.AuthPath),
		KVMount:      string(v.KVMount),
		TransitMount: string(v.TransitMount),
		PKIMount:     string(v.PKIMount),
	}
}
