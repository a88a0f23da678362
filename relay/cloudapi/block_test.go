package cloudapi_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/phone"
)

func (s *service) Block(_ context.Context, n []cloudapi.BlockedUser) error {
	s.blocked = append(s.blocked, n...)
	return s.err
}

// The customers of the tests, by user id.
const (
	sheena = "US.13491208655302741918" // has a number
	anna   = "CH.ANNA"                 // has none
	gone   = "US.GONE"                 // is blocked, and no customer any more
)

func (s *service) Find(_ context.Context, user string) (phone.Number, error) {
	switch user {
	case sheena:
		return phone.Parse("+16505551234")
	case anna:
		return phone.ParseName("anna")
	}
	return phone.Number{}, cmp.Or(s.err, cloudapi.ErrUnknownCustomer)
}

func (s *service) UserIDs(ctx context.Context, numbers []phone.Number) ([]string, error) {
	users := make([]string, len(numbers))
	for _, user := range []string{sheena, anna} {
		n, _ := s.Find(ctx, user)
		if i := slices.Index(numbers, n); i >= 0 {
			users[i] = user
		}
	}
	return users, s.err
}

func (s *service) Unblock(_ context.Context, n []phone.Number) error {
	s.blocked = slices.DeleteFunc(s.blocked, func(o cloudapi.BlockedUser) bool { return slices.Contains(n, o.Number) })
	return s.err
}

func (s *service) Blocked(context.Context) ([]cloudapi.BlockedUser, error) { return s.blocked, s.err }

const blockUsers = "/v23.0/" + numberID + "/block_users"

func users(numbers ...string) string {
	list := make([]string, len(numbers))
	for i, n := range numbers {
		list[i] = fmt.Sprintf(`{"user":%q}`, n)
	}
	return `{"messaging_product":"whatsapp","block_users":[` + strings.Join(list, ",") + `]}`
}

func TestUsersAreBlockedListedAndUnblocked(t *testing.T) {
	s := &service{}
	h := cloudapi.New(options(t, s))
	golden(t, "block", call(h, "POST", blockUsers, users("+16505551234", "1 (650) 555-1235")))
	golden(t, "block-some", call(h, "POST", blockUsers, users("+16505551236", "nobody", "+15550783881")))
	golden(t, "block-list", call(h, "GET", blockUsers, ""))
	golden(t, "unblock", call(h, "DELETE", blockUsers, users("+16505551234")))
	if len(s.blocked) != 2 {
		t.Errorf("%d are blocked", len(s.blocked))
	}
}

func TestBlockRequestsThatAreRefused(t *testing.T) {
	for name, body := range map[string]string{
		"block-nobody":        users(),
		"block-too-many":      users(slices.Repeat([]string{"+16505551234"}, 1001)...),
		"block-no-product":    `{"block_users":[{"user":"+16505551234"}]}`,
		"block-other-product": `{"messaging_product":"mail","block_users":[{"user":"+16505551234"}]}`,
		"block-no-json":       `[`,
	} {
		s := &service{}
		golden(t, name, call(cloudapi.New(options(t, s)), "POST", blockUsers, body))
		if len(s.blocked) != 0 {
			t.Errorf("%s: somebody is blocked", name)
		}
	}
	full := cloudapi.New(options(t, &service{err: cloudapi.ErrBlockListFull}))
	golden(t, "block-list-full", call(full, "POST", blockUsers, users("+16505551234")))
}

func TestBlockList_ComesInPages(t *testing.T) {
	s := &service{}
	for i := range 5 {
		s.blocked = append(s.blocked, cloudapi.BlockedUser{Number: mustNumber(t, fmt.Sprintf("+1650555123%d", i))})
	}
	h := cloudapi.New(options(t, s))
	var seen []string
	after := ""
	for range 10 {
		w := call(h, "GET", blockUsers+"?limit=2&after="+after, "")
		var page struct {
			Data []struct {
				WaID string `json:"wa_id"`
			}
			Paging struct {
				Cursors struct{ After, Before string }
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if len(page.Data) == 0 {
			break
		}
		for _, u := range page.Data {
			seen = append(seen, u.WaID)
		}
		after = page.Paging.Cursors.After
	}
	if len(seen) != 5 || !slices.IsSorted(seen) {
		t.Errorf("seen: %v", seen)
	}
	back := call(h, "GET", blockUsers+"?limit=2&before="+after, "")
	if !strings.Contains(back.Body.String(), "16505551234") || !strings.Contains(back.Body.String(), "16505551233") {
		t.Errorf("before the end: %s", back.Body)
	}
	for _, bad := range []string{"?limit=0", "?limit=x", "?limit=1001", "?after=!", "?after=LTE", "?before=eA"} {
		if w := call(h, "GET", blockUsers+bad, ""); w.Code != 400 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
}
