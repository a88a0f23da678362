package cloudapi

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// What became of the business's messages (developers.facebook.com, "WhatsApp Business Account Message
// History API" and "WhatsApp Business Message History Events API"). It names no customer.

// Bounds of a page, as the API documents them.
const (
	defaultHistory = 25
	maxHistory     = 100
)

// historyFields are the fields of a message that are shown when the request names none.
const historyFields = "id,message_id"

// history serves GET /{phone-number-id}/message_history.
func (a *API) history(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	fields, err := wanted(r, historyFields)
	if err != nil {
		return nil, err
	}
	sent, back, err := a.sentPage(r)
	if err != nil {
		return nil, err
	}
	page := listed{Data: []any{}}
	for _, m := range sent.Sent {
		shown, err := showFields(fields, historyID(m), func(f wantedField) (any, bool) { return a.historyField(m, f) })
		if err != nil {
			return nil, err
		}
		page.Data = append(page.Data, shown)
	}
	if len(sent.Sent) > 0 {
		page.Paging = &paging{Cursors: cursors{After: cursor(int(sent.Sent[len(sent.Sent)-1].Place)), Before: cursor(int(sent.Sent[0].Place))}}
	}
	switch {
	case back && len(sent.Sent) > 0:
		page.Paging.Next = a.nextPage(r, int(sent.Sent[len(sent.Sent)-1].Place))
	case back && sent.More: // nothing there, but before it there may be
		page.Paging = &paging{Cursors: cursors{After: cursor(int(sent.To)), Before: cursor(int(sent.To))}}
	case !back && sent.More:
		page.Paging = &paging{Cursors: cursors{After: cursor(int(sent.To)), Before: cursor(int(sent.To))}}
		if len(sent.Sent) > 0 {
			page.Paging.Cursors.Before = cursor(int(sent.Sent[0].Place))
		}
		page.Paging.Next = a.nextPage(r, int(sent.To))
	}
	return page, nil
}

// sentPage reads the messages that a request is about, and says whether it asked for those before a place.
func (a *API) sentPage(r *http.Request) (page SentPage, back bool, err error) {
	q := r.URL.Query()
	limit, err := pageLimit(r, defaultHistory, maxHistory)
	if err != nil {
		return page, false, err
	}
	if id := q.Get("message_id"); id != "" {
		if len(id) > MaxMessageID {
			return page, false, errInvalidParameter("Param message_id must be the id of a message.")
		}
		m, err := a.Service.SentByID(r.Context(), id)
		switch {
		case errors.Is(err, ErrUnknownMessage):
			return page, false, nil
		case err != nil:
			return page, false, fromService(err)
		}
		return SentPage{Sent: []SentMessage{m}}, false, nil
	}
	param := "after"
	if back = q.Get("before") != ""; back {
		param = "before"
	}
	from, err := position(q.Get(param))
	if err != nil {
		return page, back, err
	}
	page, err = a.Service.SentMessages(r.Context(), int64(from), back, limit)
	if err != nil {
		err = fromService(err)
	}
	return page, back, err
}

// historyID is the id of a message's entry in the history.
func historyID(m SentMessage) string { return strconv.FormatInt(m.Place, 10) }

// historyEvent is a status of a message in the list of messages.
type historyEvent struct {
	ID          string       `json:"id"`
	Status      string       `json:"delivery_status"`
	Time        int64        `json:"timestamp"`
	Webhook     WebhookState `json:"webhook_update_state,omitempty"`
	Application *historyApp  `json:"application,omitempty"`
	URI         string       `json:"webhook_uri,omitempty"`
	Failure     string       `json:"error_description,omitempty"`
}

// historyApp is the application that gets webhooks.
type historyApp struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// historyField returns one field of a message.
func (a *API) historyField(m SentMessage, f wantedField) (any, bool) {
	if f.params != nil {
		return nil, false
	}
	switch f.name {
	case "id":
		return historyID(m), f.nested == nil
	case "message_id":
		return m.ID, f.nested == nil
	case "events":
		events := listed{Data: []any{}}
		for i, e := range m.Events {
			shown := historyEvent{ID: eventID(m, i), Status: strings.ToUpper(e.Status), Time: e.At.Unix(), Failure: e.Failure}
			if a.Number.Webhook != "" {
				shown.Webhook, shown.Application, shown.URI = e.Webhook, &historyApp{ID: appID}, a.Number.Webhook
			}
			var entry any = shown
			if f.nested != nil {
				var ok bool
				if entry, ok = nestedFields(shown, f.nested); !ok {
					return nil, false
				}
			}
			events.Data = append(events.Data, entry)
		}
		return events, true
	}
	return nil, false
}

