package stanza

import (
	"errors"
	"strconv"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// The elements of urn:xmpp:omemo:2 (XEP-0384 v0.9).

// NodesOf are the PEP nodes of a format: of the device list, and of a device's bundle with the id of its
// item there.
func NodesOf(f carrier.Format, d carrier.DeviceID) (devices, bundles, item string) {
	if f == carrier.OMEMO2 {
		return NodeDevices2, NodeBundles2, FormatDevice(d)
	}
	return NodeDevices, NodeBundles + FormatDevice(d), ItemCurrent
}

// listOf returns the device list in an item.
func listOf(f carrier.Format, item *Element) *Element {
	if f == carrier.OMEMO2 {
		return item.Child(NSOMEMO2, "devices")
	}
	return item.Child(NSOMEMO, "list")
}

// ListedDevices reads the device list in an item, as ParseDevices does.
func ListedDevices(f carrier.Format, item *Element) ([]carrier.DeviceID, error) {
	return ParseDevices(listOf(f, item))
}

// PublishedBundle reads the bundle in an item, as ParseBundle does.
func PublishedBundle(f carrier.Format, item *Element) (carrier.Bundle, error) {
	if f == carrier.OMEMO2 {
		return parseBundle2(item.Child(NSOMEMO2, "bundle"))
	}
	return ParseBundle(item.Child(NSOMEMO, "bundle"))
}

// parseEncrypted2 reads <encrypted/>, as parseEncrypted does. Keys that are not for the account at the own
// address are left out.
func parseEncrypted2(e *Element, own string) (carrier.Envelope, error) {
	header := e.Child(NSOMEMO2, "header")
	sender, ok := parseDevice(header.attrOrEmpty("sid"))
	if !ok {
		return carrier.Envelope{}, ErrMalformed
	}
	env := carrier.Envelope{Format: carrier.OMEMO2, Sender: sender}
	for _, keys := range header.Children {
		if !keys.Is(NSOMEMO2, "keys") || keys.Attr("jid") != own {
			continue
		}
		for _, c := range keys.Children {
			device, ok := parseDevice(c.Attr("rid"))
			if !ok || !c.Is(NSOMEMO2, "key") {
				continue
			}
			data, _ := decode(c.Text, maxKeyBytes)
			env.Keys = append(env.Keys, carrier.Key{Device: device, PreKey: ParseBool(c.Attr("kex")), Data: data})
		}
	}
	if err := parsePayload(e, NSOMEMO2, &env); err != nil {
		return carrier.Envelope{}, err
	}
	return env, nil
}

// attrOrEmpty is Attr of an element that may be nil.
func (e *Element) attrOrEmpty(local string) string {
	if e == nil {
		return ""
	}
	return e.Attr(local)
}

// encrypted2 writes an envelope for the devices of the account at that address.
func encrypted2(env carrier.Envelope, to string) *Element {
	keys := New(NSOMEMO2, "keys", "jid", to)
	for _, k := range env.Keys {
		key := New(NSOMEMO2, "key", "rid", FormatDevice(k.Device)).WithText(Encode(k.Data))
		if k.PreKey {
			key.Attrs = append(key.Attrs, New("", "", "kex", "true").Attrs...)
		}
		keys.With(key)
	}
	e := New(NSOMEMO2, "encrypted").With(New(NSOMEMO2, "header", "sid", FormatDevice(env.Sender)).With(keys))
	if env.Payload != nil {
		e.With(New(NSOMEMO2, "payload").WithText(Encode(env.Payload)))
	}
	return e
}

// deviceList2 renders a device list.
func deviceList2(devices []carrier.DeviceID) *Element {
	list := New(NSOMEMO2, "devices")
	for _, d := range devices {
		list.With(New(NSOMEMO2, "device", "id", FormatDevice(d)))
	}
	return list
}

// parseBundle2 reads <bundle/>, as ParseBundle does.
func parseBundle2(e *Element) (carrier.Bundle, error) {
	b := carrier.Bundle{Format: carrier.OMEMO2}
	signed, signature, identity := e.Child(NSOMEMO2, "spk"), e.Child(NSOMEMO2, "spks"), e.Child(NSOMEMO2, "ik")
	if signed == nil || signature == nil || identity == nil {
		return carrier.Bundle{}, ErrMalformed
	}
	var errs [3]error
	var ok bool
	b.SignedPreKey.ID, ok = parseKeyID(signed.Attr("id"))
	b.SignedPreKey.Public, errs[0] = decode(signed.Text, 64)
	b.Signature, errs[1] = decode(signature.Text, 128)
	b.IdentityKey, errs[2] = decode(identity.Text, 64)
	if !ok || errors.Join(errs[:]...) != nil {
		return carrier.Bundle{}, ErrMalformed
	}
	prekeys := e.Child(NSOMEMO2, "prekeys")
	if prekeys == nil {
		return b, nil
	}
	for _, c := range prekeys.Children {
		id, ok := parseKeyID(c.Attr("id"))
		if !ok || !c.Is(NSOMEMO2, "pk") || len(b.PreKeys) >= maxPreKeys {
			continue
		}
		if public, err := decode(c.Text, 64); err == nil {
			b.PreKeys = append(b.PreKeys, carrier.PreKey{ID: id, Public: public})
		}
	}
	return b, nil
}

// bundle2 renders a bundle.
func bundle2(b carrier.Bundle) *Element {
	id := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	prekeys := New(NSOMEMO2, "prekeys")
	for _, k := range b.PreKeys {
		prekeys.With(New(NSOMEMO2, "pk", "id", id(k.ID)).WithText(Encode(k.Public)))
	}
	return New(NSOMEMO2, "bundle").With(
		New(NSOMEMO2, "spk", "id", id(b.SignedPreKey.ID)).WithText(Encode(b.SignedPreKey.Public)),
		New(NSOMEMO2, "spks").WithText(Encode(b.Signature)),
		New(NSOMEMO2, "ik").WithText(Encode(b.IdentityKey)),
		prekeys,
	)
}
