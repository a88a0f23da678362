package store

import (
	"strconv"
	"strings"
)

// origin is where a database file is, as far as that is known.
type origin struct {
	birth  int64 // of the file, nanoseconds since 1970; 0 where the file system does not keep it
	volume string
}

func (o origin) String() string { return strconv.FormatInt(o.birth, 10) + "/" + o.volume }

// parseOrigin reads what String wrote. What it cannot read counts as unknown.
func parseOrigin(s string) origin {
	birth, volume, _ := strings.Cut(s, "/")
	n, err := strconv.ParseInt(birth, 10, 64)
	if err != nil {
		return origin{}
	}
	return origin{birth: n, volume: volume}
}

// moved says whether a database that was at o is elsewhere now. What is not known about either
// place does not count.
func (o origin) moved(now origin) bool {
	return o.birth != 0 && now.birth != 0 && o.birth != now.birth ||
		o.volume != "" && now.volume != "" && o.volume != now.volume
}
