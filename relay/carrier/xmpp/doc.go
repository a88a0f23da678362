// Package xmpp is a carrier that speaks XMPP with legacy OMEMO envelopes
// (XEP-0384 v0.3): it keeps one account's link to a server up, and turns stanzas
// into what package carrier names and back. It must not know what a Signal session
// is, nor keep anything on disk, nor trust anything that it reads.
//
// Two packages are below it: internal/stream keeps the stream up, from the connection to
// stream management, and internal/stanza reads and writes what is said over it. Neither
// imports this one.
//
// One word has one direction. To receive is for what comes in: a reader turns stanzas into
// events, which the Handler receives; we report to the server how many stanzas were handled.
// To send is for what goes out, which the server confirms. To ask is to send a question (an
// <iq/>) that waits for its answer.
//
// # Order of things
//
// A reader goroutine reads stanzas off the link and answers at once what needs no
// storage: acknowledgements, and answers to our own questions. Everything else
// goes, in order, through a bounded queue to a second goroutine that calls the
// Handler, so a Handler may ask the carrier questions, though it should not
// wait for messages that it sends. A stanza counts as handled, in the sense of
// XEP-0198, when the Handler received it. After a broken link that cannot be resumed,
// the server sends again what it has no acknowledgement for.
package xmpp
