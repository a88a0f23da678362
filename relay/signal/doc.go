// Package signal holds sessions between two devices: X3DH to begin one and the
// Double Ratchet to go on, protocol version 3 as libsignal-protocol-c and -java
// speak it on the wire. Everything it is handed from outside comes from a network
// that is not trusted.
//
// It must not know what a message means, who a peer is, where keys and sessions
// are kept, nor whom to trust: it says which identity key a message was
// authenticated with, and callers decide.
//
// A [Record] is a value: [Initiate], [Encrypt] and [Decrypt] leave the record that
// they are given as it was and return its successor, so that a store can commit
// the successor together with what it belongs to, or drop it. Nothing is
// returned that was not authenticated. Callers serialise the operations on one
// peer's record: two successors of one record would use the same key twice.
package signal
