package attack

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/test/lab"
)

// Open prepares a scene in an environment that is up: users with the rights of
// their posts, a Secret and a data key of each business. Close removes them.
func Open(ctx context.Context, l *lab.Lab) (*Scene, error) {
	s := &Scene{
		lab: l, mark: strings.ToLower(rand.Text()[:6]),
		root: map[*lab.Region]*api.Client{}, logins: map[login]*api.Client{},
		wrapped: map[*lab.Business]string{}, settings: map[*lab.Business]string{}, holders: map[holder]string{},
	}
	for _, prepare := range []func(context.Context) error{s.openVaults, s.makeUsers, s.makeOperations, s.makeSecrets, s.makeDataKeys, s.makeSharedHost, s.makeMoves} {
		if err := prepare(ctx); err != nil {
			return nil, errors.Join(err, s.Close(ctx))
		}
	}
	return s, nil
}
