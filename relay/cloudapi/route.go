package cloudapi

import (
	"net/http"
	"strings"

	"github.com/relaykeep/relaykeep/relay/access"
)

// Names of the routes, for Observe.
const (
	routeMessages  = "messages"
	routeEncrypted = "messages_encrypted"
	routeSettings  = "settings"
	routeNumber    = "number"
	routeCustomers = "customers"
	routeUpload    = "upload"
	routeMedia     = "media"
	routeDownload  = "download"
	routeBlock     = "block_users"
	routeProfile   = "profile"
	routeAccount   = "account"
	routeTemplates = "templates"
	routeToken     = "token"
	routeTokens    = "access_tokens"
	routeHistory   = "message_history"
	routeLetters   = "dead_letters"
	routeLog       = "log"
	routeCanary    = "canary"
	routeNone      = "none"
)

// route is one thing that the API serves.
type route struct {
	name   string
	method string // empty for any
	// object is what the first segment after the version names, edge the rest of the path. An
	// edge that ends in a slash has one more segment, which serve gets.
	object objectKind
	edge   string
	scope  access.Scope // what a named token must allow
	serve  func(a *API, w http.ResponseWriter, r *http.Request, id string) (any, error)
}

// objectKind is a kind of object in a path.
type objectKind int

const (
	theNumber  objectKind = iota // the business's phone-number-id
	theAccount                   // the business account's id
	aTemplate                    // any other id of as many digits as templates have, which serve gets
	aFile                        // any other id in digits, which serve gets
	aHistory                     // an id in digits of a message's history, which serve gets
	anAddress                    // "media": a file's id follows, and the address is signed
	theCaller                    // "me"
	aToken                       // "debug_token"
)

// matches says whether a request to the number n belongs to the route, and returns what serve
// gets.
func (t route) matches(n Number, method, object, edge string) (id string, ok bool) {
	if t.method != "" && t.method != method {
		return "", false
	}
	switch t.object {
	case anAddress:
		return edge, object == "media" && edge != ""
	case aTemplate, aFile:
		other := object != n.ID && object != n.AccountID && edge == "" && digits(object)
		return object, other && (len(object) == TemplateDigits) == (t.object == aTemplate)
	case aHistory:
		return object, object != n.ID && object != n.AccountID && edge == t.edge && digits(object)
	case theNumber:
		return t.cut(edge, object == n.ID)
	case theAccount:
		return t.cut(edge, object == n.AccountID && object != "")
	case theCaller:
		return t.cut(edge, object == "me")
	case aToken:
		return t.cut(edge, object == "debug_token")
	}
	return "", false
}

// cut matches a route's edge.
func (t route) cut(edge string, object bool) (id string, ok bool) {
	if strings.HasSuffix(t.edge, "/") {
		id, ok = strings.CutPrefix(edge, t.edge)
		return id, ok && object
	}
	return "", object && edge == t.edge
}
