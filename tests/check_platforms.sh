#!/usr/bin/env bash
# The library's tests that need nothing but the C library: by other compilers, in every language standard,
# with another C library and on other processors and systems, emulated where this machine is none of them.
# Prints a line for each platform: its compiler, how many tests passed, failed and were skipped, and which
# programs are left out and why; exit status 1 where one fails. Run it by make check-platforms, which
# installs the compilers and passes FLAGS, the warnings. As many programs run at a time as there are processors.
#
#     tests/check_platforms.sh [PATTERN...]    only platforms whose name matches one: '*c++*' s390x
BUILD=${BUILD:-build}/platforms
work=$PWD/$BUILD
. tests/steps.sh
. tests/wine.sh
WARNINGS=$FLAGS
FLAGS="-O1 -D_POSIX_C_SOURCE=200809L -I. -Itests"
LIMIT=1800 # seconds of a program
patterns=("${@:-*}")

# tests/test_NAME.c. A language standard has those of QUICK, which take a second and less.
QUICK="file kernels attention preprocess token0 size"
POSIX="classifier load new_file"
ALL="$QUICK v1 layers model merge quantize camera freestanding only_int8 $POSIX"

# sources NAME: what a program is made of beside tests/test_NAME.c, as in the Makefile
sources() {
    case $1 in
    quantize) echo tools/convert/quantize.c ;;
    camera) echo examples/camera.c ;;
    new_file) echo tools/convert/new_file.c tools/convert/report.c ;;
    freestanding | only_int8) echo tests/hosted.c ;;
    esac
}

# wanted NAME
wanted() {
    local pattern
    for pattern in "${patterns[@]}"; do [[ $1 != $pattern ]] || return 0; done
    return 1
}

# except "PROGRAMS" "THOSE": PROGRAMS without THOSE
except() {
    local program
    for program in $1; do
        case " $2 " in *" $program "*) ;; *) printf '%s ' "$program" ;; esac
    done
}

# version COMPILER
version() {
    case $1 in
    tcc) tcc -v ;;
    *) "$1" --version | head -n 1 ;;
    esac
}

# program FOLDER NAME SOURCE "COMPILER-AND-FLAGS" "RUNNER" "LIBRARIES": its output in FOLDER/NAME.log, its
# tests there in FOLDER/NAME.passed and .skipped; .failed where one fails, or not all of them ran
program() {
    local to=$1/$2 source=$3 compiler=$4 runner=$5 libraries=$6 announced
    {
        # .exe: Windows runs nothing else
        $compiler -o "$to.exe" $source $libraries && timeout --foreground $LIMIT $runner "$to.exe" </dev/null
        echo "exit status $?"
    } >"$to.log" 2>&1
    tr -d '\r' <"$to.log" | grep -a '^\[ *OK \]' | sort -u >"$to.passed"
    tr -d '\r' <"$to.log" | grep -a '^\[  SKIPPED \] test_' | sort -u >"$to.skipped"
    announced=$(sed -n 's/^\[=*\] .*Running \([0-9]*\) test(s).*/\1/p' "$to.log")
    if ! grep -q '^exit status 0' "$to.log" ||
        [ "$(cat "$to.passed" "$to.skipped" | wc -l)" != "${announced:-none}" ]; then
        touch "$to.failed"
    fi
}

