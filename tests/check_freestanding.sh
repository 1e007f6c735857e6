#!/bin/sh
# vit.h as firmware compiles it: no header but stddef.h and stdint.h, no function of a library but
# memcpy, memmove, memset and memcmp, nothing writable, no recursion, and bounds for stack and code. And
# the files of examples/firmware that are made to be copied are right under any flags.
# Prints a line for each check, and the sizes; exit status 1 where one fails. From the top folder:
#
#   tests/check_freestanding.sh                            all processors below
#   tests/check_freestanding.sh NAME COMPILER-AND-FLAGS... one of your own
BUILD=${BUILD:-build}/freestanding
WARNINGS="-Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-align
    -Wcast-qual -Wdouble-promotion -Werror"
FLAGS="-Os -ffreestanding -ffunction-sections -fdata-sections $WARNINGS -DVIT_FREESTANDING -I."
LEAST="-DVIT_ONLY_PLAIN -DVIT_ONLY_INT8 -DVIT_NO_LABELS -DVIT_NO_TANH -DVIT_NO_PARALLEL -DVIT_NO_MERGE
    -DVIT_NO_LOW_MEMORY"
STACK_LIMIT=2816 # as vit.h's comment states it
CODE_LIMIT=12288 # of a Cortex-M4 and a model of int8

# What a compiler calls on a processor without floats, or with small multiplications or none that
# divide: floats and integers of 32 bits, products of 64. None of double, no division of 64 bits.
HELPERS='__aeabi_(fadd|fsub|frsub|fmul|fdiv|fcmp(eq|lt|le|ge|gt|un)|i2f|ui2f|f2iz|f2uiz)
__aeabi_(lmul|idiv|uidiv|idivmod|uidivmod|memcpy4?|memset|memclr4?|memmove4?)
__gnu_thumb1_case_(s|u)(qi|hi|si)
__(add|sub|mul|div)sf3|__(eq|ne|lt|le|gt|ge|unord)sf2|__float(un)?sisf|__fix(uns)?sfsi
__muldi3|__u?(div|mod)si3'
ALLOWED="mem(cpy|move|set|cmp)|$(echo "$HELPERS" | paste -sd '|')"
failures=0

# verdict NAME OUTPUT: fails where there is output, which says why
verdict() {
    if [ -z "$2" ]; then
        echo "ok      $1"
    else
        echo "FAILED  $1"
        printf '%s\n' "$2" | sed 's/^/        /'
        failures=$((failures + 1))
    fi
}

# The binutils beside a compiler: those of its target, which a clang calls like the host's.
tool() {
    case $compiler in
    *-gcc) echo "${compiler%gcc}$1" ;;
    *) echo "$1" ;;
    esac
}

# compile LANGUAGE-FLAGS...: the implementation
compile() {
    printf '#define VIT_IMPLEMENTATION\n#include "vit.h"\n' >"$BUILD/vit.c"
    $target $FLAGS "$@" -c -o "$BUILD/vit.o" "$BUILD/vit.c" 2>&1
}

# Bytes of code and constants in what a program gets.
code_size() {
    compile -std=c99 "$@" && $target $FLAGS -std=c99 -c -o "$BUILD/user.o" tests/firmware_user.c &&
        $target -r -nostdlib -Wl,--gc-sections -Wl,-e,classify -o "$BUILD/linked.o" \
            "$BUILD/user.o" "$BUILD/vit.o" && $(tool size) "$BUILD/linked.o" | awk 'NR == 2 {print $1}'
}

# check NAME COMPILER-AND-FLAGS...
check() {
    name=$1
    compiler=$2
    shift
    target="$*"
    if ! command -v "$compiler" >"$BUILD/log"; then
        verdict "$name" "$compiler is not installed"
        return
    fi
    for parts in "" "-DVIT_NO_SIMD" "$LEAST"; do
        verdict "$name, C99 $parts" "$(compile -std=c99 $parts)"
        verdict "$name, undefined symbols" "$($(tool nm) -u "$BUILD/vit.o" | sed 's/.* //' |
            grep -vxE "$ALLOWED")"
        verdict "$name, writable data" "$($(tool nm) "$BUILD/vit.o" | grep ' [BbDdCSs] ')"
    done
    verdict "$name, headers" "$($target $FLAGS -DVIT_NO_SIMD -std=c99 -M "$BUILD/vit.c" |
        tr ' ' '\n' | grep '\.h$' | grep -vE '(^|/)(vit|stddef|stdint(-gcc)?|__std[a-z_]*)\.h$')"
    verdict "$name, C++11" "$(compile -x c++ -std=c++11 -fno-exceptions -DVIT_NO_SIMD)"
    case $compiler in
    *-gcc) check_stack ;;
    esac
}

