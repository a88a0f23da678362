package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// ApplyRules runs an nftables script.
func ApplyRules(ctx context.Context, script []byte) error {
	_, err := command(ctx, string(script), "nft", "-f", "-")
	return err
}

// Enforced fails unless the firewall of the network namespace of that file (the machine's when empty) has kube-router's chains.
func Enforced(ctx context.Context, namespace string) error {
	_, err := inNamespace(ctx, namespace, "iptables", "-S", "KUBE-ROUTER-FORWARD")
	return err
}

// Proxied fails unless that firewall has kube-proxy's table.
func Proxied(ctx context.Context, namespace string) error {
	_, err := inNamespace(ctx, namespace, "nft", "list", "map", "ip", "kube-proxy", "service-ips")
	return err
}

// inNamespace runs a program in the network namespace of that file.
func inNamespace(ctx context.Context, namespace, name string, args ...string) (string, error) {
	if namespace == "" {
		return command(ctx, "", name, args...)
	}
	return command(ctx, "", "ip", append([]string{"netns", "exec", filepath.Base(namespace), name}, args...)...)
}

// tables returns the firewall's tables as "family name".
func tables(ctx context.Context) ([]string, error) {
	out, err := command(ctx, "", "nft", "-j", "list", "tables")
	if err != nil {
		return nil, err
	}
	var listing struct {
		NFTables []struct {
			Table *struct{ Family, Name string } `json:"table"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(out), &listing); err != nil {
		return nil, fmt.Errorf("reading the list of firewall tables: %w", err)
	}
	var names []string
	for _, entry := range listing.NFTables {
		if entry.Table != nil {
			names = append(names, entry.Table.Family+" "+entry.Table.Name)
		}
	}
	return names, nil
}

// ownTables are those that only the cluster makes: its own, and kube-proxy's.
var ownTables = []string{"ip relaykeep", "ip kube-proxy", "ip6 kube-proxy"}

// sharedTables are those of the iptables commands, which kube-router writes into and others may use as well.
var sharedTables = []string{"ip filter", "ip nat", "ip mangle", "ip raw", "ip6 filter", "ip6 nat", "ip6 mangle", "ip6 raw"}

// routerSets start the names of kube-router's address sets.
var routerSets = []string{"KUBE-SRC-", "KUBE-DST-", "kube-router-", "inet6:KUBE-", "inet6:kube-"}

// RemoveRules takes away every rule that the cluster's components made, and those iptables tables that were not there before and
// are empty now.
func (b Before) RemoveRules(ctx context.Context) error {
	var failures []error
	for _, tool := range []string{"iptables", "ip6tables"} {
		failures = append(failures, removeChains(ctx, tool))
	}
	failures = append(failures, removeSets(ctx))
	present, err := tables(ctx)
	if err != nil {
		return errors.Join(append(failures, err)...)
	}
	for _, table := range present {
		remove := slices.Contains(ownTables, table)
		if !remove && slices.Contains(sharedTables, table) && !slices.Contains(b.Tables, table) {
			remove, err = empty(ctx, table)
			failures = append(failures, err)
		}
		if remove {
			_, err := command(ctx, "delete table "+table+"\n", "nft", "-f", "-")
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// removeChains removes the chains of kube-router and the kubelets and the rules that jump to them, and nothing else.
func removeChains(ctx context.Context, tool string) error {
	out, err := command(ctx, "", tool+"-save")
	if err != nil {
		return err
	}
	script := removal(out)
	if script == "" {
		return nil
	}
	_, err = command(ctx, script, tool+"-restore", "--noflush")
	return err
}

// removal returns the script that takes Kubernetes' chains out of tables saved by iptables-save, empty when there are none.
func removal(saved string) string {
	var script strings.Builder
	for table := range strings.SplitSeq(saved, "COMMIT\n") {
		lines := strings.Split(table, "\n")
		start := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "*") })
		if start < 0 {
			continue
		}
		if commands := tableRemoval(lines[start+1:]); len(commands) > 0 {
			fmt.Fprintf(&script, "%s\n%s\nCOMMIT\n", lines[start], strings.Join(commands, "\n"))
		}
	}
	return script.String()
}

// tableRemoval returns the commands for one table: first the rules that jump to the chains go, then the chains' own, then the chains.
func tableRemoval(lines []string) []string {
	var rules, flush, chains []string
	for _, line := range lines {
		if name, isChain := strings.CutPrefix(line, ":"); isChain {
			name, _, _ = strings.Cut(name, " ")
			if kubernetes(name) {
				flush, chains = append(flush, "-F "+name), append(chains, "-X "+name)
			}
			continue
		}
		rule, isRule := strings.CutPrefix(line, "-A ")
		if !isRule || kubernetes(rule) {
			continue
		}
		// In a chain of somebody else's, theirs are the rules that jump to their chains, and those that they signed.
		if slices.ContainsFunc(strings.Fields(rule), kubernetes) || strings.Contains(strings.ToLower(rule), "kube-router") {
			rules = append(rules, "-D "+rule)
		}
	}
	return slices.Concat(rules, flush, chains)
}

// kubernetes tells whether a chain's name is one that Kubernetes makes.
func kubernetes(chain string) bool { return strings.HasPrefix(chain, "KUBE-") }

// removeSets removes kube-router's address sets.
func removeSets(ctx context.Context) error {
	out, err := command(ctx, "", "ipset", "list", "-name")
	if err != nil {
		return err
	}
	var failures []error
	for name := range strings.FieldsSeq(out) {
		if slices.ContainsFunc(routerSets, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			_, err := command(ctx, "", "ipset", "destroy", name)
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// empty tells whether a table holds no rule and no set, only chains.
func empty(ctx context.Context, table string) (bool, error) {
	out, err := command(ctx, "", "nft", append([]string{"-j", "list", "table"}, strings.Fields(table)...)...)
	if err != nil {
		return false, err
	}
	var listing struct {
		NFTables []map[string]json.RawMessage `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(out), &listing); err != nil {
		return false, fmt.Errorf("reading the firewall table %s: %w", table, err)
	}
	for _, entry := range listing.NFTables {
		for kind := range entry {
			if kind != "metainfo" && kind != "table" && kind != "chain" {
				return false, nil
			}
		}
	}
	return true, nil
}
