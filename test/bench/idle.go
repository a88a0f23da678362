package main

// idlePackages are those with the benchmark of a relay that has nothing to do.
func idlePackages() []string { return []string{"./test/dataplane"} }

// idleBudgets are the promises about a relay that has nothing to do: a cluster has many of them.
func idleBudgets() []budget {
	return []budget{
		{what: "an idle relay's own memory", of: key{"Idle", "B/relay"}, most: 7.4e6, atMost: "7.4 MB"},
		{what: "from a relay's start to its first call", of: key{"Idle", "start-ns/op"}, most: 1e9, atMost: "1 s"},
	}
}
