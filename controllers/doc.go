// Package controllers is the operator: one reconciler a kind. A reconciler is an
// ordered list of steps; each step does one thing and marks its own condition. The
// first step that fails stops the pass, and one summary at the end computes Ready and
// writes the status. The operator has no login at Vault, reads no Secret and never sees
// a message: it must not know the relay's packages.
package controllers
