package apply

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
)

// A child that others keep changing is brought back mendings times at once, and then every mendPause.
const (
	mendings  = 8
	mendPause = 10 * time.Second
)

// Memory is what the operator's process remembers of the children that it applied, by the object that they belong to.
// The zero value remembers nothing yet. Its methods are safe for concurrent use.
type Memory struct {
	mu     sync.Mutex // guards the following field
	owners map[types.NamespacedName]*remembered
}

type remembered struct {
	applied  map[string]known // by kind and name
	mendings *rate.Limiter
}

// known is what is remembered of one child.
type known struct {
	wanted uint64 // a hash of what was last applied
	// version is the resource version in which the child was found as it was wanted; empty if it was not looked at since.
	version string
}

// Forget drops what is remembered of an owner's children.
func (m *Memory) Forget(owner types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.owners, owner)
}

// of returns what is remembered of an owner's children. The caller holds mu.
func (m *Memory) of(owner types.NamespacedName) *remembered {
	if m.owners == nil {
		m.owners = map[types.NamespacedName]*remembered{}
	}
	r := m.owners[owner]
	if r == nil {
		r = &remembered{applied: map[string]known{}, mendings: rate.NewLimiter(rate.Every(mendPause), mendings)}
		m.owners[owner] = r
	}
	return r
}

// note remembers that a child was applied as it is wanted now.
func (m *Memory) note(owner types.NamespacedName, c Child) { m.noteVersion(owner, c, "") }

// noteVersion remembers in which version a child was found as it is wanted now.
func (m *Memory) noteVersion(owner types.NamespacedName, c Child, version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(owner).applied[c.Name()] = known{c.hash, version}
}

// settled says whether a child was found as it is wanted now in the version that it still has: then there is nothing to
// compare, which is most of a pass's work.
func (m *Memory) settled(owner types.NamespacedName, c Child, version string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.of(owner).applied[c.Name()]
	return version != "" && k.version == version && k.wanted == c.hash
}

// drop forgets a child that the operator deletes itself.
func (m *Memory) drop(owner types.NamespacedName, c Child) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.of(owner).applied, c.Name())
}

// applied says whether a child was applied, and whether it was the same as now.
func (m *Memory) applied(owner types.NamespacedName, c Child) (ever, same bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ever := m.of(owner).applied[c.Name()]
	return ever, ever && k.wanted == c.hash
}

// mayMend says whether an owner's child may be brought back now.
func (m *Memory) mayMend(owner types.NamespacedName, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(owner).mendings.AllowN(now, 1)
}
