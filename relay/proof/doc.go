// Package proof is what a relay's log says and how it is checked: entries, checkpoints, exports, and the verification of an
// export without the relay. Its forms are C2SP's: tlog-checkpoint, tlog-tiles, signed-note and tlog-cosignature. It must not
// know where a log is kept, or who signs.
package proof
