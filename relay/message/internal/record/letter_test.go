package record_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

func TestLetter_KeepsTheWebhookAsItWas(t *testing.T) {
	l := record.Letter{Died: time.Unix(7, 0).UTC(), Attempts: 3, Failure: "why"}
	for _, body := range []string{`{"object":"x"}`, "\x01{}", "\x02"} {
		job, err := l.Encode([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got, rest, err := record.LetterOf(job); err != nil || got != l || string(rest) != body {
			t.Errorf("%q became %+v, %q, %v", body, got, rest, err)
		}
	}
	if got, rest, err := record.LetterOf([]byte(`{"object":"x"}`)); err != nil || got != (record.Letter{}) || string(rest) != `{"object":"x"}` {
		t.Errorf("a webhook that never was one: %+v, %q, %v", got, rest, err)
	}
}

func FuzzLetterOf(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add([]byte("\x02\x02{}{}"))
	f.Add([]byte("\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01{}"))
	f.Add([]byte(`{"object":"x"}`))
	f.Fuzz(func(t *testing.T, job []byte) {
		_, body, err := record.LetterOf(job)
		if err == nil && !bytes.HasSuffix(job, body) || err != nil && body != nil {
			t.Errorf("%q has the body %q, %v", job, body, err)
		}
	})
}
