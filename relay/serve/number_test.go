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
		volumeCondition(true),
	)
	want := []cloudapi.Problem{
		{Description: "WebhookVerified is False (NotConfigured)", Solution: webhook.NotConfigured().Message},
		{Blocks: true, Description: "VolumeHasRoom is False (" + volumeCondition(true).Reason + ")", Solution: volumeCondition(true).Message},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
