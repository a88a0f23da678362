module github.com/relaykeep/relaykeep/test/cluster/binaries/probe

go 1.26
