/* The kernels, each alone: against golden values of PyTorch, against naive loops, and at the ends
   of their ranges. */
#include "test_util.h"

#include <fenv.h>
#include <float.h>

/* ---- activations ---- */

typedef float (*activation)(float x);

static float call_gelu(float x) {
    return vit__gelu(x);
}

static float call_gelu_tanh(float x) {
    return vit__gelu_tanh(x);
}

/* Within 3e-7 of PyTorch's, relative to the larger of |x| and 1/10: for negative x, where 1 + erf
   cancels, the error is one of 1 times x. */
static void check_activation(activation f, int row) {
    float *golden = golden_floats("gelu.f32", 3 * 401);
    for (int i = 0; i < 401; i++) {
        float x = golden[i];
        float want = golden[row * 401 + i], got = f(x);
        assert_near(&got, &want, 1, 3e-7f * fmaxf(fabsf(x), 0.1f));
    }
    free(golden);
}

static void test_gelu_equals_pytorch(void **state) {
    (void)state;
    check_activation(call_gelu, 1);
}

static void test_gelu_tanh_equals_pytorch(void **state) {
    (void)state;
    check_activation(call_gelu_tanh, 2);
}

static void test_both_forms_of_gelu_end_in_0_and_in_x(void **state) {
    static const float large[] = {20, 1e3f, 1e10f, 1e12f, 1e30f, FLT_MAX};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(large); i++) {
        assert_true(vit__gelu(large[i]) == large[i]);
        assert_true(vit__gelu_tanh(large[i]) == large[i]);
        assert_true(vit__gelu(-large[i]) == 0);
        assert_true(vit__gelu_tanh(-large[i]) == 0);
    }
    assert_true(vit__gelu(0) == 0 && vit__gelu_tanh(0) == 0);
}

/* ---- LayerNorm ---- */

/* Row r of the golden ones, normalised into out [48]. */
static void norm_golden_row(const float *golden, int r, float *out) {
    float x[48] = {0}, norm[2][48] = {{0}};
    memcpy(x, golden + r * 40, 40 * sizeof(float));
    memcpy(norm[0], golden + 200, 40 * sizeof(float));
    memcpy(norm[1], golden + 240, 40 * sizeof(float));
    vit__norm_row(x, norm[0], 40, 48, 1e-6f, out);
}

static void test_layer_norm_equals_pytorch(void **state) {
    static const float tolerances[5] = {2e-6f, 2e-6f, 2e-6f, 0, 4e-4f}; /* the last: mean 1000 */
    float *golden = golden_floats("layer_norm.f32", 5 * 40 + 40 + 40 + 5 * 40);
    (void)state;
    for (int r = 0; r < 5; r++) {
        float out[48];
        norm_golden_row(golden, r, out);
        assert_near(out, golden + 280 + r * 40, 40, tolerances[r]);
    }
    free(golden);
}

static void test_layer_norm_writes_zeros_into_the_padding(void **state) {
    float *golden = golden_floats("layer_norm.f32", 480), out[48];
    (void)state;
    memset(out, 0xFF, sizeof(out));
    norm_golden_row(golden, 0, out);
    for (int i = 40; i < 48; i++) assert_true(out[i] == 0);
    free(golden);
}

static void test_layer_norm_works_in_place_and_at_every_width(void **state) {
    uint32_t random = 3;
    (void)state;
    for (int dim = 1; dim <= 70; dim++) {
        size_t stride = vit__round16(dim);
        float x[80] = {0}, norm[160] = {0}, out[80];
        random_floats(&random, x, (size_t)dim);
        random_floats(&random, norm, (size_t)dim);
        random_floats(&random, norm + stride, (size_t)dim);
        double mean = 0, variance = 0;
        for (int i = 0; i < dim; i++) mean += (double)x[i] / dim;
        for (int i = 0; i < dim; i++)
            variance += ((double)x[i] - mean) * ((double)x[i] - mean) / dim;
        vit__norm_row(x, norm, dim, stride, 1e-3f, out);
        for (int i = 0; i < dim; i++) {
            double want = ((double)x[i] - mean) / sqrt(variance + 1e-3) * (double)norm[i];
            assert_true(fabs((double)out[i] - want - (double)norm[stride + (size_t)i]) < 2e-6);
        }
        vit__norm_row(x, norm, dim, stride, 1e-3f, x);
        assert_same_bits(x, out, stride);
    }
}

static void test_layer_norm_of_equal_numbers_is_the_bias(void **state) {
    float x[16] = {7.5f, 7.5f, 7.5f, 7.5f}, norm[2][16] = {{1, 2, 3, 4}, {5, 6, 7, 8}}, out[16];
    (void)state;
    vit__norm_row(x, norm[0], 4, 16, 1e-6f, out);
    assert_same_bits(out, norm[1], 4);
}

/* ---- softmax ---- */

/* Within 1e-6 relative, and for each 1 below the largest score half an epsilon more, which the
   rounding of the difference becomes; plus the smallest normal float for those that vanish. */
static void test_softmax_equals_pytorch(void **state) {
    float *golden = golden_floats("softmax.f32", 2 * 5 * 37), out[37];
    (void)state;
    for (int r = 0; r < 5; r++) {
        const float *in = golden + r * 37, *want = golden + (5 + r) * 37;
        float largest = in[0];
        for (int i = 0; i < 37; i++) largest = fmaxf(largest, in[i]);
        vit_softmax(in, 37, out);
        for (int i = 0; i < 37; i++) {
            float relative = 1e-6f + (largest - in[i]) * FLT_EPSILON / 2;
            assert_near(&out[i], &want[i], 1, relative * want[i] + FLT_MIN);
        }
    }
    free(golden);
}

static void test_softmax_of_scaled_scores_is_that_of_their_product(void **state) {
    float *golden = golden_floats("softmax.f32", 2 * 5 * 37), out[37];
    (void)state;
    for (int i = 0; i < 37; i++) out[i] = golden[i] * 8;
    vit__softmax_rows(out, 0, 1, 37, 0.125f);
    for (int i = 0; i < 37; i++) assert_near(&out[i], &golden[5 * 37 + i], 1, 1e-6f);
    free(golden);
}

static void test_softmax_works_in_place_and_adds_up_to_1(void **state) {
    uint32_t random = 4;
    (void)state;
    for (int count = 1; count <= 100; count++) {
        float x[100], out[100];
        double sum = 0;
        random_floats(&random, x, (size_t)count);
        for (int i = 0; i < count; i++) x[i] *= 30;
        vit_softmax(x, count, out);
        for (int i = 0; i < count; i++) sum += (double)out[i];
        assert_true(fabs(sum - 1) < 1e-6);
        vit_softmax(x, count, x);
        assert_same_bits(x, out, (size_t)count);
    }
}

static void test_softmax_stands_the_largest_numbers(void **state) {
    float x[3] = {FLT_MAX, -FLT_MAX, FLT_MAX}, want[3] = {0.5f, 0, 0.5f}, out[3];
    float one[1] = {-FLT_MAX}, certain[1] = {1};
    (void)state;
    vit_softmax(x, 3, out);
    assert_same_bits(out, want, 3);
    vit_softmax(one, 1, out);
    assert_same_bits(out, certain, 1);
    vit_softmax(one, 0, one);
    assert_true(one[0] == -FLT_MAX);
}

/* Classes that a caller masks have no probability, as with PyTorch; NaN and infinity leave none. */
static void test_softmax_of_what_is_not_finite(void **state) {
    float x[4] = {1, -INFINITY, 1, -INFINITY}, want[4] = {0.5f, 0, 0.5f, 0}, out[4];
    const float values[2] = {NAN, INFINITY};
    (void)state;
    vit_softmax(x, 4, out);
    assert_same_bits(out, want, 4);
    for (int i = 0; i < 2 * 4; i++) {
        float spoilt[4] = {1, 2, 3, 4};
        spoilt[i / 2] = values[i % 2];
        vit_softmax(spoilt, 4, spoilt);
        for (int k = 0; k < 4; k++) assert_true(isnan(spoilt[k]));
    }
}

/* ---- scores ---- */

static void scores_of(vit_output output, const float *logits, int count, float *scores) {
    vit_model model;
    memset(&model, 0, sizeof(model));
    model.config.output = output;
    model.config.num_classes = count;
    vit_scores(&model, logits, scores);
}

/* Out of place and in place; far below 0 a sigmoid ends at the smallest normal float. */
static void test_scores_are_what_the_output_says(void **state) {
    float x[64], out[64], want[64];
    (void)state;
    for (int i = 0; i < 64; i++) x[i] = ((float)i - 31.5f) * (i % 2 ? 3 : 0.2f);
    scores_of(VIT_OUTPUT_NUMBER, x, 64, out);
    assert_same_bits(out, x, 64);
    scores_of(VIT_OUTPUT_SOFTMAX, x, 64, out);
    vit_softmax(x, 64, want);
    assert_same_bits(out, want, 64);
    scores_of(VIT_OUTPUT_SIGMOID, x, 64, out);
    for (int i = 0; i < 64; i++) {
        float exact = (float)(1 / (1 + exp(-(double)x[i])));
        assert_near(&out[i], &exact, 1, 1e-6f * exact + FLT_MIN);
    }
    scores_of(VIT_OUTPUT_SIGMOID, x, 64, x);
    assert_same_bits(x, out, 64);
}

static void test_scores_of_what_is_not_a_number_are_not(void **state) {
    float x[3] = {NAN, FLT_MAX, -FLT_MAX}, out[3];
    (void)state;
    for (int output = 0; output < VIT_OUTPUT_COUNT; output++) {
        scores_of((vit_output)output, x, 3, out);
        assert_true(isnan(out[0]));
        assert_true(output == VIT_OUTPUT_SOFTMAX || (!isnan(out[1]) && !isnan(out[2])));
    }
    assert_int_equal(vit_output_find("sigmoid"), VIT_OUTPUT_SIGMOID);
    assert_int_equal(vit_output_find("sigmoids"), VIT_OUTPUT_COUNT);
    assert_string_equal(vit_output_name(VIT_OUTPUT_COUNT), "unknown");
}

/* ---- top-k ---- */

