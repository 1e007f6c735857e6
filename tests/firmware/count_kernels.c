/* Instructions for each multiply-add of the linear layers of fashion-mnist.vit, with everything
   that belongs to them: scale, zero, bias, store. By every variant that the build has. */
#include <stdio.h>
#define VIT_STATIC
#define VIT_NO_MALLOC
#define VIT_IMPLEMENTATION
#include "vit.h"

#include "count.h"

enum { TOKENS = 50, INPUTS = 256, OUTPUTS = 256 };

static int8_t weights[64 * OUTPUTS];
static uint8_t input[TOKENS * INPUTS];
static float floats[16 * INPUTS], output[TOKENS * OUTPUTS], scales[OUTPUTS], bias[OUTPUTS];
static int32_t sums[OUTPUTS], zeros[TOKENS];

static uint32_t count_integers(const vit__kernels *kernels, int inputs, int outputs) {
    const vit__operand_kernels *int8 = &kernels->operands[VIT__OPERAND_INT8];
    uint32_t count = 0;
    vit__tile tile;
    memset(&tile, 0, sizeof(tile));
    tile.steps = (size_t)inputs / 4, tile.input_stride = (size_t)inputs, tile.narrow = 1;
    tile.row_stride = (size_t)outputs, tile.panel_stride = VIT__PANEL;
    tile.next = (uintptr_t)weights;
    for (int n = 0; n < outputs; n += VIT__PANEL * tile.panels) {
        tile.panels = vit__min(int8->tile_panels, (outputs - n) / VIT__PANEL);
        tile.weights = weights + n * inputs;
        tile.scales = scales + n, tile.bias = bias + n, tile.weight_sums = sums + n;
        for (int row = 0; row < TOKENS; row += tile.rows) {
            tile.rows = vit__min(int8->tile_rows, TOKENS - row);
            tile.input = input + row * inputs, tile.output = output + row * outputs + n;
            tile.row_scales = bias, tile.row_zeros = zeros + row;
            uint32_t start = instructions();
            int8->multiply(&tile);
            count += instructions_since(start);
        }
    }
    return count;
}

static uint32_t count_floats(const vit__kernels *kernels, int inputs) {
    const vit__operand_kernels *f32 = &kernels->operands[VIT__OPERAND_F32];
    uint32_t count = 0;
    vit__tile tile;
    memset(&tile, 0, sizeof(tile));
    tile.panels = 1, tile.steps = (size_t)inputs, tile.input_stride = tile.steps * sizeof(float);
    tile.input = output, tile.weights = floats, tile.bias = bias;
    tile.row_stride = VIT__PANEL, tile.output = output + OUTPUTS * TOKENS / 2;
    for (int row = 0; row < TOKENS; row += tile.rows) {
        tile.rows = vit__min(f32->tile_rows, TOKENS - row);
        uint32_t start = instructions();
        f32->multiply(&tile);
        count += instructions_since(start);
    }
    return count;
}

static void print(const char *isa, const char *numbers, const char *layers, uint32_t count,
                  uint32_t multiply_adds) {
    uint32_t thousandths = (uint32_t)((uint64_t)count * 1000 / multiply_adds);
    printf("isa=%s numbers=%s layers=%s rows=%d instructions_per_multiply_add=%lu.%03lu\n", isa,
           numbers, layers, TOKENS, (unsigned long)(thousandths / 1000),
           (unsigned long)(thousandths % 1000));
}

/* The layers of a block: q, k, v and proj, fc1, fc2. */
static void print_integers(const char *isa, const vit__kernels *kernels) {
    static const struct {
        const char *name;
        int inputs, outputs, count;
    } layers[] = {{"64x64", 64, 64, 4}, {"64x256", 64, 256, 1}, {"256x64", 256, 64, 1}};
    uint32_t all = 0, all_multiply_adds = 0;
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        int inputs = layers[i].inputs, outputs = layers[i].outputs;
        uint32_t count = count_integers(kernels, inputs, outputs);
        uint32_t multiply_adds = (uint32_t)(TOKENS * inputs * outputs);
        print(isa, "int8", layers[i].name, count, multiply_adds);
        all += (uint32_t)layers[i].count * count;
        all_multiply_adds += (uint32_t)layers[i].count * multiply_adds;
    }
    print(isa, "int8", "all", all, all_multiply_adds);
}

int main(void) {
    instructions_since(0);
    for (size_t v = 0; v < sizeof(vit__variants) / sizeof(vit__variants[0]); v++) {
        const vit__kernels *kernels = vit__variants[v].kernels;
        const char *isa = vit_isa_name(vit__variants[v].isa);
        print_integers(isa, kernels);
        print(isa, "float", "64x16", count_floats(kernels, 64), TOKENS * 64 * VIT__PANEL);
    }
    return 0;
}
