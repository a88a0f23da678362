package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/relay/proof"
)

// edgeLog is where the endpoint serves the relay's log.
const edgeLog = "log/"

func newLog(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Read a relay's log of what was done with the business's data",
		Long: `Read a relay's log of what was done with the business's data: sums by token, kind and minute, of exports and
erasures of persons by the hour. It names no customer and has no content. kubectl relay audit verify checks
what was exported, without the relay.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(newLogExport(streams), newLogKey(streams))
	return cmd
}

func newLogExport(streams genericiooptions.IOStreams) *cobra.Command {
	return newLogCommand(&cobra.Command{
		Use:   "export NAME",
		Short: "Write a relay's log as JSON lines",
		Long: `Write a relay's log as JSON lines, up to its latest signed checkpoint: first a line with the checkpoint, then a
line for each entry. Entries whose time is over have only their hash. Keep exports: what a later one
contradicts is found by kubectl relay audit verify.
` + howCalled,
		Example: `  kubectl relay log export acme -n acme > audit/2026-11-30.jsonl`,
	}, func(cmd *cobra.Command, _ []string, e *endpoint) error {
		return withoutLog(proof.WriteExport(cmd.Context(), streams.Out, logSource{e}))
	})
}

func newLogKey(streams genericiooptions.IOStreams) *cobra.Command {
	return newLogCommand(&cobra.Command{
		Use:   "key NAME",
		Short: "Print the public key that signs a relay's log",
		Long: `Print the public key that signs a relay's log. Keep it where nobody who runs the relay can change it, and give it to
the witness (relay witness add). It changes when the relay moves to another region, which the log says.
` + howCalled,
		Example: `  kubectl relay log key acme -n acme > audit/log.key`,
	}, func(cmd *cobra.Command, _ []string, e *endpoint) error {
		h, err := logSource{e}.Header(cmd.Context())
		if err != nil {
			return withoutLog(err)
		}
		if h.Key == "" {
			return errors.New("the relay has no key for its log yet: its condition LogVerifiable says why (kubectl relay status)")
		}
		_, err = fmt.Fprintln(streams.Out, shownLine(h.Key))
		return err
	})
}

// newLogCommand completes a command about one relay's log.
func newLogCommand(cmd *cobra.Command, do func(*cobra.Command, []string, *endpoint) error) *cobra.Command {
	var f endpointFlags
	cmd.Args = oneRelay
	f.add(cmd)
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = f.onEndpoint(cluster, do)
	return cmd
}

// logSource reads a log through the endpoint.
type logSource struct{ *endpoint }

// Header implements proof.Source.
func (s logSource) Header(ctx context.Context) (h proof.Header, err error) {
	body, err := s.ask(ctx, http.MethodGet, edgeLog+"header", nil, nil)
	if err != nil {
		return h, err
	}
	if json.Unmarshal(body, &h) != nil || h.Log == "" {
		return h, errors.New("the relay's answer does not say which log it is")
	}
	return h, nil
}

// Tile implements proof.Source.
func (s logSource) Tile(ctx context.Context, path string) ([]byte, error) {
	return s.ask(ctx, http.MethodGet, edgeLog+path, nil, nil)
}

// withoutLog words the answer of a relay of an earlier release.
func withoutLog(err error) error {
	if refusedAs(err, noObject) {
		return errors.New("this relay has no log yet: upgrade Relaykeep, and wait until the relay has restarted")
	}
	return err
}
