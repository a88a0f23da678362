package stream

import "strconv"

func parseCount(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

func formatCount(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
