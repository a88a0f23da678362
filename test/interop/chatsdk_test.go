package interop_test

import (
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/interop/nodeclients"
)

// chatSDK does what @chat-adapter/whatsapp can, in a bot of its Chat SDK. The customer speaks omemo:2, whose
// reactions the relay sends as such.
func (o *office) chatSDK(t *testing.T) {
	c := o.client(t, o.node(t, nodeclients.Chat), "+491708880002", carrier.OMEMO2)
	c.handshake()
	hello := c.hears()
	c.posts(hello)
	c.cards()
	c.postsFiles(hello.Thread)
	c.botTemplates(hello.Thread)
}

// passes hands the bot a request that the relay sent to the business.
func (c *client) passes(d delivery) (status int, body string) {
	c.t.Helper()
	var answer struct {
		Status int
		Body   string
	}
	c.does(&answer, "webhook", object{"method": d.method, "query": d.query, "signature": d.signature, "body": d.body})
	return answer.Status, answer.Body
}

// handshake has the bot answer the challenge that the relay began with.
func (c *client) handshake() {
	c.t.Helper()
	c.office.mu.Lock()
	first := c.office.webhooks[0]
	c.office.mu.Unlock()
	if status, body := c.passes(first); status != 200 || body == "" || !strings.Contains(first.query, "hub.challenge="+body) {
		c.t.Errorf("the bot answers the handshake %d %q", status, body)
	}
}

// hears has the bot read what the customer says, and returns what it heard of the first text.
func (c *client) hears() (hello nodeclients.Event) {
	c.t.Helper()
	text := c.sent("the text", c.customerText("Is somebody there?"))
	forged := text
	forged.body += " "
	if status, _ := c.passes(forged); status != 401 {
		c.t.Errorf("the bot answers a forged webhook %d", status)
	}
	if status, _ := c.passes(text); status != 200 {
		c.t.Errorf("the bot answers a webhook %d", status)
	}
	hello = c.Wait("the bot hears a text", func(e nodeclients.Event) bool { return e.Kind == "message" && e.Text == "Is somebody there?" })
	if hello.Author.UserID != c.from || hello.Author.FullName == "" || hello.Thread != "whatsapp:"+c.office.NumberID+":"+c.from {
		c.t.Errorf("the bot heard %+v", hello)
	}
	_, received := c.attaches("from-the-customer.jpg", picture+" of theirs")
	c.passes(c.sent("the file", received))
	heard := c.Wait("the bot hears of a file", func(e nodeclients.Event) bool { return e.Kind == "message" && len(e.Attachments) > 0 })
	if a := heard.Attachments[0]; a.Type != "image" || a.MIMEType != "image/jpeg" || a.MediaID != received {
		c.t.Errorf("the bot heard of %+v", a)
	}
	// It downloads nothing from a private address, such as a relay's in a cluster, unless it is given a transport.
	if err := c.Call(nil, "downloadMedia", received); err == nil || !strings.Contains(err.Error(), "internal") {
		c.t.Errorf("downloading from a private address: %v", err)
	}
	var content nodeclients.Bytes
	c.does(&content, "downloadWith", received)
	if string(content) != picture+" of theirs" {
		c.t.Errorf("downloaded %d bytes", len(content))
	}
	return hello
}

// customerText has the customer say something new and returns the id that the webhook gives it.
func (c *client) customerText(text string) string {
	c.t.Helper()
	c.customer.Says(c.office.Business, text)
	return c.office.WaitText(text).ID
}

