// Package enginetest tests an engine against the contracts of package engine. It must not know
// which database is below.
package enginetest
