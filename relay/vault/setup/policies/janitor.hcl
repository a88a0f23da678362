# {{.Roles.Janitor}}: the retention job of a relay. It can destroy, and can decrypt nothing.
path "{{.KV}}/metadata/{{.N}}/{{.S}}/*" {
  capabilities = ["delete", "list"]
}
path "{{.Transit}}/keys/{{.N}}.{{.S}}" {
  capabilities = ["read", "delete"]
}
path "{{.Transit}}/keys/{{.N}}.{{.S}}/rotate" {
  capabilities = ["update"]
}
path "{{.Transit}}/keys/{{.N}}.{{.S}}/trim" {
  capabilities = ["update"]
}
path "{{.Transit}}/keys/{{.N}}.{{.S}}/config" {
  capabilities       = ["update"]
  allowed_parameters = {
    "min_decryption_version" = []
    "min_encryption_version" = []
    "auto_rotate_period"     = []
    "deletion_allowed"       = []
  }
}
path "{{.Settings}}/keys/{{.N}}.{{.S}}" {
  capabilities = ["read", "delete"]
}
path "{{.Settings}}/keys/{{.N}}.{{.S}}/config" {
  capabilities       = ["update"]
  allowed_parameters = {
    "deletion_allowed" = []
  }
}
# The key of the relay's log.
path "{{.Settings}}/keys/{{.N}}.{{.S}}-log" {
  capabilities = ["read", "delete"]
}
path "{{.Settings}}/keys/{{.N}}.{{.S}}-log/config" {
  capabilities       = ["update"]
  allowed_parameters = {
    "deletion_allowed" = []
  }
}
# The former place of settings keys.
path "{{.Transit}}/keys/{{.N}}.{{.S}}-settings" {
  capabilities = ["read", "delete"]
}
path "{{.Transit}}/keys/{{.N}}.{{.S}}-settings/config" {
  capabilities       = ["update"]
  allowed_parameters = {
    "deletion_allowed" = []
  }
}
# What it destroyed, which it can only add to.
path "{{.Receipts}}/data/{{.N}}/{{.S}}/janitor/*" {
  capabilities = ["create"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
