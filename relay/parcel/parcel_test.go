package parcel

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/test/racing"
)

var pair = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		panic(err)
	}
	return key
})

// open is what Vault does.
func open(sealed []byte) ([]byte, error) {
	return rsa.DecryptOAEP(sha256.New(), nil, pair(), sealed, nil)
}

func contents() Contents {
	return Contents{
		Version: Version, Number: "+4930111111", StoreID: [16]byte{1, 2}, Size: 11,
		Secrets:  []Secret{{Name: "identity/1", Data: map[string]any{"privateKey": "c2VjcmV0"}}},
		Epochs:   []Key{{ID: 1}, {ID: 2, Plain: []byte("a data key"), Created: time.Unix(1_700_000_000, 0).UTC()}},
		Settings: []Key{{ID: 1, Plain: []byte("another key")}},
	}
}

func written(t testing.TB, c Contents, store string) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := Write(&file, &pair().PublicKey, c, strings.NewReader(store)); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// readAll reads a whole parcel.
func readAll(file []byte, open func([]byte) ([]byte, error)) (Contents, string, error) {
	c, store, err := Read(bytes.NewReader(file), open)
	if err != nil {
		return c, "", err
	}
	raw, err := io.ReadAll(store)
	return c, string(raw), err
}

func TestParcel_GivesWhatWasPutIn(t *testing.T) {
	file := written(t, contents(), "hello store")
	got, store, err := readAll(file, open)
	if err != nil || store != "hello store" {
		t.Fatalf("the store is %q, %v", store, err)
	}
	if diff := cmp.Diff(contents(), got); diff != "" {
		t.Errorf("contents changed (-want +got):\n%s", diff)
	}
	for _, secret := range []string{"hello", "c2VjcmV0", "4930111111", "identity"} {
		if bytes.Contains(file, []byte(secret)) {
			t.Errorf("the file shows %q", secret)
		}
	}
	got.Destroy()
	if bytes.Contains(got.Epochs[1].Plain, []byte("a")) || bytes.Contains(got.Settings[0].Plain, []byte("a")) {
		t.Error("data keys are left in memory")
	}
}

func TestParcel_ThatIsNotWholeOrWasChangedIsRefused(t *testing.T) {
	racing.SkipExhaustive(t)
	file := written(t, contents(), "hello store")
	for at := range file {
		changed := bytes.Clone(file)
		changed[at] ^= 1
		if _, _, err := readAll(changed, open); err == nil {
			t.Fatalf("changed at %d, it is read", at)
		}
		if _, _, err := readAll(file[:at], open); err == nil {
			t.Fatalf("cut off at %d, it is read", at)
		}
	}
	for name, wrong := range map[string][]byte{
		"with something behind it":      append(bytes.Clone(file), 0),
		"of a store that is too short":  written(t, contents(), "hello"),
		"of a version that is not ours": written(t, func() Contents { c := contents(); c.Version++; return c }(), "hello store"),
		"of a store of negative size":   written(t, func() Contents { c := contents(); c.Size = -1; return c }(), ""),
	} {
		if _, _, err := readAll(wrong, open); !errors.Is(err, ErrInvalid) {
			t.Errorf("a parcel %s: %v", name, err)
		}
	}
	away := errors.New("nobody answers")
	if _, _, err := readAll(file, func([]byte) ([]byte, error) { return nil, away }); !errors.Is(err, away) {
		t.Errorf("where the key cannot be asked for: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	file := written(f, contents(), "hello store")
	f.Add(file)
	f.Add(file[:len(file)-1])
	f.Add([]byte("age-encryption.org/v1\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, store, err := readAll(raw, open)
		if err == nil && (store != "hello store" || c.Number != contents().Number) {
			t.Error("a parcel is read that nobody wrote")
		}
	})
}

// FuzzContents reads what is inside a parcel that opens: who made it may have been another release.
func FuzzContents(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}store"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, inside []byte) {
		c, store, err := unpack(bytes.NewReader(inside))
		if err == nil && (c.Version != Version || store == nil) {
			t.Error("contents of another version are read")
		}
	})
}
