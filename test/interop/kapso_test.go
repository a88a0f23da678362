package interop_test

import (
	"testing"

	"github.com/relaykeep/relaykeep/test/interop/nodeclients"
)

type object = map[string]any

// accepted is what Kapso's client returns for a message.
type accepted struct {
	Contacts []struct{ Input, WaID string }
	Messages []struct{ ID, MessageStatus string }
}

// kapso does what @kapso/whatsapp-cloud-api can without Kapso's own service.
func (o *office) kapso(t *testing.T) {
	c := o.client(t, o.node(t, nodeclients.Kapso), "+491708880001")
	hello := o.WaitText("Good morning")
	c.kapsoSends(hello.ID)
	c.kapsoChoices()
	c.kapsoFiles()
	c.kapsoTemplates()
	c.kapsoNumber()
	c.kapsoWebhooks()
	c.kapsoRefused()
}

// say sends a message to the client's customer and returns its id.
func (c *client) say(function string, fields object) string {
	c.t.Helper()
	fields["phoneNumberId"], fields["to"] = c.office.NumberID, "+"+c.from
	var a accepted
	c.does(&a, function, fields)
	if len(a.Messages) != 1 || len(a.Contacts) != 1 || a.Contacts[0].WaID != c.from || a.Contacts[0].Input != "+"+c.from {
		c.t.Fatalf("%s returns %+v", function, a)
	}
	return a.Messages[0].ID
}

func (c *client) kapsoSends(hello string) {
	id := c.say("messages.sendText", object{"body": "Welcome", "previewUrl": true, "bizOpaqueCallbackData": "order 7"})
	c.shows("Welcome")
	if got := c.office.WaitStatus(id, "delivered"); got.Opaque != "order 7" || got.Recipient != c.from {
		c.t.Errorf("the status is %+v", got)
	}
	c.say("messages.sendText", object{"body": "I do", "contextMessageId": hello})
	c.shows("> Good morning", "I do")
	c.say("messages.sendReaction", object{"reaction": object{"messageId": hello, "emoji": "😀"}})
	c.shows("😀")
	c.say("messages.sendLocation", object{"location": object{"latitude": -33.45, "longitude": -70.66, "name": "Santiago", "address": "CL"}})
	c.shows("Santiago", "CL", "geo:-33.45,-70.66")
	c.say("messages.sendContacts", object{"contacts": []object{{
		"name": object{"formattedName": "John Doe", "firstName": "John"}, "phones": []object{{"phone": "+15551234567", "type": "WORK"}},
	}}})
	c.shows("John Doe", "+15551234567")
	var answer struct{ Success bool }
	c.does(&answer, "messages.markRead", object{"phoneNumberId": c.office.NumberID, "messageId": hello, "typingIndicator": object{"type": "text"}})
	if !answer.Success {
		c.t.Error("marking as read has no success")
	}
	c.does(nil, "messages.sendRaw", object{"phoneNumberId": c.office.NumberID, "payload": object{
		"messaging_product": "whatsapp", "recipient_type": "individual", "to": c.from, "type": "text", "text": object{"body": "raw"},
	}})
	c.shows("raw")
}

func (c *client) kapsoChoices() {
	c.say("messages.sendInteractiveButtons", object{
		"bodyText": "Do you agree?", "footerText": "Answer today", "header": object{"type": "text", "text": "A question"},
		"buttons": []object{{"id": "accept", "title": "I accept"}, {"id": "decline", "title": "I decline"}},
	})
	c.shows("A question", "Do you agree?", "1. I accept", "2. I decline", "Answer today")
	c.chooses("2", "decline")
	c.say("messages.sendInteractiveList", object{
		"bodyText": "Which size?", "buttonText": "Sizes",
		"sections": []object{{"title": "All", "rows": []object{{"id": "s", "title": "Small", "description": "fits few"}, {"id": "l", "title": "Large"}}}},
	})
	c.shows("Which size?", "Small", "fits few", "Large")
	c.chooses("Large", "l")
	c.say("messages.sendInteractiveCtaUrl", object{
		"bodyText": "See the dates.", "parameters": object{"displayText": "Dates", "url": "https://shop.test/dates"},
	})
	c.shows("See the dates.", "Dates", "https://shop.test/dates")
	c.say("messages.sendInteractiveLocationRequest", object{"bodyText": "Where are you?", "parameters": object{"requestMessage": "Where?"}})
	c.shows("Where are you?")
}

