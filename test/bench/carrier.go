package main

// carrierPackages are those whose benchmarks carrierBudgets names.
func carrierPackages() []string { return []string{"./test/link"} }

// carrierBudgets are the promises about the link to a real carrier: the server sets
// the pace, and uses more of the processors than the relay. Its limit is the rate of
// bare clients that count stanzas (XEP-0198), which is needed to lose none; the rate of
// those that do not count is for comparison.
func carrierBudgets() []budget {
	const (
		relay, limited = "ThroughProsody/impl=relay", "ThroughProsody/impl=limited"
		counting, bare = "ThroughProsody/impl=counting", "ThroughProsody/impl=bare"
	)
	return []budget{
		{
			what: "message through Prosody, receipted", of: nsPerOp(relay), by: nsPerOp(counting), most: 1.15,
			atMost: "1.15 x bare clients that count stanzas: the server's limit",
		},
		{
			what: "message through Prosody, receipted", of: nsPerOp(relay), by: nsPerOp(bare), most: 1.3,
			atMost: "1.3 x bare clients that may lose some",
		},
		{
			what: "one of a hundred messages takes longer", of: key{limited, "p99-ns/op"}, most: 100e6,
			atMost: "100 ms, at 80 messages/s each way",
		},
		{
			what: "CPU of a relay for a message", of: key{relay, "relay-cpu-ns/op"}, by: key{relay, "server-cpu-ns/op"}, most: 1,
			atMost: "the server's CPU for it",
		},
	}
}
