package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
)

// newLogger returns the process's logger: JSON lines on standard error, which hold
// neither numbers nor content.
func newLogger(cmd *cobra.Command) (*slog.Logger, error) {
	name, err := cmd.Flags().GetString("log-level")
	if err != nil {
		return nil, err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return nil, fmt.Errorf("--log-level: %q is not debug, info, warn or error", name)
	}
	return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level})), nil
}
