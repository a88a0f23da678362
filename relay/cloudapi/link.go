package cloudapi

import (
	"fmt"
	"net/url"
)

// parseLink reads the address of something in the web, of at most so many bytes.
func parseLink(link string, most int) (u *url.URL, ok bool) {
	u, err := url.Parse(link)
	return u, err == nil && len(link) <= most && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

// followable says whether a link is an address that the relay, or anybody, may follow: one without a password.
func followable(link string, most int) bool {
	u, ok := parseLink(link, most)
	return ok && u.User == nil
}

// webURL checks the address of a web page.
func webURL(param, link string) error {
	if _, ok := parseLink(link, maxWebURL); !ok {
		return errInvalidValue(fmt.Sprintf("%s must be an http or https address of at most %d bytes.", param, maxWebURL))
	}
	return nil
}
