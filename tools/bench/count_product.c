/* count_product ISA NUMBERS INPUTS TIMES: computes a product so many times, for count_instructions.sh, which
   counts the instructions. Exit status 2 where the kernels of ISA do not multiply such numbers. */
#define VIT_STATIC
#define VIT_IMPLEMENTATION
#include "vit.h"

#include <stdio.h>

enum { ROWS = 60, MOST_INPUTS = 768, OUTPUTS = 192, PANELS = OUTPUTS / VIT__PANEL };

/* Large enough for any kind of numbers; what they are does not matter. */
static float input[ROWS * MOST_INPUTS], weights[MOST_INPUTS * OUTPUTS], output[ROWS * OUTPUTS];
static float scales[OUTPUTS], bias[OUTPUTS];
static int32_t row_zeros[ROWS], weight_sums[OUTPUTS];

/* As a linear layer has them: scale, zero, bias and store belong to the product. */
static vit__tile whole_product(vit__operand operand, int narrow, size_t inputs) {
    const size_t row_size = inputs * vit__input_sizes[operand];
    vit__tile all;
    memset(&all, 0, sizeof(all));
    all.steps = row_size / VIT__STEP_INPUT;
    all.input = input, all.input_stride = row_size;
    all.weights = weights, all.bias = bias, all.narrow = narrow;
    all.scales = scales, all.weight_sums = weight_sums;
    all.output = output, all.row_stride = OUTPUTS, all.panel_stride = VIT__PANEL;
    all.next = (uintptr_t)weights, all.next_step = 1;
    return all;
}

static void compute(const vit__operand_kernels *kernels, const vit__tile *all) {
    for (int panel = 0; panel < PANELS; panel += kernels->tile_panels) {
        const int first = panel * VIT__PANEL;
        vit__tile tile = *all;
        tile.panels = vit__min(kernels->tile_panels, PANELS - panel);
        tile.weights = (const char *)all->weights + (size_t)panel * all->steps * VIT__STEP_WEIGHTS;
        tile.bias += first, tile.scales += first, tile.weight_sums += first;
        tile.row_scales = scales, tile.row_zeros = row_zeros;
        tile.output += first;
        vit__multiply_rows(kernels, &tile, ROWS);
    }
}

/* VIT__OPERAND_COUNT where this build does not multiply them */
static vit__operand find_operand(const char *numbers) {
    if (strcmp(numbers, "f32") == 0) return VIT__OPERAND_F32;
    if (strcmp(numbers, "int8") == 0) return VIT__OPERAND_INT8;
    if (strcmp(numbers, "int8x") == 0) return VIT__OPERAND_INT8X;
#ifdef VIT__MULTIPLIES_BF16
    if (strcmp(numbers, "bf16") == 0) return VIT__OPERAND_BF16;
#endif
    return VIT__OPERAND_COUNT;
}

int main(int argc, char **argv) {
    const int inputs = argc == 5 ? atoi(argv[3]) : 0;
    if (inputs <= 0 || inputs % 16 != 0 || inputs > MOST_INPUTS) {
        fputs("usage: count_product ISA f32|bf16|int8|int8x INPUTS TIMES\n"
              "INPUTS is a multiple of 16, 768 at most.\n",
              stderr);
        return 1;
    }
    const vit__kernels *kernels = vit__kernels_of(vit_isa_find(argv[1]));
    const vit__operand operand = find_operand(argv[2]);
    if (kernels == NULL) {
        fprintf(stderr, "count_product: there is no %s here\n", argv[1]);
        return 1;
    }
    if (operand == VIT__OPERAND_COUNT || kernels->operands[operand].multiply == NULL) return 2;
    const vit__tile all = whole_product(operand, strcmp(argv[2], "int8") == 0, (size_t)inputs);
    for (int times = atoi(argv[4]); times > 0; times--) compute(&kernels->operands[operand], &all);
    return 0;
}
