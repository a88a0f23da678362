package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
)

// usage is an error about how a command was called.
func usage(cmd *cobra.Command, format string, a ...any) error {
	return fmt.Errorf("%s (%w: %s --help)", fmt.Sprintf(format, a...), exit.ErrUsage, cmd.CommandPath())
}

// unknownCommand is an error about a command that does not exist, and the ones that may be meant.
func unknownCommand(cmd *cobra.Command, typed string) error {
	if names := cmd.SuggestionsFor(typed); len(names) > 0 {
		return usage(cmd, "unknown command %q; %s", typed, meant(names, ""))
	}
	return usage(cmd, "unknown command %q", typed)
}

// oneRelay wants one argument, the name of a BusinessRelay.
func oneRelay(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd, "give one BusinessRelay, not %d arguments", len(args))
	}
	return nil
}

// none wants no argument.
func none(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd, "unexpected argument %q", args[0])
	}
	return nil
}
