package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func newDoctor(streams genericiooptions.IOStreams) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "doctor [NAME]",
		Short: "Say what is wrong, and the command that shows or mends it",
		Long: `Look at one relay, or at all of the namespace (-A: of the cluster), and at their regions. Each
thing that is wrong is printed with its reason, the operator's message, and the command that
shows or mends it. Up to 20 relays are also asked for what waits in their queues, if you may
forward ports to their pods. It changes nothing. kubectl relay check looks at one relay or region as
closely, and also says what it looked at.

It exits with 1 if something is wrong, so that a pipeline can use it.`,
		Example: `  kubectl relay doctor acme -n acme

  # Everything in the cluster
  kubectl relay doctor -A`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, "give one BusinessRelay or none, not %d arguments", len(args))
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "the relays of all namespaces")
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if all && len(args) > 0 {
			return usage(cmd, "give a name or --all-namespaces, not both")
		}
		k, namespace, err := cluster.connect()
		if err != nil {
			return err
		}
		if all {
			namespace = ""
		}
		return examine(cmd.Context(), streams.Out, examiner{k, time.Now(), cluster.askQueues(k)}, namespace, strings.Join(args, ""))
	}
	return cmd
}

// examine prints what is wrong with relays and their regions; it returns an error if anything is.
func examine(ctx context.Context, out io.Writer, e examiner, namespace, name string) error {
	relays, err := findRelays(ctx, e.k, namespace, name)
	if err != nil {
		return err
	}
	problems := 0
	var regions []string
	for i := range relays {
		if region := string(relays[i].Spec.DataRegion); !slices.Contains(regions, region) {
			regions = append(regions, region)
		}
		r := relayReport(&relays[i])
		e.queues(ctx, &relays[i], len(relays), r)
		r.print(out, false)
		problems += len(r.findings)
	}
	slices.Sort(regions)
	for _, region := range regions {
		r := e.regionNamed(ctx, region)
		r.print(out, false)
		problems += len(r.findings)
	}
	return sumUp(out, problems, fmt.Sprintf("%s and %s", count(len(relays), "relay"), count(len(regions), "region")))
}

// sumUp prints that nothing is wrong, or returns how many problems there are.
func sumUp(out io.Writer, problems int, with string) error {
	if problems > 0 {
		return fmt.Errorf("%s found with %s", count(problems, "problem"), with)
	}
	fmt.Fprintf(out, "Nothing is wrong with %s.\n", with)
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
