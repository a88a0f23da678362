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
	// keepPatience is for how long a run waits for a Vault that is sealed, away or
	// refusing.
	keepPatience = 90 * time.Second
)

// newKeepCommand is the keeper of last resort: one pass over a region's wrapping keys.
func newKeepCommand() *cobra.Command {
	var token, message string
	cmd := &cobra.Command{
		Use:   "keep",
		Short: "Destroy the keys of a region that no relay may have any more",
		Long: "Keep has Vault destroy every version of every wrapping key of the region that would be older than 30\n" +
			"days by the next run, an hour from now: nothing may be kept for longer, and what became of a relay, its\n" +
			"namespace or its janitor does not matter. It reads no configuration and belongs to no tenant. It writes\n" +
			"its result as JSON to the termination message and fails when anything that is due is left.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return keep(cmd, token, message) },
	}
	cmd.Flags().StringVar(&token, "token", contract.KeeperTokenPath,
		"the file of the service account token with the audience "+contract.AudienceKeeper("REGION"))
	cmd.Flags().StringVar(&message, "termination-log", contract.TerminationPath, "where to write the result; empty writes it nowhere")
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
		return nil, errors.New("--region is missing: say whose keeper this is")
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
