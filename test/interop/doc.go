// Package interop holds the tests against clients that this project did not
// write.
package interop
