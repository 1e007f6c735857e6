#!/usr/bin/env bash
# The tests with every instruction set that there are kernels for, emulated where the machine lacks
# it. Prints a line for each run, and what was skipped; exit status 1 where one fails. Run it by
# make check-isa, which installs the emulators and passes FLAGS. As many steps run at a time as there are
# processors. With the argument armv7 or riscv it runs all tests of 32-bit ARM or of 64-bit RISC-V
# and nothing else.
CC=${CC:-cc}
BUILD=${BUILD:-build}/isa
FLAGS="$FLAGS -O2 -g -I. -Itests"
. tests/steps.sh

# program TARGET PROGRAM COMPILER-AND-FLAGS -- LIBRARIES...
program() {
    local target=$1 program=$2 compiler=$3
    shift 4
    step "$target, $program compiles" $compiler $FLAGS -c -o "$BUILD/$target/$program.o" \
        "tests/$program.c" "$@"
    # without -O: clang would have what it links rewritten by wasm-opt, whose version may be older
    step "$target, $program links" $compiler -o "$BUILD/$target/$program" \
        "$BUILD/$target/$program.o" "$@"
}

ALL="test_kernels test_layers test_model test_token0 test_file test_preprocess"
PROGRAMS=$ALL

# build TARGET COMPILER-AND-FLAGS... -- LIBRARIES...: PROGRAMS
build() {
    target=$1
    compiler=
    shift
    while [ "$1" != -- ]; do
        compiler="$compiler $1"
        shift
    done
    shift
    rm -rf "${BUILD:?}/$target"
    mkdir -p "$BUILD/$target"
    for program in list_isas $PROGRAMS; do
        beside program "$target" $program "$compiler" -- "$@"
    done
    wait
}

# built TEST...: those of PROGRAMS
built() {
    local test
    for test in "$@"; do
        case " $PROGRAMS " in *" test_$test "*) echo "$test" ;; esac
    done
}

# run TARGET NAME "ISAS" "NEW" RUNNER...: ISAS, the best first, have to be there and no other. The tests of
# the kernels take all that is there, those of layers and models the one that VIT_ISA names: those of NEW,
# which no other run has. The others have nothing to do with it.
run() {
    folder=$BUILD/$1
    on=$2
    isas=$3
    new=$4
    shift 4
    found=$("$@" "$folder/list_isas" 2>/dev/null | xargs)
    step "$on has $isas" test "$found" = "$isas"
    for test in $(built kernels file preprocess); do
        beside step "$on, test_$test" "$@" "$folder/test_$test"
    done
    for isa in $new; do
        for test in $(built layers model token0); do
            beside step "$on, $isa, test_$test" env VIT_ISA=$isa "$@" "$folder/test_$test"
        done
    done
    wait
}

# armv7 PROGRAMS: 32-bit ARM, for each -mfpu whose code is another, and on a processor without NEON
armv7() {
    local PROGRAMS=$1 gcc=arm-linux-gnueabihf-gcc qemu="qemu-arm -L /usr/arm-linux-gnueabihf -cpu"
    build neon $gcc -mfpu=neon -Itests/emulated -- -lm -pthread
    run neon "qemu-arm cortex-a8" "neon portable" neon $qemu cortex-a8
    build vfpv4 $gcc -mfpu=neon-vfpv4 -Itests/emulated -- -lm -pthread
    run vfpv4 "qemu-arm cortex-a7" "neon portable" neon $qemu cortex-a7
    PROGRAMS=test_token0
    build vfpv3 $gcc -mfpu=vfpv3-d16 -Itests/emulated -- -lm -pthread
    run vfpv3 "qemu-arm cortex-a9 without NEON" portable portable $qemu cortex-a9,neon=off
}

# riscv PROGRAMS: 64-bit RISC-V with V, by the kernels for registers of 128 bits and of 256, and without
riscv() {
    local PROGRAMS=$1 bits qemu="qemu-riscv64 -L /usr/riscv64-linux-gnu -cpu rv64"
    # Debian 12's GNU ld crashes on what clang 19 compiled
    build riscv64 clang-19 --target=riscv64-linux-gnu -fuse-ld=lld-19 -Wno-unused-command-line-argument \
        -Itests/emulated -- -lm -pthread
    for bits in 128 256; do
        run riscv64 "qemu-riscv64, V of $bits bits" "rvv portable" rvv \
            $qemu,v=true,vext_spec=v1.0,vlen=$bits
    done
    PROGRAMS=test_token0
    run riscv64 "qemu-riscv64 without V" portable portable $qemu
}

