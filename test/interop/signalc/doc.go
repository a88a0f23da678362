// Package signalc holds the tests of relay/signal against libsignal-protocol-c, in
// the version that the distribution ships: a small peer written in C, driven over
// pipes. They need a C compiler, libsignal-protocol-c-dev and libssl-dev.
package signalc