static void test_top_k_gives_the_golden_order_for_every_k(void **state) {
    float *scores = golden_floats("top_k.f32", 64);
    size_t size = 0;
    int32_t *order = (int32_t *)(void *)read_file(GOLDEN "top_k.i32", &size);
    (void)state;
    assert_int_equal(size, 64 * sizeof(int32_t));
    for (int k = 0; k <= 64; k++) {
        int indices[65];
        for (int i = 0; i < 65; i++) indices[i] = -7;
        assert_int_equal(vit_top_k(scores, 64, k, indices), k);
        for (int i = 0; i < k; i++) assert_int_equal(indices[i], order[i]);
        assert_int_equal(indices[k], -7);
    }
    free(scores);
    free(order);
}

static void test_top_k_of_more_than_there_are_gives_all(void **state) {
    const float scores[3] = {1, 3, 2};
    int indices[4] = {-7, -7, -7, -7};
    (void)state;
    assert_int_equal(vit_top_k(scores, 3, 1000000, indices), 3);
    assert_int_equal(indices[0], 1);
    assert_int_equal(indices[1], 2);
    assert_int_equal(indices[2], 0);
    assert_int_equal(indices[3], -7);
}

static void test_the_answer_is_the_first_class_unless_its_score_is_too_low(void **state) {
    const float nan = vit__float_of(0x7FC00000);
    float scores[3] = {0.25f, 0.5f, 0.25f}, numbers[3] = {-3, -2, -4}, none[3] = {nan, nan, nan};
    vit_model model;
    (void)state;
    memset(&model, 0, sizeof(model));
    assert_int_equal(vit_answer(&model, scores), -1); /* no classes */
    model.config.num_classes = 3;
    assert_int_equal(vit_answer(&model, scores), 1);
    assert_int_equal(vit_answer(&model, numbers), 1);
    assert_int_equal(vit_answer(&model, none), -1);
    model.config.reject_below = 0.5f;
    assert_int_equal(vit_answer(&model, scores), 1);
    model.config.reject_below = 0.50000006f;
    assert_int_equal(vit_answer(&model, scores), -1);
}

static void test_top_k_of_nothing_is_nothing(void **state) {
    const float score = 1;
    int index = -7;
    (void)state;
    assert_int_equal(vit_top_k(&score, 1, 0, &index), 0);
    assert_int_equal(vit_top_k(&score, 1, -1, &index), 0);
    assert_int_equal(vit_top_k(&score, 0, 5, &index), 0);
    assert_int_equal(vit_top_k(&score, -3, 5, &index), 0);
    assert_int_equal(index, -7);
}

static void test_top_k_puts_nan_last_in_any_place(void **state) {
    float none[4] = {NAN, NAN, NAN, NAN};
    int indices[4];
    (void)state;
    assert_int_equal(vit_top_k(none, 4, 4, indices), 4);
    for (int i = 0; i < 4; i++) assert_int_equal(indices[i], i);
    for (int number = 0; number < 4; number++) {
        float scores[4] = {NAN, NAN, NAN, NAN};
        scores[number] = -INFINITY;
        assert_int_equal(vit_top_k(scores, 4, 1, indices), 1);
        assert_int_equal(indices[0], number);
    }
}

/* ---- sizes that saturate ---- */

static void test_sizes_saturate_and_stay_so(void **state) {
    const size_t half = SIZE_MAX / 2;
    (void)state;
    assert_true(vit__add(half, half) == SIZE_MAX - 1);
    assert_true(vit__add(half + 1, half) == SIZE_MAX);
    assert_true(vit__add(half + 1, half + 1) == SIZE_MAX);
    assert_true(vit__add(SIZE_MAX, 0) == SIZE_MAX);
    assert_true(vit__mul(half, 2) == SIZE_MAX - 1);
    assert_true(vit__mul(half + 1, 2) == SIZE_MAX);
    assert_true(vit__mul(SIZE_MAX, 0) == 0 && vit__mul(0, SIZE_MAX) == 0);
    assert_true(vit__round_up(0, 64) == 0 && vit__round_up(1, 64) == 64);
    assert_true(vit__round_up(64, 64) == 64);
    assert_true(vit__round_up(SIZE_MAX - 10, 64) == SIZE_MAX);
}

/* ---- the vector kernels, next to those in plain C ---- */

/* The next instruction set that is there, after isa; VIT_ISA_COUNT: none. */
static int next_isa(int isa) {
    for (isa++; isa < VIT_ISA_COUNT && vit__kernels_of((vit_isa)isa) == NULL;) isa++;
    return isa;
}

/* Likewise, of those whose floats are not plain C's. */
static int next_vector_isa(int isa) {
    const vit__kernels *plain = vit__kernels_of(VIT_ISA_PORTABLE), *kernels;
    while ((isa = next_isa(isa)) < VIT_ISA_COUNT) {
        kernels = vit__kernels_of((vit_isa)isa);
        if (kernels->act[VIT__GELU] != plain->act[VIT__GELU]) break;
    }
    return isa;
}

/* The product of one row with one panel: sums in double, and the sums of the magnitudes, which bound
   the rounding. */
static void naive_product(const float *input, size_t inputs, const float *weights,
                          const float *bias, double sums[16], double magnitudes[16]) {
    for (size_t n = 0; n < 16; n++) {
        sums[n] = (double)bias[n];
        magnitudes[n] = fabs((double)bias[n]);
        for (size_t k = 0; k < inputs; k++) {
            double product = (double)input[k] * (double)weights[k * 16 + n];
            sums[n] += product;
            magnitudes[n] += fabs(product);
        }
    }
}

enum { GAP = 5, ROW_STRIDE = 40, PANEL_STRIDE = 12 * ROW_STRIDE };

typedef struct tile_rig {
    size_t inputs;
    float *input, *weights, bias[32];
} tile_rig;

static tile_rig tile_rig_make(size_t inputs, uint32_t *random) {
    tile_rig rig;
    size_t size = VIT__TILE_ROWS * (inputs + GAP);
    rig.inputs = inputs;
    rig.input = allocate_floats(size);
    rig.weights = allocate_floats(32 * inputs + 1);
    random_floats(random, rig.input, size);
    random_floats(random, rig.weights, 32 * inputs);
    random_floats(random, rig.bias, 32);
    return rig;
}

/* Some rows from `row` on times one or two panels, into output[panel][row][40]. */
static void multiply(const vit__kernels *kernels, const tile_rig *rig, int row, int rows,
                     int panels, int add, float *output) {
    size_t stride = rig->inputs + GAP;
    vit__tile tile;
    memset(&tile, 0, sizeof(tile));
    tile.rows = rows, tile.panels = panels;
    tile.steps = rig->inputs, tile.input_stride = stride * sizeof(float);
    tile.input = rig->input + (size_t)row * stride;
    tile.weights = rig->weights, tile.bias = rig->bias;
    tile.output = output, tile.row_stride = ROW_STRIDE, tile.panel_stride = PANEL_STRIDE;
    tile.add = add, tile.next = (uintptr_t)rig->weights, tile.next_step = 1;
    kernels->operands[VIT__OPERAND_F32].multiply(&tile);
}

/* Every row near the exact result, the same to the bit alone and in company, added where asked for,
   and nothing written elsewhere. */
static void check_multiply(const vit__kernels *kernels, const tile_rig *rig, int rows, int panels) {
    float together[2 * PANEL_STRIDE], sums[2 * PANEL_STRIDE], alone[2 * PANEL_STRIDE];
    for (int i = 0; i < 2 * PANEL_STRIDE; i++) together[i] = sums[i] = (float)i;
    multiply(kernels, rig, 0, rows, panels, 0, together);
    multiply(kernels, rig, 0, rows, panels, 1, sums);
    for (int panel = 0; panel < 2; panel++) {
        for (int r = 0; r < 12; r++) {
            double want[16], magnitudes[16];
            int at = panel * PANEL_STRIDE + r * ROW_STRIDE;
            int written = panel < panels && r < rows ? 16 : 0;
            for (int i = written; i < ROW_STRIDE; i++)
                assert_true(together[at + i] == (float)(at + i) &&
                            sums[at + i] == together[at + i]);
            if (written == 0) continue;
            multiply(kernels, rig, r, 1, 1, 0, alone);
            if (panel == 0) assert_same_bits(together + at, alone, 16);
            naive_product(rig->input + (size_t)r * (rig->inputs + GAP), rig->inputs,
                          rig->weights + (size_t)panel * 16 * rig->inputs, rig->bias + panel * 16,
                          want, magnitudes);
            for (int n = 0; n < 16; n++) {
                double bound = magnitudes[n] * (double)(rig->inputs + 2) * (double)FLT_EPSILON / 2;
                assert_true(fabs((double)together[at + n] - want[n]) <= bound);
                assert_true(sums[at + n] == (float)(at + n) + together[at + n]);
            }
        }
    }
}

static void test_every_product_equals_the_naive_one(void **state) {
    static const size_t sizes[] = {0, 1, 2, 3, 7, 16, 17, 48, 197, 768, 3072};
    uint32_t random = 7;
    (void)state;
    for (int isa = 0; (isa = next_isa(isa)) < VIT_ISA_COUNT;) {
        const vit__kernels *kernels = vit__kernels_of((vit_isa)isa);
        const vit__operand_kernels *f32 = &kernels->operands[VIT__OPERAND_F32];
        assert_in_range(f32->tile_rows, 1, VIT__TILE_ROWS);
        assert_in_range(f32->tile_panels, 1, VIT__TILE_PANELS);
        assert_int_equal(VIT__TASK_ROWS % f32->tile_rows, 0);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            tile_rig rig = tile_rig_make(sizes[i], &random);
            for (int rows = 1; rows <= f32->tile_rows; rows++) {
                for (int panels = 1; panels <= f32->tile_panels; panels++)
                    check_multiply(kernels, &rig, rows, panels);
            }
            free(rig.input);
            free(rig.weights);
        }
    }
}

/* ---- products of integers, by every variant of every instruction set ---- */

/* The kernels of the next variant that is there, from *index on; NULL: no more. */
static const vit__kernels *next_variant(size_t *index) {
    while (*index < COUNT_OF(vit__variants)) {
        const vit__variant *variant = &vit__variants[(*index)++];
        if ((variant->needs & ~vit__targets_here()) == 0)
            return vit__kernels_for_dtype(variant->kernels, VIT_INT8); /* asks for AMX's tiles */
    }
    return NULL;
}

