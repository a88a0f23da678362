//go:build linux

package command

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// terminal is a real one, with somebody at it.
type terminal struct {
	t    *testing.T
	ours *os.File // what the person sees and types on

	mu    sync.Mutex // guards shown
	shown bytes.Buffer
}

// openPTY returns a terminal and the end of it that a program works on.
func openPTY(t *testing.T) (*terminal, *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	check(t, err)
	raw, err := ours.SyscallConn()
	check(t, err)
	number := 0
	check(t, raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	check(t, err)
	theirs, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	check(t, err)
	term := &terminal{t: t, ours: ours}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for buf := make([]byte, 4096); ; {
			n, err := ours.Read(buf)
			if err != nil {
				return
			}
			term.mu.Lock()
			term.shown.Write(buf[:n])
			term.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		check(t, theirs.Close())
		check(t, ours.Close())
		<-done
	})
	return term, theirs
}

func (p *terminal) types(text string) {
	p.t.Helper()
	_, err := p.ours.WriteString(text)
	check(p.t, err)
}

// sees waits until the terminal has shown a text, and returns all that it showed.
func (p *terminal) sees(text string) string {
	p.t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		p.mu.Lock()
		shown := p.shown.String()
		p.mu.Unlock()
		if strings.Contains(shown, text) {
			return shown
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			p.t.Fatalf("%q is not shown, but:\n%s", text, shown)
		}
	}
}

// chatAt runs the command at a terminal, in a directory of its own, until Ctrl-D.
func chatAt(t *testing.T, args ...string) (term *terminal, ended chan error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	term, theirs := openPTY(t)
	root := New(genericiooptions.IOStreams{In: theirs, Out: theirs, ErrOut: theirs}, "dev")
	root.SetArgs(append([]string{"chat", "--as", buyerNumber, "--to", shopNumber}, args...))
	ended = make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	term.sees("Connected.")
	return term, ended
}

func TestFilesGoBothWaysInATerminal(t *testing.T) {
	server, where := startServer(t)
	collected := startCollector(t, server)
	here := t.TempDir()
	path := filepath.Join(here, "one two.png")
	check(t, os.WriteFile(path, photo(), 0o600))
	term, ended := chatAt(t, append(where, "--register", "--state-dir", filepath.Join(t.TempDir(), "state"))...)
	term.types("/file " + path + "\r")
	term.sees("<- thanks")
	if _, content := onlyFile(t, collected); !bytes.Equal(content, photo()) {
		t.Errorf("the shop has %d bytes", len(content))
	}
	term.types("/file /nonexistent\r")
	term.sees("✗ sending /nonexistent")
	term.types("/elif x\r")
	term.sees("✗ not sent")
	term.types("//etc is a directory\r")
	term.sees("<- you said: /etc is a directory")
	term.types("/save\r")
	term.sees("no files to fetch")
	term.types("/keys\r")
	term.types("//keys were shown\r") // behind them
	shown := term.sees("<- you said: /keys were shown")
	if keys := regexp.MustCompile(`(?:[0-9a-f]{8} ){7}[0-9a-f]{8}`).FindAllString(shown, -1); len(keys) != 2 || keys[0] == keys[1] {
		t.Errorf("the keys that are shown are %q", keys)
	}
	term.types("\x04")
	check(t, <-ended)
}

func TestSaveFetchesWhatCameInATerminal(t *testing.T) {
	server, where := startServer(t)
	startPhotographer(t, server)
	term, ended := chatAt(t, append(where, "--register", "--state-dir", filepath.Join(t.TempDir(), "state"))...)
	term.types("a photo, please\r")
	term.sees("/save fetches it")
	dir := filepath.Join(t.TempDir(), "here")
	term.types("/save " + dir + "\r")
	shown := term.sees(" was saved as " + dir)
	noKey(t, shown)
	term.types("\x04")
	check(t, <-ended)
	if _, content := onlyFile(t, dir); !bytes.Equal(content, photo()) {
		t.Errorf("%d bytes are there", len(content))
	}
}
