package cloudapi

import (
	"cmp"
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
		User   identifier `json:"user"`
		UserID string     `json:"user_id"`
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
	blocked, users, failed, err := a.addresseesOf(r).sort(q)
	if err != nil {
		return nil, err
	}
	result, change := blockResult{Added: users, Failed: failed}, a.Service.Block
	if r.Method == http.MethodDelete {
		result, change = blockResult{Removed: users, Failed: failed}, a.unblock
	}
	if err := apply(r.Context(), change, blocked); err != nil {
		return nil, err
	}
	if len(failed) > 0 {
		return nil, errBlock(&blockAnswer{product, result})
	}
	return blockAnswer{product, result}, nil
}

// apply changes the list unless there is nothing to change.
func apply(ctx context.Context, change func(context.Context, []BlockedUser) error, users []BlockedUser) error {
	if len(users) == 0 {
		return nil
	}
	err := change(ctx, users)
	if errors.Is(err, ErrBlockListFull) {
		return coded(http.StatusBadRequest, CodeBlockListFull, "Block list limit exceeded",
			fmt.Sprintf("A number may block %d users, fewer by user id: unblock some.", MaxBlockUsers))
	}
	return fromService(err)
}

func (a *API) unblock(ctx context.Context, users []BlockedUser) error {
	return a.Service.Unblock(ctx, numbersOf(users))
}

func numbersOf(users []BlockedUser) []phone.Number {
	numbers := make([]phone.Number, len(users))
	for i, u := range users {
		numbers[i] = u.Number
	}
	return numbers
}

// addressees are who a request may name now.
func (a *API) addressees(ctx context.Context) addressees {
	return addressees{self: a.Number.Phone, hidden: a.HideNumbers, find: func(user string) (phone.Number, error) {
		n, err := a.Service.Find(ctx, user)
		return n, fromService(err)
	}}
}

// addresseesOf is addressees for a request about people: a DELETE may also name who was blocked by user id.
func (a *API) addresseesOf(r *http.Request) addressees {
	to := a.addressees(r.Context())
	if r.Method == http.MethodDelete {
		to.find = a.findBlocked(r.Context(), to.find)
	}
	return to
}

// findBlocked returns a function that also finds who was blocked by user id, and is no longer a customer.
func (a *API) findBlocked(ctx context.Context, find func(string) (phone.Number, error)) func(string) (phone.Number, error) {
	var byID map[string]phone.Number
	return func(user string) (phone.Number, error) {
		n, err := find(user)
		if !errors.Is(err, ErrUnknownCustomer) {
			return n, err
		}
		if byID == nil {
			list, err := a.Service.Blocked(ctx)
			if err != nil {
				return phone.Number{}, fromService(err)
			}
			byID = make(map[string]phone.Number, len(list))
			for _, u := range list {
				byID[u.User] = u.Number
			}
		}
		n, there := byID[user]
		if !there {
			return phone.Number{}, ErrUnknownCustomer
		}
		return n, nil
	}
}

// sort separates users who can be blocked from those who cannot.
func (a addressees) sort(q blockRequest) (blocked []BlockedUser, users []acceptedContact, failed []failedUser, err error) {
	for _, u := range q.Users {
		who := naming{number: string(u.User), user: u.UserID, numberParam: "user", userParam: "user_id"}
		n, accepted, err := a.recipient(who)
		var e *Error
		switch {
		case errors.As(err, &e) && e.Status < http.StatusInternalServerError:
			failed = append(failed, failedUser{cmp.Or(who.number, who.user), []errorObject{e.object("")}})
			continue
		case err != nil:
			return nil, nil, nil, err
		}
		blocked = append(blocked, BlockedUser{n, accepted.UserID})
		users = append(users, accepted)
	}
	return blocked, users, failed, nil
}

// blockedUser is an entry of the block list.
type blockedUser struct {
	MessagingProduct string `json:"messaging_product"`
	WaID             string `json:"wa_id,omitempty"`
	UserID           string `json:"user_id,omitempty"`
}

// shown returns entries of the block list as the API has them. Where the business is to know no numbers,
// who was blocked by number before and is no customer is left out.
func (a *API) shown(ctx context.Context, entries []BlockedUser) ([]blockedUser, error) {
	now, err := a.Service.UserIDs(ctx, numbersOf(entries))
	if err != nil {
		return nil, fromService(err)
	}
	users := []blockedUser{}
	for i, e := range entries {
		u := blockedUser{MessagingProduct: product, UserID: cmp.Or(e.User, now[i])}
		if !a.HideNumbers {
			u.WaID = e.Number.Digits()
		}
		if u.WaID != "" || u.UserID != "" {
			users = append(users, u)
		}
	}
	return users, nil
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
	var page blockedPage
	if page.Data, err = a.shown(r.Context(), list[from:to]); err != nil {
		return nil, err
	}
	if to > from {
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