/* Rows of a product of integers that are tried. AMX takes 240 at a time, by 32, 16 and what is left. */
#ifdef VIT__HAVE_AMX
enum { MOST_ROWS8 = 53 };
#else
enum { MOST_ROWS8 = VIT__TILE_ROWS };
#endif
enum { PANEL8_STRIDE = MOST_ROWS8 * ROW_STRIDE };

static int takes_tiles(const vit__kernels *kernels) {
#ifdef VIT__HAVE_AMX
    return kernels == &vit__kernels_amx;
#else
    (void)kernels;
    return 0;
#endif
}

typedef struct tile8_rig {
    size_t inputs;
    int most, range; /* of input, of weights; an input above 127 is one of int8x */
    uint8_t *input;  /* [MOST_ROWS8][inputs + GAP] */
    int8_t *weights; /* [2][inputs / 4][16][4] */
    float row_scales[MOST_ROWS8], scales[32], bias[32];
    int32_t row_zeros[MOST_ROWS8], weight_sums[32];
} tile8_rig;

static int8_t weight8(const tile8_rig *rig, int n, size_t k) {
    size_t panel = (size_t)n / 16 * 16 * rig->inputs;
    return rig->weights[panel + k / 4 * 64 + (size_t)n % 16 * 4 + k % 4];
}

static tile8_rig tile8_rig_make(size_t inputs, int most, int range, uint32_t *random) {
    tile8_rig rig;
    size_t size = MOST_ROWS8 * (inputs + GAP);
    rig.inputs = inputs, rig.most = most, rig.range = range;
    rig.input = (uint8_t *)allocate(size);
    rig.weights = (int8_t *)allocate(32 * inputs);
    for (size_t i = 0; i < size; i++) rig.input[i] = (uint8_t)random_below(random, most + 1);
    for (size_t i = 0; i < 32 * inputs; i++)
        rig.weights[i] = (int8_t)(random_below(random, 2 * range + 1) - range);
    for (int r = 0; r < MOST_ROWS8; r++)
        rig.row_zeros[r] = random_below(random, most > 127 ? most + 1 : 128);
    random_floats(random, rig.row_scales, MOST_ROWS8);
    random_floats(random, rig.scales, 32);
    random_floats(random, rig.bias, 32);
    return rig;
}

static void tile8_rig_sum_weights(tile8_rig *rig) {
    for (int n = 0; n < 32; n++) {
        rig->weight_sums[n] = 0;
        for (size_t k = 0; k < rig->inputs; k++) rig->weight_sums[n] += weight8(rig, n, k);
    }
}

static void tile8_rig_free(tile8_rig *rig) {
    free(rig->input);
    free(rig->weights);
}

static vit__operand operand8(const tile8_rig *rig) {
    return rig->most > VIT__ROW_RANGE ? VIT__OPERAND_INT8X : VIT__OPERAND_INT8;
}

/* By how much a variant has the rows of an operand less than from 0 on. */
static int moved_rows(const vit__kernels *kernels, vit__operand operand) {
    const float zeros[16] = {0};
    uint8_t out[16];
    float scale;
    int32_t zero;
    kernels->operands[operand].pack_rows(zeros, 0, 1, 16, out, 0, &scale, &zero);
    assert_true(zero == 0 || zero == -127);
    return -zero;
}

/* The rows of a rig as a variant has them; row_zeros gets theirs. */
static uint8_t *moved_input(const vit__kernels *kernels, const tile8_rig *rig,
                            int32_t row_zeros[MOST_ROWS8]) {
    const size_t size = MOST_ROWS8 * (rig->inputs + GAP);
    const int moved = moved_rows(kernels, operand8(rig));
    uint8_t *input = (uint8_t *)allocate(size);
    for (size_t i = 0; i < size; i++) input[i] = (uint8_t)(rig->input[i] - moved);
    for (int r = 0; r < MOST_ROWS8; r++) row_zeros[r] = rig->row_zeros[r] - moved;
    return input;
}

/* Like multiply, and activated where asked for. */
static void multiply8(const vit__kernels *kernels, const tile8_rig *rig, int row, int rows,
                      int panel, int panels, int add, vit__act_kernel act, float *output) {
    vit__tile tile;
    int32_t row_zeros[MOST_ROWS8];
    uint8_t *input = moved_input(kernels, rig, row_zeros);
    tile.rows = rows, tile.panels = panels;
    tile.narrow = rig->range <= 63 || rig->most <= 63;
    tile.steps = rig->inputs / 4, tile.input_stride = rig->inputs + GAP;
    tile.input = input + (size_t)row * tile.input_stride;
    tile.row_scales = rig->row_scales + row, tile.row_zeros = row_zeros + row;
    tile.weights = rig->weights + (size_t)panel * 16 * rig->inputs;
    tile.scales = rig->scales + panel * 16, tile.bias = rig->bias + panel * 16;
    tile.weight_sums = rig->weight_sums + panel * 16;
    tile.output = output, tile.row_stride = ROW_STRIDE, tile.panel_stride = PANEL8_STRIDE;
    tile.act = act, tile.add = add, tile.next = (uintptr_t)rig->weights, tile.next_step = 1;
    vit__multiply_rows(&kernels->operands[operand8(rig)], &tile, rows);
    free(input);
}

/* What the product is in integers. */
static int64_t naive_product8(const tile8_rig *rig, int row, int n) {
    int64_t sum = 0;
    for (size_t k = 0; k < rig->inputs; k++) {
        int u = rig->input[(size_t)row * (rig->inputs + GAP) + k];
        sum += (u - rig->row_zeros[row]) * weight8(rig, n, k);
    }
    return sum;
}

/* Every output near the exact one, the same to the bit alone and in company, added and activated
   where asked for, and nothing written elsewhere. */
static void check_multiply8(const vit__kernels *kernels, const tile8_rig *rig, int rows,
                            int panels) {
    float together[2 * PANEL8_STRIDE], sums[2 * PANEL8_STRIDE], act[2 * PANEL8_STRIDE];
    for (int i = 0; i < 2 * PANEL8_STRIDE; i++) together[i] = sums[i] = act[i] = (float)i;
    multiply8(kernels, rig, 0, rows, 0, panels, 0, NULL, together);
    multiply8(kernels, rig, 0, rows, 0, panels, 1, NULL, sums);
    multiply8(kernels, rig, 0, rows, 0, panels, 0, kernels->act[VIT__GELU], act);
    for (int i = 0; i < 2 * PANEL8_STRIDE; i++) {
        int panel = i / PANEL8_STRIDE, r = i % PANEL8_STRIDE / ROW_STRIDE, n = i % ROW_STRIDE;
        if (panel >= panels || r >= rows || n >= 16) {
            assert_true(together[i] == (float)i && sums[i] == (float)i && act[i] == (float)i);
            continue;
        }
        double bias = (double)rig->bias[panel * 16 + n];
        double product = (double)rig->scales[panel * 16 + n] * (double)rig->row_scales[r] *
                         (double)naive_product8(rig, r, panel * 16 + n);
        double bound = (fabs(bias) + 3 * fabs(product)) * (double)FLT_EPSILON;
        assert_true(fabs((double)together[i] - (bias + product)) <= bound);
        assert_true(sums[i] == (float)i + together[i]);
    }
    for (int panel = 0; panel < panels; panel++) {
        for (int r = 0; r < rows; r++) {
            float alone[16];
            int at = panel * PANEL8_STRIDE + r * ROW_STRIDE;
            multiply8(kernels, rig, r, 1, panel, 1, 0, NULL, alone);
            assert_same_bits(together + at, alone, 16);
            kernels->act[VIT__GELU](alone, 16, 1);
            assert_same_bits(act + at, alone, 16);
        }
    }
}

static void test_every_product_of_integers_equals_the_naive_one(void **state) {
    static const size_t sizes[] = {0, 16, 32, 48, 64, 208, 768};
    static const int ranges[][2] = {{127, 127}, {127, 63}, {63, 127}, {254, 127}, {254, 63}};
    uint32_t random = 9;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ranges) * COUNT_OF(sizes); i++) {
        const int *range = ranges[i % COUNT_OF(ranges)];
        tile8_rig rig = tile8_rig_make(sizes[i / COUNT_OF(ranges)], range[0], range[1], &random);
        const vit__kernels *kernels;
        tile8_rig_sum_weights(&rig);
        for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
            const vit__operand_kernels *int8 = &kernels->operands[operand8(&rig)];
            const int most_rows = vit__min(int8->tile_rows, MOST_ROWS8);
            assert_in_range(int8->tile_rows, 1, takes_tiles(kernels) ? 240 : VIT__TILE_ROWS);
            assert_in_range(int8->tile_panels, 1, VIT__TILE_PANELS);
            assert_int_equal(VIT__TASK_ROWS % int8->tile_rows, 0);
            for (int rows = 1; rows <= most_rows; rows += rows < 18 ? 1 : 7) {
                for (int panels = 1; panels <= int8->tile_panels; panels++)
                    check_multiply8(kernels, &rig, rows, panels);
            }
        }
        tile8_rig_free(&rig);
    }
}

/* With all scales 1 the outputs are the integers, for each of three rows of the largest inputs: all,
   and those for which products of either sign lie together. */
static void check_extremes8(size_t inputs, int most, int range) {
    uint32_t random = 10;
    tile8_rig rig = tile8_rig_make(inputs, most, range, &random);
    const vit__kernels *kernels;
    for (int r = 0; r < MOST_ROWS8; r++) {
        rig.row_scales[r] = 1, rig.row_zeros[r] = r % 2 ? (most > 127 ? most : 127) : 0;
        for (size_t k = 0; k < inputs; k++) {
            int largest = r % 3 == 0 || (r % 3 == 1 ? k % 2 == 0 : k % 8 < 4);
            rig.input[(size_t)r * (inputs + GAP) + k] = (uint8_t)(largest ? most : 0);
        }
    }
    for (int n = 0; n < 32; n++) rig.scales[n] = 1, rig.bias[n] = 0;
    for (size_t i = 0; i < 32 * inputs; i++) {
        size_t n = i % 64 / 4; /* of an output: all weights large, all small, or both */
        rig.weights[i] = (int8_t)(n % 3 == 0 || (n % 3 == 2 && i % 2) ? range : -range);
    }
    tile8_rig_sum_weights(&rig);
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        float out[2 * PANEL8_STRIDE];
        int rows = vit__min(kernels->operands[operand8(&rig)].tile_rows, MOST_ROWS8);
        int panels = kernels->operands[operand8(&rig)].tile_panels;
        multiply8(kernels, &rig, 0, rows, 0, panels, 0, NULL, out);
        for (int i = 0; i < panels * rows * 16; i++) {
            int panel = i / 16 / rows, r = i / 16 % rows, n = i % 16;
            float want = (float)naive_product8(&rig, r, panel * 16 + n);
            assert_true(out[panel * PANEL8_STRIDE + r * ROW_STRIDE + n] == want);
        }
    }
    tile8_rig_free(&rig);
}

