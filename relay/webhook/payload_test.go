package webhook_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/rich"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// sheena is the user id of +16505551234.
const sheena = "US.13491208655302741918"

func mustNumber(t testing.TB, s string) phone.Number {
	t.Helper()
	n, err := phone.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func account(t testing.TB) webhook.Account {
	return webhook.Account{
		BusinessAccountID: "102290129340398", PhoneNumberID: "106540352242922", Phone: mustNumber(t, "+15550783881"),
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".json")
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("payload differs from %s (-want +got):\n%s", path, diff)
	}
}

func TestMessagePayloads(t *testing.T) {
	from, at := mustNumber(t, "+16505551234"), time.Unix(1749416383, 5e8)
	cases := map[string]webhook.Message{
		"text":            {ID: "wamid.x", From: from, User: sheena, Name: "Sheena Nelson", Time: at, Text: "Does it come in another color?"},
		"text-unicode":    {ID: "wamid.x", From: from, User: sheena, Time: at, Text: "Grüße \u2028 ❤ \U0001f600 <b>&\"\n\x00"},
		"text-clear":      {ID: "wamid.x", From: from, User: sheena, Time: at, Text: "hi", Unencrypted: true},
		"image":           {ID: "wamid.x", From: from, User: sheena, Time: at, Media: &webhook.Media{Kind: "image", ID: "1003383421387256", MIME: "image/jpeg", SHA256: [32]byte{1, 2}, Name: "photo.jpg"}},
		"video":           {ID: "wamid.x", From: from, User: sheena, Time: at, Media: &webhook.Media{Kind: "video", ID: "1003383421387256", MIME: "video/mp4"}},
		"voice":           {ID: "wamid.x", From: from, User: sheena, Time: at, Media: &webhook.Media{Kind: "audio", ID: "1003383421387256", MIME: "audio/ogg", Voice: true}},
		"moving-sticker":  {ID: "wamid.x", From: from, User: sheena, Time: at, Media: &webhook.Media{Kind: "sticker", ID: "1003383421387256", MIME: "image/webp", Animated: true}},
		"audio":           {ID: "wamid.x", From: from, User: sheena, Time: at, Media: &webhook.Media{Kind: "audio", ID: "1003383421387256", MIME: "audio/ogg"}},
		"document":        {ID: "wamid.x", From: from, User: sheena, Time: at, Media: &webhook.Media{Kind: "document", ID: "1003383421387256", MIME: "application/pdf", Name: "Plan ä.pdf"}},
		"sticker":         {ID: "wamid.x", From: from, User: sheena, Time: at, Media: &webhook.Media{Kind: "sticker", ID: "1003383421387256", MIME: "image/webp"}},
		"no-media":        {ID: "wamid.x", From: from, User: sheena, Time: at, Errors: []webhook.Error{webhook.MediaDownload("The file is not there any more.")}},
		"reply":           {ID: "wamid.x", From: from, User: sheena, Time: at, Text: "42", Context: &webhook.Context{ID: "wamid.q", From: account(t).Phone}, ContextClear: true},
		"image-reply":     {ID: "wamid.x", From: from, User: sheena, Time: at, Media: &webhook.Media{Kind: "image", ID: "7", MIME: "image/jpeg"}, Context: &webhook.Context{ID: "wamid.o", From: from, User: sheena}},
		"edit":            {ID: "wamid.x", From: from, User: sheena, Time: at, Text: "43", Context: &webhook.Context{ID: "wamid.q", From: account(t).Phone}, ContextClear: true, Corrects: "wamid.o", CorrectsClear: true},
		"place":           {ID: "wamid.x", From: from, User: sheena, Time: at, Text: "geo:50.1,8.6", Place: &rich.Place{Latitude: 50.1, Longitude: 8.6}},
		"button":          {ID: "wamid.x", From: from, User: sheena, Time: at, Text: "1", Context: &webhook.Context{ID: "wamid.q", From: account(t).Phone}, Chosen: &webhook.Chosen{Kind: "button_reply", Choice: rich.Choice{ID: "yes", Title: "Yes"}}},
		"template-button": {ID: "wamid.x", From: from, User: sheena, Time: at, Text: "1", Context: &webhook.Context{ID: "wamid.q", From: account(t).Phone}, Chosen: &webhook.Chosen{Kind: "button", Choice: rich.Choice{ID: "stop-it", Title: "Stop"}}},
		"row":             {ID: "wamid.x", From: from, User: sheena, Time: at, Text: "Tea", Context: &webhook.Context{ID: "wamid.q", From: account(t).Phone}, Chosen: &webhook.Chosen{Kind: "list_reply", Choice: rich.Choice{ID: "tea", Title: "Tea", Description: "hot"}}},
		"damaged-place":   {ID: "wamid.x", From: from, User: sheena, Time: at, Place: &rich.Place{}, Errors: []webhook.Error{webhook.Unsupported("It is damaged.")}},
		"unsupported":     {ID: "wamid.x", From: from, User: sheena, Time: at, Errors: []webhook.Error{webhook.Unsupported("It could not be decrypted.")}},
		"text-control":    {ID: "wamid.x", From: from, User: sheena, Name: "S\x00N", Time: at, Text: "a\x00b\x7fc\\u0000"},
	}
	for name, m := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := account(t).MessagePayload(m)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "message-"+name, got)
		})
	}
}

