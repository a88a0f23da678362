// Package ledger keeps a relay's log: it counts what is done, enters sums and single entries, has checkpoints signed and
// cosigned, and reads the log as tiles. It decides what is committed when; what entries say and how they are checked is
// package proof's. It must not know HTTP, Vault or messages.
//
// # What is committed when
//
// What is counted is in memory for at most SaveEvery, and then in the store, sealed, beside the log. Once its minute or hour
// is over, it becomes one entry. A crash loses at most SaveEvery of sums, and nothing that was counted with CountNow or
// entered.
package ledger
