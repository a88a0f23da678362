package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const crd = `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    controller-gen.kubebuilder.io/version: v0.22.0
  name: things.relaykeep.dev
spec:
  description: write {{ braces }}
`

const clusterRole = `---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: manager-role
rules:
- apiGroups:
  - ""
  resources:
  - nodes
  - pods
  verbs:
  - get
- apiGroups:
  - authentication.k8s.io
  resources:
  - tokenreviews
  verbs:
  - create
`

const role = clusterRole + `---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: manager-role
  namespace: default
rules:
- apiGroups:
  - events.k8s.io
  resources:
  - events
  verbs:
  - create
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: manager-role
  namespace: relaykeep-system
rules:
- apiGroups:
  - batch
  resources:
  - cronjobs
  verbs:
  - list
`

const policy = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: relaykeep-region
spec:
  matchConditions:
    - {name: by-the-operator, expression: "request.userInfo.username == 'system:serviceaccount:relaykeep-system:relaykeep-manager'"}
  variables:
    - {name: images, expression: "['ghcr.io/relaykeep/relay:dev']"}
    - {name: environment, expression: "dyn([])"}
    - {name: braces, expression: "'{{ .Values.image }}'"}
`

// source lays out a config folder; a change replaces a file's content.
func source(t *testing.T, changes map[string]string) (config, chart string) {
	t.Helper()
	root := t.TempDir()
	config, chart = filepath.Join(root, "config"), filepath.Join(root, "chart")
	files := map[string]string{
		"config/crd/bases/relaykeep.dev_things.yaml": crd,
		"config/rbac/role.yaml":                      role,
		"config/admission/region.yaml":               policy,
		"config/admission/kustomization.yaml":        "resources: [region.yaml]\n",
		"chart/templates/deployment.yaml":            "written by hand\n",
	}
	for name, text := range changes {
		files[name] = text
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return config, chart
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestDefinitionIsKeptConditionalAndEscaped(t *testing.T) {
	config, chart := source(t, nil)
	if err := run([]string{"-config", config, "-chart", chart}); err != nil {
		t.Fatal(err)
	}
	got := read(t, chart, "templates", "generated-crd-relaykeep.dev_things.yaml")
	for _, want := range []string{
		"{{- if .Values.crds.install }}\napiVersion:",
		"  annotations:\n    helm.sh/resource-policy: keep\n",
		`write {{ "{{" }} braces }}`,
		"{{- end }}\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestRoleHasTheChartsNamesAndTheSourcesRules(t *testing.T) {
	config, chart := source(t, nil)
	if err := run([]string{"-config", config, "-chart", chart}); err != nil {
		t.Fatal(err)
	}
	got := read(t, chart, "templates", "generated-rbac-role.yaml")
	if strings.Contains(got, "manager-role") || strings.Contains(got, "RULES OF") || !strings.Contains(got, "kind: ClusterRoleBinding") {
		t.Errorf("got\n%s", got)
	}
	// One rule of the source is granted in two places.
	for _, want := range []string{
		"rules:\n- apiGroups:\n  - \"\"\n  resources:\n  - nodes\n  verbs:\n  - get\n{{- if not .Values.watchNamespaces }}\n- apiGroups:\n  - \"\"\n  resources:\n  - pods\n",
		"\"true\" }}\n- apiGroups:\n  - authentication.k8s.io\n",
		"  namespace: default\n  labels:\n    {{- include \"relaykeep.labels\" $ | nindent 4 }}\nrules:\n- apiGroups:\n  - events.k8s.io\n",
		"  namespace: {{ $.Release.Namespace }}\n  labels:\n    {{- include \"relaykeep.labels\" $ | nindent 4 }}\nrules:\n- apiGroups:\n  - batch\n",
		"  namespace: {{ . }}\n  labels:\n    {{- include \"relaykeep.labels\" $ | nindent 4 }}\nrules:\n- apiGroups:\n  - \"\"\n  resources:\n  - pods\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestPolicyHasTheChartsAccountAndLists(t *testing.T) {
	config, chart := source(t, nil)
	if err := run([]string{"-config", config, "-chart", chart}); err != nil {
		t.Fatal(err)
	}
	got := read(t, chart, "templates", "generated-admission-region.yaml")
	for _, want := range []string{
		`== 'system:serviceaccount:{{ .Release.Namespace }}:{{ include "relaykeep.serviceAccountName" . }}'"`,
		`images, expression: {{ include "relaykeep.relayImages" . | quote }}}`,
		`environment, expression: {{ include "relaykeep.relayEnvironment" . | quote }}}`,
		`'{{ "{{" }} .Values.image }}'`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestRole_ThatCouldDoMoreThanIsPromisedIsRefused(t *testing.T) {
	for name, changed := range map[string]string{
		"secrets":                     strings.Replace(role, "- nodes", "- secrets", 1),
		"every resource":              strings.Replace(role, "- nodes", `- "*"`, 1),
		"every group":                 strings.Replace(role, `- ""`, `- "*"`, 1),
		"every subresource":           strings.Replace(role, "- nodes", `- "*/status"`, 1),
		"every verb":                  strings.Replace(role, "- get", `- "*"`, 1),
		"every verb, in one place":    strings.Replace(role, "- list", `- "*"`, 1),
		"secrets, in one place":       strings.Replace(role, "- cronjobs", "- secrets", 1),
		"roles that it could bind":    strings.Replace(role, "- get", "- bind", 1),
		"to be somebody else":         strings.Replace(role, "- get", "- impersonate", 1),
		"an unknown resource":         strings.Replace(role, "- nodes", "- endpoints", 1),
		"a Role of another namespace": strings.Replace(role, "namespace: default", "namespace: kube-system", 1),
	} {
		config, chart := source(t, map[string]string{"config/rbac/role.yaml": changed})
		if err := run([]string{"-config", config, "-chart", chart}); err == nil {
			t.Errorf("a role with %s is accepted", name)
		}
	}
}

