package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Namespaces of the source's Roles: the operator's own, and the one where Kubernetes keeps events about objects that are
// in none.
const (
	ownNamespace    = "relaykeep-system"
	eventsNamespace = "default"
)

// kindOfRight tells the rules apart by where they are granted.
type kindOfRight int

const (
	ofCluster   kindOfRight = iota // about objects that are in no namespace
	ofNamespace                    // about objects of the relays' namespaces
	ofMetrics                      // to check who reads the metrics
)

// rights says where each resource of the operator's ClusterRole is granted. One that is not here is an error: with a
// guess, an operator that watches some namespaces could get it in all.
func rights() map[string]kindOfRight {
	return map[string]kindOfRight{
		"/nodes": ofCluster, "/persistentvolumes": ofCluster, "storage.k8s.io/storageclasses": ofCluster,
		"relaykeep.dev/dataregions": ofCluster, "relaykeep.dev/dataregions/status": ofCluster,

		"/configmaps": ofNamespace, "/events": ofNamespace, "/persistentvolumeclaims": ofNamespace, "/pods": ofNamespace,
		"/serviceaccounts": ofNamespace, "/services": ofNamespace, "apps/statefulsets": ofNamespace,
		"batch/cronjobs": ofNamespace, "batch/jobs": ofNamespace, "events.k8s.io/events": ofNamespace,
		"gateway.networking.k8s.io/httproutes": ofNamespace, "gateway.networking.k8s.io/tlsroutes": ofNamespace,
		"networking.k8s.io/networkpolicies": ofNamespace, "policy/poddisruptionbudgets": ofNamespace,
		"relaykeep.dev/businessrelays": ofNamespace, "relaykeep.dev/businessrelays/finalizers": ofNamespace,
		"relaykeep.dev/businessrelays/status": ofNamespace,

		"authentication.k8s.io/tokenreviews": ofMetrics, "authorization.k8s.io/subjectaccessreviews": ofMetrics,
	}
}

// roles are what config/rbac/role.yaml holds.
type roles struct {
	cluster []rbacv1.PolicyRule
	own     []rbacv1.PolicyRule // in the operator's namespace
	events  []rbacv1.PolicyRule // in eventsNamespace
}

// readRoles reads the source, and refuses what the operator must never have.
func readRoles(document []byte) (roles, error) {
	var all roles
	reader := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(document), len(document)+1)
	for {
		var raw map[string]any
		err := reader.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return roles{}, err
		}
		text, err := yaml.Marshal(raw)
		if err != nil {
			return roles{}, err
		}
		var role rbacv1.Role // a ClusterRole has the same fields, as far as they are used here
		if err := yaml.UnmarshalStrict(text, &role); err != nil {
			return roles{}, err
		}
		into, err := all.of(role)
		if err != nil {
			return roles{}, err
		}
		if *into != nil || len(role.Rules) == 0 {
			return roles{}, fmt.Errorf("expected one %s with rules in namespace %q", role.Kind, role.Namespace)
		}
		*into = role.Rules
	}
	for _, rules := range [][]rbacv1.PolicyRule{all.cluster, all.own, all.events} {
		if len(rules) == 0 {
			return roles{}, fmt.Errorf("expected a ClusterRole, and a Role in each of the namespaces %s and %s", ownNamespace, eventsNamespace)
		}
		if err := modest(rules); err != nil {
			return roles{}, err
		}
	}
	return all, nil
}

// of returns where the rules of a role belong.
func (r *roles) of(role rbacv1.Role) (*[]rbacv1.PolicyRule, error) {
	switch {
	case role.Kind == "ClusterRole":
		return &r.cluster, nil
	case role.Kind == "Role" && role.Namespace == ownNamespace:
		return &r.own, nil
	case role.Kind == "Role" && role.Namespace == eventsNamespace:
		return &r.events, nil
	}
	return nil, fmt.Errorf("the chart does not know where to grant a %s of namespace %q", role.Kind, role.Namespace)
}

// modest refuses rules that end what is promised of the operator: it holds no secret, cannot give itself rights, and
// has none that a later version of Kubernetes adds.
func modest(rules []rbacv1.PolicyRule) error {
	for _, rule := range rules {
		for _, is := range slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs) {
			if strings.Contains(is, "*") {
				return fmt.Errorf("a rule has a wildcard, %q: name what is meant", is)
			}
		}
		for _, resource := range rule.Resources {
			if resource == "secrets" || strings.HasPrefix(resource, "secrets/") {
				return errors.New("a rule covers secrets: the operator has no verb on them")
			}
		}
		for _, verb := range rule.Verbs {
			if slices.Contains([]string{"bind", "escalate", "impersonate"}, verb) {
				return fmt.Errorf("a rule has the verb %s: the operator could give itself rights", verb)
			}
		}
	}
	return nil
}

