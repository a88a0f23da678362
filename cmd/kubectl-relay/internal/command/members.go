package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// memberFlags say whose endpoints a command calls: those of one relay, or of all relays of a business account.
type memberFlags struct {
	endpointFlags
	account string
}

func (f *memberFlags) add(cmd *cobra.Command) {
	f.endpointFlags.add(cmd)
	cmd.Flags().StringVar(&f.account, "business-account", "", "instead of NAME: all relays of the namespace with this spec.businessAccount; --endpoint-address is then NAME=host:port, separated by commas")
}

// relays wants the name of a BusinessRelay, or --business-account.
func (f *memberFlags) relays(cmd *cobra.Command, args []string) error {
	if f.account == "" {
		return oneRelay(cmd, args)
	}
	if len(args) > 0 {
		return usage(cmd, "give a BusinessRelay or --business-account, not both")
	}
	if _, err := f.addresses(); err != nil {
		return usage(cmd, "%v", err)
	}
	return nil
}

// addresses reads --endpoint-address of several relays.
func (f *memberFlags) addresses() (map[string]string, error) {
	at := map[string]string{}
	for entry := range strings.SplitSeq(f.endpointAddress, ",") {
		if entry == "" {
			continue
		}
		name, address, _ := strings.Cut(entry, "=")
		if _, _, err := net.SplitHostPort(address); err != nil || name == "" {
			return nil, errors.New("--endpoint-address must be NAME=host:port for each relay, separated by commas")
		}
		if at[name] != "" {
			return nil, fmt.Errorf("--endpoint-address: %s stands there twice", name)
		}
		at[name] = address
	}
	return at, nil
}

// member is a relay of a business account, with its endpoint.
type member struct {
	name string
	*endpoint
}

// members returns the relays of the business account, sorted by name. The error says which of them cannot be called.
func (f *memberFlags) members(ctx context.Context, cluster *cluster) ([]member, error) {
	k, namespace, err := cluster.connect()
	if err != nil {
		return nil, err
	}
	addresses, err := f.addresses()
	if err != nil {
		return nil, err
	}
	names, err := memberNames(ctx, k, namespace, f.account)
	if err != nil {
		return nil, err
	}
	for name := range addresses {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("--endpoint-address: %s is no relay of business account %s", name, f.account)
		}
	}
	var members []member
	var failed []error
	for _, name := range names {
		to := f.endpointFlags
		to.endpointAddress = addresses[name]
		e, err := to.openIn(ctx, cluster, k, namespace, name)
		if err != nil {
			failed = append(failed, fmt.Errorf("relay %s: %w", name, err))
			continue
		}
		members = append(members, member{name, e})
	}
	return members, errors.Join(failed...)
}

// memberNames lists the relays of a business account.
func memberNames(ctx context.Context, k client.Client, namespace, account string) ([]string, error) {
	var relays v1alpha1.BusinessRelayList
	if err := k.List(ctx, &relays, client.InNamespace(namespace)); err != nil {
		return nil, explain(err, "the BusinessRelays of namespace "+namespace, "try another namespace with -n")
	}
	var names []string
	for i := range relays.Items {
		if relays.Items[i].Spec.BusinessAccount == account {
			names = append(names, relays.Items[i].Name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no BusinessRelay in namespace %s has spec.businessAccount %q: try another namespace with -n", namespace, account)
	}
	return names, nil
}

// onMembers is onEndpoint for a command that is about one relay, or about all of a business account: it runs one or
// all. What all gets last says which relays cannot be called.
func (f *memberFlags) onMembers(cluster *cluster, one func(*cobra.Command, *endpoint) error, all func(*cobra.Command, []member, error) error, checks ...func(*cobra.Command) error) func(*cobra.Command, []string) error {
	single := f.onEndpoint(cluster, func(cmd *cobra.Command, _ []string, e *endpoint) error { return one(cmd, e) }, checks...)
	return func(cmd *cobra.Command, args []string) error {
		if f.account == "" {
			return single(cmd, args)
		}
		if err := checked(cmd, checks); err != nil {
			return err
		}
		members, err := f.members(cmd.Context(), cluster)
		if len(members) == 0 {
			return err
		}
		defer func() {
			for _, m := range members {
				m.way.close()
			}
		}()
		return all(cmd, members, err)
	}
}