static void test_no_product_of_integers_saturates(void **state) {
    static const int ranges[][2] = {{127, 1},  {127, 63}, {127, 64}, {127, 127},
                                    {63, 127}, {254, 63}, {254, 127}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ranges); i++) {
        check_extremes8(16, ranges[i][0], ranges[i][1]);
        check_extremes8(1040, ranges[i][0], ranges[i][1]);
        check_extremes8(ranges[i][0] > 127 ? VIT__MAX_SUMMED_X : VIT__MAX_INPUTS8, ranges[i][0],
                        ranges[i][1]);
    }
}

/* ---- products of bf16, by every variant that multiplies it ---- */

#ifdef VIT__MULTIPLIES_BF16

/* The next variant from *index on whose processor multiplies bf16; NULL: no more. */
static const vit__kernels *next_bf16_variant(size_t *index) {
    const vit__kernels *kernels;
    while ((kernels = next_variant(index)) != NULL &&
           kernels->operands[VIT__OPERAND_BF16].multiply == NULL)
        continue;
    return kernels;
}

/* To nearest, halves to even, as their definition says; NaN keeps its sign. */
static uint16_t naive_bf16(float x) {
    uint32_t bits, below;
    memcpy(&bits, &x, sizeof(bits));
    below = bits & 0xFFFF;
    bits >>= 16;
    if (isnan(x)) return (uint16_t)(bits | 0x40);
    return (uint16_t)(bits + (below > 0x8000 || (below == 0x8000 && bits % 2 == 1)));
}

static float float_of_bf16(uint16_t bits) {
    return vit__float_of((int32_t)((uint32_t)bits << 16));
}

/* Rows as floats and as the kernel packs them, weights [2][inputs][16], and the floats that they are. */
typedef struct tile16_rig {
    size_t inputs, stride; /* of packed rows, in numbers */
    int rows;
    float *exact, *weights;
    uint16_t *halves, *input, *zipped;
    float bias[32];
} tile16_rig;

static tile16_rig tile16_rig_make(size_t inputs, int rows, uint32_t *random) {
    tile16_rig rig;
    rig.inputs = inputs, rig.rows = rows, rig.stride = inputs + 2 * GAP;
    rig.exact = allocate_floats((size_t)rows * rig.stride + 1);
    rig.weights = allocate_floats(32 * inputs + 1);
    rig.halves = (uint16_t *)allocate(32 * inputs * sizeof(uint16_t) + 1);
    rig.zipped = (uint16_t *)allocate(32 * inputs * sizeof(uint16_t) + 1);
    rig.input = (uint16_t *)allocate((size_t)rows * rig.stride * sizeof(uint16_t) + 1);
    random_floats(random, rig.exact, (size_t)rows * rig.stride);
    random_floats(random, rig.weights, 32 * inputs);
    random_floats(random, rig.bias, 32);
    for (size_t i = 0; i < 32 * inputs; i++) rig.halves[i] = naive_bf16(rig.weights[i]);
    memset(rig.input, 0xFF,
           (size_t)rows * rig.stride * sizeof(uint16_t)); /* NaN between the rows */
    return rig;
}

static void tile16_rig_free(tile16_rig *rig) {
    free(rig->exact);
    free(rig->weights);
    free(rig->halves);
    free(rig->zipped);
    free(rig->input);
}

static void tile16_rig_pack(tile16_rig *rig, const vit__kernels *kernels) {
    vit__matrix m;
    memset(&m, 0, sizeof(m));
    m.dtype = VIT__BF16, m.weights = (const unsigned char *)rig->halves;
    m.inputs = rig->inputs, m.outputs = 32, m.panel_size = rig->inputs * 32;
    kernels->zip(&m, 0, 2, 0, rig->inputs, rig->zipped);
    kernels->operands[VIT__OPERAND_BF16].pack_rows(rig->exact, rig->stride, rig->rows, rig->inputs,
                                                   rig->input, 2 * rig->stride, NULL, NULL);
}

/* Some rows from `row` on times one or two panels, into output [rows][40], the second panel's after 20. */
static void multiply16(const vit__kernels *kernels, const tile16_rig *rig, int row, int rows,
                       int panel, int panels, int add, float *output) {
    vit__tile tile;
    memset(&tile, 0, sizeof(tile));
    tile.rows = rows, tile.panels = panels;
    tile.steps = rig->inputs / 2, tile.input_stride = 2 * rig->stride;
    tile.input = rig->input + (size_t)row * rig->stride;
    tile.weights = rig->zipped + (size_t)panel * 16 * rig->inputs;
    tile.bias = rig->bias + panel * 16;
    tile.output = output, tile.row_stride = ROW_STRIDE, tile.panel_stride = ROW_STRIDE / 2;
    tile.add = add, tile.next = (uintptr_t)rig->zipped, tile.next_step = 1;
    kernels->operands[VIT__OPERAND_BF16].multiply(&tile);
}

/* Every output near the exact product of the rounded numbers, the same to the bit alone and in company,
   added where asked for, and nothing written elsewhere. */
static void check_multiply16(const vit__kernels *kernels, const tile16_rig *rig, int rows,
                             int panels) {
    size_t size = (size_t)(rows + 1) * ROW_STRIDE;
    float *together = allocate_floats(size), *sums = allocate_floats(size), alone[ROW_STRIDE];
    for (size_t i = 0; i < size; i++) together[i] = sums[i] = (float)i;
    multiply16(kernels, rig, 0, rows, 0, panels, 0, together);
    multiply16(kernels, rig, 0, rows, 0, panels, 1, sums);
    for (size_t i = 0; i < size; i++) {
        size_t r = i / ROW_STRIDE, panel = i % ROW_STRIDE / 20, n = i % 20;
        if (r >= (size_t)rows || panel >= (size_t)panels || n >= 16) {
            assert_true(together[i] == (float)i && sums[i] == (float)i);
            continue;
        }
        double want = (double)rig->bias[panel * 16 + n], magnitude = fabs(want);
        for (size_t k = 0; k < rig->inputs; k++) {
            double x = (double)float_of_bf16(naive_bf16(rig->exact[r * rig->stride + k]));
            double w = (double)float_of_bf16(rig->halves[(panel * rig->inputs + k) * 16 + n]);
            want += x * w, magnitude += fabs(x * w);
        }
        double bound = magnitude * (double)(rig->inputs + 2) * (double)FLT_EPSILON;
        assert_true(fabs((double)together[i] - want) <= bound);
        assert_true(sums[i] == (float)i + together[i]);
    }
    for (int r = 0; r < rows; r++) {
        for (int panel = 0; panel < panels; panel++) {
            multiply16(kernels, rig, r, 1, panel, 1, 0, alone);
            assert_same_bits(together + r * ROW_STRIDE + panel * 20, alone, 16);
        }
    }
    free(together);
    free(sums);
}

/* Rows: all counts to 12 or to the tile's, and some beyond where that is larger. */
static void test_every_product_of_bf16_equals_the_naive_one(void **state) {
    static const size_t sizes[] = {16, 32, 48, 192, 400};
    const vit__kernels *kernels;
    uint32_t random = 50;
    (void)state;
    for (size_t index = 0; (kernels = next_bf16_variant(&index)) != NULL;) {
        const vit__operand_kernels *bf16 = &kernels->operands[VIT__OPERAND_BF16];
        assert_in_range(bf16->tile_panels, 1, VIT__TILE_PANELS);
        assert_int_equal(VIT__TASK_ROWS % bf16->tile_rows, 0);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            tile16_rig rig = tile16_rig_make(sizes[i], bf16->tile_rows, &random);
            tile16_rig_pack(&rig, kernels);
            for (int rows = 1; rows <= bf16->tile_rows; rows += rows < 34 ? 1 : 43) {
                for (int panels = 1; panels <= bf16->tile_panels; panels++)
                    check_multiply16(kernels, &rig, rows, panels);
            }
            tile16_rig_free(&rig);
        }
    }
}

/* To nearest even, halves of every kind, in place too; numbers below the smallest normal may be 0. */
static void test_rows_become_bf16_as_they_are_rounded(void **state) {
    enum { COUNT = 64, STRIDE = 70 };
    static const uint32_t below[] = {0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF};
    const vit__kernels *kernels;
    uint32_t random = 51;
    (void)state;
    for (size_t index = 0; (kernels = next_bf16_variant(&index)) != NULL;) {
        for (int round = 0; round < 500; round++) {
            float x[3 * STRIDE];
            uint16_t out[3 * STRIDE];
            for (size_t i = 0; i < COUNT_OF(x); i++) {
                uint32_t bits = (random_u32(&random) & 0xFFFF0000u) | below[i % COUNT_OF(below)];
                if ((bits & 0x7F800000) == 0) bits |= 0x00800000;
                memcpy(&x[i], &bits, sizeof(bits));
            }
            kernels->operands[VIT__OPERAND_BF16].pack_rows(x, STRIDE, 3, COUNT, out, 2 * STRIDE,
                                                           NULL, NULL);
            for (int i = 0; i < 3 * COUNT; i++) {
                int at = i / COUNT * STRIDE + i % COUNT;
                if (isnan(x[at])) assert_true(isnan(float_of_bf16(out[at])));
                else assert_int_equal(out[at], naive_bf16(x[at]));
            }
            kernels->operands[VIT__OPERAND_BF16].pack_rows(x, STRIDE, 1, COUNT, x, 0, NULL, NULL);
            assert_memory_equal(x, out, COUNT * sizeof(uint16_t));
        }
    }
}

