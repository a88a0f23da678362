package dataplane_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/parcel"
	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
	"github.com/relaykeep/relaykeep/relay/witness"
	"github.com/relaykeep/relaykeep/test/await"
	vaulttest "github.com/relaykeep/relaykeep/test/services/vault"
)

// otherRegion runs the Vault of another region until the test ends.
func otherRegion(t *testing.T, name string) (*vaulttest.Server, *api.Client) {
	t.Helper()
	server := vaulttest.StartT(t, vaulttest.Options{})
	root, err := server.Root()
	check(t, err)
	options := shared.Setup
	options.Region = name
	check(t, setup.Apply(t.Context(), root, options, nil))
	return server, root
}

// admin is an admin's client for the business's secrets in a Vault.
func (b *business) admin(root *api.Client, at contract.Vault) *vault.Client {
	b.t.Helper()
	c, err := vault.ForAdmin(root, at, b.Namespace, b.Config.Name)
	check(b.t, err)
	return c
}

// ask makes a request for the relay's file.
func (b *business) ask(method, token string, file []byte) (status int, answer []byte) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.StatusURL()+contract.MovePath, bytes.NewReader(file))
	check(b.t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	check(b.t, err)
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	check(b.t, err)
	return response.StatusCode, answer
}

// wantAnswer makes a request and looks at its answer.
func (b *business) wantAnswer(what, method, token string, file []byte, status int, words string) []byte {
	b.t.Helper()
	got, answer := b.ask(method, token, file)
	if got != status || !bytes.Contains(answer, []byte(words)) {
		b.t.Fatalf("%s: %d %.200q, want %d with %q", what, got, answer, status, words)
	}
	return answer
}

// withoutCarrier runs the relay without a way to its carrier while do runs.
func (b *business) withoutCarrier(do func()) {
	b.t.Helper()
	address := b.Config.Carrier.XMPP.Address
	b.Config.Carrier.XMPP.Address = "127.0.0.1:1"
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.True, "Ready")
	b.WaitReady()
	do()
	b.Stop()
	b.Config.Carrier.XMPP.Address = address
}

func secretsOf(t *testing.T, c *vault.Client) []string {
	t.Helper()
	names, err := c.Secrets(t.Context())
	check(t, err)
	slices.Sort(names)
	return names
}

