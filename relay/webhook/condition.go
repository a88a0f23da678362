package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
)

// Reasons of the condition WebhookVerified.
const (
	ReasonVerified        = "Verified"
	ReasonVerifying       = "Verifying"
	ReasonNotConfigured   = "NotConfigured"
	ReasonUnreachable     = "Unreachable"
	ReasonUntrusted       = "CertificateUntrusted"
	ReasonChallengeFailed = "ChallengeFailed"
	ReasonDeliveryFailing = "DeliveryFailing"
	ReasonNotEncrypted    = "EncryptionFailing"
	ReasonFormer          = "FormerCredentials"
	ReasonCredentials     = "CredentialsUnusable"
	ReasonDeadLetters     = "DeadLetters"
)

// NotConfigured is the condition of a relay without a webhook.
func NotConfigured() contract.Condition {
	return contract.Condition{
		Type: contract.ConditionWebhookVerified, Status: contract.False, Reason: ReasonNotConfigured,
		Message: "no webhook is configured: customers' messages are stored for the retention; set spec.webhook.url",
	}
}

// Condition says whether the receiver is verified and accepts deliveries and, if not, what to
// do.
func (d *Deliverer) Condition() contract.Condition {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := contract.Condition{Type: contract.ConditionWebhookVerified, Status: contract.False}
	credentials := (*CredentialsError)(nil)
	switch {
	case errors.As(d.last, &credentials):
		c.Reason = ReasonCredentials
		c.Message = fmt.Sprintf("nothing is sent, because in the Secret of spec.webhook.credentialsSecretName %v: give it %s (%d to %d characters) and %s (at most %d), one line each; the relay notices within two minutes",
			credentials, contract.AppSecretKey, minAppSecret, maxOwnCredential, contract.VerifyTokenKey, maxOwnCredential)
	case !d.once:
		c.Status, c.Reason, c.Message = contract.Unknown, ReasonVerifying, "the handshake with the webhook's receiver is in progress"
	case !d.verified:
		c.Reason, c.Message = unverified(d.last, d.whose())
	case errors.Is(d.last, ErrNotEncrypted):
		c.Reason = ReasonNotEncrypted
		c.Message = "webhooks cannot be encrypted, and so are not sent: set spec.payloadEncryption.publicKey again; deliveries are retried for up to 7 days"
	case errors.Is(d.last, ErrNotPayload):
		c.Reason = ReasonNotEncrypted
		c.Message = "a stored webhook cannot be read, and so is neither encrypted nor sent: the relay wrote it wrong, please report that; others are delivered"
	case d.failures >= failing:
		c.Reason = ReasonDeliveryFailing
		c.Message = fmt.Sprintf("the receiver passed the handshake but does not accept deliveries (%v): make it answer 200; deliveries are retried for up to 7 days", d.last)
	case d.former:
		c.Status, c.Reason = contract.True, ReasonFormer
		c.Message = fmt.Sprintf("the receiver accepts deliveries with the credentials from before the last rotation: give it those of kubectl relay credentials before %s",
			d.o.Receiver.Former.Until.UTC().Format(time.RFC3339))
	default:
		c.Status, c.Reason, c.Message = contract.True, ReasonVerified, "the receiver passed the handshake and accepts deliveries"
	}
	return c
}

// WithDeadLetters is the condition of a relay that has so many dead letters. A condition that is not True says
// already what to do first.
func WithDeadLetters(c contract.Condition, letters int64) contract.Condition {
	if c.Status == contract.True && c.Reason == ReasonVerified && letters > 0 {
		c.Reason = ReasonDeadLetters
		c.Message = fmt.Sprintf("the receiver accepts deliveries, but did not accept %d webhooks in time: see kubectl relay dead-letters, and send them again with kubectl relay replay-webhooks", letters)
	}
	return c
}

// whose says which verify token the receiver must know.
func (d *Deliverer) whose() string {
	if d.o.Receiver.Own != nil {
		return "the verifyToken of the Secret of spec.webhook.credentialsSecretName"
	}
	return "the one of kubectl relay credentials"
}

// unverified says why a handshake failed.
func unverified(err error, whose string) (reason, message string) {
	var status StatusError
	const again = "; the handshake is retried automatically"
	switch {
	case errors.Is(err, ErrUntrusted):
		return ReasonUntrusted, "the receiver's certificate is not trusted or not for this host: set spec.webhook.caBundle or renew it" + again
	case errors.Is(err, ErrChallenge):
		return ReasonChallengeFailed, "the receiver answered 200 without the challenge: make it return hub.challenge if hub.verify_token is " + whose + again
	case errors.As(err, &status):
		return ReasonChallengeFailed, fmt.Sprintf("the receiver answered the handshake with %d: make it return hub.challenge if hub.verify_token is %s"+again, int(status), whose)
	case errors.Is(err, context.Canceled):
		return ReasonVerifying, "the relay is stopping"
	}
	return ReasonUnreachable, "the receiver does not answer: check spec.webhook.url, its DNS name, and that the DataRegion lets relays reach it" + again
}
