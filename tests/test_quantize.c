/* Weights in fewer bits: rounding against all values there are, and what the scales promise. */
#include "test_util.h"

#include "tools/convert/quantize.h"

#include <float.h>

/* ---- f16, bf16 ---- */

static int is_nan16(uint32_t half, uint32_t infinity) {
    return (half & 0x7FFF) > infinity;
}

static void test_every_half_comes_back(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        float f16 = dequantize_f16((uint16_t)half), bf16 = dequantize_bf16((uint16_t)half);
        if (is_nan16(half, 0x7C00)) assert_true(isnan(f16));
        else assert_int_equal(quantize_f16(f16), half);
        if (is_nan16(half, 0x7F80)) assert_true(isnan(bf16));
        else assert_int_equal(quantize_bf16(bf16), half);
    }
    assert_true(is_nan16(quantize_f16(NAN), 0x7C00));
    assert_true(is_nan16(quantize_bf16(NAN), 0x7F80));
}

/* The value of a half that test_util.h reads by arithmetic instead of by bits. */
static void test_halves_have_the_value_of_their_definition(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        const unsigned char bytes[2] = {(unsigned char)(half & 255), (unsigned char)(half >> 8)};
        if ((half & 0x7C00) != 0x7C00)
            assert_true((double)dequantize_f16((uint16_t)half) == stored_f16(bytes));
    }
}

/* Between each two neighbours: halfway goes to the even one, and a float to either side of that to
   the nearer. Above the last of them lies what rounds to infinity: half a step more. */
static void check_halfway(uint16_t (*quantize)(float), float (*dequantize)(uint16_t),
                          uint32_t infinity) {
    for (uint32_t half = 0; half < infinity; half++) {
        float low = dequantize((uint16_t)half), high = dequantize((uint16_t)(half + 1));
        if (half + 1 == infinity) high = low + (low - dequantize((uint16_t)(half - 1)));
        float middle = low + (high - low) / 2;
        if (!vit__is_finite(high)) middle = low + (low - dequantize((uint16_t)(half - 1))) / 2;
        for (uint32_t sign = 0; sign <= 1; sign++) {
            float s = sign ? -1.0f : 1.0f;
            assert_int_equal(quantize(s * nextafterf(middle, 0)), half | sign << 15);
            assert_int_equal(quantize(s * middle), (half + (half & 1)) | sign << 15);
            assert_int_equal(quantize(s * nextafterf(middle, INFINITY)), (half + 1) | sign << 15);
        }
    }
}

static void test_halves_round_to_nearest_and_to_even(void **state) {
    (void)state;
    check_halfway(quantize_f16, dequantize_f16, 0x7C00);
    check_halfway(quantize_bf16, dequantize_bf16, 0x7F80);
}

/* Known values; those of f16 are numpy's. */
static void test_halves_of_known_numbers(void **state) {
    static const struct {
        float x;
        uint16_t f16, bf16;
    } cases[] = {
        {0.0f, 0x0000, 0x0000},          {-0.0f, 0x8000, 0x8000},    {1.0f, 0x3C00, 0x3F80},
        {-2.0f, 0xC000, 0xC000},         {0.1f, 0x2E66, 0x3DCD},     {65504.0f, 0x7BFF, 0x4780},
        {65519.996f, 0x7BFF, 0x4780},    {65520.0f, 0x7C00, 0x4780}, {1e30f, 0x7C00, 0x714A},
        {5.9604645e-8f, 1, 0x3380},      {2.9802322e-8f, 0, 0x3300}, {3.0e-8f, 1, 0x3301},
        {6.1035156e-5f, 0x0400, 0x3880}, {6.1e-5f, 0x03FF, 0x3880}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(quantize_f16(cases[i].x), cases[i].f16);
        assert_int_equal(quantize_bf16(cases[i].x), cases[i].bf16);
    }
    assert_int_equal(quantize_f16(INFINITY), 0x7C00);
    assert_int_equal(quantize_f16(-INFINITY), 0xFC00);
    assert_int_equal(quantize_bf16(FLT_MAX), 0x7F80);
    assert_int_equal(quantize_bf16(-INFINITY), 0xFF80);
}

/* ---- integers ---- */

static void test_int8_is_within_half_a_step_and_the_range(void **state) {
    static const int ranges[] = {63, 127};
    uint32_t random = 1;
    float weights[100];
    signed char q[100];
    (void)state;
    for (int round = 0; round < 200; round++) {
        int range = ranges[round % 2], largest = 0;
        float size = ldexpf(1, round - 100);
        random_floats(&random, weights, 100);
        for (int i = 0; i < 100; i++) weights[i] *= size;
        float scale = quantize_int8(weights, 100, range, q);
        for (int i = 0; i < 100; i++) {
            if (abs(q[i]) > largest) largest = abs(q[i]);
            double error = fabs((double)weights[i] - (double)scale * q[i]);
            assert_true(error <= (double)scale * 0.500001);
        }
        assert_int_equal(largest, range);
    }
}

