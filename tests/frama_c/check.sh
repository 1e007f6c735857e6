#!/bin/sh
# The reader of files in Frama-C's Eva, by any.c: an alarm that is not in any.txt, with the reason why it is
# none, fails, as does one there that is gone. With --write the list is written anew, without reasons. Run
# by make check-frama-c.
#
#     BUILD=build tests/frama_c/check.sh [--write] [PROGRAM...]
here=tests/frama_c
work=${BUILD:-build}/frama_c
# Frama-C knows the C library's memcpy, not gcc's own, and neither threads nor the vector kernels. What
# counts up what threads share is not reached.
FLAGS="-I. -DVIT_NO_SIMD -DVIT_NO_THREADS -DVIT_NO_STDIO -DVIT_NO_MALLOC -DVIT_STATIC
    -D__builtin_memcpy=memcpy"
write=
[ "$1" = --write ] && { write=1; shift; }
mkdir -p "$work"

# analyse PROGRAM: its alarms, one a line, in $work/PROGRAM.found
analyse() {
    # what calls the reader in loops, by names that end in s: one state after each turn is enough
    loops=$(sed -n 's/^static void \(check_[a-z]*s\)(.*/\1:0/p' "$here/$1.c" | paste -sd,)
    frama-c -machdep gcc_x86_64 -cpp-extra-args="$(echo $FLAGS)" "$here/$1.c" -eva -eva-slevel 400 \
        -eva-auto-loop-unroll 64 -eva-split-return auto ${loops:+-eva-slevel-function "$loops"} \
        -warn-special-float none -float-hex -eva-msg-key=-initial-state,-final-states \
        -report-csv "$work/$1.csv" >"$work/$1.log" 2>&1 || { tail -5 "$work/$1.log"; return 1; }
    # function, kind and text of what is unproved: no line numbers, which change
    awk -F '\t' 'NR > 1 && $5 !~ / clause$/ && $6 != "Valid" && $6 != "Considered valid" &&
        $6 != "Dead" { print $4 ": " $5 ": " $7 }' "$work/$1.csv" | LC_ALL=C sort -u >"$work/$1.found"
}

failures=0
for program in ${*:-any}; do
    start=$(date +%s)
    if ! analyse "$program"; then
        echo "FAILED  $program: no analysis"
        failures=1
        continue
    fi
    list=$here/$program.txt
    [ -n "$write" ] && cp "$work/$program.found" "$list"
    grep -v '^#' "$list" 2>/dev/null | grep . | LC_ALL=C sort -u >"$work/$program.known"
    if diff "$work/$program.known" "$work/$program.found" >"$work/$program.diff"; then
        echo "ok      $program: $(grep -c . "$work/$program.found") alarms, all with reasons," \
            "$(sed -n 's/.* \([0-9]* functions analyzed\).*/\1/p' "$work/$program.log")," \
            "$(($(date +%s) - start)) s"
    else
        echo "FAILED  $program: alarms that are new (>) or gone (<)"
        sed 's/^/        /' "$work/$program.diff"
        failures=1
    fi
done
exit $failures
