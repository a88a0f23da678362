package interop_test

import (
	"context"
	"testing"

	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// A customer at Profanity and a business behind a real relay.

func TestProfanityWritesToARelay(t *testing.T) {
	server := prosody.StartT(t, prosody.Options{Registration: true})
	business := startBusiness(t, server)
	human := startProfanity(t, server, profanityNumber, false)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	check(t, human.client.Send(ctx, business.JID(), "Guten Tag, haben Sie offen?"))
	business.waitText(profanityNumber, "Guten Tag, haben Sie offen?")
	human.waitReceived(t, business.JID())
	id := business.Say(profanityNumber, "Ja, bis 18 Uhr. äöü €")
	check(t, human.client.WaitText(ctx, business.JID(), "Ja, bis 18 Uhr. äöü €"))
	business.WaitStatus(id, "sent")
	business.WaitStatus(id, "delivered")
	for _, text := range []string{"one", "two", "three"} {
		check(t, human.client.Send(ctx, business.JID(), "question "+text))
		business.waitText(profanityNumber, "question "+text)
		business.Say(profanityNumber, "answer "+text)
		business.Say(profanityNumber, "and more to "+text)
		check(t, human.client.WaitText(ctx, business.JID(), "answer "+text))
		check(t, human.client.WaitText(ctx, business.JID(), "and more to "+text))
	}
	human.waitReceived(t, business.JID())
}

func TestRelayWritesToProfanityFirst(t *testing.T) {
	server := prosody.StartT(t, prosody.Options{Registration: true})
	business := startBusiness(t, server)
	human := startProfanity(t, server, profanityNumber, true)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	check(t, human.client.Befriend(ctx, business.JID()))
	// Until the two see each other's presence, Profanity's keys cannot be fetched and
	// a message fails; the business says so once more, as it would in life.
	for business.outcome(business.Say(profanityNumber, "Your parcel is here.")) != "delivered" {
		check(t, ctx.Err())
	}
	check(t, human.client.WaitText(ctx, business.JID(), "Your parcel is here."))
	check(t, human.client.Send(ctx, business.JID(), "On my way!"))
	business.waitText(profanityNumber, "On my way!")
}
