package cloudapi

import (
	"errors"
	"regexp"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// userID is the form of a user id ("Business-scoped user IDs"). No number has it, and a number's
// parser must not see one: it would find a number in it.
var userID = regexp.MustCompile(`^[A-Z]{2}\.[A-Za-z0-9]{1,128}$`)

// addressees are who requests may name.
type addressees struct {
	self   phone.Number // the business
	hidden bool         // the business is to know no numbers
	find   func(user string) (phone.Number, error)
}

// naming is a customer as a request names them, by number or by user id, and what the parameters are called.
type naming struct{ number, user, numberParam, userParam string }

// recipient returns who is named. The number wins; what is not used is checked all the same.
func (a addressees) recipient(who naming) (phone.Number, acceptedContact, error) {
	switch {
	case who.number == "" && who.user == "":
		return phone.Number{}, acceptedContact{}, errMissing(who.numberParam)
	case who.user != "" && !userID.MatchString(who.user):
		return phone.Number{}, acceptedContact{}, errUser(who.userParam)
	case who.number != "":
		return a.byNumber(who)
	}
	n, err := a.find(who.user)
	switch {
	case errors.Is(err, ErrUnknownCustomer):
		return phone.Number{}, acceptedContact{}, errNobody(who.userParam)
	case err != nil:
		return phone.Number{}, acceptedContact{}, err
	}
	return n, acceptedContact{Input: who.user, UserID: who.user}, nil
}

func (a addressees) byNumber(who naming) (phone.Number, acceptedContact, error) {
	n, err := phone.ParseLoose(who.number)
	switch {
	case err != nil:
		return n, acceptedContact{}, errNumber(who.numberParam, err)
	case n == a.self:
		return n, acceptedContact{}, errToSelf()
	case a.hidden:
		return n, acceptedContact{}, errHidden(who.numberParam, who.userParam)
	}
	return n, acceptedContact{Input: who.number, WaID: n.Digits()}, nil
}
