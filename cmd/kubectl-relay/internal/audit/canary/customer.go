package canary

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// client is a canary's client. Its keys and sessions are in memory only.
type client struct {
	*customer.Customer
	business phone.Number
	config   xmpp.Config
	end      context.CancelFunc
	ended    chan error

	mu    sync.Mutex // guards heard
	heard map[string]bool
	news  chan struct{} // something was heard
}

// Join brings a canary's client online, to write to a business. The configuration says where the carrier is, and either has
// the password of an account that is there, or registers one (xmpp.Open), which Leave removes.
func Join(ctx context.Context, config xmpp.Config, n, business phone.Number) (Customer, error) {
	state, err := customer.NewState(n)
	if err != nil {
		return nil, err
	}
	config.Account = n
	if config.Password == "" {
		_, config.Password = state.Account()
	}
	link, err := xmpp.New(config)
	if err != nil {
		return nil, err
	}
	c := &client{business: business, config: config, ended: make(chan error, 1), heard: map[string]bool{}, news: make(chan struct{}, 1)}
	online := make(chan struct{})
	up := sync.OnceFunc(func() { close(online) })
	c.Customer = customer.New(customer.Options{State: state, Carrier: link, OnEvent: func(e customer.Event) {
		switch {
		case e.Kind == customer.Online:
			up()
		case e.Kind == customer.Received && e.Peer == business:
			c.hear(e.Text)
		}
	}})
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	c.end = end
	go func() { c.ended <- c.Run(running) }()
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-online:
		return c, nil
	case err = <-c.ended:
		c.ended <- nil
		err = errors.Join(errors.New("its client ended"), err)
	case <-waiting.Done():
		err = fmt.Errorf("its client does not get online: %s", link.Status().Reason)
	}
	return nil, errors.Join(err, c.Leave(context.WithoutCancel(ctx)))
}

func (c *client) hear(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard[text] = true
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (c *client) has(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard[text]
}

// Say implements Customer.
func (c *client) Say(ctx context.Context, text string) error {
	_, err := c.Send(ctx, c.business, text)
	return err
}

// Hears implements Customer.
func (c *client) Hears(ctx context.Context, text string) error {
	for !c.has(text) {
		select {
		case <-ctx.Done():
			return errors.New("it did not arrive in time")
		case <-c.news:
		}
	}
	return nil
}

// Leave implements Customer.
func (c *client) Leave(ctx context.Context) error {
	c.end()
	select {
	case err := <-c.ended:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.config.Registration != xmpp.Open {
		return nil
	}
	if err := xmpp.Unregister(ctx, c.config); err != nil && !errors.Is(err, xmpp.ErrCredentials) {
		return err
	}
	return nil
}
