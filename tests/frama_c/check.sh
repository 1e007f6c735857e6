#!/bin/sh
# The reader of files in Frama-C's Eva, by any.c: an alarm that is not in any.txt, with the reason why it is
# none, fails, as does one there that is gone. With --write the list is written anew, without reasons. Run
# by make check-frama-c.
#
#     BUILD=build tests/frama_c/check.sh [--write]
here=tests/frama_c
work=${BUILD:-build}/frama_c
# Frama-C knows the C library's memcpy, not gcc's own, and neither threads nor the vector kernels. What
# counts up what threads share is not reached.
FLAGS="-I. -DVIT_NO_SIMD -DVIT_NO_THREADS -DVIT_NO_STDIO -DVIT_NO_MALLOC -DVIT_STATIC
    -D__builtin_memcpy=memcpy"
mkdir -p "$work"
start=$(date +%s)

if ! frama-c -machdep gcc_x86_64 -cpp-extra-args="$(echo $FLAGS)" $here/any.c -eva -eva-slevel 400 \
    -eva-auto-loop-unroll 64 -eva-split-return auto -warn-special-float none -float-hex \
    -eva-msg-key=-initial-state,-final-states -report-csv "$work/any.csv" >"$work/log" 2>&1; then
    tail -5 "$work/log"
    exit 1
fi
# function, kind and text of what is unproved: no line numbers, which change
awk -F '\t' 'NR > 1 && $5 !~ / clause$/ && $6 != "Valid" && $6 != "Considered valid" &&
    $6 != "Dead" { print $4 ": " $5 ": " $7 }' "$work/any.csv" | LC_ALL=C sort -u >"$work/found"

[ "$1" != --write ] || cp "$work/found" $here/any.txt
grep -v '^#' $here/any.txt | grep . | LC_ALL=C sort -u >"$work/known"
if ! diff "$work/known" "$work/found" >"$work/diff"; then
    echo "FAILED  alarms that are new (>) or gone (<)"
    sed 's/^/        /' "$work/diff"
    exit 1
fi
echo "ok      $(wc -l <"$work/found") alarms, all with reasons," \
    "$(sed -n 's/.* \([0-9]* functions analyzed\).*/\1/p' "$work/log"), $(($(date +%s) - start)) s"
