// Package signal implements sessions between two devices: X3DH begins a session and the Double
// Ratchet continues it, in one of two formats: protocol version 3 as libsignal-protocol-c and -java speak
// it on the wire ([Legacy]), and that of urn:xmpp:omemo:2 ([OMEMO2]). Everything that it gets from outside
// comes from a network that is not trusted.
//
// It must not know what a message means, who a peer is, where keys and sessions are stored, or
// whom to trust: it says which identity key authenticated a message, and callers decide.
//
// A [Record] is a value: [Initiate], [Encrypt] and [Decrypt] do not change the record that they
// get but return its successor, so that a store can commit the successor together with what it
// belongs to, or drop it. They return nothing that was not authenticated. Callers must serialise
// the operations on one peer's record: two successors of one record would use the same key twice.
package signal
