package ledger_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/relaykeep/relaykeep/relay/ledger"
	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/witness"
	"github.com/relaykeep/relaykeep/test/await"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const origin = "relaykeep.dev/log/4711"

// key signs checkpoints as Vault would.
type key struct {
	ed25519.PrivateKey
	refuses error
}

func newKey(t *testing.T) *key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return &key{PrivateKey: private}
}

func (k *key) LogKey(context.Context) (ed25519.PublicKey, error) {
	public, _ := k.Public().(ed25519.PublicKey)
	return public, k.refuses
}

func (k *key) SignLog(_ context.Context, text []byte) ([]byte, error) {
	return ed25519.Sign(k.PrivateKey, text), k.refuses
}

func (k *key) verifier(t *testing.T) note.Verifier {
	t.Helper()
	public, _ := k.LogKey(t.Context())
	text, err := proof.KeyOf(origin, public)
	must(t, err)
	v, err := proof.LogVerifier(text)
	must(t, err)
	return v
}

// world is a log in a store of its own.
type world struct {
	t       *testing.T
	dir     string
	wrap    *sealtest.Wrapper
	now     time.Time
	key     *key
	witness ledger.Witness
	store   *store.Store
	fails   error         // what changes of the store fail with
	waits   chan struct{} // gets a word from each change of the store, which then waits for one; nil for neither
	*ledger.Ledger
}

// failing is a store whose changes may fail.
type failing struct {
	*store.Store
	w *world
}

func (f failing) Update(ctx context.Context, fn func(*store.Tx) error) error {
	if f.w.fails != nil {
		return f.w.fails
	}
	if f.w.waits != nil {
		f.w.waits <- struct{}{}
		<-f.w.waits // as in a group that the server does not confirm, which nothing ends
	}
	return f.Store.Update(ctx, fn)
}

func (f failing) UpdateLate(ctx context.Context, fn func(*store.Tx) error) error {
	return f.Update(ctx, fn)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), wrap: sealtest.New(), now: start, key: newKey(t)}
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	s, err := store.Open(w.t.Context(), w.dir, [16]byte{1}, seal.New(w.wrap, seal.Period(30*24*time.Hour), w.clock), store.SettingsKey(w.wrap))
	must(w.t, err)
	w.t.Cleanup(func() { _ = s.Close() })
	w.store = s
	w.Ledger = ledger.New(ledger.Options{Store: failing{s, w}, Origin: origin, Signer: w.key, Witness: w.witness, Now: w.clock})
}

func (w *world) clock() time.Time { return w.now }

// crash opens the store again without what is in memory only.
func (w *world) crash() {
	w.t.Helper()
	must(w.t, w.store.Close())
	w.open()
}

// turn does what Run does at one time.
func (w *world) turn(d time.Duration) {
	w.t.Helper()
	w.now = w.now.Add(d)
	must(w.t, w.Turn(w.t.Context()))
}

// entries are all entries that have their content.
func (w *world) entries() (all []proof.Entry) {
	w.t.Helper()
	must(w.t, w.store.View(w.t.Context(), func(tx *store.Tx) error {
		leaves, err := tx.LogEntries(0, 1000)
		for _, leaf := range leaves {
			if leaf == nil {
				continue
			}
			e, err := proof.ParseEntry(leaf)
			must(w.t, err)
			all = append(all, e)
		}
		return err
	}))
	return all
}

// sums are the sums of all entries, in order, in short.
func (w *world) sums() string {
	var all []string
	for _, e := range w.entries() {
		for _, s := range e.Sums {
			text, _ := json.Marshal(s.Count)
			all = append(all, e.Time.Format("15:04")+" "+s.Who+" "+string(s.Kind)+" "+s.Result+" "+string(text))
		}
	}
	return strings.Join(all, "\n")
}

// export exports the log by its tiles, as a client of the endpoint does.
func (w *world) export() []byte {
	w.t.Helper()
	var out bytes.Buffer
	must(w.t, proof.WriteExport(w.t.Context(), &out, w.Ledger))
	return out.Bytes()
}

