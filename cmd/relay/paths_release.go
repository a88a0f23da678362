//go:build !testpaths

package main

// otherPaths says whether flags may name other paths than the operator's: never in a
// release.
const otherPaths = false
