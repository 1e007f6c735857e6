#!/bin/sh
# Runs the fuzzers side by side, each for so many seconds, and says how many inputs each ran, how many
# edges of the program they reached, and whether one of them did harm; then the exit status is 1.
#
#     BUILD=build FUZZ_SECONDS=20 tests/fuzz/run.sh FUZZER...
#
# What they find grows from run to run in BUILD/fuzz/NAME; an input that does harm is BUILD/fuzz/NAME.crash-*
# (or leak, oom, timeout).

# The seeds of a fuzzer: those that tests/fuzz/make_seeds.c writes, or files of tests/golden.
seeds() {
    case $1 in
    cache | labels | model | names | preprocess) echo "$BUILD/fuzz/seeds/$1" ;;
    picture) echo tests/golden/picture ;;
    *) echo tests/golden/containers ;;
    esac
}

last() {
    sed -n "s/$1/\\1/p" "$2" | tail -1
}

run_one() {
    name=${1##*/fuzz_}
    log=$BUILD/fuzz/$name.log
    dictionary=tests/fuzz/$name.dict
    mkdir -p "$BUILD/fuzz/$name"
    "$1" -max_total_time="$FUZZ_SECONDS" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix="$BUILD/fuzz/$name." $([ ! -f "$dictionary" ] || echo "-dict=$dictionary") \
        "$BUILD/fuzz/$name" "$(seeds "$name")" >"$log" 2>&1
    status=$?
    word=ok
    [ $status = 0 ] || word=FAILED
    printf '%-7s %-13s %10s executions, coverage %s\n' $word "$name" \
        "$(last '^stat::number_of_executed_units: *\([0-9]*\)' "$log")" "$(last '.* cov: \([0-9]*\) .*' "$log")"
    [ $status = 0 ] || tail -30 "$log"
    return $status
}

if [ "$1" = --one ]; then
    run_one "$2"
    exit
fi
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 "$0" --one || { echo "a fuzzer found something"; exit 1; }
