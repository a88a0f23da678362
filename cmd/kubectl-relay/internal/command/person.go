package command

import (
	"errors"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// person is a customer as the endpoint's paths name one: the digits of a number, or a user id.
type person string

// userIDForm is the form of the user ids that a relay makes.
var userIDForm = regexp.MustCompile(`^[A-Z]{2}\.[A-Za-z0-9]{1,128}$`)

// readPerson reads a customer's number or user id.
func readPerson(arg string) (person, error) {
	if userIDForm.MatchString(arg) {
		return person(arg), nil
	}
	n, err := phone.Parse(arg)
	if err != nil {
		return "", errors.New("the customer: write a telephone number with + and country code, or a user id such as DE.4K7QX2MZ5T3VJ6WHYB2ADNCRE5")
	}
	return person(n.Digits()), nil
}

// words names a person in a sentence. A number is left out: a terminal is often shown to others.
func (p person) words() string {
	if strings.Contains(string(p), ".") {
		return "customer " + string(p)
	}
	return "this person"
}

// whichCustomer is for commands about one person.
const whichCustomer = `
The person is named by telephone number or, also where they have none, by user id: webhooks
and kubectl relay customers have it.
`

// relayAndCustomer checks the arguments of a command about one person.
func relayAndCustomer(cmd *cobra.Command, args []string) error {
	if len(args) != 2 {
		return usage(cmd, "give one BusinessRelay and one customer, not %d arguments", len(args))
	}
	if _, err := readPerson(args[1]); err != nil {
		return usage(cmd, "%v", err)
	}
	return nil
}