// chooses has the customer answer what was offered last.
func (c *client) chooses(words, id string) {
	c.t.Helper()
	c.customer.Says(c.office.Business, words)
	choice := c.sent("the choice", `"id":"`+id+`"`)
	var w struct {
		Verified, Forged bool
		Messages         []struct {
			Interactive struct {
				Type                   string
				ButtonReply, ListReply struct{ ID, Title string }
			}
		}
	}
	c.does(&w, "webhook", object{"signature": choice.signature, "body": choice.body})
	if !w.Verified || w.Forged || len(w.Messages) != 1 {
		c.t.Fatalf("the client reads of the choice %+v", w)
	}
	if i := w.Messages[0].Interactive; i.ButtonReply.ID != id && i.ListReply.ID != id {
		c.t.Errorf("the client reads the choice %+v, want %s", i, id)
	}
}

func (c *client) kapsoFiles() {
	upload := func(category, name, content string) (kept struct{ ID string }) {
		// Its type is a category, and its part has no media type.
		c.does(&kept, "media.upload", object{"phoneNumberId": c.office.NumberID, "type": category, "fileName": name, "file": nodeclients.Bytes(content)})
		return kept
	}
	image := upload("image", "photo.jpg", picture)
	var info struct {
		ID, URL, MimeType, SHA256 string
		FileSize                  int
	}
	c.does(&info, "media.get", object{"mediaId": image.ID, "phoneNumberId": c.office.NumberID})
	if info.FileSize != len(picture) || info.MimeType != "image/jpeg" || info.ID != image.ID {
		c.t.Errorf("the file is %+v", info)
	}
	c.say("messages.sendImage", object{"image": object{"id": image.ID, "caption": "A photo"}})
	c.shows("A photo")
	c.gets(picture)
	voice := upload("audio", "note.ogg", notice)
	c.say("messages.sendAudio", object{"audio": object{"id": voice.ID, "voice": true}})
	c.gets(notice)
	c.say("messages.sendDocument", object{"document": object{"link": c.office.shop + "/offer.pdf", "filename": "offer.pdf", "caption": "An offer"}})
	c.gets(offer)
	for kind, content := range map[string]string{
		"video": "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom a clip", "sticker": "RIFF\x1a\x00\x00\x00WEBPVP8 \x0e\x00\x00\x00 a sticker..",
	} {
		file := upload(kind, "a file", content)
		function := map[string]string{"video": "messages.sendVideo", "sticker": "messages.sendSticker"}[kind]
		c.say(function, object{kind: object{"id": file.ID}})
		c.gets(content)
	}
	// It downloads without a token.
	_, received := c.attaches("from-the-customer.jpg", picture+" of theirs")
	var content nodeclients.Bytes
	c.does(&content, "media.download", object{"mediaId": received})
	if string(content) != picture+" of theirs" {
		c.t.Errorf("downloaded %d bytes", len(content))
	}
	c.does(nil, "media.delete", object{"mediaId": image.ID})
	c.refused(100, "media.get", object{"mediaId": image.ID})
}

