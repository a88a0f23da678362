package signalc

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/relaykeep/relaykeep/relay/signal"
)

// built is the compiled peer, made once for all tests.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "signalc")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "peer")
	out, err := exec.Command("cc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", path, "testdata/peer.c",
		"-lsignal-protocol-c", "-lcrypto").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("compiling the peer: %w (on Debian: apt-get install gcc libc6-dev libsignal-protocol-c-dev libssl-dev)\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// cPeer is a device of libsignal-protocol-c's, with one peer.
type cPeer struct {
	t   testing.TB
	in  io.Writer
	out *bufio.Reader
}

func newCPeer(t testing.TB) *cPeer {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close() // it ends at the end of its input
		if err := cmd.Wait(); err != nil {
			t.Errorf("the peer: %v\n%s", err, &complaints)
		}
	})
	return &cPeer{t: t, in: in, out: bufio.NewReader(out)}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// do sends a command and returns the words of its answer.
func (p *cPeer) do(format string, args ...any) ([]string, error) {
	p.t.Helper()
	_, err := fmt.Fprintf(p.in, format+"\n", args...)
	must(p.t, err)
	line, err := p.out.ReadString('\n')
	must(p.t, err)
	words := strings.Fields(line)
	switch {
	case len(words) > 0 && words[0] == "ok":
		return words[1:], nil
	case len(words) == 2 && words[0] == "error":
		return nil, fmt.Errorf("libsignal-protocol-c: error %s", words[1])
	}
	p.t.Fatalf("the peer answers %q", line)
	return nil, nil
}

// toHex and fromHex write no bytes as a hyphen.
func toHex(b []byte) string {
	if len(b) == 0 {
		return "-"
	}
	return hex.EncodeToString(b)
}

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "-"))
	must(t, err)
	return b
}

func number(t testing.TB, s string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 32)
	must(t, err)
	return uint32(n)
}

func (p *cPeer) bundle() signal.Bundle { return p.parseBundle("bundle") }

// bare is a bundle without a one-time pre-key.
func (p *cPeer) bare() signal.Bundle { return p.parseBundle("bare") }

func (p *cPeer) parseBundle(command string) signal.Bundle {
	p.t.Helper()
	w, err := p.do(command)
	must(p.t, err)
	b := signal.Bundle{SignedPreKeyID: number(p.t, w[1]), PreKeyID: number(p.t, w[4])}
	b.Identity, err = signal.ParseIdentityKey(fromHex(p.t, w[0]))
	must(p.t, err)
	b.SignedPreKey, err = signal.ParsePublicKey(fromHex(p.t, w[2]))
	must(p.t, err)
	b.Signature = [signal.SignatureSize]byte(fromHex(p.t, w[3]))
	if b.PreKeyID != 0 {
		b.PreKey, err = signal.ParsePublicKey(fromHex(p.t, w[5]))
		must(p.t, err)
	}
	return b
}

func (p *cPeer) initiate(b signal.Bundle) {
	p.t.Helper()
	must(p.t, p.tryInitiate(b))
}

func (p *cPeer) tryInitiate(b signal.Bundle) error {
	_, err := p.do("initiate %s %d %s %s %d %s", toHex(b.Identity.Bytes()), b.SignedPreKeyID,
		toHex(b.SignedPreKey.Bytes()), toHex(b.Signature[:]), b.PreKeyID, toHex(b.PreKey.Bytes()))
	return err
}

// Types of messages in libsignal-protocol-c.
const (
	typeMessage = 2
	typePreKey  = 3
)

func (p *cPeer) seal(text string) signal.Ciphertext {
	p.t.Helper()
	w, err := p.do("seal %s", toHex([]byte(text)))
	must(p.t, err)
	return signal.Ciphertext{Data: fromHex(p.t, w[1]), PreKey: number(p.t, w[0]) == typePreKey}
}

func (p *cPeer) open(c signal.Ciphertext) (string, error) {
	kind := typeMessage
	if c.PreKey {
		kind = typePreKey
	}
	w, err := p.do("open %d %s", kind, toHex(c.Data))
	if err != nil {
		return "", err
	}
	return string(fromHex(p.t, w[0])), nil
}
