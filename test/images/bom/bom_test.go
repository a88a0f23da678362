package bom_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"runtime/debug"
	"slices"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/relaykeep/relaykeep/test/images/bom"
)

func TestSBOM_NamesTheModulesThatTheProgramWasBuiltFrom(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	text, err := bom.Describe("relay", "v1.2.3", "linux/amd64", program)
	if err != nil {
		t.Fatal(err)
	}
	again, err := bom.Describe("relay", "v1.2.3", "linux/amd64", program)
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("described again, it differs: %v", err)
	}
	var document cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&document); err != nil {
		t.Fatal(err)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Fatal("this test knows nothing of its modules")
	}
	want := []string{bom.PURL("std", info.GoVersion)}
	for _, m := range info.Deps {
		want = append(want, bom.PURL(m.Path, m.Version))
	}
	var got []string
	for _, c := range *document.Components {
		got = append(got, c.PackageURL)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	sum := sha256.Sum256(program)
	c := document.Metadata.Component
	if c.Name != "relay" || c.Version != "v1.2.3" || (*c.Hashes)[0].Value != hex.EncodeToString(sum[:]) {
		t.Errorf("it describes %+v", c)
	}
	if _, err := bom.Describe("relay", "v1.2.3", "linux/amd64", []byte("no program")); err == nil {
		t.Error("what is no program was described")
	}
}
