package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// notice begins every generated template. It is a template comment, so that it
// does not reach the cluster.
const notice = "{{- /* Generated from %s by charts/generate: do not edit. */}}\n"

// templates returns the generated templates by file name.
func templates(config string) (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, source := range []struct {
		glob   string
		render func(source string, document []byte) ([]byte, error)
	}{
		{"crd/bases/*.yaml", renderCRD},
		{"rbac/role.yaml", renderRole},
		{"admission/*.yaml", renderAdmission},
	} {
		files, err := filepath.Glob(filepath.Join(config, source.glob))
		if err != nil {
			return nil, fmt.Errorf("looking for %s: %w", source.glob, err)
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("no file matches %s", filepath.Join(config, source.glob))
		}
		for _, file := range files {
			if filepath.Base(file) == "kustomization.yaml" {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("reading a source: %w", err)
			}
			kind, _, _ := strings.Cut(source.glob, "/")
			name := filepath.Join("config", kind, filepath.Base(file))
			out, err := source.render(name, data)
			if err != nil {
				return nil, fmt.Errorf("rendering %s: %w", file, err)
			}
			all[prefix+kind+"-"+filepath.Base(file)] = out
		}
	}
	return all, nil
}

// escape keeps what looks like a template action in a source from being one.
func escape(document []byte) []byte {
	return bytes.ReplaceAll(document, []byte("{{"), []byte(`{{ "{{" }}`))
}

// keep is what Helm reads to leave an object alone when a release is uninstalled.
const keep = "    helm.sh/resource-policy: keep\n"

// renderCRD adds the annotation that keeps a definition, and with it every object
// of its kind, when the release is uninstalled. Definitions are templates rather
// than in the chart's crds folder because Helm never upgrades those.
func renderCRD(source string, document []byte) ([]byte, error) {
	const annotations = "\nmetadata:\n  annotations:\n"
	if bytes.Count(document, []byte(annotations)) != 1 {
		return nil, fmt.Errorf("expected one definition with annotations")
	}
	body := bytes.Replace(escape(document), []byte(annotations), []byte(annotations+keep), 1)
	return wrap(source, ".Values.crds.install", body), nil
}

// fill fills in what the policies leave to the cluster: the sources name the account
// and the lists that the chart has by default.
func fill(policy []byte) []byte {
	return []byte(strings.NewReplacer(
		"system:serviceaccount:relaykeep-system:relaykeep-manager",
		`system:serviceaccount:{{ .Release.Namespace }}:{{ include "relaykeep.serviceAccountName" . }}`,
		`"['ghcr.io/relaykeep/relay:dev']"`, `{{ include "relaykeep.relayImages" . | quote }}`,
		`"dyn([])"`, `{{ include "relaykeep.relayEnvironment" . | quote }}`,
	).Replace(string(policy)))
}

func renderAdmission(source string, document []byte) ([]byte, error) {
	return wrap(source, ".Values.admissionPolicies.install", fill(escape(document))), nil
}

// wrap makes the document depend on a value.
func wrap(source, condition string, document []byte) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, notice, source)
	fmt.Fprintf(&out, "{{- if %s }}\n", condition)
	out.Write(bytes.TrimPrefix(document, []byte("---\n")))
	if !bytes.HasSuffix(document, []byte("\n")) {
		out.WriteByte('\n')
	}
	out.WriteString("{{- end }}\n")
	return out.Bytes()
}
