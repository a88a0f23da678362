package xmpp

import (
	"context"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// PublishDevices implements carrier.Carrier.
func (c *Carrier) PublishDevices(ctx context.Context, devices []carrier.DeviceID) error {
	if err := c.publish(ctx, nodeDevices, deviceList(devices)); err != nil {
		return fmt.Errorf("publishing the device list: %w", err)
	}
	return nil
}

// PublishBundle implements carrier.Carrier.
func (c *Carrier) PublishBundle(ctx context.Context, device carrier.DeviceID, b carrier.Bundle) error {
	if err := c.publish(ctx, nodeBundles+formatDevice(device), bundle(b)); err != nil {
		return fmt.Errorf("publishing the bundle: %w", err)
	}
	return nil
}

// Devices implements carrier.Carrier. It also asks to see the peer's presence, so
// that changes of the list arrive.
func (c *Carrier) Devices(ctx context.Context, peer phone.Number) ([]carrier.DeviceID, error) {
	c.befriend(peer)
	devices, err := c.fetchDevices(ctx, c.addr.of(peer))
	if err != nil {
		return nil, fmt.Errorf("fetching a device list: %w", err)
	}
	return devices, nil
}

// Bundle implements carrier.Carrier. Some clients show their bundle only to those
// who see their presence: then it is ErrNotFound until the peer allows that.
func (c *Carrier) Bundle(ctx context.Context, peer phone.Number, device carrier.DeviceID) (carrier.Bundle, error) {
	c.befriend(peer)
	item, err := c.item(ctx, c.addr.of(peer), nodeBundles+formatDevice(device))
	if err != nil {
		return carrier.Bundle{}, fmt.Errorf("fetching a bundle: %w", err)
	}
	b, err := parseBundle(item.child(nsOMEMO, "bundle"))
	if err != nil {
		c.cfg.Metrics.Dropped(DropMalformed)
		return carrier.Bundle{}, fmt.Errorf("fetching a bundle: %w", malformed(err))
	}
	return b, nil
}

// fetchDevices reads the device list at an address; the empty one is our own.
func (c *Carrier) fetchDevices(ctx context.Context, address string) ([]carrier.DeviceID, error) {
	item, err := c.item(ctx, address, nodeDevices)
	if err != nil {
		return nil, err
	}
	devices, err := parseDevices(item.child(nsOMEMO, "list"))
	if err != nil {
		c.cfg.Metrics.Dropped(DropMalformed)
		return nil, malformed(err)
	}
	return devices, nil
}

// malformed makes what cannot be read the same as what is not there, to a caller.
func malformed(err error) error { return errors.Join(carrier.ErrNotFound, err) }

// item fetches the newest item of a node.
func (c *Carrier) item(ctx context.Context, address, node string) (*element, error) {
	answer, err := c.ask(ctx, address, "get", elem(nsPubSub, "pubsub").with(
		elem(nsPubSub, "items", "node", node, "max_items", "1")))
	if err != nil {
		return nil, fetchError(err)
	}
	items := answer.child(nsPubSub, "pubsub").child(nsPubSub, "items")
	if items == nil || items.attr("node") != node {
		return nil, malformed(errMalformed)
	}
	// A server that ignores max_items sends the newest last.
	for i := len(items.children) - 1; i >= 0; i-- {
		if it := items.children[i]; it.is(nsPubSub, "item") {
			return it, nil
		}
	}
	return nil, carrier.ErrNotFound
}

// fetchError sorts a server's refusals. A server that hides who exists answers
// service-unavailable (RFC 6121, 8.5.1); not-authorized and forbidden are an item
// that we may not see.
func fetchError(err error) error {
	switch {
	case errors.Is(err, errLongAnswer):
		return malformed(err)
	case isCondition(err, "item-not-found", "service-unavailable", "not-authorized", "forbidden", "subscription-required", "not-allowed"):
		return errors.Join(carrier.ErrNotFound, err)
	case isCondition(err, "bad-request", "jid-malformed", "feature-not-implemented"):
		return errors.Join(carrier.ErrRejected, err)
	}
	return err
}

// publish puts an item into one of our nodes and makes the node be as it should:
// when it exists with other settings, the server refuses, and we change them.
func (c *Carrier) publish(ctx context.Context, node string, content *element) error {
	request := elem(nsPubSub, "pubsub").with(
		elem(nsPubSub, "publish", "node", node).with(
			elem(nsPubSub, "item", "id", itemCurrent).with(content)),
		elem(nsPubSub, "publish-options").with(form(nsPSOpts)),
	)
	_, err := c.instruct(ctx, request)
	if e := (*stanzaError)(nil); errors.As(err, &e) && e.detail == "precondition-not-met" {
		if err := c.configure(ctx, node); err != nil {
			return err
		}
		_, err = c.instruct(ctx, request)
	}
	if isCondition(err, "item-not-found") {
		return err // for the time being: ejabberd says so of a node that it is to make while others make theirs
	}
	return publishError(err)
}

func (c *Carrier) configure(ctx context.Context, node string) error {
	_, err := c.instruct(ctx, elem(nsOwner, "pubsub").with(
		elem(nsOwner, "configure", "node", node).with(form(nsPSConfig))))
	return publishError(err)
}

// publishError makes refusals for good ErrRejected.
func publishError(err error) error {
	e := (*stanzaError)(nil)
	if errors.As(err, &e) && e.kind != "wait" {
		return errors.Join(carrier.ErrRejected, err)
	}
	return err
}

// form is a filled-in form (XEP-0004) with the nodes' options: readable by strangers
// and lasting (XEP-0384 v0.3, 4.3).
func form(kind string) *element {
	field := func(name, value string, attrs ...string) *element {
		return elem(nsForm, "field", append([]string{"var", name}, attrs...)...).with(
			elem(nsForm, "value").withText(value))
	}
	return elem(nsForm, "x", "type", "submit").with(
		field("FORM_TYPE", kind, "type", "hidden"),
		field("pubsub#persist_items", "true"),
		field("pubsub#access_model", "open"))
}
