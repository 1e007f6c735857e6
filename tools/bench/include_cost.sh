#!/bin/sh
# What including vit.h costs a compiler where only its declarations are used: the median of 20 runs
# for a file that includes it, for an empty file, and the difference, which should be under 20 ms.
# Run from the top folder: CC=gcc tools/bench/include_cost.sh
CC=${CC:-cc}
FOLDER=$(mktemp -d)
trap 'rm -r "$FOLDER"' EXIT
printf 'int empty;\n' >"$FOLDER/empty.c"
printf '#include "vit.h"\nint empty;\n' >"$FOLDER/vit.c"

# median FILE: milliseconds to compile it
median() {
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        start=$(date +%s%N)
        $CC -std=c99 -O2 -I. -c -o "$FOLDER/out.o" "$1" || exit 1
        echo $(($(date +%s%N) - start))
    done | sort -n | awk '{ t[NR] = $1 } END { printf "%.1f\n", (t[10] + t[11]) / 2e6 }'
}

empty=$(median "$FOLDER/empty.c")
vit=$(median "$FOLDER/vit.c")
echo "$CC: empty file $empty ms, with vit.h $vit ms, difference" \
    "$(echo "$vit $empty" | awk '{ printf "%.1f", $1 - $2 }') ms"
