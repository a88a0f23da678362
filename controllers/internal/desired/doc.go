// Package desired says what a BusinessRelay's children must look like: pure
// functions from the relay, its region and the operator's settings to objects. It
// must not know a client, a clock or what the cluster holds now; the same input
// always gives the same object, byte for byte, so that a second pass has nothing
// to write.
package desired
