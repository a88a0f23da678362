package xmpp

import (
	"context"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// PublishDevices implements carrier.Carrier.
func (c *Carrier) PublishDevices(ctx context.Context, f carrier.Format, devices []carrier.DeviceID) error {
	node, _, _ := stanza.NodesOf(f, 0)
	if err := c.publish(ctx, node, stanza.ItemCurrent, stanza.DeviceList(f, devices)); err != nil {
		return fmt.Errorf("publishing the device list: %w", err)
	}
	return nil
}

// PublishBundle implements carrier.Carrier.
func (c *Carrier) PublishBundle(ctx context.Context, device carrier.DeviceID, b carrier.Bundle) error {
	_, node, item := stanza.NodesOf(b.Format, device)
	if err := c.publish(ctx, node, item, stanza.Bundle(b)); err != nil {
		return fmt.Errorf("publishing the bundle: %w", err)
	}
	return nil
}

// Devices implements carrier.Carrier.
func (c *Carrier) Devices(ctx context.Context, peer phone.Number, f carrier.Format) ([]carrier.DeviceID, error) {
	devices, err := c.fetchDevices(ctx, c.addr.Of(peer), f)
	if err != nil {
		return nil, fmt.Errorf("fetching a device list: %w", err)
	}
	return devices, nil
}

// Bundle implements carrier.Carrier.
func (c *Carrier) Bundle(ctx context.Context, peer phone.Number, device carrier.DeviceID, f carrier.Format) (carrier.Bundle, error) {
	_, node, id := stanza.NodesOf(f, device)
	if f == carrier.Legacy {
		id = "" // whichever is the newest: a client may name it as it likes
	}
	item, err := c.item(ctx, c.addr.Of(peer), node, id)
	if err != nil {
		return carrier.Bundle{}, fmt.Errorf("fetching a bundle: %w", err)
	}
	b, err := stanza.PublishedBundle(f, item)
	if err != nil {
		c.cfg.Metrics.Dropped(stanza.DropMalformed)
		return carrier.Bundle{}, fmt.Errorf("fetching a bundle: %w", malformed(err))
	}
	return b, nil
}

// fetchDevices reads the device list at an address; an empty address is our own account's.
func (c *Carrier) fetchDevices(ctx context.Context, address string, f carrier.Format) ([]carrier.DeviceID, error) {
	node, _, _ := stanza.NodesOf(f, 0)
	item, err := c.item(ctx, address, node, "")
	if err != nil {
		return nil, err
	}
	devices, err := stanza.ListedDevices(f, item)
	if err != nil {
		c.cfg.Metrics.Dropped(stanza.DropMalformed)
		return nil, malformed(err)
	}
	return devices, nil
}

// malformed makes something unreadable look to the caller as if it were not there.
func malformed(err error) error { return errors.Join(carrier.ErrNotFound, err) }

// item fetches the item of a node that has that id, or with an empty id the newest.
func (c *Carrier) item(ctx context.Context, address, node, id string) (*stanza.Element, error) {
	wanted := stanza.New(stanza.NSPubSub, "items", "node", node, "max_items", "1")
	if id != "" {
		wanted = stanza.New(stanza.NSPubSub, "items", "node", node).With(stanza.New(stanza.NSPubSub, "item", "id", id))
	}
	answer, err := c.questions.ask(ctx, address, "get", stanza.New(stanza.NSPubSub, "pubsub").With(wanted))
	if err != nil {
		return nil, fetchError(err)
	}
	items := answer.Child(stanza.NSPubSub, "pubsub").Child(stanza.NSPubSub, "items")
	if items == nil || items.Attr("node") != node {
		return nil, malformed(stanza.ErrMalformed)
	}
	// A server that ignores max_items sends the newest last.
	for i := len(items.Children) - 1; i >= 0; i-- {
		if it := items.Children[i]; it.Is(stanza.NSPubSub, "item") && (id == "" || it.Attr("id") == id) {
			return it, nil
		}
	}
	return nil, carrier.ErrNotFound
}

// fetchError sorts a server's refusals. The server answers service-unavailable for an account
// that does not exist (RFC 6121, 8.5.1), unless it treats it like an account that shows
// nothing. ejabberd hides an item with not-authorized, Prosody with forbidden (XEP-0060, 6.5.9).
func fetchError(err error) error {
	switch {
	case errors.Is(err, errLongAnswer):
		return malformed(err)
	case stanza.IsCondition(err, "service-unavailable"):
		return noAccount(err)
	case stanza.IsCondition(err, "not-authorized", "forbidden", "subscription-required", "not-allowed"):
		return errors.Join(carrier.ErrHidden, err)
	case stanza.IsCondition(err, "item-not-found"):
		return errors.Join(carrier.ErrNotFound, err)
	case stanza.IsCondition(err, "bad-request", "jid-malformed", "feature-not-implemented"):
		return errors.Join(carrier.ErrRejected, err)
	}
	return err
}

// publish puts an item into one of our nodes and gives the node the right settings: when it
// exists with other settings, the server refuses, and we change them and try again.
func (c *Carrier) publish(ctx context.Context, node, item string, content *stanza.Element) error {
	put := func(options ...*stanza.Element) error {
		_, err := c.questions.set(ctx, stanza.New(stanza.NSPubSub, "pubsub").With(
			stanza.New(stanza.NSPubSub, "publish", "node", node).With(
				stanza.New(stanza.NSPubSub, "item", "id", item).With(content)),
			stanza.New(stanza.NSPubSub, "publish-options").With(c.form(stanza.NSPSOpts, node, options...)),
		))
		return err
	}
	err := put(many(node)...)
	if node == stanza.NodeBundles2 && stanza.IsCondition(err, "resource-constraint") {
		// ejabberd 23.01 does not know this option here, but lets owners configure it.
		if err = put(); err == nil {
			err = c.configure(ctx, node)
		}
		return publishError(err)
	}
	if e := (*stanza.Error)(nil); errors.As(err, &e) && e.Detail == "precondition-not-met" {
		if err := c.configure(ctx, node); err != nil {
			return err
		}
		err = put(many(node)...)
	}
	if stanza.IsCondition(err, "item-not-found") {
		return err // temporary: ejabberd says so of a node that it should create while others create theirs
	}
	return publishError(err)
}

// withdraw empties a node of ours that others read: it tells them first, by publishing empty as its
// item, and then retracts this item. A node that does not exist is empty.
func (c *Carrier) withdraw(ctx context.Context, node string, empty *stanza.Element) error {
	if err := c.publish(ctx, node, stanza.ItemCurrent, empty); err != nil {
		return err
	}
	return c.retract(ctx, node, stanza.ItemCurrent)
}

// retract removes an item from one of our nodes, if it is there.
func (c *Carrier) retract(ctx context.Context, node, item string) error {
	_, err := c.questions.set(ctx, stanza.New(stanza.NSPubSub, "pubsub").With(
		stanza.New(stanza.NSPubSub, "retract", "node", node).With(stanza.New(stanza.NSPubSub, "item", "id", item))))
	if stanza.IsCondition(err, "item-not-found") {
		return nil
	}
	return publishError(err)
}

func (c *Carrier) configure(ctx context.Context, node string) error {
	_, err := c.questions.set(ctx, stanza.New(stanza.NSOwner, "pubsub").With(
		stanza.New(stanza.NSOwner, "configure", "node", node).With(c.form(stanza.NSPSConfig, node, many(node)...))))
	return publishError(err)
}

// publishError turns permanent refusals into ErrRejected.
func publishError(err error) error {
	e := (*stanza.Error)(nil)
	if errors.As(err, &e) && e.Kind != "wait" {
		return errors.Join(carrier.ErrRejected, err)
	}
	return err
}

// form is a filled-in form (XEP-0004) with the nodes' options: strangers can read them, unless
// configured otherwise, and their items persist (XEP-0384 v0.3, 4.3).
func (c *Carrier) form(kind, node string, more ...*stanza.Element) *stanza.Element {
	access := "open"
	switch {
	case node == stanza.NSProfile:
		access = "whitelist" // nobody else needs it (XEP-0223)
	case c.cfg.ContactsOnly:
		access = "presence"
	}
	return stanza.New(stanza.NSForm, "x", "type", "submit").With(
		field("FORM_TYPE", kind, "type", "hidden"),
		field("pubsub#persist_items", "true"),
		field("pubsub#access_model", access)).With(more...)
}

// many is the option of the node that has an item for each device (XEP-0384 v0.9, "Bundles").
func many(node string) []*stanza.Element {
	if node != stanza.NodeBundles2 {
		return nil
	}
	return []*stanza.Element{field("pubsub#max_items", "max")}
}

func field(name, value string, attrs ...string) *stanza.Element {
	return stanza.New(stanza.NSForm, "field", append([]string{"var", name}, attrs...)...).With(
		stanza.New(stanza.NSForm, "value").WithText(value))
}
