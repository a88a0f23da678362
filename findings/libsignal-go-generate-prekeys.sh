#!/bin/bash
# go.mau.fi/libsignal: keyhelper.GeneratePreKeys(start, count) does not make count keys.
# It makes those with the ids start to count: the second argument is the last id.
#
# Called once, with (1, 100), it makes a hundred keys and nothing seems wrong. Called again to
# replace used keys, with ids that go on (101, 100), it makes none and returns no error. A client
# that publishes what it got runs out of one-time pre-keys. The Java library, whose function has
# the same name and parameters, makes count keys from start on.
# So: call it with (start, start+count-1).
#
# Source: util/keyhelper/KeyHelper.go of the module; and the output below.
. "$(dirname "$0")/lib/common.sh"

version=v0.2.1
cat > main.go <<'GO'
package main

import (
	"fmt"

	"go.mau.fi/libsignal/serialize"
	"go.mau.fi/libsignal/util/keyhelper"
)

func main() {
	s := serialize.NewProtoBufSerializer()
	for _, c := range [][2]int{{1, 100}, {51, 100}, {101, 100}} {
		keys, err := keyhelper.GeneratePreKeys(c[0], c[1], s.PreKeyRecord)
		fmt.Printf("GeneratePreKeys(%d, %d): %d keys, error %v\n", c[0], c[1], len(keys), err)
	}
}
GO
go_program "go.mau.fi/libsignal@$version"
echo "go.mau.fi/libsignal $version"
expect 'GeneratePreKeys(1, 100): 100 keys, error <nil>
GeneratePreKeys(51, 100): 50 keys, error <nil>
GeneratePreKeys(101, 100): 0 keys, error <nil>' ./program
