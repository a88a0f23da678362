package interop_test

import (
	"context"
	"testing"

	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// A customer at Profanity and a business behind a real relay.

func TestProfanityWritesToARelay(t *testing.T) {
	needServers(t)
	server := prosody.StartT(t, prosody.Options{Registration: true})
	business := startBusiness(t, server)
	human := startProfanity(t, server, profanityNumber, false)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	check(t, human.client.Send(ctx, business.jid, "Guten Tag, haben Sie offen?"))
	business.waitText(t, profanityNumber, "Guten Tag, haben Sie offen?")
	human.waitReceived(t, business.jid)
	id := business.say(t, profanityNumber, "Ja, bis 18 Uhr. äöü €")
	check(t, human.client.WaitText(ctx, business.jid, "Ja, bis 18 Uhr. äöü €"))
	business.waitStatus(t, id, "sent")
	business.waitStatus(t, id, "delivered")
	for _, text := range []string{"one", "two", "three"} {
		check(t, human.client.Send(ctx, business.jid, "question "+text))
		business.waitText(t, profanityNumber, "question "+text)
		business.say(t, profanityNumber, "answer "+text)
		business.say(t, profanityNumber, "and more to "+text)
		check(t, human.client.WaitText(ctx, business.jid, "answer "+text))
		check(t, human.client.WaitText(ctx, business.jid, "and more to "+text))
	}
	human.waitReceived(t, business.jid)
}

func TestRelayWritesToProfanityFirst(t *testing.T) {
	needServers(t)
	server := prosody.StartT(t, prosody.Options{Registration: true})
	business := startBusiness(t, server)
	human := startProfanity(t, server, profanityNumber, true)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	check(t, human.client.Befriend(ctx, business.jid))
	// Until the two see each other's presence, Profanity's keys cannot be fetched and
	// a message fails; the business says so once more, as it would in life.
	for business.outcome(t, business.say(t, profanityNumber, "Your parcel is here.")) != "delivered" {
		check(t, ctx.Err())
	}
	check(t, human.client.WaitText(ctx, business.jid, "Your parcel is here."))
	check(t, human.client.Send(ctx, business.jid, "On my way!"))
	business.waitText(t, profanityNumber, "On my way!")
}