func TestMove_TakesEverythingToAnotherRegionAndEndsTheOldOne(t *testing.T) {
	t.Parallel()
	there, root := otherRegion(t, "na")
	b := newBusiness(t)
	b.Limit(contract.LimitsEnforced)
	b.StartReady()
	witnessDir, logKey, witnessKey := b.witnessed()
	b.strangers(0, 30)
	p := newPerson(t)
	p.Says(b, "before the move")
	b.WaitText("before the move")
	b.converse(p, p.Number.E164(), "answered before the move")
	b.SetDown(true)
	p.Says(b, "the receiver is down")
	await.Until(t, "the webhook's job is queued", func() bool { return b.Report().Counts.WebhookQueued > 0 })
	before := b.Report()
	b.Stop()
	var unsent string
	var entries int64
	var log []byte
	var contacts float64
	b.withoutCarrier(func() {
		entries = b.cosigned(0)
		log, contacts = endpointLog{b, b.Token}.export(), b.firstContacts()
		unsent = b.Say(p.Number.E164(), "sent from the new region")
		await.Until(t, "the message waits to be sent", func() bool { return b.Report().Counts.OutboxQueued > 0 })
	})
	p.Says(b, "written during the move")
	old, home := b.admin(shared.Root, shared.Vault.Contract()), b.Config.Vault
	next := b.admin(root, there.Contract())

	// It leaves.
	b.Config.Move = contract.MoveDepart
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.False, "Departing")
	b.wantAnswer("without an admin's word", http.MethodGet, "", nil, http.StatusUnauthorized, "admin")
	public, err := next.PrepareArrival(t.Context())
	check(t, err)
	check(t, old.AllowDeparture(t.Context(), "leave", public))
	b.wantAnswer("without the token", http.MethodGet, "leav", nil, http.StatusUnauthorized, "admin")
	file := b.wantAnswer("with it", http.MethodGet, "leave", nil, http.StatusOK, "age-encryption.org/v1")
	for _, secret := range append(b.Hidden(), "sent from the new region", b.Token) {
		if bytes.Contains(file, []byte(secret)) {
			t.Error("the file holds something in clear")
		}
	}
	b.Stop()
	oldVolume := b.Volume() + "-old"
	check(t, os.Rename(b.Volume(), oldVolume))
	check(t, os.Mkdir(b.Volume(), 0o700))

	// It arrives.
	b.Config.Move, b.Config.Region, b.Config.Vault = contract.MoveArrive, "na", there.Contract()
	b.Root = root
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.False, "Arriving")
	b.wantAnswer("without an admin's word", http.MethodPut, "arrive", file, http.StatusUnauthorized, "admin")
	check(t, next.AllowArrival(t.Context(), vault.Arrival{Token: "arrive", Digest: sha256.Sum256(file)}))
	b.wantAnswer("before it has come", http.MethodGet, "arrive", nil, http.StatusNotFound, "waits")
	for name, wrong := range map[string][]byte{
		"cut off":          file[:len(file)-1],
		"changed":          append(slices.Clone(file[:len(file)-20]), make([]byte, 20)...),
		"no file of ours":  []byte("age-encryption.org/v1\n"),
		"nothing":          nil,
		"of another relay": b.foreignFile(public, shared.Number()),
		"not announced":    b.foreignFile(public, b.Number),
	} {
		b.wantAnswer(name, http.MethodPut, "arrive", wrong, http.StatusServiceUnavailable, "StoreForeign")
	}
	if names := secretsOf(t, next); !slices.Equal(names, []string{"arrival"}) {
		t.Errorf("a file that was refused left %v in Vault", names)
	}
	b.wantAnswer("the file", http.MethodPut, "arrive", file, http.StatusOK, contract.MoveArrived)
	b.wantAnswer("the file again", http.MethodPut, "arrive", file, http.StatusOK, contract.MoveArrived)
	b.Wait(contract.ConditionKeysReady, contract.False, "Arrived")
	b.Stop()
	b.Start() // as after a crash
	b.Wait(contract.ConditionKeysReady, contract.False, "Arriving")
	b.wantAnswer("after another start", http.MethodGet, "arrive", nil, http.StatusOK, contract.MoveArrived)
	b.Stop()

	// It runs.
	b.Config.Move = ""
	b.SetDown(false)
	b.Start()
	logKeys := []string{logKey, b.logSaid(serve.ReasonWitnessRefuses).Log.Key} // it is signed by that region's key
	check(t, witness.AddLog(witnessDir, logKeys[1]))
	b.WaitReady()
	b.TakeCredentials()
	b.WaitText("the receiver is down")
	b.WaitText("written during the move")
	b.WaitStatus(unsent, "read")
	b.converse(p, p.Number.E164(), "answered after the move")
	after := b.Report()
	if before.Fingerprint != after.Fingerprint || before.PhoneNumberID != after.PhoneNumberID || before.DeviceID != after.DeviceID ||
		before.BusinessAccountID != after.BusinessAccountID {
		t.Error("the identity is another after the move")
	}
	if n := p.Sees("sent from the new region"); n != 1 {
		t.Errorf("the customer saw what waited to be sent %d times", n)
	}
	b.wantMovedWhole()
	b.Stop()

	// The old region ends, and the file with it.
	_, err = retention.Erase(t.Context(), old, nil)
	check(t, err)
	check(t, next.EndArrival(t.Context()))
	if holds, err := old.Holds(t.Context()); holds || err != nil {
		t.Errorf("the old region's Vault still holds something (%v)", err)
	}
	if _, err := next.OpenArrival(t.Context(), make([]byte, 384)); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("the key of the file: %v", err)
	}
	b.StartReady()
	b.cosigned(entries)
	if now := b.firstContacts(); contacts == 0 || now != contacts {
		t.Errorf("of %v first contacts %v are counted after the move", contacts, now)
	}
	moved := endpointLog{b, b.Token}.export()
	wantWhole(t, logKeys, witnessKey, log, moved)
	if r := verified(t, logKeys[:1], witnessKey, log, moved); r.OK() || r.Findings[0].What != proof.Unsigned {
		t.Errorf("without the new region's key: %+v", r)
	}
	b.Stop()
	check(t, os.Rename(b.Volume(), b.Volume()+"-new"))
	check(t, os.Rename(oldVolume, b.Volume()))
	b.Config.Region, b.Config.Vault = "eu", home
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.False, "IdentityMissing")
}

