//go:build !race

package racing

// Enabled says whether the race detector watches this run.
const Enabled = false
