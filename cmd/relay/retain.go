package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/clock"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// retainPatience is for how long one run waits for a Vault that is sealed, away or
// refusing. The next run is at most an hour off and does what this one could not.
const retainPatience = 90 * time.Second

// tokenFlag adds the flag that retain and erase share.
func tokenFlag(cmd *cobra.Command, token *string) {
	cmd.Flags().StringVar(token, "token", contract.JanitorTokenPath,
		"file with the service account token for the audience "+contract.AudienceJanitor("REGION"))
}

// newRetainCommand is the janitor: one pass over the tenant's key versions.
func newRetainCommand() *cobra.Command {
	var token, message string
	cmd := &cobra.Command{
		Use:   "retain",
		Short: "Destroy keys that are older than the retention",
		Long: "Retain has Vault destroy each version of the tenant's wrapping key that would be older than the\n" +
			"retention at the next run, an hour from now. What was sealed under it can then not be read any more,\n" +
			"in no copy. It writes its result as JSON to the termination message and fails if any version\n" +
			"that is due is left.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return retain(cmd, token, message) },
	}
	tokenFlag(cmd, &token)
	vaultFlags(cmd)
	cmd.Flags().StringVar(&message, "termination-log", contract.TerminationPath, "file to write the result to; empty writes none")
	return cmd
}

func retain(cmd *cobra.Command, token, message string) error {
	result := contract.RetentionResult{Version: contract.RetentionResultVersion, Time: clock.Now().UTC()}
	file, client, err := janitorClient(cmd, token)
	if err == nil {
		ctx, cancel := context.WithTimeout(cmd.Context(), retainPatience)
		defer cancel()
		result, err = retainPatiently(ctx, client, file.RetentionDays)
		client.Close(context.WithoutCancel(ctx))
	} else {
		result.Reason, result.Message = "InvalidConfiguration", err.Error()
	}
	if reportErr := report(cmd, message, result); reportErr != nil {
		return errors.Join(unwrapped(err), reportErr)
	}
	return unwrapped(err)
}

// retainPatiently runs the janitor until it succeeds, fails for good, or ctx ends,
// and returns how it went the last time.
func retainPatiently(ctx context.Context, client *vault.Client, days int) (result contract.RetentionResult, err error) {
	_ = client.Retry(ctx, func(ctx context.Context) error {
		again, failure := retention.Run(ctx, client, days, clock.Offset())
		if ctx.Err() == nil || result.Version == 0 { // else the time ran out, which says less than what came before
			result, err = again, failure
		}
		return failure
	})
	return result, err
}

// report writes the result to the termination message and to standard output.
func report(cmd *cobra.Command, path string, result contract.RetentionResult) error {
	text, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("rendering the result: %w", err)
	}
	cmd.Println(string(text))
	if path == "" {
		return nil
	}
	return retention.Report(path, result)
}

// janitorClient reads the configuration and makes a client in the janitor's role. One
// with a former release's arguments has a token for the former role.
func janitorClient(cmd *cobra.Command, token string) (*config.File, *vault.Client, error) {
	path, args, err := arguments(cmd)
	if err != nil {
		return nil, nil, err
	}
	file, err := config.LoadJanitor(path, args)
	if err != nil {
		return nil, nil, err
	}
	role := contract.RoleJanitor(file.Region)
	if file.EarlierRelease {
		role = contract.FormerRoleJanitor
	}
	client, err := tenantClient(cmd, file, role, token)
	return file, client, err
}

// tenantClient makes a client of the tenant's Vault.
func tenantClient(cmd *cobra.Command, file *config.File, role, token string) (*vault.Client, error) {
	log, err := newLogger(cmd)
	if err != nil {
		return nil, err
	}
	cfg := vault.ForTenant(file.Config, role, token)
	cfg.Log = log
	return vault.New(cfg)
}

// unwrapped keeps an error's words only. A run that was interrupted has failed,
// though the process was asked to end: main must not take it for a clean end.
func unwrapped(err error) error {
	if errors.Is(err, context.Canceled) {
		return errors.New(err.Error())
	}
	return err
}
