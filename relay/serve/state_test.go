package serve

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

func TestKeysConditionSaysForEachFailureWhatToDo(t *testing.T) {
	for _, e := range explanations() {
		var s state
		s.setKeys(fmt.Errorf("opening: %w", e.err))
		c := s.keysCondition(nil)
		if c.Status != contract.False || c.Reason != e.reason || !strings.HasPrefix(c.Message, e.message) {
			t.Errorf("%v: condition is %+v", e.err, c)
		}
		if ready, why := s.ready(); ready || !strings.Contains(why, e.reason) {
			t.Errorf("%v: ready is %v, %q", e.err, ready, why)
		}
	}
}

func TestKeysConditionHoldsNothingOfAnUnknownError(t *testing.T) {
	var s state
	s.setKeys(errors.New("/var/lib/something secret"))
	if c := s.keysCondition(nil); c.Reason != ReasonStoreUnusable || strings.Contains(c.Message, "secret") {
		t.Errorf("condition is %+v", c)
	}
}

func TestKeysConditionInTheCourseOfARelaysLife(t *testing.T) {
	var s state
	want := func(when string, trouble error, status contract.ConditionStatus, reason string) {
		t.Helper()
		if c := s.keysCondition(trouble); c.Status != status || c.Reason != reason {
			t.Errorf("%s: condition is %+v, want %s %s", when, c, status, reason)
		}
	}
	want("before the first attempt", nil, contract.Unknown, ReasonStarting)
	s.setKeys(vault.ErrSealed)
	want("sealed", vault.ErrSealed, contract.False, ReasonVaultSealed)
	s.setKeys(nil)
	want("opened", nil, contract.True, ReasonKeysReady)
	want("sealed while it runs", vault.ErrSealed, contract.False, ReasonVaultSealed)
	s.setOverdue(errOverdue)
	want("overdue while it runs", nil, contract.False, ReasonKeyOverdue)
	s.setOverdue(nil)
	s.setSkew(errClock)
	want("with a wrong clock", nil, contract.False, ReasonClockSkewed)
	s.setSkew(nil)
	s.setCertificate(vault.ErrDenied)
	want("certificate refused", nil, contract.False, ReasonVaultDenied)
	if ready, _ := s.ready(); ready {
		t.Error("ready before the endpoint is up")
	}
	s.setServing(true)
	if ready, _ := s.ready(); !ready {
		t.Error("not ready though everything is up")
	}
}

// A Service without a pod that is ready refuses connections, which the replicas would let wait.
func TestReplica_IsReadyWhileConnectionsWaitForAHolder(t *testing.T) {
	var s state
	want := func(when string, ready bool) {
		t.Helper()
		if got, why := s.ready(); got != ready {
			t.Errorf("%s: ready is %v, %q", when, got, why)
		}
	}
	want("at the start", false)
	s.setHolder("")
	want("with nobody to wait for", false)
	s.setHolder("192.0.2.7:8443")
	want("standing by", true)
	s.setHolder("")
	want("taking over", true)
	s.waits = time.Now()
	want("when nobody took over in time", false)
	s.setKeys(nil)
	s.setServing(true)
	want("as the holder", true)
	s.setServing(false)
	want("that stops alone", false)
	s.setWaiting()
	want("that leaves the store to another", true)
}

func TestSetKeysTellsNewsFromRepetition(t *testing.T) {
	var s state
	steps := []struct {
		err  error
		news bool
	}{
		{vault.ErrSealed, true},
		{fmt.Errorf("again: %w", vault.ErrSealed), false},
		{vault.ErrUnavailable, true},
		{nil, true},
	}
	for i, step := range steps {
		if got := s.setKeys(step.err); got != step.news {
			t.Errorf("step %d: news is %v, want %v", i, got, step.news)
		}
	}
}

func TestCarrierConditionBeforeThereIsALink(t *testing.T) {
	cases := map[string]struct {
		err    error
		status contract.ConditionStatus
		reason string
	}{
		"nothing tried":          {nil, contract.Unknown, ReasonStarting},
		"no account":             {fmt.Errorf("reading: %w", vault.ErrNotFound), contract.False, ReasonAccountMissing},
		"another number's":       {errOtherAccount, contract.False, ReasonAccountOther},
		"vault sealed meanwhile": {vault.ErrSealed, contract.False, ReasonVaultSealed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var l carrierSlot
			if tc.err != nil {
				l.setFailure(tc.err)
			}
			if c := l.condition(); c.Status != tc.status || c.Reason != tc.reason || c.Message == "" {
				t.Errorf("condition is %+v", c)
			}
			if err := l.Send(t.Context(), carrier.Outgoing{}); !errors.Is(err, carrier.ErrOffline) {
				t.Errorf("sending without a link: %v", err)
			}
		})
	}
}

func TestErrorsOfMessagesBecomeThoseOfTheAPI(t *testing.T) {
	cases := map[error]error{
		message.ErrUnknownMessage: cloudapi.ErrUnknownMessage,
		store.ErrClosed:           cloudapi.ErrUnavailable,
		store.ErrFull:             cloudapi.ErrUnavailable,
		store.ErrQuota:            cloudapi.ErrRecipientFull,
		store.ErrDamaged:          store.ErrDamaged,
		nil:                       nil,
	}
	for in, want := range cases {
		err := in
		if in != nil {
			err = fmt.Errorf("doing: %w", in)
		}
		if got := translate(err); !errors.Is(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%v became %v, want %v", in, got, want)
		}
	}
}

func TestOldestKeyIsOverdueOnlyPastTheRetention(t *testing.T) {
	made := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const retention = 24 * time.Hour
	if overdue(made, retention, made.Add(retention)) {
		t.Error("overdue at the very end of the retention")
	}
	if !overdue(made, retention, made.Add(retention+time.Second)) {
		t.Error("not overdue past the retention")
	}
}
