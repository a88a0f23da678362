package stanza

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// Bounds on what peers publish and send.
const (
	maxPreKeys  = 400
	maxKeyBytes = 16 << 10 // of one key in an envelope; a pre-key message has under 300
)

// ErrMalformed says that an OMEMO element breaks its format or a bound.
var ErrMalformed = errors.New("xmpp: malformed OMEMO element")

// parseEncrypted reads <encrypted/>. It leaves out keys for impossible devices. A key that
// cannot be decoded has no data: it may be for another device than ours. The size of the
// stanza bounds how many there are.
func parseEncrypted(e *Element) (carrier.Envelope, error) {
	header := e.Child(NSOMEMO, "header")
	if header == nil {
		return carrier.Envelope{}, ErrMalformed
	}
	sender, ok := parseDevice(header.Attr("sid"))
	if !ok {
		return carrier.Envelope{}, ErrMalformed
	}
	env := carrier.Envelope{Sender: sender}
	for _, c := range header.Children {
		switch {
		case c.Is(NSOMEMO, "key"):
			device, ok := parseDevice(c.Attr("rid"))
			if !ok {
				continue
			}
			data, _ := decode(c.Text, maxKeyBytes)
			env.Keys = append(env.Keys, carrier.Key{Device: device, PreKey: ParseBool(c.Attr("prekey")), Data: data})
		case c.Is(NSOMEMO, "iv"):
			iv, err := decode(c.Text, 16)
			if err == nil && env.IV == nil && (len(iv) == 12 || len(iv) == 16) {
				env.IV = iv
			}
		}
	}
	err := parsePayload(e, NSOMEMO, &env)
	if err == nil && env.IV == nil && env.Payload != nil {
		err = ErrMalformed
	}
	if err != nil {
		return carrier.Envelope{}, err
	}
	return env, nil
}

func parsePayload(e *Element, space string, env *carrier.Envelope) error {
	p := e.Child(space, "payload")
	if p == nil {
		return nil
	}
	payload, err := decode(p.Text, math.MaxInt)
	if err != nil {
		return ErrMalformed
	}
	if len(payload) > 0 { // some clients write an empty element into key transports
		env.Payload = payload
	}
	return nil
}

// encrypted writes an envelope for the account at an address.
func encrypted(env carrier.Envelope, to string) *Element {
	if env.Format == carrier.OMEMO2 {
		return encrypted2(env, to)
	}
	header := New(NSOMEMO, "header", "sid", FormatDevice(env.Sender))
	for _, k := range env.Keys {
		key := New(NSOMEMO, "key", "rid", FormatDevice(k.Device)).WithText(Encode(k.Data))
		if k.PreKey {
			key.Attrs = append(key.Attrs, New("", "", "prekey", "true").Attrs...)
		}
		header.With(key)
	}
	header.With(New(NSOMEMO, "iv").WithText(Encode(env.IV)))
	e := New(NSOMEMO, "encrypted").With(header)
	if env.Payload != nil {
		e.With(New(NSOMEMO, "payload").WithText(Encode(env.Payload)))
	}
	return e
}

// ParseDevices reads a device list of either format, without repetitions and impossible ids. How many there are
// is bounded by the stanza: which of them to keep, a caller knows who has sessions.
func ParseDevices(list *Element) ([]carrier.DeviceID, error) {
	if list == nil || (!list.Is(NSOMEMO, "list") && !list.Is(NSOMEMO2, "devices")) {
		return nil, ErrMalformed
	}
	devices, found := []carrier.DeviceID{}, map[carrier.DeviceID]bool{}
	for _, c := range list.Children {
		id, ok := parseDevice(c.Attr("id"))
		if ok && c.Is(list.Name.Space, "device") && !found[id] {
			devices, found[id] = append(devices, id), true
		}
	}
	return devices, nil
}

// DeviceList renders a device list.
func DeviceList(f carrier.Format, devices []carrier.DeviceID) *Element {
	if f == carrier.OMEMO2 {
		return deviceList2(devices)
	}
	list := New(NSOMEMO, "list")
	for _, d := range devices {
		list.With(New(NSOMEMO, "device", "id", FormatDevice(d)))
	}
	return list
}

// ParseBundle reads <bundle/>. It leaves out pre-keys that it cannot read and those beyond
// the bound: no signature covers them, and any other will do.
func ParseBundle(e *Element) (carrier.Bundle, error) {
	var b carrier.Bundle
	if e == nil || !e.Is(NSOMEMO, "bundle") {
		return b, ErrMalformed
	}
	signed := e.Child(NSOMEMO, "signedPreKeyPublic")
	signature := e.Child(NSOMEMO, "signedPreKeySignature")
	identity := e.Child(NSOMEMO, "identityKey")
	if signed == nil || signature == nil || identity == nil {
		return b, ErrMalformed
	}
	var errs [3]error
	var ok bool
	b.SignedPreKey.ID, ok = parseKeyID(signed.Attr("signedPreKeyId"))
	b.SignedPreKey.Public, errs[0] = decode(signed.Text, 64)
	b.Signature, errs[1] = decode(signature.Text, 128)
	b.IdentityKey, errs[2] = decode(identity.Text, 64)
	if !ok || errors.Join(errs[:]...) != nil {
		return carrier.Bundle{}, ErrMalformed
	}
	prekeys := e.Child(NSOMEMO, "prekeys")
	if prekeys == nil {
		return b, nil
	}
	for _, c := range prekeys.Children {
		id, ok := parseKeyID(c.Attr("preKeyId"))
		if !ok || !c.Is(NSOMEMO, "preKeyPublic") || len(b.PreKeys) >= maxPreKeys {
			continue
		}
		if public, err := decode(c.Text, 64); err == nil {
			b.PreKeys = append(b.PreKeys, carrier.PreKey{ID: id, Public: public})
		}
	}
	return b, nil
}

// Bundle renders a bundle.
func Bundle(b carrier.Bundle) *Element {
	if b.Format == carrier.OMEMO2 {
		return bundle2(b)
	}
	id := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	prekeys := New(NSOMEMO, "prekeys")
	for _, k := range b.PreKeys {
		prekeys.With(New(NSOMEMO, "preKeyPublic", "preKeyId", id(k.ID)).WithText(Encode(k.Public)))
	}
	return New(NSOMEMO, "bundle").With(
		New(NSOMEMO, "signedPreKeyPublic", "signedPreKeyId", id(b.SignedPreKey.ID)).WithText(Encode(b.SignedPreKey.Public)),
		New(NSOMEMO, "signedPreKeySignature").WithText(Encode(b.Signature)),
		New(NSOMEMO, "identityKey").WithText(Encode(b.IdentityKey)),
		prekeys,
	)
}

func parseDevice(s string) (carrier.DeviceID, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return carrier.DeviceID(n), err == nil && n > 0
}

// FormatDevice returns a device id as it is written.
func FormatDevice(d carrier.DeviceID) string { return strconv.FormatUint(uint64(d), 10) }

// parseKeyID reads a pre-key's id: 0 to 2^32-1, since other clients count from 0. Ours start
// at 1, and a caller that cannot use 0 skips it.
func parseKeyID(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

// ParseBool reads a boolean of XML Schema; anything else is false.
func ParseBool(s string) bool { return s == "true" || s == "1" }

// decode reads base64, which some clients break into lines, of at most limit bytes.
func decode(s string, limit int) ([]byte, error) {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, s)
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) > limit {
		return nil, ErrMalformed
	}
	return b, nil
}

// Encode returns base64, as all binary values are written.
func Encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