# emulated FILE: it has no AVX instruction of its own
emulated() {
    ! objdump -d "$1" | grep '%[yz]mm'
}

# avx_alone FILE: its kernels of AVX call no function of vit.h that is compiled without AVX. Processors wait
# long for such code between instructions of AVX.
avx_alone() {
    objdump -d --no-show-raw-insn "$1" | awk '
        function has_avx(name) { return name ~ /_(avx2|avxvnni|avx512[a-z0-9]*|amx)[.>+]/ }
        /^[0-9a-f]+ <.*>:$/ { kernel = $2; kernels += has_avx(kernel) }
        has_avx(kernel) && /(call|jmp) .*<vit__/ && !has_avx($NF) { print kernel, $0; bad = 1 }
        END { exit bad || kernels < 10 }'
}

rm -rf "$BUILD"
mkdir -p "$BUILD"

[ "$1" != armv7 ] || { armv7 "$ALL"; finish "all instruction sets passed"; }
[ "$1" != riscv ] || { riscv "$ALL"; finish "all instruction sets passed"; }

if [ "$(uname -m)" = x86_64 ]; then
    ln -s .. "$BUILD/x86-64" # what make has built
    step "x86-64, kernels of AVX call no code without it" avx_alone "$BUILD/x86-64/test_kernels"
    # layers and models take qemu minutes, SIMDe seconds
    run x86-64 "qemu-x86_64 max" "avx2 sse4.1 portable" "" qemu-x86_64 -cpu max
    run x86-64 "qemu-x86_64 Nehalem" "sse4.1 portable" "" qemu-x86_64 -cpu Nehalem
    run x86-64 "qemu-x86_64 Conroe" portable "" qemu-x86_64 -cpu Conroe
    # at -O2 gcc takes minutes for each
    build simde $CC -DVIT__EMULATED -Wno-psabi -Itests/emulated/simde -- -O1 -g0 -lcmocka -lm -pthread
    step "simde has no AVX instruction" emulated "$BUILD/simde/test_kernels"
    run simde "simde" "avx512-bf16 avx512-vnni avx512 avx2-vnni avx2 sse4.1 portable" \
        "avx512-bf16 avx512-vnni avx512 avx2-vnni avx2 sse4.1"
else
    echo "SKIPPED avx2, avx512: this machine is $(uname -m)"
fi

build aarch64 aarch64-linux-gnu-gcc -Itests/emulated -- -lm -pthread
run aarch64 "qemu-aarch64 cortex-a53" "neon portable" "neon portable" \
    qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu cortex-a53
run aarch64 "qemu-aarch64 cortex-a76" "neon-dotprod neon portable" neon-dotprod \
    qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu cortex-a76
run aarch64 "qemu-aarch64 max" "neon-bf16 neon-i8mm neon-dotprod neon portable" "neon-bf16 neon-i8mm" \
    qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu max

# the other tests take qemu 10 minutes and more
armv7 test_kernels

WASI="$NODE tests/emulated/wasi.mjs"
build wasm clang $WASM --
run wasm "node, plain wasm" portable portable $WASI
build simd128 clang $WASM -msimd128 --
run simd128 "node" "simd128 portable" simd128 $WASI

node --v8-options | grep -q -e --experimental-wasm-relaxed-simd &&
    NODE="$NODE --experimental-wasm-relaxed-simd"
build relaxed clang-16 $WASM -msimd128 -mrelaxed-simd --
if $NODE tests/emulated/wasi.mjs "$BUILD/relaxed/list_isas" >/dev/null 2>&1; then
    run relaxed "node, relaxed" "simd128 portable" simd128 $NODE tests/emulated/wasi.mjs
else
    echo "SKIPPED relaxed simd128: node $(node --version) does not run it"
fi

# of layers and models, which have no kernel of their own, and of the rest make check-riscv takes minutes
riscv "test_kernels test_token0"

finish "all instruction sets passed"
