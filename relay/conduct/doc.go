// Package conduct judges how a business behaves towards the people that it writes to, from counts and a clock alone: how
// good its quality is, and to how many strangers it may write. It must not know who anybody is, what is written, or where
// its state is kept.
package conduct
