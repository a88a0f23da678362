// Package twomemo holds the tests of relay/signal's second format, and of its payloads, against
// Debian's python3-twomemo: a small peer in Python, driven over pipes.
package twomemo
