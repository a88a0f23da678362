package cloudapi

import "errors"

// accepted is the answer to a message. It has exactly these fields, because some clients refuse
// any others.
type accepted struct {
	MessagingProduct string            `json:"messaging_product"`
	Contacts         []acceptedContact `json:"contacts"`
	Messages         []acceptedMessage `json:"messages"`
}

type acceptedMessage struct {
	ID     string `json:"id"`
	Status string `json:"message_status,omitempty"` // of a message by a template
}

// templateAccepted is the status of a message by a template, when it was accepted.
const templateAccepted = "accepted"

// success is the answer to everything that returns no object.
type success struct {
	Success bool `json:"success"`
}

// acceptance is the answer to a message that was accepted.
func acceptance(who acceptedContact, id string) accepted {
	return accepted{
		MessagingProduct: product,
		Contacts:         []acceptedContact{who},
		Messages:         []acceptedMessage{{ID: id}},
	}
}

// fromService translates a Service's error.
func fromService(err error) error {
	if limit := (*LimitError)(nil); errors.As(err, &limit) {
		return errSpamLimit(limit)
	}
	switch {
	case errors.Is(err, ErrUnknownMessage):
		return errInvalidValue("message_id names no message that was received within the retention.")
	case errors.Is(err, ErrUnavailable):
		return errUnavailable()
	case errors.Is(err, ErrOtherBody):
		return errKeyUsed()
	case errors.Is(err, ErrOptedOut):
		return errOptedOut()
	case errors.Is(err, ErrRecipientFull):
		return errRecipientFull()
	}
	return err
}

// served stands for an answer that was written already.
type served struct{}