/* One number that is not finite, in a row or in a weight, spreads to its outputs and to no other. */
static void test_products_of_bf16_keep_nan_and_infinity(void **state) {
    static const float values[] = {NAN, INFINITY, -INFINITY};
    const vit__kernels *kernels;
    uint32_t random = 52;
    (void)state;
    for (size_t index = 0; (kernels = next_bf16_variant(&index)) != NULL;) {
        for (size_t i = 0; i < COUNT_OF(values) * 48 * 2; i++) {
            tile16_rig rig = tile16_rig_make(48, 4, &random);
            float out[4 * ROW_STRIDE];
            size_t k = i / 2 % 48, in_weight = i % 2;
            if (in_weight) rig.halves[k * 16 + 5] = naive_bf16(values[i / 96]);
            else rig.exact[2 * rig.stride + k] = values[i / 96];
            tile16_rig_pack(&rig, kernels);
            multiply16(kernels, &rig, 0, 4, 0, 1, 0, out);
            for (size_t at = 0; at < 4 * 16; at++) {
                int spread = in_weight ? at % 16 == 5 : at / 16 == 2;
                assert_int_equal(!vit__is_finite(out[at / 16 * ROW_STRIDE + at % 16]), spread);
            }
            tile16_rig_free(&rig);
        }
    }
}

#endif

/* ---- quantization of a row ---- */

enum { QUANTIZED = 96 };

/* The same to the bit from every variant, but for what it moves; returns plain C's. */
static void quantize_everywhere(vit__operand operand, const float *x, size_t count,
                                uint8_t out[QUANTIZED], float *scale, int32_t *zero) {
    const vit__kernels *kernels;
    vit__kernels_portable.operands[operand].pack_rows(x, 0, 1, count, out, 0, scale, zero);
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        const int moved = moved_rows(kernels, operand);
        guarded got = guarded_make(count, 1);
        float got_scale = -1;
        int32_t got_zero = -1;
        kernels->operands[operand].pack_rows(x, 0, 1, count, got.bytes, 0, &got_scale, &got_zero);
        for (size_t i = 0; i < count; i++)
            assert_int_equal((uint8_t)(got.bytes[i] + moved), out[i]);
        assert_same_bits(&got_scale, scale, 1);
        assert_int_equal(got_zero + moved, *zero);
        guarded_free(&got);
    }
}

static int range_of(vit__operand operand) {
    return operand == VIT__OPERAND_INT8X ? 254 : 127;
}

/* x / range to the bit, also where the compiler multiplies by a reciprocal: a double has bits to spare. */
static float quotient(float x, int range) {
    return (float)((double)x / range);
}

/* Every number within half a step, and the ends of the range in use. */
static void check_quantized(vit__operand operand, const float *x, size_t count) {
    uint8_t out[QUANTIZED];
    float scale;
    int32_t zero;
    quantize_everywhere(operand, x, count, out, &scale, &zero);
    assert_in_range(zero, 0, range_of(operand));
    assert_true(scale > 0);
    float low = 0, high = 0;
    for (size_t i = 0; i < count; i++) low = fminf(low, x[i]), high = fmaxf(high, x[i]);
    if (high - low >= 1e-30f) assert_true(scale == quotient(high - low, range_of(operand)));
    for (size_t i = 0; i < count; i++) {
        double back = (double)scale * (out[i] - zero);
        assert_in_range(out[i], 0, range_of(operand));
        /* half a step for the number, and half for a zero that was rounded the other way */
        assert_true(fabs(back - (double)x[i]) <= 1.0001 * (double)scale);
        if (x[i] == 0) assert_int_equal(out[i], zero);
    }
}

static void test_every_quantization_is_the_same_and_near(void **state) {
    static const float sizes[] = {1, 1e-3f, 1e-20f, 1e4f, 1e30f};
    static const float shifts[] = {0, 0.5f, 3, -3, 1000};
    uint32_t random = 11;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes) * COUNT_OF(shifts); i++) {
        float x[QUANTIZED];
        random_floats(&random, x, QUANTIZED);
        x[0] = x[17] = 0;
        for (size_t k = 1; k < QUANTIZED; k++) x[k] = sizes[i % 5] * (x[k] + shifts[i / 5]);
        for (size_t count = 16; count <= QUANTIZED; count += 16) {
            check_quantized(VIT__OPERAND_INT8, x, count);
            check_quantized(VIT__OPERAND_INT8X, x, count);
        }
    }
}

/* In steps of 1 what lies between goes to the nearest, from the middle to the even. */
static void check_rounding(vit__operand operand, const float *x, const uint8_t *want,
                           int want_zero) {
    uint8_t out[QUANTIZED];
    float scale;
    int32_t zero;
    quantize_everywhere(operand, x, 16, out, &scale, &zero);
    assert_true(scale == 1 && zero == want_zero);
    assert_memory_equal(out, want, 16);
}

/* From -50 to 77, and with int8x from -100 to 154. */
static void test_quantization_rounds_to_even(void **state) {
    static const float x7[16] = {-50, 77, 0, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 0.49f, 0.51f, 76.5f};
    static const uint8_t want7[16] = {0,  127, 50,  50, 52, 52, 50, 48,
                                      50, 51,  126, 50, 50, 50, 50, 50};
    static const float x8[16] = {-100,  154,  0,    0.5f,   1.5f,   2.5f,   -0.5f,
                                 -1.5f, 0.5f, 0.4f, 153.5f, 152.5f, -99.5f, -98.5f};
    static const uint8_t want8[16] = {0,   254, 100, 100, 102, 102, 100, 98,
                                      100, 100, 254, 252, 0,   2,   100, 100};
    (void)state;
    check_rounding(VIT__OPERAND_INT8, x7, want7, 50);
    check_rounding(VIT__OPERAND_INT8X, x8, want8, 100);
}

static void test_quantization_of_rows_that_are_constant(void **state) {
    static const float values[] = {0, -0.0f, 1, -1, 3e-5f, -7e20f, 1e-35f, -1e-44f, 3e38f};
    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(values); i++) {
        const float *value = &values[i / 2];
        float x[QUANTIZED], scale;
        uint8_t out[QUANTIZED];
        int32_t zero;
        for (int k = 0; k < QUANTIZED; k++) x[k] = *value;
        const vit__operand operand = i % 2 ? VIT__OPERAND_INT8X : VIT__OPERAND_INT8;
        quantize_everywhere(operand, x, QUANTIZED, out, &scale, &zero);
        for (int k = 0; k < QUANTIZED; k++) {
            float back = scale * (float)(out[k] - zero);
            assert_near(&back, value, 1, fabsf(*value) * 1e-6f + 1e-30f);
        }
    }
}

static void check_rows_together(vit__operand operand) {
    enum { COUNT = 48, STRIDE = 53 };
    const vit__kernels *kernels;
    uint32_t random = 14;
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        float x[VIT__TILE_ROWS * STRIDE], scales[VIT__TILE_ROWS], scale;
        uint8_t alone[VIT__TILE_ROWS][COUNT];
        int32_t zeros[VIT__TILE_ROWS], zero;
        random_floats(&random, x, COUNT_OF(x));
        for (int r = 0; r < VIT__TILE_ROWS; r++)
            kernels->operands[operand].pack_rows(x + r * STRIDE, 0, 1, COUNT, alone[r], 0, &scale,
                                                 &zero);
        kernels->operands[operand].pack_rows(x, STRIDE, VIT__TILE_ROWS, COUNT, (uint8_t *)x,
                                             4 * STRIDE, scales, zeros);
        for (int r = 0; r < VIT__TILE_ROWS; r++)
            assert_memory_equal(x + r * STRIDE, alone[r], COUNT);
        assert_true(scales[VIT__TILE_ROWS - 1] == scale && zeros[VIT__TILE_ROWS - 1] == zero);
    }
}

static void test_quantization_of_rows_together_and_in_place(void **state) {
    (void)state;
    check_rows_together(VIT__OPERAND_INT8);
    check_rows_together(VIT__OPERAND_INT8X);
}

/* ---- what attention takes as integers ---- */

/* Columns of a panel: each number within half a step, zeros behind the last row, the sums those of the
   integers, all the same to the bit from every variant. */
static void check_quantized_panel(const float *x, size_t stride, int rows, int range) {
    size_t size = vit__round16(rows) * 16;
    int8_t *want = (int8_t *)allocate(size);
    float scales[16];
    int32_t sums[16], left[16];
    const vit__kernels *kernels;
    vit__quantize_panel(x, stride, rows, range, want, scales, sums);
    memcpy(left, sums, sizeof(left));
    for (size_t i = 0; i < size; i++) {
        size_t n = i % 64 / 4, r = i / 64 * 4 + i % 4;
        left[n] -= want[i];
        assert_in_range(want[i] + range, 0, 2 * range);
        if (r >= (size_t)rows) assert_int_equal(want[i], 0);
        else
            assert_true(fabs((double)scales[n] * want[i] - (double)x[r * stride + n]) <=
                        0.5001 * (double)scales[n]);
    }
    for (size_t n = 0; n < 16; n++) {
        float most = 0;
        for (size_t r = 0; r < (size_t)rows; r++) most = fmaxf(most, fabsf(x[r * stride + n]));
        assert_int_equal(left[n], 0);
        if (most >= 1e-30f) assert_true(scales[n] == quotient(most, range));
    }
    const vit__operand operand = rows % 3 ? VIT__OPERAND_INT8 : VIT__OPERAND_INT8X;
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        guarded got = guarded_make(size, 4);
        float got_scales[16];
        int32_t got_sums[16];
        kernels->operands[operand].pack_panel(x, stride, rows, range, (int8_t *)got.bytes,
                                              got_scales, got_sums);
        assert_memory_equal(got.bytes, want, size);
        assert_same_bits(got_scales, scales, 16);
        assert_memory_equal(got_sums, sums, sizeof(sums));
        guarded_free(&got);
    }
    free(want);
}

