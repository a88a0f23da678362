package cloudapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// ThrottledStatus is the HTTP status for all rate limits. The API's documentation says 400, but
// generic HTTP clients back off only on 429, and the API's own clients read the code in the body:
// 429 suits all of them.
const ThrottledStatus = http.StatusTooManyRequests

// Codes of the API's errors (developers.facebook.com, "Cloud API error codes").
const (
	CodeInvalidParameter = 100
	CodeToken            = 190
	CodeThroughput       = 130429
	CodeInternal         = 131000
	CodeAccess           = 131005
	CodeMissingParameter = 131008
	CodeInvalidValue     = 131009
	CodeUnavailable      = 131016
	CodeToSelf           = 131021
	CodeUndeliverable    = 131026
	CodeSpamLimit        = 131048
	CodeOptedOut         = 131050
	CodeUnsupportedType  = 131051
	CodeNotToUser        = 131062
	CodeMediaUpload      = 131053
	CodePairRate         = 131056
	CodeTemplateCount    = 132000
	CodeNoTemplate       = 132001
	CodeTemplateLength   = 132005
	CodeTemplateFormat   = 132012
	CodeBlock            = 139100
	CodeBlockListFull    = 139101
)

const (
	oauthException       = "OAuthException"
	graphMethodException = "GraphMethodException"
	subcodeNoObject      = 33
	subcodeExpired       = 463
)

// Error is an error object of the API, with its HTTP status. Its texts never repeat what a
// request said, except names of fields.
type Error struct {
	Status     int
	Code       int
	Subcode    int // 0 for none
	Type       string
	Message    string
	Details    string        // empty for none
	RetryAfter time.Duration // 0 for none

	blocks *blockAnswer // what was done all the same
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("API error %d: %s", e.Code, e.Message) }

// coded makes an error with the customary "(#code) title" message.
func coded(status, code int, title, details string) *Error {
	return &Error{
		Status: status, Code: code, Type: oauthException,
		Message: fmt.Sprintf("(#%d) %s", code, title), Details: details,
	}
}

func errToken(message string) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: CodeToken, Type: oauthException, Message: message}
}

// errTokenExpired has the subcode that the Graph API has for it.
func errTokenExpired() *Error {
	e := errToken("The access token has expired.")
	e.Subcode = subcodeExpired
	return e
}

// maxShownID bounds how much of a path an error repeats.
const maxShownID = 32

// errNoObject is the Graph API's answer for an id or an edge that does not exist.
// The id is repeated only when it looks like one.
func errNoObject(method, object string) *Error {
	if !digits(object) || len(object) > maxShownID {
		object = "unknown"
	}
	return &Error{
		Status: http.StatusBadRequest, Code: CodeInvalidParameter, Subcode: subcodeNoObject, Type: graphMethodException,
		Message: fmt.Sprintf("Unsupported %s request. Object with ID '%s' does not exist, cannot be loaded due to "+
			"missing permissions, or does not support this operation", verb(method), object),
	}
}

// verb names a method in an error, and only methods that exist.
func verb(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodDelete:
		return strings.ToLower(method)
	}
	return "method"
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func errInvalidParameter(details string) *Error {
	return coded(http.StatusBadRequest, CodeInvalidParameter, "Invalid parameter", details)
}

// errNoField is the Graph API's answer for a field that an object does not have.
func errNoField() *Error { return errInvalidParameter("Tried accessing a nonexisting field.") }

// errDenied is the answer to what a caller may not do, such as a change that the BusinessRelay decides about.
func errDenied(details string) *Error {
	return coded(http.StatusForbidden, CodeAccess, "Access denied", details)
}

func errTooLarge(limit int64) *Error {
	return coded(http.StatusRequestEntityTooLarge, CodeInvalidParameter, "Invalid parameter",
		fmt.Sprintf("The request body is larger than %d bytes.", limit))
}

func errMissing(field string) *Error {
	return coded(http.StatusBadRequest, CodeMissingParameter, "Required parameter is missing",
		fmt.Sprintf("The parameter %s is required.", field))
}

func errInvalidValue(details string) *Error {
	return coded(http.StatusBadRequest, CodeInvalidValue, "Parameter value is not valid", details)
}

// required checks that a parameter has a value.
func required(param, value string) error {
	if value == "" {
		return errMissing(param)
	}
	return nil
}

// checkProduct checks the parameter messaging_product.
func checkProduct(value string) error {
	if value != "" && value != product {
		return errInvalidValue(`messaging_product must be "whatsapp".`)
	}
	return required("messaging_product", value)
}

// atMost checks how many characters a parameter has.
func atMost(param, value string, most int) error {
	if utf8.RuneCountInString(value) > most {
		return errInvalidParameter(fmt.Sprintf("Param %s must be at most %d characters long.", param, most))
	}
	return nil
}

// errNumber says why a parameter is no number that a message can go to.
func errNumber(param string, err error) *Error {
	if errors.Is(err, phone.ErrTrunkZero) {
		return errInvalidValue(param + " has a zero in parentheses: write the number as it is dialled from abroad, without parentheses.")
	}
	return errInvalidValue(param + " must be a phone number with its country code.")
}

// errUser says that a parameter is no user id.
func errUser(param string) *Error {
	return errInvalidValue(param + " must be a user id: two capital letters, a full stop and 1 to 128 letters and digits.")
}

// errNobody says that a parameter is the user id of nobody.
func errNobody(param string) *Error {
	return coded(http.StatusBadRequest, CodeUndeliverable, "Message undeliverable",
		param+" names no customer: a user id ends when nothing was written for longer than the retention, and when the customer is erased.")
}

