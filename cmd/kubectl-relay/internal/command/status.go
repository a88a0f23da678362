package command

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
)

// watchEvery is how often --watch looks.
const watchEvery = 2 * time.Second

// statusFlags are the own flags of status.
type statusFlags struct {
	output        string
	allNamespaces bool
	watch         bool
	ask           queueAsker // nil: queues are not looked at
}

func newStatus(streams genericiooptions.IOStreams) *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show how one relay is, or all",
		Long: `Show how one relay is: what works, what does not and since when, where it runs, and how far
the erasure of old keys has come; and what waits in its queues, if you may forward ports to its
pod. Without a name, one line for each relay of the namespace,
or with -A of the cluster.

json and yaml have the same content as a list of objects, also for one relay. No output
contains a telephone number, a message or a secret.`,
		Example: `  kubectl relay status acme -n acme

  # All relays, and again whenever something changes
  kubectl relay status -A --watch`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, "give one BusinessRelay or none, not %d arguments", len(args))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "text", "output format: text, json or yaml")
	completeWords(cmd, "output", "text", "json", "yaml")
	flags.BoolVarP(&f.allNamespaces, "all-namespaces", "A", false, "the relays of all namespaces")
	flags.BoolVarP(&f.watch, "watch", "w", false, "print again whenever something changes, until interrupted")
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case f.output != "text" && f.output != "json" && f.output != "yaml":
			return usage(cmd, "unknown output %q: write text, json or yaml", f.output)
		case f.allNamespaces && len(args) > 0:
			return usage(cmd, "give a name or --all-namespaces, not both")
		}
		k, namespace, err := cluster.connect()
		if err != nil {
			return err
		}
		f.ask = cluster.askQueues(k)
		return f.show(cmd.Context(), streams.Out, k, namespace, strings.Join(args, ""))
	}
	return cmd
}

// show prints the status of the relays that are asked for, with --watch until ctx ends.
func (f *statusFlags) show(ctx context.Context, out io.Writer, k client.Reader, namespace, name string) error {
	if f.allNamespaces {
		namespace = ""
	}
	var before []relayState
	once := func(ctx context.Context) (bool, error) {
		relays, err := findRelays(ctx, k, namespace, name)
		if err != nil {
			return false, err
		}
		if now := statesOf(relays); before == nil || !equality.Semantic.DeepEqual(before, now) {
			if err := f.print(ctx, out, relays, name != "", time.Now()); err != nil {
				return false, err
			}
			before = now
		}
		return !f.watch, nil
	}
	err := wait.PollUntilContextCancel(ctx, watchEvery, true, once)
	if f.watch && wait.Interrupted(err) { // as it must be
		err = nil
	}
	return err
}

// findRelays reads one relay, or all of a namespace, or of all namespaces if that is empty.
func findRelays(ctx context.Context, k client.Reader, namespace, name string) ([]v1alpha1.BusinessRelay, error) {
	if name != "" {
		relay, err := findRelay(ctx, k, namespace, name)
		if err != nil {
			return nil, err
		}
		return []v1alpha1.BusinessRelay{*relay}, nil
	}
	var list v1alpha1.BusinessRelayList
	if err := k.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, explain(err, "the list of BusinessRelays", "give a namespace with -n")
	}
	return list.Items, nil
}

func (f *statusFlags) print(ctx context.Context, out io.Writer, relays []v1alpha1.BusinessRelay, one bool, now time.Time) error {
	switch {
	case f.output != "text":
		states := statesOf(relays)
		if one && f.asks(&relays[0]) {
			states[0].Queues, _ = f.ask(ctx, &relays[0]) // which may not be permitted
		}
		if f.output == "json" {
			return writeJSON(out, states)
		}
		raw, err := yaml.Marshal(states)
		if err != nil {
			return fmt.Errorf("encoding the status: %w", err)
		}
		_, err = out.Write(raw)
		return err
	case one:
		if err := printRelay(out, &relays[0], now); err != nil || !f.asks(&relays[0]) {
			return err
		}
		waiting, err := f.ask(ctx, &relays[0])
		return printQueues(out, waiting, err)
	case len(relays) == 0:
		fmt.Fprintln(out, "There is no BusinessRelay here; -A looks in all namespaces.")
		return nil
	default:
		return printRelays(out, relays, now)
	}
}

// asks says whether a relay is asked for its queues: one that is stopped has nobody to answer.
func (f *statusFlags) asks(relay *v1alpha1.BusinessRelay) bool {
	return f.ask != nil && !relay.Spec.Suspend && relay.Spec.Moving == nil
}

// relayState is a relay's status for programs.
type relayState struct {
	Namespace     string                     `json:"namespace"`
	Name          string                     `json:"name"`
	Ready         bool                       `json:"ready"`
	Reason        string                     `json:"reason,omitempty"`
	Message       string                     `json:"message,omitempty"`
	Region        string                     `json:"region"`
	Countries     []v1alpha1.CountryCode     `json:"countries,omitempty"`
	Node          string                     `json:"node,omitempty"`
	Image         string                     `json:"image,omitempty"`
	Volume        string                     `json:"volume,omitempty"`
	URL           string                     `json:"url,omitempty"`
	SharedURL     string                     `json:"sharedURL,omitempty"`
	PhoneNumberID string                     `json:"phoneNumberID,omitempty"`
	Fingerprint   string                     `json:"fingerprint,omitempty"`
	Quality       string                     `json:"quality,omitempty"`
	OldestKey     *metav1.Time               `json:"oldestKeyTime,omitempty"`
	LastErasure   *metav1.Time               `json:"lastErasureTime,omitempty"`
	Processors    []v1alpha1.ProcessorStatus `json:"processors,omitempty"`
	Transfers     []v1alpha1.Transfer        `json:"transfers,omitempty"`
	Conditions    []metav1.Condition         `json:"conditions"`
	Queues        []queueState               `json:"queues,omitempty"` // of one relay that told; empty ones are left out
}

