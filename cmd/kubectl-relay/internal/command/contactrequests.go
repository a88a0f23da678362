package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// contactRequest is a customer who has not accepted a relay's contact request.
type contactRequest struct {
	WaID    string `json:"wa_id,omitempty"`
	UserID  string `json:"user_id,omitempty"`
	Request string `json:"contact_request"`
	Since   string `json:"since"`
	Waiting int    `json:"waiting_messages"`
}

func newCustomers(streams genericiooptions.IOStreams) *cobra.Command {
	var f endpointFlags
	var output textOrJSON
	cmd := &cobra.Command{
		Use:   "customers NAME",
		Short: "List the customers whose keys the relay may not read",
		Long: `List the customers to whom a relay cannot write yet: their clients show encryption keys only
to contacts, the relay asked them to become one, and they have not accepted. Messages to them
wait for three days. Ask these customers to accept the request, or to write to the business.

` + howCalled,
		Example: `  kubectl relay customers acme -n acme`,
		Args:    oneRelay,
	}
	f.add(cmd)
	output.add(cmd)
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = f.onEndpoint(cluster, func(cmd *cobra.Command, _ []string, e *endpoint) error {
		open, err := e.contactRequests(cmd.Context())
		if err != nil {
			return err
		}
		if output == asJSON {
			return writeJSON(streams.Out, map[string]any{"customers": open})
		}
		return printContactRequests(streams.Out, open)
	}, output.check)
	return cmd
}

// contactRequests reads all pages of the list.
func (e *endpoint) contactRequests(ctx context.Context) ([]contactRequest, error) {
	open := []contactRequest{}
	for after := ""; ; {
		query := url.Values{"limit": {"500"}}
		if after != "" {
			query.Set("after", after)
		}
		body, err := e.ask(ctx, http.MethodGet, "customers", query, nil)
		if err != nil {
			return nil, err
		}
		var page struct {
			Data   []contactRequest `json:"data"`
			Paging struct {
				Cursors struct {
					After string `json:"after"`
				} `json:"cursors"`
			} `json:"paging"`
		}
		if json.Unmarshal(body, &page) != nil {
			return nil, errors.New("the relay's answer is not a list of contact requests")
		}
		open = append(open, page.Data...)
		next := page.Paging.Cursors.After
		if next == "" || next == after {
			return open, nil
		}
		after = next
	}
}

func printContactRequests(w io.Writer, open []contactRequest) error {
	if len(open) == 0 {
		_, err := fmt.Fprintln(w, "The relay may read the keys of every customer to whom it wrote.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NUMBER\tUSER ID\tCONTACT REQUEST\tSINCE\tWAITING MESSAGES")
	for _, c := range open {
		since := ""
		if seconds, err := strconv.ParseInt(c.Since, 10, 64); err == nil {
			since = time.Unix(seconds, 0).UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\n", shownNumber(c.WaID), shownUser(c.UserID), request(c.Request), since, c.Waiting)
	}
	return table.Flush()
}

// shownNumber is a customer's number, or a dash where they have none or the business is not told.
func shownNumber(waID string) string {
	if waID = onlyDigits(waID); waID == "" {
		return "-"
	}
	return "+" + waID
}

// shownUser is a user id, or a dash for what is none.
func shownUser(id string) string {
	if !userIDForm.MatchString(id) {
		return "-"
	}
	return id
}

// onlyDigits keeps whatever a relay answers from controlling the terminal.
func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// request is the state of a request, in a word that we know.
func request(s string) string {
	if s == "declined" {
		return s
	}
	return "pending"
}
