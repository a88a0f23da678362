package outbound

import (
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// Details of messages that cannot be delivered though nothing is wrong with the recipient.
const (
	noKeysDetails   = "The relay could not get the recipient's keys from the carrier."
	blockedDetails  = "The business has blocked the recipient: unblock them to write to them."
	restoredDetails = "The relay was restored from a backup in which this message waited: it may have been sent since. Send it again if the customer has not got it."
)

// failure ends a message for good, with the reason for the business.
type failure struct{ reason webhook.Error }

// Error implements error.
func (f *failure) Error() string { return "the message fails: " + f.reason.Title }

func fails(e webhook.Error) error { return &failure{e} }

// errBusy means that the largest number of files is in transfer already.
var errBusy = errors.New("other files are in transfer")

// givenUp says why a job failed that used up its attempts.
func givenUp(k record.Kind) webhook.Error {
	if k == record.KindMedia {
		return webhook.MediaUpload("The relay tried for a quarter of an hour, but could not fetch the file from its link or upload it to the carrier.")
	}
	if k == record.KindBounced {
		return webhook.Unavailable("The carrier returned the message, and the relay could not send it again.")
	}
	return webhook.Undeliverable(noKeysDetails)
}

// timeFor bounds one attempt at a job.
func timeFor(k record.Kind) time.Duration {
	if k == record.KindMedia {
		return 2 * media.TransferTime // from the link, and to the carrier
	}
	return base.AttemptTime
}

// refused ends a job for a blocked customer: a message fails; receipts and the like are just
// not sent.
func refused(k record.Kind) error {
	if k == record.KindText || k == record.KindMedia || k == record.KindReaction || k == record.KindBounced {
		return fails(webhook.Undeliverable(blockedDetails))
	}
	return record.ErrFinished
}
