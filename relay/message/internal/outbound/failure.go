package outbound

import (
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// failure ends a message for good, and says why to the business.
type failure struct{ reason webhook.Error }

// Error implements error.
func (f *failure) Error() string { return "the message fails: " + f.reason.Title }

func fails(e webhook.Error) error { return &failure{e} }

// errBusy means that as many files are on their way as may be.
var errBusy = errors.New("other files are on their way")

// givenUp says why a job failed that was tried as often as it may be.
func givenUp(k record.Kind) webhook.Error {
	if k == record.KindMedia {
		return webhook.MediaUpload("The file could not be fetched from its link or handed to the carrier, though it was tried for a quarter of an hour.")
	}
	if k == record.KindBounced {
		return webhook.Unavailable("The carrier returned the message, and the relay could not send it again.")
	}
	return webhook.Undeliverable("The relay could not get the recipient's keys from the carrier.")
}

// timeFor bounds one attempt at a job.
func timeFor(k record.Kind) time.Duration {
	if k == record.KindMedia {
		return 2 * media.TransferTime // from the link, and to the carrier
	}
	return base.AttemptTime
}

// refused ends a job for a customer who is blocked: a message fails, receipts and
// the like just are not sent.
func refused(k record.Kind) error {
	if k == record.KindText || k == record.KindMedia || k == record.KindBounced {
		return fails(webhook.Undeliverable("The business has blocked the recipient: unblock them to write to them."))
	}
	return record.ErrFinished
}
