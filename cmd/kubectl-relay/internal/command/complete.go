package command

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// completionTime is how long a shell waits for names from the cluster at most: somebody holds a finger on a key.
const completionTime = 2 * time.Second

// Names of relays, regions, namespaces and contexts are completed; customers never are. What goes wrong is not told: it
// would end up in the line that is being typed.

// completeFlags completes the values of a command's flags that name something of the cluster or the kubeconfig.
func (c *cluster) completeFlags(cmd *cobra.Command) {
	for flag, complete := range map[string]cobra.CompletionFunc{
		"namespace": c.namespaces,
		"region":    c.regions,
		"context": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return c.contexts(), cobra.ShellCompDirectiveNoFileComp
		},
	} {
		if cmd.Flags().Lookup(flag) != nil {
			must(cmd.RegisterFlagCompletionFunc(flag, complete))
		}
	}
}

// completeWords completes a flag's values.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)))
}

// must is for what fails only if a flag does not exist.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// firstRelay completes a relay's name as the first argument, and after it any of some words as the second.
func (c *cluster) firstRelay(words ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return c.relays(cmd, args, typed)
		case 1:
			return words, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// relays completes the name of a relay of the namespace.
func (c *cluster) relays(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return c.names(cmd, typed, func(ctx context.Context, k client.Client, namespace string) []client.ObjectKey {
		return listNames(ctx, k, relayKind(), namespace)
	})
}

// regions completes the name of a DataRegion.
func (c *cluster) regions(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return c.names(cmd, typed, func(ctx context.Context, k client.Client, _ string) []client.ObjectKey {
		return listNames(ctx, k, regionKind(), "")
	})
}

// namespaces completes the name of a namespace.
func (c *cluster) namespaces(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return c.names(cmd, typed, func(ctx context.Context, k client.Client, _ string) []client.ObjectKey {
		return listNames(ctx, k, corev1.SchemeGroupVersion.WithKind("Namespace"), "")
	})
}

// names returns the names that a list of the cluster has and that begin as typed; none if the cluster does not answer in
// time, or not at all.
func (c *cluster) names(cmd *cobra.Command, typed string, list func(context.Context, client.Client, string) []client.ObjectKey) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	found := make(chan []client.ObjectKey, 1)
	go func() { // a login program that the kubeconfig names knows no context
		k, namespace, err := c.connectQuietly()
		if err != nil {
			found <- nil
			return
		}
		found <- list(ctx, k, namespace)
	}()
	var names []string
	select {
	case keys := <-found:
		for _, key := range keys {
			if strings.HasPrefix(key.Name, typed) {
				names = append(names, key.Name)
			}
		}
	case <-ctx.Done():
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}

// connectQuietly connects within the time that a shell waits, prints no warnings, and asks nobody for a login.
func (c *cluster) connectQuietly() (client.Client, string, error) {
	config, err := c.config()
	if err != nil {
		return nil, "", err
	}
	config.WarningHandler, config.Timeout = rest.NoWarnings{}, completionTime
	if config.ExecProvider != nil {
		config.ExecProvider.StdinUnavailable = true
		config.ExecProvider.StdinUnavailableMessage = "a shell is completing a name"
	}
	return c.connectBy(config)
}
