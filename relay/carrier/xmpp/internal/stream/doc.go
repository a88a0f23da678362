// Package stream keeps an account's stream to an XMPP server: it connects, logs in, frames
// what it reads, counts stanzas with stream management (XEP-0198), and resumes the stream on
// the next link when one breaks. A Link is one connection; a Stream is what outlives it.
//
// The library mellium.im/xmpp opens the stream, starts TLS and authenticates. Everything
// after that is our own: stream management with resumption has to count every stanza and
// report it only once it is stored, and a hostile stanza must not stop the reader.
//
// The package must not know what a stanza says beyond its kind, or who waits for it.
package stream
