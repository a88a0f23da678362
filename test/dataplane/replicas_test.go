package dataplane_test

import (
	"math/rand/v2"
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
	c := &chatter{b: b, p: p, to: b.Phone(), ids: map[string]string{}, pause: 500 * time.Millisecond}
	ways := []struct {
		name string
		end  func(*rig.Process)
		ends bool // it ends at once
	}{
		{"killed", (*rig.Process).Kill, true},
		{"stalled", (*rig.Process).Stall, false},
		{"told to end", (*rig.Process).Terminate, true},
	}
	for round, way := range ways {
		holder := b.Process()
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