// only returns the rules, and those parts of rules, that are granted in one place.
func only(rules []rbacv1.PolicyRule, where kindOfRight) ([]rbacv1.PolicyRule, error) {
	known := rights()
	var some []rbacv1.PolicyRule
	for _, rule := range rules {
		part := rule
		part.Resources = nil
		for _, resource := range rule.Resources {
			for _, group := range rule.APIGroups {
				is, ok := known[group+"/"+resource]
				if !ok {
					return nil, fmt.Errorf("say in charts/generate/roles.go whether %s/%s is in a namespace", group, resource)
				}
				if is == where && !slices.Contains(part.Resources, resource) {
					part.Resources = append(part.Resources, resource)
				}
			}
		}
		if len(part.Resources) > 0 {
			some = append(some, part)
		}
	}
	return some, nil
}

// renderRole gives the operator's roles the chart's names, and binds them. What is about relays' namespaces is granted in
// all, or only in those of watchNamespaces.
func renderRole(source string, document []byte) ([]byte, error) {
	all, err := readRoles(document)
	if err != nil {
		return nil, err
	}
	rules := map[string][]byte{}
	for name, where := range map[string]kindOfRight{"CLUSTER": ofCluster, "NAMESPACE": ofNamespace, "METRICS": ofMetrics} {
		some, err := only(all.cluster, where)
		if err != nil {
			return nil, err
		}
		if rules[name], err = yaml.Marshal(some); err != nil {
			return nil, err
		}
	}
	if rules["OWN"], err = yaml.Marshal(all.own); err != nil {
		return nil, err
	}
	if rules["EVENTS"], err = yaml.Marshal(all.events); err != nil {
		return nil, err
	}
	text := roleTemplate
	for name, some := range rules {
		text = strings.ReplaceAll(text, "RULES OF "+name+"\n", string(escape(some)))
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, notice, source)
	out.WriteString(text)
	return out.Bytes(), nil
}

// roleTemplate is the template of the roles. "RULES OF" stands for the source's.
const roleTemplate = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ include "relaykeep.manager" . }}
  labels:
    {{- include "relaykeep.labels" . | nindent 4 }}
rules:
RULES OF CLUSTER
{{- if not .Values.watchNamespaces }}
RULES OF NAMESPACE
{{- end }}
{{- if eq (include "relaykeep.metricsSecure" .) "true" }}
RULES OF METRICS
{{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ include "relaykeep.manager" . }}
  labels:
    {{- include "relaykeep.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ include "relaykeep.manager" . }}
subjects:
  - kind: ServiceAccount
    name: {{ include "relaykeep.serviceAccountName" . }}
    namespace: {{ .Release.Namespace }}
{{- range .Values.watchNamespaces }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "relaykeep.manager" $ }}
  namespace: {{ . }}
  labels:
    {{- include "relaykeep.labels" $ | nindent 4 }}
rules:
RULES OF NAMESPACE
{{ include "relaykeep.roleBinding" (dict "root" $ "role" (include "relaykeep.manager" $) "namespace" .) }}
{{- end }}
{{- with .Values.watchNamespaces }}
{{- if not (has $.Release.Namespace .) }}
---
# For the regions' keepers.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "relaykeep.manager" $ }}-keepers
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "relaykeep.labels" $ | nindent 4 }}
rules:
RULES OF OWN
{{ include "relaykeep.roleBinding" (dict "root" $ "role" (printf "%s-keepers" (include "relaykeep.manager" $)) "namespace" $.Release.Namespace) }}
{{- end }}
{{- if not (has "default" .) }}
---
# Kubernetes keeps events about DataRegions, which are in no namespace, in this one.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "relaykeep.manager" $ }}-events
  namespace: default
  labels:
    {{- include "relaykeep.labels" $ | nindent 4 }}
rules:
RULES OF EVENTS
{{ include "relaykeep.roleBinding" (dict "root" $ "role" (printf "%s-events" (include "relaykeep.manager" $)) "namespace" "default") }}
{{- end }}
{{- end }}
`
