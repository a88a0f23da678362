package main

import (
	"bytes"
	"crypto/elliptic"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/test/images/oci"
	"github.com/relaykeep/relaykeep/test/services/helm"
)

var root = filepath.Join("..", "..")

const changelog = `# Changelog

## [Unreleased]

### Added
- A thing ([docs](docs/thing.md#part)) that
  goes over lines.
- **Upgrade**: another.

### Security
- A hole is closed.

## [1.0.0] - 2026-01-02

### Fixed
- An old one.
`

func TestChanges_AreThoseOfTheVersionOrNotReleasedYet(t *testing.T) {
	for version, want := range map[string][]hubChange{
		"v1.0.0": {{"fixed", "An old one."}},
		"v1.1.0": {{"added", "A thing (docs) that goes over lines."}, {"added", "Upgrade: another."}, {"security", "A hole is closed."}},
	} {
		got, err := changesOf(changelog, version)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", version, err, diff)
		}
	}
	for _, text := range []string{"# Changelog\n", "## [Unreleased]\n\n### Invented\n- x\n", "x\n## [Unreleased]\n"} {
		if got, err := changesOf("\n"+text, "v1.0.0"); err == nil {
			t.Errorf("%q has the changes %v", text, got)
		}
	}
}

func TestArtifactHub_AnnotationsAreTakenFromTheSource(t *testing.T) {
	all, err := hubAnnotations(root, "v1.2.3-rc.1")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"prerelease":   {"true"},
		"images":       {"image: ghcr.io/relaykeep/manager:v1.2.3-rc.1", "image: ghcr.io/relaykeep/relay:v1.2.3-rc.1", "linux/arm64"},
		"crds":         {"kind: BusinessRelay", "name: dataregions.relaykeep.dev", "version: v1alpha1"},
		"crdsExamples": {"kind: DataRegion", "kind: BusinessRelay"},
		"changes":      {"kind: added", "kind: security"},
	} {
		for _, w := range want {
			if !strings.Contains(all["artifacthub.io/"+name], w) {
				t.Errorf("%s has no %s", name, w)
			}
		}
	}
}

// TestArtifactHub_LinksLead looks up the documents that Chart.yaml names.
func TestArtifactHub_LinksLead(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "charts", "relaykeep", "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`/blob/HEAD/(\S+)`).FindAllSubmatch(text, -1)
	if len(links) < 3 {
		t.Errorf("found %d links only", len(links))
	}
	for _, l := range links {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(string(l[1])))); err != nil {
			t.Error(err)
		}
	}
}

// TestImages_AreThoseThatTheChartInstalls compares the release's list with the chart's defaults.
func TestImages_AreThoseThatTheChartInstalls(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "charts", "relaykeep", "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var installed, listed []string
	for _, m := range regexp.MustCompile(`(?m)^  repository: (\S+)$`).FindAllSubmatch(text, -1) {
		installed = append(installed, string(m[1])+":v1")
	}
	for _, name := range imageNames() {
		listed = append(listed, reference(name, "v1"))
	}
	if !slices.Equal(installed, listed) {
		t.Errorf("the chart installs %v, the list has %v", installed, listed)
	}
}

func TestImageList_HasTheDigestsThatRegistriesHave(t *testing.T) {
	r := &release{version: "v1.2.3", out: t.TempDir()}
	for _, name := range imageNames() {
		var archive bytes.Buffer
		image := oci.Image{Platform: oci.Platform{OS: "linux", Architecture: "amd64"}, Created: time.Unix(0, 0)}
		if err := oci.WriteArchive(&archive, reference(name, r.version), []oci.Image{image}); err != nil {
			t.Fatal(err)
		}
		if err := r.write(name+"-v1.2.3.tar", archive.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.imageList(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(r.out, imageListFile))
	if err != nil || !regexp.MustCompile(`^ghcr\.io/relaykeep/manager:v1\.2\.3 sha256:[0-9a-f]{64}\nghcr\.io/relaykeep/relay:v1\.2\.3 sha256:[0-9a-f]{64}\n$`).Match(text) {
		t.Errorf("the list is %q, %v", text, err)
	}
	if err := os.Rename(filepath.Join(r.out, "manager-v1.2.3.tar"), filepath.Join(r.out, "relay-v1.2.3.tar")); err != nil {
		t.Fatal(err)
	}
	if _, err := digestOf(filepath.Join(r.out, "relay-v1.2.3.tar"), reference("relay", r.version)); err == nil {
		t.Error("another image's archive is taken for the relay's")
	}
}

// TestChart_OfAReleaseIsReadByHelm packages the chart as a release does, and has Helm read it.
func TestChart_OfAReleaseIsReadByHelm(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Helm")
	}
	program, err := helm.Path(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("helm %v: %v\n%s", args, err, out)
		}
		return out
	}
	run("package", filepath.Join(root, "charts", "relaykeep"), "--version", "1.2.3", "--app-version", "v1.2.3", "--destination", dir)
	path := filepath.Join(dir, "relaykeep-1.2.3.tgz")
	packaged, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := signed(t, keyFile(t, newKey(t, elliptic.P256())))
	r.root = root
	annotations, err := r.annotations()
	if err != nil {
		t.Fatal(err)
	}
	if packaged, err = repack(packaged, annotations); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, packaged, 0o600); err != nil {
		t.Fatal(err)
	}
	var chart struct {
		Version, AppVersion string
		Annotations         map[string]string
	}
	if err := yaml.Unmarshal(run("show", "chart", path), &chart); err != nil {
		t.Fatal(err)
	}
	if chart.Version != "1.2.3" || chart.AppVersion != "v1.2.3" || chart.Annotations["artifacthub.io/license"] == "" {
		t.Errorf("Helm reads %+v", chart)
	}
	for name, want := range annotations {
		if chart.Annotations[name] != want {
			t.Errorf("Helm reads another %s", name)
		}
	}
	// By digest, unless somebody names a tag or another digest.
	digest := map[string]string{}
	for _, name := range imageNames() {
		if digest[name], err = digestOf(filepath.Join(r.out, name+"-v1.2.3.tar"), reference(name, r.version)); err != nil {
			t.Fatal(err)
		}
	}
	other := "sha256:" + strings.Repeat("0a", 32)
	for set, want := range map[string][]string{
		"nameOverride=": {"image: ghcr.io/relaykeep/manager@" + digest["manager"], "--relay-image=ghcr.io/relaykeep/relay@" + digest["relay"], "['ghcr.io/relaykeep/relay@" + digest["relay"] + "']"},
		"image.tag=v1.2.4,relayImage.repository=mirror.example/relay":       {"image: ghcr.io/relaykeep/manager:v1.2.4", "--relay-image=mirror.example/relay@" + digest["relay"]},
		"image.tag=v1.2.4,image.digest=" + other + ",relayImage.tag=v1.2.5": {"image: ghcr.io/relaykeep/manager@" + other, "--relay-image=ghcr.io/relaykeep/relay:v1.2.5"},
	} {
		out := run("template", path, "--set", set)
		for _, w := range want {
			if !bytes.Contains(out, []byte(w)) {
				t.Errorf("with %s it does not have %s", set, w)
			}
		}
	}
}
