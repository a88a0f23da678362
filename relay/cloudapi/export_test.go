package cloudapi

import (
	"net/http"
	"strings"
)

// Served returns what the routes serve, in the way of docs/openapi.yaml: a method, a space and a path.
func Served() (all []string) {
	objects := map[objectKind]string{
		theNumber: "/{phone-number-id}", theAccount: "/{business-account-id}", aTemplate: "/{object-id}", aFile: "/{object-id}", aHistory: "/{message-history-id}",
		anAddress: "/media/{media-id}", theCaller: "/me", aToken: "/debug_token",
	}
	lasts := map[string]string{"customers/": "customers/{customer}", "access_tokens/": "access_tokens/{name}", "log/": "log/{path}"}
	for _, t := range routes() {
		path := objects[t.object]
		switch last, ok := lasts[t.edge]; {
		case ok:
			path += "/" + last
		case t.edge != "":
			path += "/" + strings.TrimSuffix(t.edge, "/")
		case t.object == theNumber, t.object == theAccount:
			path = "/{object-id}"
		}
		methods := []string{t.method}
		switch {
		case t.method == "" && t.object == anAddress:
			methods = []string{http.MethodGet}
		case t.method == "":
			methods = []string{http.MethodGet, http.MethodDelete}
		}
		for _, m := range methods {
			all = append(all, m+" "+path)
		}
	}
	return all
}

// Checked returns a handler whose exchanges are held against docs/openapi.yaml, for tests that are in this package.
var Checked = func(h http.Handler) http.Handler { return h }
