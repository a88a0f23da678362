package serve

import (
	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// shownNumber is what the endpoint says about the number.
func (p *parts) shownNumber() cloudapi.Number {
	n := cloudapi.Number{
		ID: p.keys.identity.PhoneNumberID, AccountID: p.accountID(p.keys.identity), AccountName: p.cfg.BusinessAccount, Phone: p.number,
		Name: p.cfg.Profile.DisplayName, Since: p.keys.identity.Created,
		Profile: cloudapi.Profile{
			About: p.cfg.Profile.About, Address: p.cfg.Profile.Address, Description: p.cfg.Profile.Description,
			Email: p.cfg.Profile.Email, Vertical: p.cfg.Profile.Vertical, Websites: p.cfg.Profile.Websites,
		},
	}
	if p.cfg.Webhook != nil {
		n.Webhook = p.cfg.Webhook.URL
	}
	return n
}

// problems are the relay's conditions as the endpoint tells them. Dead letters are none: they make no condition
// False.
func (p *parts) problems() []cloudapi.Problem {
	return problemsOf(append([]contract.Condition{p.keysCondition()}, p.conditions(0)...)...)
}

// problemsOf returns a problem for each condition that is not True. Only a full volume makes the
// endpoint refuse messages; otherwise it accepts and keeps them. To have no webhook is a choice.
func problemsOf(conditions ...contract.Condition) (problems []cloudapi.Problem) {
	for _, c := range conditions {
		if c.Status != contract.True && c.Reason != webhook.ReasonNotConfigured {
			problems = append(problems, cloudapi.Problem{
				Blocks: c.Type == contract.ConditionVolumeHasRoom && c.Status == contract.False, Description: c.Type + " is " + string(c.Status) + " (" + c.Reason + ")", Solution: c.Message,
			})
		}
	}
	return problems
}
