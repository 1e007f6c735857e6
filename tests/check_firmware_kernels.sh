#!/bin/sh
# The tests of the kernels on emulated small cores, each with the instructions that it has, and how many
# the products of the model that ships take there. Prints a line for each run; exit status 1 where a test
# fails or a bound is exceeded. Run it by make check-firmware, which installs the emulators and
# passes FLAGS.
BUILD=${BUILD:-build}/firmware
FLAGS="$FLAGS -g -ffunction-sections -fdata-sections -I. -Itests -Itests/emulated"
ARM="arm-none-eabi-gcc -mthumb -masm-syntax-unified"
CLANG="clang --target=arm-none-eabi -mthumb -isystem /usr/include/newlib"
RISCV="riscv64-unknown-elf-gcc --specs=picolibc.specs"
SEMIHOSTING="-nographic -semihosting-config enable=on,target=native"
failures=0

# step NAME COMMAND...: whether the command succeeds
step() {
    name=$1
    shift
    if "$@" >"$BUILD/log" 2>&1 </dev/null; then
        echo "ok      $name"
    else
        echo "FAILED  $name: $*"
        sed 's/^/        /' "$BUILD/log"
        failures=$((failures + 1))
    fi
}

# arm TARGET COMPILER CORE-FLAGS BOARD RAM: RAM is where the board has 16 MiB
arm() {
    target=$1 compiler=$2 core=$3
    emulator="timeout 600 qemu-system-arm -M $4 $SEMIHOSTING"
    link="$ARM $core -nostartfiles --specs=rdimon.specs -T tests/firmware/cortex_m.ld \
        -Wl,--defsym=RAM=$5 -Wl,--gc-sections -Wl,--no-warn-execstack -Wl,--no-enum-size-warning"
    step "$target, start-up code compiles" $ARM $core $FLAGS -O1 -c -o "$BUILD/$target-start.o" \
        tests/firmware/cortex_m.c
    run "$BUILD/$target-start.o" "-icount shift=6"
}

# riscv TARGET CORE-FLAGS
riscv() {
    target=$1 compiler=$RISCV core=$2
    emulator="timeout 600 qemu-system-riscv32 -M virt -bios none $SEMIHOSTING"
    link="$RISCV $core --oslib=semihost --crt0=hosted -Wl,--gc-sections \
        -Wl,--defsym=__flash=0x80000000,--defsym=__flash_size=4M \
        -Wl,--defsym=__ram=0x81000000,--defsym=__ram_size=16M"
    run "" "-icount shift=0"
}

# run START COUNTING: both programs; COUNTING makes the emulator count instructions
run() {
    for program in test_kernels firmware/count_kernels; do
        file=$BUILD/$target-$(basename $program)
        step "$target, $program compiles" $compiler $core $FLAGS $OPTIMIZE -c -o "$file.o" tests/$program.c
        step "$target, $program links" $link -o "$file" $1 "$file.o" -lm
    done
    step "$target, test_kernels" $emulator -kernel "$BUILD/$target-test_kernels"
    step "$target, count_kernels" $emulator $2 -kernel "$BUILD/$target-count_kernels"
    cp "$BUILD/log" "$BUILD/$target-counts"
    sed "s/^/        core=$target flags=$OPTIMIZE /" "$BUILD/log"
}

# at_most ISA BOUND: what the run before says of the integers of all layers together
at_most() {
    step "$target, $1 takes at most $2 instructions for a multiply-add" awk -v isa="$1" -v bound="$2" '
        $1 == "isa=" isa && $2 == "numbers=int8" && $3 == "layers=all" { split($NF, ratio, "="); n = ratio[2] }
        END { print n; exit !(n > 0 && n <= bound) }' "$BUILD/$target-counts"
}

mkdir -p "$BUILD"
FPU4="-mfloat-abi=hard -mfpu=fpv4-sp-d16"
for OPTIMIZE in -O2 -Os; do
    arm cortex-m4 "$ARM" "-mcpu=cortex-m4 $FPU4" mps2-an386 0x21000000
    at_most dsp 1.4
    arm cortex-m55 "$ARM" "-mcpu=cortex-m55 -mfloat-abi=hard" mps3-an547 0x60000000
    [ $OPTIMIZE = -Os ] || at_most mve 0.25
    arm cortex-m55-clang "$CLANG" "-mcpu=cortex-m55 -mfloat-abi=hard" mps3-an547 0x60000000
done
OPTIMIZE=-O2
arm cortex-m7 "$ARM" "-mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-d16" mps2-an500 0x60000000
arm cortex-m0plus "$ARM" -mcpu=cortex-m0plus mps2-an386 0x21000000
riscv rv32imac "-march=rv32imac -mabi=ilp32"
riscv rv32imafc "-march=rv32imafc -mabi=ilp32f"

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
echo "all small cores passed"
