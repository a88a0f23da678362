package cloudapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/media"
)

// contacts is a message of these contacts.
func contacts(list string) string {
	return `{"messaging_product":"whatsapp","to":"16505551234","type":"contacts","biz_opaque_callback_data":"7","contacts":` + list + `}`
}

func TestContacts_BecomeAFileOfVCardsWithAText(t *testing.T) {
	s := &service{}
	w := call(cloudapi.New(options(t, s)), http.MethodPost, messages, contacts(`[{"name":{"formatted_name":"Barbara J. Johnson","first_name":"Barbara"},`+
		`"phones":[{"phone":"+1 650 555 9999","type":"CELL"},{"wa_id":16505550000}],"emails":[{"email":"bj@luckyshrub.test"}],"org":{"company":"Lucky Shrub"},`+
		`"urls":[{"url":"https://luckyshrub.test","type":"WORK"}],"addresses":[{"city":"Menlo Park","zip":94025,"country_code":"US"}],"birthday":"1999-01-23"}]`))
	if w.Code != http.StatusOK || len(s.attachments) != 1 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	const text = "Barbara J. Johnson\nLucky Shrub\n+1 650 555 9999 (CELL)\n+16505550000\nbj@luckyshrub.test\nMenlo Park, 94025, US\nhttps://luckyshrub.test (WORK)"
	want := cloudapi.Attachment{To: mustNumber(t, "+16505551234"), Kind: media.Document, ID: fileID, Caption: text, Opaque: "7"}
	if diff := cmp.Diff(want, s.attachments[0], sameNumber()); diff != "" {
		t.Errorf("sent as\n%s", diff)
	}
	const file = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Barbara J. Johnson\r\nN:;Barbara;;;\r\nORG:Lucky Shrub;\r\nTEL;TYPE=CELL:+1 650 555 9999\r\nTEL:+16505550000\r\n" +
		"EMAIL:bj@luckyshrub.test\r\nADR:;;;Menlo Park;;94025;US\r\nURL;TYPE=WORK:https://luckyshrub.test\r\nBDAY:1999-01-23\r\nEND:VCARD\r\n"
	if f := s.files[fileID]; f.MIME != media.VCard || string(f.content) != file {
		t.Errorf("the file is %s: %q", f.MIME, f.content)
	}
}

// Each refusal names the parameter, and nothing is stored.
func TestContacts_RefusesWhatTheAPIDoes(t *testing.T) {
	with := func(field string) string { return contacts(`[{"name":{"formatted_name":"x"},` + field + `}]`) }
	list := func(n int, one string) string { return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]" }
	for name, q := range map[string]struct {
		body, param string
		code        int
	}{
		"nothing":            {`{"messaging_product":"whatsapp","to":"16505551234","type":"contacts"}`, "contacts", 131008},
		"none":               {contacts(`[]`), "contacts", 131008},
		"an object":          {contacts(`{}`), "contacts", 100},
		"258":                {contacts(list(258, `{"name":{"formatted_name":"x"}}`)), "contacts", 100},
		"no name":            {contacts(`[{}]`), "contacts.name.formatted_name", 131008},
		"an empty name":      {contacts(`[{"name":{"first_name":"x"}}]`), "contacts.name.formatted_name", 131008},
		"a long name":        {contacts(`[{"name":{"formatted_name":"` + strings.Repeat("x", 1001) + `"}}]`), "contacts.name", 100},
		"a number's object":  {with(`"phones":[{"phone":{}}]`), "contacts.phones.phone", 100},
		"no number":          {with(`"phones":[{"type":"CELL"}]`), "contacts.phones.phone", 131008},
		"no address":         {with(`"emails":[{}]`), "contacts.emails.email", 131008},
		"no link":            {with(`"urls":[{}]`), "contacts.urls.url", 131008},
		"many addresses":     {with(`"addresses":` + list(33, `{}`)), "contacts.addresses", 100},
		"another birthday":   {with(`"birthday":"23.1.1999"`), "contacts.birthday", 131009},
		"no day":             {with(`"birthday":"1999-02-30"`), "contacts.birthday", 131009},
		"a long postal code": {with(`"addresses":[{"zip":"` + strings.Repeat("1", 1001) + `"}]`), "contacts.addresses", 100},
	} {
		s := &service{}
		w := call(cloudapi.New(options(t, s)), http.MethodPost, messages, q.body)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), fmt.Sprintf(`"code":%d,`, q.code)) || !strings.Contains(w.Body.String(), q.param) || len(s.files)+len(s.attachments) != 0 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// The file stays where the message may have been stored although the service reports an error.
func TestContacts_LeaveNoFileWhenTheyAreRefused(t *testing.T) {
	for err, files := range map[error]int{cloudapi.ErrRecipientFull: 0, &cloudapi.LimitError{}: 0, cloudapi.ErrUnavailable: 1, errors.New("commit"): 1} {
		s := &refusing{err: err}
		w := call(cloudapi.New(options(t, s)), http.MethodPost, messages, contacts(`[{"name":{"formatted_name":"x"}}]`))
		if w.Code == http.StatusOK || len(s.files) != files {
			t.Errorf("%v: %d %s, %d files", err, w.Code, w.Body, len(s.files))
		}
	}
}

// refusing is a service that accepts files but no messages.
type refusing struct {
	service
	err error
}

func (s *refusing) AcceptAttachment(context.Context, cloudapi.Attachment) (string, error) {
	return "", s.err
}
