// Package commit runs the changes of all callers one after another, in groups that share a
// transaction: the part of an engine that does not depend on its database. It must not know
// statements, files or connections.
package commit
