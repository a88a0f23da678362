package witness

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"

	"github.com/relaykeep/relaykeep/relay/proof"
)

// A witness's directory has its key, the public keys of the logs that it cosigns, and the checkpoint of each that it
// cosigned last. Key and checkpoints are in one place, so that a witness that lost what it cosigned has no key either.
const (
	fileKey  = "key.pem"
	fileLogs = "logs"
	fileLock = "lock"
	// suffixCheckpoint ends the name of a log's latest checkpoint.
	suffixCheckpoint = ".checkpoint"
	headerName       = "Name"
	pemType          = "PRIVATE KEY"
)

// Limits of the files.
const (
	maxKeyBytes  = 4 << 10
	maxLogsBytes = 1 << 20
)

// ErrInUse means that another process uses the directory.
var ErrInUse = errors.New("another witness uses this directory")

// Create makes a directory with a new key, and returns the public key. There must be no key in it (fs.ErrExist).
func Create(dir, name string) (public string, err error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("making the witness's key: %w", err)
	}
	defer clear(private)
	signer, err := torchwood.NewCosignatureSigner(name, private)
	if err != nil {
		return "", errors.New("the witness's name must be without spaces and plus signs, such as witness.example.org")
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", fmt.Errorf("writing the witness's key: %w", err)
	}
	defer clear(der)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: pemType, Headers: map[string]string{headerName: name}, Bytes: der})
	defer clear(text)
	f, err := os.OpenFile(filepath.Join(dir, fileKey), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("the directory has a witness's key already: %w", err)
	}
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close(), syncDir(dir)); err != nil {
		return "", err
	}
	return signer.Verifier().String(), nil
}

// AddLog has the witness of a directory cosign a log, named by its public key, from now on. A log may have several keys.
func AddLog(dir, key string) error {
	_, err := proof.LogVerifier(key)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, fileKey)); err != nil {
		return fmt.Errorf("the witness's directory: %w", err)
	}
	known, err := readLogs(dir)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(key)
	var b bytes.Buffer
	for _, k := range known {
		if k.text == text {
			return nil
		}
		fmt.Fprintln(&b, k.text)
	}
	fmt.Fprintln(&b, text)

	return writeFile(dir, fileLogs, b.Bytes())
}

// logKey is one line of the file of logs.
type logKey struct {
	text string
	note.Verifier
}

// readLogs reads the public keys of the logs; none when there is no file.
func readLogs(dir string) (keys []logKey, err error) {
	text, err := readFile(filepath.Join(dir, fileLogs), maxLogsBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		v, err := proof.LogVerifier(line)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", fileLogs, n, err)
		}
		keys = append(keys, logKey{line, v})
	}
	return keys, lines.Err()
}

// readKey reads the key of a directory.
func readKey(dir string) (*torchwood.CosignatureSigner, error) {
	text, err := readFile(filepath.Join(dir, fileKey), maxKeyBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("the directory has no witness's key: make one with relay witness init")
	}
	if err != nil {
		return nil, err
	}
	defer clear(text)
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType {
		return nil, errors.New(fileKey + " is not a witness's key")
	}
	defer clear(block.Bytes)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, is := key.(ed25519.PrivateKey)
	if err != nil || !is {
		return nil, errors.New(fileKey + " is not a witness's key")
	}
	signer, err := torchwood.NewCosignatureSigner(block.Headers[headerName], private)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fileKey, err)
	}
	return signer, nil
}

func checkpointFile(origin string) string { return url.PathEscape(origin) + suffixCheckpoint }

// readCheckpoint reads the checkpoint of a log that was cosigned last; one of size 0 when there is none.
func readCheckpoint(dir, origin string) (proof.Checkpoint, error) {
	text, err := readFile(filepath.Join(dir, checkpointFile(origin)), proof.MaxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return proof.Checkpoint{Origin: origin}, nil
	}
	if err != nil {
		return proof.Checkpoint{}, err
	}
	c, err := proof.Unverified(text)
	if err != nil || c.Origin != origin {
		return proof.Checkpoint{}, fmt.Errorf("%s: %w", checkpointFile(origin), proof.ErrCheckpoint)
	}
	return c, nil
}

// lock keeps other processes from using the directory until close.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, fileLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(ErrInUse, f.Close())
	}
	return f, nil
}

func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is too long", filepath.Base(path))
	}
	return text, err
}

// writeFile replaces a file durably: after a crash it is the former one or this.
func writeFile(dir, name string, data []byte) error {
	f, err := os.CreateTemp(dir, "."+"new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
