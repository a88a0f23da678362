package twomemo

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/signal"
)

// python is Debian's: its packages are not to be seen from another one.
const python = "/usr/bin/python3"

// peer is a device of python-twomemo's, with one peer.
type peer struct {
	t   testing.TB
	in  io.Writer
	out *bufio.Reader
}

func newPeer(t testing.TB) *peer {
	t.Helper()
	cmd := exec.Command(python, "-u", "testdata/peer.py")
	cmd.Env = append(cmd.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close() // it ends at the end of its input
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("the peer (on Debian: apt-get install python3-twomemo): %v\n%s", err, &complaints)
		}
	})
	return &peer{t: t, in: in, out: bufio.NewReader(out)}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// raw is bytes that are hexadecimal in JSON.
type raw []byte

func (r raw) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, r), nil }

func (r *raw) UnmarshalText(b []byte) (err error) {
	*r, err = hex.AppendDecode(nil, b)
	return err
}

// order is an order to the peer, or its answer.
type order struct {
	Do        string   `json:"do,omitempty"`
	Kex       bool     `json:"kex"`
	Data      raw      `json:"data,omitempty"`
	Text      raw      `json:"text"`
	Payload   raw      `json:"payload,omitempty"`
	Key       raw      `json:"key,omitempty"`
	Identity  raw      `json:"ik,omitempty"`
	Signed    raw      `json:"spk,omitempty"`
	SignedID  uint32   `json:"spk_id"`
	Signature raw      `json:"spks,omitempty"`
	PreKeys   [][2]any `json:"pks,omitempty"`
	Error     string   `json:"error,omitempty"`
}

func (p *peer) do(o order) (answer order, err error) {
	p.t.Helper()
	line, err := json.Marshal(o)
	must(p.t, err)
	_, err = p.in.Write(append(line, '\n'))
	must(p.t, err)
	line, err = p.out.ReadBytes('\n')
	must(p.t, err)
	must(p.t, json.Unmarshal(line, &answer))
	if answer.Error != "" {
		return answer, fmt.Errorf("python-twomemo: %s", answer.Error)
	}
	return answer, nil
}

// bundle is the peer's bundle with one of its one-time pre-keys. Some of its ids may be 0, which nobody
// can use.
func (p *peer) bundle() signal.Bundle {
	p.t.Helper()
	o, err := p.do(order{Do: "bundle"})
	must(p.t, err)
	b := signal.Bundle{Format: signal.OMEMO2, SignedPreKeyID: o.SignedID, Signature: [signal.SignatureSize]byte(o.Signature)}
	b.Identity, err = signal.ParseEdwardsIdentityKey(o.Identity)
	must(p.t, err)
	b.SignedPreKey, err = signal.ParseCoordinate(o.Signed)
	must(p.t, err)
	for _, i := range rand.Perm(len(o.PreKeys)) {
		if b.PreKeyID = uint32(o.PreKeys[i][0].(float64)); b.PreKeyID == 0 {
			continue
		}
		key, err := hex.DecodeString(o.PreKeys[i][1].(string))
		must(p.t, err)
		b.PreKey, err = signal.ParseCoordinate(key)
		must(p.t, err)
		break
	}
	return b
}

func (p *peer) initiate(b signal.Bundle) {
	p.t.Helper()
	_, err := p.do(order{
		Do: "start", Identity: b.Identity.Edwards(), Signed: b.SignedPreKey.Coordinate(), SignedID: b.SignedPreKeyID,
		Signature: b.Signature[:], PreKeys: [][2]any{{b.PreKeyID, hex.EncodeToString(b.PreKey.Coordinate())}},
	})
	must(p.t, err)
}

func (p *peer) seal(text string) signal.Ciphertext {
	p.t.Helper()
	o, err := p.do(order{Do: "seal", Text: raw(text)})
	must(p.t, err)
	return signal.Ciphertext{Format: signal.OMEMO2, PreKey: o.Kex, Data: o.Data}
}

func (p *peer) open(c signal.Ciphertext) (string, error) {
	o, err := p.do(order{Do: "open", Kex: c.PreKey, Data: c.Data})
	return string(o.Text), err
}
