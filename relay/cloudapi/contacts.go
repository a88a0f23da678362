package cloudapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/rich"
)

// Limits of a message of contacts ("Contacts messages").
const (
	maxContacts      = 257
	maxContactFields = 32   // phones, and so on, of one contact
	maxContactField  = 1000 // characters
)

// contactObject is one contact of a message.
type contactObject struct {
	Name *struct {
		Formatted string `json:"formatted_name"`
		First     string `json:"first_name"`
		Middle    string `json:"middle_name"`
		Last      string `json:"last_name"`
		Prefix    string `json:"prefix"`
		Suffix    string `json:"suffix"`
	} `json:"name"`
	Org struct {
		Company    string `json:"company"`
		Department string `json:"department"`
		Title      string `json:"title"`
	} `json:"org"`
	Birthday string `json:"birthday"`
	Phones   []struct {
		Phone identifier `json:"phone"`
		WaID  identifier `json:"wa_id"`
		Type  string     `json:"type"`
	} `json:"phones"`
	Emails []struct {
		Email string `json:"email"`
		Type  string `json:"type"`
	} `json:"emails"`
	URLs []struct {
		URL  string `json:"url"`
		Type string `json:"type"`
	} `json:"urls"`
	Addresses []struct {
		Street  string     `json:"street"`
		City    string     `json:"city"`
		State   string     `json:"state"`
		Zip     identifier `json:"zip"`
		Country string     `json:"country"`
		Code    string     `json:"country_code"`
		Type    string     `json:"type"`
	} `json:"addresses"`
}

// card is a message of contacts: a document, which Attachment is without its ID, and what it holds.
type card struct {
	Attachment
	vcards []byte
}

// contacts reads a message of contacts, whose envelope was checked.
func (q *request) contacts(to phone.Number) (*card, error) {
	switch n := len(q.Contacts); {
	case n == 0:
		return nil, errMissing("contacts")
	case n > maxContacts:
		return nil, errInvalidParameter(fmt.Sprintf("Param contacts must have at most %d contacts.", maxContacts))
	}
	contacts := make([]rich.Contact, len(q.Contacts))
	for i, o := range q.Contacts {
		var err error
		if contacts[i], err = o.contact(); err != nil {
			return nil, err
		}
	}
	return &card{Attachment{
		To: to, Kind: media.Document, Caption: rich.ContactsText(contacts, MaxTextLength), ReplyTo: q.replyTo(), Opaque: q.Opaque,
	}, rich.VCards(contacts)}, nil
}

// contact checks one contact.
func (o contactObject) contact() (c rich.Contact, err error) {
	if o.Name == nil || o.Name.Formatted == "" {
		return c, errMissing("contacts.name.formatted_name")
	}
	for _, list := range []struct {
		name   string
		length int
	}{{"phones", len(o.Phones)}, {"emails", len(o.Emails)}, {"urls", len(o.URLs)}, {"addresses", len(o.Addresses)}} {
		if list.length > maxContactFields {
			return c, errInvalidParameter(fmt.Sprintf("Param contacts.%s must have at most %d entries.", list.name, maxContactFields))
		}
	}
	if _, err := time.Parse(time.DateOnly, o.Birthday); o.Birthday != "" && err != nil {
		return c, errInvalidValue("contacts.birthday must be a date in the form YYYY-MM-DD.")
	}
	c = rich.Contact{
		Name: o.Name.Formatted, First: o.Name.First, Middle: o.Name.Middle, Last: o.Name.Last, Prefix: o.Name.Prefix, Suffix: o.Name.Suffix,
		Company: o.Org.Company, Department: o.Org.Department, Title: o.Org.Title, Birthday: o.Birthday,
	}
	return c, cmp.Or(
		short("name.formatted_name", c.Name), short("name.first_name", c.First), short("name.middle_name", c.Middle), short("name.last_name", c.Last),
		short("name.prefix", c.Prefix), short("name.suffix", c.Suffix),
		short("org.company", c.Company), short("org.department", c.Department), short("org.title", c.Title), o.lists(&c),
	)
}

// lists checks what a contact may have several of.
func (o contactObject) lists(c *rich.Contact) error {
	for _, p := range o.Phones {
		number := string(p.Phone)
		if number == "" && p.WaID != "" {
			number = "+" + string(p.WaID)
		}
		c.Phones = append(c.Phones, rich.Labelled{Value: number, Label: p.Type})
		if err := cmp.Or(required("contacts.phones.phone", number), short("phones.phone", number), short("phones.type", p.Type)); err != nil {
			return err
		}
	}
	for _, e := range o.Emails {
		c.Emails = append(c.Emails, rich.Labelled{Value: e.Email, Label: e.Type})
		if err := cmp.Or(required("contacts.emails.email", e.Email), short("emails.email", e.Email), short("emails.type", e.Type)); err != nil {
			return err
		}
	}
	for _, u := range o.URLs {
		c.Links = append(c.Links, rich.Labelled{Value: u.URL, Label: u.Type})
		if err := cmp.Or(required("contacts.urls.url", u.URL), short("urls.url", u.URL), short("urls.type", u.Type)); err != nil {
			return err
		}
	}
	for _, a := range o.Addresses {
		c.Addresses = append(c.Addresses, rich.Address{
			Street: a.Street, City: a.City, State: a.State, Code: string(a.Zip), Country: cmp.Or(a.Country, a.Code), Label: a.Type,
		})
		err := cmp.Or(
			short("addresses.street", a.Street), short("addresses.city", a.City), short("addresses.state", a.State), short("addresses.zip", string(a.Zip)),
			short("addresses.country", a.Country), short("addresses.country_code", a.Code), short("addresses.type", a.Type),
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// short checks how long a value of a contact is.
func short(param, value string) error { return atMost("contacts."+param, value, maxContactField) }

// sendContacts stores the file and passes the message to the service.
func (a *API) sendContacts(ctx context.Context, c card, who acceptedContact) (any, error) {
	id, err := a.limits.accept(c.To, a.Now(), func() (string, error) { return a.acceptContacts(ctx, c) })
	if err != nil {
		return nil, fromService(err)
	}
	return acceptance(who, id), nil
}

func (a *API) acceptContacts(ctx context.Context, c card) (string, error) {
	file, err := a.Service.StoreFile(ctx, NewFile{
		MIME: media.VCard, Name: "contacts.vcf", Body: bytes.NewReader(c.vcards), Limit: media.Document.MaxSize(),
	})
	if err != nil {
		return "", err
	}
	c.ID = file
	id, err := a.Service.AcceptAttachment(ctx, c.Attachment)
	limit := (*LimitError)(nil)
	if errors.Is(err, ErrRecipientFull) || errors.Is(err, ErrOtherBody) || errors.Is(err, ErrOptedOut) || errors.As(err, &limit) { // after other errors the message may be stored, and need its file
		_ = a.Service.DeleteFile(context.WithoutCancel(ctx), file) // else the retention removes it
	}
	return id, err
}
