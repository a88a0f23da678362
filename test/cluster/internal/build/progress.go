package build

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
)

// tail is how many of the compiler's last lines are kept for the report of a failure.
const tail = 40

// enough is how many packages must be compiled before their pace says how long the rest takes.
const enough = 200

// progress reads what the go command prints and can say at any time how far it is.
type progress struct {
	mu sync.Mutex
	// Guarded by mu.
	partial    []byte
	downloaded int
	compiled   int
	current    string
	last       []string
}

// Write takes a piece of the go command's output.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.partial = append(p.partial, b...)
	for {
		i := bytes.IndexByte(p.partial, '\n')
		if i < 0 {
			return len(b), nil
		}
		p.line(string(p.partial[:i]))
		p.partial = p.partial[i+1:]
	}
}

func (p *progress) line(line string) {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		p.downloaded++
		p.current = strings.TrimPrefix(line, "go: ")
	case !strings.ContainsAny(line, " \t:"):
		p.compiled++
		p.current = line
	}
	p.last = append(p.last, line)
	if len(p.last) > tail {
		p.last = p.last[1:]
	}
}

// describe says how far the build is after that time; total is how many packages the programs have, 0 when that is not known. What
// Go's cache holds already is not printed, so the rest may take less than its pace says.
func (p *progress) describe(total int, elapsed time.Duration) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var parts []string
	if p.downloaded > 0 {
		parts = append(parts, fmt.Sprintf("%d modules fetched", p.downloaded))
	}
	of := ""
	if total > 0 {
		of = fmt.Sprintf(" of at most %d", total)
	}
	parts = append(parts, fmt.Sprintf("%d%s packages compiled", p.compiled, of))
	if p.current != "" {
		parts = append(parts, "now "+p.current)
	}
	parts = append(parts, fmt.Sprintf("%d s", int(elapsed.Seconds())))
	if rest := total - p.compiled; rest > 0 && p.compiled >= enough {
		left := elapsed / time.Duration(p.compiled) * time.Duration(rest)
		parts = append(parts, fmt.Sprintf("about %d s more, less if some is cached", int(left.Round(10*time.Second).Seconds())))
	}
	return strings.Join(parts, ", ")
}

// failure is the end of the output, where the compiler says what is wrong.
func (p *progress) failure() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(append(p.last, string(p.partial)), "\n")
}