func TestStaticPolicies_AreThoseWithoutParameters(t *testing.T) {
	binding := "---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata:\n  name: relaykeep-region\nspec:\n  policyName: relaykeep-region\n"
	config, chart := source(t, map[string]string{
		"config/admission/region.yaml":      "# Why it is there.\n" + policy + binding,
		"config/admission/of-kind.yaml":     strings.Replace(policy, "spec:\n", "spec:\n  paramKind: {apiVersion: v1, kind: Thing}\n", 1) + binding,
		"config/admission/of-ref.yaml":      policy + binding + "  paramRef: {selector: {}}\n",
		"config/admission-static/gone.yaml": "left of a source that is gone\n",
		"config/admission-static/README.md": "written by hand\n",
	})
	if err := run([]string{"-config", config, "-chart", chart}); err != nil {
		t.Fatal(err)
	}
	there, err := filepath.Glob(filepath.Join(config, "admission-static", "*"))
	if err != nil || len(there) != 2 {
		t.Errorf("there are %v, %v; want the one policy without parameters and what was written by hand", there, err)
	}
	got := read(t, config, "admission-static", "region.yaml")
	for _, want := range []string{
		"# Why it is there.", "\n  name: relaykeep-region.static.k8s.io\nspec:\n  matchConditions", "\n  policyName: relaykeep-region.static.k8s.io\n", "{name: braces,",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if n := strings.Count(got, ".static.k8s.io"); n != 3 {
		t.Errorf("%d names were changed, want 3:\n%s", n, got)
	}
}

func TestCheckFailsUntilEverythingIsCurrent(t *testing.T) {
	config, chart := source(t, nil)
	check := []string{"-config", config, "-chart", chart, "-check"}
	if err := run(check); err == nil {
		t.Error("passes before anything was generated")
	}
	if err := run(check[:4]); err != nil {
		t.Fatal(err)
	}
	if err := run(check); err != nil {
		t.Errorf("fails on what was just generated: %v", err)
	}
	left := filepath.Join(chart, "templates", "generated-admission-gone.yaml")
	if err := os.WriteFile(left, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(check); err == nil {
		t.Error("passes with a template whose source is gone")
	}
	if err := run(check[:4]); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Error("a template whose source is gone is still there")
	}
	if got := read(t, chart, "templates", "deployment.yaml"); got != "written by hand\n" {
		t.Error("a template that is written by hand was changed")
	}
}

func TestMissingOrOddSourceIsAnError(t *testing.T) {
	for name, changes := range map[string]map[string]string{
		"two definitions": {"config/crd/bases/relaykeep.dev_things.yaml": crd + crd},
		"no rules":        {"config/rbac/role.yaml": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n"},
		"no Roles":        {"config/rbac/role.yaml": clusterRole},
		"two roles":       {"config/rbac/role.yaml": role + clusterRole},
		"unknown field":   {"config/rbac/role.yaml": role + "surprise: 1\n"},
	} {
		config, chart := source(t, changes)
		if err := run([]string{"-config", config, "-chart", chart}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := run([]string{"-config", t.TempDir(), "-chart", t.TempDir()}); err == nil {
		t.Error("a folder without sources is accepted")
	}
}
