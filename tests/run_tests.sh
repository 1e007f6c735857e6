#!/bin/sh
# Runs test programs, as many at a time as there are processors. Prints a line for each, with what it
# skipped, and the whole output of those that fail; exit status 1 where one fails. Run by make test:
#
#     BUILD=build tests/run_tests.sh TEST...    a program or script, or TEST@ISA: run with VIT_ISA=ISA
export BUILD=${BUILD:-build}

# summary NAME STATUS SECONDS LOG
summary() {
    word=ok
    [ "$2" = 0 ] || word=FAILED
    printf '%-7s %-28s %4d passed %4d s\n' $word "$1" "$(grep -a -c -E '^(\[ +OK \]|ok )' "$4")" "$3"
    grep -a '^\[  SKIPPED \] test_' "$4" | sort -u
    [ "$2" = 0 ] || sed 's/^/        /' "$4"
}

run_one() {
    name=${1##*/}
    log=$BUILD/log/$name
    case $name in *@*) export VIT_ISA="${name#*@}" ;; esac
    start=$(date +%s)
    "${1%%@*}" >"$log" 2>&1
    status=$?
    summary "$name" $status $(($(date +%s) - start)) "$log" >"$log.summary"
    cat "$log.summary" # at once: others run beside it
    return $status
}

if [ "$1" = --one ]; then
    run_one "$2"
    exit
fi
mkdir -p "$BUILD/log"
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 "$0" --one || { echo "tests failed"; exit 1; }
echo "all tests passed"
