# {{.Roles.Relay}}: a relay at its own paths. It can neither change nor destroy what it made.
path "{{.KV}}/data/{{.N}}/{{.S}}/identity/*" {
  capabilities = ["create", "read"]
}
path "{{.KV}}/data/{{.N}}/{{.S}}/carrier" {
  capabilities = ["create", "read"]
}
# The login at PostgreSQL, which an admin writes.
path "{{.KV}}/data/{{.N}}/{{.S}}/postgres" {
  capabilities = ["read"]
}
# What an admin allows a relay that moves to another region: to leave this one, or to take in one file here.
path "{{.KV}}/data/{{.N}}/{{.S}}/departure" {
  capabilities = ["read"]
}
path "{{.KV}}/data/{{.N}}/{{.S}}/arrival" {
  capabilities = ["read"]
}
path "{{.Settings}}/decrypt/{{.N}}.{{.S}}-arrival" {
  capabilities = ["update"]
}
# Data keys that it brought along, which the janitor deletes in time.
path "{{.KV}}/data/{{.N}}/{{.S}}/carried/*" {
  capabilities = ["create", "read"]
}
path "{{.Transit}}/encrypt/{{.N}}.{{.S}}" {
  capabilities = ["update"]
}
path "{{.Settings}}/encrypt/{{.N}}.{{.S}}" {
  capabilities = ["update"]
}
# Who used these names first: recorded once; only an admin can change it.
path "{{.KV}}/data/{{.N}}/{{.S}}/owner" {
  capabilities = ["create", "read"]
}
# Credentials are also read without the relay, which would notice that an account is not the
# former one of the same name. So the account's UID is in their path.
path "{{.KV}}/data/{{.N}}/{{.S}}/access/{{.U}}/*" {
  capabilities = ["create", "read"]
}
# The former place of credentials, from which they are copied.
path "{{.KV}}/data/{{.N}}/{{.S}}/access/+" {
  capabilities = ["read"]
}
# What janitor and keeper destroyed.
path "{{.Receipts}}/data/{{.N}}/{{.S}}/*" {
  capabilities = ["read"]
}
path "{{.Receipts}}/metadata/{{.N}}/{{.S}}/*" {
  capabilities = ["list"]
}
path "{{.Transit}}/keys/{{.N}}.{{.S}}" {
  capabilities       = ["update"]
  allowed_parameters = {
    "type"               = ["aes256-gcm96"]
    "auto_rotate_period" = [{{range $i, $p := .Periods}}{{if $i}}, {{end}}"{{$p}}"{{end}}]
  }
}
path "{{.Transit}}/datakey/plaintext/{{.N}}.{{.S}}" {
  capabilities = ["update"]
}
path "{{.Transit}}/decrypt/{{.N}}.{{.S}}" {
  capabilities = ["update"]
}
path "{{.Settings}}/keys/{{.N}}.{{.S}}" {
  capabilities       = ["update"]
  allowed_parameters = {
    "type" = ["aes256-gcm96"]
  }
}
path "{{.Settings}}/datakey/plaintext/{{.N}}.{{.S}}" {
  capabilities = ["update"]
}
path "{{.Settings}}/decrypt/{{.N}}.{{.S}}" {
  capabilities = ["update"]
}
# The key of its log, which never leaves Vault: only this relay has something signed by it.
path "{{.Settings}}/keys/{{.N}}.{{.S}}-log" {
  capabilities       = ["update"]
  allowed_parameters = {
    "type" = ["ed25519"]
  }
}
path "{{.Settings}}/sign/{{.N}}.{{.S}}-log" {
  capabilities       = ["update"]
  allowed_parameters = {
    "input" = []
  }
}
# The former place of settings keys: what they wrapped is opened once more, to move it.
path "{{.Transit}}/decrypt/{{.N}}.{{.S}}-settings" {
  capabilities = ["update"]
}
path "{{.PKI}}/sign/{{.Roles.Relay}}" {
  capabilities = ["update"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
