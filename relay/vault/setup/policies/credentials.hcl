# {{.Roles.Credentials}}: anyone who may create tokens of the relay's service account
# reads the business's credentials, and nothing else. They are below the account's UID, so that
# a later account of the same name cannot read those of a former business.
path "{{.KV}}/data/{{.N}}/{{.S}}/access/{{.U}}/*" {
  capabilities = ["read"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
