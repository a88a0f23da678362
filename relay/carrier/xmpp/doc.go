// Package xmpp is a carrier that speaks XMPP with legacy OMEMO envelopes
// (XEP-0384 v0.3): it keeps one account connected to a server and translates between
// stanzas and the types of package carrier. It must not know what a Signal session is,
// keep anything on disk, or trust anything that it reads.
//
// Two packages are below it: internal/stream keeps the stream up, from the connection to
// stream management, and internal/stanza reads and writes what is said over it. Neither
// imports this one.
//
// # Which way a word points
//
// Each of these words has one direction, in names and in comments:
//   - receive: inbound. A reader turns stanzas into events, which the Handler receives.
//   - handled, report: inbound. Once the Handler has received what a stanza held, the stanza
//     is handled. We report our count of handled stanzas to the server, which requests it.
//   - send: outbound.
//   - acknowledge, confirm: outbound. The server acknowledges what we sent, and thereby
//     confirms it to those who wait.
//   - ask: outbound. We ask the server or a peer a question (an <iq/>) and wait for its answer.
//   - delivered: outbound, in receipts only. The peer's client has the message.
//
// # Order of things
//
// A reader goroutine reads stanzas off the link. What needs no storage it processes at once:
// acknowledgements, and answers to our own questions. Everything else goes, in order, through
// a bounded queue to a second goroutine that calls the Handler. So a Handler may ask the
// carrier questions, but it should not wait for messages that it sends. A stanza counts as
// handled, in the sense of XEP-0198, when the Handler has received it. When a link breaks and
// cannot be resumed, the server sends again what we did not report as handled.
package xmpp
