#!/bin/sh
# The header in programs of two files, in every language standard and with every macro that leaves
# something out: each must compile without a warning. Prints a line for each; exit status 1 where
# one fails. Run from the top folder: CC=gcc CXX=g++ tests/check_include.sh
CC=${CC:-cc}
CXX=${CXX:-c++}
BUILD=${BUILD:-build}/include
WARNINGS="-Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-align
    -Wcast-qual -Wdouble-promotion -Werror"
failures=0
mkdir -p "$BUILD"

# report NAME COMMAND...: whether the command succeeds
report() {
    name=$1
    shift
    if "$@" >"$BUILD/log" 2>&1; then
        echo "ok      $name"
    else
        echo "FAILED  $name: $*"
        sed 's/^/        /' "$BUILD/log"
        failures=$((failures + 1))
    fi
}

# program NAME COMPILER-AND-FLAGS...: two files, linked and run
program() {
    name=$1
    shift
    report "$name" "$@" $WARNINGS -I. -o "$BUILD/program" tests/include_a.c tests/include_b.c \
        -x none -lm -lpthread
    report "$name, run" "$BUILD/program"
}

# mixed NAME FLAGS-OF-A -- FLAGS-OF-B: one file in C, the other in C++
mixed() {
    report "$1, $2 file" $2 $3 $WARNINGS -I. -c -o "$BUILD/a.o" tests/include_a.c
    report "$1, $4 file" $4 $5 $WARNINGS -I. -c -o "$BUILD/b.o" tests/include_b.c
    report "$1, linked" "$CXX" -o "$BUILD/program" "$BUILD/a.o" "$BUILD/b.o" -lm -lpthread
    report "$1, run" "$BUILD/program"
}

# source NAME TEXT FLAGS...: a file with this text compiles
source() {
    name=$1
    printf '%b\n' "$2" >"$BUILD/source.c"
    shift 2
    report "$name" "$@" $WARNINGS -I. -c -o "$BUILD/source.o" "$BUILD/source.c"
}

# undefined NAME PATTERN: no symbol of the last object matches
undefined() {
    if nm -u "$BUILD/source.o" | grep -qE " ($2)\$"; then
        echo "FAILED  $1: $(nm -u "$BUILD/source.o" | grep -E " ($2)\$" | tr -s ' \n' ' ')"
        failures=$((failures + 1))
    else
        echo "ok      $1"
    fi
}

POSIX=-D_POSIX_C_SOURCE=200809L
IMPLEMENTATION='#define VIT_IMPLEMENTATION\n#include "vit.h"\nint vit_test_empty;'

for standard in c99 c11 c17 gnu99; do
    program "two files, $standard" $CC -std=$standard $POSIX -Wstrict-prototypes
    program "two files, each static, $standard" $CC -std=$standard $POSIX -DVIT_STATIC \
        -DINCLUDE_STATIC
done
for standard in c++11 c++14 c++17 c++20; do
    program "two files, $standard" $CXX -std=$standard -x c++
    program "two files, each static, $standard" $CXX -std=$standard -DVIT_STATIC -DINCLUDE_STATIC \
        -x c++
done
mixed "used from C, implemented in C++" "$CC" "-std=c99 $POSIX" "$CXX" "-std=c++11 -x c++"

for malloc in "" -DVIT_NO_MALLOC; do
    for stdio in "" -DVIT_NO_STDIO; do
        for threads in "" -DVIT_NO_THREADS; do
            for map in "" -DVIT_NO_MMAP; do
                flags="$malloc $stdio $threads $map"
                source "C99 $flags" "$IMPLEMENTATION" $CC -std=c99 $POSIX $flags
                source "C99 $flags -DVIT_STATIC" "$IMPLEMENTATION" $CC -std=c99 $POSIX $flags \
                    -DVIT_STATIC
                source "C++11 $flags" "$IMPLEMENTATION" $CXX -x c++ -std=c++11 $flags
            done
        done
    done
done

