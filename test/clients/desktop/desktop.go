// Package desktop runs a program with windows on a screen of its own, as a user's desktop
// does: it reads what the windows show through the accessibility interface (AT-SPI), and
// presses keys and buttons. The program finds chosen names at chosen addresses and trusts
// one certificate authority more than the machine does; nobody else on the machine sees
// either. It must not know what the program is.
package desktop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrMissing means that a program is not installed.
var ErrMissing = errors.New("a program is missing: make clients installs it")

// Options say what runs.
type Options struct {
	Program []string          // and its arguments
	Hosts   map[string]string // addresses by names, for /etc/hosts
	CA      []byte            // PEM of an authority that the program trusts
	Env     []string          // further variables, as name=value
	Files   map[string]string // what the program finds in its home, by paths below it
	// Windowed says that the program counts places from its window's corner, and does not
	// say what is on the screen, as GTK 4 does it. Its window must fill the screen.
	Windowed bool
	// NotRoot says that the program refuses to run as root. Where the tests do, it runs as
	// the user nobody.
	NotRoot bool
	// Width and Height are those of the screen, in pixels.
	Width, Height int
}

// Session is a desktop with its program.
type Session struct {
	Home string // of the program

	o      Options
	cmd    *exec.Cmd
	exited chan struct{}
	env    []string
	eyes   *eyes
}

// Some programs look for authorities in the file ca-certificates.crt, some beside it by
// the hash of their names.
//
// script runs in a mount namespace and a process namespace of its own, as their first
// process: when it ends, all others do. It is called with the directory, the screen's
// size, the command that changes the user, if any, and the program.
const script = `set -e
dir=$1 size=$2 as=$3
shift 3
mount --make-rprivate /
mount --bind "$dir/hosts" /etc/hosts
cp -a /etc/ssl/certs "$dir/certs"
cp "$dir/roots.crt" "$dir/certs/ca-certificates.crt"
cp "$dir/ca.crt" "$dir/certs/lab.pem"
chmod 644 "$dir/certs/ca-certificates.crt" "$dir/certs/lab.pem"
ln -sf lab.pem "$dir/certs/$(openssl x509 -noout -hash -in "$dir/ca.crt").0"
mount --bind "$dir/certs" /etc/ssl/certs
mkfifo "$dir/display"
Xvfb -displayfd 4 -screen 0 "$size" -nolisten tcp 4>"$dir/display" &
read -r number <"$dir/display"
export DISPLAY=":$number"
$as dbus-run-session -- sh -c 'openbox 3>&- & printf "%s\n%s\n" "$DISPLAY" "$DBUS_SESSION_BUS_ADDRESS" >&3; exec 3>&-; exec "$@"' sh "$@"
`

// Start runs a program. Stop it when done, even if there was an error with it.
func Start(ctx context.Context, o Options) (*Session, error) {
	for _, p := range []string{"Xvfb", "dbus-run-session", "openbox", "xdotool", "import", o.Program[0]} {
		if _, err := exec.LookPath(p); err != nil {
			return nil, fmt.Errorf("%w: %s", ErrMissing, p)
		}
	}
	// Not a test's directory, whose path may be too long for sockets.
	dir, err := os.MkdirTemp("", "desktop-*")
	if err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	s := &Session{Home: filepath.Join(dir, "home"), o: o, exited: make(chan struct{})}
	if err = s.prepare(dir); err == nil {
		err = s.start(ctx, dir)
	}
	if err != nil {
		err = fmt.Errorf("starting a desktop: %w: %s", err, s.LastWords())
		s.Stop()
	}
	return s, err
}

// prepare writes the files that the program sees instead of the machine's.
func (s *Session) prepare(dir string) error {
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil {
		return err
	}
	for name, address := range s.o.Hosts {
		hosts = append(hosts, fmt.Sprintf("\n%s %s\n", address, name)...)
	}
	roots, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		return err
	}
	for _, d := range []string{s.Home, filepath.Join(s.Home, "run")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	if err := s.furnish(); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "hosts"), hosts, 0o600),
		os.WriteFile(filepath.Join(dir, "ca.crt"), s.o.CA, 0o600),
		os.WriteFile(filepath.Join(dir, "roots.crt"), append(append(roots, '\n'), s.o.CA...), 0o600),
		s.handOver())
}

