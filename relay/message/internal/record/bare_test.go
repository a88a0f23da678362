package record_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/rich"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

const secret = "SECRET"

// everything is a message's content with a secret in each field that somebody writes.
func everything() record.Content {
	return record.Content{
		Text: secret, ToUser: true, Markable: true, ReplyTo: "a", Quoted: 3, Corrects: "b",
		Choices: []rich.Choice{{ID: secret, Title: secret}}, ChoiceKind: secret, Chosen: &webhook.Chosen{Choice: rich.Choice{ID: secret}}, Place: &rich.Place{Name: secret},
		Reaction: &record.Reaction{Emoji: secret}, At: time.Unix(1, 0).UTC(), Whole: secret, Caption: secret,
		Media:    &record.Attached{Kind: media.Image, ID: secret, From: secret, Described: &record.Described{Name: secret}, URLHash: secret},
		Envelope: &carrier.Envelope{Payload: []byte(secret)}, Other: &carrier.Envelope{IV: []byte(secret)},
		Failure: "why", IdentityHash: "hash", Unproven: true, Resent: 1, Bounces: 2, Waits: true, With: "c",
	}
}

func TestBare_LeavesOutWhatSomebodyWrote(t *testing.T) {
	body, err := everything().Encode()
	if err != nil {
		t.Fatal(err)
	}
	bare, err := record.Bare(body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(bare), secret) || strings.Contains(string(bare), "U0VDUkVU") {
		t.Errorf("it holds content: %q", bare)
	}
	got, err := record.ContentOf(store.Message{Body: bare})
	want := record.Content{
		ToUser: true, Markable: true, ReplyTo: "a", Quoted: 3, Corrects: "b", At: time.Unix(1, 0).UTC(),
		Failure: "why", IdentityHash: "hash", Unproven: true, Resent: 1, Bounces: 2, Waits: true, With: "c",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("it is %+v, %v", got, err)
	}
	if twice, err := record.Bare(bare); err != nil || !bytes.Equal(twice, bare) {
		t.Errorf("taken out twice it is %q, %v", twice, err)
	}
}

// TestBare_EveryFieldIsJudged fails when a field is added to Content: say in Bare whether it may be stored.
func TestBare_EveryFieldIsJudged(t *testing.T) {
	if n := reflect.TypeFor[record.Content]().NumField(); n != 37 {
		t.Errorf("Content has %d fields: does Bare know them?", n)
	}
}

func TestBareJob_KeepsTheReceiptAndTheLetter(t *testing.T) {
	told := []byte("\x01" + `{"name":"n","media":{"Name":"` + secret + `"}}`)
	receipt := record.Confirm{Stanza: "s", Parts: true}
	job, err := receipt.On(told)
	if err != nil {
		t.Fatal(err)
	}
	letter := record.Letter{Failure: "why"}
	if job, err = letter.Encode(job); err != nil {
		t.Fatal(err)
	}
	bare, err := record.BareJob(true, job)
	if err != nil || bytes.Contains(bare, []byte(secret)) {
		t.Fatalf("it is %q, %v", bare, err)
	}
	l, body, err := record.LetterOf(bare)
	if err != nil || l != letter {
		t.Errorf("the letter is %+v, %v", l, err)
	}
	if c, rest, err := record.ConfirmOf(body); err != nil || c != receipt || !bytes.HasPrefix(rest, []byte("\x01{")) {
		t.Errorf("the receipt is %+v, %q, %v", c, rest, err)
	}
}

func TestBareJob_LeavesOthersAsTheyAre(t *testing.T) {
	for job, webhooks := range map[string]bool{`{"kind":"text"}`: false, "\x01" + `{"name":"n"}`: true} {
		if bare, err := record.BareJob(webhooks, []byte(job)); err != nil || string(bare) != job {
			t.Errorf("%q became %q, %v", job, bare, err)
		}
	}
}

// FuzzBareMessage holds that no message's body, whatever is in it, keeps a field that may be somebody's words.
func FuzzBareMessage(tf *testing.F) {
	f := mutation.Of(tf)
	for _, c := range []record.Content{{Text: "text", Caption: "caption"}, everything()} {
		body, err := c.Encode()
		if err != nil {
			tf.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"text":"an earlier release's","reaction":{"emoji":"👍"},"envelope":{"Payload":"AAAA"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		bare, err := record.Bare(body)
		if err != nil {
			return
		}
		if again, err := record.Bare(bare); err != nil || !bytes.Equal(again, bare) {
			t.Errorf("taken out twice it is another: %v", err)
		}
		c, err := record.ContentOf(store.Message{Body: bare})
		if err != nil {
			t.Fatal(err)
		}
		if c.Text != "" || c.Caption != "" || c.Whole != "" || c.ChoiceKind != "" || len(c.Choices) > 0 || c.Chosen != nil || c.Place != nil ||
			c.Reaction != nil || c.Media != nil || c.Envelope != nil || c.Other != nil {
			t.Errorf("it keeps content: %q", bare)
		}
		own, err := record.Own(body)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := record.ContentOf(store.Message{Body: own}); err != nil || c.Chosen != nil || c.Envelope != nil || c.Other != nil {
			t.Errorf("it keeps what was copied: %q, %v", own, err)
		}
	})
}

func FuzzBareJob(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add([]byte("\x01{}"))
	f.Add([]byte("\x03\x02{}\x01{}"))
	f.Add([]byte("\x02\x02{}\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01{}"))
	f.Add([]byte(`{"entry":[{"changes":[{"field":"messages","value":{"statuses":[{"biz_opaque_callback_data":"x"}]}}]}]}`))
	f.Fuzz(func(t *testing.T, job []byte) {
		bare, err := record.BareJob(true, job)
		if err != nil {
			return
		}
		if again, err := record.BareJob(true, bare); err != nil || !bytes.Equal(again, bare) {
			t.Errorf("%q became %q, then %q, %v", job, bare, again, err)
		}
	})
}
