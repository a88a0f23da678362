package rig

import (
	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/test/services/postgres"
)

// databaseSize is what a business asks for in these tests.
const databaseSize = 1 << 30

// OnPostgres has the relay keep its store in a database from its next start on: what a BusinessRelay
// and a DataRegion say, and the login that an admin writes to Vault.
func (b *Business) OnPostgres(d postgres.Database) {
	b.t.Helper()
	b.Config.Postgres = &contract.Postgres{Database: d.Name, Size: databaseSize}
	b.Postgres = contract.PostgresServer{Address: d.Address, CABundle: string(d.CA)}
	b.PutLogin(d.Name, d.Password)
}

// PutLogin writes the relay's login at PostgreSQL to Vault.
func (b *Business) PutLogin(role, password string) {
	b.t.Helper()
	path := b.Config.Vault.KVMount + "/data/" + b.Namespace + "/" + b.Config.Name + "/postgres"
	_, err := b.house.Root.Logical().WriteWithContext(b.t.Context(), path,
		map[string]any{"data": map[string]any{"username": role, "password": password}})
	check(b.t, err)
	b.Hide(password)
}
