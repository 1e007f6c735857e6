#!/usr/bin/env bash
# The header in programs of two files, in every language standard and with every macro that leaves
# something out: each must compile without a warning. Prints a line for each; exit status 1 where
# one fails. Run from the top folder: CC=gcc CXX=g++ tests/check_include.sh
#
# As many checks run at a time as there are processors: each has a folder of its own, $work.
CC=${CC:-cc}
CXX=${CXX:-c++}
BUILD=${BUILD:-build}/include
WARNINGS="-Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-align
    -Wcast-qual -Wdouble-promotion -Werror"
rm -rf "$BUILD"
mkdir -p "$BUILD"
checks=0

# check COMMAND...: runs it beside others
check() {
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    checks=$((checks + 1))
    work=$BUILD/$checks
    mkdir "$work"
    { "$@" >"$work/lines" 2>&1; cat "$work/lines"; } &
}

# report NAME COMMAND...: whether the command succeeds
report() {
    name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok      $name"
    else
        echo "FAILED  $name: $*"
        sed 's/^/        /' "$work/log"
    fi
}

# program NAME COMPILER-AND-FLAGS...: two files, linked and run
program() {
    name=$1
    shift
    report "$name" "$@" $WARNINGS -I. -o "$work/program" tests/include_a.c tests/include_b.c \
        -x none -lm -lpthread
    report "$name, run" "$work/program"
}

# mixed NAME FLAGS-OF-A -- FLAGS-OF-B: one file in C, the other in C++
mixed() {
    report "$1, $2 file" $2 $3 $WARNINGS -I. -c -o "$work/a.o" tests/include_a.c
    report "$1, $4 file" $4 $5 $WARNINGS -I. -c -o "$work/b.o" tests/include_b.c
    report "$1, linked" "$CXX" -o "$work/program" "$work/a.o" "$work/b.o" -lm -lpthread
    report "$1, run" "$work/program"
}

# Code is made where warnings come of it: by gcc those of unused functions, by clang none.
if $CC --version | grep -q clang; then NO_CODE=-fsyntax-only; else NO_CODE=; fi

# source NAME TEXT COMPILER-AND-FLAGS...: a file with this text compiles
source() {
    name=$1
    printf '%b\n' "$2" >"$work/source.c"
    shift 2
    report "$name" "$@" $WARNINGS -I. -c -o "$work/source.o" $NO_CODE "$work/source.c"
}

# also NAME TEXT COMPILER-AND-FLAGS...: the same for macros that another check makes code with
also() {
    NO_CODE=-fsyntax-only
    source "$@"
}

# without NAME PATTERN TEXT COMPILER-AND-FLAGS...: the same, and it calls no function that matches
without() {
    pattern=" ($2)\$"
    NO_CODE=
    source "$1" "${@:3}"
    report "$1: none is called" not_called
}

not_called() {
    ! nm -u "$work/source.o" | grep -E "$pattern"
}

POSIX=-D_POSIX_C_SOURCE=200809L
IMPLEMENTATION='#define VIT_IMPLEMENTATION\n#include "vit.h"\nint vit_test_empty;'

for standard in c99 c11 c17 gnu99; do
    check program "two files, $standard" $CC -std=$standard $POSIX -Wstrict-prototypes
    check program "two files, each static, $standard" $CC -std=$standard $POSIX -DVIT_STATIC \
        -DINCLUDE_STATIC
done
for standard in c++11 c++14 c++17 c++20; do
    check program "two files, $standard" $CXX -std=$standard -x c++
    check program "two files, each static, $standard" $CXX -std=$standard -DVIT_STATIC -DINCLUDE_STATIC \
        -x c++
done
check mixed "used from C, implemented in C++" "$CC" "-std=c99 $POSIX" "$CXX" "-std=c++11 -x c++"

# Every set of what needs a system in C99; alone and all together also as C++ and static.
for malloc in "" -DVIT_NO_MALLOC; do
    for stdio in "" -DVIT_NO_STDIO; do
        for threads in "" -DVIT_NO_THREADS; do
            for map in "" -DVIT_NO_MMAP; do
                flags="$malloc $stdio $threads $map"
                check source "C99 $flags" "$IMPLEMENTATION" $CC -std=c99 $POSIX $flags
            done
        done
    done
