// Package gatewayapi gives tests the Gateway API's own definitions: those of the standard
// channel, out of the module's archive, which Go fetches like any other module. The module
// itself cannot be imported: it asks for a later Go. It must not know what routes are for.
package gatewayapi

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// The module, and what its archive must hash to, as a go.sum would say it.
const (
	Module  = "sigs.k8s.io/gateway-api"
	Version = "v1.7.0"
	sum     = "h1:duVnm7nO6oXfMMUWfcDoBph47CYR/ME3NGxccOVglaY="
)

// maxDefinition is how many bytes one file of definitions may have.
const maxDefinition = 4 << 20

// Definitions returns the CustomResourceDefinitions of some kinds by their plurals, as in
// "httproutes", in that order.
func Definitions(ctx context.Context, plurals ...string) ([]*unstructured.Unstructured, error) {
	archive, err := download(ctx)
	if err != nil {
		return nil, err
	}
	z, err := zip.OpenReader(archive)
	if err != nil {
		return nil, fmt.Errorf("opening the archive of %s: %w", Module, err)
	}
	defer func() { _ = z.Close() }()
	all := make([]*unstructured.Unstructured, 0, len(plurals))
	for _, plural := range plurals {
		name := path.Join(Module+"@"+Version, "config/crd/standard", "gateway.networking.k8s.io_"+plural+".yaml")
		i := slices.IndexFunc(z.File, func(f *zip.File) bool { return f.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("%s %s defines no %s in its standard channel", Module, Version, plural)
		}
		definition, err := read(z.File[i])
		if err != nil {
			return nil, err
		}
		all = append(all, definition)
	}
	return all, nil
}

func read(f *zip.File) (*unstructured.Unstructured, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", f.Name, err)
	}
	defer func() { _ = r.Close() }()
	text, err := io.ReadAll(io.LimitReader(r, maxDefinition+1))
	if err == nil && len(text) > maxDefinition {
		err = errors.New("it is too large")
	}
	u := &unstructured.Unstructured{}
	if err == nil {
		err = yaml.Unmarshal(text, &u.Object)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.Name, err)
	}
	return u, nil
}

// download returns the path of the module's archive in Go's module cache. The go command says that
// it cannot use the module, and still says where the archive is.
func download(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", Module+"@"+Version)
	cmd.Dir = os.TempDir() // outside of any module
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOFLAGS=-mod=mod")
	out, failed := cmd.Output()
	var said struct{ Zip, Sum string }
	if err := json.Unmarshal(out, &said); err != nil || said.Zip == "" {
		return "", fmt.Errorf("downloading %s %s: %w: %s", Module, Version, errors.Join(failed, err), strings.TrimSpace(string(out)))
	}
	if said.Sum != sum {
		return "", fmt.Errorf("the archive of %s %s hashes to %s, want %s", Module, Version, said.Sum, sum)
	}
	return said.Zip, nil
}
