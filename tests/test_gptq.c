/* Rounding by GPTQ: what comes out is near, and nearer than the nearest integers are. */
#include "test_util.h"

#include "tools/convert/gptq.h"
#include "tools/convert/lapack.h"
#include "tools/convert/quantize.h"

enum { INPUTS = 80, OUTPUTS = 32, ROWS = 400, GROUPS = 3 };

/* A matrix [INPUTS][OUTPUTS] and rows [ROWS][INPUTS] that it is given. */
typedef struct problem {
    float rows[ROWS * INPUTS];
    double weights[INPUTS * OUTPUTS], squares[INPUTS * INPUTS];
    signed char integers[OUTPUTS * INPUTS];
    float scales[OUTPUTS * GROUPS];
    rounded out;
} problem;

/* Inputs that go together: each is half of the one before, and input 5 is always 0. */
static problem *make_problem(void) {
    static problem p;
    uint32_t state = 1;
    p.out.integers = p.integers, p.out.scales = p.scales;
    for (size_t i = 0; i < COUNT_OF(p.rows); i++) {
        float before = i % INPUTS == 0 ? 0 : p.rows[i - 1];
        p.rows[i] = random_float(&state) + 0.5f * before;
    }
    for (size_t r = 0; r < ROWS; r++) p.rows[r * INPUTS + 5] = 0;
    for (size_t i = 0; i < COUNT_OF(p.weights); i++) p.weights[i] = (double)random_float(&state);
    return &p;
}

static void square(problem *p) {
    for (size_t i = 0; i < INPUTS; i++) {
        for (size_t j = 0; j < INPUTS; j++) {
            double sum = 0;
            for (size_t r = 0; r < ROWS; r++)
                sum += (double)p->rows[r * INPUTS + i] * (double)p->rows[r * INPUTS + j];
            p->squares[i * INPUTS + j] = sum;
        }
    }
}

/* The sum of squares by which the outputs for all rows differ. */
static double output_error(const problem *p, const double *weights, const double *others) {
    double error = 0;
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t n = 0; n < OUTPUTS; n++) {
            double sum = 0;
            for (size_t k = 0; k < INPUTS; k++)
                sum += (double)p->rows[r * INPUTS + k] *
                       (weights[k * OUTPUTS + n] - others[k * OUTPUTS + n]);
            error += sum * sum;
        }
    }
    return error;
}

/* The weights rounded to nearest, as a file has them without calibration. */
static void round_to_nearest(const double *weights, int range, double *nearest) {
    float row[INPUTS];
    signed char q[INPUTS];
    for (size_t n = 0; n < OUTPUTS; n++) {
        for (size_t k = 0; k < INPUTS; k++) row[k] = (float)weights[k * OUTPUTS + n];
        float scale = range == 8 ? 0 : quantize_int8(row, INPUTS, range, q);
        for (size_t k = 0; k < INPUTS; k++) {
            size_t left = INPUTS - k < QUANTIZE_GROUP ? INPUTS - k : QUANTIZE_GROUP;
            if (range == 8 && k % QUANTIZE_GROUP == 0)
                scale = dequantize_f16(quantize_int4(row + k, NULL, left, q + k));
            nearest[k * OUTPUTS + n] = (double)scale * q[k];
        }
    }
}

/* The replaced weights are the integers times the scales, and within their range. */
static void assert_products(const problem *p, const double *weights, int range) {
    for (size_t n = 0; n < OUTPUTS; n++) {
        for (size_t k = 0; k < INPUTS; k++) {
            int q = p->integers[n * INPUTS + k];
            float scale = p->scales[range == 8 ? n * GROUPS + k / QUANTIZE_GROUP : n];
            assert_true(q >= -range && q <= (range == 8 ? 7 : range));
            assert_true(weights[k * OUTPUTS + n] == (double)scale * q);
        }
    }
}

static void test_outputs_are_nearer_than_by_nearest_integers(void **state) {
    static const struct {
        int range;
        double most; /* of the error of the nearest integers */
    } types[] = {{8, 0.8}, {63, 0.8}, {127, 0.8}};
    static double before[INPUTS * OUTPUTS], nearest[INPUTS * OUTPUTS];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        problem *p = make_problem();
        memcpy(before, p->weights, sizeof(before));
        square(p);
        assert_true(gptq_prepare(p->squares, INPUTS));
        assert_true(gptq_round(p->squares, p->weights, OUTPUTS, INPUTS, types[i].range, &p->out));
        assert_products(p, p->weights, types[i].range);
        round_to_nearest(before, types[i].range, nearest);
        double plain = output_error(p, nearest, before), got = output_error(p, p->weights, before);
        if (!(got < types[i].most * plain))
            fail_msg("range %d: %g, nearest %g", types[i].range, got, plain);
    }
}

/* Inputs that have nothing to do with each other leave nothing to make up for. */
static void test_independent_inputs_give_the_nearest_integers(void **state) {
    static double before[INPUTS * OUTPUTS], nearest[INPUTS * OUTPUTS];
    problem *p = make_problem();
    (void)state;
    memcpy(before, p->weights, sizeof(before));
    memset(p->squares, 0, sizeof(p->squares));
    for (size_t i = 0; i < INPUTS; i++) p->squares[i * INPUTS + i] = 3;
    assert_true(gptq_prepare(p->squares, INPUTS));
    assert_true(gptq_round(p->squares, p->weights, OUTPUTS, INPUTS, 8, &p->out));
    round_to_nearest(before, 8, nearest);
    assert_memory_equal(p->weights, nearest, sizeof(nearest));
}

static void test_what_is_not_possible_is_said(void **state) {
    problem *p = make_problem();
    (void)state;
    square(p);
    p->squares[INPUTS + 1] = (double)INFINITY;
    assert_false(gptq_prepare(p->squares, INPUTS));
    memset(p->squares, 0, sizeof(p->squares)); /* no input at all */
    assert_true(gptq_prepare(p->squares, INPUTS));
    assert_true(gptq_round(p->squares, p->weights, OUTPUTS, INPUTS, 8, &p->out));
    p->weights[7] = 1e30; /* beyond f16 */
    assert_false(gptq_round(p->squares, p->weights, OUTPUTS, INPUTS, 8, &p->out));
}

static int open_lapack(void **state) {
    (void)state;
    lapack_open();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs_are_nearer_than_by_nearest_integers),
        cmocka_unit_test(test_independent_inputs_give_the_nearest_integers),
        cmocka_unit_test(test_what_is_not_possible_is_said),
    };
    return cmocka_run_group_tests(tests, open_lapack, NULL);
}
