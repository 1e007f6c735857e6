#!/bin/bash
# vit.h on Windows: it compiles without a warning, alone and beside windows.h, and its tests pass under
# wine, with threads and mapped files. Prints a line for each check; exit status 1 where one fails. Run it
# by make check-windows, which installs compilers and passes FLAGS.
set -u
BUILD=${BUILD:-build}/windows-library
work=$PWD/$BUILD
. tests/wine.sh
. tests/steps.sh
WARNINGS="-Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-align
    -Wcast-qual -Wdouble-promotion -Werror"

trap stop_wine EXIT

# ---- it compiles ----

write_sources() {
    cat >"$work/alone.c" <<-END
	#define VIT_IMPLEMENTATION
	#include "vit.h"
	#if defined(_WINDOWS_) || defined(_WINDEF_) || defined(min) || defined(near) || defined(ERROR)
	#error "vit.h brings what windows.h defines"
	#endif
	END
    printf '#include <windows.h>\n#define VIT_IMPLEMENTATION\n#include "vit.h"\n' >"$work/after_windows.c"
    printf '#define VIT_IMPLEMENTATION\n#include "vit.h"\n#include <windows.h>\nSRWLOCK vit_lock;\n' \
        >"$work/before_windows.c"
    printf '#define WIN32_LEAN_AND_MEAN\n#define NOMINMAX\n' | cat - "$work/after_windows.c" >"$work/after_lean.c"
}

compiles() { # NAME COMPILER-AND-FLAGS...
    local name=$1 source
    shift
    for source in alone after_windows after_lean before_windows; do
        step "$name, $source" "$@" $WARNINGS -O2 -I. -c -o "$work/vit.o" "$work/$source.c"
    done
}

check_compilers() {
    local parts
    compiles "gcc" x86_64-w64-mingw32-gcc -std=c99 -Wstrict-prototypes -DVIT_NO_SIMD
    compiles "g++" x86_64-w64-mingw32-g++ -x c++ -std=c++11 -DVIT_NO_SIMD
    compiles "clang" clang --target=x86_64-w64-mingw32 -std=c99 -DVIT_NO_SIMD
    compiles "clang++" clang --target=x86_64-w64-mingw32 -x c++ -std=c++17 -DVIT_NO_SIMD
    compiles "gcc, 32 bits" i686-w64-mingw32-gcc -std=gnu17 -msse2 -mfpmath=sse
    compiles "clang, 32 bits" clang --target=i686-w64-mingw32 -std=c99 -msse2
    step "gcc, kernels" x86_64-w64-mingw32-gcc -std=c99 $WARNINGS -O2 -I. -c -o "$work/vit.o" "$work/alone.c"
    step "g++, kernels" x86_64-w64-mingw32-g++ -x c++ -std=c++11 $WARNINGS -O2 -I. -c -o "$work/vit.o" \
        "$work/alone.c"
    step "clang, kernels" clang --target=x86_64-w64-mingw32 -std=c99 $WARNINGS -O2 -I. -c -o "$work/vit.o" \
        "$work/alone.c"
    for parts in VIT_NO_MALLOC VIT_NO_STDIO VIT_NO_MMAP VIT_NO_THREADS VIT_NO_PREPROCESS VIT_FREESTANDING; do
        step "gcc, $parts" x86_64-w64-mingw32-gcc -std=c99 -DVIT_NO_SIMD -D$parts $WARNINGS -O2 -I. -c \
            -o "$work/vit.o" "$work/alone.c"
    done
}

# ---- what MSVC sees: clang with MSVC's macros and extensions, and none of gcc's or its own ----

imitated_msvc() { # TARGET FLAGS...
    local target=$1
    shift
    clang --target="$target-pc-windows-msvc" -fms-compatibility-version=19.30 -U__clang__ -U__x86_64__ \
        -U__i386__ -U__aarch64__ -U__ARM_ARCH_PROFILE -U__FLT_EVAL_METHOD__ -nostdinc \
        -isystem "$work/msvc" -I. "$@" "$work/alone.c"
}

uses_no_gnu_words() { # TARGET
    imitated_msvc "$1" -E -P -std=c11 -o "$work/preprocessed" || return 1
    grep -q _beginthreadex "$work/preprocessed" && grep -q InterlockedExchangeAdd "$work/preprocessed" || return 1
    ! sed 's/__builtin_offsetof//g' "$work/preprocessed" |
        grep -E '__attribute|__builtin|__asm|__atomic|__typeof|__extension|#pragma (GCC|clang)'
}

check_imitated_msvc() {
    local header target
    mkdir -p "$work/msvc"
    for header in stddef stdint string stdlib math stdio io process intrin xmmintrin fenv; do
        echo '#include "tests/emulated/msvc.h"' >"$work/msvc/$header.h"
    done
    for target in x86_64 aarch64 i686; do
        step "MSVC's path, $target, C" imitated_msvc $target -std=c11 -fsyntax-only $WARNINGS -Wgnu
        step "MSVC's path, $target, C++" imitated_msvc $target -x c++ -std=c++14 -fsyntax-only $WARNINGS -Wgnu
        step "MSVC's path, $target, has no word of gcc" uses_no_gnu_words $target
    done
}

# ---- it runs ----

# mingw-w64's isfinite has a conversion to float where it is not used; gcc takes its printf, which is that of
# C99 here, for Microsoft's
MINGW_WARNINGS="$WARNINGS -Wno-float-conversion -Wno-format -Wno-format-extra-args"

runs() { # NAME SOURCE FLAGS...
    local name=$1 source=$2
    shift 2
    step "$name compiles" x86_64-w64-mingw32-gcc -std=c99 -D_POSIX_C_SOURCE=200809L -Wstrict-prototypes \
        $MINGW_WARNINGS -O2 -g -I. -Itests -Itests/emulated "$@" -static -o "$work/$source.exe" \
        "tests/$source.c" -lm -pthread
    step "$name" "$wine" "$work/$source.exe"
}

check_tests() {
    local test isa isas
    runs windows windows -DVIT_NO_SIMD
    runs "windows, VIT_NO_MMAP" windows -DVIT_NO_SIMD -DVIT_NO_MMAP
    runs list_isas list_isas
    isas=$("$wine" "$work/list_isas.exe" | tr -d '\r')
    for test in file preprocess classifier kernels layers model token0; do runs test_$test test_$test; done
    for isa in $isas; do
        for test in layers model token0; do
            step "test_$test, $isa" env VIT_ISA="$isa" "$wine" "$work/test_$test.exe"
        done
    done
}

rm -rf "$work"
mkdir -p "$work"
write_sources
check_compilers
check_imitated_msvc
step "wine starts" "$wine" wineboot -i
check_tests

finish "vit.h passes its tests for Windows"