# What a firmware leaves out, alone and together, with string.h before and behind it or without.
for parts in -DVIT_NO_PREPROCESS -DVIT_ONLY_PLAIN -DVIT_ONLY_INT8 -DVIT_NO_LABELS -DVIT_NO_TANH -DVIT_NO_PARALLEL \
    -DVIT_FREESTANDING "-DVIT_FREESTANDING -DVIT_NO_SIMD" \
    "-DVIT_FREESTANDING -DVIT_ONLY_PLAIN -DVIT_ONLY_INT8 -DVIT_NO_LABELS -DVIT_NO_TANH -DVIT_NO_PARALLEL"; do
    source "C99 $parts" "$IMPLEMENTATION" $CC -std=c99 $POSIX $parts
    source "C99 $parts, string.h" "#include <string.h>\n$IMPLEMENTATION" $CC -std=c99 $POSIX $parts
    source "C++11 $parts" "$IMPLEMENTATION" $CXX -x c++ -std=c++11 $parts
    source "C++20 $parts, string.h" "$IMPLEMENTATION\n#include <string.h>" $CXX -x c++ -std=c++20 \
        $parts
done

# Each function of the mathematics may be replaced in firmware too, and then is not compiled.
for name in EXPF ERFF TANHF SQRTF; do
    source "VIT_FREESTANDING, VIT_$name of the user" "float f(float x);\n$IMPLEMENTATION" \
        $CC -std=c99 -DVIT_FREESTANDING "-DVIT_$name=f"
done

source "declarations in pedantic C99" '#include "vit.h"\nint vit_test_empty;' $CC -std=c99
source "VIT_API of the user" "$IMPLEMENTATION" $CC -std=c99 $POSIX '-DVIT_API=extern'
source "strict C99, no feature-test macro" "$IMPLEMENTATION" $CC -std=c99
source "NDEBUG" "$IMPLEMENTATION" $CC -std=c99 $POSIX -DNDEBUG
source "-O3" "$IMPLEMENTATION" $CC -std=c99 $POSIX -O3
for level in -O1 -O2 -O3 -Os; do # the compiler's own header of vector instructions may warn
    for standard in c++11 c++17; do
        source "$standard $level" "$IMPLEMENTATION" $CXX -x c++ -std=$standard $level
    done
done
source "-ffreestanding" "$IMPLEMENTATION" $CC -std=c99 -ffreestanding -DVIT_NO_MALLOC -DVIT_NO_STDIO

# math.h is not included where all of its functions are replaced, and nothing else is called.
MATH='float e(float x);\n#define VIT_EXPF(x) e(x)\n#define VIT_ERFF(x) e(x)\n'
MATH="$MATH"'#define VIT_TANHF(x) e(x)\n#define VIT_SQRTF(x) e(x)\n'
source "replaced mathematics" \
    "$MATH$IMPLEMENTATION"'\n#ifdef _MATH_H\n#error math.h\n#endif\n#ifdef HUGE_VALF\n#error math.h\n#endif' \
    $CC -std=c99 -DVIT_NO_MALLOC -DVIT_NO_STDIO
undefined "firmware calls no heap, file or mathematics" \
    'malloc|free|calloc|realloc|fopen|fread|printf|puts|expf|erff|tanhf|sqrtf|pthread_.*|mmap|__assert_fail'
source "replaced allocator" \
    'void *a(void *c, unsigned long n);\nvoid f(void *c, void *p);\n#define VIT_MALLOC(c, n) a(c, n)\n#define VIT_FREE(c, p) f(c, p)\n'"$IMPLEMENTATION" \
    $CC -std=c99 $POSIX
undefined "a replaced allocator is the only one" 'malloc|free|calloc|realloc'

# refused FLAGS...: the implementation does not compile with these flags, and says why
refused() {
    printf '%b\n' "$IMPLEMENTATION" >"$BUILD/source.c"
    if $CC -std=c99 $POSIX "$@" -I. -c -o "$BUILD/source.o" "$BUILD/source.c" 2>"$BUILD/why"; then
        echo "FAILED  $* is accepted"
        failures=$((failures + 1))
    else
        report "$* is refused" grep -q '"vit.h: ' "$BUILD/why"
    fi
}