# summary NAME FOLDER "VERSION" "LEFT-OUT"
summary() {
    local name=$1 folder=$2 version=$3 out=$4 failed word=ok log
    failed=$(find "$folder" -name '*.failed' | wc -l)
    [ "$failed" = 0 ] || { word=FAILED; echo "$name" >>"$BUILD/failures"; }
    printf '%-7s %s, %s: %d programs, %d failed; %d tests passed, %d skipped%s\n' $word "$name" "$version" \
        "$(find "$folder" -name '*.passed' | wc -l)" "$failed" "$(cat "$folder"/*.passed | wc -l)" \
        "$(cat "$folder"/*.skipped | wc -l)" "${out:+; without $out}"
    cat "$folder"/*.skipped
    for log in $(find "$folder" -name '*.failed' | sed 's/failed$/log/'); do
        echo "        $log:"
        tail -n 20 "$log" | sed 's/^/        /'
    done
}

# platform NAME "COMPILER-AND-FLAGS" "RUNNER" "LIBRARIES" "PROGRAMS" "LEFT-OUT"
platform() {
    local name=$1 compiler=$2 runner=$3 libraries=$4 programs=$5 out=$6 folder=$BUILD/$1 program source
    wanted "$name" || return
    mkdir -p "$folder"
    for program in $programs; do
        source="tests/test_$program.c $(sources "$program")"
        case $compiler in *++*) source="-x c++ $source -x none" ;; esac
        beside program "$folder" "$program" "$source" "$compiler $FLAGS" "$runner" "$libraries"
    done
    wait
    summary "$name" "$folder" "$(version ${compiler%% *})" "$out"
}

# ---- this machine: compilers and standards ----

CMOCKA="-lcmocka -lm -pthread"
STAND_IN=-Itests/emulated

# Warnings are errors, in C.
native() {
    local compiler standard
    for compiler in gcc clang clang-16 clang-19; do
        platform $compiler-c99 "$compiler $WARNINGS -std=c99" "" "$CMOCKA" "$ALL" ""
        for standard in c11 c17 c2x; do
            platform $compiler-$standard "$compiler $WARNINGS -std=$standard -DVIT_NO_SIMD" "" "$CMOCKA" "$QUICK" \
                "vector kernels and $(except "$ALL" "$QUICK")($compiler-c99 has them)"
        done
    done
}

# The tests as C++: without warnings, as they have C99's designators (check_include.sh has those of the header).
# cmocka is for C alone; new_file and quantize are of tools, which are C.
native_cpp() {
    local compiler standard tests
    for compiler in g++ clang++ clang++-16 clang++-19; do
        for standard in c++11 c++14 c++17 c++20 c++2b; do
            tests=$QUICK
            [ $standard != c++17 ] || tests=$(except "$ALL" "new_file quantize")
            platform $compiler-${standard#c++} "$compiler -w $STAND_IN -std=$standard -DVIT_NO_SIMD" "" \
                "-lm -pthread" "$tests" "vector kernels and $(except "$ALL" "$tests")"
        done
    done
}

other_compilers() {
    platform tcc "tcc -std=c99" "" "$CMOCKA" "$ALL" "vector kernels, which it cannot make"
    platform musl "musl-gcc -static $STAND_IN $WARNINGS -std=c99" "" "-lm -pthread" "$ALL" ""
}

# ---- other processors and systems ----

# refused NAME "COMPILER-AND-FLAGS": the header does not compile, and says why
refused() {
    wanted "$1" || return
    step "$1: $2 is refused" says_why "$2"
}

says_why() {
    ! $1 -I. -DVIT_IMPLEMENTATION -x c -fsyntax-only vit.h 2>"$BUILD/why" && grep '#error "vit.h: ' "$BUILD/why"
}

# cross NAME TARGET QEMU "FLAGS" "PROGRAMS" "LEFT-OUT": by gcc for the target
cross() {
    platform "$1" "$2-gcc $STAND_IN $WARNINGS -std=c99 $4" "$3 -L /usr/$2" "-lm -pthread" "$5" "$6"
}

# What check_isa.sh runs on a processor is not run again.
BY_ISA="file kernels preprocess token0 layers model"

processors() {
    local others
    others=$(except "$ALL" "$BY_ISA")
    # qemu gives places in folders in 64 bits, as the file systems of a 64-bit machine have them
    cross armhf arm-linux-gnueabihf qemu-arm -D_FILE_OFFSET_BITS=64 "$others" "$BY_ISA (make check-armv7 has them)"
    cross aarch64 aarch64-linux-gnu qemu-aarch64 "" "$others" "$BY_ISA (make check-isa has them)"
    cross riscv64 riscv64-linux-gnu qemu-riscv64 "" "$ALL" "V (make check-isa has it)"
    cross ppc64le powerpc64le-linux-gnu qemu-ppc64le "" "$ALL" ""
}

# 32-bit x86, which an x86-64 processor runs, and a program without libraries any system.
x86() {
    local runner=
    [ "$(uname -m)" = x86_64 ] || runner=qemu-i386
    platform i686 "i686-linux-gnu-gcc $STAND_IN $WARNINGS -std=c99 -msse2 -mfpmath=sse -static" "$runner" \
        "-lm -pthread" "$ALL" ""
    refused i686-x87 "i686-linux-gnu-gcc -std=c99"
}

# Big-endian: opening a model is refused.
big_endian() {
    local folder=$BUILD/s390x compiler="s390x-linux-gnu-gcc -fexcess-precision=fast"
    wanted s390x || return
    mkdir -p "$folder"
    program "$folder" big_endian tests/big_endian.c "$compiler $STAND_IN $WARNINGS -std=c99 $FLAGS" \
        "qemu-s390x -L /usr/s390x-linux-gnu" "-lm -pthread"
    summary s390x "$folder" "$(version s390x-linux-gnu-gcc)" "all but what says that models cannot be opened"
    refused s390x-double "s390x-linux-gnu-gcc -std=c99"
}

windows() {
    local has="$BY_ISA classifier"
    wanted windows || return
    mkdir -p "$WINEPREFIX"
    trap stop_wine EXIT
    step "wine starts" "$wine" wineboot -i
    # see check_windows_library.sh
    platform windows "x86_64-w64-mingw32-gcc -static $STAND_IN $WARNINGS -Wno-float-conversion -Wno-format
        -Wno-format-extra-args -std=c99" "$wine" "-lm -pthread" "$(except "$ALL" "$has load new_file")" \
        "$has (make check-windows has them), and load, new_file, which are of POSIX"
}

webassembly() {
    platform wasm "clang $WASM $WARNINGS -std=c99" "$NODE tests/emulated/wasi.mjs" "" \
        "$(except "$ALL" "$BY_ISA $POSIX")" "$BY_ISA (make check-isa has them), and $POSIX, which are of POSIX"
}

rm -rf "$BUILD"
mkdir -p "$BUILD"
for group in processors x86 big_endian windows webassembly other_compilers native native_cpp; do $group; done
finish "all platforms passed"
