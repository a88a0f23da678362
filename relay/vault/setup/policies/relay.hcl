# {{.Roles.Relay}}: a relay at its own paths. It can neither change nor destroy what it made.
path "{{.KV}}/data/{{.N}}/{{.S}}/*" {
  capabilities = ["create", "read"]
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
# Where settings keys were at first: what they wrapped is opened once more, to be moved.
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
