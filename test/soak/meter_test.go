package soak_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tick is the unit of processor time in /proc on all of Go's Linux platforms.
const tick = 10 * time.Millisecond

// meter notes the processor time of processes, also of those that were replaced, as it was when they were last
// looked at.
type meter struct {
	mu   sync.Mutex // guards used
	used map[string]map[int]time.Duration
}

func (m *meter) look(name string, pid int) {
	raw, err := os.ReadFile(fmt.Sprint("/proc/", pid, "/stat"))
	if err != nil {
		return // it has ended
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:])) // from the third on
	if len(fields) < 13 {
		return
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used == nil {
		m.used = map[string]map[int]time.Duration{}
	}
	if m.used[name] == nil {
		m.used[name] = map[int]time.Duration{}
	}
	m.used[name][pid] = time.Duration(user+system) * tick
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
