// Package sqlite is the store's engine over one SQLite file: it opens and locks the directory,
// migrates the schema, gives snapshots to readers, groups changes into durable commits, and
// keeps room on the volume for deletions. It must not know keys, customers, or what a row means:
// it gets statements and returns raw rows.
package sqlite
