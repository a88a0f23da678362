package record

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// Without storage, what anybody wrote is kept under keys in memory only, and the rest of a row as
// ever. This is the rest: what the relay needs to go on with the conversation, and to tell which
// messages it lost.

// Bare returns a message's body without its content. It lists what may be stored, so that a field
// that is added later is not stored unless somebody says so. The ciphertext counts as content: with
// an earlier state of its session, which the store's files may still have, it can be opened.
func Bare(body []byte) ([]byte, error) {
	c, err := ContentOf(store.Message{Body: body})
	if err != nil {
		return nil, err
	}
	return Content{
		ToUser: c.ToUser, Markable: c.Markable, ReplyTo: c.ReplyTo, ReplyOwn: c.ReplyOwn, ReplyClear: c.ReplyClear,
		Quoted: c.Quoted, Corrects: c.Corrects, CorrectsClear: c.CorrectsClear, Revoked: c.Revoked, RevokedInside: c.RevokedInside,
		At: c.At, Refused: c.Refused, Mark: c.Mark, With: c.With, Sealed: c.Sealed, Failure: c.Failure, IdentityHash: c.IdentityHash,
		For: c.For, Unproven: c.Unproven, Resent: c.Resent, Bounces: c.Bounces, Waits: c.Waits, Going: c.Going,
	}.Encode()
}

// Own returns a message's body without what was copied into it from other messages: the ciphertext, which may begin
// with a quote, and the answer that another message offered. Without the ciphertext a message is encrypted again.
func Own(body []byte) ([]byte, error) {
	c, err := ContentOf(store.Message{Body: body})
	if err != nil {
		return nil, err
	}
	c.Envelope, c.Other, c.Chosen = nil, nil, nil
	return c.Encode()
}

// BareJob returns a job's body without content, and unchanged if it has none. Of a webhook about a
// message it leaves out the file, and of any other what webhook.Bare does. All other jobs have none.
// Webhooks says whether the queue's jobs are webhooks.
func BareJob(webhooks bool, job []byte) ([]byte, error) {
	if !webhooks {
		return job, nil
	}
	l, body, err := LetterOf(job)
	if err != nil {
		return nil, err
	}
	isLetter := len(body) < len(job)
	c, body, err := ConfirmOf(body)
	if err != nil {
		return nil, err
	}
	bare, err := bareWebhook(body)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(bare, body) {
		return job, nil
	}
	if bare, err = c.On(bare); err != nil {
		return nil, err
	}
	if isLetter {
		return l.Encode(bare)
	}
	return bare, nil
}

func bareWebhook(body []byte) ([]byte, error) {
	if len(body) == 0 {
		return nil, ErrTold
	}
	if body[0] != ToldVersion {
		bare, err := webhook.Bare(body)
		if err != nil {
			return nil, ErrTold
		}
		return bare, nil
	}
	var t Told
	if json.Unmarshal(body[1:], &t) != nil {
		return nil, ErrTold
	}
	if t.Media == nil {
		return body, nil
	}
	t.Media = nil
	bare, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encoding a webhook: %w", err)
	}
	return append([]byte{ToldVersion}, bare...), nil
}
