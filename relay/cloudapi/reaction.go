package cloudapi

import (
	"context"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/emoji"
	"github.com/relaykeep/relaykeep/relay/phone"
)

type reactionObject struct {
	MessageID string  `json:"message_id"`
	Emoji     *string `json:"emoji"`
}

// reaction reads a reaction, whose envelope was checked. A context is ignored: a reaction is no
// reply.
func (q *request) reaction(to phone.Number) (*Reaction, error) {
	r := q.Reaction
	switch {
	case r == nil:
		return nil, errMissing("reaction")
	case r.MessageID == "":
		return nil, errMissing("reaction.message_id")
	case len(r.MessageID) > MaxMessageID:
		return nil, errInvalidValue(fmt.Sprintf("reaction.message_id must have at most %d bytes.", MaxMessageID))
	case r.Emoji == nil:
		return nil, errMissing("reaction.emoji")
	case *r.Emoji != "" && !emoji.Is(*r.Emoji):
		return nil, errInvalidValue("reaction.emoji must be a single emoji, or empty to remove the reaction.")
	}
	return &Reaction{To: to, MessageID: r.MessageID, Emoji: *r.Emoji, Opaque: q.Opaque}, nil
}

// sendReaction passes a reaction to the service.
func (a *API) sendReaction(ctx context.Context, r Reaction, who acceptedContact) (any, error) {
	id, err := a.limits.accept(r.To, a.Now(), func() (string, error) { return a.Service.AcceptReaction(ctx, r) })
	if err != nil {
		return nil, fromService(err)
	}
	return acceptance(who, id), nil
}
