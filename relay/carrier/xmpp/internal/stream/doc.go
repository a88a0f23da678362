// Package stream keeps an account's stream to an XMPP server: it connects, logs in, frames
// what is read, counts stanzas with stream management (XEP-0198), and goes on with a session
// on the next link when one breaks. A Link is one connection; a Session is what outlives it.
//
// The library mellium.im/xmpp opens the stream, starts TLS and authenticates. What
// follows is our own: stream management with resumption needs every stanza counted and
// acknowledged only once it is stored, and a reader that a hostile stanza cannot stop.
//
// The package must not know what a stanza says beyond its kind, nor who waits for it.
package stream
