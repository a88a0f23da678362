// Package store keeps a relay's messages, sessions, keys and queues durably, sealed. It
// decides what is sealed under which epoch, and how rows are found without their numbers. It
// knows nothing about Vault, Signal or XMPP: it seals and opens through a seal.Keyring and
// treats what it is given as bytes. Its engine, which it uses through the interface
// engine.Database, handles locks, commits and room: internal/sqlite in a directory,
// internal/postgres in a database of a server.
//
// # Transactions and contexts
//
// A Tx is valid only in the function that View, Update, Begin or Shrink runs, and in that
// goroutine; afterwards each of its methods returns an error. Update's functions run one after
// another in the one writing goroutine, so they must not wait for anything: no network, no
// other transaction. Many share a commit; the error of one undoes only what that one wrote.
//
// A context belongs to the call and not to the Tx, whose methods take none: it bounds the wait
// for the function's turn. A function that has begun runs to its end, and its caller gets the
// outcome, so that nobody gets an error for a write that became durable.
//
// # What is readable without a key
//
// Content, files, numbers, names, session records, pre-keys, job bodies and values of settings
// are sealed with their row's identity as associated data. The following stays in the clear:
// random row and message identifiers, which rows belong to one (nameless) customer, times, the
// direction and state of a message, names of queues and settings, counts and sizes, also of
// files, and how many messages were sent and delivered in each half hour. Numbers, carrier
// IDs and keys of requests are found by an HMAC whose key dies with the epoch; before that of the
// relay's own carrier IDs stands their time.
//
// # What is in memory only
//
// With ContentInMemory, what people wrote is sealed under keys that are never stored. The rest of its
// row is as described here; what is lost is marked so (Message.Lost, Job.Lost) or not found (files).
//
// # What lives how long
//
// Messages, files, jobs and remembered requests stay in the epoch in which they were first written. Customers,
// devices and sessions move into the current epoch whenever they are written or used in an
// Update; pre-keys at every new epoch. So what was idle for longer than the retention dies
// with its key. Settings, which the business itself wants kept, have their own data key.
//
// # What was restored
//
// A database that was copied since it was last open may be older than what the carrier and
// customers have seen of this relay. Open notices that (Restored) by the birth time of the
// file, by the volume's name, or by a file named RestoredMarker beside it. The ratchets in the
// database must not be used again then (DropRatchets). On a server the database notices itself that
// it lies elsewhere or is older. The same is true if single sessions or
// pre-keys were put back or removed (Tampered).
package store
