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

// routerChains start the names of the chains that kube-router makes, routerSets those of its address sets.
var (
	routerChains = []string{"KUBE-ROUTER-", "KUBE-POD-FW-", "KUBE-NWPLCY-"}
	routerSets   = []string{"KUBE-SRC-", "KUBE-DST-", "kube-router-", "inet6:KUBE-", "inet6:kube-"}
)

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

// removeChains removes kube-router's chains and the rules that jump to them, and nothing else of the filter table.
func removeChains(ctx context.Context, tool string) error {
	out, err := command(ctx, "", tool+"-save", "-t", "filter")
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

// removal returns the script that takes kube-router's chains out of a table saved by iptables-save, empty when there are none.
func removal(saved string) string {
	var flush, rules, chains []string
	for line := range strings.SplitSeq(saved, "\n") {
		name, isChain := strings.CutPrefix(line, ":")
		if isChain {
			name, _, _ = strings.Cut(name, " ")
			if routers(name) {
				flush = append(flush, "-F "+name)
				chains = append(chains, "-X "+name)
			}
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "-A" || routers(fields[1]) {
			continue
		}
		// In a chain that is not its own, a rule of kube-router's is one that jumps to its chains or that it signed.
		if slices.ContainsFunc(fields, routers) || strings.Contains(line, "kube-router") {
			rules = append(rules, "-D "+strings.TrimPrefix(line, "-A "))
		}
	}
	if len(chains)+len(rules) == 0 {
		return ""
	}
	all := slices.Concat([]string{"*filter"}, rules, flush, chains, []string{"COMMIT"})
	return strings.Join(all, "\n") + "\n"
}

func routers(name string) bool {
	return slices.ContainsFunc(routerChains, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

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
