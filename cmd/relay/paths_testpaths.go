//go:build testpaths

package main

// otherPaths says whether flags may name other paths than the operator's: they may, so
// this build must never be released. Tests run it outside a pod.
const otherPaths = true
