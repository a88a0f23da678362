package dataplane_test

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/rig"
)

// TestReplicas_TakeOverLosingAndDoublingNothing ends the replica that holds the store, again and again and in each
// way, while both sides write. The business asks another replica. Its log goes on as one, and so does the limit of its first
// contacts.
func TestReplicas_TakeOverLosingAndDoublingNothing(t *testing.T) {
	const each = 4
	b, _, _ := newBusinessOnPostgres(t)
	b.Config.Throughput = 1000
	b.Limit(contract.LimitsEnforced)
	b.StartReady()
	k := &held{b: b}
	_, k.logKey, k.witnessKey = b.witnessed()
	b.Stop()
	b.Config.Replicated = true
	b.StartProcess()
	b.WaitWell()
	b.TakeCredentials()
	p := newPerson(t)
	p.Says(b, "the first word is the customer's")
	b.WaitText("the first word is the customer's")
	k.begin()
	c := &chatter{b: b, p: p, to: b.Phone(), ids: map[string]string{}, stanzas: map[string]string{}}
	ways := []struct {
		name string
		end  func(*rig.Process)
		ends bool // it ends by itself
		asks bool // it still takes requests meanwhile
	}{
		{"killed", (*rig.Process).Kill, true, false},
		{"stalled", (*rig.Process).Stall, false, false},
		{"told to end", (*rig.Process).Terminate, true, true},
	}
	for round, way := range ways {
		k.before(p.Number.Digits())
		holder, endpoint := b.Process(), b.Endpoint()
		b.StartProcess()
		b.Wait(contract.ConditionKeysReady, contract.True, serve.ReasonStandingBy)
		k.pass()
		unsure := len(c.unsure)
		var wg sync.WaitGroup
		wg.Go(func() { c.customerWrites(round, each) })
		wg.Go(func() { c.businessWrites(round, each) })
		wait := time.NewTimer(time.Duration(20+rand.IntN(300)) * time.Millisecond)
		<-wait.C
		begun := time.Now()
		way.end(holder)
		if way.asks {
			wg.Go(func() { askOnNewConnections(b, endpoint) })
		}
		b.Wait(contract.ConditionKeysReady, contract.True, serve.ReasonKeysReady)
		took := time.Since(begun)
		t.Logf("%s: another took over after %s", way.name, took.Round(time.Millisecond))
		if took > 15*time.Second {
			t.Errorf("%s: taking over took %s", way.name, took)
		}
		wg.Wait()
		// What was under way when the connection was cut is not known to the business; all else is answered.
		if n := len(c.unsure) - unsure; n > 1 {
			t.Errorf("%s: %d requests had no answer", way.name, n)
		}
		if !way.ends {
			select {
			case <-holder.Thaw():
			case <-time.After(await.Patience):
				t.Errorf("%s: it goes on although another has its store", way.name)
			}
		}
		k.after(way.name)
	}
	k.wantAll(len(ways))
	c.everythingOnce(len(ways) * each)
	b.NothingLeaked()
}

// askOnNewConnections asks for a while at the endpoint of a replica that ends, and wants each request answered: the cluster
// still leads connections to it.
func askOnNewConnections(b *business, endpoint string) {
	url := "https://" + endpoint + rig.Version + "/" + b.NumberID
	asked := 0
	for begun := time.Now(); time.Since(begun) < 4*time.Second; asked++ {
		request, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			b.t.Error(err)
			return
		}
		request.Header.Set("Authorization", "Bearer "+b.Token)
		request.Close = true
		answer, err := b.Client.Do(request)
		if err != nil {
			b.t.Errorf("request %d at a replica that ends: %v", asked, err)
			return
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			b.t.Errorf("request %d at a replica that ends: %s", asked, answer.Status)
		}
	}
	b.t.Logf("a replica that ended had %d requests answered", asked)
}

// held is a business that wrote to too many strangers, whose log has a witness, and what it keeps of that log.
type held struct {
	b                  *business
	logKey, witnessKey string
	exports            [][]byte
	cosigned           int64         // entries
	later              time.Duration // every clock is
	strangers          int           // whom the business tried to write to
	contacts           float64
}

// export exports the log once a checkpoint was cosigned that is new.
func (k *held) export() {
	k.b.t.Helper()
	k.cosigned = k.b.cosigned(k.cosigned)
	k.exports = append(k.exports, endpointLog{k.b, k.b.Token}.export())
}

func (k *held) begin() {
	k.b.t.Helper()
	k.strangers = 260
	k.b.strangers(0, k.strangers)
	k.b.Wait(contract.ConditionSendingUnlimited, contract.False, serve.ReasonHeld)
	k.export()
}

// before has the business export a customer, which is stored before it is answered, and entered when the hour is over.
func (k *held) before(customer string) {
	k.b.t.Helper()
	if status, answer := k.b.Request(http.MethodGet, "/customers/"+customer, k.b.Token, nil); status != http.StatusOK {
		k.b.t.Errorf("exporting a customer: %d %s", status, answer)
	}
	k.contacts = k.b.firstContacts()
}

// pass makes it an hour later for the replica that was started last.
func (k *held) pass() {
	k.later += time.Hour + time.Minute
	k.b.SetLater(k.later)
}

// after looks at what another replica makes of it. In the hour that has passed the limit has room for ten strangers more, if the
// hold was not kept, which it is some seconds after it began.
func (k *held) after(way string) {
	t := k.b.t
	t.Helper()
	k.export()
	if now := k.b.firstContacts(); now < k.contacts {
		t.Errorf("%s: of %v first contacts %v are counted", way, k.contacts, now)
	}
	if allowed := k.b.strangers(k.strangers, 150); allowed > 12 {
		t.Errorf("%s: %d strangers more may be written to", way, allowed)
	}
	k.strangers += 150
	k.b.Wait(contract.ConditionSendingUnlimited, contract.False, serve.ReasonHeld)
}

// wantAll looks whether the log is one, and has so many customers that were exported.
func (k *held) wantAll(exported int) {
	k.b.t.Helper()
	wantWhole(k.b.t, []string{k.logKey}, k.witnessKey, k.exports...)
	last := k.exports[len(k.exports)-1]
	if n := bytes.Count(last, []byte(`{"who":"owner","kind":"export","result":"ok","count":1}`)); n != exported {
		k.b.t.Errorf("the log has %d of %d exports of a customer", n, exported)
	}
}
