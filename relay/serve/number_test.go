package serve

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

func TestProblemsAreTheConditionsThatDoNotHold(t *testing.T) {
	got := problemsOf(
		contract.Condition{Type: contract.ConditionKeysReady, Status: contract.True},
		webhook.NotConfigured(),
		contract.Condition{Type: contract.ConditionCarrierConnected, Status: contract.False, Reason: "Offline", Message: "wait"},
		volumeCondition(true, false),
	)
	want := []cloudapi.Problem{
		{Description: "CarrierConnected is False (Offline)", Solution: "wait"},
		{Blocks: true, Description: "VolumeHasRoom is False (" + volumeCondition(true, false).Reason + ")", Solution: volumeCondition(true, false).Message},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
