package cloudapi

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// nextPage is the address of the page that begins at a place. It repeats the request's parameters, the
// access token among them if it came as one: clients follow the address as it is.
func (a *API) nextPage(r *http.Request, place int) string {
	q := r.URL.Query()
	q.Del("before")
	q.Set("after", cursor(place))
	return a.base(r) + r.URL.Path + "?" + q.Encode()
}

// base is where the client of a request finds the API.
func (a *API) base(r *http.Request) string {
	base := strings.TrimSuffix(a.BaseURL, "/")
	if base == "" || a.answersAs(r.Host) {
		base = "https://" + r.Host
	}
	return base
}

// answersAs says whether the host in a request is one of the relay's own names, at any port.
// Clients refuse a file's address that is not where they find the API, which may be a name within
// the cluster or a forwarded port.
func (a *API) answersAs(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	return slices.ContainsFunc(a.Hosts, func(own string) bool { return strings.EqualFold(own, name) })
}
