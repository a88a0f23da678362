// Package store keeps a relay's messages, sessions, keys and queues durably, sealed. It
// decides what is sealed under which epoch, and how rows are found without their numbers.
// It knows nothing of the vault, of Signal or of XMPP: it seals and opens through a
// seal.Keyring and treats what it is given as bytes. Files, locks, commits and room on the
// volume are its engine's (internal/sqlite), which it asks through the interface database.
//
// # Transactions and contexts
//
// A Tx exists only within the function that View, Update, Begin or Shrink runs, and for
// that goroutine; afterwards each of its methods returns an error. Update's functions run
// one after another in the one writing goroutine, so they must not wait for anything: no
// network, no other transaction. Many share a commit; the error of one undoes only what
// that one wrote.
//
// A context belongs to the call and not to the Tx, whose methods take none: it ends the
// wait for the function's turn. A function that has begun runs to its end, and its caller
// gets the outcome, so that nobody is told of a failure that became durable.
//
// # What is readable without a key
//
// Content, files, numbers, names, session records, pre-keys, job bodies and names of
// settings are sealed with their row's identity as associated data. Left in clear
// are: random row and message identifiers, which rows belong to one (nameless)
// customer, times, the direction and state of a message, queue names, counts and
// sizes, those of files too. Numbers and carrier IDs are found by an HMAC whose key dies with the epoch.
//
// # What lives how long
//
// A message, a file and what is queued stay in the epoch in which they were first written.
// Customers, devices and sessions move into the current epoch whenever they are
// written or used in an Update; pre-keys at every new epoch. So what lay idle for
// longer than the retention dies with its key. Settings, which the business itself
// wants kept, have a data key of their own.
//
// # What was restored
//
// A database that was copied since it was last open may be older than what carrier
// and customers saw of this relay. Open notices (Restored): by the birth time of the
// file, by the volume's name, and by a file named RestoredMarker beside it. The
// ratchets in it must then not be used again (DropRatchets). The same holds for one in
// which single sessions or pre-keys were put back or taken away (Tampered).
package store
