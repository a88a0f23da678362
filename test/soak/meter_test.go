package soak_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/test/usage"
)

// meter notes the processor time of processes, also of those that were replaced, as it was when they were last
// looked at.
type meter struct {
	mu   sync.Mutex // guards used
	used map[string]map[int]time.Duration
}

func (m *meter) look(name string, pid int) {
	took, err := usage.Processor(pid)
	if err != nil {
		return // it has ended
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used == nil {
		m.used = map[string]map[int]time.Duration{}
	}
	if m.used[name] == nil {
		m.used[name] = map[int]time.Duration{}
	}
	m.used[name][pid] = took
}

// each says how much processor time a message took, of so many.
func (m *meter) each(messages int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var parts []string
	for name, pids := range m.used {
		var sum time.Duration
		for _, t := range pids {
			sum += t
		}
		parts = append(parts, fmt.Sprintf("%s %.2f", name, float64(sum.Milliseconds())/float64(max(messages, 1))))
	}
	slices.Sort(parts)
	return "ms of processor time a message: " + strings.Join(parts, ", ")
}
