#!/bin/bash
# Runs the findings named as arguments (all without arguments), each for at most 20 minutes, and prints a table.
# Ends with 1 if one has changed, else with 77 if one could not run, else with 0.
set -u
cd "$(dirname "$0")/.." || exit 77
names=("$@")
[ $# -gt 0 ] || for f in *.sh; do names+=("${f%.sh}"); done

worst=0
table=$(printf '%-40s %s' finding result)
for name in "${names[@]}"; do
	if [ ! -f "$name.sh" ]; then
		echo "there is no findings/$name.sh" >&2
		result='could not run'
	else
		echo "=== $name"
		timeout -k 30 1200 bash "$name.sh"
		case $? in
		0) result=ok ;;
		1) result=changed ;;
		*) result='could not run' ;;
		esac
	fi
	[ "$result" != changed ] || worst=1
	[ "$result" != 'could not run' ] || [ $worst != 0 ] || worst=77
	table+=$(printf '\n%-40s %s' "$name" "$result")
done
printf '\n%s\n' "$table"
exit $worst
