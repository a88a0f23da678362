# {{.Roles.Keeper}}: the keeper of last resort of a region. It can let wrapping keys die
# that their janitors left behind. It can decrypt nothing and delete nothing, and knows no
# entry of the KV mount. Settings keys lie in another mount.
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
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
