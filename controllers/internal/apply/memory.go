package apply

import (
	"hash/fnv"
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
	applied  map[string]uint64 // a hash of what was last applied, by kind and name
	mendings *rate.Limiter
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
		r = &remembered{applied: map[string]uint64{}, mendings: rate.NewLimiter(rate.Every(mendPause), mendings)}
		m.owners[owner] = r
	}
	return r
}

// note remembers a child as it is now.
func (m *Memory) note(owner types.NamespacedName, c Child) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(owner).applied[c.Name()] = c.hash()
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
	hash, ever := m.of(owner).applied[c.Name()]
	return ever, ever && hash == c.hash()
}

// mayMend says whether an owner's child may be brought back now.
func (m *Memory) mayMend(owner types.NamespacedName, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(owner).mendings.AllowN(now, 1)
}

// hash is of a child's desired state.
func (c Child) hash() uint64 {
	h := fnv.New64a()
	_, _ = h.Write(c.wanted) // a hash never fails
	return h.Sum64()
}
