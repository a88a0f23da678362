# {{.Roles.Credentials}}: whoever may ask for a token of the relay's service account
# reads the business's credentials, and nothing else: below the account's UID, so that a
# later account of the same name does not read those of a former business.
path "{{.KV}}/data/{{.N}}/{{.S}}/access/{{.U}}/*" {
  capabilities = ["read"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