func statesOf(relays []v1alpha1.BusinessRelay) []relayState {
	states := make([]relayState, len(relays))
	for i := range relays {
		states[i] = stateOf(&relays[i])
	}
	return states
}

func stateOf(r *v1alpha1.BusinessRelay) relayState {
	s := relayState{
		Namespace: r.Namespace, Name: r.Name, Region: string(r.Spec.DataRegion), Countries: r.Status.Region.Countries, Node: r.Status.Region.Node, Image: r.Status.Image, Volume: string(r.Status.Region.Volume),
		URL: r.Status.Endpoint.URL, SharedURL: r.Status.Endpoint.SharedURL, PhoneNumberID: r.Status.Endpoint.PhoneNumberID, Fingerprint: r.Status.Identity.Fingerprint, Quality: r.Status.Quality,
		OldestKey: r.Status.Retention.OldestKeyTime, LastErasure: r.Status.Retention.LastSuccessTime, Conditions: r.Status.Conditions,
		Processors: r.Status.Processors, Transfers: r.Status.Transfers,
	}
	if c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		s.Ready, s.Reason, s.Message = c.Status == metav1.ConditionTrue, c.Reason, c.Message
	}
	return s
}

// printRelays prints one line for each relay.
func printRelays(out io.Writer, relays []v1alpha1.BusinessRelay, now time.Time) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAMESPACE\tNAME\tREADY\tREASON\tUPDATE\tREGION\tNODE\tQUALITY\tAGE")
	for i := range relays {
		r := &relays[i]
		s := stateOf(r)
		update := ""
		if c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionReconciling); c != nil && s.Ready {
			update = c.Reason
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Namespace, r.Name, yesNo(s.Ready), orDash(s.Reason), orDash(update),
			s.Region, orDash(s.Node), orDash(s.Quality), age(r.CreationTimestamp, now))
	}
	return table.Flush()
}

// printRelay prints one relay at length.
func printRelay(out io.Writer, r *v1alpha1.BusinessRelay, now time.Time) error {
	s := stateOf(r)
	switch {
	case s.Reason == v1alpha1.ReasonSuspended:
		fmt.Fprintf(out, "%s in namespace %s is suspended\n\n", r.Name, r.Namespace)
	case s.Ready:
		fmt.Fprintf(out, "%s in namespace %s is ready\n\n", r.Name, r.Namespace)
	default:
		fmt.Fprintf(out, "%s in namespace %s is not ready\n  %s: %s\n\n", r.Name, r.Namespace, orDash(s.Reason), printable.Text(orDash(s.Message)))
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, line := range [][2]string{
		{"endpoint", s.URL},
		{"shared endpoint", s.SharedURL},
		{"phone number id", s.PhoneNumberID},
		{"region", s.Region},
		{"countries", listed(s.Countries)},
		{"node", s.Node},
		{"image", s.Image},
		{"volume in the region", s.Volume},
		{"fingerprint", strings.TrimSpace(s.Fingerprint)},
		{"pending", pendingRotations(r)},
		{"quality", s.Quality},
		{"processors", processorsIn(s.Processors)},
		{"transfers", transfersIn(s.Transfers)},
		{"oldest key", ago(s.OldestKey, now)},
		{"last erasure", ago(s.LastErasure, now)},
	} {
		if line[1] != "" {
			fmt.Fprintf(table, "%s\t%s\n", line[0], printable.Text(line[1]))
		}
	}
	fmt.Fprintln(table)
	for _, c := range r.Status.Conditions {
		fmt.Fprintf(table, "%s\t%s\t%s\tfor %s\n", c.Type, c.Status, c.Reason, age(c.LastTransitionTime, now))
	}
	return table.Flush()
}

// listed writes countries one after another.
func listed(countries []v1alpha1.CountryCode) string {
	texts := make([]string, len(countries))
	for i, c := range countries {
		texts[i] = string(c)
	}
	return strings.Join(texts, ", ")
}

// pendingRotations names the rotations that were asked for and that the relay has not applied yet.
func pendingRotations(r *v1alpha1.BusinessRelay) string {
	var all []string
	for _, c := range []struct {
		what      string
		is, asked int32
	}{
		{"identity", r.Status.Rotation.Identity, r.Spec.Rotation.Identity},
		{"access", r.Status.Rotation.Access, r.Spec.Rotation.Access},
	} {
		if c.is > 0 && c.is < c.asked {
			all = append(all, fmt.Sprintf("rotation of %s to %d, from %d", c.what, c.asked, c.is))
		}
	}
	return strings.Join(all, "; ")
}

func yesNo(yes bool) string {
	if yes {
		return "True"
	}
	return "False"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// age says how long ago something was, as kubectl does.
func age(t metav1.Time, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return duration.HumanDuration(now.Sub(t.Time))
}

func ago(t *metav1.Time, now time.Time) string {
	if t == nil {
		return ""
	}
	return age(*t, now) + " ago"
}
