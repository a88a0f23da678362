// Package record is what is stored of a message and of what is to be done with it: its
// content, its states, the tasks of the outbox and what a webhook tells. It must not know
// who writes or reads it.
package record