static void test_every_quantization_of_a_panel_is_the_same_and_near(void **state) {
    enum { ROWS = 37, STRIDE = 21 };
    static const float sizes[] = {1, 1e-20f, 1e30f, 0};
    uint32_t random = 12;
    (void)state;
    for (int rows = 1; rows <= ROWS; rows++) {
        float x[ROWS * STRIDE];
        random_floats(&random, x, COUNT_OF(x));
        for (size_t i = 0; i < COUNT_OF(x); i++) x[i] *= sizes[i % STRIDE % COUNT_OF(sizes)];
        check_quantized_panel(x, STRIDE, rows, rows % 2 ? 63 : 127);
    }
}

/* The largest has the largest integer, the others theirs but for rounding, the padding none, and with
   the unit they add up to 1. */
static void check_softmax8(const vit__kernels *kernels, const float *x, int count, float scale) {
    enum { MOST = 768 };
    float row[MOST], unit = 0, largest = x[0];
    guarded high = guarded_make(vit__round16(count), 5), low = guarded_make(vit__round16(count), 6);
    int sum = 0;
    memcpy(row, x, (size_t)count * sizeof(float));
    kernels->softmax_rows8(row, 0, 1, count, scale, high.bytes, low.bytes, &unit);
    for (int i = 0; i < count; i++) largest = fmaxf(largest, x[i]);
    for (size_t i = 0; i < vit__round16(count); i++) {
        int integer = 64 * high.bytes[i] + low.bytes[i];
        double want = 0;
        if (i < (size_t)count) want = 4095 * exp((double)scale * ((double)x[i] - (double)largest));
        assert_in_range(high.bytes[i], 0, 63);
        assert_in_range(low.bytes[i], 0, 63);
        assert_true(fabs(integer - want) <= (i < (size_t)count ? 0.51 : 0));
        sum += integer;
    }
    assert_true(fabs((double)unit * sum - 1) < 1e-6);
    guarded_free(&high);
    guarded_free(&low);
}

static void test_every_softmax_in_integers_is_near(void **state) {
    static const int counts[] = {1, 2, 15, 16, 17, 50, 197, 768};
    static const float spreads[] = {0, 1, 40, 1e6f};
    const vit__kernels *kernels;
    uint32_t random = 13;
    (void)state;
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        for (size_t i = 0; i < COUNT_OF(counts) * COUNT_OF(spreads); i++) {
            float x[768];
            random_floats(&random, x, COUNT_OF(x));
            for (size_t k = 0; k < COUNT_OF(x); k++) x[k] *= spreads[i % COUNT_OF(spreads)];
            check_softmax8(kernels, x, counts[i / COUNT_OF(spreads)], 0.125f);
        }
    }
}

/* ---- NaN and infinity: never hidden, whatever the instruction set ---- */

/* NaN with and without a payload or a sign, quiet or not, and the infinities; the largest number is in
   the rows beside them. */
static const uint32_t not_finite[] = {0x7FC00000, 0x7FC00001, 0xFFC001FF, 0x7F800001,
                                      0xFF800001, 0x7FFFFFFF, 0x7F800000, 0xFF800000};
enum { NANS = 6 }; /* of them, the first */

/* A call of a kernel on three rows of `count` numbers, of which the second gets one that is not finite
   at `at`; it asserts that what comes of that row says so, and that the others are as without it. */
typedef void (*row_check)(const vit__kernels *kernels, const float *rows, size_t stride, int count,
                          int at, uint32_t bits);

/* Each such number at each position of rows of several widths, for each variant. */
static void check_each_position(const int *counts, size_t count_of_counts, row_check check) {
    enum { STRIDE = 224 };
    const vit__kernels *kernels;
    uint32_t random = 40;
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        for (size_t c = 0; c < count_of_counts; c++) {
            for (size_t i = 0; i < (size_t)counts[c] * COUNT_OF(not_finite); i++) {
                float rows[3 * STRIDE];
                random_floats(&random, rows, COUNT_OF(rows));
                check(kernels, rows, STRIDE, counts[c], (int)(i / COUNT_OF(not_finite)),
                      not_finite[i % COUNT_OF(not_finite)]);
            }
        }
    }
}

static void check_quantized_as(vit__operand operand, const vit__kernels *kernels, const float *rows,
                               size_t stride, int count, int at, uint32_t bits) {
    uint8_t want[3 * 224], got[3 * 224];
    float x[3 * 224], scales[2][3];
    int32_t zeros[2][3];
    const vit__operand_kernels *integers = &kernels->operands[operand];
    const int moved = moved_rows(kernels, operand);
    memcpy(x, rows, sizeof(x));
    integers->pack_rows(x, stride, 3, (size_t)count, want, stride, scales[0], zeros[0]);
    memcpy(&x[stride + (size_t)at], &bits, sizeof(bits));
    integers->pack_rows(x, stride, 3, (size_t)count, got, stride, scales[1], zeros[1]);
    assert_true(isnan(scales[1][1]));
    assert_in_range(zeros[1][1] + moved, 0, range_of(operand));
    for (int i = 0; i < count; i++)
        assert_in_range((uint8_t)(got[stride + (size_t)i] + moved), 0, range_of(operand));
    for (size_t r = 0; r < 3; r += 2) {
        assert_memory_equal(got + r * stride, want + r * stride, (size_t)count);
        assert_true(scales[1][r] == scales[0][r] && zeros[1][r] == zeros[0][r]);
    }
}

static void check_quantized_rows(const vit__kernels *kernels, const float *rows, size_t stride,
                                 int count, int at, uint32_t bits) {
    check_quantized_as(VIT__OPERAND_INT8, kernels, rows, stride, count, at, bits);
    check_quantized_as(VIT__OPERAND_INT8X, kernels, rows, stride, count, at, bits);
}

static void test_a_quantized_row_with_what_is_not_finite_has_no_scale(void **state) {
    static const int counts[] = {16, 32, 48, 80, 208};
    (void)state;
    check_each_position(counts, COUNT_OF(counts), check_quantized_rows);
}

static void check_softmax_rows(const vit__kernels *kernels, const float *rows, size_t stride,
                               int count, int at, uint32_t bits) {
    float want[3 * 224], got[3 * 224];
    memcpy(want, rows, sizeof(want));
    memcpy(got, rows, sizeof(got));
    memcpy(&got[stride + (size_t)at], &bits, sizeof(bits));
    kernels->softmax_rows(want, stride, 3, count, 0.125f);
    kernels->softmax_rows(got, stride, 3, count, 0.125f);
    for (int i = 0; i < count; i++) assert_true(isnan(got[stride + (size_t)i]));
    assert_same_bits(got, want, (size_t)count);
    assert_same_bits(got + 2 * stride, want + 2 * stride, (size_t)count);
}

static void check_softmax_rows8(const vit__kernels *kernels, const float *rows, size_t stride,
                                int count, int at, uint32_t bits) {
    float x[3 * 224], units[2][3];
    uint8_t high[2][3 * 224], low[2][3 * 224];
    size_t width = vit__round16(count);
    memcpy(x, rows, sizeof(x));
    kernels->softmax_rows8(x, stride, 3, count, 0.125f, high[0], low[0], units[0]);
    memcpy(x, rows, sizeof(x));
    memcpy(&x[stride + (size_t)at], &bits, sizeof(bits));
    kernels->softmax_rows8(x, stride, 3, count, 0.125f, high[1], low[1], units[1]);
    assert_true(isnan(units[1][1]));
    for (size_t i = 0; i < 3 * width; i++) {
        assert_true(high[1][i] <= 63 && low[1][i] <= 63);
        if (i / width != 1) assert_true(high[1][i] == high[0][i] && low[1][i] == low[0][i]);
    }
    assert_true(units[1][0] == units[0][0] && units[1][2] == units[0][2]);
}

static void test_a_softmax_of_what_is_not_finite_is_nan_throughout(void **state) {
    static const int counts[] = {1, 2, 3, 15, 16, 17, 31, 50, 197};
    (void)state;
    check_each_position(counts, COUNT_OF(counts), check_softmax_rows);
    check_each_position(counts, COUNT_OF(counts), check_softmax_rows8);
}

/* The largest floats are finite, and so is their softmax. */
static void test_every_softmax_stands_the_largest_numbers(void **state) {
    const vit__kernels *kernels;
    (void)state;
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        float x[16] = {FLT_MAX, -FLT_MAX, FLT_MAX}, unit[1];
        uint8_t high[16], low[16];
        const float largest[16] = {-FLT_MAX, FLT_MAX};
        kernels->softmax_rows(x, 16, 1, 3, 0.125f);
        assert_true(x[0] == 0.5f && x[2] == 0.5f && x[1] >= 0 && x[1] <= 1e-30f);
        memcpy(x, largest, sizeof(x));
        kernels->softmax_rows8(x, 16, 1, 2, 0.125f, high, low, unit);
        assert_true(high[0] == 0 && low[0] == 0 && high[1] == 63 && low[1] == 63);
        assert_true(unit[0] == 1.0f / 4095);
    }
}

/* Of a panel of `rows` rows, one number; the other columns are as without it. */
static void check_quantized_column(const vit__kernels *kernels, int rows, size_t at,
                                   uint32_t bits) {
    enum { ROWS = 37, STRIDE = 21 };
    float x[ROWS * STRIDE], scales[2][16];
    int8_t panels[2][48 * 16];
    int32_t sums[2][16];
    const vit__operand_kernels *integers = &kernels->operands[VIT__OPERAND_INT8];
    uint32_t random = 41;
    random_floats(&random, x, COUNT_OF(x));
    integers->pack_panel(x, STRIDE, rows, 63, panels[0], scales[0], sums[0]);
    memcpy(&x[at / 16 * STRIDE + at % 16], &bits, sizeof(bits));
    integers->pack_panel(x, STRIDE, rows, 63, panels[1], scales[1], sums[1]);
    for (size_t n = 0; n < 16; n++) {
        assert_true(n == at % 16 ? isnan(scales[1][n]) : scales[1][n] == scales[0][n]);
        if (n != at % 16) assert_int_equal(sums[1][n], sums[0][n]);
    }
    for (size_t i = 0; i < vit__round16(rows) * 16; i++)
        if (i % 64 / 4 != at % 16) assert_int_equal(panels[1][i], panels[0][i]);
}