func TestRemarkPayloads(t *testing.T) {
	from, at := mustNumber(t, "+16505551234"), time.Unix(1749416383, 0)
	for name, emoji := range map[string]string{"reaction": "👍🏽", "reaction-removed": ""} {
		got, err := account(t).ReactionPayload(webhook.Reaction{ID: "wamid.x", From: from, User: sheena, Name: "Sheena Nelson", Time: at, About: "wamid.q", Emoji: emoji, Unencrypted: true})
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "message-"+name, got)
	}
	got, err := account(t).RevokePayload(webhook.Revoke{ID: "wamid.x", From: from, User: sheena, Time: at, About: "wamid.o", Unencrypted: true})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "message-revoke", got)
}

func TestStatusPayloads(t *testing.T) {
	for _, s := range []webhook.State{webhook.Sent, webhook.Delivered, webhook.Read, webhook.Failed} {
		t.Run(string(s), func(t *testing.T) {
			status := webhook.Status{ID: "wamid.x", State: s, Time: time.Unix(1739321024, 0), Recipient: mustNumber(t, "+16505551234"), User: sheena, Name: "Sheena Nelson"}
			if s == webhook.Failed {
				status.Errors = []webhook.Error{webhook.Undeliverable("The recipient has no OMEMO device.")}
			}
			if s == webhook.Sent {
				status.Opaque = "order 7"
			}
			got, err := account(t).StatusPayload(status)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "status-"+string(s), got)
		})
	}
}

// FuzzMessagePayload holds that whatever a customer writes, the payload is printable ASCII and
// the receiver decodes the same text, with U+FFFD for what it could not store.
func FuzzMessagePayload(f *testing.F) {
	f.Add("Grüße ❤ \U0001f600")
	f.Add("\x00\u2028\\u00e4\"")
	f.Add("\x7f\\\x00\\u0000\\\\\x00")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := account(t).MessagePayload(webhook.Message{ID: "wamid.x", From: mustNumber(t, "+16505551234"), Text: text})
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range got {
			if b < ' ' || b > '~' {
				t.Fatal("payload is not printable ASCII")
			}
		}
		if strings.Contains(strings.ReplaceAll(string(got), `\\`, ""), `\u0000`) {
			t.Fatal("payload has a NUL")
		}
		back, err := webhooktest.Decode(got)
		if err != nil {
			t.Fatal(err)
		}
		// JSON has no way to write bytes that are not UTF-8.
		if want := strings.ReplaceAll(string([]rune(text)), "\x00", "\ufffd"); back[0].Text != want {
			t.Fatal("the text changed")
		}
	})
}

func TestSignatureMatchesThePublishedVector(t *testing.T) {
	got := webhook.Sign("test_app_secret", []byte(`{"object":"whatsapp_business_account","entry":[]}`))
	const want = "sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
