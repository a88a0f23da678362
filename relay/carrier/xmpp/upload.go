package xmpp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"mellium.im/xmpp/jid"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

const (
	nsUpload = "urn:xmpp:http:upload:0"                 // XEP-0363
	nsItems  = "http://jabber.org/protocol/disco#items" // XEP-0030
)

// Bounds on what a server says about its upload service.
const (
	maxServices    = 32   // how many of a server's components we ask what they are
	maxSlotURL     = 4096 // bytes
	maxSlotHeaders = 8
	maxSlotHeader  = 4096 // bytes of a header's value
)

var _ carrier.Uploads = (*Carrier)(nil)

// UploadSlot implements carrier.Uploads.
func (c *Carrier) UploadSlot(ctx context.Context, name string, size int64) (carrier.Slot, error) {
	service, err := c.uploadService(ctx)
	if err != nil {
		return carrier.Slot{}, fmt.Errorf("looking for the upload service: %w", err)
	}
	answer, err := c.questions.ask(ctx, service, "get", stanza.New(nsUpload, "request",
		"filename", name, "size", strconv.FormatInt(size, 10), "content-type", "application/octet-stream"))
	if err != nil {
		c.forgetUploadService(err)
		return carrier.Slot{}, fmt.Errorf("asking for an upload slot: %w", slotError(err))
	}
	slot, err := parseSlot(answer.Child(nsUpload, "slot"))
	if err != nil {
		c.cfg.Metrics.Dropped(stanza.DropMalformed)
		return carrier.Slot{}, fmt.Errorf("asking for an upload slot: %w", err)
	}
	return slot, nil
}

// slotError turns permanent refusals into ErrRejected: the file is too large, or of a kind
// that the carrier refuses. A used-up quota is not permanent: it recovers.
func slotError(err error) error {
	e := (*stanza.Error)(nil)
	if errors.As(err, &e) && e.Kind != "wait" && e.Condition != "resource-constraint" {
		return errors.Join(carrier.ErrRejected, err)
	}
	return err
}

// uploadService returns the address of the server's upload service. It looks for it once.
func (c *Carrier) uploadService(ctx context.Context) (string, error) {
	c.mu.Lock()
	known := c.upload
	c.mu.Unlock()
	if known != "" {
		return known, nil
	}
	answer, err := c.questions.ask(ctx, c.addr.Domain, "get", stanza.New(nsItems, "query"))
	if err != nil {
		return "", fetchError(err)
	}
	candidates := []string{c.addr.Domain}
	if q := answer.Child(nsItems, "query"); q != nil {
		for _, item := range q.Children {
			if address := item.Attr("jid"); item.Is(nsItems, "item") && c.component(address) && len(candidates) <= maxServices {
				candidates = append(candidates, address)
			}
		}
	}
	for _, address := range candidates {
		is, err := c.uploads(ctx, address)
		if err != nil {
			return "", err
		}
		if is {
			c.mu.Lock()
			c.upload = address
			c.mu.Unlock()
			return address, nil
		}
	}
	return "", carrier.ErrNotFound
}

// component says whether an address belongs to a server and not to a person.
func (c *Carrier) component(address string) bool {
	j, err := jid.Parse(address)
	return err == nil && len(address) <= stanza.MaxAddress && j.Localpart() == "" && j.Resourcepart() == "" && j.String() == address
}

// uploads asks an address whether it is an upload service. An error as the answer means no.
func (c *Carrier) uploads(ctx context.Context, address string) (bool, error) {
	answer, err := c.questions.ask(ctx, address, "get", stanza.New(stanza.NSDisco, "query"))
	if e := (*stanza.Error)(nil); errors.As(err, &e) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	q := answer.Child(stanza.NSDisco, "query")
	if q == nil {
		return false, nil
	}
	for _, f := range q.Children {
		if f.Is(stanza.NSDisco, "feature") && f.Attr("var") == nsUpload {
			return true, nil
		}
	}
	return false, nil
}

// forgetUploadService makes the next call look for the service again when it is gone.
func (c *Carrier) forgetUploadService(err error) {
	if stanza.IsCondition(err, "item-not-found", "service-unavailable", "remote-server-not-found") {
		c.mu.Lock()
		c.upload = ""
		c.mu.Unlock()
	}
}

// parseSlot reads a slot (XEP-0363, 5).
func parseSlot(e *stanza.Element) (s carrier.Slot, err error) {
	put, get := e.Child(nsUpload, "put"), e.Child(nsUpload, "get")
	if put == nil || get == nil {
		return s, stanza.ErrMalformed
	}
	s.Put, s.Get = put.Attr("url"), get.Attr("url")
	if !secure(s.Put) || !secure(s.Get) {
		return s, stanza.ErrMalformed
	}
	for _, h := range put.Children {
		if !h.Is(nsUpload, "header") {
			continue
		}
		name, value := textproto.CanonicalMIMEHeaderKey(h.Attr("name")), h.Text
		switch name {
		case "Authorization", "Cookie", "Expires": // XEP-0363 allows no other
		default:
			continue
		}
		if len(s.Header) >= maxSlotHeaders || len(value) > maxSlotHeader || strings.ContainsAny(value, "\r\n\x00") {
			return s, stanza.ErrMalformed
		}
		if s.Header == nil {
			s.Header = http.Header{}
		}
		s.Header.Add(name, value)
	}
	return s, nil
}

// secure says whether an address is an absolute https URL.
func secure(address string) bool {
	u, err := url.Parse(address)
	return err == nil && len(address) <= maxSlotURL && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && u.Fragment == ""
}
