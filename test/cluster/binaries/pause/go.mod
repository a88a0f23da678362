module github.com/relaykeep/relaykeep/test/cluster/binaries/pause

go 1.26