static void test_int8_of_known_numbers(void **state) {
    static const float weights[] = {6.3f, -0.05f, 0.049f, -6.3f, 0, 0.3f};
    static const signed char want[] = {63, 0, 0, -63, 0, 3}; /* -0.5 steps and a little less */
    signed char q[6];
    (void)state;
    float scale = quantize_int8(weights, 6, 63, q);
    assert_true(fabsf(scale - 0.1f) < 1e-7f);
    for (int i = 0; i < 6; i++) assert_true(abs(q[i] - want[i]) <= (i == 1));
}

static void test_zeros_and_tiny_weights_have_integers_in_range(void **state) {
    static const float tiny[][4] = {{0, 0, 0, 0},
                                    {-0.0f, 0, 0, 0},
                                    {1e-45f, -1e-45f, 0, 0},
                                    {1e-43f, -1e-44f, 5e-44f, 0},
                                    {1e-38f, 1e-40f, -1e-38f, 0}};
    signed char q[4];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(tiny); i++) {
        float scale = quantize_int8(tiny[i], 4, 127, q);
        if (i < 3) assert_true(scale == 0 && q[0] == 0 && q[1] == 0);
        for (int j = 0; j < 4; j++) assert_true(q[j] >= -127 && q[j] <= 127);
        assert_int_equal(quantize_int4(tiny[i], NULL, 4, q) & 0x7FFF, 0);
        for (int j = 0; j < 4; j++) assert_int_equal(q[j], 0);
    }
}

static double squared_error(const float *weights, const signed char *q, double scale) {
    double sum = 0;
    for (int i = 0; i < QUANTIZE_GROUP; i++) {
        double error = (double)weights[i] - scale * q[i];
        sum += error * error;
    }
    return sum;
}

/* Each integer is the nearest of -8 to 7, and no scale of Q4_0's kind would have been better. */
static void test_int4_is_the_nearest_of_16_and_no_worse_than_q4_0(void **state) {
    uint32_t random = 2;
    float weights[QUANTIZE_GROUP];
    signed char q[QUANTIZE_GROUP], simple[QUANTIZE_GROUP];
    (void)state;
    for (int round = 0; round < 2000; round++) {
        float largest = 0;
        random_floats(&random, weights, QUANTIZE_GROUP);
        for (int i = 0; i < QUANTIZE_GROUP; i++) {
            weights[i] = ldexpf(weights[i] * weights[i] * weights[i], round % 16 - 8);
            if (fabsf(weights[i]) > fabsf(largest)) largest = weights[i];
        }
        float scale = dequantize_f16(quantize_int4(weights, NULL, QUANTIZE_GROUP, q));
        float simple_scale = dequantize_f16(quantize_f16(largest / -8));
        for (int i = 0; i < QUANTIZE_GROUP; i++) {
            float steps = fminf(fmaxf(weights[i] / scale, -8), 7);
            assert_true(fabsf(steps - (float)q[i]) <= 0.5f);
            simple[i] = (signed char)lrintf(fminf(fmaxf(weights[i] / simple_scale, -8), 7));
        }
        assert_true(squared_error(weights, q, (double)scale) <=
                    squared_error(weights, simple, (double)simple_scale));
    }
}

/* Sixteen integers in a row, times either sign's scale, are kept exactly. */
static void test_int4_keeps_what_is_of_16_steps(void **state) {
    float weights[16];
    signed char q[16];
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        for (int i = 0; i < 16; i++) weights[i] = (float)(sign * (i - 8)) * 0.25f;
        float scale = dequantize_f16(quantize_int4(weights, NULL, 16, q));
        assert_true(scale == (float)sign * 0.25f);
        for (int i = 0; i < 16; i++) assert_int_equal(q[i], i - 8);
    }
}

static void test_int4_says_when_weights_are_too_large(void **state) {
    float weights[2] = {1, 65504.0f * 6.9f};
    signed char q[2];
    (void)state;
    assert_true(vit__is_finite(dequantize_f16(quantize_int4(weights, NULL, 2, q))));
    weights[1] = 65504.0f * 8.1f;
    assert_false(vit__is_finite(dequantize_f16(quantize_int4(weights, NULL, 2, q))));
    weights[1] = FLT_MAX;
    assert_false(vit__is_finite(dequantize_f16(quantize_int4(weights, NULL, 2, q))));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_half_comes_back),
        cmocka_unit_test(test_halves_have_the_value_of_their_definition),
        cmocka_unit_test(test_halves_round_to_nearest_and_to_even),
        cmocka_unit_test(test_halves_of_known_numbers),
        cmocka_unit_test(test_int8_is_within_half_a_step_and_the_range),
        cmocka_unit_test(test_int8_of_known_numbers),
        cmocka_unit_test(test_zeros_and_tiny_weights_have_integers_in_range),
        cmocka_unit_test(test_int4_is_the_nearest_of_16_and_no_worse_than_q4_0),
        cmocka_unit_test(test_int4_keeps_what_is_of_16_steps),
        cmocka_unit_test(test_int4_says_when_weights_are_too_large),
    };
    return cmocka_run_group_tests_name("quantize", tests, NULL, NULL);
}
