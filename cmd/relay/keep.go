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
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/vault"
)

const (
	// keepTime bounds one run of the keeper, well before the next one begins.
	keepTime = 25 * time.Minute
	// keepPatience is how long a run waits for a Vault that is sealed, unreachable or
	// refusing.
	keepPatience = 90 * time.Second
)

// newKeepCommand is the keeper of last resort: one pass over a region's wrapping keys.
func newKeepCommand() *cobra.Command {
	var token, message string
	cmd := &cobra.Command{
		Use:   "keep",
		Short: "Destroy keys of a region that are older than any relay may keep them",
		Long: "Keep makes Vault destroy each version of the region's wrapping keys that would be older than 30 days\n" +
			"at the next run, an hour from now. No relay may keep anything longer, even if the relay, its\n" +
			"namespace or its janitor is gone. It reads no configuration and belongs to no tenant. It writes\n" +
			"its result as JSON to the termination message and fails if any version that is due is left.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return keep(cmd, token, message) },
	}
	cmd.Flags().StringVar(&token, "token", contract.KeeperTokenPath,
		"file with the service account token for the audience "+contract.AudienceKeeper("REGION"))
	cmd.Flags().StringVar(&message, "termination-log", contract.TerminationPath, "file to write the result to; empty writes none")
	vaultFlags(cmd)
	return cmd
}

func keep(cmd *cobra.Command, token, message string) error {
	result := contract.KeeperResult{Version: contract.KeeperResultVersion, Time: clock.Now().UTC(), Reason: "InvalidConfiguration"}
	client, err := keeperClient(cmd, token)
	if err == nil {
		result, err = keepPatiently(cmd, client)
	} else {
		result.Message = err.Error()
	}
	return errors.Join(unwrapped(err), reportKeeper(cmd, message, result))
}

// keepPatiently waits for Vault, then does one run.
func keepPatiently(cmd *cobra.Command, client *vault.Keeper) (contract.KeeperResult, error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), keepTime)
	defer cancel()
	defer client.Close(context.WithoutCancel(ctx))
	log, err := newLogger(cmd)
	if err != nil {
		return contract.KeeperResult{Version: contract.KeeperResultVersion}, err
	}
	waiting, stop := context.WithTimeout(ctx, keepPatience)
	defer stop()
	_ = client.Retry(waiting, func(ctx context.Context) error { // the run says what is wrong
		_, _, err := client.WrappingKeys(ctx)
		return err
	})
	return retention.Keep(ctx, retention.RegionAt(client), retention.DefaultLimits(), clock.Offset(), log)
}

// keeperClient makes a client in the role of the region's keeper.
func keeperClient(cmd *cobra.Command, token string) (*vault.Keeper, error) {
	_, args, err := arguments(cmd)
	if err != nil {
		return nil, err
	}
	if args.Region == "" {
		return nil, errors.New("--region is missing")
	}
	log, err := newLogger(cmd)
	if err != nil {
		return nil, err
	}
	return vault.NewKeeper(vault.Config{Vault: args.Vault, Role: contract.RoleKeeper(args.Region), TokenPath: token, Log: log})
}

// reportKeeper writes the result to the termination message and to standard output.
func reportKeeper(cmd *cobra.Command, path string, result contract.KeeperResult) error {
	text, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("rendering the result: %w", err)
	}
	cmd.Println(string(text))
	if path == "" {
		return nil
	}
	return retention.ReportKeeper(path, result)
}