func (c *client) posts(hello nodeclients.Event) {
	c.t.Helper()
	var thread string
	c.does(&thread, "openDM", c.from)
	if thread != hello.Thread {
		c.t.Errorf("the thread is %s, want %s", thread, hello.Thread)
	}
	var posted struct{ ID string }
	c.does(&posted, "postMessage", thread, object{"markdown": "**Welcome** to us"})
	c.shows("*Welcome* to us")
	c.office.WaitStatus(posted.ID, "delivered")
	c.does(&posted, "reply", thread, hello.ID, "yes, I am")
	c.shows("> Is somebody there?", "yes, I am")
	c.does(nil, "postMessage", thread, strings.Repeat("a", 4000)+"\n\n"+strings.Repeat("b", 4000))
	c.shows(strings.Repeat("b", 4000))
	c.does(nil, "addReaction", thread, hello.ID, "thumbs_up")
	c.customer.Wait("a reaction", func(e customer.Event) bool { return e.Kind == customer.Reacted && e.Text == "👍" })
	c.does(nil, "removeReaction", thread, hello.ID, "thumbs_up")
	c.customer.Wait("no reaction", func(e customer.Event) bool { return e.Kind == customer.Reacted && e.Text == "" })
	c.does(nil, "markAsRead", thread, hello.ID)
	c.does(nil, "startTyping", thread)
	c.customer.Wait("that the business types", func(e customer.Event) bool { return e.Kind == customer.Typing })
	c.customer.Wait("that its text was read", func(e customer.Event) bool { return e.Kind == customer.Read })
	c.reacts()
}

// reacts has the customer react to a message of the bot's.
func (c *client) reacts() {
	c.t.Helper()
	c.customer.Reacts(c.office.Business, c.lastReceived(), "❤")
	c.passes(c.sent("the reaction", `"type":"reaction"`))
	c.Wait("the bot hears a reaction", func(e nodeclients.Event) bool { return e.Kind == "reaction" && e.Text == "❤" && e.Added })
}

// lastReceived is the carrier's id of the last message that the customer has.
func (c *client) lastReceived() (id string) {
	c.customer.Count(func(e customer.Event) bool {
		if e.Kind == customer.Received {
			id = e.ID
		}
		return true
	})
	return id
}

func (c *client) cards() {
	c.t.Helper()
	thread := "whatsapp:" + c.office.NumberID + ":" + c.from
	button := func(id, label string) object { return object{"type": "button", "id": id, "label": label, "value": "7"} }
	card := func(actions ...object) object {
		return object{"type": "card", "title": "Your order", "children": []object{
			{"type": "text", "content": "It is ready."}, {"type": "actions", "children": actions},
		}}
	}
	c.does(nil, "postMessage", thread, card(button("fetch", "I fetch it"), button("send", "Send it")))
	c.shows("Your order", "It is ready.", "1. I fetch it", "2. Send it")
	c.customer.Says(c.office.Business, "2")
	c.passes(c.sent("the choice", `"button_reply"`))
	if e := c.Wait("the bot hears of the choice", func(e nodeclients.Event) bool { return e.Kind == "action" }); e.Text != "send" || e.Value != "7" {
		c.t.Errorf("the bot heard %+v", e)
	}
	c.does(nil, "postMessage", thread, card(object{"type": "link-button", "label": "Track", "url": "https://shop.test/7"}))
	c.shows("Your order", "Track", "https://shop.test/7")
}

func (c *client) postsFiles(thread string) {
	c.t.Helper()
	file := func(name, mime, content string) object {
		return object{"filename": name, "mimeType": mime, "data": nodeclients.Bytes(content)}
	}
	c.does(nil, "postMessage", thread, object{"markdown": "A photo", "files": []object{file("photo.jpg", "image/jpeg", picture)}})
	c.gets(picture)
	c.shows("A photo")
	c.does(nil, "postMessage", thread, object{"markdown": "An offer", "files": []object{
		file("offer.pdf", "application/pdf", offer), file("note.ogg", "audio/ogg", notice),
	}})
	c.gets(offer)
	c.gets(notice)
}

func (c *client) botTemplates(thread string) {
	c.t.Helper()
	c.office.wantOK(c.office.Ask("POST", "/"+c.office.accountID+"/message_templates", "application/json", []byte(
		`{"name":"reminder","language":"en","category":"UTILITY","components":[{"type":"BODY","text":"See you {{1}}."}]}`)))
	c.does(nil, "sendTemplate", thread, object{"name": "reminder", "language": "en", "components": []object{
		{"type": "body", "parameters": []object{{"type": "text", "text": "tomorrow at 2pm"}}},
	}})
	c.shows("See you tomorrow at 2pm.")
	c.refused(132001, "sendTemplate", thread, object{"name": "another", "language": "en"})
	await.Until(c.t, "nothing is left to be sent", func() bool { return c.office.Report().Counts.OutboxQueued == 0 })
}
