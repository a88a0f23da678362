package xmpp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

func TestUpload_TravelsThroughTheService(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b := online(t, config(t, s, xmpptest.Business))
		domain, addr, ca := s.Where()
		web, err := media.NewCarrier(media.Carrier{Domain: domain, Address: addr, CABundle: ca})
		if err != nil {
			t.Fatal(err)
		}
		defer web.Close()
		body := bytes.Repeat([]byte("ciphertext"), 10_000)
		for range 2 { // the second asks the service that the first found
			slot, err := b.UploadSlot(t.Context(), "x.jpg", int64(len(body)))
			if err != nil {
				t.Fatal(err)
			}
			if err := web.Put(t.Context(), slot.Put, slot.Header, bytes.NewReader(body), int64(len(body))); err != nil {
				t.Fatal(err)
			}
			if got := download(t, web, slot.Get); !bytes.Equal(got, body) {
				t.Errorf("%d bytes came back", len(got))
			}
		}
	})
}

func download(t *testing.T, web *media.Client, link string) []byte {
	t.Helper()
	f, err := web.Get(context.Background(), link, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestUpload_RefusedByTheServerIsRejected(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b := online(t, config(t, s, xmpptest.Business))
		if _, err := b.UploadSlot(t.Context(), "x.jpg", 1<<40); !errors.Is(err, carrier.ErrRejected) {
			t.Errorf("a terabyte is %v", err)
		}
	})
}

func TestUpload_ServerWithoutServiceHasNone(t *testing.T) {
	s := prosody.StartT(t, prosody.Options{Registration: true, NoUploads: true})
	b := online(t, config(t, s, xmpptest.Business))
	if _, err := b.UploadSlot(t.Context(), "x.jpg", 1); !errors.Is(err, carrier.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}

func TestSlots(t *testing.T) {
	slot := func(put, get, headers string) string {
		return "<slot xmlns='" + nsUpload + "'><put url='" + put + "'>" + headers + "</put><get url='" + get + "'/></slot>"
	}
	const good = "https://up.test/1"
	for name, tt := range map[string]struct {
		text string
		want *carrier.Slot
	}{
		"plain": {slot(good, good, ""), &carrier.Slot{Put: good, Get: good}},
		"headers": {
			slot(good, good, "<header name='authorization'>x</header><header name='Host'>evil.test</header>"),
			&carrier.Slot{Put: good, Get: good, Header: http.Header{"Authorization": {"x"}}},
		},
		"header with a line":  {slot(good, good, "<header name='Cookie'>x&#10;y</header>"), nil},
		"long header":         {slot(good, good, "<header name='Cookie'>"+strings.Repeat("x", maxSlotHeader+1)+"</header>"), nil},
		"in clear":            {slot("http://up.test/1", good, ""), nil},
		"get in clear":        {slot(good, "http://up.test/1", ""), nil},
		"password":            {slot("https://a:b@up.test/1", good, ""), nil},
		"relative":            {slot("/1", good, ""), nil},
		"long":                {slot(good+strings.Repeat("x", maxSlotURL), good, ""), nil},
		"without get":         {"<slot xmlns='" + nsUpload + "'><put url='" + good + "'/></slot>", nil},
		"of another protocol": {"<slot xmlns='urn:xmpp:http:upload'><put url='" + good + "'/><get url='" + good + "'/></slot>", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseSlot(mustParse(t, tt.text))
			if tt.want == nil {
				if err == nil {
					t.Errorf("read as %+v", got)
				}
				return
			}
			if diff := cmp.Diff(*tt.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func FuzzSlot(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add("<slot xmlns='" + nsUpload + "'><put url='https://up.test/1'><header name='Cookie'>x</header></put><get url='https://up.test/1'/></slot>")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parse(text)
		if err != nil {
			return
		}
		s, err := parseSlot(e)
		if err == nil && (!secure(s.Put) || !secure(s.Get)) {
			t.Errorf("slot %+v", s)
		}
		for name, values := range s.Header {
			if strings.ContainsAny(name+strings.Join(values, ""), "\r\n") {
				t.Errorf("header %q", name)
			}
		}
	})
}
