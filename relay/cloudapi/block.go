package cloudapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// Limits of the block list's calls.
const (
	maxBlockUsers = 1000 // users of one request, and of one page
	// MaxBlockUsers is how many users a number may block.
	MaxBlockUsers = 64_000
)

// blockRequest has the parameters of a change of the block list.
type blockRequest struct {
	MessagingProduct string `json:"messaging_product"`
	Users            []struct {
		User identifier `json:"user"`
	} `json:"block_users"`
}

// block serves POST and DELETE of /{phone-number-id}/block_users. Anybody may be
// blocked, whether they wrote or not.
func (a *API) block(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	var q blockRequest
	if err := readParams(w, r, &q); err != nil {
		return nil, err
	}
	if err := checkProduct(q.MessagingProduct); err != nil {
		return nil, err
	}
	switch {
	case len(q.Users) == 0:
		return nil, errMissing("block_users")
	case len(q.Users) > maxBlockUsers:
		return nil, errInvalidParameter(fmt.Sprintf("Param block_users must have at most %d users.", maxBlockUsers))
	}
	numbers, users, failed := a.sort(q)
	result, change := blockResult{Added: users, Failed: failed}, a.Service.Block
	if r.Method == http.MethodDelete {
		result, change = blockResult{Removed: users, Failed: failed}, a.Service.Unblock
	}
	if err := apply(r.Context(), change, numbers); err != nil {
		return nil, err
	}
	if len(failed) > 0 {
		return nil, errBlock(&blockAnswer{product, result})
	}
	return blockAnswer{product, result}, nil
}

// apply changes the list unless there is nothing to change.
func apply(ctx context.Context, change func(context.Context, []phone.Number) error, numbers []phone.Number) error {
	if len(numbers) == 0 {
		return nil
	}
	err := change(ctx, numbers)
	if errors.Is(err, ErrBlockListFull) {
		return coded(http.StatusBadRequest, CodeBlockListFull, "Block list limit exceeded",
			fmt.Sprintf("A number may block %d users: unblock some.", MaxBlockUsers))
	}
	return fromService(err)
}

// sort separates users who can be blocked from those who cannot.
func (a *API) sort(q blockRequest) (numbers []phone.Number, users []acceptedContact, failed []failedUser) {
	for _, u := range q.Users {
		user := string(u.User)
		n, err := phone.ParseLoose(user)
		var e *Error
		switch {
		case err != nil:
			e = errNumber("user", err)
		case n == a.Number.Phone:
			e = errToSelf()
		}
		if e != nil {
			failed = append(failed, failedUser{user, []errorObject{e.object("")}})
			continue
		}
		numbers = append(numbers, n)
		users = append(users, acceptedContact{Input: user, WaID: n.Digits()})
	}
	return numbers, users, failed
}

// blockedUser is an entry of the block list.
type blockedUser struct {
	MessagingProduct string `json:"messaging_product"`
	WaID             string `json:"wa_id"`
}

type blockedPage struct {
	Data   []blockedUser `json:"data"`
	Paging paging        `json:"paging"`
}

// blocked serves GET /{phone-number-id}/block_users, in pages.
func (a *API) blocked(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	limit, err := pageLimit(r, maxBlockUsers, maxBlockUsers)
	if err != nil {
		return nil, err
	}
	list, err := a.Service.Blocked(r.Context())
	if err != nil {
		return nil, fromService(err)
	}
	from, to, err := window(r, len(list), limit)
	if err != nil {
		return nil, err
	}
	page := blockedPage{Data: []blockedUser{}}
	for _, n := range list[from:to] {
		page.Data = append(page.Data, blockedUser{product, n.Digits()})
	}
	if len(page.Data) > 0 {
		page.Paging.Cursors = cursors{After: cursor(to), Before: cursor(from)}
	}
	return page, nil
}

// window returns which entries a request's cursors select.
func window(r *http.Request, length, limit int) (from, to int, err error) {
	q := r.URL.Query()
	if before := q.Get("before"); before != "" {
		if to, err = position(before); err != nil {
			return 0, 0, err
		}
		to = min(to, length)
		return max(0, to-limit), to, nil
	}
	if from, err = position(q.Get("after")); err != nil {
		return 0, 0, err
	}
	from = min(from, length)
	return from, min(length, from+limit), nil
}

// A cursor is a place in the list and says nothing about who is there.
func cursor(place int) string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendInt(nil, int64(place), 10))
}

func position(cursor string) (int, error) {
	if cursor == "" {
		return 0, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	n := 0
	if err == nil {
		n, err = strconv.Atoi(string(text))
	}
	if err != nil || n < 0 || !slices.Equal(strconv.AppendInt(nil, int64(n), 10), text) {
		return 0, errInvalidParameter("The cursor was not issued by this relay.")
	}
	return n, nil
}
