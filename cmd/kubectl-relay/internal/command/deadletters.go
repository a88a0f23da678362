package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
)

// edgeLetters is where the endpoint keeps dead letters.
const edgeLetters = "dead_letters"

// deadLetter is a webhook that was given up, as the endpoint tells of it.
type deadLetter struct {
	ID        string `json:"id"`
	MessageID string `json:"message_id,omitempty"`
	Type      string `json:"type"`
	Status    string `json:"delivery_status,omitempty"`
	Created   int64  `json:"created"`
	GivenUp   int64  `json:"given_up"`
	Attempts  int    `json:"attempts"`
	LastError string `json:"last_error,omitempty"`
}

func newDeadLetters(streams genericiooptions.IOStreams) *cobra.Command {
	var f endpointFlags
	var output textOrJSON
	cmd := &cobra.Command{
		Use:   "dead-letters NAME",
		Short: "List the webhooks that a relay gave up",
		Long: `List the webhooks that a relay gave up, because the business's receiver did not answer 200 within
seven days, or within the retention if that is shorter. The list says which message each is about and why it was
given up, and names no customer. Dead letters are kept until their retention ends;
kubectl relay replay-webhooks delivers them.
` + howCalled,
		Example: `  kubectl relay dead-letters acme -n acme`,
		Args:    oneRelay,
	}
	f.add(cmd)
	output.add(cmd)
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = f.onEndpoint(cluster, func(cmd *cobra.Command, _ []string, e *endpoint) error {
		letters, err := e.deadLetters(cmd.Context())
		switch {
		case err != nil:
			return err
		case output == asJSON:
			return writeJSON(streams.Out, map[string]any{"deadLetters": letters})
		}
		return printDeadLetters(streams.Out, letters)
	}, output.check)
	return cmd
}

func newReplayWebhooks(streams genericiooptions.IOStreams) *cobra.Command {
	var f endpointFlags
	var ids []string
	var all bool
	cmd := &cobra.Command{
		Use:   "replay-webhooks NAME --id ID[,ID…]|--all",
		Short: "Deliver webhooks that a relay gave up",
		Long: `Have a relay deliver webhooks that it gave up: the dead letters with these ids, or all. Each is tried at
once, and then for as long as a new webhook. The business's programs get them late, behind newer ones: they
recognise a message by its id and its timestamp.
` + howCalled,
		Example: `  kubectl relay replay-webhooks acme -n acme --all
  kubectl relay replay-webhooks acme -n acme --id 4711,4712`,
		Args: oneRelay,
	}
	cmd.Flags().StringSliceVar(&ids, "id", nil, "the dead letters' ids (kubectl relay dead-letters)")
	cmd.Flags().BoolVar(&all, "all", false, "all dead letters")
	f.add(cmd)
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = f.onEndpoint(cluster, func(cmd *cobra.Command, _ []string, e *endpoint) error {
		n, err := e.replay(cmd.Context(), ids, all)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(streams.Out, "Dead letters that are delivered now: %d.\n", n)
		return err
	}, func(cmd *cobra.Command) error {
		if all == (len(ids) > 0) {
			return usage(cmd, "say which dead letters with --id, or --all")
		}
		return nil
	})
	return cmd
}

// deadLetters reads all pages of the list.
func (e *endpoint) deadLetters(ctx context.Context) ([]deadLetter, error) {
	letters := []deadLetter{}
	err := eachPage(func(query url.Values) (paging, error) {
		body, err := e.ask(ctx, http.MethodGet, edgeLetters, query, nil)
		if err != nil {
			return paging{}, withoutLetters(err)
		}
		var page struct {
			Data   []deadLetter `json:"data"`
			Paging paging       `json:"paging"`
		}
		if json.Unmarshal(body, &page) != nil || page.Data == nil {
			return paging{}, errors.New("the relay's answer is not a list of dead letters")
		}
		letters = append(letters, page.Data...)
		return page.Paging, nil
	})
	return letters, err
}

// maxReplayed is how many dead letters one request may name.
const maxReplayed = 1000

// replay has dead letters delivered and returns how many.
func (e *endpoint) replay(ctx context.Context, ids []string, all bool) (int, error) {
	if all {
		return e.postReplay(ctx, map[string]any{"all": true})
	}
	if len(ids) > maxReplayed {
		return 0, fmt.Errorf("name at most %d dead letters at once, or use --all", maxReplayed)
	}
	return e.postReplay(ctx, map[string]any{"ids": ids})
}

func (e *endpoint) postReplay(ctx context.Context, fields map[string]any) (int, error) {
	body, err := json.Marshal(fields)
	if err != nil {
		return 0, err
	}
	answer, err := e.ask(ctx, http.MethodPost, edgeLetters, nil, body)
	if refusedAs(err, badParameter) {
		return 0, errors.New("nothing was replayed: one of these ids is no dead letter's (kubectl relay dead-letters)")
	}
	if err != nil {
		return 0, withoutLetters(err)
	}
	var done struct {
		Replayed *int `json:"replayed"`
	}
	if json.Unmarshal(answer, &done) != nil || done.Replayed == nil {
		return 0, errors.New("the relay's answer does not say how many were replayed")
	}
	return *done.Replayed, nil
}

// withoutLetters words the answer of a relay of an earlier release.
func withoutLetters(err error) error {
	if refusedAs(err, noObject) {
		return errors.New("this relay has no dead letters yet: upgrade Relaykeep, and wait until the relay has restarted")
	}
	return err
}

func printDeadLetters(w io.Writer, letters []deadLetter) error {
	if len(letters) == 0 {
		_, err := fmt.Fprintln(w, "There are no dead letters.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "ID\tTELLS\tMESSAGE\tSINCE\tGIVEN UP\tATTEMPTS\tLAST ERROR")
	at := func(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }
	for _, l := range letters {
		tells := "a message"
		if l.Type == "status" {
			tells = "status " + strings.ToLower(shownLine(l.Status))
		}
		why := shownLine(l.LastError)
		if why == "" {
			why = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", onlyDigits(l.ID), tells, shownLine(l.MessageID), at(l.Created), at(l.GivenUp), l.Attempts, why)
	}
	return table.Flush()
}

// shownLine is a relay's text as one line of a table.
func shownLine(s string) string { return strings.Join(strings.Fields(printable.Text(s)), " ") }