// errHidden says that a parameter is a number where the business is to know none.
func errHidden(param, instead string) *Error {
	return errInvalidValue(fmt.Sprintf("%s is not taken: this relay knows customers by user id only (privacy.shareNumbers), so use %s.", param, instead))
}

// errNotToUser says that a template is none for a user id. The code that it contains proves to whom a
// number belongs.
func errNotToUser() *Error {
	return coded(http.StatusBadRequest, CodeNotToUser, "Message type cannot be sent to a business-scoped user ID",
		"An authentication template goes to a phone number only: write it in to.")
}

func errUnsupportedType() *Error {
	return coded(http.StatusBadRequest, CodeUnsupportedType, "Unsupported message type",
		"This relay sends messages of the types text, reaction, image, video, audio, document, sticker, location, contacts, interactive and template.")
}

func errToSelf() *Error {
	return coded(http.StatusBadRequest, CodeToSelf, "Recipient cannot be sender",
		"Send to a phone number other than the business's own.")
}

func errThroughput(wait time.Duration) *Error {
	e := coded(ThrottledStatus, CodeThroughput, "Rate limit hit", "Cloud API message throughput has been reached.")
	e.RetryAfter = wait
	return e
}

func errPairRate(wait time.Duration) *Error {
	e := coded(ThrottledStatus, CodePairRate, "(Business Account, Consumer Account) pair rate limit hit",
		"Too many messages were sent to the same phone number in a short time: wait, then send again.")
	e.RetryAfter = wait
	return e
}

// errSpamLimit is the answer to a message to a stranger, when there were too many.
func errSpamLimit(l *LimitError) *Error {
	details := "The business wrote to too many people of late who never wrote to it: send this message again later. Whoever wrote to the business can be answered."
	if l.Held {
		details = "The business can write only to people who wrote to it: it tried to write to too many others, or they refused it. " +
			"This ends by itself, or the cluster's admin ends it (DataRegion, spec.integrity.exemptions)."
	}
	e := coded(ThrottledStatus, CodeSpamLimit, "Spam rate limit hit", details)
	e.RetryAfter = l.Wait
	return e
}

func errOptedOut() *Error {
	return coded(http.StatusBadRequest, CodeOptedOut, "User stopped marketing messages",
		"The recipient asked the business to stop writing to them: they can be answered for 24 hours after they write again, and get everything again once they say so.")
}

// errRecipientFull has the pair limit's code: of the codes that clients know, only this one says
// that one recipient has got too much while the others are not affected.
func errRecipientFull() *Error {
	return coded(ThrottledStatus, CodePairRate, "(Business Account, Consumer Account) pair rate limit hit",
		"This phone number has used up its share of the volume, an eighth: erase the customer, or wait until the retention frees space. Other numbers are not affected.")
}

// errKeyUsed is the answer to another request with a key that was used.
func errKeyUsed() *Error {
	return coded(http.StatusConflict, CodeInvalidParameter, "Invalid parameter",
		"The header "+onceHeader+" has a key that another request used within 24 hours: repeat that request as it was, or use a new key.")
}

func errUnavailable() *Error {
	return coded(http.StatusInternalServerError, CodeUnavailable, "Service unavailable",
		"The relay cannot accept this request now: send it again later.")
}

func errInternal() *Error {
	return coded(http.StatusInternalServerError, CodeInternal, "Something went wrong",
		"The relay failed to process the request: its log has the reason under this fbtrace_id.")
}

func errUnknownFile(field string) *Error {
	return errInvalidParameter(fmt.Sprintf("Param %s.id names no file: it was never uploaded, was deleted, or its retention has ended.", field))
}

func errMediaType() *Error {
	return coded(http.StatusBadRequest, CodeInvalidParameter,
		"Param file must be a file with one of the following types: "+strings.Join(media.Types(), ", "),
		"Say which in the part's Content-Type or in type.")
}

func errFileTooLarge() *Error {
	return coded(http.StatusBadRequest, CodeMediaUpload, "Media upload error",
		"The file is larger than its type allows.")
}

// errBlock is the answer to a change of the block list that was only partly done.
func errBlock(done *blockAnswer) *Error {
	e := coded(http.StatusBadRequest, CodeBlock, "Failed to block/unblock users",
		"Some users could not be blocked or unblocked: see failed_users.")
	e.blocks = done
	return e
}

// blockAnswer is the answer to a change of the block list.
type blockAnswer struct {
	MessagingProduct string      `json:"messaging_product"`
	Users            blockResult `json:"block_users"`
}

type blockResult struct {
	Added   []acceptedContact `json:"added_users,omitempty"`
	Removed []acceptedContact `json:"removed_users,omitempty"`
	Failed  []failedUser      `json:"failed_users,omitempty"`
}

type failedUser struct {
	Input  string        `json:"input"`
	Errors []errorObject `json:"errors"`
}

type errorObject struct {
	Message string     `json:"message"`
	Type    string     `json:"type"`
	Code    int        `json:"code"`
	Data    *errorData `json:"error_data,omitempty"`
	Subcode int        `json:"error_subcode,omitempty"`
	TraceID string     `json:"fbtrace_id,omitempty"`
}

type errorData struct {
	MessagingProduct string `json:"messaging_product"`
	Details          string `json:"details"`
}

// acceptedContact is a customer as the business named them: WaID of a number, UserID of a user id.
type acceptedContact struct {
	Input  string `json:"input"`
	WaID   string `json:"wa_id,omitempty"`
	UserID string `json:"user_id,omitempty"`
}
