package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// podsOwnProcess is the id of the process that a container was started as: no pod of a
// relay shares its processes with another container or with its node.
const podsOwnProcess = 1

// placeFlag says whether a flag says where Vault, the carrier or PostgreSQL is.
func placeFlag(name string) bool {
	return strings.HasPrefix(name, "vault-") || strings.HasPrefix(name, "xmpp-") || strings.HasPrefix(name, "postgres-")
}

// ownPathsOnly refuses flags that name another path than the operator's, in a release,
// and those that say where Vault, the carrier and PostgreSQL are to any process but the pod's own,
// whose arguments admission compared. Otherwise an attacker who can run the program in a
// relay's pod could give it another configuration, and so send the relay's token to
// another Vault.
func ownPathsOnly(cmd *cobra.Command, _ []string) error {
	if otherPaths {
		return nil
	}
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && placeFlag(f.Name) && os.Getpid() != podsOwnProcess {
			err = fmt.Errorf("--%s: a released relay accepts it only as its pod's own process", f.Name)
		}
		if err == nil && strings.HasPrefix(f.DefValue, "/") && f.Value.String() != f.DefValue {
			err = fmt.Errorf("--%s: a released relay only uses %s: leave the flag out", f.Name, f.DefValue)
		}
	})
	return err
}