# harmless FLAGS...: a part of fast-math that the compiler tells of by no macro changes no result
harmless() {
    for test in preprocess kernels; do
        report "test_$test, $*" $CC -std=c99 $POSIX -O2 "$@" -I. -Itests -o "$BUILD/test_$test" \
            tests/test_$test.c -lcmocka -lm -lpthread
        report "test_$test, $*, run" "$BUILD/test_$test"
    done
}

ASSOCIATIVE="-fassociative-math -fno-signed-zeros -fno-trapping-math"
for flags in -ffast-math -Ofast -ffinite-math-only; do refused $flags; done
for flags in -funsafe-math-optimizations "$ASSOCIATIVE" -freciprocal-math; do
    if $CC --version | grep -q clang; then harmless $flags; else refused $flags; fi
done
if [ "$(uname -m)" = x86_64 ] && ! $CC --version | grep -q clang; then
    for flags in -mfpmath=387 -mfpmath=both; do refused $flags; done
fi

# Names that platforms define: windows.h and its rpcndr.h, X11, Arduino, Qt.
PLATFORM="-Dnear= -Dfar= -Dpascal= -Dcdecl= -DIN= -DOUT= -DOPTIONAL= -DERROR=0 -DNO_ERROR=0 -Dsmall=char
    -Dhyper=long -Dinterface=struct -DNone=0 -DBool=int -DStatus=int -DTrue=1 -DFalse=0 -DSuccess=0
    -DAlways=2 -DHIGH=1 -DLOW=0 -DPI=3.14 -DF=1 -DB1=1 -DD0=1 -Demit= -Dslots= -Dsignals=public"
for parts in "" -DVIT_FREESTANDING; do
    source "macros of platforms $parts" "$IMPLEMENTATION" $CC -std=c99 $POSIX $PLATFORM $parts
    source "macros of platforms, C++ $parts" "$IMPLEMENTATION" $CXX -x c++ -std=c++11 $parts $PLATFORM
done

# The header under another name, from elsewhere, beside another vit.h: it finds itself, or says what
# to define.
other=$BUILD/other
mkdir -p "$other/folder"
cp vit.h "$other/folder/vit-0.1.h"
printf '#define VIT_IMPLEMENTATION\n#include "vit-0.1.h"\n' >"$other/program.c"
cp "$other/program.c" "$other/folder/program.c"
renamed() {
    name=$1
    shift
    report "another name, $name" $CC -std=c99 $POSIX "$@" -c -o "$BUILD/source.o"
}
renamed "in the folder of the program" "$other/folder/program.c"
renamed "by a relative path" "-I$other/folder" "$other/program.c"
renamed "by an absolute path" "-I$(cd "$other/folder" && pwd)" "$other/program.c"
renamed "with VIT_SELF" '-DVIT_SELF="vit-0.1.h"' "-I$other/folder" "$other/program.c"
renamed "on a compiler that does not tell it, with VIT_SELF" -U__FILE_NAME__ '-DVIT_SELF="vit-0.1.h"' \
    "-I$other/folder" "$other/program.c"
printf '/* another version */\n' >"$other/vit.h"
renamed "beside another vit.h" "-I$other" "-I$other/folder" "$other/program.c"
if $CC -std=c99 $POSIX -U__FILE_NAME__ "-I$other" "-I$other/folder" -c -o "$BUILD/source.o" \
    "$other/program.c" 2>"$BUILD/why"; then
    echo "FAILED  another vit.h is taken for this one"
    failures=$((failures + 1))
else
    report "another vit.h is told apart" grep -q VIT_SELF "$BUILD/why"
fi
rm -f "$other/vit.h"

printf '%b\n' "$IMPLEMENTATION" >"$BUILD/source.c"

# No name but vit_ and vit__ (VIT_ and VIT__) is defined by the header.
$CC -std=c99 $POSIX -I. -c -o "$BUILD/source.o" "$BUILD/source.c"
if nm -g "$BUILD/source.o" | grep -v ' U ' | grep -v ' vit_'; then
    echo "FAILED  names without vit_"
    failures=$((failures + 1))
else
    echo "ok      every symbol begins with vit_"
fi

echo "$failures failed"
test "$failures" = 0
