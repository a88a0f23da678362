// Package config reads the relay's configuration file and reports everything that is wrong with
// it at once. It must not know what any part of the relay does with a setting. It handles no
// secrets: the file has none.
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
	"slices"
	"strings"

	"github.com/relaykeep/relaykeep/api/contract"
)

// ErrTooLarge says that the file is larger than contract.MaxConfigBytes.
var ErrTooLarge = fmt.Errorf("the configuration is larger than %d bytes", contract.MaxConfigBytes)

// Invalid lists everything that is wrong with a configuration, so that its author can fix it in
// one go.
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
	// Hash is the lower-case hex SHA-256 of the file's bytes. It shows the operator whether a
	// relay runs with what was rendered last.
	Hash string
	// EarlierRelease says that an earlier release wrote the file, since it names Vault and
	// the carrier itself. The token's audience and the role in Vault are then that release's, too.
	EarlierRelease bool
	// PrivateLinks are the hosts in private networks to which a business's links may lead.
	PrivateLinks []string
	// Server is the PostgreSQL server with the relay's database.
	Server contract.PostgresServer
}

// Arguments are what the pod's arguments say. Admission enforces that they match the pod's region.
// It cannot do that for the file, which may have existed before.
type Arguments struct {
	Region  string         // the only region whose configuration is accepted; empty accepts any
	Vault   contract.Vault // empty: the file's
	Carrier contract.Carrier
	// PrivateLinks are host names.
	PrivateLinks []string
	// Postgres is where a relay's database is whose store is in one.
	Postgres contract.PostgresServer
}

// LoadRelay reads a relay's file at path. Vault, carrier and database server are those of the arguments, whatever
// the file says about them. It returns ErrTooLarge or *Invalid for bad content.
func LoadRelay(path string, a Arguments) (*File, error) {
	f, err := LoadEraser(path, a)
	if err != nil {
		return nil, err
	}
	var p problems
	if p.server(f.Postgres, a.Postgres); len(p) > 0 {
		return nil, &Invalid{Problems: p}
	}
	f.Server = a.Postgres
	return f, nil
}

// LoadEraser is LoadRelay for who only erases what Vault and the carrier hold of a relay, and opens no store.
func LoadEraser(path string, a Arguments) (*File, error) {
	var p problems
	if a.Vault == (contract.Vault{}) {
		p.addf("--"+contract.FlagVaultAddress, "is missing: the operator sets it in the pod's arguments")
	}
	if a.Carrier.XMPP == nil {
		p.addf("--"+contract.FlagXMPPDomain, "is missing: the operator sets it in the pod's arguments")
	}
	if len(p) > 0 {
		return nil, &Invalid{Problems: p}
	}
	return load(path, a)
}

// LoadJanitor reads a janitor's file at path. Vault is that of the arguments or, if they name
// none, the file's: a janitor that was left behind by an earlier release has that release's
// arguments. It returns ErrTooLarge or *Invalid for bad content.
func LoadJanitor(path string, a Arguments) (*File, error) {
	f, err := load(path, a)
	if err == nil && f.Vault == (contract.Vault{}) {
		return nil, &Invalid{Problems: []string{"--" + contract.FlagVaultAddress + ": is missing, and so is vault in the file"}}
	}
	return f, err
}

func load(path string, a Arguments) (*File, error) {
	f, err := Load(path)
	if err != nil {
		return nil, err
	}
	if a.Region != "" && f.Region != a.Region {
		return nil, &Invalid{Problems: []string{"region: is not this pod's region"}}
	}
	if a.Vault == (contract.Vault{}) {
		return f, nil
	}
	f.Vault, f.Carrier, f.EarlierRelease, f.PrivateLinks = a.Vault, a.Carrier, false, a.PrivateLinks
	var p problems
	if slices.ContainsFunc(a.PrivateLinks, func(host string) bool { return !hostname(host) }) {
		p.addf("--"+contract.FlagPrivateLinks, "must be host names, separated by commas")
	}
	p.services(&f.Config)
	if len(p) > 0 {
		return nil, &Invalid{Problems: p}
	}
	return f, nil
}

// Load reads the file at path without arguments.
func Load(path string) (*File, error) {
	data, err := readFile(path, "the configuration", contract.MaxConfigBytes)
	if err != nil {
		return nil, err
	}
	return Parse(data)
}

// readFile reads a file, and of one that is longer than most bytes one more, so that it shows. Errors call it what.
func readFile(path, what string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", what, err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	return data, nil
}

// Parse reads a configuration from JSON. It refuses fields that this build does not know: an older
// relay must not silently ignore what a newer operator asks for. It also refuses names that occur
// twice in an object or are spelt differently than here: a reader of the text must see what the
// relay will read.
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
		return nil, &Invalid{Problems: []string{"there is data after the JSON object"}}
	}
	if p := misspelt(data); len(p) > 0 {
		return nil, &Invalid{Problems: p}
	}
	if p := validate(&f.Config); len(p) > 0 {
		return nil, &Invalid{Problems: p}
	}
	f.EarlierRelease = f.Vault != (contract.Vault{})
	return f, nil
}

// decodeProblem describes what the JSON decoder found.
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
