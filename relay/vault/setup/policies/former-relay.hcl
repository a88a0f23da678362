# relaykeep-relay: a relay at its own paths. It can neither change nor destroy what it made.
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
path "{{.Transit}}/keys/{{.N}}.{{.S}}-settings" {
  capabilities       = ["update"]
  allowed_parameters = {
    "type" = ["aes256-gcm96"]
  }
}
path "{{.Transit}}/datakey/plaintext/{{.N}}.{{.S}}-settings" {
  capabilities = ["update"]
}
path "{{.Transit}}/decrypt/{{.N}}.{{.S}}-settings" {
  capabilities = ["update"]
}
path "{{.PKI}}/sign/relaykeep-relay" {
  capabilities = ["update"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
