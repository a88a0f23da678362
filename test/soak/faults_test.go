package soak_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/rig"
	"github.com/relaykeep/relaykeep/test/services/faultproxy"
	"github.com/relaykeep/relaykeep/test/services/postgres"
)

// kind is a kind of fault.
type kind int

const (
	killed kind = iota
	receiverRefuses
	receiverSlow
	receiverHangs
	receiverCutsOff
	receiverForgets
	receiverAnswersOtherwise
	linkCut
	linkFault
	vaultSealed
	vaultKilled
	clockAhead
	clockBehind
	writeFails
	syncFails
	diskFull
	databaseKilled
	databaseCut
	kinds
)

func (k kind) String() string {
	return [...]string{
		"kill -9 of the relay", "receiver answers 500", "receiver slow", "receiver hangs", "receiver cuts before reading", "receiver cuts before answering",
		"receiver answers 202", "link cut", "link broken at a stanza", "Vault sealed", "Vault killed", "clock ahead", "clock behind", "a write fails",
		"an fsync fails after the write", "volume full", "PostgreSQL killed", "connection to PostgreSQL cut",
	}[k]
}

// fault is one fault of the schedule.
type fault struct {
	kind
	at   int           // it happens when so many messages have arrived
	last time.Duration // for how long
	size int           // how large: of several, its meaning is the kind's
}

// weight is how often a kind happens, beside the others. After a full volume or a write that failed the relay
// waits for up to a minute, so that there are fewer of these.
func (k kind) weight() int {
	switch k {
	case killed:
		return 6
	case diskFull, writeFails, syncFails, databaseKilled:
		return 1
	default:
		return 2
	}
}

// needs says which store a kind of fault is for; empty: every store.
func (k kind) needs() string {
	switch k {
	case diskFull, writeFails, syncFails:
		return "sqlite"
	case databaseKilled, databaseCut:
		return "postgres"
	default:
		return ""
	}
}

// kindsOf returns the kinds whose names a regular expression finds.
func kindsOf(t *testing.T, expression string) (found []kind) {
	t.Helper()
	r, err := regexp.Compile(expression)
	if err != nil {
		t.Fatal(err)
	}
	for k := range kinds {
		if need := k.needs(); r.MatchString(k.String()) && (need == "" || need == *store) {
			found = append(found, slices.Repeat([]kind{k}, k.weight())...)
		}
	}
	if len(found) == 0 {
		t.Fatal("no kind of fault has that name")
	}
	return found
}

// schedule makes the faults of a run of so many messages, about one in every so many. The same seed makes
// the same ones.
func schedule(seed uint64, messages, every int, of []kind) (all []fault) {
	random := rand.New(rand.NewPCG(seed, 14))
	for at := every; at < messages; at += every/2 + random.IntN(every) {
		all = append(all, fault{
			kind: of[random.IntN(len(of))], at: at, last: time.Duration(200+random.IntN(1800)) * time.Millisecond, size: random.IntN(1 << 16),
		})
	}
	return all
}

// breaker makes faults happen.
type breaker struct {
	*business
	t        *testing.T
	receiver *receiver
	proxy    *faultproxy.Proxy
	volume   *volume
	database *database // nil for a store on the volume

	running sync.WaitGroup
	busy    [kinds]sync.Mutex // one of each kind at a time
	vault   sync.Mutex        // likewise of Vault's, the receiver's and the clock's
	mood    sync.Mutex
	clock   sync.Mutex

	mu     sync.Mutex // guards the following fields
	counts [kinds]int
	failed error // a fault could not be made, or not be ended
}

// do makes a fault happen. Those that last end by themselves.
func (b *breaker) do(f fault) {
	b.mu.Lock()
	b.counts[f.kind]++
	b.mu.Unlock()
	if f.kind == killed {
		b.Stop()
		b.StartProcess()
		return
	}
	b.running.Go(func() {
		b.busy[f.kind].Lock()
		defer b.busy[f.kind].Unlock()
		if err := b.last(f); err != nil {
			b.mu.Lock()
			b.failed = errors.Join(b.failed, fmt.Errorf("%s: %w", f.kind, err))
			b.mu.Unlock()
		}
	})
}

// last makes a fault that is over when it returns.
func (b *breaker) last(f fault) error {
	switch f.kind {
	case receiverRefuses, receiverSlow, receiverHangs, receiverCutsOff, receiverForgets, receiverAnswersOtherwise:
		b.mood.Lock()
		defer b.mood.Unlock()
		b.receiver.be(refuses + mood(f.kind-receiverRefuses))
		<-time.After(f.last)
		b.receiver.be(well)
	case linkCut:
		b.proxy.Cut()
	case linkFault:
		b.breakLink(f.size)
	case vaultSealed, vaultKilled:
		b.vault.Lock()
		defer b.vault.Unlock()
		return b.vaultAway(f)
	case clockAhead, clockBehind:
		b.clock.Lock()
		defer b.clock.Unlock()
		return b.jump(f)
	case writeFails:
		return b.failing(f, "pwrite64", "EIO")
	case syncFails:
		return b.failing(f, "fdatasync,fsync", "EIO")
	case diskFull:
		return b.volume.full(f.last)
	case databaseKilled:
		return b.database.killed(f.last)
	case databaseCut:
		b.database.cut(f.size)
	case killed, kinds:
	}
	return nil
}