// verify verifies exports and checkpoints, given by the names of their files.
func (w *world) verify(files map[string][]byte, witnesses ...note.Verifier) proof.Report {
	w.t.Helper()
	v, err := proof.NewVerification([]note.Verifier{w.key.verifier(w.t)}, witnesses)
	must(w.t, err)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name]
		if filepath.Ext(name) == ".jsonl" {
			must(w.t, v.Export(name, bytes.NewReader(text)))
		} else {
			must(w.t, v.Checkpoint(name, text))
		}
	}
	r, err := v.Result()
	must(w.t, err)
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSums_AreOfAMinuteAndOfPersonsOfAnHour(t *testing.T) {
	w := newWorld(t)
	w.Count(proof.Named("crm"), proof.Send, proof.OK)
	w.Count(proof.Named("crm"), proof.Send, proof.OK)
	w.turn(10 * time.Second)
	w.Count(proof.Named("crm"), proof.Send, proof.OK)
	w.Count(proof.Owner, proof.Send, proof.Invalid)
	must(t, w.CountNow(t.Context(), proof.Owner, proof.Erase, proof.OK))
	w.turn(10 * time.Second)
	if got := w.sums(); got != "" {
		t.Errorf("before the minute is over there is an entry: %s", got)
	}
	w.turn(time.Minute)
	w.turn(20 * time.Minute)
	w.Count(proof.Owner, proof.Erase, proof.OK)
	w.turn(38 * time.Minute)
	want := "12:00 owner send invalid 1\n12:00 token/crm send ok 3"
	if got := w.sums(); got != want {
		t.Errorf("the sums are\n%s\nwant\n%s", got, want)
	}
	w.turn(time.Minute)
	if got := w.sums(); got != want+"\n12:00 owner erase ok 2" {
		t.Errorf("after the hour the sums are\n%s", got)
	}
}

func TestCrash_LosesNothingThatWasStored(t *testing.T) {
	w := newWorld(t)
	w.Count(proof.Owner, proof.Send, proof.OK)
	w.turn(ledger.SaveEvery)
	must(t, w.CountNow(t.Context(), proof.Owner, proof.Export, proof.OK))
	_, err := w.Enter(t.Context(), "receipt", []byte(`{"erased": 3}`))
	must(t, err)
	w.Count(proof.Owner, proof.Send, proof.OK) // in memory only
	w.crash()
	w.turn(2 * time.Hour)
	if got, want := w.sums(), "12:00 owner send ok 1\n12:00 owner export ok 1"; got != want {
		t.Errorf("the sums are\n%s\nwant\n%s", got, want)
	}
	if e := w.entries(); e[1].Kind != "receipt" || string(e[1].Body) != `{"erased":3}` {
		t.Errorf("the entry is %v", e[1])
	}
}

func TestSums_AreBoundedHoweverManyTokensThereWere(t *testing.T) {
	w := newWorld(t)
	for i := range 10_000 {
		w.Count(proof.Named("t"+strings.Repeat("x", i%100)+string(rune('a'+i/100%26))), proof.Send, string(rune('a'+i/2600)))
	}
	w.turn(time.Minute)
	total, sums, others := int64(0), 0, int64(0)
	for _, e := range w.entries() {
		for _, s := range e.Sums {
			total, sums = total+s.Count, sums+1
			if s.Who == proof.Others {
				others += s.Count
			}
		}
	}
	if total != 10_000 || sums > 5000 || others == 0 {
		t.Errorf("%d of 10000 are counted, in %d sums, %d of them as others", total, sums, others)
	}
}

// A store that takes nothing for days delays no count and loses none, and what waits for it stays small.
func TestUnwritten_IsSaidBoundedAndMadeGood(t *testing.T) {
	w := newWorld(t)
	w.turn(0)
	w.fails = store.ErrFull
	if err := w.CountNow(t.Context(), proof.Owner, proof.Erase, proof.OK); !errors.Is(err, store.ErrFull) {
		t.Errorf("a count that cannot be stored: %v", err)
	}
	if s := w.State(); !errors.Is(s.Unwritten, store.ErrFull) {
		t.Errorf("the state is %+v", s)
	}
	const days = 10
	kinds := []proof.Kind{proof.Send, proof.HistoryRead, proof.CustomerRead, proof.LogRead, proof.Webhook}
	for range days * 24 * 60 {
		w.now = w.now.Add(time.Minute)
		for _, kind := range kinds {
			w.Count(proof.Owner, kind, proof.Failed)
		}
	}
	if err := w.Turn(t.Context()); !errors.Is(err, store.ErrFull) {
		t.Errorf("a turn of a full store: %v", err)
	}
	w.fails = nil
	w.turn(time.Hour)
	if s := w.State(); s.Unwritten != nil || s.Signed != s.Size || s.Size > 3000 {
		t.Errorf("once there is room the state is %+v", s)
	}
	total := int64(0)
	must(t, w.store.View(t.Context(), func(tx *store.Tx) error {
		leaves, err := tx.LogEntries(0, w.State().Size)
		for _, leaf := range leaves {
			e, err := proof.ParseEntry(leaf)
			must(t, err)
			for _, s := range e.Sums {
				total += s.Count
			}
		}
		return err
	}))
	if want := int64(days*24*60*len(kinds) + 1); total != want {
		t.Errorf("%d of %d are counted", total, want)
	}
	if r := w.verify(map[string][]byte{"a.jsonl": w.export()}); !r.OK() {
		t.Errorf("verified: %+v", r)
	}
}

