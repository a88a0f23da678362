package cloudapi

import "strings"

// At a host name that several relays have in common, a gateway finds the relay by the first id in a path. A number's
// and an account's id are unique; a file's or a message's is not known to the gateway. So the number's id may stand
// before any of them, as a segment of its own: /{phone-number-id}/{media-id}, /{phone-number-id}/media/{media-id},
// /{phone-number-id}/{message-history-id}/events. Such a path works at every host name.

// unmark leaves out the number's id where it only says whose the object is.
func (a *API) unmark(object, edge string) (string, string) {
	if object != a.Number.ID {
		return object, edge
	}
	first, rest, _ := strings.Cut(edge, "/")
	if digits(first) || first == "media" && rest != "" {
		return first, rest
	}
	return object, edge
}

// shownFile is a file's id as clients get it.
func (a *API) shownFile(id string) string {
	if a.MarkFiles {
		return a.Number.ID + "/" + id
	}
	return id
}

// fileID is the id of a file that a client names: without the mark that shownFile put there.
func fileID(shown string) string {
	if mark, id, ok := strings.Cut(shown, "/"); ok && digits(mark) {
		return id
	}
	return shown
}
