// Package vault is the relay's and the janitor's client of HashiCorp Vault or anything that
// speaks its API: it logs in with a projected service account token and handles the tenant's
// identity, credentials, data keys and certificate, each at the one path that policy grants the
// tenant. It knows nothing about Kubernetes beyond that token file, or about what the keys
// protect.
//
// Vault tokens stay in memory. No error or log line holds a secret, a token or anything of
// Vault's answer beyond its status.
package vault