// A request that must be logged before it is answered waits no longer than its own deadline for a store that hangs.
func TestUnwritten_IsSaidOfAStoreThatDoesNotAnswer(t *testing.T) {
	w := newWorld(t)
	w.turn(0)
	w.waits = make(chan struct{})
	w.Count(proof.Owner, proof.Send, proof.OK)
	saved := make(chan error, 1)
	go func() { saved <- w.Flush(t.Context()) }()
	<-w.waits
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.CountNow(over, proof.Owner, proof.Erase, proof.OK); !errors.Is(err, context.Canceled) {
		t.Errorf("a count that waits for the store: %v", err)
	}
	if s := w.State(); s.Unwritten != nil {
		t.Errorf("at once the state is %+v", s)
	}
	w.now = w.now.Add(time.Minute)
	if s := w.State(); s.Unwritten == nil {
		t.Errorf("after a minute the state is %+v", s)
	}
	w.waits <- struct{}{}
	must(t, <-saved)
	w.waits = nil
	if s := w.State(); s.Unwritten != nil {
		t.Errorf("once it answers the state is %+v", s)
	}
	w.turn(time.Hour)
	if got, want := w.sums(), "12:00 owner send ok 1\n12:00 owner erase ok 1"; got != want {
		t.Errorf("the sums are\n%s\nwant\n%s", got, want)
	}
}

func TestLog_IsVerifiedAlsoAfterItsOldEntriesAreGone(t *testing.T) {
	w := newWorld(t)
	for range 300 { // more than one tile
		w.Count(proof.Owner, proof.Send, proof.OK)
		w.turn(time.Minute)
	}
	w.turn(time.Minute)
	r := w.verify(map[string][]byte{"1.jsonl": w.export()})
	if !r.OK() || r.Entries < 300 || r.Signed != r.Entries || r.Dropped != 0 {
		t.Errorf("verified: %+v", r)
	}
	first := w.export()
	must(t, w.store.DropLog(t.Context(), start.Add(100*time.Minute)))
	after := w.export()
	r = w.verify(map[string][]byte{"1.jsonl": first, "2.jsonl": after})
	if !r.OK() || r.Dropped < 99 || r.Dropped > 101 {
		t.Errorf("verified without old entries: %+v", r)
	}
	// A proof of one entry that was kept still leads to the checkpoint.
	proves(t, w, 200)
	proves(t, w, 3)
}

// proves checks the proof of one entry by the tiles alone.
func proves(t *testing.T, w *world, index int64) {
	t.Helper()
	signed, err := w.Checkpoint(t.Context())
	must(t, err)
	c, err := proof.ParseCheckpoint(signed, w.key.verifier(t))
	must(t, err)
	reader := tlog.TileHashReader(c.Tree, tiles{t, w.Ledger})
	path, err := tlog.ProveRecord(c.N, index, reader)
	must(t, err)
	var hash tlog.Hash
	must(t, w.store.View(t.Context(), func(tx *store.Tx) error {
		found, err := tx.LogHashes(tlog.StoredHashIndex(0, index))
		hash = found[0]
		return err
	}))
	must(t, tlog.CheckRecord(path, c.N, c.Hash, index, hash))
}

// tiles reads the log's tiles.
type tiles struct {
	t *testing.T
	*ledger.Ledger
}

func (r tiles) Height() int { return torchwood.TileHeight }

