package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/relaykeep/relaykeep/relay/access"
)

// accountToken is a named access token that some relays of a business account have.
type accountToken struct {
	namedToken
	Relays []string `json:"relays,omitempty"`
}

// sameEnd is how far apart the ends of one token may be in several relays, in seconds: each counts from when it was asked.
const sameEnd = 3600

// createTokens has every relay accept one new token. If one does not, none does: where that cannot be achieved, the
// error says which relays have it.
func createTokens(ctx context.Context, members []member, name string, scopes []string, seconds int64) (accountToken, error) {
	if err := nobodyHas(ctx, members, name); err != nil {
		return accountToken{}, err
	}
	secret, hash := access.NewSecret()
	made := accountToken{}
	for i, m := range members {
		added, err := m.addToken(ctx, name, scopes, seconds, hash)
		if err != nil {
			err = fmt.Errorf("relay %s: %w", m.name, err)
			tried := members[:i+1] // the last one may have added it before the call failed
			if errors.Is(err, errTokenRefused) {
				tried = members[:i] // what it has of that name is somebody else's
			}
			return accountToken{}, withdrawn(ctx, tried, name, err)
		}
		made.namedToken, made.Relays = added, append(made.Relays, m.name)
	}
	made.Token = secret
	return made, nil
}

// nobodyHas returns an error if a relay has a token of that name, or cannot be asked.
func nobodyHas(ctx context.Context, members []member, name string) error {
	for _, m := range members {
		tokens, err := m.tokens(ctx)
		if err != nil {
			return fmt.Errorf("relay %s: %w; no token was made", m.name, err)
		}
		if slices.ContainsFunc(tokens, func(t namedToken) bool { return t.Name == name }) {
			return fmt.Errorf("relay %s has a token named %q: revoke it (kubectl relay token revoke), or take another name; no token was made", m.name, name)
		}
	}
	return nil
}

// withdrawn revokes a token that could not be made everywhere, and returns why.
func withdrawn(ctx context.Context, members []member, name string, why error) error {
	ctx = context.WithoutCancel(ctx) // the calls have their own limit
	var left []string
	for _, m := range members {
		if err := m.revokeToken(ctx, name); err != nil && !errors.Is(err, errNoSuchToken) {
			left = append(left, m.name)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("%w; the token %q may be left, useless, in %s: revoke it with kubectl relay token revoke --for %s", why, name, strings.Join(left, ", "), name)
	}
	return fmt.Errorf("%w; no relay has the token", why)
}

// listTokens lists the tokens of all relays. The error says which cannot be asked.
func listTokens(ctx context.Context, members []member) ([]accountToken, error) {
	list := []accountToken{}
	var failed []error
	for _, m := range members {
		tokens, err := m.tokens(ctx)
		if err != nil {
			failed = append(failed, fmt.Errorf("relay %s: %w", m.name, err))
		}
		for _, t := range tokens {
			i := slices.IndexFunc(list, func(o accountToken) bool {
				return o.Name == t.Name && slices.Equal(o.Scopes, t.Scopes) && (o.Expires == 0) == (t.Expires == 0) && max(o.Expires, t.Expires)-min(o.Expires, t.Expires) <= sameEnd
			})
			if i < 0 {
				list = append(list, accountToken{namedToken: t, Relays: []string{m.name}})
				continue
			}
			list[i].Relays = append(list[i].Relays, m.name)
			list[i].LastUsed = max(list[i].LastUsed, t.LastUsed) // days, as text
		}
	}
	slices.SortStableFunc(list, func(a, b accountToken) int { return strings.Compare(a.Name, b.Name) })
	return list, errors.Join(failed...)
}

// revokeTokens revokes a token in all relays that have it, and returns these. The error says which relays may still
// have it.
func revokeTokens(ctx context.Context, members []member, name string) (revoked []string, err error) {
	var failed []error
	for _, m := range members {
		err := m.revokeToken(ctx, name)
		switch {
		case err == nil:
			revoked = append(revoked, m.name)
		case !errors.Is(err, errNoSuchToken):
			failed = append(failed, fmt.Errorf("relay %s may still have it: %w", m.name, err))
		}
	}
	if len(revoked)+len(failed) == 0 {
		return nil, fmt.Errorf("%w named %q: see kubectl relay token list", errNoSuchToken, name)
	}
	return revoked, errors.Join(failed...)
}
