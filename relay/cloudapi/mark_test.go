package cloudapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

const sharedHost = "api.relays.example.org"

// askShared asks as a client does that finds the relay at a host name which others have as well. What it sends is held
// against nothing: docs/openapi.yaml has each path once.
func askShared(h http.Handler, method, path, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://"+sharedHost+path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func sharedOptions(t *testing.T, s cloudapi.Service) cloudapi.Options {
	t.Helper()
	o := options(t, s)
	o.BaseURL, o.Hosts, o.MarkFiles = "https://acme-relay.acme.relays.example.org", []string{sharedHost}, true
	return o
}

func TestSharedHost_FilesLifeHappensBelowTheNumbersID(t *testing.T) {
	s := &service{}
	h := cloudapi.New(sharedOptions(t, s))
	body, contentType := multipartBody(t, whatsapp, part{"file", "image/png", "a.png", png})
	var uploaded struct{ ID string }
	if err := json.Unmarshal(askShared(h, "POST", "/v23.0/"+numberID+"/media", contentType, body).Body.Bytes(), &uploaded); err != nil {
		t.Fatal(err)
	}
	if uploaded.ID != numberID+"/"+fileID {
		t.Fatalf("the upload's id is %q", uploaded.ID)
	}

	var described struct{ ID, URL string }
	w := askShared(h, "GET", "/v23.0/"+uploaded.ID, "", "")
	if err := json.Unmarshal(w.Body.Bytes(), &described); err != nil || described.ID != uploaded.ID {
		t.Fatalf("the file is described as %s: %v", w.Body, err)
	}
	at, err := url.Parse(described.URL)
	if err != nil || at.Host != sharedHost || !strings.HasPrefix(at.Path, "/"+numberID+"/") {
		t.Fatalf("the file's address is %s: %v", described.URL, err)
	}
	plain := httptest.NewRecorder() // without a token: the address is signed
	h.ServeHTTP(plain, httptest.NewRequest(http.MethodGet, described.URL, nil))
	if plain.Code != http.StatusOK || plain.Body.String() != png {
		t.Errorf("the download is %d with %d bytes", plain.Code, plain.Body.Len())
	}

	w = askShared(h, "POST", "/v23.0/"+numberID+"/messages", "application/json",
		`{"messaging_product":"whatsapp","to":"+16505551234","type":"image","image":{"id":"`+uploaded.ID+`"}}`)
	if w.Code != http.StatusOK || len(s.attachments) != 1 || s.attachments[0].ID != fileID {
		t.Errorf("sending it: %d %s, %v", w.Code, w.Body, s.attachments)
	}
	if w := askShared(h, "DELETE", "/v23.0/"+uploaded.ID, "", ""); w.Code != http.StatusOK || len(s.files) != 0 {
		t.Errorf("removing it: %d %s", w.Code, w.Body)
	}
}

func TestSharedHost_IDsWithAndWithoutTheNumberWorkAtEveryRelay(t *testing.T) {
	for _, marked := range []bool{false, true} {
		s := &service{files: map[string]storedFile{fileID: {cloudapi.File{ID: fileID, MIME: "image/png"}, []byte(png)}}}
		o := options(t, s)
		o.MarkFiles = marked
		h := cloudapi.New(o)
		for _, path := range []string{
			"/v23.0/" + fileID, "/" + fileID, "/v23.0/" + numberID + "/" + fileID, "/" + numberID + "/" + fileID,
			"/media/" + fileID, "/" + numberID + "/media/" + fileID, "/v23.0/" + numberID + "%2F" + fileID,
		} {
			if w := askShared(h, "GET", path, "", ""); w.Code != http.StatusOK {
				t.Errorf("marked=%t: %s: %d %s", marked, path, w.Code, w.Body)
			}
		}
	}
}

func TestSharedHost_AnothersNumberInAPathIsNoObject(t *testing.T) {
	s := &service{files: map[string]storedFile{fileID: {cloudapi.File{ID: fileID, MIME: "image/png"}, []byte(png)}}}
	h := cloudapi.New(sharedOptions(t, s))
	const other = "555555555555555"
	for _, path := range []string{"/v23.0/" + other + "/" + fileID, "/" + other + "/media/" + fileID} {
		if w := askShared(h, "GET", path, "", ""); w.Code == http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	without := httptest.NewRecorder()
	h.ServeHTTP(without, httptest.NewRequest(http.MethodGet, "/v23.0/"+numberID+"/"+fileID, nil))
	if without.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", without.Code)
	}
}
