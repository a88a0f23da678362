package store_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// crashDir names, in a child process, the directory that it writes to until it is
// killed.
const crashDir = "RELAYKEEP_TEST_CRASH_DIR"

// crashOn has such a child process go on after a write that failed. It is the number that it begins with.
const crashOn = "RELAYKEEP_TEST_CRASH_ON"

// fixed is a wrapper whose one key outlives the process that used it.
type fixed struct{}

func (fixed) DataKey(context.Context) ([]byte, string, error) {
	return []byte(strings.Repeat("k", seal.KeySize)), "fixed", nil
}

func (fixed) Unwrap(context.Context, string) ([]byte, error) {
	return []byte(strings.Repeat("k", seal.KeySize)), nil
}

func openFixed(ctx context.Context, dir string) (*store.Store, error) {
	k := seal.New(fixed{}, 24*time.Hour, time.Now)
	return store.Open(ctx, dir, [16]byte{4}, k)
}

// TestMain is the child when crashDir or killed say so. Where crashDir does, many write at once, and each number is
// printed only once it was acknowledged.
func TestMain(m *testing.M) {
	ctx := context.Background()
	if where := os.Getenv(killed); where != "" {
		os.Exit(writeUntilKilled(ctx, where))
	}
	dir := os.Getenv(crashDir)
	if dir == "" {
		os.Exit(onEngine(m.Run))
	}
	s, err := openFixed(ctx, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	first, _ := strconv.Atoi(os.Getenv(crashOn)) // 0 without it
	var printing sync.Mutex
	var group sync.WaitGroup
	for writer := range 8 {
		group.Go(func() {
			for n := first + writer; ; n += 8 {
				err := s.Update(ctx, func(tx *store.Tx) error { return tx.PutSetting(strconv.Itoa(n), []byte(strconv.Itoa(n))) })
				if err != nil && os.Getenv(crashOn) != "" {
					continue
				}
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				printing.Lock()
				fmt.Fprintln(os.Stdout, n)
				printing.Unlock()
			}
		})
	}
	group.Wait()
}

// forms are the ways in which a text may lie on a disk.
func forms(text string) map[string]string {
	utf16 := new(strings.Builder)
	for _, r := range text {
		utf16.WriteRune(r)
		utf16.WriteByte(0)
	}
	return map[string]string{
		"raw": text, "hex": hex.EncodeToString([]byte(text)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(text))), "utf-16": utf16.String(),
		"base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(text)), "=")[:len(text)],
	}
}

// contents returns what the files of a directory hold, by their names.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]string{}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		held[f.Name()] = string(content)
	}
	return held
}

// find returns the files that hold a text, and the form that each holds it in.
func find(held map[string]string, text string) (found []string) {
	for form, needle := range forms(text) {
		for name, content := range held {
			if strings.Contains(content, needle) {
				found = append(found, name+" ("+form+")")
			}
		}
	}
	return found
}

func TestScannerFindsWhatIsPlanted(t *testing.T) {
	ofFiles(t)
	const canary = "a canary of some length"
	for form, text := range forms(canary) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte("\x00noise"+text+"noise\xff"), 0o600); err != nil {
			t.Fatal(err)
		}
		if len(find(contents(t, dir), canary)) == 0 {
			t.Errorf("a canary in %s is not found", form)
		}
	}
}

func TestDirectory_HoldsNothingPersonal(t *testing.T) {
	ofFiles(t)
	const text, name, opaque, carrierID, e164 = "meet me at the fountain", "Ada Lovelace", "ticket-4711-0815", "stanza-from-ada", "+15551234567"
	w := newWorld(t)
	c := store.Customer{Number: number(t, e164), Name: name, LastInbound: w.now}
	w.update(func(tx *store.Tx) error {
		if err := tx.PutCustomer(&c); err != nil {
			return err
		}
		if err := tx.PutDevice(c.ID, store.Device{ID: 1234567891, IdentityKey: []byte("an identity key of hers")}); err != nil {
			return err
		}
		if err := tx.PutRecord(c.ID, 1234567891, []byte("a session record of hers")); err != nil {
			return err
		}
		if err := tx.PutPreKey(store.Key{ID: 1, Data: []byte("a private pre-key of ours")}); err != nil {
			return err
		}
		if err := tx.PutSetting("setting", []byte("a setting of the relay")); err != nil {
			return err
		}
		_, err := tx.SeenCiphertext([32]byte([]byte("the hash of a ciphertext, 32 b..")))
		return err
	})
	for range 50 {
		w.update(func(tx *store.Tx) error {
			m := store.Message{
				ID: store.NewMessageID(), Direction: store.Inbound, Customer: c.ID, Type: "text", Body: []byte(text + e164),
				CarrierID: carrierID, State: "received", Opaque: opaque, Created: w.now,
			}
			if err := tx.PutMessage(m); err != nil {
				return err
			}
			_, err := tx.Enqueue(store.Job{Queue: "webhook", Customer: c.ID, Message: m.ID, NotBefore: w.now, Body: []byte(text + e164)})
			return err
		})
	}
	secrets := []string{
		text, name, opaque, carrierID, e164[1:], "an identity key of hers", "a session record of hers", "a private pre-key of ours",
		"a setting of the relay", "the hash of a ciphertext, 32 b..", "1234567891",
	}
	look := func(when string) {
		t.Helper()
		held := contents(t, w.dir)
		for _, secret := range secrets {
			if found := find(held, secret); found != nil {
				t.Errorf("%s %q lies in %v", when, secret, found)
			}
		}
	}
	look("while it is open")
	w.close()
	look("after it was closed")
}
