package xmpp

import (
	"context"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
)

// Register creates the account at the server (XEP-0077), with a token if the configuration
// has one (XEP-0445). ErrAccountExists and ErrRegistrationClosed are permanent; other errors
// may be temporary.
func Register(ctx context.Context, c Config) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	var token *string
	if c.Registration == Token {
		token = &c.RegistrationToken
	}
	if err := stream.Register(ctx, c.stream(), token); err != nil {
		return fmt.Errorf("registering the carrier account: %w", err)
	}
	return nil
}

// Unregister removes the account and all that the server keeps for it (XEP-0077, 3.2), and
// ends its links. ErrCredentials means that there is no such account or that the password is
// wrong: the server does not say which.
func Unregister(ctx context.Context, c Config) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	c.Resource += "-erase" // beside a link that may still be up
	if err := stream.Unregister(ctx, c.stream(), c.IQTimeout); err != nil {
		return fmt.Errorf("removing the carrier account: %w", err)
	}
	return nil
}
