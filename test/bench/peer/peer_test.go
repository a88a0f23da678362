// Package peer measures whatsmeow's store of Signal sessions: what another client in Go does to encrypt a text and to
// keep what it needs for the next. It is a module of its own, so that the product does not depend on it, and must
// know nothing of the product.
package peer_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/util/optional"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
	_ "modernc.org/sqlite"
)

// customers is how many there are, each with a session; text is what they get. Both are as in the product's
// benchmark of a message's way.
const (
	customers = 128
	text      = "Your order is on its way. You can answer here if something is not as it should be, and we will look into it."
)

// BenchmarkPeer encrypts a text and stores the session that it moved on, in SQLite, durably, as whatsmeow sends. Nothing
// else of a message is stored, accepted or told.
func BenchmarkPeer(b *testing.B) {
	for _, clients := range []int{1, 128} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { benchmarkPeer(b, clients) })
	}
}

func benchmarkPeer(b *testing.B, clients int) {
	device := open(b)
	for i := range customers {
		begin(b, device, address(i))
	}
	b.ResetTimer()
	begun := processorTime(b)
	var group sync.WaitGroup
	var next atomic.Int64
	var busy [customers]sync.Mutex // one message of a customer at a time, as whatsmeow has it
	for range clients {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				busy[i%customers].Lock()
				encrypt(b, device, address(i))
				busy[i%customers].Unlock()
			}
		})
	}
	group.Wait()
	b.StopTimer()
	b.ReportMetric(float64(processorTime(b)-begun)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "encrypted/s")
}

// open returns a device in a new database.
func open(b *testing.B) *store.Device {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "peer.db")+
		"?_pragma=foreign_keys(1)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(60000)&_txlock=immediate")
	check(b, err)
	db.SetMaxOpenConns(1) // several would wait for each other within SQLite
	container := sqlstore.NewWithDB(db, "sqlite3", nil)
	check(b, container.Upgrade(b.Context()))
	device := container.NewDevice()
	id := types.NewJID("15550000000", types.DefaultUserServer)
	device.ID = &id
	device.Account = &waAdv.ADVSignedDeviceIdentity{
		Details: []byte{}, AccountSignature: make([]byte, 64), AccountSignatureKey: make([]byte, 32), DeviceSignature: make([]byte, 64),
	}
	check(b, container.PutDevice(b.Context(), device))
	b.Cleanup(func() { _ = container.Close() })
	return device
}

func address(i int) types.JID {
	return types.NewJID(fmt.Sprintf("1555%07d", 1+i%customers), types.DefaultUserServer)
}

// begin begins a session with a customer.
func begin(b *testing.B, device *store.Device, to types.JID) {
	b.Helper()
	theirs := keys.NewKeyPair()
	signed, once := theirs.CreateSignedPreKey(1), keys.NewPreKey(1)
	bundle := prekey.NewBundle(7, 0, optional.NewOptionalUint32(once.KeyID), signed.KeyID,
		ecc.NewDjbECPublicKey(*once.Pub), ecc.NewDjbECPublicKey(*signed.Pub), *signed.Signature, identity.NewKey(ecc.NewDjbECPublicKey(*theirs.Pub)))
	check(b, builder(device, to).ProcessBundle(b.Context(), bundle))
}

func builder(device *store.Device, to types.JID) *session.Builder {
	return session.NewBuilderFromSignal(device, to.SignalAddress(), store.SignalProtobufSerializer)
}

// encrypt encrypts the text and stores the session.
func encrypt(b *testing.B, device *store.Device, to types.JID) {
	_, ctx, err := device.WithCachedSessions(context.Background(), []string{to.SignalAddress().String()})
	if err != nil {
		b.Error(err)
		return
	}
	sealed, err := session.NewCipher(builder(device, to), to.SignalAddress()).Encrypt(ctx, []byte(text))
	if err != nil {
		b.Error(err)
		return
	}
	_ = sealed.Serialize()
	if err := device.PutCachedSessions(ctx); err != nil {
		b.Error(err)
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