done
for flags in "" -DVIT_NO_MALLOC -DVIT_NO_STDIO -DVIT_NO_THREADS -DVIT_NO_MMAP \
    "-DVIT_NO_MALLOC -DVIT_NO_STDIO -DVIT_NO_THREADS -DVIT_NO_MMAP"; do
    check source "C99 $flags -DVIT_STATIC" "$IMPLEMENTATION" $CC -std=c99 $POSIX $flags -DVIT_STATIC
    check also "C++11 $flags" "$IMPLEMENTATION" $CXX -x c++ -std=c++11 $flags
done

# What a firmware leaves out, alone and together, with string.h before and behind it or without.
for parts in -DVIT_NO_PREPROCESS -DVIT_ONLY_PLAIN -DVIT_ONLY_INT8 -DVIT_NO_LABELS -DVIT_NO_TANH \
    -DVIT_NO_PARALLEL -DVIT_NO_MERGE -DVIT_NO_LOW_MEMORY -DVIT_FREESTANDING "-DVIT_FREESTANDING -DVIT_NO_SIMD" \
    "-DVIT_FREESTANDING -DVIT_ONLY_PLAIN -DVIT_ONLY_INT8 -DVIT_NO_LABELS -DVIT_NO_TANH -DVIT_NO_PARALLEL -DVIT_NO_MERGE -DVIT_NO_LOW_MEMORY"; do
    check source "C99 $parts" "$IMPLEMENTATION" $CC -std=c99 $POSIX $parts
    check also "C99 $parts, string.h" "#include <string.h>\n$IMPLEMENTATION" $CC -std=c99 $POSIX $parts
    check also "C++11 $parts" "$IMPLEMENTATION" $CXX -x c++ -std=c++11 $parts
    check also "C++20 $parts, string.h" "$IMPLEMENTATION\n#include <string.h>" $CXX -x c++ -std=c++20 \
        $parts
done

# Each function of the mathematics may be replaced in firmware too, and then is not compiled.
for name in EXPF ERFF TANHF SQRTF; do
    check source "VIT_FREESTANDING, VIT_$name of the user" "float f(float x);\n$IMPLEMENTATION" \
        $CC -std=c99 -DVIT_FREESTANDING "-DVIT_$name=f"
done

check source "declarations in pedantic C99" '#include "vit.h"\nint vit_test_empty;' $CC -std=c99
check source "VIT_API of the user" "$IMPLEMENTATION" $CC -std=c99 $POSIX '-DVIT_API=extern'
check source "strict C99, no feature-test macro" "$IMPLEMENTATION" $CC -std=c99
check source "NDEBUG" "$IMPLEMENTATION" $CC -std=c99 $POSIX -DNDEBUG
NO_CODE= check source "-O3" "$IMPLEMENTATION" $CC -std=c99 $POSIX -O3
for level in -O1 -O2 -O3 -Os; do # the compiler's own header of vector instructions may warn
    for standard in c++11 c++17; do
        NO_CODE= check source "$standard $level" "$IMPLEMENTATION" $CXX -x c++ -std=$standard $level
    done
done
check source "-ffreestanding" "$IMPLEMENTATION" $CC -std=c99 -ffreestanding -DVIT_NO_MALLOC -DVIT_NO_STDIO

# math.h is not included where all of its functions are replaced, and nothing else is called.
MATH='float e(float x);\n#define VIT_EXPF(x) e(x)\n#define VIT_ERFF(x) e(x)\n'
MATH="$MATH"'#define VIT_TANHF(x) e(x)\n#define VIT_SQRTF(x) e(x)\n'
check without "replaced mathematics" \
    'malloc|free|calloc|realloc|fopen|fread|printf|puts|expf|erff|tanhf|sqrtf|pthread_.*|mmap|__assert_fail' \
    "$MATH$IMPLEMENTATION"'\n#ifdef _MATH_H\n#error math.h\n#endif\n#ifdef HUGE_VALF\n#error math.h\n#endif' \
    $CC -std=c99 -DVIT_NO_MALLOC -DVIT_NO_STDIO
check without "replaced allocator" 'malloc|free|calloc|realloc' \
    'void *a(void *c, unsigned long n);\nvoid f(void *c, void *p);\n#define VIT_MALLOC(c, n) a(c, n)\n#define VIT_FREE(c, p) f(c, p)\n'"$IMPLEMENTATION" \
    $CC -std=c99 $POSIX

# refused FLAGS...: the implementation does not compile with these flags, and says why
refused() {
    printf '%b\n' "$IMPLEMENTATION" >"$work/source.c"
    if $CC -std=c99 $POSIX "$@" -I. -c -o "$work/source.o" "$work/source.c" 2>"$work/why"; then
        echo "FAILED  $* is accepted"
    else
        report "$* is refused" grep -q '"vit.h: ' "$work/why"
    fi
}

