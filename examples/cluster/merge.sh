#!/bin/sh
# merge.sh PARTS LIST OUT.ndjson: the lines of PARTS/*.ndjson, in the order of these names, if there are as many
# as LIST has pictures. Otherwise there is no OUT.ndjson, and the exit status is 1.
set -eu
parts=$1 list=$2 out=$3

cat "$parts"/*.ndjson >"$out.new"
there=$(wc -l <"$out.new")
wanted=$(wc -l <"$list")
if [ "$there" -ne "$wanted" ]; then
    echo "$parts has $there lines for $wanted pictures: run the same again" >&2
    exit 1
fi
mv "$out.new" "$out"
