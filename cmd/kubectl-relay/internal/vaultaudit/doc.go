// Package vaultaudit reads the file of a Vault's audit device and holds it against a relay's erasure receipts: what was destroyed
// and no receipt says, what a receipt says and nobody did, and who besides the relay, its janitor and its keeper did anything with
// what is the relay's. It reads line by line, with bounds, and changes and asks nothing. It must not know Vault's client, the
// cluster, or where receipts come from.
package vaultaudit
