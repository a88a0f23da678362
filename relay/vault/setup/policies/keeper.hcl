# {{.Roles.Keeper}}: the keeper of last resort of a region. It can destroy old versions
# of wrapping keys whose janitors are gone. It can decrypt nothing, cannot delete a key, and
# reaches nothing in the KV mount. Settings keys and receipts are in other mounts.
path "{{.Transit}}/keys" {
  capabilities = ["list"]
}
path "{{.Transit}}/keys/+" {
  capabilities = ["read"]
}
path "{{.Transit}}/keys/+/rotate" {
  capabilities = ["update"]
}
path "{{.Transit}}/keys/+/trim" {
  capabilities = ["update"]
}
path "{{.Transit}}/keys/+/config" {
  capabilities       = ["update"]
  allowed_parameters = {
    "min_decryption_version" = []
    "min_encryption_version" = []
  }
}
# What it destroyed, which it can only add to.
path "{{.Receipts}}/data/+/+/keeper/*" {
  capabilities = ["create"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
