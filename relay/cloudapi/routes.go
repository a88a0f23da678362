package cloudapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"github.com/relaykeep/relaykeep/relay/access"
)

// version is the first segment of most paths; any is accepted and ignored.
var version = regexp.MustCompile(`^v[0-9]{1,3}\.[0-9]{1,3}$`)

// routes is everything that the API serves.
func routes() []route {
	return []route{
		{routeMessages, http.MethodPost, theNumber, "messages", access.Send, (*API).messages},
		{routeEncrypted, http.MethodPost, theNumber, "messages_encrypted", access.Send, (*API).encryptedMessages},
		{routeSettings, http.MethodGet, theNumber, "settings", anyToken, (*API).settings},
		{routeSettings, http.MethodPost, theNumber, "settings", access.Admin, (*API).configureSettings},
		{routeUpload, http.MethodPost, theNumber, "media", access.Media, (*API).upload},
		{routeMedia, http.MethodGet, aFile, "", access.Media, (*API).describe},
		{routeMedia, http.MethodDelete, aFile, "", access.Media, (*API).remove},
		{routeDownload, "", anAddress, "", anyToken, (*API).download},
		{routeBlock, http.MethodGet, theNumber, "block_users", access.Read, (*API).blocked},
		{routeBlock, http.MethodPost, theNumber, "block_users", access.Send, (*API).block},
		{routeBlock, http.MethodDelete, theNumber, "block_users", access.Send, (*API).block},
		{routeCustomers, http.MethodGet, theNumber, "customers", access.Admin, (*API).contactRequests},
		{routeCustomers, "", theNumber, "customers/", access.Admin, (*API).customers},
		{routeNumber, http.MethodGet, theNumber, "", access.Read, (*API).number},
		{routeNumber, http.MethodPost, theNumber, "", access.Admin, (*API).configureNumber},
		{routeProfile, http.MethodGet, theNumber, "whatsapp_business_profile", access.Read, (*API).profile},
		{routeProfile, http.MethodPost, theNumber, "whatsapp_business_profile", access.Admin, (*API).editProfile},
		{routeHistory, http.MethodGet, theNumber, "message_history", access.Read, (*API).history},
		{routeHistory, http.MethodGet, aHistory, "events", access.Read, (*API).historyEvents},
		{routeLetters, http.MethodGet, theNumber, "dead_letters", access.Read, (*API).deadLetters},
		{routeLetters, http.MethodPost, theNumber, "dead_letters", access.Admin, (*API).replayLetters},
		{routeCanary, http.MethodGet, theNumber, "canary", ownerOnly, (*API).canary},
		{routeCanary, http.MethodPost, theNumber, "canary", ownerOnly, (*API).canary},
		{routeCanary, http.MethodDelete, theNumber, "canary", ownerOnly, (*API).canary},
		{routeLog, http.MethodGet, theNumber, "log/", access.Audit, (*API).logFile},
		{routeAccount, http.MethodGet, theAccount, "", access.Read, (*API).account},
		{routeAccount, http.MethodGet, theAccount, "phone_numbers", access.Read, (*API).phoneNumbers},
		{routeTemplates, http.MethodGet, theAccount, "message_templates", access.Read, (*API).templates},
		{routeTemplates, http.MethodPost, theAccount, "message_templates", access.Templates, (*API).createTemplate},
		{routeTemplates, http.MethodDelete, theAccount, "message_templates", access.Templates, (*API).deleteTemplates},
		{routeTemplates, http.MethodGet, aTemplate, "", access.Read, (*API).template},
		{routeTemplates, http.MethodPost, aTemplate, "", access.Templates, (*API).editTemplate},
		{routeAccount, http.MethodGet, theAccount, "subscribed_apps", access.Read, (*API).subscribed},
		{routeAccount, http.MethodPost, theAccount, "subscribed_apps", access.Read, (*API).subscribe}, // which changes nothing
		{routeTokens, http.MethodGet, theNumber, "access_tokens", ownerOnly, (*API).tokens},
		{routeTokens, http.MethodPost, theNumber, "access_tokens", ownerOnly, (*API).createToken},
		{routeTokens, http.MethodDelete, theNumber, "access_tokens/", ownerOnly, (*API).revokeToken},
		{routeToken, http.MethodGet, theCaller, "", anyToken, (*API).me},
		{routeToken, http.MethodGet, theCaller, "permissions", anyToken, (*API).permissions},
		{routeToken, http.MethodGet, aToken, "", anyToken, (*API).debugToken},
	}
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := a.Now()
	ver, object, edge := split(r.URL.Path)
	object, edge = a.unmark(object, edge)
	answer := newAnswer(w, ver)
	u := &use{method: r.Method}
	r = r.WithContext(context.WithValue(r.Context(), useKey{}, u))
	route, body, err := a.route(w, r, object, edge)
	u.route = route
	if body == (served{}) && err == nil {
		a.note(r, u, http.StatusOK)
		a.Observe(route, http.StatusOK, 0, a.Now().Sub(start))
		return
	}
	status, code := http.StatusOK, 0
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = errInternal()
			a.Log.LogAttrs(r.Context(), slog.LevelError, "request failed",
				slog.String("route", route), slog.String("trace", answer.trace), slog.Any("error", err))
		}
		status, code = e.Status, e.Code
		a.note(r, u, status)
		answer.fail(e)
	} else {
		a.note(r, u, status)
		answer.succeed(body)
	}
	a.Observe(route, status, code, a.Now().Sub(start))
}

// route finds and runs what a request asks for. It checks the token before anything else, so
// that nobody without it learns which objects exist. Only a file's address may have a signature
// instead, which its own route checks.
func (a *API) route(w http.ResponseWriter, r *http.Request, object, edge string) (string, any, error) {
	signed := object == "media" && edge != ""
	if !signed {
		authenticated, err := a.authenticate(r)
		if err != nil {
			return routeNone, nil, err
		}
		r = authenticated
	}
	for _, t := range a.routes {
		if id, ok := t.matches(a.Number, r.Method, object, edge); ok && !a.lacks(t.name) {
			useOf(r).customer = t.name == routeCustomers && id != ""
			if !callerOf(r).allows(t.scope) {
				return t.name, nil, errScope(t.scope)
			}
			body, err := t.serve(a, w, r, id)
			return t.name, body, err
		}
	}
	return routeNone, nil, errNoObject(r.Method, object)
}

// lacks says whether nothing is behind a route: its edge does not exist.
func (a *API) lacks(route string) bool {
	return route == routeTokens && a.Tokens == nil || route == routeCustomers && a.Customers == nil ||
		route == routeLetters && a.DeadLetters == nil || route == routeLog && a.Ledger == nil ||
		route == routeCanary && a.Canaries == nil
}

// split splits a path into an optional version, the object's id, and the edge, which may have
// two parts; that of the log has more.
func split(path string) (ver, object, edge string) {
	parts := strings.SplitN(strings.Trim(path, "/"), "/", 5)
	if version.MatchString(parts[0]) {
		ver, parts = parts[0], parts[1:]
	}
	switch len(parts) {
	case 4, 5:
		if parts[1] == routeLog {
			object, edge = parts[0], strings.Join(parts[1:], "/")
		}
	case 1:
		object = parts[0]
	case 2:
		object, edge = parts[0], parts[1]
	case 3:
		object, edge = parts[0], parts[1]+"/"+parts[2]
	}
	return ver, object, edge
}
