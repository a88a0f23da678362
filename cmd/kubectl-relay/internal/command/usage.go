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
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// usageFlags are the own flags of usage.
type usageFlags struct {
	output              string
	allNamespaces       bool
	month, since, until string
}

func newUsage(streams genericiooptions.IOStreams) *cobra.Command {
	var f usageFlags
	cmd := &cobra.Command{
		Use:   "usage [NAME]",
		Short: "Show how much businesses used, to bill by",
		Long: `Show how much one business used, day by day (UTC): messages that its customers sent and that it sent, by kind,
the bytes of their files, and with how many customers there were messages. Without a name, one line
for each relay of the namespace, or with -A of the cluster. The default is the current month; days are
kept for 13 months.

Nothing is said about persons. Counts are in tens, and bytes in megabytes of ten files or more: what is not full
yet counts on the day on which it is, so that sums are right within ten of each kind. "<10" stands for
what was not full on a day. Counts change once an hour, customers are counted when the day is over, and
sums are of what is shown.

json and csv have each kind of message. It asks the relay's pod through the API server, which takes the right to "get"
the resource "pods" and to "create" the resource "pods/portforward", and no credentials of the business. A relay that is
stopped cannot be asked. Of several relays, those that did not answer are told on standard error, and the exit code is 1.`,
		Example: `  kubectl relay usage acme -n acme
  kubectl relay usage -A --month 2026-10 -o csv
  kubectl relay usage acme -n acme --since 2026-10-15 --until 2026-11-14 -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, "give one BusinessRelay or none, not %d arguments", len(args))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "text", "output format: text, json or csv")
	completeWords(cmd, "output", "text", "json", "csv")
	flags.BoolVarP(&f.allNamespaces, "all-namespaces", "A", false, "the relays of all namespaces")
	flags.StringVar(&f.month, "month", "", "the month, as 2026-10; default: the current one")
	flags.StringVar(&f.since, "since", "", "the first day, as 2026-10-15, instead of a month")
	flags.StringVar(&f.until, "until", "", "the last day; default: today")
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		span, err := f.check(cmd, args, time.Now())
		if err != nil {
			return err
		}
		k, namespace, err := cluster.connect()
		if err != nil {
			return err
		}
		config, err := cluster.config()
		if err != nil {
			return err
		}
		if f.allNamespaces {
			namespace = ""
		}
		relays, err := findRelays(cmd.Context(), k, namespace, strings.Join(args, ""))
		if err != nil {
			return err
		}
		report := askUsage(cmd.Context(), config, k, relays, span)
		if len(args) > 0 && len(report.failed) > 0 {
			return report.failed[0].err
		}
		if err := report.write(streams.Out, f.output, len(args) > 0); err != nil {
			return err
		}
		return report.missing(streams.ErrOut)
	}
	return cmd
}

// days is a span of time, from a first to a last day.
type days struct{ since, until string }

// check returns the days that the flags name.
func (f *usageFlags) check(cmd *cobra.Command, args []string, now time.Time) (days, error) {
	today := now.UTC().Format(contract.DayLayout)
	switch {
	case f.output != "text" && f.output != "json" && f.output != "csv":
		return days{}, usage(cmd, "unknown output %q: write text, json or csv", f.output)
	case f.allNamespaces && len(args) > 0:
		return days{}, usage(cmd, "give a name or --all-namespaces, not both")
	case f.month != "" && f.since+f.until != "":
		return days{}, usage(cmd, "give --month, or --since and --until")
	case f.until != "" && f.since == "":
		return days{}, usage(cmd, "--until needs --since")
	case f.since != "":
		first, err := time.Parse(contract.DayLayout, f.since)
		if err != nil {
			return days{}, usage(cmd, "--since is no day: write it as 2026-10-15")
		}
		last, err := time.Parse(contract.DayLayout, orElse(f.until, today))
		if err != nil {
			return days{}, usage(cmd, "--until is no day: write it as 2026-10-15")
		}
		if last.Before(first) {
			return days{}, usage(cmd, "--since is after --until")
		}
		return days{first.Format(contract.DayLayout), last.Format(contract.DayLayout)}, nil
	}
	month, err := time.Parse("2006-01", orElse(f.month, today[:len("2006-01")]))
	if err != nil {
		return days{}, usage(cmd, "--month is no month: write it as 2026-10")
	}
	return days{month.Format(contract.DayLayout), month.AddDate(0, 1, -1).Format(contract.DayLayout)}, nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// relayUsage is what one relay answered.
type relayUsage struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	contract.Usage

	err error
}

// usageReport is what all relays answered that were asked.
type usageReport struct {
	days
	answered, failed []relayUsage
}

// How many relays are asked at once, and for how long one may take.
const (
	usageWorkers = 8
	usageTimeout = 30 * time.Second
)

// askUsage asks relays how much was used.
func askUsage(ctx context.Context, config *rest.Config, k client.Reader, relays []v1alpha1.BusinessRelay, span days) usageReport {
	all := make([]relayUsage, len(relays))
	var g errgroup.Group
	g.SetLimit(usageWorkers)
	for i := range relays {
		g.Go(func() error {
			all[i] = relayUsage{Namespace: relays[i].Namespace, Name: relays[i].Name}
			all[i].Usage, all[i].err = usageOf(ctx, config, k, &relays[i], span)
			return nil
		})
	}
	_ = g.Wait() // each has its own error
	report := usageReport{days: span}
	for _, r := range all {
		if r.err != nil {
			report.failed = append(report.failed, r)
		} else {
			report.answered = append(report.answered, r)
		}
	}
	return report
}

// usageOf asks one relay.
func usageOf(ctx context.Context, config *rest.Config, k client.Reader, relay *v1alpha1.BusinessRelay, span days) (u contract.Usage, err error) {
	err = askPods(ctx, config, k, relay, usageTimeout, func(ctx context.Context, pod *http.Client) (err error) {
		u, err = fetchUsage(ctx, pod, relay.Name, span)
		return err
	})
	return u, err
}

// fetchUsage reads a relay's usage at its status port.
func fetchUsage(ctx context.Context, pod *http.Client, relay string, span days) (u contract.Usage, err error) {
	query := url.Values{"since": {span.since}, "until": {span.until}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://relay"+contract.UsagePath+"?"+query.Encode(), nil)
	if err != nil {
		return u, err
	}
	response, err := pod.Do(request)
	if err != nil {
		return u, fmt.Errorf("asking the relay for its usage: %w", errors.Unwrap(err))
	}
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		_ = response.Body.Close()
		return u, fmt.Errorf("relay %s does not meter yet: upgrade Relaykeep, and wait until the relay has restarted", relay)
	default:
		return u, said(response)
	}
	defer response.Body.Close()
	return readUsage(response.Body)
}

// readUsage reads a relay's answer.
func readUsage(from io.Reader) (u contract.Usage, err error) {
	text, err := io.ReadAll(io.LimitReader(from, contract.MaxUsageBytes+1))
	switch {
	case err != nil:
		return u, fmt.Errorf("reading the relay's answer: %w", err)
	case len(text) > contract.MaxUsageBytes:
		return u, fmt.Errorf("the relay's answer is larger than %d MiB", contract.MaxUsageBytes>>20)
	case json.Unmarshal(text, &u) != nil || u.Version != contract.UsageVersion || u.Step <= 0 || u.ByteStep <= 0:
		return u, errors.New("the relay's answer is not usage that this command can read: use the plugin of the relay's release")
	}
	for _, d := range u.Days {
		if _, err := time.Parse(contract.DayLayout, d.Day); err != nil {
			return u, errors.New("the relay's answer has a day that is none")
		}
	}
	return u, nil
}

// missing tells which relays did not answer.
func (r *usageReport) missing(errOut io.Writer) error {
	for _, f := range r.failed {
		fmt.Fprintf(errOut, "Relay %s in namespace %s is missing: %v\n", f.Name, f.Namespace, f.err)
	}
	if len(r.failed) > 0 {
		return fmt.Errorf("%d of %d relays did not say how much was used", len(r.failed), len(r.failed)+len(r.answered))
	}
	return nil
}
