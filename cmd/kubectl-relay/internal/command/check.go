package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// Types of objects that check looks at.
const (
	checkRelay  = "relay"
	checkRegion = "region"
)

func newCheck(streams genericiooptions.IOStreams) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "check TYPE/NAME...",
		Short: "Look closely at a region or a relay, and say what was looked at",
		Long: `Look closely at regions and relays: say what was looked at and how it is, then what is wrong,
each with the command that shows or mends it. It changes nothing.

  region/NAME   the DataRegion's conditions; its nodes, and why one takes no relays; its storage
                class; what its relays and its keeper say of its Vault and its carrier
  relay/NAME    the BusinessRelay's conditions, its pods, and what waits in its queues

relays and regions without a name are all of them. What you may not read is said, and left out.
Queues of up to 20 relays are asked for through the API server, as by kubectl port-forward.
Nothing else is connected to from here: what this machine reaches says nothing about what relays reach.

To see only what is wrong with relays and their regions, use kubectl relay doctor; to see how
relays are, kubectl relay status.

It exits with 1 if something is wrong, so that a pipeline can use it.`,
		Example: `  kubectl relay check region/eu
  kubectl relay check relay/acme -n acme
  kubectl relay check regions`,
		Args: func(cmd *cobra.Command, args []string) error {
			if _, err := parseChecked(args); err != nil {
				return usage(cmd, "%v", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "with relays: those of all namespaces")
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.checked
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asked, err := parseChecked(args)
		if err != nil {
			return err
		}
		for _, a := range asked {
			if all && (a.kind != checkRelay || a.name != "") {
				return usage(cmd, "--all-namespaces is for relays without a name")
			}
		}
		k, namespace, err := cluster.connect()
		if err != nil {
			return err
		}
		if all {
			namespace = ""
		}
		reports, err := examiner{k, time.Now(), cluster.askQueues(k)}.checked(cmd.Context(), namespace, asked)
		if err != nil {
			return err
		}
		return printChecked(streams, reports)
	}
	return cmd
}

// asked is what check is asked to look at: one object, or all of a type.
type asked struct{ kind, name string }

// parseChecked reads what to look at, in the forms that kubectl get knows: TYPE/NAME…, TYPE NAME…, TYPE.
func parseChecked(args []string) ([]asked, error) {
	if len(args) == 0 {
		return nil, errors.New("say what to look at: region/NAME, relay/NAME, regions or relays")
	}
	if !strings.Contains(args[0], "/") {
		kind, err := checkedKind(args[0])
		if err != nil {
			return nil, err
		}
		if len(args) == 1 {
			return []asked{{kind, ""}}, nil
		}
		list := make([]asked, 0, len(args)-1)
		for _, name := range args[1:] {
			if strings.Contains(name, "/") {
				return nil, fmt.Errorf("%q: write TYPE/NAME for each, or TYPE once and then names", name)
			}
			list = append(list, asked{kind, name})
		}
		return list, nil
	}
	list := make([]asked, 0, len(args))
	for _, arg := range args {
		typed, name, found := strings.Cut(arg, "/")
		if !found || name == "" || strings.Contains(name, "/") {
			return nil, fmt.Errorf("%q: write TYPE/NAME, such as region/eu", arg)
		}
		kind, err := checkedKind(typed)
		if err != nil {
			return nil, err
		}
		list = append(list, asked{kind, name})
	}
	return list, nil
}

// checkedKind reads a type as people write it for kubectl.
func checkedKind(typed string) (string, error) {
	switch name, _, _ := strings.Cut(strings.ToLower(typed), "."+v1alpha1.GroupVersion.Group); name {
	case "relay", "relays", "businessrelay", "businessrelays", "brelay":
		return checkRelay, nil
	case "region", "regions", "dataregion", "dataregions":
		return checkRegion, nil
	}
	return "", fmt.Errorf("unknown type %q: write region or relay", typed)
}

// checked looks at what is asked for.
func (e examiner) checked(ctx context.Context, namespace string, list []asked) ([]*report, error) {
	var reports []*report
	for _, a := range list {
		if a.kind == checkRelay {
			relays, err := findRelays(ctx, e.k, namespace, a.name)
			if err != nil {
				return nil, err
			}
			for i := range relays {
				r := relayReport(&relays[i])
				e.pods(ctx, &relays[i], r)
				e.queues(ctx, &relays[i], len(relays), r)
				reports = append(reports, r)
			}
			continue
		}
		regions, err := findRegions(ctx, e.k, a.name)
		if err != nil {
			return nil, err
		}
		for i := range regions {
			reports = append(reports, e.region(ctx, &regions[i]))
		}
	}
	return reports, nil
}

// findRegions reads one DataRegion, or all.
func findRegions(ctx context.Context, k client.Reader, name string) ([]v1alpha1.DataRegion, error) {
	if name != "" {
		region, err := readRegion(ctx, k, name)
		if err != nil {
			return nil, err
		}
		return []v1alpha1.DataRegion{*region}, nil
	}
	var list v1alpha1.DataRegionList
	if err := k.List(ctx, &list); err != nil {
		return nil, explain(err, "the DataRegions", "")
	}
	return list.Items, nil
}

// printChecked prints reports; it returns an error if anything is wrong.
func printChecked(streams genericiooptions.IOStreams, reports []*report) error {
	problems, kinds := 0, map[string]int{}
	for _, r := range reports {
		r.print(streams.Out, true)
		problems += len(r.findings)
		kinds[r.kind]++
	}
	var with []string
	if n := kinds["BusinessRelay"]; n > 0 {
		with = append(with, count(n, "relay"))
	}
	if n := kinds["DataRegion"]; n > 0 {
		with = append(with, count(n, "region"))
	}
	if len(with) == 0 {
		fmt.Fprintln(streams.Out, "There is nothing of that type here.")
		return nil
	}
	return sumUp(streams.Out, problems, strings.Join(with, " and "))
}

// checked completes what check looks at: a type, or a name after a type.
func (c *cluster) checked(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	before := ""
	kind, name, slash := strings.Cut(typed, "/")
	if slash {
		before = kind + "/"
	} else if len(args) > 0 && !strings.Contains(args[0], "/") {
		kind, name, slash = args[0], typed, true
	}
	if !slash {
		return []string{"region/", "relay/", "regions", "relays"}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	complete := c.relays
	switch kind, err := checkedKind(kind); {
	case err != nil:
		return nil, cobra.ShellCompDirectiveNoFileComp
	case kind == checkRegion:
		complete = c.regions
	}
	names, directive := complete(cmd, nil, name)
	for i := range names {
		names[i] = before + names[i]
	}
	return names, directive
}
