// Package stanza reads and writes what is said over an XMPP stream: elements, addresses,
// OMEMO's envelopes, bundles and device lists, messages with their receipts, and errors.
// It is pure: a value goes in and a value comes out. What it reads comes from a network
// that is not trusted, so everything is bounded in size. It must not know of links,
// sessions, or what waits for an answer.
package stanza
