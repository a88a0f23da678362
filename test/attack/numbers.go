package attack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/lab"
)

// errNumberRefused is a relay's answer to a customer's number that its business is not to know.
var errNumberRefused = errors.New("the relay takes no number of a customer")

func byNumber(err error) bool { return errors.Is(err, errNumberRefused) }

// hideNumbers has globex's relay keep customers' numbers from globex, until Close.
func (s *Scene) hideNumbers(ctx context.Context) error {
	if s.hiding {
		return nil
	}
	if err := s.shareNumbers(ctx, "false"); err != nil {
		return fmt.Errorf("preparing: %w", err)
	}
	s.hiding = true
	s.undo = append(s.undo, func(ctx context.Context) error { return s.shareNumbers(ctx, "null") })
	return nil
}

// shareNumbers sets privacy.shareNumbers in globex's BusinessRelay, and waits until the relay runs with it.
func (s *Scene) shareNumbers(ctx context.Context, value string) error {
	relay := lab.Globex.Relay()
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"privacy":{"shareNumbers":%s}}}`, value))
	if err := s.lab.Client().Patch(ctx, relay, patch); err != nil {
		return err
	}
	if _, err := s.lab.WaitCondition(ctx, relay, v1alpha1.ConditionReady, metav1.ConditionTrue); err != nil {
		return err
	}
	known, err := s.lab.Credentials(lab.Globex)
	if err != nil {
		return err
	}
	return lab.Poll(ctx, func(ctx context.Context) error { // until the Service leads to the new pod
		_, _, err := s.request(ctx, lab.Globex, known.AccessToken, http.MethodGet, "", "")
		return err
	})
}

// names has a business name a customer by number at its own endpoint, with its own token. Globex's relay hides numbers.
func names(b *lab.Business, method, edge, body string) act {
	return func(ctx context.Context, s *Scene) error {
		if b == lab.Globex {
			if err := s.hideNumbers(ctx); err != nil {
				return err
			}
		}
		known, err := s.lab.Credentials(b)
		if err != nil {
			return err
		}
		status, answer, err := s.request(ctx, b, known.AccessToken, method, edge, body)
		switch {
		case err != nil:
			return err
		case status == http.StatusBadRequest && bytes.Contains(answer, []byte("privacy.shareNumbers")):
			return errNumberRefused
		case status == http.StatusUnauthorized, status == http.StatusForbidden:
			return &refusedAtEndpoint{status}
		}
		return nil
	}
}

// aboutNumbers are attempts of a business that is not to know its customers' numbers to find out whether a number
// is that of one of them. That nothing tells it numbers unasked is a test of its own, with a conversation.
func aboutNumbers() []Attempt {
	const (
		who     = "globex, which is not to know its customers' numbers,"
		by      = "the relay, by privacy.shareNumbers"
		sharing = "acme, which may know them"
		number  = "493023125112" // set aside for fiction, and nobody's
		block   = `{"messaging_product":"whatsapp","block_users":[{"user":"` + number + `"}]}`
		text    = `{"messaging_product":"whatsapp","to":"` + number + `","type":"text","text":{"body":"Is it you?"}}`
	)
	try := func(tries, method, edge, body string) Attempt {
		return Attempt{who, tries, by, sharing, names(lab.Globex, method, edge, body), names(lab.Acme, method, edge, body), byNumber}
	}
	return []Attempt{
		try("writes to a number, to see which user id answers", http.MethodPost, "messages", text),
		try("blocks a number, to see which user id falls silent", http.MethodPost, "block_users", block),
		try("unblocks a number, to see which user id is heard again", http.MethodDelete, "block_users", block),
		try("asks what is kept of a number", http.MethodGet, "customers/"+number, ""),
		try("has what is kept of a number erased", http.MethodDelete, "customers/"+number, ""),
	}
}
