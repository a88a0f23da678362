// Package controllers is the operator: one reconciler a kind. A reconciler is an
// ordered list of steps; each step brings one thing about and marks the condition
// that is its own, the first that cannot go on stops the pass, and one summary at
// the end computes Ready and writes the status once. The operator has no login at
// Vault, reads no Secret and never sees a message: it must not know the relay's
// packages.
package controllers