static void test_a_quantized_column_with_what_is_not_finite_has_no_scale(void **state) {
    static const int rows[] = {1, 2, 5, 16, 17, 37};
    const vit__kernels *kernels;
    (void)state;
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        for (size_t r = 0; r < COUNT_OF(rows); r++) {
            for (size_t i = 0; i < (size_t)rows[r] * 16 * COUNT_OF(not_finite); i++)
                check_quantized_column(kernels, rows[r], i / COUNT_OF(not_finite),
                                       not_finite[i % COUNT_OF(not_finite)]);
        }
    }
}

/* NaN stays NaN, +infinity stays infinity, and of -infinity comes nothing that is finite; the other
   numbers are as without them. */
static void test_no_activation_hides_what_is_not_finite(void **state) {
    const vit__kernels *kernels;
    (void)state;
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        for (size_t i = 0; i < 16 * COUNT_OF(not_finite) * VIT__ACTIVATION_COUNT; i++) {
            vit__act_kernel act = kernels->act[i % VIT__ACTIVATION_COUNT];
            size_t at = i / VIT__ACTIVATION_COUNT % 16, which = i / VIT__ACTIVATION_COUNT / 16;
            float want[16], got[16];
            for (int n = 0; n < 16; n++) want[n] = got[n] = 0.3f * (float)(n - 8);
            memcpy(&got[at], &not_finite[which], sizeof(float));
            act(want, 16, 1);
            act(got, 16, 1);
            if (which < NANS) assert_true(isnan(got[at]));
            else if (not_finite[which] == 0x7F800000) assert_true(got[at] > FLT_MAX);
            else assert_true(!vit__is_finite(got[at]));
            got[at] = want[at];
            assert_same_bits(got, want, 16);
        }
    }
}

static void check_norm_row(const vit__kernels *kernels, const float *rows, size_t stride, int count,
                           int at, uint32_t bits) {
    float x[224] = {0}, norm[2 * 224] = {0}, out[224];
    (void)stride;
    memcpy(x, rows, (size_t)count * sizeof(float));
    memcpy(norm, rows, (size_t)count * sizeof(float));
    memcpy(&x[at], &bits, sizeof(bits));
    kernels->norm_row(x, norm, count, vit__round16(count), 1e-6f, out);
    for (int i = 0; i < count; i++) assert_true(isnan(out[i]));
}

static void test_layer_norm_of_what_is_not_finite_is_nan_throughout(void **state) {
    static const int counts[] = {1, 15, 16, 17, 64, 197};
    (void)state;
    check_each_position(counts, COUNT_OF(counts), check_norm_row);
}

/* With a scale that is NaN every product is NaN, whatever the integers. */
static void check_products_keep_nan(int most) {
    uint32_t random = 42;
    tile8_rig rig = tile8_rig_make(32, most, 63, &random);
    const vit__kernels *kernels;
    tile8_rig_sum_weights(&rig);
    for (size_t i = 0; i < 32; i++) rig.input[i] = (uint8_t)rig.row_zeros[0];
    rig.row_scales[0] = rig.scales[3] = NAN;
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        float out[2 * PANEL8_STRIDE];
        int rows = vit__min(kernels->operands[operand8(&rig)].tile_rows, MOST_ROWS8);
        multiply8(kernels, &rig, 0, rows, 0, 1, 0, NULL, out);
        for (int i = 0; i < rows * 16; i++)
            assert_true(!isnan(out[i / 16 * ROW_STRIDE + i % 16]) == (i >= 16 && i % 16 != 3));
    }
    tile8_rig_free(&rig);
}

static void test_products_of_integers_keep_nan(void **state) {
    (void)state;
    check_products_keep_nan(127);
    check_products_keep_nan(254);
}

/* Weights of 16 bits: NaN stays NaN and infinity infinity; those beside them are numbers. */
static void check_unpacked_halves(const vit__kernels *kernels, vit__dtype dtype,
                                  const uint16_t halves[6], float number) {
    uint16_t weights[16 * 16];
    float out[16 * 16];
    vit__matrix m;
    memset(&m, 0, sizeof(m));
    m.dtype = dtype, m.weights = (const unsigned char *)weights;
    m.inputs = m.outputs = 16, m.panel_size = sizeof(weights);
    for (size_t i = 0; i < COUNT_OF(weights); i++) weights[i] = halves[i % 6];
    kernels->unpack(&m, 0, 1, 0, 16, out);
    for (size_t i = 0; i < COUNT_OF(out); i++) {
        if (i % 6 == 0) assert_true(out[i] == number);
        else if (i % 6 == 1) assert_true(out[i] > FLT_MAX);
        else if (i % 6 == 2) assert_true(out[i] < -FLT_MAX);
        else assert_true(isnan(out[i]));
    }
}

static void test_weights_of_16_bits_keep_what_is_not_finite(void **state) {
    static const uint16_t f16[] = {0x7BFF, 0x7C00, 0xFC00, 0x7E00, 0x7C01, 0xFFFF};
    static const uint16_t bf16[] = {0x4780, 0x7F80, 0xFF80, 0x7FC0, 0x7F81, 0xFFFF};
    const vit__kernels *kernels;
    (void)state;
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        check_unpacked_halves(kernels, VIT__F16, f16, 65504);
        check_unpacked_halves(kernels, VIT__BF16, bf16, 65536);
    }
}

/* Integers of 8 or 4 bits become the same floats everywhere; plain C's are tested with whole models. */
static void test_unpacked_integers_are_the_same_everywhere(void **state) {
    enum { INPUTS = 64, FIRST = 32, OUTPUTS = 32 };
    const vit__kernels *kernels, *portable = vit__kernels_of(VIT_ISA_PORTABLE);
    unsigned char weights[OUTPUTS * INPUTS];
    float scales[OUTPUTS], want[OUTPUTS * FIRST], got[OUTPUTS * FIRST];
    uint16_t group_scales[OUTPUTS * INPUTS / VIT__GROUP];
    uint32_t random = 35;
    vit__matrix m;
    (void)state;
    memset(&m, 0, sizeof(m));
    for (size_t i = 0; i < sizeof(weights); i++)
        weights[i] = (unsigned char)random_below(&random, 256);
    for (int i = 0; i < OUTPUTS; i++) scales[i] = 0.25f + (float)i;
    for (size_t i = 0; i < COUNT_OF(group_scales); i++) group_scales[i] = (uint16_t)(0x3C00 + i);
    m.weights = weights, m.inputs = INPUTS, m.outputs = OUTPUTS;
    m.scales = scales, m.group_scales = group_scales;
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        for (int bits = 4; bits <= 8; bits += 4) {
            m.dtype = bits == 8 ? VIT__INT8 : VIT__INT4;
            m.panel_size = (size_t)(INPUTS * VIT__PANEL * bits / 8);
            portable->unpack(&m, 0, 2, FIRST, INPUTS - FIRST, want);
            kernels->unpack(&m, 0, 2, FIRST, INPUTS - FIRST, got);
            assert_same_bits(got, want, COUNT_OF(want));
        }
    }
}

static void test_every_transpose_turns_rows_into_columns(void **state) {
    float rows[16 * 37], columns[20 * 16];
    const vit__kernels *kernels;
    (void)state;
    for (int i = 0; i < 16 * 37; i++) rows[i] = (float)(i + 1);
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        for (int count = 1; count <= 16; count++) {
            memset(columns, 0xFF, sizeof(columns));
            kernels->transpose(rows + 3, 37, count, 20, columns);
            for (int i = 0; i < 20 * 16; i++)
                assert_true(columns[i] == (i % 16 < count ? rows[i % 16 * 37 + 3 + i / 16] : 0));
        }
    }
}

/* |got - want| in units in the last place of want. */
static double ulps(float got, double want) {
    int exponent;
    frexp(want, &exponent);
    return fabs((double)got - want) / ldexp(1, exponent - 24);
}

static void test_every_gelu_keeps_its_bound(void **state) {
    (void)state;
    for (int isa = VIT_ISA_PORTABLE; (isa = next_vector_isa(isa)) < VIT_ISA_COUNT;) {
        const vit__kernels *kernels = vit__kernels_of((vit_isa)isa);
        for (int i = -12 * 1024; i <= 12 * 1024; i += 16) {
            float x[16], tanh_form[16];
            for (int n = 0; n < 16; n++) x[n] = tanh_form[n] = (float)(i + n) / 1024;
            kernels->act[VIT__GELU](x, 16, 1);
            kernels->act[VIT__GELU_TANH](tanh_form, 16, 1);
            for (int n = 0; n < 16; n++) {
                double at = (i + n) / 1024.0,
                       u = sqrt(2 / acos(-1.0)) * (at + 0.044715 * at * at * at);
                double want = 0.5 * at * erfc(-at / sqrt(2.0)), other = at / (1 + exp(-2 * u));
                if (at == 0) assert_true(x[n] == 0 && tanh_form[n] == 0);
                else if (!(ulps(x[n], want) <= 8)) fail_msg("gelu(%g) = %g", at, (double)x[n]);
                assert_true(fabs((double)tanh_form[n] - other) <= 2e-7 * fmax(1, fabs(at)));
            }
        }
    }
}

/* Of x from -100 to 100, also where exp would overflow: within 3e-7 of the larger of |x| and 1. */
static void test_every_other_activation_keeps_its_bound(void **state) {
    const vit__kernels *kernels;
    (void)state;
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        for (int i = -100 * 256; i <= 100 * 256; i += 16) {
            float x[3][16];
            for (int n = 0; n < 16; n++) x[0][n] = x[1][n] = x[2][n] = (float)(i + n) / 256;
            kernels->act[VIT__QUICK_GELU](x[0], 16, 1);
            kernels->act[VIT__SILU](x[1], 16, 1);
            kernels->act[VIT__RELU](x[2], 16, 1);
            for (int n = 0; n < 16; n++) {
                double at = (i + n) / 256.0, bound = 3e-7 * fmax(1, fabs(at));
                assert_true(fabs((double)x[0][n] - at / (1 + exp(-1.702 * at))) <= bound);
                assert_true(fabs((double)x[1][n] - at / (1 + exp(-at))) <= bound);
                assert_true((double)x[2][n] == fmax(0, at));
            }
        }
    }
}

