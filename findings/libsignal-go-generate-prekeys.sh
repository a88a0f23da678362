#!/bin/sh
# go.mau.fi/libsignal: keyhelper.GeneratePreKeys(start, count) does not make count keys.
# It makes those with the ids start to count: the second argument is the last id.
#
# Called once, with (1, 100), it makes a hundred keys and nothing seems wrong. When used
# keys are replaced, with ids that go on (101, 100), it makes none and returns no error,
# so that a client which publishes what it got runs out of one-time pre-keys. The Java
# library whose name and parameters it has makes count keys from start on.
#
# Source: util/keyhelper/KeyHelper.go of the module; and the output below.
set -eu
version=v0.2.1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > go.mod <<'MOD'
module finding

go 1.26
MOD
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
go get "go.mau.fi/libsignal@$version" >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
echo "go.mau.fi/libsignal $version"
seen=$(go run .)
echo "$seen"
expected='GeneratePreKeys(1, 100): 100 keys, error <nil>
GeneratePreKeys(51, 100): 50 keys, error <nil>
GeneratePreKeys(101, 100): 0 keys, error <nil>'
[ "$seen" = "$expected" ] || {
	echo "the behaviour has changed: expected" >&2
	echo "$expected" >&2
	exit 1
}
