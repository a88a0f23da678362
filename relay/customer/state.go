package customer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Errors about the state directory that a caller decides on.
var (
	// ErrInUse means that another process works with the state directory.
	ErrInUse = errors.New("the state directory is in use by another process")
	// ErrForeign means that the directory holds another number's state.
	ErrForeign = errors.New("the state directory belongs to another number")
	// ErrState means that the state file is damaged or of a later version.
	ErrState = errors.New("the state file cannot be read by this version")
	// errStorage means that nothing could be stored, so nothing may be acknowledged.
	errStorage = errors.New("writing the state")
)

const (
	stateVersion  = 1
	stateFile     = "customer.json"
	lockFile      = "lock"
	maxStateBytes = 64 << 20
)

// stateJSON is the file's content. Keys of maps are "<digits>/<device id>".
type stateJSON struct {
	Version        int               `json:"version"`
	Number         string            `json:"number"`
	Password       string            `json:"password"`
	Device         carrier.DeviceID  `json:"device"`
	RegistrationID uint32            `json:"registrationID"`
	Identity       []byte            `json:"identity"`
	SignedPreKey   []byte            `json:"signedPreKey"`
	PreKeys        map[uint32][]byte `json:"preKeys"`
	NextPreKey     uint32            `json:"nextPreKey"`
	Records        map[string][]byte `json:"records"`
	Identities     map[string][]byte `json:"identities"`
	// Wrote is when a device last sent a message that could be opened.
	Wrote map[string]time.Time `json:"wrote,omitempty"`
}

// State is a customer's account, keys and sessions in a directory: one JSON file,
// readable by its owner only, replaced as a whole with every change. The lock on
// the directory lasts until Close.
type State struct {
	dir  string   // empty: in memory
	lock *os.File // nil: likewise

	mu   sync.Mutex // guards data
	data stateJSON

	account omemo.Account // does not change once a Customer has it
}

// OpenState opens the state of the customer with the given number in dir, or
// begins a new one there with new keys and a random password.
func OpenState(dir string, number phone.Number) (*State, error) {
	if number.IsZero() {
		return nil, phone.ErrInvalid
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the state directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &State{dir: dir, lock: lock}
	err = s.load(number)
	if err == nil {
		s.account, err = s.data.account()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// NewState begins a customer whose keys and sessions are only in memory: who never comes back, or a test's.
func NewState(number phone.Number) (*State, error) {
	if number.IsZero() {
		return nil, phone.ErrInvalid
	}
	s := new(State)
	data, err := newState(number, time.Now())
	if err == nil {
		err = s.replace(data)
	}
	if err == nil {
		s.account, err = s.data.account()
	}
	return s, err
}

// lockDir locks the directory: two processes with one state would use a chain key twice.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the state's lock: %w", err)
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(ErrInUse, f.Close())
	}
	return f, nil
}

func (s *State) load(number phone.Number) error {
	raw, err := readFile(filepath.Join(s.dir, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		data, err := newState(number, time.Now())
		if err != nil {
			return err
		}
		return s.replace(data)
	}
	if err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	// The decoder's own error would quote the file, which is secret.
	if json.Unmarshal(raw, &s.data) != nil || s.data.Version != stateVersion {
		return ErrState
	}
	if s.data.Number != number.Local() {
		return ErrForeign
	}
	return nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxStateBytes+1))
	if err == nil && len(raw) > maxStateBytes {
		return nil, ErrState
	}
	return raw, err
}

// replace writes data durably, and then makes it the state.
func (s *State) replace(data stateJSON) error {
	if s.dir == "" {
		s.data = data
		return nil
	}
	raw, err := json.MarshalIndent(data, "", " ") //nolint:gosec // the file is its owner's only
	if err != nil {
		return fmt.Errorf("encoding the state: %w", err)
	}
	if err := writeFile(filepath.Join(s.dir, stateFile), raw); err != nil {
		return fmt.Errorf("%w: %w", errStorage, err)
	}
	s.data = data
	return nil
}

// writeFile replaces a file so that a crash leaves the old or the new one.
func writeFile(path string, raw []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// Close releases the lock.
func (s *State) Close() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// Account returns the number and password with which the customer logs in to the carrier.
func (s *State) Account() (number phone.Number, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, _ = phone.ParseLocal(s.data.Number) // was checked when the state was loaded
	return number, s.data.Password
}

// SetPassword replaces the random password of a new state, for an account that
// exists already.
func (s *State) SetPassword(password string) error {
	return s.update(func(t *tx) error {
		t.data.Password = password
		return nil
	})
}

// speak makes the account speak formats of OMEMO at a carrier with that domain.
func (s *State) speak(formats []carrier.Format, domain string) {
	if !slices.Contains(formats, carrier.OMEMO2) {
		return
	}
	s.account.Own, _ = s.Account()
	s.account.Address = func(n phone.Number) string { return n.Local() + "@" + domain }
}

// Device returns the customer's own device and the fingerprint of its identity
// key.
func (s *State) Device() (id carrier.DeviceID, fingerprint string) {
	return s.account.Device, s.account.Local.Identity.Public().Fingerprint()
}
