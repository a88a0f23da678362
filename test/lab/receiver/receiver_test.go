package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fixture is a receiver, what it printed, and its credentials file.
func fixture(t *testing.T, known string) (*receiver, *bytes.Buffer) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credentials.json")
	if known != "" {
		if err := os.WriteFile(file, []byte(known), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	return &receiver{credentialsFile: file, out: &out, now: func() time.Time { return at }}, &out
}

const known = `{"accessToken":"A","verifyToken":"V","webhookSecret":"S"}`

func sign(body, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func post(r *receiver, body, signature string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader(body))
	req.Header.Set(signatureHeader, signature)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

func TestHandshakeAnswersTheChallengeToTheRightTokenOnly(t *testing.T) {
	r, _ := fixture(t, known)
	for query, want := range map[string]int{
		"hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=V": http.StatusOK,
		"hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=W": http.StatusForbidden,
		"hub.mode=subscribe&hub.challenge=1158201444":                    http.StatusForbidden,
		"hub.challenge=1158201444&hub.verify_token=V":                    http.StatusForbidden,
	} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/webhook?"+query, nil))
		if w.Code != want || (want == http.StatusOK) != (w.Body.String() == "1158201444") {
			t.Errorf("%s: %d %q", query, w.Code, w.Body)
		}
	}
}

func TestSignedWebhookIsPrintedAndOthersAreRefused(t *testing.T) {
	const body = `{"object": "whatsapp_business_account", "entry": []}`
	r, out := fixture(t, known)
	if w := post(r, body, sign(body, "S")); w.Code != http.StatusOK {
		t.Fatalf("the signed one got %d", w.Code)
	}
	const want = `{"time":"2026-11-23T09:00:00Z","event":"webhook","body":{"object":"whatsapp_business_account","entry":[]}}` + "\n"
	if out.String() != want {
		t.Errorf("printed %s", out)
	}
	for name, signature := range map[string]string{
		"none": "", "another secret": sign(body, "T"), "another body": sign(body+" ", "S"),
		"no hex": "sha256=zz", "no prefix": strings.TrimPrefix(sign(body, "S"), "sha256="),
	} {
		out.Reset()
		if w := post(r, body, signature); w.Code != http.StatusUnauthorized {
			t.Errorf("signature %s got %d", name, w.Code)
		}
		if strings.Contains(out.String(), "whatsapp") {
			t.Errorf("signature %s: the body was printed", name)
		}
	}
}

func TestWebhookThatIsTooLongOrNoJSONIsRefused(t *testing.T) {
	r, _ := fixture(t, known)
	long := strings.Repeat(" ", maxBody+1)
	if w := post(r, long, sign(long, "S")); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("too long: %d", w.Code)
	}
	if w := post(r, "{", sign("{", "S")); w.Code != http.StatusBadRequest {
		t.Errorf("no JSON: %d", w.Code)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/webhook", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", w.Code)
	}
}

func TestCredentialsMayComeLater(t *testing.T) {
	for _, early := range []string{"", "{", `{"verifyToken":"V"}`} {
		r, _ := fixture(t, early)
		if w := post(r, "{}", sign("{}", "S")); w.Code != http.StatusServiceUnavailable {
			t.Errorf("with credentials %q: %d", early, w.Code)
		}
		if err := os.WriteFile(r.credentialsFile, []byte(known), 0o600); err != nil {
			t.Fatal(err)
		}
		if w := post(r, "{}", sign("{}", "S")); w.Code != http.StatusOK {
			t.Errorf("after they came: %d", w.Code)
		}
	}
}

func FuzzSignatureHeader(f *testing.F) {
	f.Add("sha256=00", []byte("{}"))
	f.Add(sign("{}", "S"), []byte("{}"))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		if signed(body, header, "S") && !strings.EqualFold(header, sign(string(body), "S")) {
			t.Errorf("%q passes as the signature of %q", header, body)
		}
	})
}

func TestLines_AreOneObjectEach(t *testing.T) {
	r, out := fixture(t, known)
	body := "{\n \"text\": \"two\\nlines\"\n}"
	post(r, body, sign(body, "S"))
	post(r, body, "")
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	for _, l := range lines {
		var d delivery
		if err := json.Unmarshal([]byte(l), &d); err != nil {
			t.Errorf("%s: %v", l, err)
		}
	}
}
