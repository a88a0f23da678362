package controllers

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// A look at a region reads all of its relays: a look for each of a thousand that are made would read a million.
func TestDataRegion_IsLookedAtOnceForManyRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		defer queue.ShutDown()
		on := gathered(regionOf)
		for n := range 1000 {
			relay := &v1alpha1.BusinessRelay{}
			relay.Name, relay.Spec.DataRegion = fmt.Sprint("acme-", n), "eu"
			on.Create(t.Context(), event.CreateEvent{Object: relay}, queue)
		}
		synctest.Wait()
		if n := queue.Len(); n != 0 {
			t.Errorf("%d looks are due at once", n)
		}
		begun := time.Now()
		got, _ := queue.Get()
		if got.Name != "eu" || time.Since(begun) > 2*regionPause {
			t.Errorf("%q is looked at after %s", got.Name, time.Since(begun))
		}
		queue.Done(got)
		time.Sleep(10 * regionPause) //nolint:forbidigo // in a bubble
		if n := queue.Len(); n != 0 {
			t.Errorf("%d more looks are due", n)
		}
	})
}
