package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

const canary = "a canary sings: ÿ~?> 🐦 4915550123"

func scanner(t *testing.T, secrets ...Secret) *Scanner {
	t.Helper()
	s, err := New(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plantings are all the ways in which a secret may stand among other bytes.
func plantings(secret string) map[string][]byte {
	all := map[string][]byte{
		"raw":            []byte(secret),
		"hex":            []byte(hex.EncodeToString([]byte(secret))),
		"upper-case hex": []byte(strings.ToUpper(hex.EncodeToString([]byte(secret)))),
	}
	for i, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		var wide []byte
		for _, unit := range utf16.Encode([]rune(secret)) {
			wide = order.AppendUint16(wide, unit)
		}
		all[fmt.Sprintf("UTF-16 %d", i)] = wide
	}
	for before := range 3 {
		for after := range 3 {
			text := []byte("xyz"[:before] + secret + "XYZ"[:after])
			all[fmt.Sprintf("base64 %d %d", before, after)] = []byte(base64.StdEncoding.EncodeToString(text))
			all[fmt.Sprintf("base64url %d %d", before, after)] = []byte(base64.RawURLEncoding.EncodeToString(text))
		}
	}
	return all
}

func TestScan_FindsEveryEncodingAtEveryOffset(t *testing.T) {
	s := scanner(t, Secret{"canary", canary})
	for name, planted := range plantings(canary) {
		for offset := range 5 {
			data := append(bytes.Repeat([]byte{'.'}, offset), planted...)
			got, err := s.Reader("here", bytes.NewReader(append(data, "...."...)))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Findings) != 1 {
				t.Errorf("%s at %d: found %v", name, offset, got.Findings)
			}
		}
	}
}

func TestSecretAcrossTheEdgeOfAWindowIsFoundOnce(t *testing.T) {
	s := scanner(t, Secret{"canary", canary})
	for at := window - len(canary) - 100; at < window+200; at += 7 {
		data := bytes.Repeat([]byte{'.'}, 2*window)
		copy(data[at:], canary)
		got, err := s.Reader("here", bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Findings) != 1 || got.Findings[0].Offset != int64(at) || got.Bytes != int64(len(data)) {
			t.Fatalf("planted at %d: got %v in %d bytes", at, got.Findings, got.Bytes)
		}
	}
}

func TestCleanBytesAreClean(t *testing.T) {
	s := scanner(t, Secret{"canary", canary}, Secret{"number", "4915550123"})
	got, err := s.Reader("here", strings.NewReader("a canary sings another song 491555012"))
	if err != nil || len(got.Findings) != 0 {
		t.Errorf("got %v, %v", got.Findings, err)
	}
}

func TestTreeLooksIntoEveryFileAndNamesIt(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"clean": "nothing", "a/b/dirty": "xx" + canary} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := scanner(t, Secret{"canary", canary}).Tree(root)
	if err != nil {
		t.Fatal(err)
	}
	want := Finding{Path: filepath.Join(deep, "dirty"), Offset: 2, Secret: "canary", Encoding: "raw"}
	if got.Files != 2 || len(got.Findings) != 1 || got.Findings[0] != want {
		t.Errorf("got %+v", got)
	}
	if strings.Contains(got.Findings[0].String(), canary) {
		t.Error("the finding shows the secret")
	}
}

func TestLookingNowhereIsAnError(t *testing.T) {
	if _, err := scanner(t, Secret{"canary", canary}).Tree(filepath.Join(t.TempDir(), "gone")); err == nil {
		t.Error("a root that is not there passes as clean")
	}
	if _, err := New(); err == nil {
		t.Error("a scanner for nothing is accepted")
	}
	if _, err := New(Secret{"short", "1234567"}); err == nil {
		t.Error("a secret that chance finds is accepted")
	}
}

func FuzzPlantedSecretIsFound(f *testing.F) {
	f.Add([]byte("12345678"), []byte("before"), []byte("after"))
	f.Add([]byte("\x00\xff\xfe\xfd~~??>>"), []byte{}, []byte{0})
	f.Fuzz(func(t *testing.T, secret, before, after []byte) {
		s, err := New(Secret{"fuzzed", string(secret)})
		if err != nil {
			t.Skip()
		}
		text := bytes.Join([][]byte{before, secret, after}, nil)
		for name, data := range map[string][]byte{
			"raw":    text,
			"hex":    []byte(hex.EncodeToString(text)),
			"base64": []byte(base64.StdEncoding.EncodeToString(text)),
		} {
			got, err := s.Reader(name, bytes.NewReader(data))
			if err != nil || len(got.Findings) == 0 {
				t.Errorf("%s: found nothing, %v", name, err)
			}
		}
	})
}
