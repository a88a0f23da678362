package stanza

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

func omemo(local, content string) string {
	return "<" + local + " xmlns='" + NSOMEMO + "'>" + content + "</" + local + ">"
}

func TestEnvelopesThatBreakTheFormat(t *testing.T) {
	const (
		key = "<key rid='1'>AAE=</key>"
		iv  = "<iv>AAECAwQFBgcICQoL</iv>"
	)
	header := func(attrs, content string) string {
		return omemo("encrypted", "<header "+attrs+">"+content+"</header>")
	}
	tests := map[string]string{
		"no header":        omemo("encrypted", "<payload>AAE=</payload>"),
		"no sender":        header("", key+iv),
		"sender 0":         header("sid='0'", key+iv),
		"sender too large": header("sid='2147483648'", key+iv),
		"negative sender":  header("sid='-1'", key+iv),
		"no iv":            omemo("encrypted", "<header sid='1'>"+key+"</header><payload>AAE=</payload>"),
		"short iv":         omemo("encrypted", "<header sid='1'>"+key+"<iv>AAE=</iv></header><payload>AAE=</payload>"),
		"payload garbled":  omemo("encrypted", "<header sid='1'>"+key+iv+"</header><payload>?</payload>"),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			if env, err := parseEncrypted(mustParse(t, text)); err == nil {
				t.Errorf("read as %+v", env)
			}
		})
	}
	for name, spoilt := range map[string]string{
		"empty key":     "<key rid='1'/>",
		"key no base64": "<key rid='1'>%</key>",
		"long key":      "<key rid='1'>" + Encode(make([]byte, maxKeyBytes+1)) + "</key>",
	} {
		env, err := parseEncrypted(mustParse(t, header("sid='1'", spoilt+strings.Repeat("<key rid='2'>AAE=</key>", 999)+iv)))
		if err != nil || len(env.Keys) != 1000 || len(env.Keys[0].Data) > 0 || len(env.Keys[999].Data) != 2 {
			t.Errorf("%s: error %v, %d keys", name, err, len(env.Keys))
		}
	}
	// Their twin: the same, well-formed, with a line break as some clients send.
	good := mustParse(t, header("sid='2147483647'", "<key rid='1'>AA\n E=</key><key rid='0'>AAE=</key>"+iv))
	env, err := parseEncrypted(good)
	want := carrier.Envelope{
		Sender: 2147483647, Keys: []carrier.Key{{Device: 1, Data: []byte{0, 1}}},
		IV: []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
	}
	if diff := cmp.Diff(want, env); err != nil || diff != "" {
		t.Errorf("error %v\n%s", err, diff)
	}
}

func TestDeviceListLeavesOutWhatCannotBe(t *testing.T) {
	e := mustParse(t, omemo("list", "<device id='3'/><device id='0'/><device id='x'/><device id='3'/><device/><other id='9'/><device id='4'/>"))
	got, err := ParseDevices(e)
	if diff := cmp.Diff([]carrier.DeviceID{3, 4}, got); err != nil || diff != "" {
		t.Errorf("error %v\n%s", err, diff)
	}
	if _, err := ParseDevices(nil); err == nil {
		t.Error("no list is read as one")
	}
}

func TestBundlesThatBreakTheFormat(t *testing.T) {
	good := Bundle(xmpptest.Published(3))
	for i, c := range good.Children[:3] {
		without := *good
		without.Children = append(append([]*Element{}, good.Children[:i]...), good.Children[i+1:]...)
		if _, err := ParseBundle(&without); err == nil {
			t.Errorf("a bundle without %s is read", c.Name.Local)
		}
	}
	for name, spoil := range map[string]func(*carrier.Bundle){
		"long identity":  func(b *carrier.Bundle) { b.IdentityKey = make([]byte, 65) },
		"long signature": func(b *carrier.Bundle) { b.Signature = make([]byte, 129) },
	} {
		b := xmpptest.Published(3)
		spoil(&b)
		if _, err := ParseBundle(Bundle(b)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	for name, spoil := range map[string]func(*carrier.Bundle) int{
		"long pre-key":     func(b *carrier.Bundle) int { b.PreKeys[1].Public = make([]byte, 65); return 2 },
		"too many of them": func(b *carrier.Bundle) int { *b = xmpptest.Published(maxPreKeys + 1); return maxPreKeys },
	} {
		b := xmpptest.Published(3)
		want := spoil(&b)
		if got, err := ParseBundle(Bundle(b)); err != nil || len(got.PreKeys) != want {
			t.Errorf("%s: error %v, %d pre-keys, want %d", name, err, len(got.PreKeys), want)
		}
	}
	if _, err := ParseBundle(nil); err == nil {
		t.Error("no bundle is read as one")
	}
}

func FuzzBundle(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(string(Bundle(xmpptest.Published(2)).Bytes()))
	f.Add(xmpptest.Stanzas()[5])
	f.Fuzz(func(t *testing.T, text string) { fuzzBundle(t, text, ParseBundle) })
}

// fuzzBundle reads a bundle with the reader of its format: what is read is bounded, and is written as it was
// read.
func fuzzBundle(t *testing.T, text string, read func(*Element) (carrier.Bundle, error)) {
	e, err := parse(text)
	if err != nil {
		return
	}
	b, err := read(e)
	if err != nil {
		return
	}
	if len(b.PreKeys) > maxPreKeys || len(b.IdentityKey) > 64 || len(b.Signature) > 128 {
		t.Errorf("out of bounds: %d pre-keys", len(b.PreKeys))
	}
	again, err := read(Bundle(b))
	if diff := cmp.Diff(b, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("error %v\n%s", err, diff)
	}
}

func FuzzEnvelope(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(uint32(1), uint32(2), []byte("data"), bytes.Repeat([]byte{1}, 12), []byte("payload"), true)
	f.Fuzz(func(t *testing.T, sender, device uint32, data, iv, payload []byte, prekey bool) {
		hasIV := len(iv) == 12 || len(iv) == 16
		fuzzEnvelope(t, carrier.Envelope{
			Sender: carrier.DeviceID(sender), IV: iv, Payload: payload,
			Keys: []carrier.Key{{Device: carrier.DeviceID(device), PreKey: prekey, Data: data}},
		}, len(payload) == 0 || hasIV, hasIV)
	})
}

// fuzzEnvelope writes an envelope with one key for us and reads it again. Readable and whole say whether the
// rest of the envelope is as its format wants it: enough to be read, and so that nothing of it is left out.
func fuzzEnvelope(t *testing.T, env carrier.Envelope, readable, whole bool) {
	r, key := testReader(t), env.Keys[0]
	got, err := r.envelope(mustParse(t, string(encrypted(env, ownJID).Bytes())))
	// A key that is not one does not spoil the rest: it may be another device's.
	if readable = readable && env.Sender > 0 && env.Sender < 1<<31; readable != (err == nil) {
		t.Fatalf("readable is %v, error %v", readable, err)
	}
	whole = whole && key.Device > 0 && key.Device < 1<<31 && len(key.Data) > 0 && len(key.Data) <= maxKeyBytes
	if diff := cmp.Diff(env, got, cmpopts.EquateEmpty()); readable && whole && diff != "" {
		t.Error(diff)
	}
}
