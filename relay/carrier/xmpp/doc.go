// Package xmpp is a carrier that speaks XMPP with legacy OMEMO envelopes
// (XEP-0384 v0.3): it keeps one account's link to a server up, and turns stanzas
// into what package carrier names and back. It must not know what a Signal session
// is, nor keep anything on disk, nor trust anything that it reads.
//
// The library mellium.im/xmpp opens the stream, starts TLS and authenticates. What
// follows is our own: stream management with resumption (XEP-0198) needs every
// stanza counted and acknowledged only once it is stored, and a reader that a
// hostile stanza cannot stop.
//
// # Order of things
//
// A reader goroutine takes stanzas off the link and answers at once what needs no
// storage: acknowledgements, and replies to our own questions. Everything else
// goes, in order, through a bounded queue to a second goroutine that calls the
// Handler, so a Handler may ask the carrier questions, though it should not
// wait for messages that it sends. A stanza counts as handled, in the sense of
// XEP-0198, when the Handler took it. After a broken link that cannot be resumed,
// the server sends again what it has no acknowledgement for.
package xmpp
