#!/bin/bash
# vit.h with the flags that other people's build systems give to the compiler: it compiles without a warning, and
# links where they link with a C library. BUILD, where vit-convert is.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
parts="-DVIT_FREESTANDING -DVIT_ONLY_INT8"
m4="arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16"
sections="-ffunction-sections -fdata-sections"

"$BUILD/vit-convert" --dtype int8 --c-array "$work/weights.c" examples/models/fashion-mnist.vit "$work/model.vit" \
    2>"$work/log" || { cat "$work/log"; exit 1; }

# The library, a user and the model.
compile() { # NAME COMPILER AND FLAGS
    local name=$1
    shift
    for source in examples/firmware/vit.c tests/firmware_user.c "$work/weights.c"; do
        "$@" -Wall -Wextra -Werror -I. -I"$work" -c -o "$work/$(basename "$source" .c).o" "$source" || {
            echo "FAILED: $name: $source" >&2
            status=1
            return
        }
    done
    echo "$name: compiles"
}

link() { # NAME COMPILER AND FLAGS
    local name=$1
    shift
    "$@" -Wl,--gc-sections -o "$work/image.elf" "$work/main.c" "$work"/{vit,firmware_user,weights}.o || {
        echo "FAILED: $name does not link" >&2
        status=1
        return
    }
    echo "$name: links"
}

cat >"$work/main.c" <<'END'
#include "weights.h"
int classify(const void *, unsigned, const void *, float *, void *, unsigned);
static unsigned char workspace[WEIGHTS_WORKSPACE_SIZE], pixels[28 * 28];
static float logits[WEIGHTS_NUM_CLASSES];
int main(void) {
    return classify(weights, WEIGHTS_SIZE, pixels, logits, workspace, sizeof(workspace));
}
END

cube="-std=gnu11 -g3 -DDEBUG -DUSE_HAL_DRIVER -DSTM32F405xx $sections -fstack-usage --specs=nano.specs"
for level in -O0 -O2; do compile "STM32CubeIDE $level" $m4 $cube $level $parts; done
link STM32CubeIDE $m4 -I"$work" --specs=nosys.specs --specs=nano.specs -static

# a sketch has no flags of its own, but a header that comes first
printf '#define %s\n' VIT_FREESTANDING VIT_ONLY_INT8 >"$work/vit_settings.h"
compile "Arduino, vit.c as C" $m4 -std=gnu11 -Os -nostdlib $sections -include "$work/vit_settings.h"
sketch="arm-none-eabi-g++ ${m4#* } -std=gnu++17 -Os $sections -fno-exceptions -fno-rtti -fno-threadsafe-statics -Wno-missing-field-initializers"
$sketch -include "$work/vit_settings.h" -Wall -Wextra -Werror -I. -x c++ -c -o "$work/sketch.o" tests/firmware_user.c &&
    echo "Arduino, the sketch as C++: compiles" || status=1

compile Zephyr $m4 -std=c99 -Os -ffreestanding -fno-strict-aliasing -fno-common -fno-pic -mabi=aapcs \
    -mfp16-format=ieee $sections $parts

compile "ESP-IDF, ESP32-C3" riscv64-unknown-elf-gcc -march=rv32imc -mabi=ilp32 -std=gnu17 -Os -ffreestanding \
    -fno-jump-tables -fno-tree-switch-conversion -fstrict-volatile-bitfields $sections $parts

exit $status
