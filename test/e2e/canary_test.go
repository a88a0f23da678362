//go:build e2e

package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/scan"
	"github.com/relaykeep/relaykeep/test/lab"
)

// plantings are the encodings in which the scanner has to see a secret.
func plantings(secret string) map[string]string {
	return map[string]string{
		"raw":    secret,
		"base64": base64.StdEncoding.EncodeToString([]byte("a" + secret + "z")),
		"hex":    hex.EncodeToString([]byte(secret)),
		"UTF-16": wide(secret),
	}
}

// wide is text in UTF-16, as some databases and most of Windows keep it.
func wide(text string) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return string(out)
}

// TestCanary_IsFoundInEveryPlace proves the scanner where it is used: what
// the places hold is neither compressed nor encrypted on its way to the disk.
func TestCanary_IsFoundInEveryPlace(t *testing.T) {
	places, err := environment.Places(within(t), lab.Acme)
	check(t, err)
	for _, root := range append(places.Blind, places.Carrier...) {
		for encoding := range plantings("") {
			t.Run(fmt.Sprintf("%s/%s/%s", filepath.Base(filepath.Dir(root)), filepath.Base(root), encoding), func(t *testing.T) {
				canary := "canary " + rand.Text()
				scanner, err := scan.New(scan.Secret{Name: "canary", Bytes: canary})
				check(t, err)
				before, err := scanner.Tree(root)
				check(t, err)
				if len(before.Findings) != 0 {
					t.Fatalf("a canary that was never planted is found: %v", before.Findings)
				}
				plant(t, root, plantings(canary)[encoding])
				after, err := scanner.Tree(root)
				check(t, err)
				if len(after.Findings) == 0 {
					t.Errorf("the canary in %s is not found among %d files", root, after.Files)
				}
			})
		}
	}
}

// plant puts text into a place by the way that leads there: into etcd through the API server, into files by writing.
func plant(t *testing.T, root, text string) {
	t.Helper()
	if filepath.Base(root) == "etcd" {
		name := "canary-" + strings.ToLower(rand.Text())
		_, err := environment.Apply(within(t), fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: %s}, binaryData: {text: %s}}",
			name, lab.EdgeNamespace, base64.StdEncoding.EncodeToString([]byte(text))))
		check(t, err)
		t.Cleanup(func() {
			_, err := environment.Kubectl(withoutTest(), "delete", "configmap", name, "-n", lab.EdgeNamespace)
			check(t, err)
		})
		return
	}
	info, err := os.Stat(root)
	check(t, err)
	if !info.IsDir() {
		appendLine(t, root, text)
		return
	}
	file := filepath.Join(root, "canary")
	check(t, os.WriteFile(file, []byte("before "+text+" after"), 0o600))
	t.Cleanup(func() { check(t, os.Remove(file)) })
}

// appendLine appends to a log, where a line more does no harm.
func appendLine(t *testing.T, file, text string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	check(t, err)
	_, err = fmt.Fprintln(f, text)
	check(t, err)
	check(t, f.Close())
}
