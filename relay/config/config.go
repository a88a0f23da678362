// Package config reads the relay's configuration file and says everything that is
// wrong with it at once. It must not know what any part of the relay does with a
// setting, nor hold a secret: the file has none.
package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/relaykeep/relaykeep/api/contract"
)

// ErrTooLarge says that the file is larger than contract.MaxConfigBytes.
var ErrTooLarge = fmt.Errorf("the configuration is larger than %d bytes", contract.MaxConfigBytes)

// Invalid lists everything that is wrong with a configuration, so that whoever
// wrote it mends it in one go.
type Invalid struct {
	// Problems are sentences, each starting with the path of the field.
	Problems []string
}

// Error joins the problems.
func (e *Invalid) Error() string {
	return "invalid configuration: " + strings.Join(e.Problems, "; ")
}

// File is a configuration that was read and found valid.
type File struct {
	contract.Config
	// Hash is the lower-case hex SHA-256 of the file's bytes: by it the operator
	// sees whether a relay runs with what was last rendered.
	Hash string
}

// Load reads the file at path. It returns ErrTooLarge or *Invalid when the content
// is at fault.
func Load(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the configuration: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, contract.MaxConfigBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(data)
}

// LoadFor reads the file at path like Load, and returns *Invalid when it is another
// region's. An empty region is any. What holds a pod to its region cannot see the
// file, and what holds the file to its region's Vault cannot see the pod.
func LoadFor(path, region string) (*File, error) {
	f, err := Load(path)
	if err == nil && region != "" && f.Region != region {
		return nil, &Invalid{Problems: []string{"region: is not the one that this pod is bound to"}}
	}
	return f, err
}

// Parse reads a configuration from JSON. Fields that this build does not know are
// refused: an older relay must not silently ignore what a newer operator asks for.
// So are names that stand twice in an object or are spelt otherwise than here: who
// looks at the text must see what the relay will read.
func Parse(data []byte) (*File, error) {
	if len(data) > contract.MaxConfigBytes {
		return nil, ErrTooLarge
	}
	sum := sha256.Sum256(data)
	f := &File{Hash: hex.EncodeToString(sum[:])}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f.Config); err != nil {
		return nil, &Invalid{Problems: []string{decodeProblem(err)}}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, &Invalid{Problems: []string{"there is something after the JSON object"}}
	}
	if p := misspelt(data); len(p) > 0 {
		return nil, &Invalid{Problems: p}
	}
	if p := validate(&f.Config); len(p) > 0 {
		return nil, &Invalid{Problems: p}
	}
	return f, nil
}

// decodeProblem words what the JSON decoder found.
func decodeProblem(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("not JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Sprintf("%s: must be a %s, is a %s", kind.Field, kind.Type, kind.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON object is cut short"
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return strings.Trim(name, `"`) + ": unknown field; the operator is newer than this relay"
	}
	return "not a JSON object of the expected shape"
}
