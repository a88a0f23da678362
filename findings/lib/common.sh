# What every finding begins with: a temporary folder that goes away at the end, and three ways to end.
#   0   the behaviour is as the script's header describes it
#   1   it has changed: only `expect`, `expect_match` and `changed` end that way
#   77  it could not be looked at: no such package any more, no network, another system
# Source it; it sets $lib (this folder) and $dir (the temporary folder, which is also the working directory).
set -Eeuo pipefail
lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(mktemp -d)
started=()

# stop ends the server that was started last.
stop() {
	local pid=${started[-1]}
	unset 'started[-1]'
	kill "$pid" 2>/dev/null || return 0
	for _ in $(seq 50); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

finish() {
	while [ ${#started[@]} -gt 0 ]; do stop; done
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 77' INT TERM
trap 'echo "could not run: line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND" >&2; exit 77' ERR
cd "$dir"

could_not_run() { echo "could not run: $*" >&2; exit 77; }
changed() { echo "the behaviour has changed: $*" >&2; exit 1; }

# expect TEXT COMMAND... prints what a program of the finding prints, which must be this text. A program that fails, or
# takes more than five minutes, has not shown anything.
expect() {
	local expected=$1
	shift
	look "$@"
	[ "$seen" = "$expected" ] || changed "expected
$expected"
}

# expect_match does the same with a regular expression for the whole text, for what holds a number that varies.
expect_match() {
	local expected=$1
	shift
	look "$@"
	[[ $seen =~ ^($expected)$ ]] || changed "expected, as a regular expression,
$expected"
}

# look prints what a program prints, and leaves it in $seen.
look() {
	seen=$(timeout 300 "$@") || could_not_run "$1 ended with $?: $seen"
	[ -z "$seen" ] || echo "$seen"
}

# start LOG COMMAND... runs a server in the background and ends it with the script. Its pid is the last of ${started[@]}.
start() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 </dev/null &
	started+=($!)
}

# go_program MODULE@VERSION... builds ./program from the main.go in the working directory, with these modules.
go_program() {
	command -v go >/dev/null || could_not_run "Go is not installed"
	printf 'module finding\n\ngo 1.26\n' >go.mod
	local m
	for m; do
		go get "$m" >get.log 2>&1 || could_not_run "$m: $(tail -n 1 get.log)"
	done
	go mod tidy >get.log 2>&1 || could_not_run "$*: $(tail -n 1 get.log)"
	go build -o program .
}

# xmpp_client [MODULE@VERSION...] builds ./client from a main.go on standard input, which imports finding/client:
# the folder client beside this file.
xmpp_client() {
	command -v go >/dev/null || could_not_run "Go is not installed"
	mkdir -p source/main
	cp "$lib"/client/* source/
	cat >source/main/main.go
	local m
	for m; do
		go -C source get "$m" >get.log 2>&1 || could_not_run "$m: $(tail -n 1 get.log)"
	done
	go -C source build -o ../client ./main
}