# harmless FLAGS...: a part of fast-math that the compiler tells of by no macro changes no result
harmless() {
    for test in preprocess kernels; do
        report "test_$test, $*" $CC -std=c99 $POSIX -O2 "$@" -I. -Itests -o "$work/test_$test" \
            tests/test_$test.c -lcmocka -lm -lpthread
        report "test_$test, $*, run" "$work/test_$test"
    done
}

ASSOCIATIVE="-fassociative-math -fno-signed-zeros -fno-trapping-math"
for flags in -ffast-math -Ofast -ffinite-math-only; do check refused $flags; done
for flags in -funsafe-math-optimizations "$ASSOCIATIVE" -freciprocal-math; do
    if $CC --version | grep -q clang; then check harmless $flags; else check refused $flags; fi
done
if [ "$(uname -m)" = x86_64 ] && ! $CC --version | grep -q clang; then
    for flags in -mfpmath=387 -mfpmath=both; do check refused $flags; done
fi

# Names that platforms define: windows.h and its rpcndr.h, X11, Arduino, Qt.
PLATFORM="-Dnear= -Dfar= -Dpascal= -Dcdecl= -DIN= -DOUT= -DOPTIONAL= -DERROR=0 -DNO_ERROR=0 -Dsmall=char
    -Dhyper=long -Dinterface=struct -DNone=0 -DBool=int -DStatus=int -DTrue=1 -DFalse=0 -DSuccess=0
    -DAlways=2 -DHIGH=1 -DLOW=0 -DPI=3.14 -DF=1 -DB1=1 -DD0=1 -Demit= -Dslots= -Dsignals=public"
for parts in "" -DVIT_FREESTANDING; do
    check also "macros of platforms $parts" "$IMPLEMENTATION" $CC -std=c99 $POSIX $PLATFORM $parts
    check also "macros of platforms, C++ $parts" "$IMPLEMENTATION" $CXX -x c++ -std=c++11 $parts $PLATFORM
done

# The header under another name, from elsewhere, beside another vit.h: it finds itself, or says what
# to define.
other=$BUILD/other
mkdir -p "$other/folder" "$other/beside"
cp vit.h "$other/folder/vit-0.1.h"
printf '/* another version */\n' >"$other/beside/vit.h"
printf '#define VIT_IMPLEMENTATION\n#include "vit-0.1.h"\n' >"$other/program.c"
cp "$other/program.c" "$other/folder/program.c"
cp "$other/program.c" "$other/beside/program.c"
renamed() {
    name=$1
    shift
    report "another name, $name" $CC -std=c99 $POSIX "$@" -c -o "$work/source.o"
}
told_apart() {
    if $CC -std=c99 $POSIX -U__FILE_NAME__ "-I$other/beside" "-I$other/folder" -c -o "$work/source.o" \
        "$other/beside/program.c" 2>"$work/why"; then
        echo "FAILED  another vit.h is taken for this one"
    else
        report "another vit.h is told apart" grep -q VIT_SELF "$work/why"
    fi
}
check renamed "in the folder of the program" "$other/folder/program.c"
check renamed "by a relative path" "-I$other/folder" "$other/program.c"
check renamed "by an absolute path" "-I$(cd "$other/folder" && pwd)" "$other/program.c"
check renamed "with VIT_SELF" '-DVIT_SELF="vit-0.1.h"' "-I$other/folder" "$other/program.c"
check renamed "on a compiler that does not tell it, with VIT_SELF" -U__FILE_NAME__ \
    '-DVIT_SELF="vit-0.1.h"' "-I$other/folder" "$other/program.c"
check renamed "beside another vit.h" "-I$other/beside" "-I$other/folder" "$other/beside/program.c"
check told_apart

# No name but vit_ and vit__ (VIT_ and VIT__) is defined by the header.
own_names() {
    NO_CODE=
    source "its symbols" "$IMPLEMENTATION" $CC -std=c99 $POSIX
    report "every symbol begins with vit_" only_vit_symbols
}
only_vit_symbols() {
    ! nm -g "$work/source.o" | grep -v ' U ' | grep -v -e ' vit_'
}
check own_names

wait
failures=$(cat "$BUILD"/*/lines | grep -c '^FAILED')
echo "$failures failed"
test "$failures" = 0
