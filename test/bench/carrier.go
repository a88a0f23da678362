package main

// carrierPackages are those whose benchmarks carrierBudgets names.
func carrierPackages() []string { return []string{"./test/link"} }

// carrierBudgets are the promises about the link to a real carrier: the server sets
// the pace, and uses more of the processors than the relay.
func carrierBudgets() []budget {
	const relay, blaster = "ThroughProsody/impl=relay", "ThroughProsody/impl=blaster"
	return []budget{
		{
			what: "message through Prosody, receipted", of: nsPerOp(relay), by: nsPerOp(blaster), most: 1.3,
			atMost: "1.3 x a bare client, which is the server's limit",
		},
		{
			what: "CPU of a relay for a message", of: key{relay, "relay-cpu-ns/op"}, by: key{relay, "server-cpu-ns/op"}, most: 1,
			atMost: "the server's CPU for it",
		},
	}
}
