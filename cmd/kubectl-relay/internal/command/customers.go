package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func newEraseCustomer(streams genericiooptions.IOStreams) *cobra.Command {
	var f endpointFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase-customer NAME NUMBER|USER-ID",
		Short: "Erase everything that is stored about one person",
		Long: `Erase everything that a relay stores about one person: the messages in both directions with
everything that belongs to them, sessions and devices, queued jobs, and the entry on the
carrier's contact list. This cannot be undone. What the business's own programs store, and
what is on the person's own devices, is not affected. Backups of the volume hold it, sealed,
until its key is destroyed by the retention.

` + whichCustomer + howCalled,
		Example: `  kubectl relay erase-customer acme +4930111111 -n acme
  kubectl relay erase-customer acme DE.4K7QX2MZ5T3VJ6WHYB2ADNCRE5 -n acme`,
		Args: relayAndCustomer,
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "skip the confirmation prompt")
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = f.onCustomer(cluster, func(cmd *cobra.Command, args []string, e *endpoint, who person) error {
		if !yes && !confirmed(streams, args[0], "Everything that relay "+args[0]+" stores about "+who.words()+" will be erased.") {
			return errors.New("nothing was erased: the name was not confirmed")
		}
		if _, err := e.call(cmd.Context(), http.MethodDelete, who, nil); err != nil {
			return err
		}
		fmt.Fprintln(streams.Out, "Erased: the relay stores nothing about "+who.words()+".")
		return nil
	})
	return cmd
}

func newExportCustomer(streams genericiooptions.IOStreams) *cobra.Command {
	var f endpointFlags
	cmd := &cobra.Command{
		Use:   "export-customer NAME NUMBER|USER-ID",
		Short: "Show everything that is stored about one person",
		Long: `Show, as JSON, everything that a relay stores about one person: their name and devices, and
the messages in both directions that are younger than the retention. It answers a person's
request for access, as far as the relay is concerned.

` + whichCustomer + howCalled,
		Example: `  kubectl relay export-customer acme +4930111111 -n acme > person.json
  kubectl relay export-customer acme DE.4K7QX2MZ5T3VJ6WHYB2ADNCRE5 -n acme > person.json`,
		Args: relayAndCustomer,
	}
	f.add(cmd)
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = f.onCustomer(cluster, func(cmd *cobra.Command, _ []string, e *endpoint, who person) error {
		all, err := e.export(cmd.Context(), who)
		if err != nil {
			return err
		}
		out := json.NewEncoder(streams.Out)
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		return out.Encode(all)
	})
	return cmd
}

// export reads all pages about a person into one.
func (e *endpoint) export(ctx context.Context, who person) (map[string]any, error) {
	var all map[string]any
	messages := []any{}
	err := eachPage(func(query url.Values) (paging, error) {
		body, err := e.call(ctx, http.MethodGet, who, query)
		if err != nil {
			return paging{}, err
		}
		var page struct {
			Messages struct {
				Data   []any  `json:"data"`
				Paging paging `json:"paging"`
			} `json:"messages"`
		}
		if err := errors.Join(json.Unmarshal(body, &page), json.Unmarshal(body, &all)); err != nil {
			return paging{}, errors.New("the relay's answer is not an export")
		}
		messages = append(messages, page.Messages.Data...)
		return page.Messages.Paging, nil
	})
	if err != nil {
		return nil, err
	}
	all["messages"] = messages
	return all, nil
}
