package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/relaykeep/relaykeep/test/images/oci"
)

// Signatures are ECDSA over P-256 and SHA-256, as cosign makes them with a key of its user's, and openssl checks them too. They are
// made without randomness (RFC 6979), so that a release that is made and signed again is the same.

const (
	// signatureFile is the signature of the checksums, and so of every file, in base64.
	signatureFile = sumsFile + ".sig"
	// publicKeyFile is the key that checks it.
	publicKeyFile = "relaykeep.pub"
)

// maxKey bounds what is read of a key's file, in bytes.
const maxKey = 16 << 10

// readKey reads a private key in PEM: ECDSA over P-256, PKCS #8 or SEC 1.
func readKey(path string) (*ecdsa.PrivateKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others may read the key: chmod 600 %s", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKey))
	defer clear(text)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		defer clear(block.Bytes)
		if block.Type == "EC PARAMETERS" {
			continue
		}
		key, err := parseKey(block)
		if err == nil && key.Curve != elliptic.P256() {
			err = errors.New("it is of another curve than P-256")
		}
		if err != nil {
			return nil, fmt.Errorf("reading the key: %w; make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out release.key", err)
		}
		return key, nil
	}
	return nil, errors.New("the key's file has no key in PEM")
}

// parseKey does not pass on a parser's error, which could quote the key.
func parseKey(block *pem.Block) (*ecdsa.PrivateKey, error) {
	if key, err := x509.ParseECPrivateKey(block.Bytes); block.Type == "EC PRIVATE KEY" && err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); block.Type == "PRIVATE KEY" && err == nil {
		if key, ok := key.(*ecdsa.PrivateKey); ok {
			return key, nil
		}
	}
	return nil, errors.New("it is no unencrypted ECDSA key")
}

// signature signs data.
func signature(key *ecdsa.PrivateKey, data []byte) (string, error) {
	sum := sha256.Sum256(data)
	signed, err := key.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return base64.StdEncoding.EncodeToString(signed), nil
}

// sign signs the checksums, and each image as cosign does, beside which the signatures then lie in the registry.
func (r *release) sign(key *ecdsa.PrivateKey) error {
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("writing the public key: %w", err)
	}
	if err := r.write(publicKeyFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})); err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(r.out, sumsFile))
	if err != nil {
		return fmt.Errorf("reading the checksums: %w", err)
	}
	signed, err := signature(key, sums)
	if err != nil {
		return err
	}
	if err := r.write(signatureFile, []byte(signed+"\n")); err != nil {
		return err
	}
	for _, name := range imageNames() {
		digest, err := digestOf(filepath.Join(r.out, name+"-"+r.version+".tar"), reference(name, r.version))
		if err != nil {
			return err
		}
		if err := r.signImage(key, name, digest); err != nil {
			return err
		}
	}
	return nil
}

// signImage writes cosign's signature of an image as an OCI archive, under the tag where cosign looks for it:
// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md.
func (r *release) signImage(key *ecdsa.PrivateKey, name, digest string) error {
	type critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	}
	c := critical{Type: "cosign container image signature"}
	c.Identity.Reference, c.Image.Digest = registry+"/"+name, digest
	payload, err := json.Marshal(map[string]any{"critical": c, "optional": nil})
	if err != nil {
		return fmt.Errorf("writing what is signed of %s: %w", name, err)
	}
	signed, err := signature(key, payload)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	err = oci.WriteArtifact(&archive, registry+"/"+name+":"+signatureTag(digest), []oci.Attachment{{
		MediaType: "application/vnd.dev.cosign.simplesigning.v1+json", Data: payload,
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": signed},
	}})
	if err != nil {
		return err
	}
	return r.write(name+"-"+r.version+".sig.tar", archive.Bytes())
}

// signatureTag is the tag under which an image's signature is kept.
func signatureTag(digest string) string { return strings.Replace(digest, ":", "-", 1) + ".sig" }