// eventID is the id of a message's status. A message has less than ten.
func eventID(m SentMessage, place int) string { return historyID(m) + strconv.Itoa(place) }

// historyNode is a status of a message among its events.
type historyNode struct {
	ID          string      `json:"id"`
	Status      string      `json:"delivery_status"`
	Occurred    int64       `json:"occurrence_timestamp"`
	Recorded    int64       `json:"status_timestamp"`
	Webhook     string      `json:"webhook_update_state,omitempty"`
	Application *historyApp `json:"application,omitempty"`
	URI         string      `json:"webhook_uri,omitempty"`
	Failure     string      `json:"error_description,omitempty"`
}

// nodeFields are the fields of an event that are shown when the request names none.
const nodeFields = "cursor,node{id,delivery_status,occurrence_timestamp}"

// historyEvents serves GET /{message-history-id}/events.
func (a *API) historyEvents(_ http.ResponseWriter, r *http.Request, id string) (any, error) {
	fields, err := wanted(r, nodeFields)
	if err != nil {
		return nil, err
	}
	limit, err := pageLimit(r, defaultHistory, maxHistory)
	if err != nil {
		return nil, err
	}
	status := r.URL.Query().Get("delivery_status")
	switch status {
	case "", "SENT", "DELIVERED", "READ", "FAILED", "DELETED":
	default:
		return nil, errInvalidParameter("Param delivery_status must be one of SENT, DELIVERED, READ, FAILED and DELETED.")
	}
	nodes, err := a.nodes(r, id, status)
	if err != nil {
		return nil, err
	}
	from, to, err := window(r, len(nodes), limit)
	if err != nil {
		return nil, err
	}
	page := listed{Data: []any{}}
	for i, n := range nodes[from:to] {
		edge := map[string]any{}
		for _, f := range fields {
			value, ok := edgeField(n, from+i, f)
			if !ok {
				return nil, errNoField()
			}
			edge[f.name] = value
		}
		page.Data = append(page.Data, edge)
	}
	if from < to {
		page.Paging = &paging{Cursors: cursors{After: cursor(to), Before: cursor(from)}}
		if to < len(nodes) {
			page.Paging.Next = a.nextPage(r, to)
		}
	}
	return page, nil
}

// edgeField returns one field of an edge, which holds an event and its place.
func edgeField(n historyNode, place int, f wantedField) (any, bool) {
	switch {
	case f.params != nil:
	case f.name == "cursor" && f.nested == nil:
		return cursor(place + 1), true // what comes after it
	case f.name == "node" && f.nested == nil:
		return n, true
	case f.name == "node":
		return nestedFields(n, f.nested)
	}
	return nil, false
}

// nodes returns the events of a message with a status, or all for none.
func (a *API) nodes(r *http.Request, id, status string) (nodes []historyNode, err error) {
	place, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, errNoObject(r.Method, id)
	}
	m, err := a.Service.SentAt(r.Context(), place)
	switch {
	case errors.Is(err, ErrUnknownMessage):
		return nil, errNoObject(r.Method, id)
	case err != nil:
		return nil, fromService(err)
	}
	for i, e := range m.Events {
		n := historyNode{ID: eventID(m, i), Status: strings.ToUpper(e.Status), Occurred: e.At.Unix(), Recorded: e.At.Unix(), Failure: e.Failure}
		if a.Number.Webhook != "" {
			n.Application, n.URI = &historyApp{ID: appID, Name: appName}, a.Number.Webhook
			switch e.Webhook {
			case WebhookDelivered:
				n.Webhook = "SUCCESS"
			case WebhookRetrying, WebhookFailed:
				n.Webhook = "ERROR"
			case WebhookPending:
			}
		}
		if status == "" || status == n.Status {
			nodes = append(nodes, n)
		}
	}
	return nodes, nil
}
