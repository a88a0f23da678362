module github.com/relaykeep/relaykeep/test/cluster

go 1.26
