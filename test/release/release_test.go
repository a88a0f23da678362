package main

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/test/images/binary"
)

func TestVersion_MustBeSemantic(t *testing.T) {
	for given, want := range map[string]string{"1.2.3": "v1.2.3", "v1.2.3": "v1.2.3", "v0.1.0-rc.1": "v0.1.0-rc.1"} {
		if got, err := parseVersion(given); err != nil || got != want {
			t.Errorf("%q became %q, %v", given, got, err)
		}
	}
	for _, given := range []string{"", "dev", "v", "v1", "v1.2", "1.2.3.4", "vv1.2.3", "v01.2.3", "v1.2.3+build", "v1.2.3 ", "../v1.2.3"} {
		if got, err := parseVersion(given); err == nil {
			t.Errorf("%q was taken as %q", given, got)
		}
	}
}

func TestArchives_AreNamedAfterVersionAndSystem(t *testing.T) {
	var names []string
	for _, p := range admins() {
		names = append(names, pluginArchive("v1.2.3", p))
	}
	want := []string{
		"kubectl-relay_v1.2.3_linux_amd64.tar.gz", "kubectl-relay_v1.2.3_linux_arm64.tar.gz",
		"kubectl-relay_v1.2.3_darwin_amd64.tar.gz", "kubectl-relay_v1.2.3_darwin_arm64.tar.gz",
		"kubectl-relay_v1.2.3_windows_amd64.zip", "kubectl-relay_v1.2.3_windows_arm64.zip",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got %v", names)
	}
}

func TestArchives_HoldTheFilesWithTheirModes(t *testing.T) {
	files := []file{{name: "LICENSE", mode: 0o644, data: []byte("free")}, {name: "program", mode: 0o755, data: []byte("run")}}
	packed, err := pack("x.tar.gz", files)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readTarGz(bytes.NewReader(packed))
	if err != nil || fmt.Sprint(got) != fmt.Sprint(files) {
		t.Errorf("the tar has %v, %v", got, err)
	}
	if packed, err = pack("x.zip", files); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil || len(z.File) != 2 {
		t.Fatalf("the zip has %v, %v", z.File, err)
	}
	for i, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil || f.Name != files[i].name || int64(f.Mode().Perm()) != files[i].mode || !bytes.Equal(data, files[i].data) {
			t.Errorf("%s %s %q, %v", f.Name, f.Mode(), data, err)
		}
	}
}

func TestPlugin_ComesWithWhatCompletesItExceptOnWindows(t *testing.T) {
	for _, p := range admins() {
		files := pluginFiles(p, []byte("free"), []byte("program"), []byte("script"))
		has := slices.ContainsFunc(files, func(f file) bool { return f.name == completer && f.mode == 0o755 })
		if has != (p.os != "windows") {
			t.Errorf("%s has %v", p, files)
		}
	}
	script, err := os.ReadFile(filepath.Join("..", "..", "cmd", plugin, "internal", "command", completer))
	if err != nil || !strings.HasPrefix(string(script), "#!/bin/sh\n") {
		t.Errorf("the script is %q, %v", script, err)
	}
}

func TestChart_PackedAtAnotherTimeIsTheSame(t *testing.T) {
	helm := func(names ...string) []byte {
		var files []file
		for _, n := range names {
			files = append(files, file{name: "relaykeep/" + n, mode: 0o644, data: []byte("name: " + n)})
		}
		packed, err := pack("x.tgz", files)
		if err != nil {
			t.Fatal(err)
		}
		// Where gzip has its time, as Helm sets it.
		packed[4] = byte(time.Now().Unix())
		got, err := repack(packed, nil)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	a := helm("values.yaml", "Chart.yaml", "charts/sub/Chart.yaml", "templates/a.yaml")
	b := helm("Chart.yaml", "charts/sub/Chart.yaml", "templates/a.yaml", "values.yaml")
	if !bytes.Equal(a, b) {
		t.Error("the order in which Helm wrote the files shows")
	}
	files, err := readTarGz(bytes.NewReader(a))
	if err != nil || len(files) != 4 || files[0].name != "relaykeep/Chart.yaml" {
		t.Errorf("packed %v, %v", files, err)
	}
}

func TestSums_AreCheckedBySha256sum(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "one", "b": "two"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := writeSums(dir)
	if err != nil || len(sums) != 2 {
		t.Fatalf("sums %v, %v", sums, err)
	}
	check := func() error {
		cmd := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", sumsFile)
		cmd.Dir = dir
		return cmd.Run()
	}
	if err := check(); err != nil {
		t.Errorf("what was summed up does not pass: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b"), []byte("three"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := check(); err == nil {
		t.Error("a changed file passes")
	}
}

func TestSums_ThatDifferAreNamed(t *testing.T) {
	a := map[string]string{"same": "1", "changed": "2", "gone": "3"}
	b := map[string]string{"same": "1", "changed": "4", "new": "5"}
	if got := differences(a, b); !slices.Equal(got, []string{"changed", "gone", "new"}) {
		t.Errorf("got %v", got)
	}
	if got := differences(a, a); len(got) > 0 {
		t.Errorf("the same differ: %v", got)
	}
}

func TestKrew_ManifestNamesEachArchiveWithItsSum(t *testing.T) {
	r := &release{version: "v1.2.3", out: t.TempDir()}
	for _, p := range admins() {
		if err := r.write(pluginArchive(r.version, p), []byte(p.String())); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.krew(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(r.out, "relay.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var m krewManifest
	if err := yaml.UnmarshalStrict(text, &m); err != nil {
		t.Fatal(err)
	}
	if m.Metadata["name"] != "relay" || m.Spec.Version != "v1.2.3" || len(m.Spec.Platforms) != len(admins()) || !strings.Contains(m.Spec.Caveats, completer) {
		t.Errorf("the manifest is %+v", m)
	}
	for _, p := range m.Spec.Platforms {
		name := p.URI[strings.LastIndex(p.URI, "/")+1:]
		sum, err := sumOf(filepath.Join(r.out, name))
		if err != nil || sum != p.SHA256 {
			t.Errorf("%s has %s in the manifest and is %s, %v", name, p.SHA256, sum, err)
		}
		if windows := p.Selector.MatchLabels["os"] == "windows"; windows != strings.HasSuffix(p.Bin, ".exe") {
			t.Errorf("%v runs %s", p.Selector, p.Bin)
		}
	}
}

func TestProgram_ReportsItsVersionAndIsTheSameFromAnotherFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the kubectl plugin twice")
	}
	source := t.TempDir()
	if err := copySource(t.Context(), filepath.Join("..", ".."), source); err != nil {
		t.Fatal(err)
	}
	first := compile(t.Context(), t, filepath.Join("..", ".."))
	if !bytes.Equal(first, compile(t.Context(), t, source)) {
		t.Error("built in another folder, the program differs")
	}
	path := filepath.Join(t.TempDir(), plugin)
	if err := os.WriteFile(path, first, 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), path, "version").CombinedOutput()
	if err != nil || string(out) != "v1.2.3\n" {
		t.Errorf("it says %q, %v", out, err)
	}
}

func compile(ctx context.Context, t *testing.T, root string) []byte {
	t.Helper()
	program, err := binary.Compile(ctx, binary.Program{
		Root: root, Package: "./cmd/" + plugin, Version: "v1.2.3", OS: runtime.GOOS, Arch: runtime.GOARCH,
	})
	if err != nil {
		t.Fatal(err)
	}
	return program
}