func (r tiles) ReadTiles(wanted []tlog.Tile) (all [][]byte, err error) {
	for _, tile := range wanted {
		data, err := r.Tile(r.t.Context(), torchwood.TilePath(tile))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func TestTile_ThatIsNotThereIsNone(t *testing.T) {
	w := newWorld(t)
	w.turn(0)
	for _, path := range []string{"tile/0/000", "tile/0/000.p/2", "tile/entries/001", "tile/9/000", "tile/x", "checkpoint", "tile/0/x999/x999/x999/x999/999", ""} {
		if _, err := w.Tile(t.Context(), path); !errors.Is(err, ledger.ErrNoTile) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestUnsigned_IsSaidAndEndsByItself(t *testing.T) {
	w := newWorld(t)
	w.key.refuses = errors.New("denied")
	w.Count(proof.Owner, proof.Send, proof.OK)
	w.turn(time.Minute)
	if s := w.State(); s.Unsigned == nil || s.Signed != 0 || s.Size != 1 {
		t.Errorf("the state is %+v", s)
	}
	if r := w.verify(map[string][]byte{"a.jsonl": w.export()}); r.OK() || r.Findings[0].What != proof.Unsigned {
		t.Errorf("an unsigned log: %+v", r)
	}
	w.key.refuses = nil
	w.turn(10 * time.Minute)
	if s := w.State(); s.Unsigned != nil || s.Signed != s.Size || s.Key == "" {
		t.Errorf("the state is %+v", s)
	}
}

// State gives the latest reason, not the first.
func TestUnsigned_SaysThePresentReason(t *testing.T) {
	w := newWorld(t)
	w.key.refuses = errors.New("denied")
	w.turn(0)
	w.key.refuses = errors.New("sealed")
	w.turn(10 * time.Minute)
	if s := w.State(); !errors.Is(s.Unsigned, w.key.refuses) {
		t.Errorf("the state is %+v", s)
	}
}

func TestState_CountsWhatOthersEnterInTheirTransactions(t *testing.T) {
	w := newWorld(t)
	l := ledger.New(ledger.Options{Store: w.store, Origin: origin, Now: w.clock})
	l.Count(proof.Owner, proof.Send, proof.OK)
	_, err := l.Enter(t.Context(), "receipt", []byte("{}"))
	must(t, err)
	must(t, w.store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := ledger.Enter(tx, proof.Rotation, []byte("{}"), w.now)
		return err
	}))
	w.now = w.now.Add(time.Minute)
	must(t, l.Turn(t.Context()))
	if s := l.State(); s.Size != 3 {
		t.Errorf("of 3 entries the state says %d", s.Size)
	}
}

// run has the ledger run until the test ends, or stop is called.
func (w *world) run() (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			w.t.Errorf("it ended with %v", err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

// What a relay does must not end with a damaged row of its log.
func TestRun_GoesOnWithALogThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	spoil := func(value []byte) {
		t.Helper()
		must(t, w.store.Update(t.Context(), func(tx *store.Tx) error { return tx.PutSetting("log-checkpoint", value) }))
	}
	spoil([]byte("x"))
	stop := w.run()
	await.Until(t, "the state says so", func() bool { return w.State().Unsigned != nil })
	w.Count(proof.Owner, proof.Send, proof.OK)
	stop()
	spoil(nil)
	w.turn(10 * time.Minute)
	if s := w.State(); s.Unsigned != nil || s.Signed != s.Size || !strings.Contains(w.sums(), "owner send ok 1") {
		t.Errorf("afterwards: %+v, %s", s, w.sums())
	}
}

// witnessed has the log cosigned by a witness of its own. It returns the witness's directory and a function that ends it.
func witnessed(t *testing.T, w *world) (dir string, verifier note.Verifier, away func()) {
	t.Helper()
	dir = t.TempDir()
	public, err := witness.Create(dir, "witness.example.org")
	must(t, err)
	keyText, err := proof.KeyOf(origin, w.key.Public().(ed25519.PublicKey))
	must(t, err)
	must(t, witness.AddLog(dir, keyText))
	served, err := witness.Open(dir, nil)
	must(t, err)
	server := httptest.NewTLSServer(served)
	t.Cleanup(func() { server.Close(); _ = served.Close() })
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	client, err := witness.NewClient(server.URL, public, string(ca))
	must(t, err)
	w.witness = client
	w.crash()
	return dir, client.Verifier(), server.Close
}

func TestWitness_CosignsAndDelaysNothingWhenItIsAway(t *testing.T) {
	w := newWorld(t)
	_, verifier, away := witnessed(t, w)
	w.Count(proof.Owner, proof.Send, proof.OK)
	w.turn(time.Minute)
	w.turn(time.Minute)
	s := w.State()
	if s.Away != nil || s.Witnessed != s.Size || s.Size < 2 {
		t.Fatalf("the state is %+v", s)
	}
	if r := w.verify(map[string][]byte{"a.jsonl": w.export()}, verifier); !r.OK() || len(r.Witnessed) != 1 || r.Witnessed[0].Size != s.Size {
		t.Errorf("verified: %+v", r)
	}
	away()
	w.Count(proof.Owner, proof.Send, proof.OK)
	w.turn(10 * time.Minute)
	if got := w.State(); !errors.Is(got.Away, witness.ErrAway) || got.Signed != got.Size || got.Witnessed != s.Witnessed {
		t.Errorf("without the witness the state is %+v", got)
	}
}

// hangs is a witness that never answers.
type hangs struct {
	ledger.Witness
	asked chan struct{}
}

func (h hangs) Add(ctx context.Context, _ int64, _ func(int64) ([][32]byte, error), _ []byte) ([]byte, error) {
	h.asked <- struct{}{}
	<-ctx.Done()
	return nil, witness.ErrAway
}

func TestWitness_ThatHangsHoldsUpNoSum(t *testing.T) {
	w := newWorld(t)
	h := hangs{asked: make(chan struct{})}
	w.witness = h
	w.crash()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	<-h.asked
	w.Count(proof.Owner, proof.Send, proof.OK)
	_, err := w.Enter(ctx, proof.Rotation, []byte("{}")) // has it look at once
	must(t, err)
	await.Until(t, "what was counted is stored", func() bool {
		var sums []byte
		must(t, w.store.View(ctx, func(tx *store.Tx) (err error) {
			sums, err = tx.Setting("log-pending")
			return err
		}))
		return sums != nil
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

func TestWitness_ThatDoesNotKnowTheLogIsSaid(t *testing.T) {
	w := newWorld(t)
	dir, _, _ := witnessed(t, w)
	must(t, os.Remove(filepath.Join(dir, "logs")))
	w.Count(proof.Owner, proof.Send, proof.OK)
	w.turn(time.Minute)
	if s := w.State(); !errors.Is(s.Away, ledger.ErrRefused) {
		t.Errorf("the state is %+v", s)
	}
}

func TestRollback_IsCaughtByTheWitnessAndByWhatWasKept(t *testing.T) {
	w := newWorld(t)
	dir, verifier, _ := witnessed(t, w)
	for range 5 {
		w.Count(proof.Owner, proof.Send, proof.OK)
		w.turn(2 * time.Minute)
	}
	copied := w.copy()
	for range 5 {
		w.Count(proof.Owner, proof.CustomerRead, proof.OK)
		w.turn(2 * time.Minute)
	}
	kept := w.export()
	size := w.State().Size
	w.putBack(copied)
	w.Count(proof.Owner, proof.Send, proof.OK)
	w.turn(2 * time.Minute)
	if s := w.State(); !errors.Is(s.Away, ledger.ErrRolledBack) {
		t.Errorf("the witness cosigned a log that was rolled back: %+v", s)
	}
	// What was kept tells, and where: the checkpoint in the export, and the witness's own.
	witnessedThen := read(t, dir, "relaykeep.dev%2Flog%2F4711.checkpoint")
	for name, files := range map[string]map[string][]byte{
		"an export":     {"2.jsonl": w.export(), "1.jsonl": kept},
		"the witness's": {"2.jsonl": w.export(), "w.checkpoint": witnessedThen},
	} {
		r := w.verify(files, verifier)
		if !has(r, proof.RolledBack, size) && !has(r, proof.Forked, size) {
			t.Errorf("by %s: %+v", name, r)
		}
	}
	for range 10 { // and grown beyond
		w.Count(proof.Owner, proof.Send, proof.OK)
		w.turn(2 * time.Minute)
	}
	w.turn(10 * time.Minute)
	if s := w.State(); !errors.Is(s.Away, ledger.ErrForked) {
		t.Errorf("the witness cosigned another history: %+v", s)
	}
	if r := w.verify(map[string][]byte{"2.jsonl": w.export(), "1.jsonl": kept}, verifier); !has(r, proof.Forked, size) {
		t.Errorf("verified: %+v", r)
	}
}

// has says whether a finding of a kind ends at a size.
func has(r proof.Report, what string, to int64) bool {
	for _, f := range r.Findings {
		if f.What == what && f.To == to {
			return true
		}
	}
	return false
}
