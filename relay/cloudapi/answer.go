package cloudapi

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"
)

// answer writes one answer, with the headers that clients of the Graph API know.
type answer struct {
	w     http.ResponseWriter
	trace string
}

func newAnswer(w http.ResponseWriter, version string) answer {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	a := answer{w: w, trace: "A" + base64.RawURLEncoding.EncodeToString(id[:])}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Set("Cache-Control", "private, no-cache, no-store, must-revalidate")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Fb-Trace-Id", a.trace)
	h.Set("X-Fb-Request-Id", a.trace)
	if version != "" {
		h.Set("Facebook-Api-Version", version)
	}
	return a
}

// succeed writes body with status 200.
func (a answer) succeed(body any) { a.write(http.StatusOK, body) }

// errorBody is the Graph API's error object.
type errorBody struct {
	*blockAnswer
	Error errorObject `json:"error"`
}

// fail writes e.
func (a answer) fail(e *Error) {
	h := a.w.Header()
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(float64(e.RetryAfter)/float64(time.Second)))))
	}
	if e.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `OAuth "Facebook Platform" "invalid_token" "`+e.Message+`"`)
	}
	a.write(e.Status, errorBody{e.blocks, e.object(a.trace)})
}

// object is the error as it is written; trace may be empty.
func (e *Error) object(trace string) errorObject {
	o := errorObject{Message: e.Message, Type: e.Type, Code: e.Code, Subcode: e.Subcode, TraceID: trace}
	if e.Details != "" {
		o.Data = &errorData{MessagingProduct: product, Details: e.Details}
	}
	return o
}

// write has nobody to tell when it fails: the client is gone.
func (a answer) write(status int, body any) {
	data, err := json.Marshal(body)
	if err != nil { // cannot happen: bodies are our own structs
		status, data = http.StatusInternalServerError, []byte(`{"error":{"message":"(#131000) Something went wrong","type":"OAuthException","code":131000}}`)
	}
	a.w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	a.w.WriteHeader(status)
	_, _ = a.w.Write(data)
}

const product = "whatsapp"
