#!/bin/sh
# How much of vit.h's portable build the tests reach by MC/DC (each condition of a decision alone turns it),
# counted by clang: less than LEAST percent fails. Run by make check-mcdc:
#
#     BUILD=build-mcdc FLAGS=... LEAST=95 tests/check_mcdc.sh TEST...    as in test_TEST
#
# Each test is compiled from standard input: its name is that of no file, so that clang takes a function of
# vit.h in all tests for one, and adds up what they reach.
set -e
mkdir -p "$BUILD"
rm -f "$BUILD"/*.profraw
for test in "$@"; do
    echo "#include \"tests/test_$test.c\"" |
        clang-19 -x c - $FLAGS -fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc \
            -DVIT_NO_SIMD -I. -Itests -o "$BUILD/test_$test" -lcmocka -lm -pthread
done
export LLVM_PROFILE_FILE="$BUILD/%p.profraw"
tests/run_tests.sh $(printf "$BUILD/test_%s " "$@")
llvm-profdata-19 merge -o "$BUILD/profile" "$BUILD"/*.profraw
first=$1
shift
objects=$(printf -- "-object $BUILD/test_%s " "$@")
llvm-cov-19 show -show-mcdc -instr-profile "$BUILD/profile" "$BUILD/test_$first" $objects vit.h >"$BUILD/vit.h.txt"
llvm-cov-19 export -summary-only -instr-profile "$BUILD/profile" "$BUILD/test_$first" $objects vit.h |
    LEAST=${LEAST:-95} python3 -c '
import json, os, sys
totals = json.load(sys.stdin)["data"][0]["totals"]
for name in "lines", "branches", "mcdc":
    t = totals[name]
    print("vit.h %-8s %5.1f %% (%d of %d)" % (name, t["percent"], t["covered"], t["count"]))
sys.exit(totals["mcdc"]["percent"] < float(os.environ["LEAST"]))'
