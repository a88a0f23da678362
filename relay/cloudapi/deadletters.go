package cloudapi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// This edge is the relay's own: the hosted API drops the webhooks that nobody accepts.

// maxReplayed is how many dead letters one request may name.
const maxReplayed = 1000

// shownLetter is what the edge tells of a dead letter.
type shownLetter struct {
	ID        string `json:"id"`
	MessageID string `json:"message_id,omitempty"`
	Type      string `json:"type"`                      // "message" or "status"
	Status    string `json:"delivery_status,omitempty"` // of a status
	Created   int64  `json:"created"`                   // Unix seconds, as all times here
	Died      int64  `json:"given_up"`
	Attempts  int    `json:"attempts"`
	Failure   string `json:"last_error,omitempty"`
}

// deadLetters serves GET of /{phone-number-id}/dead_letters.
func (a *API) deadLetters(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	limit, err := pageLimit(r, defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	after, err := letterPlace(r.URL.Query().Get("after"))
	if err != nil {
		return nil, err
	}
	letters, err := a.DeadLetters.DeadLetters(r.Context(), after, limit)
	if err != nil {
		return nil, fromService(err)
	}
	page := listed{Data: []any{}}
	for _, l := range letters {
		shown := shownLetter{
			ID: strconv.FormatInt(l.Place.ID, 10), MessageID: l.MessageID, Type: "message", Status: strings.ToUpper(l.Status),
			Created: l.Created.Unix(), Died: l.Place.Died.Unix(), Attempts: l.Attempts, Failure: l.Failure,
		}
		if l.Status != "" {
			shown.Type = "status"
		}
		page.Data = append(page.Data, shown)
	}
	if len(letters) == limit {
		last := letters[limit-1].Place
		page.Paging = &paging{Cursors: cursors{After: fmt.Sprintf("%d_%d", last.Died.UnixMilli(), last.ID)}}
	}
	return page, nil
}

// letterPlace reads the cursor of a page.
func letterPlace(cursor string) (p DeadLetterPlace, err error) {
	if cursor == "" {
		return p, nil
	}
	died, id, _ := strings.Cut(cursor, "_")
	ms, wrongTime := strconv.ParseInt(died, 10, 64)
	p.ID, err = strconv.ParseInt(id, 10, 64)
	if wrongTime != nil || err != nil || ms < 0 || p.ID < 0 {
		return p, errInvalidParameter("Param after must be the cursor of the previous page.")
	}
	p.Died = time.UnixMilli(ms)
	return p, nil
}

// replay has the parameters of a request to replay dead letters.
type replay struct {
	IDs []identifier `json:"ids"`
	All bool         `json:"all"`
}

// replayed is the answer.
type replayed struct {
	Replayed int `json:"replayed"`
}

// replayLetters serves POST of /{phone-number-id}/dead_letters.
func (a *API) replayLetters(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	var q replay
	if err := readParams(w, r, &q); err != nil {
		return nil, err
	}
	switch {
	case q.All && len(q.IDs) > 0:
		return nil, errInvalidParameter("Params ids and all exclude each other.")
	case q.All:
		n, err := a.DeadLetters.ReplayAll(r.Context())
		return replayed{n}, fromService(err)
	case len(q.IDs) == 0:
		return nil, errMissing("ids or all")
	case len(q.IDs) > maxReplayed:
		return nil, errInvalidParameter(fmt.Sprintf("Param ids must have at most %d entries.", maxReplayed))
	}
	ids := map[int64]bool{}
	var named []int64
	for _, text := range q.IDs {
		id, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil || id <= 0 {
			return nil, errUnknownLetter()
		}
		if !ids[id] {
			ids[id], named = true, append(named, id)
		}
	}
	err := a.DeadLetters.Replay(r.Context(), named)
	if errors.Is(err, ErrUnknownLetter) {
		return nil, errUnknownLetter()
	}
	return replayed{len(named)}, fromService(err)
}

func errUnknownLetter() error {
	return errInvalidParameter("Param ids must have the ids of dead letters: one of these is none, or was replayed, or its retention has ended. Nothing was replayed.")
}
