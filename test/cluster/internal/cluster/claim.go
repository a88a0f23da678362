package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ownerFile, in a cluster's directory of sockets, says where its state is.
const ownerFile = "state"

// OtherError says that another cluster has the machine: there is room for one, whose first node is the machine itself.
type OtherError struct {
	// State is the directory of the other one's state.
	State string
}

func (e *OtherError) Error() string {
	return fmt.Sprintf("another cluster is on this machine, its state is in %s: take it down first (cluster down --state %s)", e.State, e.State)
}

// claim makes the machine this cluster's. It fails with an *OtherError when it is another's that still has its state, and returns the
// state directories of those that lost it, whose processes may still be there.
func (l layout) claim() (lost []string, err error) {
	owners, err := filepath.Glob(filepath.Join(filepath.Dir(l.run), "*", ownerFile))
	if err != nil {
		return nil, err
	}
	for _, file := range owners {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		state := strings.TrimSpace(string(content))
		if (layout{state: state}).exists() {
			if state != l.state {
				return nil, &OtherError{State: state}
			}
			continue
		}
		lost = append(lost, state)
	}
	if err := os.MkdirAll(l.run, 0o711); err != nil {
		return nil, err
	}
	_, err = writeChanged(filepath.Join(l.run, ownerFile), []byte(l.state+"\n"), 0o600)
	return lost, err
}

// exists tells whether the cluster was ever begun and not taken down since.
func (l layout) exists() bool {
	_, err := os.Stat(l.before())
	return err == nil
}

// release undoes claim, and removes the sockets with it.
func (l layout) release() error {
	err := os.RemoveAll(l.run)
	// Another cluster's directory may be in it.
	_ = os.Remove(filepath.Dir(l.run))
	return err
}