# The deepest chain of calls, which gcc tells for the processors of firmware.
check_stack() {
    verdict "$name, stack" "$(compile -std=c99 -DVIT_NO_PARALLEL -fcallgraph-info=su &&
        python3 tests/stack_use.py "$BUILD/vit.ci" $STACK_LIMIT 2>&1 >"$BUILD/stack")"
    grep -E 'vit_(model_open|forward) ' "$BUILD/stack" | sed 's/^/        stack: /'
}

# check_copied NAME COMPILER-AND-FLAGS...: what a program runs before its memory is set up, and the
# functions that do it, at every level: no call of those functions, which from themselves would never
# end, and no vectors, which may not be on yet. Without -ffreestanding, which keeps gcc from such calls.
check_copied() {
    name=$1
    shift
    files="memory.c usage.c"
    FORBIDDEN='mem(cpy|move|set|cmp)|[^a-z_.](q[0-7]|[xyz]mm[0-9])'
    case $* in
    *arm*) files="$files start_cortex_m.c" ;;
    *riscv*) files="$files start_riscv.c" ;;
    esac
    for file in $files; do
        verdict "$name, $file at every level" "$(for level in 0 1 2 3 s; do
            "$@" -std=gnu99 -O$level $WARNINGS -S -o "$BUILD/copied.s" "examples/firmware/$file" 2>&1 &&
                grep -E "^[[:space:]]+[a-z].*($FORBIDDEN)" "$BUILD/copied.s" | sed "s/^/-O$level /"
        done)"
    done
}

# What each macro saves, and the limit.
check_size() {
    name=$1
    compiler=$2
    shift
    target="$*"
    command -v "$compiler" >"$BUILD/log" || return
    for parts in "" -DVIT_ONLY_PLAIN -DVIT_ONLY_INT8 -DVIT_NO_LABELS -DVIT_NO_TANH -DVIT_NO_PARALLEL -DVIT_NO_MERGE \
        -DVIT_NO_LOW_MEMORY "$LEAST"; do
        size=$(code_size $parts)
        echo "        $name, code: $size bytes with ${parts:-everything}"
    done
    verdict "$name, code within $CODE_LIMIT bytes" \
        "$([ "$size" -le $CODE_LIMIT ] 2>&1 || echo "$size bytes")"
}

mkdir -p "$BUILD"

if [ $# -gt 0 ]; then
    check "$@"
else
    M4="arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16"
    check "cortex-m4" $M4
    check_size "cortex-m4" $M4
    check "cortex-m0plus" arm-none-eabi-gcc -mcpu=cortex-m0plus -mthumb
    check "rv32imac" riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32
    check "rv32imafc" riscv64-unknown-elf-gcc -march=rv32imafc -mabi=ilp32f
    check "gcc here" gcc -fno-pie
    check "clang here" clang -fno-pie
    check "clang, cortex-m4" clang --target=thumbv7em-none-eabihf -mcpu=cortex-m4 -mfpu=fpv4-sp-d16
    check_copied "cortex-m0plus" arm-none-eabi-gcc -mcpu=cortex-m0plus -mthumb -masm-syntax-unified
    check_copied "cortex-m55" arm-none-eabi-gcc -mcpu=cortex-m55 -mthumb -mfloat-abi=hard
    check_copied "clang, cortex-m55" clang --target=thumbv8.1m.main-none-eabihf -mcpu=cortex-m55
    check_copied "rv32imac" riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 --specs=picolibc.specs
    check_copied "gcc here" gcc
    check_copied "clang here" clang
fi

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
echo "all freestanding checks passed"
