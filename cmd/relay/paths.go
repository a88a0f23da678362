package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// ownPathsOnly refuses flags that name another path than the operator's, in a release.
// Whoever gets to run the program in a relay's pod could otherwise hand it a
// configuration of his own, and with it the relay's token to a Vault of his own.
func ownPathsOnly(cmd *cobra.Command, _ []string) error {
	if otherPaths {
		return nil
	}
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && strings.HasPrefix(f.DefValue, "/") && f.Value.String() != f.DefValue {
			err = fmt.Errorf("--%s: a released relay uses %s and nothing else: leave the flag out", f.Name, f.DefValue)
		}
	})
	return err
}
