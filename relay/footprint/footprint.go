// Package footprint keeps a process small while it does little, and gives it room while it does much. It must not know
// what the process does.
package footprint

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// By how much memory may grow over what is in use before garbage is collected, in percent: in a process that does
// little, and between which bounds in one that does much, for which the room for garbage counts. Go's default is 100,
// and it waits for four mebibytes times the percentage at least, which a relay at rest does not use.
const (
	little = 25
	least  = 100
	most   = 400
	step   = 50 // a change of less is none
)

// room is how much garbage there may be in a process that does much, in bytes, unless a quarter of its container's limit
// is less.
const room = 64 << 20

// A process does much after so many collections in a row of which each came so soon after the one before: more than a
// start has, and then they take a few percent of a processor's time. It does little again when one comes so long after
// the one before, with more garbage in between than a process that does little may have.
const (
	row   = 16
	soon  = 100 * time.Millisecond
	pause = 4 * time.Second
)

// live is the memory in use after the last collection, in bytes (package runtime/metrics).
const live = "/gc/heap/live:bytes"

// Keep has garbage be collected early as long as that is seldom necessary, and when there is much when it is not, so
// that a busy process does not pay for it. It does nothing where GOGC is set. Call it once, before all else.
func Keep() {
	if os.Getenv("GOGC") != "" {
		return
	}
	p := &pace{last: time.Now(), room: room, percent: little}
	if limit, err := memlimit.FromCgroup(); err == nil { // otherwise there is none
		p.room = min(room, limit/4)
	}
	debug.SetGCPercent(p.percent)
	p.follow()
}

// pace follows the collections. It is used by one goroutine at a time.
type pace struct {
	room    uint64
	percent int
	last    time.Time // when the last collection was
	hurried int       // how many came soon, in a row
	busy    bool
}

// follow has collected be called after the next collection.
func (p *pace) follow() { runtime.AddCleanup(new([64]byte), (*pace).collected, p) }

func (p *pace) collected() {
	now, used := time.Now(), []metrics.Sample{{Name: live}}
	metrics.Read(used)
	if percent := p.after(now.Sub(p.last), used[0].Value.Uint64()); percent != p.percent {
		debug.SetGCPercent(percent)
		p.percent = percent
	}
	p.last = now
	p.follow()
}

// after notes a collection that came so long after the one before and left so many bytes in use, and returns the
// percentage until the next.
func (p *pace) after(since time.Duration, used uint64) (percent int) {
	if since < soon {
		p.hurried++
	} else {
		p.hurried = 0
	}
	switch {
	case p.hurried >= row:
		p.busy = true
	case since >= pause:
		p.busy = false
	}
	if !p.busy {
		return little
	}
	fits := p.room * 100 / max(used, 1)
	return int(min(max(fits/step*step, least), most))
}
