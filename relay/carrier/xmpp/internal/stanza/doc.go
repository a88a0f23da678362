// Package stanza reads and writes what goes over an XMPP stream: elements, addresses,
// OMEMO's envelopes, bundles and device lists, messages with their receipts, and errors.
// It is pure: a value goes in and a value comes out. What it reads comes from a network
// that is not trusted, so the size of everything is bounded. It must not know about links,
// streams, or what waits for an answer.
package stanza
