#!/bin/bash
# Instructions for each multiply-add of a product with 60 rows and 192 outputs, by every instruction set that
# qemu's user emulation has, as a table for README. Exit status 1 where one exceeds its bound. Run it by make
# bench-instructions, which installs what it needs and passes FLAGS.
BUILD=${BUILD:-build}/instructions
COLUMNS=("f32, 192" "bf16, 192" "int8, 192" "int8x, 192" "int8, 768") # numbers and inputs
failures=0

# executed ISA NUMBERS INPUTS TIMES: how many instructions count_product takes, with what target has set
executed() {
    $emulator -plugin "$BUILD/plugin.so" "$BUILD/count_product" "$@"
}

# measure ISA NUMBERS INPUTS: the difference that one more product makes; - where it does not multiply such numbers
measure() {
    local once twice status
    once=$(executed "$@" 1)
    status=$?
    [ $status = 2 ] && { echo -; return; }
    [ $status = 0 ] && twice=$(executed "$@" 2) || exit 1
    awk "BEGIN { printf \"%.3f\n\", ($twice - $once) / (60 * 192 * $3) }"
}

# target NAME COMPILER EMULATOR ISA...: a line of the table for each
target() {
    local name=$1 compiler=$2 isa column line
    emulator=$3
    shift 3
    $compiler $FLAGS -O2 -I. -o "$BUILD/count_product" tools/bench/count_product.c -lm -pthread || exit 1
    for isa in "$@"; do
        line="| $name, $isa |"
        for column in "${COLUMNS[@]}"; do
            line="$line $(measure "$isa" ${column/,/}) |" || exit 1
        done
        echo "$line" | tee -a "$BUILD/table"
    done
}

# at_most "NAME, ISA" COLUMN BOUND
at_most() {
    awk -F ' *[|] *' -v row="$1" -v column="$2" -v bound="$3" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == column) at = i }
        $2 == row { n = $at }
        END { print (n > 0 && n <= bound ? "ok      " : "FAILED  ") row ", " column ": at most " bound
              exit !(n > 0 && n <= bound) }' "$BUILD/table" || failures=$((failures + 1))
}

mkdir -p "$BUILD"
${CC:-cc} $FLAGS -O2 -fPIC -shared -o "$BUILD/plugin.so" tools/bench/count_plugin.c || exit 1
{ printf '| |' && printf ' %s |' "${COLUMNS[@]}" && printf '\n|---|---|---|---|---|---|\n'; } | tee "$BUILD/table"

ARM="qemu-arm -L /usr/arm-linux-gnueabihf -cpu"
target x86-64 x86_64-linux-gnu-gcc "qemu-x86_64 -cpu max" portable sse4.1 avx2
target aarch64 aarch64-linux-gnu-gcc "qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu max" \
    portable neon neon-dotprod neon-i8mm neon-bf16
target armv7-a arm-linux-gnueabihf-gcc "$ARM cortex-a9" portable
target "armv7-a with NEON" "arm-linux-gnueabihf-gcc -mfpu=neon" "$ARM cortex-a8" neon
target "armv7-a with vfpv4" "arm-linux-gnueabihf-gcc -mfpu=neon-vfpv4" "$ARM cortex-a7" neon

# Debian 12's GNU ld crashes on what clang 19 compiled
CLANG="clang-19 --target=riscv64-linux-gnu -fuse-ld=lld-19 -Wno-unused-command-line-argument"
V="qemu-riscv64 -L /usr/riscv64-linux-gnu -cpu rv64,v=true,vext_spec=v1.0"
target riscv64 "$CLANG" "$V" portable rvv
target "riscv64 with 256 bits" "$CLANG" "$V,vlen=256" rvv

at_most "aarch64, neon-dotprod" "int8, 192" 0.10
at_most "aarch64, neon-i8mm" "int8, 192" 0.07
at_most "aarch64, neon-i8mm" "int8, 768" 0.07
at_most "aarch64, neon-bf16" "bf16, 192" 0.14
exit $((failures > 0))
