package dataplane_test

import (
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/rig"
	"github.com/relaykeep/relaykeep/test/services/ejabberd"
)

// about finds what the business got about another message.
func (b *business) about(kind string, fits func(webhooktest.Update) bool) webhooktest.Update {
	b.t.Helper()
	return b.WaitUpdate(kind, func(u webhooktest.Update) bool { return u.Type == kind && fits(u) })
}

func TestReferences_ReachTheOtherSideThroughAServer(t *testing.T) {
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	own := p.Says(b, "do you have it in green?")
	first := b.WaitText("do you have it in green?").ID
	out := b.Say(p.Number.E164(), "we do; which size?")
	shown := p.Shown("we do; which size?")

	p.SaysAbout(b, "> we do; which size?\nforty-two", carrier.References{ReplyTo: shown.ID, Quote: carrier.Range{End: 21}})
	if u := b.WaitText("forty-two"); u.Context != out || u.ContextFrom != b.Phone().Digits() || u.Clear != "context" {
		t.Errorf("the reply is %+v", u)
	}
	p.SaysAbout(b, "do you have it in blue?", carrier.References{Corrects: own})
	if u := b.about("edit", func(webhooktest.Update) bool { return true }); u.About != first || u.Text != "do you have it in blue?" {
		t.Errorf("the correction is %+v", u)
	}
	p.Reacts(b, shown.ID, "👍")
	b.about("reaction", func(u webhooktest.Update) bool { return u.About == out && u.Emoji == "👍" && u.Unencrypted })
	p.Reacts(b, shown.ID, "")
	b.about("reaction", func(u webhooktest.Update) bool { return u.About == out && !u.HasEmoji })
	b.SayWith(p.Number.E164(), "here it is", map[string]any{"context": map[string]string{"message_id": first}})
	answer := p.Shown("> do you have it in green?\nhere it is")
	if want := (carrier.References{ReplyTo: own, Quote: carrier.Range{End: 27}}); answer.References != want {
		t.Errorf("the business's reply is about %+v, want %+v", answer.References, want)
	}
	b.WaitStatus(b.Send(map[string]any{"to": p.Number.E164(), "type": "reaction", "reaction": map[string]string{"message_id": first, "emoji": "❤️"}}), "sent")
	p.Shown("> do you have it in green?\n❤️")

	p.TakesBack(b, own)
	b.about("revoke", func(u webhooktest.Update) bool { return u.About == first && u.Unencrypted })
	b.NothingLeaked()
}

// In omemo:2 all of that is inside the encryption, and a reaction is one without any setting.
func TestReferences_InsideTheEncryptionReachTheOtherSideThroughAServer(t *testing.T) {
	t.Parallel()
	t.Run("prosody", func(t *testing.T) {
		t.Parallel()
		insideReferences(t, shared.prosody)
	})
	t.Run("ejabberd", func(t *testing.T) {
		t.Parallel()
		insideReferences(t, ejabberd.StartT(t, ejabberd.Options{Registration: true}))
	})
}

func insideReferences(t *testing.T, server rig.Carrier) {
	b := &business{shared.NewBusiness(t, server), t}
	b.StartReady()
	p := customers.StartIn(t, server, shared.Number(), carrier.OMEMO2)
	own := p.Says(b, "do you have it in green?")
	first := b.WaitText("do you have it in green?").ID
	out := b.Say(p.Number.E164(), "we do; which size?")
	shown := p.Shown("we do; which size?")

	p.SaysAbout(b, "> we do; which size?\nforty-two", carrier.References{ReplyTo: shown.ID, Quote: carrier.Range{End: 21}})
	if u := b.WaitText("forty-two"); u.Context != out || u.Clear != "" {
		t.Errorf("the reply is %+v", u)
	}
	p.SaysAbout(b, "do you have it in blue?", carrier.References{Corrects: own})
	if u := b.about("edit", func(webhooktest.Update) bool { return true }); u.About != first || u.Text != "do you have it in blue?" || u.Clear != "" {
		t.Errorf("the correction is %+v", u)
	}
	p.Reacts(b, shown.ID, "👍")
	b.about("reaction", func(u webhooktest.Update) bool { return u.About == out && u.Emoji == "👍" && !u.Unencrypted })

	tablet := p.Another("tablet", carrier.Legacy) // an older client of the same customer
	tablet.Says(b, "from an older client")
	b.WaitText("from an older client")
	b.SayWith(p.Number.E164(), "here it is", map[string]any{"context": map[string]string{"message_id": first}})
	for _, device := range []*customers.Client{p, tablet} {
		answer := device.Shown("> do you have it in green?\nhere it is")
		if want := (carrier.References{ReplyTo: own, Quote: carrier.Range{End: 27}}); answer.References != want || answer.Clear != (device == tablet) {
			t.Errorf("the business's reply is about %+v, want %+v", answer, want)
		}
	}
	b.WaitStatus(b.Send(map[string]any{"to": p.Number.E164(), "type": "reaction", "reaction": map[string]string{"message_id": first, "emoji": "❤️"}}), "sent")
	p.Wait("a reaction", func(e customer.Event) bool {
		return e.Kind == customer.Reacted && e.ID == own && e.Text == "❤️" && !e.Clear
	})
	tablet.Shown("> do you have it in green?\n❤️")

	p.TakesBack(b, own)
	b.about("revoke", func(u webhooktest.Update) bool { return u.About == first && !u.Unencrypted })
	b.NothingLeaked()
}

func TestReaction_OfTheBusinessGoesInClearIfItAllowsThat(t *testing.T) {
	b := newBusiness(t)
	b.Config.ClearMetadata = true
	b.StartReady()
	p := newPerson(t)
	own := p.Says(b, "do you have it in green?")
	first := b.WaitText("do you have it in green?").ID
	b.WaitStatus(b.Send(map[string]any{"to": p.Number.E164(), "type": "reaction", "reaction": map[string]string{"message_id": first, "emoji": "❤️"}}), "sent")
	p.Wait("a reaction", func(e customer.Event) bool { return e.Kind == customer.Reacted && e.ID == own && e.Text == "❤️" })
}
