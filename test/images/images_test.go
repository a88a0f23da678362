package main

import (
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestRootsAreCertificatesAndOnlyThose(t *testing.T) {
	rest, err := rootsPEM()
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for len(bytes.TrimSpace(rest)) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			t.Fatal("the bundle has something that is no PEM block")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !c.IsCA {
			t.Errorf("%s is no certificate authority", c.Subject)
		}
		count++
	}
	if count < 100 {
		t.Errorf("%d authorities, want those of the web, 100 at least", count)
	}
}

func TestRootFileSystemHoldsStaticBinaryAndRootsOnly(t *testing.T) {
	t.Chdir("../..")
	out := t.TempDir()
	if err := run(t.Context(), []string{"-rootfs", out, "-image", "manager", "-platforms", "host", "-version", "v9"}); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := filepath.WalkDir(out, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got = append(got, path[len(out):])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != rootsPath || got[1] != "/manager" {
		t.Errorf("files are %v", got)
	}
	binary, err := elf.Open(filepath.Join(out, "manager"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = binary.Close() }()
	for _, p := range binary.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary needs a loader: it is not static")
		}
	}
}

func TestCommandLineRefusesWhatItCannotBuild(t *testing.T) {
	for _, args := range [][]string{
		{"-image", "relais"},
		{"-platforms", "amd64"},
		{"-rootfs", "/out"},
		{"-rootfs", "/out", "-image", "relay"},
		{"relay"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
	o, err := parse([]string{"-rootfs", "/out", "-image", "relay", "-platforms", "host"})
	if err != nil || o.platforms[0].Architecture != runtime.GOARCH {
		t.Errorf("got %v, %v", o.platforms, err)
	}
}

func TestImages_OnlyTheTestImageHasAClockToSet(t *testing.T) {
	for _, i := range images {
		if (i.buildTags == "testclock") != (i.tag("v1.0.0") == "v1.0.0-testclock") {
			t.Errorf("%s has build tags %q under tag %s", i.name, i.buildTags, i.tag("v1.0.0"))
		}
		if strings.Contains(i.buildTags, "testpaths") {
			t.Errorf("%s takes other paths than the operator's", i.name)
		}
	}
	o, err := parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range o.images {
		if i.buildTags != "" {
			t.Errorf("%s is built unasked", i.name)
		}
	}
}
