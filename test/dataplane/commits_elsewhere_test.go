package dataplane_test

// elsewhere names the kinds of changes at which TestKill_AtEveryCommitLosesAndDoublesNothing may kill nothing, by file,
// function and place within it, and says why.
func elsewhere() map[string]string {
	const (
		nothing   = "it writes nothing"
		inProcess = "TestBounce_OutlivesACrash crashes there, within one process"
		copies    = "it takes a processor; a copy that is sent again after a crash has the same id"
		quota     = "it takes a customer whose share of the volume is used up"
		memory    = "it takes content that was lost without storage: TestCrash_LosesAndDoublesNothing crashes there, within one process"
	)
	return map[string]string{
		"ledger/ledger.go EnterChanged 1":                      "it comes a minute after the start, and again until it is done",
		"ledger/publish.go ask 1":                              "it takes a witness, which is asked again",
		"message/internal/delivery/copies.go FinishCopies 1":   copies,
		"message/internal/delivery/copies.go drop 1":           copies,
		"message/receive.go reported 1":                        "it takes a carrier that forwards reports of spam",
		"serve/receipts.go takeReceipts 1":                     "it takes receipts of erasures, which are read again",
		"message/internal/base/writes.go UserOf 1":             "only for a customer's row from before user ids",
		"message/internal/base/writes.go Settle 1":             "only for a webhook that has nothing to tell any more",
		"message/internal/blocklist/block.go restoreBlocked 1": "only for a block list that was damaged",
		"message/internal/delivery/letters.go Bury 1":          "the sweep, which comes every half second here, is always first: BuryOverdue does the same",
		"message/internal/inbound/download.go fetchFile 1":     memory,
		"message/internal/outbound/lost.go failLost 1":         "it takes content that was lost before its message is sent again",
		"message/internal/inbound/quota.go overQuota 1":        quota,
		"message/internal/inbound/quota.go fileOverQuota 1":    quota,
		"message/internal/inbound/unread.go Unread 1":          "it takes a client that writes in clear",
		"message/internal/outbound/bounce.go sendBounced 1":    inProcess,
		"message/internal/outbound/bounce.go sendBounced 2":    inProcess,
		"message/internal/outbound/receipts.go wasAnswered 1":  "it takes a client that answers and sends no receipts",
		"message/internal/peers/identity.go Inspect 1":         "it takes a customer whose list of devices comes unasked",
		"message/internal/outbound/ready.go sendReady 1":       "only for a text that could not be encrypted when it was accepted, and can be when its turn comes",
		"serve/rotation.go endFormer 1":                        nothing,
		"serve/run.go maintain 1":                              nothing,
		"store/move.go moveSettings 1":                         "only for a store whose settings have no key of their own in Vault yet",
	}
}
