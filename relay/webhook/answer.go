package webhook

import "net/http"

// Request is what the receiver was asked to do, for metrics.
type Request string

// The requests.
const (
	Handshake Request = "handshake"
	Delivery  Request = "delivery"
)

// Requests lists all requests.
func Requests() []Request { return []Request{Handshake, Delivery} }

// Answer is the class of a receiver's answer, for metrics.
type Answer string

// The classes of answers.
const (
	Accepted     Answer = "accepted"     // 200; of a handshake with the challenge
	NoChallenge  Answer = "no_challenge" // 200 without the challenge
	Other2xx     Answer = "other_2xx"    // the Cloud API wants 200
	Redirect     Answer = "3xx"          // not followed
	ClientError  Answer = "4xx"
	ServerError  Answer = "5xx"
	OtherStatus  Answer = "other_status"
	Unreachable  Answer = "unreachable" // no answer in time, or no connection
	Untrusted    Answer = "untrusted"   // the receiver's certificate
	NotAsked     Answer = "not_asked"   // its own credentials are unusable
	NotEncrypted Answer = "not_encrypted"
)

// Answers lists all classes of answers.
func Answers() []Answer {
	return []Answer{
		Accepted, NoChallenge, Other2xx, Redirect, ClientError, ServerError, OtherStatus, Unreachable, Untrusted, NotAsked, NotEncrypted,
	}
}

// answerOfStatus classifies an HTTP status other than 200.
func answerOfStatus(status int) Answer {
	switch status / 100 {
	case http.StatusOK / 100:
		return Other2xx
	case http.StatusMultipleChoices / 100:
		return Redirect
	case http.StatusBadRequest / 100:
		return ClientError
	case http.StatusInternalServerError / 100:
		return ServerError
	}
	return OtherStatus
}
