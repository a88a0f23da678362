# relaykeep-credentials: whoever may ask for a token of the relay's service account
# reads the business's credentials, and nothing else.
path "{{.KV}}/data/{{.N}}/{{.S}}/access/{{.U}}/*" {
  capabilities = ["read"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
