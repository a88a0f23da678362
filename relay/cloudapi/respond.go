package cloudapi

import (
	"errors"
	"io"
	"net/http"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// accepted is the answer to a message. It has exactly these fields, because some clients refuse
// any others.
type accepted struct {
	MessagingProduct string            `json:"messaging_product"`
	Contacts         []acceptedContact `json:"contacts"`
	Messages         []acceptedMessage `json:"messages"`
}

type acceptedMessage struct {
	ID string `json:"id"`
}

// success is the answer to everything that returns no object.
type success struct {
	Success bool `json:"success"`
}

// readBody reads a request that is JSON.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge()
	case err != nil:
		return nil, errInvalidParameter("The request body is incomplete.")
	}
	return body, nil
}

// acceptance is the answer to a message that was accepted.
func acceptance(to phone.Number, input, id string) accepted {
	return accepted{
		MessagingProduct: product,
		Contacts:         []acceptedContact{{Input: input, WaID: to.Digits()}},
		Messages:         []acceptedMessage{{ID: id}},
	}
}

// fromService translates a Service's error.
func fromService(err error) error {
	switch {
	case errors.Is(err, ErrUnknownMessage):
		return errInvalidValue("message_id names no message that was received within the retention.")
	case errors.Is(err, ErrUnavailable):
		return errUnavailable()
	case errors.Is(err, ErrRecipientFull):
		return errRecipientFull()
	}
	return err
}

// served stands for an answer that was written already.
type served struct{}
