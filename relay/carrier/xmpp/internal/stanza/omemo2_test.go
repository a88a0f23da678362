package stanza

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

const ownJID = xmpptest.Business + "@relay.test"

// enc2 is an envelope of OMEMO2 with these keys.
func enc2(keys string) string {
	return "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='9'>" + keys + "</header><payload>AAE=</payload></encrypted>"
}

func TestOMEMO2_EnvelopesInMessages(t *testing.T) {
	ours := "<keys jid='" + ownJID + "'><key rid='7' kex='true'>AAEC</key><key rid='8'>AAEC</key></keys>"
	modern := carrier.Envelope{
		Format: carrier.OMEMO2, Sender: 9, Payload: []byte{0, 1},
		Keys: []carrier.Key{{Device: 7, PreKey: true, Data: []byte{0, 1, 2}}, {Device: 8, Data: []byte{0, 1, 2}}},
	}
	legacy, err := parseEncrypted(mustParse(t, xmpptest.Enc))
	if err != nil {
		t.Fatal(err)
	}
	nobody := modern
	nobody.Keys = nil
	for name, c := range map[string]struct {
		content string
		want    []carrier.Envelope
	}{
		"alone":                       {enc2(ours), []carrier.Envelope{modern}},
		"beside legacy":               {xmpptest.Enc + enc2(ours), []carrier.Envelope{modern, legacy}},
		"for other accounts":          {enc2("<keys jid='x@relay.test'><key rid='7'>AAEC</key></keys><keys><key rid='7'>AAEC</key></keys>"), []carrier.Envelope{nobody}},
		"for them and us":             {enc2("<keys jid='x@relay.test'><key rid='6'>AAEC</key></keys>" + ours), []carrier.Envelope{modern}},
		"keys outside <keys/>":        {enc2("<key rid='7'>AAEC</key>"), []carrier.Envelope{nobody}},
		"malformed beside legacy":     {strings.Replace(enc2(ours), "sid='9'", "", 1) + xmpptest.Enc, []carrier.Envelope{legacy}},
		"beside a malformed legacy":   {enc2(ours) + strings.Replace(xmpptest.Enc, "sid='9'", "", 1), []carrier.Envelope{modern}},
		"malformed":                   {strings.Replace(enc2(ours), "AAE=", "?", 1), nil},
		"without a header":            {"<encrypted xmlns='urn:xmpp:omemo:2'><payload>AAE=</payload></encrypted>", nil},
		"of a version that is unread": {strings.ReplaceAll(enc2(ours), "omemo:2", "omemo:1"), nil},
	} {
		e := mustParse(t, "<message from='"+xmpptest.PeerJID+"' id='1' type='chat'>"+c.content+"</message>")
		r := testReader(t).Message(e, Span{Now: xmpptest.Arrival()})
		var got []carrier.Envelope
		if m, ok := r.Events[0].(carrier.Message); ok {
			if got = append(got, m.Envelope); m.Other != nil {
				got = append(got, *m.Other)
			}
		}
		if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestOMEMO2_OutgoingStanzas(t *testing.T) {
	a := testReader(t).Addresses
	modern := carrier.Envelope{Format: carrier.OMEMO2, Sender: 9, Payload: []byte{0, 1}, Keys: []carrier.Key{{Device: 7, PreKey: true, Data: []byte{1}}}}
	legacy := xmpptest.Envelope(1)
	o := carrier.Outgoing{ID: "1", To: xmpptest.Number(t, xmpptest.Customer), Envelope: modern}
	want := "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='9'><keys jid='" + xmpptest.Customer + "@relay.test'><key rid='7' kex='true'>AQ==</key></keys></header><payload>AAE=</payload></encrypted>"
	alone := string(Outgoing(a, o).Bytes())
	if !strings.Contains(alone, want) || !strings.Contains(alone, "namespace='urn:xmpp:omemo:2'") {
		t.Errorf("sent as\n%s", alone)
	}
	o.Envelope, o.Other = legacy, &modern
	both := string(Outgoing(a, o).Bytes())
	if !strings.Contains(both, want) || strings.Count(both, "<encrypted ") != 2 || strings.Count(both, "<encryption ") != 1 {
		t.Errorf("sent as\n%s", both)
	}
}

func TestOMEMO2_DeviceLists(t *testing.T) {
	event := func(devices string) *Element {
		return mustParse(t, "<message from='"+xmpptest.Customer+"@relay.test' type='headline'><event xmlns='"+NSEvent+"'><items node='urn:xmpp:omemo:2:devices'>"+
			"<item id='current'><devices xmlns='urn:xmpp:omemo:2'>"+devices+"</devices></item></items></event></message>")
	}
	r := testReader(t).Message(event("<device id='1' label='a phone' labelsig='AAE='/><device id='0'/><device id='1'/><device id='2'/>"), Span{})
	l, ok := r.Events[0].(carrier.DeviceList)
	if !ok || l.Format != carrier.OMEMO2 || !slices.Equal(l.Devices, []carrier.DeviceID{1, 2}) {
		t.Errorf("read as %+v", r)
	}
	again, err := ParseDevices(mustParse(t, string(DeviceList(carrier.OMEMO2, l.Devices).Bytes())))
	if err != nil || !slices.Equal(again, l.Devices) {
		t.Errorf("written otherwise: %v, %v", again, err)
	}
}

func published2(n int) carrier.Bundle {
	b := xmpptest.Published(n)
	b.Format, b.IdentityKey, b.SignedPreKey.Public = carrier.OMEMO2, b.IdentityKey[1:], b.SignedPreKey.Public[1:]
	for i := range b.PreKeys {
		b.PreKeys[i].Public = b.PreKeys[i].Public[1:]
	}
	return b
}

func FuzzBundleOMEMO2(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(string(Bundle(published2(2)).Bytes()))
	f.Add("<bundle xmlns='urn:xmpp:omemo:2'><spk id='1'>AAE=</spk><spks>AAE=</spks><ik>AAE=</ik></bundle>")
	f.Fuzz(func(t *testing.T, text string) { fuzzBundle(t, text, parseBundle2) })
}

func FuzzEnvelopeOMEMO2(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(uint32(1), uint32(2), []byte("data"), []byte("payload"), true)
	f.Fuzz(func(t *testing.T, sender, device uint32, data, payload []byte, kex bool) {
		env := carrier.Envelope{
			Format: carrier.OMEMO2, Sender: carrier.DeviceID(sender), Payload: payload,
			Keys: []carrier.Key{{Device: carrier.DeviceID(device), PreKey: kex, Data: data}},
		}
		fuzzEnvelope(t, env, true, true)
		elsewhere, err := testReader(t).envelope(mustParse(t, string(encrypted(env, "+4930999999@relay.test").Bytes())))
		if err == nil && len(elsewhere.Keys) > 0 {
			t.Error("another account's keys are read")
		}
	})
}
