// Package postgres is the store's engine over a PostgreSQL database: its schema, group commit,
// snapshots, and the term that keeps a stale writer out. It reaches each database with one
// connection that writes and a few that read. It must not know keys, customers, or what a row
// means, nor where the login comes from.
//
// It speaks PostgreSQL's extended protocol (postgresql.org/docs/15/protocol-flow.html) over
// pgconn's connections: statements that need no answer of their own, such as savepoints, travel
// with the next one, and rows are fetched in batches, so that a query costs what is read of it.
package postgres
