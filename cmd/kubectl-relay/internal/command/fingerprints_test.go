package command

import (
	"bytes"
	"testing"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/signal"
)

func TestFingerprints_AreThoseThatTheDevicesShow(t *testing.T) {
	n, err := phone.Parse("+491701234567")
	check(t, err)
	pair, err := signal.GenerateIdentityKeyPair()
	check(t, err)
	p := &people{number: n, devices: []cloudapi.ExportedDevice{
		{ID: 7, IdentityKey: pair.Public().Bytes(), Active: true}, {ID: 8, IdentityKey: pair.Public().Bytes()}, {ID: 9, Active: true},
	}}
	e, err := serveEndpoint(t, p).at(&credentials{Endpoint: "https://example.com:8443", PhoneNumberID: "123456789012345", AccessToken: "the token"})
	check(t, err)
	devices, err := e.devices(t.Context(), person(n.Digits()))
	check(t, err)
	var out bytes.Buffer
	printFingerprints(&out, devices)
	shown := pair.Public().Fingerprint()
	want := "device 7:\n  " + shown + "\ndevice 8, no longer on the device list:\n  " + shown + "\ndevice 9:\n  (key not known yet)\n"
	if out.String() != want {
		t.Errorf("printed:\n%s\nwant:\n%s", &out, want)
	}
}
