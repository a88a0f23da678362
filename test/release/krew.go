package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// downloads is where the files of a release are published.
const downloads = "https://github.com/relaykeep/relaykeep/releases/download"

// Krew's plugin manifest, krew.googlecontainertools.github.com/v1alpha2:
// https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/
type krewManifest struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       krewSpec          `json:"spec"`
}

type krewSpec struct {
	Version          string         `json:"version"`
	Homepage         string         `json:"homepage"`
	ShortDescription string         `json:"shortDescription"`
	Description      string         `json:"description"`
	Caveats          string         `json:"caveats"`
	Platforms        []krewPlatform `json:"platforms"`
}

type krewPlatform struct {
	Selector krewSelector `json:"selector"`
	URI      string       `json:"uri"`
	SHA256   string       `json:"sha256"`
	Bin      string       `json:"bin"`
}

type krewSelector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

// krew writes the manifest by which `kubectl krew install --manifest=relay.yaml` installs
// the plugin. Krew wants the file to have the plugin's name.
func (r *release) krew(context.Context) error {
	m := krewManifest{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2",
		Kind:       "Plugin",
		Metadata:   map[string]string{"name": "relay"},
		Spec: krewSpec{
			Version:          r.version,
			Homepage:         "https://github.com/relaykeep/relaykeep",
			ShortDescription: "Run end-to-end encrypted messaging relays",
			Description: "For those who run and those who use Relaykeep: prepares a Vault, hands a business\n" +
				"its credentials, invites its customers, and is a customer in the terminal.\n",
			Caveats: "To complete names in your shell, put a script beside kubectl (krew installs one program only):\n" +
				"  kubectl relay completion kubectl > ~/.local/bin/" + completer + "\n" +
				"  chmod +x ~/.local/bin/" + completer + "\n" +
				"On Windows, copy kubectl-relay.exe to " + completer + ".exe in a folder of the PATH.\n",
		},
	}
	for _, p := range admins() {
		name := pluginArchive(r.version, p)
		data, err := os.ReadFile(filepath.Join(r.out, name))
		if err != nil {
			return fmt.Errorf("writing krew's manifest: %w", err)
		}
		sum := sha256.Sum256(data)
		m.Spec.Platforms = append(m.Spec.Platforms, krewPlatform{
			Selector: krewSelector{MatchLabels: map[string]string{"os": p.os, "arch": p.arch}},
			URI:      downloads + "/" + r.version + "/" + name,
			SHA256:   hex.EncodeToString(sum[:]),
			Bin:      pluginFile(p),
		})
	}
	text, err := yaml.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing krew's manifest: %w", err)
	}
	return r.write("relay.yaml", text)
}
