package probe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl"
)

// rule is a path of one of Vault's policies with what may be done there.
type rule struct {
	path         string
	capabilities []string
}

// parsePolicy reads a policy as Vault does. Conditions that narrow a rule, such as allowed parameters, are not read.
func parsePolicy(text string) ([]rule, error) {
	var file struct {
		Paths []struct {
			Path         string   `hcl:",key"`
			Capabilities []string `hcl:"capabilities"`
			Policy       string   `hcl:"policy"`
		} `hcl:"path"`
	}
	if err := hcl.Decode(&file, text); err != nil {
		return nil, fmt.Errorf("reading a policy of Vault's: %w", err)
	}
	rules := make([]rule, 0, len(file.Paths))
	for _, p := range file.Paths {
		may := p.Capabilities
		switch p.Policy { // the form of Vault before 0.5, which it still reads
		case "read":
			may = append(may, "read", "list")
		case "write":
			may = append(may, "create", "read", "update", "delete", "list")
		case "sudo":
			may = append(may, "create", "read", "update", "delete", "list", "sudo")
		}
		rules = append(rules, rule{strings.TrimPrefix(p.Path, "/"), may})
	}
	return rules, nil
}

// login is whose templates are filled in: Vault's metadata of a service account that logged in.
type login struct{ accessor, namespace, name, uid string }

// fill fills in a rule's path. Templates about anything else count as a wildcard, so that nothing that they may grant is
// missed.
func (l login) fill(path string) string {
	alias := "{{identity.entity.aliases." + l.accessor + ".metadata.service_account_"
	path = strings.NewReplacer(alias+"namespace}}", l.namespace, alias+"name}}", l.name, alias+"uid}}", l.uid).Replace(path)
	for {
		before, rest, found := strings.Cut(path, "{{")
		if !found {
			return path
		}
		_, after, _ := strings.Cut(rest, "}}")
		path = before + "+" + after
		if i := strings.LastIndex(before, "/") + 1; i < len(before) { // a template within a segment
			path = before[:i] + "+" + strings.TrimLeft(after, "+")
		}
	}
}

// granted returns which of some capabilities rules grant at a path. Every rule that matches counts, though Vault takes the
// most specific one only: a policy that relies on that is shown as granting more than it does, never less.
func (l login) granted(rules []rule, path string, capabilities ...string) []string {
	var granted []string
	for _, r := range rules {
		if !matches(l.fill(r.path), path) {
			continue
		}
		for _, c := range r.capabilities {
			if slices.Contains(capabilities, c) && !slices.Contains(granted, c) {
				granted = append(granted, c)
			}
		}
	}
	return granted
}

// matches says whether a rule's path is for a path: an asterisk at its end stands for anything, a plus sign for what is
// in one segment.
func matches(rule, path string) bool {
	prefix := strings.HasSuffix(rule, "*")
	rule = strings.TrimSuffix(rule, "*")
	is, has := strings.Split(rule, "/"), strings.Split(path, "/")
	if len(is) > len(has) || !prefix && len(is) != len(has) {
		return false
	}
	for i, segment := range is {
		switch last := i == len(is)-1; {
		case strings.Contains(segment, "+"):
		case last && prefix:
			if !strings.HasPrefix(has[i], segment) {
				return false
			}
		case segment != has[i]:
			return false
		}
	}
	return true
}
