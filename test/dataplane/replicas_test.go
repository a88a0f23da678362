package dataplane_test

import (
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
// way, while both sides write. The business asks another replica.
func TestReplicas_TakeOverLosingAndDoublingNothing(t *testing.T) {
	const each = 4
	b, _, _ := newBusinessOnPostgres(t)
	b.Config.Replicated = true
	b.StartProcess()
	b.WaitWell()
	b.TakeCredentials()
	p := newPerson(t)
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
		holder, endpoint := b.Process(), b.Endpoint()
		b.StartProcess()
		b.Wait(contract.ConditionKeysReady, contract.True, serve.ReasonStandingBy)
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
	}
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
