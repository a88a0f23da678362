package process

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/relaykeep/relaykeep/relay/store"
)

// killsFile in a relay's directory has its process kill itself at commits. It is a Kills in JSON.
const killsFile = "kills.json"

// The moments of a commit at which a process is killed.
const (
	Before = "before" // everything is written, and nothing committed
	After  = "after"  // it is committed, and nobody was told
)

// Kills are the places of the code, as file:line from the repository's root, whose changes a relay's process kills
// itself at: once at each moment of each place.
type Kills struct{ Places []string }

// due says whether a process is still to be killed at a moment of a place.
func (k Kills) due(place, moment string, hit []string) bool {
	return slices.Contains(k.Places, place) && !slices.Contains(hit, place+" "+moment)
}

// Write has the relay's process that runs on a directory kill itself from its next start on.
func (k Kills) Write(dir string) error {
	raw, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, killsFile), raw, 0o600)
}

// Killed returns where it killed itself, each a place and a moment.
func Killed(dir string) []string {
	raw, err := os.ReadFile(filepath.Join(dir, killsFile+".hit"))
	if err != nil {
		return nil // none yet
	}
	return strings.Split(strings.TrimSpace(string(raw)), "\n")
}

// observer returns the options of a process that kills itself; nil if it does not.
func observer(dir string) ([]store.Option, error) {
	raw, err := os.ReadFile(filepath.Join(dir, killsFile))
	if os.IsNotExist(err) {
		return nil, nil
	}
	var k Kills
	if err == nil {
		err = json.Unmarshal(raw, &k)
	}
	if err != nil {
		return nil, err
	}
	hit := Killed(dir)
	at := func(moment string) func([]string) {
		return func(changes []string) {
			var due []string
			for _, places := range changes {
				for place := range strings.SplitSeq(places, " ") {
					if k.due(place, moment, hit) && !slices.Contains(due, place) {
						due = append(due, place)
					}
				}
			}
			if len(due) > 0 {
				die(dir, moment, due)
			}
		}
	}
	return []store.Option{store.Observe(store.Observer{
		Begun:      func() string { return strings.Join(places(k.Places), " ") },
		Committing: at(Before), Committed: at(After),
	})}, nil
}

// places returns those of some places that are on this goroutine's stack.
func places(of []string) (found []string) {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	for {
		f, more := frames.Next()
		if i := strings.LastIndex(f.File, "/relay/"); i >= 0 {
			if place := fmt.Sprint(f.File[i+1:], ":", f.Line); slices.Contains(of, place) {
				found = append(found, place)
			}
		}
		if !more {
			return found
		}
	}
}

// die notes why this process is killed, and kills it.
func die(dir, moment string, places []string) {
	f, err := os.OpenFile(filepath.Join(dir, killsFile+".hit"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		var text strings.Builder
		for _, p := range places {
			fmt.Fprintln(&text, p, moment)
		}
		_, err = f.WriteString(text.String())
	}
	if err != nil {
		panic(err)
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // it is not this goroutine that the signal ends first
}
