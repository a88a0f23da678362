package main

// scalePackages are those with the benchmark of an operator with a thousand relays.
func scalePackages() []string { return []string{"./test/scale"} }

// scaleBudgets are the promises about an operator with many relays, beside a client that applies the same objects to
// another API server with as many requests at a time: docs/decisions/0061-scale.md says what each of them counts.
func scaleBudgets() []budget {
	of := func(unit string) key { return key{"Scale", unit} }
	return []budget{
		{what: "time until all relays are ready", of: of("ready-ns/op"), by: of("bare-ns/op"), most: 2, atMost: "2 x a bare client's"},
		{what: "writes in a minute in which nothing happens", of: of("rest-writes"), most: 0, atMost: "none"},
		{what: "reconciles of a relay in that minute", of: of("rest-passes/relay"), most: 0, atMost: "none"},
		{what: "the operator's memory above 64 MiB, for each relay", of: of("B/relay"), most: 20e3, atMost: "20 kB"},
		{what: "writes of an operator that starts again", of: of("restart-writes"), most: 0, atMost: "none"},
		{what: "time until it has looked at all relays", of: of("restart-ns/op"), most: 30e9, atMost: "30 s"},
		{what: "time in which 100 relays are audited", of: key{"Audit", "audit-ns/op"}, most: 60e9, atMost: "60 s"},
	}
}
