package xmpp

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

// errMalformed says that an OMEMO element breaks its format or a bound.
var errMalformed = errors.New("xmpp: malformed OMEMO element")

// parseEncrypted reads <encrypted/>. Keys for impossible devices are left out; those that
// cannot be decoded have no data, as they may be another device's. How many there are is
// bounded by the stanza.
func parseEncrypted(e *element) (carrier.Envelope, error) {
	header := e.child(nsOMEMO, "header")
	if header == nil {
		return carrier.Envelope{}, errMalformed
	}
	sender, ok := parseDevice(header.attr("sid"))
	if !ok {
		return carrier.Envelope{}, errMalformed
	}
	env := carrier.Envelope{Sender: sender}
	for _, c := range header.children {
		switch {
		case c.is(nsOMEMO, "key"):
			device, ok := parseDevice(c.attr("rid"))
			if !ok {
				continue
			}
			data, _ := decode(c.text, maxKeyBytes)
			env.Keys = append(env.Keys, carrier.Key{Device: device, PreKey: parseBool(c.attr("prekey")), Data: data})
		case c.is(nsOMEMO, "iv"):
			iv, err := decode(c.text, 16)
			if err == nil && env.IV == nil && (len(iv) == 12 || len(iv) == 16) {
				env.IV = iv
			}
		}
	}
	err := parsePayload(e, &env)
	if err == nil && env.IV == nil && env.Payload != nil {
		err = errMalformed
	}
	if err != nil {
		return carrier.Envelope{}, err
	}
	return env, nil
}

func parsePayload(e *element, env *carrier.Envelope) error {
	p := e.child(nsOMEMO, "payload")
	if p == nil {
		return nil
	}
	payload, err := decode(p.text, math.MaxInt)
	if err != nil || payload == nil {
		return errMalformed
	}
	env.Payload = payload
	return nil
}

// encrypted writes an envelope.
func encrypted(env carrier.Envelope) *element {
	header := elem(nsOMEMO, "header", "sid", formatDevice(env.Sender))
	for _, k := range env.Keys {
		key := elem(nsOMEMO, "key", "rid", formatDevice(k.Device)).withText(encode(k.Data))
		if k.PreKey {
			key.attrs = append(key.attrs, elem("", "", "prekey", "true").attrs...)
		}
		header.with(key)
	}
	header.with(elem(nsOMEMO, "iv").withText(encode(env.IV)))
	e := elem(nsOMEMO, "encrypted").with(header)
	if env.Payload != nil {
		e.with(elem(nsOMEMO, "payload").withText(encode(env.Payload)))
	}
	return e
}

// parseDevices reads <list/>, without repetitions and impossible ids. How many there are
// is bounded by the stanza: which of them to keep, a caller knows who has sessions.
func parseDevices(list *element) ([]carrier.DeviceID, error) {
	if list == nil || !list.is(nsOMEMO, "list") {
		return nil, errMalformed
	}
	devices, found := []carrier.DeviceID{}, map[carrier.DeviceID]bool{}
	for _, c := range list.children {
		id, ok := parseDevice(c.attr("id"))
		if ok && c.is(nsOMEMO, "device") && !found[id] {
			devices, found[id] = append(devices, id), true
		}
	}
	return devices, nil
}

func deviceList(devices []carrier.DeviceID) *element {
	list := elem(nsOMEMO, "list")
	for _, d := range devices {
		list.with(elem(nsOMEMO, "device", "id", formatDevice(d)))
	}
	return list
}

// parseBundle reads <bundle/>. Pre-keys that cannot be read, and those beyond the bound,
// are left out: no signature names them, and one of the others does as well.
func parseBundle(e *element) (carrier.Bundle, error) {
	var b carrier.Bundle
	if e == nil || !e.is(nsOMEMO, "bundle") {
		return b, errMalformed
	}
	signed := e.child(nsOMEMO, "signedPreKeyPublic")
	signature := e.child(nsOMEMO, "signedPreKeySignature")
	identity := e.child(nsOMEMO, "identityKey")
	if signed == nil || signature == nil || identity == nil {
		return b, errMalformed
	}
	var errs [3]error
	var ok bool
	b.SignedPreKey.ID, ok = parseKeyID(signed.attr("signedPreKeyId"))
	b.SignedPreKey.Public, errs[0] = decode(signed.text, 64)
	b.Signature, errs[1] = decode(signature.text, 128)
	b.IdentityKey, errs[2] = decode(identity.text, 64)
	if !ok || errors.Join(errs[:]...) != nil {
		return carrier.Bundle{}, errMalformed
	}
	prekeys := e.child(nsOMEMO, "prekeys")
	if prekeys == nil {
		return b, nil
	}
	for _, c := range prekeys.children {
		id, ok := parseKeyID(c.attr("preKeyId"))
		if !ok || !c.is(nsOMEMO, "preKeyPublic") || len(b.PreKeys) >= maxPreKeys {
			continue
		}
		if public, err := decode(c.text, 64); err == nil {
			b.PreKeys = append(b.PreKeys, carrier.PreKey{ID: id, Public: public})
		}
	}
	return b, nil
}

func bundle(b carrier.Bundle) *element {
	id := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	prekeys := elem(nsOMEMO, "prekeys")
	for _, k := range b.PreKeys {
		prekeys.with(elem(nsOMEMO, "preKeyPublic", "preKeyId", id(k.ID)).withText(encode(k.Public)))
	}
	return elem(nsOMEMO, "bundle").with(
		elem(nsOMEMO, "signedPreKeyPublic", "signedPreKeyId", id(b.SignedPreKey.ID)).withText(encode(b.SignedPreKey.Public)),
		elem(nsOMEMO, "signedPreKeySignature").withText(encode(b.Signature)),
		elem(nsOMEMO, "identityKey").withText(encode(b.IdentityKey)),
		prekeys,
	)
}

func parseDevice(s string) (carrier.DeviceID, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return carrier.DeviceID(n), err == nil && n > 0
}

func formatDevice(d carrier.DeviceID) string { return strconv.FormatUint(uint64(d), 10) }

// parseKeyID reads a pre-key's id: 0 to 2^32-1, since others count from 0. Ours
// start at 1, and a caller that cannot use 0 leaves it.
func parseKeyID(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

func parseBool(s string) bool { return s == "true" || s == "1" }

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
		return nil, errMalformed
	}
	return b, nil
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