// TestMove_TakesAStoreOnAServerToTheServerOfAnotherRegion, as rows from one database into the other.
func TestMove_TakesAStoreOnAServerToTheServerOfAnotherRegion(t *testing.T) {
	t.Parallel()
	there, root := otherRegion(t, "na")
	b, server, left := newBusinessOnPostgres(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "before the move")
	b.WaitText("before the move")
	b.converse(p, p.Number.E164(), "answered before the move")
	b.SetDown(true)
	p.Says(b, "the receiver is down")
	await.Until(t, "the webhook's job is queued", func() bool { return b.Report().Counts.WebhookQueued > 0 })
	before := b.Report()
	b.Stop()
	p.Says(b, "written during the move")
	old, next := b.admin(shared.Root, shared.Vault.Contract()), b.admin(root, there.Contract())

	b.Config.Move = contract.MoveDepart
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.False, "Departing")
	public, err := next.PrepareArrival(t.Context())
	check(t, err)
	check(t, old.AllowDeparture(t.Context(), "leave", public))
	file := b.wantAnswer("the file", http.MethodGet, "leave", nil, http.StatusOK, "age-encryption.org/v1")
	b.wantAnswer("the file again", http.MethodGet, "leave", nil, http.StatusOK, "age-encryption.org/v1")
	b.Stop()

	into := server.NewDatabaseT(t)
	_, err = root.Logical().WriteWithContext(t.Context(), there.Contract().KVMount+"/data/"+b.Namespace+"/"+b.Config.Name+"/postgres",
		map[string]any{"data": map[string]any{"username": into.Name, "password": into.Password}})
	check(t, err)
	b.Hide(into.Password)
	b.Config.Move, b.Config.Region, b.Config.Vault = contract.MoveArrive, "na", there.Contract()
	b.Config.Postgres.Database, b.Root = into.Name, root
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.False, "Arriving")
	check(t, next.AllowArrival(t.Context(), vault.Arrival{Token: "arrive", Digest: sha256.Sum256(file)}))
	for name, wrong := range map[string][]byte{
		"cut off":       file[:len(file)-1],
		"changed":       append(slices.Clone(file[:len(file)-20]), make([]byte, 20)...),
		"not announced": b.foreignFile(public, b.Number),
	} {
		b.wantAnswer(name, http.MethodPut, "arrive", wrong, http.StatusServiceUnavailable, "StoreForeign")
		b.wantAnswer("after one that was "+name, http.MethodGet, "arrive", nil, http.StatusNotFound, "waits")
	}
	b.wantAnswer("the file", http.MethodPut, "arrive", file, http.StatusOK, contract.MoveArrived)
	b.wantAnswer("the file again", http.MethodPut, "arrive", file, http.StatusOK, contract.MoveArrived)
	b.Stop()

	b.Config.Move = ""
	b.SetDown(false)
	b.StartReady()
	b.WaitText("the receiver is down")
	b.WaitText("written during the move")
	b.converse(p, p.Number.E164(), "answered after the move")
	after := b.Report()
	if before.Fingerprint != after.Fingerprint || before.PhoneNumberID != after.PhoneNumberID || before.DeviceID != after.DeviceID {
		t.Error("the identity is another after the move")
	}
	b.wantMovedWhole()
	b.Stop()

	_, err = retention.Erase(t.Context(), old, nil)
	check(t, err)
	if holds, err := old.Holds(t.Context()); holds || err != nil {
		t.Errorf("the old region's Vault still holds something (%v)", err)
	}
	b.StartReady() // and needs nothing of the database that it left
	if into.Name == left.Name {
		t.Error("both databases are the same")
	}
}

// wantMovedWhole wants the business to have each text of the move once, and all sessions to go on.
func (b *business) wantMovedWhole() {
	b.t.Helper()
	texts := map[string]int{}
	for _, u := range b.Updates() {
		if u.Type == "unsupported" {
			b.t.Error("the business was told of a message that could not be read")
		}
		texts[u.Text]++
	}
	for _, text := range []string{"before the move", "the receiver is down", "written during the move"} {
		if texts[text] != 1 {
			b.t.Errorf("the business got %q %d times", text, texts[text])
		}
	}
	if log := string(b.Log.Bytes()); strings.Contains(log, "repair") {
		b.t.Errorf("new sessions were begun: %s", log)
	}
	b.NothingLeaked()
}

// foreignFile is a file that somebody made who knows the key, for a relay of that number.
func (b *business) foreignFile(public, number string) []byte {
	b.t.Helper()
	block, _ := pem.Decode([]byte(public))
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	check(b.t, err)
	var file bytes.Buffer
	check(b.t, parcel.Write(&file, key.(*rsa.PublicKey), parcel.Contents{
		Version: parcel.Version, Number: number, Size: 4, Secrets: []parcel.Secret{{Name: "identity/1", Data: map[string]any{"privateKey": "theirs"}}},
	}, strings.NewReader("what")))
	return file.Bytes()
}