func (c *client) kapsoTemplates() {
	var made struct{ ID, Status, Category string }
	c.does(&made, "templates.create", object{
		"businessAccountId": c.office.accountID, "name": "order_ready", "language": "en_US", "category": "UTILITY", "parameterFormat": "NAMED",
		"components": []object{
			{"type": "BODY", "text": "Hello {{customer_name}}, your order is ready.", "example": object{"bodyTextNamedParams": []object{{"paramName": "customer_name", "example": "Jessica"}}}},
			{"type": "BUTTONS", "buttons": []object{{"type": "QUICK_REPLY", "text": "Thanks"}, {"type": "URL", "text": "Track", "url": "https://shop.test/{{1}}", "example": []string{"7"}}}},
		},
	})
	if made.Status != "APPROVED" || made.ID == "" {
		c.t.Fatalf("created %+v", made)
	}
	var list struct {
		Data []struct{ ID, Name, Language, Status string }
	}
	c.does(&list, "templates.list", object{"businessAccountId": c.office.accountID, "limit": 10, "name": "order_ready"})
	if len(list.Data) != 1 || list.Data[0].ID != made.ID {
		c.t.Errorf("listed %+v", list)
	}
	// Its get asks for a path that the Graph API does not have: a template is asked for by its id alone.
	c.refused(100, "templates.get", object{"businessAccountId": c.office.accountID, "templateId": made.ID})
	var template object
	c.does(&template, "buildTemplateSendPayload", object{
		"name": "order_ready", "language": "en_US", "body": []object{{"type": "text", "text": "Jessica", "parameterName": "customer_name"}},
		"buttons": []object{
			{"type": "button", "subType": "quick_reply", "index": 0, "parameters": []object{{"type": "payload", "payload": "thanks-7"}}},
			{"type": "button", "subType": "url", "index": 1, "parameters": []object{{"type": "text", "text": "7"}}},
		},
	})
	c.say("messages.sendTemplate", object{"template": template})
	c.shows("Hello Jessica, your order is ready.", "Thanks", "https://shop.test/7")
	c.customer.Says(c.office.Business, "Thanks")
	c.sent("the quick reply", `"payload":"thanks-7"`)
	c.does(nil, "templates.delete", object{"businessAccountId": c.office.accountID, "name": "order_ready"})
	if advice := c.refused(132001, "messages.sendTemplate", object{"phoneNumberId": c.office.NumberID, "to": c.from, "template": template}); advice != "fix_and_retry" {
		c.t.Errorf("the client's advice is %q", advice)
	}
}

func (c *client) kapsoNumber() {
	number := object{"phoneNumberId": c.office.NumberID}
	c.does(nil, "phoneNumbers.settings.get", number)
	c.does(nil, "phoneNumbers.businessProfile.get", number)
}

// kapsoWebhooks has the client read a text, a status and a file.
func (c *client) kapsoWebhooks() {
	id := c.say("messages.sendText", object{"body": "One more"})
	c.office.WaitStatus(id, "delivered")
	var w struct {
		Verified, Forged bool
		PhoneNumberID    string
		Contacts         []struct {
			WaID, UserID string
			Profile      struct{ Name string }
		}
		Messages []struct {
			From, FromUserID, ID, Type string
			Text                       struct{ Body string }
			Kapso                      struct{ Direction string }
		}
		Statuses []struct{ ID, Status, RecipientID string }
	}
	status := c.sent("the status", id)
	c.does(&w, "webhook", object{"signature": status.signature, "body": status.body})
	if !w.Verified || w.Forged || len(w.Statuses) != 1 || w.Statuses[0].ID != id || w.Statuses[0].RecipientID != c.from {
		c.t.Errorf("the client reads of a status %+v", w)
	}
	c.customer.Says(c.office.Business, "Grüße ❤")
	text := c.sent("the text", c.office.WaitText("Grüße ❤").ID)
	c.does(&w, "webhook", object{"signature": text.signature, "body": text.body})
	switch {
	case !w.Verified, w.Forged, w.PhoneNumberID != c.office.NumberID, len(w.Messages) != 1, len(w.Contacts) != 1:
		c.t.Errorf("the client reads of a text %+v", w)
	case w.Messages[0].Text.Body != "Grüße ❤", w.Messages[0].Kapso.Direction != "inbound", w.Contacts[0].WaID != c.from, w.Contacts[0].Profile.Name == "":
		c.t.Errorf("the client reads of a text %+v", w)
	case w.Contacts[0].UserID == "", w.Contacts[0].UserID != w.Messages[0].FromUserID:
		c.t.Errorf("the client reads of a text's sender %+v", w)
	default:
		c.toUser(w.Contacts[0].UserID)
	}
}