// breakLink breaks the relay's link at one of the next stanzas, in one of the ways that the proxy knows.
func (b *breaker) breakLink(size int) {
	faults := faultproxy.Faults()
	left, what := size%64, faults[size/64%len(faults)]
	b.proxy.Follow(func(faultproxy.Way, []byte) faultproxy.Fault {
		if left--; left == 0 {
			return what
		}
		return faultproxy.Pass
	})
}

func (b *breaker) vaultAway(f fault) error {
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	if f.kind == vaultKilled {
		shared.Vault.Kill()
		<-time.After(f.last)
		return shared.Vault.Start(ctx)
	}
	if err := shared.Vault.Seal(ctx); err != nil {
		return err
	}
	<-time.After(f.last)
	return shared.Vault.Wait(ctx)
}

// jump makes the node's clock wrong, and then right. By less than five minutes the relay believes it.
func (b *breaker) jump(f fault) error {
	by := time.Duration(f.size%240) * time.Second
	if f.size%2 == 0 {
		by = time.Duration(f.size%(60*24)) * time.Hour
	}
	if f.kind == clockBehind {
		by = -by
	}
	b.setClock(by)
	<-time.After(f.last)
	b.setClock(0)
	return nil
}

// setClock is SetClock; a process that was just killed learns it when it starts.
func (b *breaker) setClock(by time.Duration) { _ = b.SetClock(by) }

// failing has some of the relay's system calls on its database fail, one of ten or all, by tracing it.
// After an fsync that failed, what was written before it is in the file.
func (b *breaker) failing(f fault, calls, with string) error {
	when := fmt.Sprint(1+f.size%7, "+", 1+f.size%10)
	ctx, cancel := context.WithTimeout(context.Background(), f.last)
	defer cancel()
	cmd := exec.CommandContext(ctx, "strace", "-f", "-qqq", "-o", "/dev/null", "-p", fmt.Sprint(b.PID()),
		"-P", b.volume.dir+"/relay.db-wal", "-P", b.volume.dir+"/relay.db", "-e", "trace="+calls, "-e", "inject="+calls+":error="+with+":when="+when)
	// It lets the relay go then. It forks when it starts, and may be told to end then.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil || strings.Contains(string(out), "No such process") {
		return nil // the relay may have been killed meanwhile
	}
	return fmt.Errorf("strace: %w: %s", err, out)
}

// end waits until no fault lasts any longer.
func (b *breaker) end() error {
	b.running.Wait()
	b.proxy.Follow(func(faultproxy.Way, []byte) faultproxy.Fault { return faultproxy.Pass })
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// String says how many faults of each kind there were.
func (b *breaker) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var parts []string
	for k, n := range b.counts {
		if n > 0 {
			parts = append(parts, fmt.Sprint(n, " × ", kind(k)))
		}
	}
	return strings.Join(parts, ", ")
}

// volume is the relay's volume: a file system in memory of its own, which only root may mount.
type volume struct {
	dir  string
	size int64
}

func mountVolume(t *testing.T, dir string, size int64) *volume {
	t.Helper()
	v := &volume{dir, size}
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", v.option(size), "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: mounting a file system of the relay's own takes root; nothing here was tested: %v: %s", err, out)
	}
	unmount := func() { _ = exec.Command("umount", "-l", dir).Run() }
	t.Cleanup(unmount)
	shared.AtOnce(unmount)
	return v
}

func (*volume) option(size int64) string { return fmt.Sprint("mode=700,size=", size) }

// full leaves no room on the volume for some time.
func (v *volume) full(last time.Duration) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(v.dir, &s); err != nil {
		return err
	}
	used := int64(s.Blocks-s.Bfree) * s.Bsize
	var err error
	for range 20 { // what is written meanwhile makes it too small
		if err = v.resize(used); err == nil {
			break
		}
		used += 64 << 10
	}
	if err != nil {
		return err
	}
	<-time.After(last)
	return v.resize(v.size)
}

func (v *volume) resize(size int64) error {
	out, err := exec.Command("mount", "-o", "remount,"+v.option(size), v.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("resizing the volume: %w: %s", err, out)
	}
	return nil
}

// database is a PostgreSQL that the relay reaches through a proxy.
type database struct {
	server *postgres.Server
	proxy  *postgres.Proxy
}

func startDatabase(t *testing.T, b *rig.Business) *database {
	t.Helper()
	s := postgres.StartT(t, postgres.Options{})
	d, err := s.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	proxy := postgres.StartProxyT(t, d.Address)
	d.Address = proxy.Addr
	b.OnPostgres(d)
	b.ServerDir = s.Dir
	return &database{s, proxy}
}

func (d *database) killed(last time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	d.server.Kill()
	<-time.After(last)
	return d.server.Start(ctx)
}

// cut loses what goes one way next on the relay's connections, and cuts them. A commit may be among it.
func (d *database) cut(size int) {
	way := postgres.ToServer
	if size%2 == 0 {
		way = postgres.ToClient
	}
	d.proxy.Break(way, nil)
}