static void test_every_gelu8_keeps_its_bound(void **state) {
    const vit__kernels *kernels;
    (void)state;
    for (size_t index = 0; (kernels = next_variant(&index)) != NULL;) {
        for (int i = -30 * 512; i <= 30 * 512; i += 16) {
            float x[16];
            for (int n = 0; n < 16; n++) x[n] = (float)(i + n) / 512;
            kernels->act[VIT__GELU8](x, 16, 1);
            for (int n = 0; n < 16; n++) {
                double at = (i + n) / 512.0, want = 0.5 * at * erfc(-at / sqrt(2.0));
                if (!(fabs((double)x[n] - want) <= 5e-5))
                    fail_msg("gelu8(%g) = %g", at, (double)x[n]);
            }
        }
    }
}

static void test_every_gelu_takes_large_numbers(void **state) {
    (void)state;
    for (int isa = VIT_ISA_PORTABLE; (isa = next_vector_isa(isa)) < VIT_ISA_COUNT;) {
        float x[16] = {30, 1e3f, 1e10f, 1e30f, FLT_MAX, -30, -1e3f, -1e10f, -1e30f, -FLT_MAX};
        vit__kernels_of((vit_isa)isa)->act[VIT__GELU](x, 16, 1);
        assert_true(x[0] == 30 && x[2] == 1e10f && x[4] == FLT_MAX);
        for (int i = 5; i < 16; i++) assert_true(fabsf(x[i]) < 1e-30f);
    }
}

static void test_every_norm_and_softmax_equals_plain_c(void **state) {
    static const int sizes[] = {1, 3, 15, 16, 17, 64, 197, 768};
    uint32_t random = 8;
    (void)state;
    for (int isa = VIT_ISA_PORTABLE; (isa = next_vector_isa(isa)) < VIT_ISA_COUNT;) {
        const vit__kernels *kernels = vit__kernels_of((vit_isa)isa);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            enum { MOST = 768 };
            float x[MOST] = {0}, norm[2 * MOST] = {0}, got[MOST] = {0}, want[MOST] = {0};
            int size = sizes[i];
            size_t stride = vit__round16(size);
            random_floats(&random, x, (size_t)size);
            random_floats(&random, norm, (size_t)size);
            random_floats(&random, norm + stride, (size_t)size);
            kernels->norm_row(x, norm, size, stride, 1e-6f, got);
            vit__norm_row(x, norm, size, stride, 1e-6f, want);
            assert_near(got, want, stride, 1e-5f);
            for (int k = 0; k < size; k++) got[k] = want[k] = 40 * x[k];
            kernels->softmax_rows(got, 0, 1, size, 0.5f);
            vit__softmax_rows(want, 0, 1, size, 0.5f);
            assert_near(got, want, (size_t)size, 1e-6f);
        }
    }
}

/* ---- plain C at its ends ---- */

static void test_what_becomes_an_integer_is_limited(void **state) {
    const float x[] = {256, 1e9f, INFINITY, NAN, -256, -1e9f, -INFINITY, -0.5f, 2.5f};
    static const int32_t want[] = {256, 256, 256, 256, -256, -256, -256, 0, 2};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(x); i++) assert_int_equal(vit__nearest(x[i]), want[i]);
}

/* Whatever the mode of rounding, integers are in their range. */
static void test_quantized_rows_are_in_range_in_every_mode_of_rounding(void **state) {
    int modes = 0;
    (void)state;
#ifdef FE_DOWNWARD
    static const int all[] = {FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO, FE_TONEAREST};
    uint32_t random = 15;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        if (fesetround(all[i]) != 0) continue;
        modes++;
        for (int row = 0; row < 200; row++) {
            float x[32], scale;
            uint8_t out[32];
            int32_t zero;
            random_floats(&random, x, 32);
            vit__quantize_rows(x, 0, 1, 32, out, 0, &scale, &zero);
            for (int k = 0; k < 32; k++) assert_in_range(out[k], 0, 127);
        }
    }
    fesetround(FE_TONEAREST);
#endif
    if (modes < 2) skip(); /* another mode than this one */
}

static void test_workspaces_have_room_for_no_more_than_their_size(void **state) {
    const vit__arena too_large = {NULL, SIZE_MAX};
    (void)state;
    assert_true(vit__has_room(5, 4) && vit__has_room(5, 5) && !vit__has_room(5, 6));
    assert_false(vit__has_room(0, 1));
    assert_int_equal(vit__arena_size(&too_large), 0);
    assert_false(vit__has_room(SIZE_MAX, 0));
}

static void count_a_run(void *arg, int index, int worker) {
    (void)index, (void)worker;
    ++*(int *)arg;
}

/* A parallel_for that has called 2^31 times has counted beyond the largest int. */
static void test_workers_beyond_those_of_a_step_do_nothing(void **state) {
    static const int workers[] = {-1, INT32_MIN, 3, INT32_MAX - 1};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(workers); i++) {
        int runs = 0;
        vit__step step;
        memset(&step, 0, sizeof(step));
        step.task = count_a_run, step.arg = &runs;
        step.workers = 3, step.shares = 1, step.next_worker = workers[i];
        step.share[0].end = 5, step.share[0].claims = 1;
        vit__work(&step, workers[i]);
        assert_int_equal(runs, 0);
    }
}

static void test_the_next_panels_are_fetched_in_equal_parts(void **state) {
    static const unsigned char weights[1] = {0};
    vit__tile tile;
    (void)state;
    memset(&tile, 0, sizeof(tile));
    vit__fetch_next(&tile, weights, 1000, 33, 3);
    assert_true(tile.next_step == 31 && tile.next == (uintptr_t)weights + 1000 + 3 * 31);
}

static void test_instruction_sets_have_names_and_plain_c_is_no_slow_one(void **state) {
    (void)state;
    assert_string_equal(vit_isa_name(VIT_ISA_COUNT), vit_isa_name(VIT_ISA_BEST));
    assert_string_equal(vit_isa_name((vit_isa)-1), vit_isa_name(VIT_ISA_BEST));
    assert_false(vit__is_slow(VIT_ISA_PORTABLE));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gelu_equals_pytorch),
        cmocka_unit_test(test_gelu_tanh_equals_pytorch),
        cmocka_unit_test(test_both_forms_of_gelu_end_in_0_and_in_x),
        cmocka_unit_test(test_layer_norm_equals_pytorch),
        cmocka_unit_test(test_layer_norm_writes_zeros_into_the_padding),
        cmocka_unit_test(test_layer_norm_works_in_place_and_at_every_width),
        cmocka_unit_test(test_layer_norm_of_equal_numbers_is_the_bias),
        cmocka_unit_test(test_softmax_equals_pytorch),
        cmocka_unit_test(test_softmax_of_scaled_scores_is_that_of_their_product),
        cmocka_unit_test(test_softmax_works_in_place_and_adds_up_to_1),
        cmocka_unit_test(test_softmax_stands_the_largest_numbers),
        cmocka_unit_test(test_softmax_of_what_is_not_finite),
        cmocka_unit_test(test_scores_are_what_the_output_says),
        cmocka_unit_test(test_scores_of_what_is_not_a_number_are_not),
        cmocka_unit_test(test_top_k_gives_the_golden_order_for_every_k),
        cmocka_unit_test(test_top_k_of_more_than_there_are_gives_all),
        cmocka_unit_test(test_top_k_of_nothing_is_nothing),
        cmocka_unit_test(test_the_answer_is_the_first_class_unless_its_score_is_too_low),
        cmocka_unit_test(test_top_k_puts_nan_last_in_any_place),
        cmocka_unit_test(test_sizes_saturate_and_stay_so),
        cmocka_unit_test(test_every_product_equals_the_naive_one),
        cmocka_unit_test(test_every_product_of_integers_equals_the_naive_one),
        cmocka_unit_test(test_no_product_of_integers_saturates),
#ifdef VIT__MULTIPLIES_BF16
        cmocka_unit_test(test_every_product_of_bf16_equals_the_naive_one),
        cmocka_unit_test(test_rows_become_bf16_as_they_are_rounded),
        cmocka_unit_test(test_products_of_bf16_keep_nan_and_infinity),
#endif
        cmocka_unit_test(test_every_quantization_is_the_same_and_near),
        cmocka_unit_test(test_quantization_rounds_to_even),
        cmocka_unit_test(test_quantization_of_rows_that_are_constant),
        cmocka_unit_test(test_quantization_of_rows_together_and_in_place),
        cmocka_unit_test(test_every_quantization_of_a_panel_is_the_same_and_near),
        cmocka_unit_test(test_every_softmax_in_integers_is_near),
        cmocka_unit_test(test_a_quantized_row_with_what_is_not_finite_has_no_scale),
        cmocka_unit_test(test_a_softmax_of_what_is_not_finite_is_nan_throughout),
        cmocka_unit_test(test_every_softmax_stands_the_largest_numbers),
        cmocka_unit_test(test_a_quantized_column_with_what_is_not_finite_has_no_scale),
        cmocka_unit_test(test_no_activation_hides_what_is_not_finite),
        cmocka_unit_test(test_layer_norm_of_what_is_not_finite_is_nan_throughout),
        cmocka_unit_test(test_products_of_integers_keep_nan),
        cmocka_unit_test(test_weights_of_16_bits_keep_what_is_not_finite),
        cmocka_unit_test(test_unpacked_integers_are_the_same_everywhere),
        cmocka_unit_test(test_every_transpose_turns_rows_into_columns),
        cmocka_unit_test(test_every_gelu_keeps_its_bound),
        cmocka_unit_test(test_every_gelu_takes_large_numbers),
        cmocka_unit_test(test_every_gelu8_keeps_its_bound),
        cmocka_unit_test(test_every_other_activation_keeps_its_bound),
        cmocka_unit_test(test_every_norm_and_softmax_equals_plain_c),
        cmocka_unit_test(test_what_becomes_an_integer_is_limited),
        cmocka_unit_test(test_quantized_rows_are_in_range_in_every_mode_of_rounding),
        cmocka_unit_test(test_workspaces_have_room_for_no_more_than_their_size),
        cmocka_unit_test(test_workers_beyond_those_of_a_step_do_nothing),
        cmocka_unit_test(test_the_next_panels_are_fetched_in_equal_parts),
        cmocka_unit_test(test_instruction_sets_have_names_and_plain_c_is_no_slow_one),
    };
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
