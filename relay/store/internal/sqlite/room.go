package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// databaseName is the database's file in the store's directory; SQLite puts its
// log and index beside it.
const databaseName = "relay.db"

// reserveName is the file that keeps room on the volume for what frees room: sweeping and
// erasing. A deletion needs room itself, because what it overwrites goes through the database's
// log first. The room must be reserved before the volume is full, and no other writer on the
// same file system may be able to use it. So it is a file of real blocks, which is deleted when
// a deletion finds the volume full, and made again before anything new is accepted. Only
// checking what is free (statfs) would leave the room to the next writer.
const reserveName = "reserve"

// pageSize is SQLite's, which no build of ours changed.
const pageSize = 4096

// Bounds of the database's log, in bytes: it is copied into the database when it has
// grown to a 32nd of the volume.
const (
	minLog = 256 << 10
	maxLog = 16 << 20
)

// room says whether there is room for a transaction. Only the writer uses it, except for full
// and free.
type room struct {
	dir     string
	log     int64 // the size that the database's log grows to before it is copied
	reserve int64 // size of the reserve's file, when it is whole
	known   bool  // the volume can be measured

	volume int64 // size of the volume, in bytes; 0: it is not known
	held   int64 // what the database holds, as measured last

	at      time.Time // of the last measurement
	left    int64     // for new and for continued work, as measured then
	spent   int64     // since then
	refused bool      // something was refused since the last measurement
	given   bool      // the reserve was deleted for the next group

	full atomic.Bool  // there may be no room for anything new
	free atomic.Int64 // bytes in the database that were freed
}

// newRoom measures the volume and makes its reserve, if there is room for it.
func newRoom(dir string) *room {
	r := &room{dir: dir, log: maxLog}
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) == nil {
		r.known = true
		r.log = min(max(int64(s.Blocks)*s.Bsize/32, minLog), maxLog)
	}
	r.reserve = 2 * r.log
	return r
}

// measure computes how much room there is before a group of updates. The database may still
// have to absorb its log, the log may grow to its bound and by one group, and a missing reserve
// comes first.
//
// While there is plenty, it is not measured before each group: that took an eighth of a single caller's
// time.
func (r *room) measure(c *conn) {
	if r.plenty() {
		return
	}
	r.at, r.spent = time.Now(), 0
	var s syscall.Statfs_t
	if !r.known || syscall.Statfs(r.dir, &s) != nil {
		return
	}
	pages, err1 := c.integer("PRAGMA page_count")
	unused, err2 := c.integer("PRAGMA freelist_count")
	if err1 != nil || err2 != nil {
		c.ended = nil
		return
	}
	r.volume, r.held = int64(s.Blocks)*s.Bsize, (pages-unused)*pageSize
	database, log, kept := size(r.path(databaseName)), size(r.path(databaseName+"-wal")), size(r.path(reserveName))
	available := int64(s.Bavail) * s.Bsize
	growth := max(0, pages*pageSize-database) + max(0, 2*r.log-log)
	if want := min(r.reserve, kept+available-growth); want > kept && !r.given && r.keep(want) {
		kept, available = want, available-want+kept
	}
	r.given = false
	r.left = available + unused*pageSize - growth - max(0, r.reserve-kept)
	r.free.Store(unused * pageSize)
	r.full.Store(r.refused && r.left < 4*r.log || r.left < r.log+r.log/4)
	r.refused = false
}

// often is how long a measurement counts while there is plenty of room, which others may use.
const often = time.Second

// plenty says whether the last measurement still counts: it found much more room than has been used since.
func (r *room) plenty() bool {
	return r.left >= 8*r.log && r.spent < r.log/4 && !r.refused && !r.given && !r.full.Load() && time.Since(r.at) < often
}

// take takes the room for what an update wrote, or returns engine.ErrFull. New work leaves some
// room to work that was accepted before. A deletion is never refused.
func (r *room) take(wrote int64, fresh bool) error {
	if wrote == 0 || !r.known {
		return nil
	}
	needs := wrote + wrote/16 + pageSize/2
	limit := r.left
	if fresh {
		limit -= r.log
	}
	if r.spent+needs > limit {
		r.refuse()
		return engine.ErrFull
	}
	r.spent += needs
	return nil
}

// enough says whether a group has written as much as it may.
func (r *room) enough() bool { return r.spent >= r.log }

// failed notes why a group failed.
func (r *room) failed(err error) {
	if errors.Is(err, engine.ErrFull) {
		r.refuse()
	}
}

func (r *room) refuse() {
	r.refused = true
	r.full.Store(true)
}

// keep makes the reserve as large as there is room for, and says whether it succeeded.
func (r *room) keep(bytes int64) bool {
	f, err := os.OpenFile(r.path(reserveName), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return false
	}
	err = syscall.Fallocate(int(f.Fd()), 0, 0, bytes)
	if err != nil { // no room, or a file system that cannot
		_ = f.Truncate(0)
	}
	return errors.Join(err, f.Close()) == nil
}

// give deletes the reserve and says whether there was one.
func (r *room) give() bool {
	r.given = true
	had := size(r.path(reserveName)) > 0
	err := os.Remove(r.path(reserveName))
	return had && (err == nil || errors.Is(err, fs.ErrNotExist))
}

func (r *room) path(name string) string { return filepath.Join(r.dir, name) }

// size is a file's size, 0 when there is no such file.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
