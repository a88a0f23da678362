package audit

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Files of a release, which lie beside each other.
const (
	sumsFile      = "SHA256SUMS"
	signatureFile = "SHA256SUMS.sig"
	// maxReleaseFile bounds each of the files, in bytes.
	maxReleaseFile = 1 << 20
)

// digestLine is a line of images.txt: a reference and a digest.
var digestLine = regexp.MustCompile(`^\S+ (sha256:[0-9a-f]{64})$`)

// Released reads the digests of a release's images from its images.txt, with SHA256SUMS and SHA256SUMS.sig beside it. It
// trusts them only if the signature is of the key (a public key in PEM, ECDSA over P-256), and the sum is the file's.
func Released(images, key string) ([]string, error) {
	public, err := publicKey(key)
	if err != nil {
		return nil, err
	}
	folder := filepath.Dir(images)
	sums, err := readBounded(filepath.Join(folder, sumsFile))
	if err != nil {
		return nil, err
	}
	signature, err := readBounded(filepath.Join(folder, signatureFile))
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(signature)))
	if err != nil {
		return nil, fmt.Errorf("%s is no signature: it is not in base64", signatureFile)
	}
	if sum := sha256.Sum256(sums); !ecdsa.VerifyASN1(public, sum[:], raw) {
		return nil, fmt.Errorf("%s is not signed by this key: take both from the release, and compare the key with the one in its notes", sumsFile)
	}
	list, err := readBounded(images)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(list)
	if !bytes.Contains(append([]byte("\n"), sums...), fmt.Appendf(nil, "\n%s  %s\n", hex.EncodeToString(sum[:]), filepath.Base(images))) {
		return nil, fmt.Errorf("%s is not the release's: its sum is not in %s", filepath.Base(images), sumsFile)
	}
	return Digests(list)
}

// Digests reads the digests of an images.txt.
func Digests(list []byte) ([]string, error) {
	var all []string
	for line := range strings.Lines(string(list)) {
		m := digestLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			return nil, errors.New("the list of images must have a reference and a digest in each line, as images.txt of a release has")
		}
		all = append(all, m[1])
	}
	if len(all) == 0 {
		return nil, errors.New("the list of images is empty")
	}
	return all, nil
}

// publicKey reads a release's public key.
func publicKey(file string) (*ecdsa.PublicKey, error) {
	raw, err := readBounded(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("the release's key must be a public key in PEM, as relaykeep.pub of a release is")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the release's key: %w", err)
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("the release's key must be an ECDSA key, as relaykeep.pub of a release is")
	}
	return public, nil
}

func readBounded(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading a release: %w", err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxReleaseFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading a release: %w", err)
	}
	if len(raw) > maxReleaseFile {
		return nil, fmt.Errorf("%s is longer than a file of a release", filepath.Base(file))
	}
	return raw, nil
}
