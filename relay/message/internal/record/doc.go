// Package record is what is stored about a message and the work to do with it: its content,
// its states, the tasks of the outbox and what a webhook tells. It must not know who writes or
// reads it.
package record