// furnish writes the files of the program's home.
func (s *Session) furnish() error {
	for name, content := range s.o.Files {
		path := filepath.Join(s.Home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) start(ctx context.Context, dir string) error {
	log, err := os.Create(s.log())
	if err != nil {
		return err
	}
	defer log.Close()
	from, to, err := os.Pipe()
	if err != nil {
		return err
	}
	defer from.Close()
	size := fmt.Sprintf("%dx%dx24", s.o.Width, s.o.Height)
	cmd := exec.Command("sh", append([]string{"-c", script, "sh", dir, size, s.as()}, s.o.Program...)...) //nolint:noctx // ended by Stop
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles, cmd.Dir = log, log, []*os.File{to}, s.Home
	s.env = append(s.environment(), s.o.Env...)
	cmd.Env, cmd.SysProcAttr = s.env, namespaces()
	if err := cmd.Start(); err != nil {
		return errors.Join(err, to.Close())
	}
	s.cmd = cmd
	go func() {
		_ = cmd.Wait()
		close(s.exited)
	}()
	_ = to.Close()
	display, bus, err := addresses(ctx, from)
	if err != nil {
		return err
	}
	s.env = append(s.env, "DISPLAY="+display, "DBUS_SESSION_BUS_ADDRESS="+bus)
	s.eyes, err = openEyes(s.env, s.user())
	return err
}

// namespaces are those of the program: it is root in a namespace of users of its own if
// we are not root.
func namespaces() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	if id := os.Geteuid(); id != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: id, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

func (s *Session) environment() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "HOME=" + s.Home, "XDG_RUNTIME_DIR=" + filepath.Join(s.Home, "run"),
		"GSK_RENDERER=cairo", "LIBGL_ALWAYS_SOFTWARE=1", "GSETTINGS_BACKEND=memory", "GIO_USE_NETWORK_MONITOR=base",
		"QT_ACCESSIBILITY=1", "QT_LINUX_ACCESSIBILITY_ALWAYS_ON=1",
	}
	for _, kind := range []string{"config", "data", "cache", "state"} {
		env = append(env, "XDG_"+strings.ToUpper(kind)+"_HOME="+filepath.Join(s.Home, kind))
	}
	return env
}

// addresses reads where the screen and the session bus are.
func addresses(ctx context.Context, from *os.File) (display, bus string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if end, ok := ctx.Deadline(); ok {
		_ = from.SetReadDeadline(end)
	}
	lines := bufio.NewReader(from)
	display, err = lines.ReadString('\n')
	if err == nil {
		bus, err = lines.ReadString('\n')
	}
	if err != nil {
		return "", "", fmt.Errorf("waiting for the screen: %w", err)
	}
	return strings.TrimSpace(display), strings.TrimSpace(bus), nil
}

func (s *Session) log() string { return filepath.Join(filepath.Dir(s.Home), "log") }

// LastWords is the end of what the program and its desktop wrote.
func (s *Session) LastWords() string {
	if s == nil {
		return ""
	}
	raw, err := os.ReadFile(s.log())
	if err != nil {
		return ""
	}
	return string(raw[max(0, len(raw)-2000):])
}

// Stop ends the program and its desktop. Stopping it again does nothing.
func (s *Session) Stop() {
	if s == nil {
		return
	}
	if s.eyes != nil {
		s.eyes.close()
	}
	if s.cmd != nil {
		_ = s.cmd.Process.Kill() // the first process of its namespace
		<-s.exited
	}
	_ = os.RemoveAll(filepath.Dir(s.Home))
}

// Run runs a further program on the desktop, without input, and returns what it prints.
func (s *Session) Run(ctx context.Context, program string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, complaints bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = s.env, s.Home, &out, &complaints, s.user()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", program, err, complaints.Bytes()[max(0, complaints.Len()-500):])
	}
	return out.Bytes(), nil
}

// Screenshot returns a picture of the screen, and the ending of its file's name.
func (s *Session) Screenshot() (picture []byte, ending string, err error) {
	if s == nil || s.eyes == nil {
		return nil, "", errNoDesktop
	}
	picture, err = s.Run(context.Background(), "import", "-window", "root", "png:-")
	return picture, ".png", err
}