// toUser sends to the customer's user id instead of the number.
func (c *client) toUser(id string) {
	c.t.Helper()
	var valid bool
	c.does(&valid, "isBusinessScopedUserId", id)
	var a struct {
		Contacts []struct{ Input, WaID, UserID string }
	}
	c.does(&a, "messages.sendText", object{"phoneNumberId": c.office.NumberID, "recipient": id, "body": "Only you"})
	if !valid || len(a.Contacts) != 1 || a.Contacts[0].UserID != id || a.Contacts[0].Input != id || a.Contacts[0].WaID != "" {
		c.t.Errorf("sending to a user id that is valid %t returns %+v", valid, a)
	}
	c.shows("Only you")
}

// kapsoRefused calls what a relay does not serve.
func (c *client) kapsoRefused() {
	to := func(fields object) object {
		fields["phoneNumberId"], fields["to"] = c.office.NumberID, c.from
		return fields
	}
	const unsupportedType = 131051
	c.refused(unsupportedType, "messages.sendInteractiveCatalogMessage", to(object{"bodyText": "All we have"}))
	c.refused(unsupportedType, "messages.sendInteractiveProduct", to(object{"catalogId": "1", "productRetailerId": "2"}))
	c.refused(unsupportedType, "messages.sendInteractiveProductList", to(object{
		"bodyText": "Some", "catalogId": "1", "header": object{"type": "text", "text": "Some"},
		"sections": []object{{"title": "All", "productItems": []object{{"productRetailerId": "2"}}}},
	}))
	c.refused(unsupportedType, "messages.sendInteractiveFlow", to(object{"bodyText": "A form", "parameters": object{"flowId": "1", "flowCta": "Open"}}))
	c.refused(unsupportedType, "messages.sendInteractiveAddress", to(object{"bodyText": "Where?", "parameters": object{"country": "IN"}}))
	c.refused(unsupportedType, "messages.sendInteractiveCallPermission", to(object{"bodyText": "May we?", "parameters": object{"phoneNumber": "+" + c.from}}))
	card := func(i int) object {
		return object{
			"cardIndex": i, "header": object{"type": "image", "image": object{"link": "https://shop.test/1.jpg"}},
			"bodyText": "A card", "action": object{"displayText": "View", "url": "https://shop.test/1"},
		}
	}
	c.refused(unsupportedType, "messages.sendInteractiveCarousel", to(object{"bodyText": "Some", "cards": []object{card(0), card(1)}}))
	number := func(fields object) object { fields["phoneNumberId"] = c.office.NumberID; return fields }
	const noObject = 100
	c.refused(noObject, "phoneNumbers.requestCode", number(object{"codeMethod": "SMS", "language": "en_US"}))
	c.refused(noObject, "phoneNumbers.verifyCode", number(object{"code": "123456"}))
	c.refused(noObject, "phoneNumbers.register", number(object{"pin": "123456"}))
	c.refused(noObject, "phoneNumbers.deregister", number(object{}))
	c.refused(noObject, "calls.connect", to(object{}))
	c.refused(noObject, "calls.permissions.get", number(object{"userWaId": c.from}))
	c.refused(noObject, "flows.create", object{"wabaId": c.office.accountID, "name": "form", "categories": []string{"OTHER"}})
	c.refused(noObject, "flows.list", object{"wabaId": c.office.accountID})
}
