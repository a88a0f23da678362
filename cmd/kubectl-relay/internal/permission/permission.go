// Package permission reads from an API server's refusal which permission is missing. It must not know who asked for what.
package permission

import (
	"fmt"
	"regexp"
	"strings"
)

// forbidden is how an API server says that its authorizers did not allow a request; what an admission policy refuses is
// worded otherwise (forbiddenMessage of k8s.io/apiserver/pkg/endpoints/handlers/responsewriters).
var forbidden = regexp.MustCompile(`cannot ([a-z]+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)"| at the cluster scope)`)

// Missing names the permission that somebody lacks, and the command that asks for it; empty if the refusal is
// about something else.
func Missing(err error) string {
	m := forbidden.FindStringSubmatch(err.Error())
	if m == nil {
		return ""
	}
	verb, group, namespace := m[1], m[3], m[4]
	resource, subresource, _ := strings.Cut(m[2], "/")
	if group != "" {
		resource += "." + group
	}
	named, where, flags := resource, "in the whole cluster", ""
	if subresource != "" {
		named, flags = resource+"/"+subresource, " --subresource="+subresource
	}
	if namespace != "" {
		where, flags = "in namespace "+namespace, flags+" -n "+namespace
	}
	return fmt.Sprintf("you lack the permission to %s %s %s: kubectl auth can-i %s %s%s", verb, named, where, verb, resource, flags)
}
