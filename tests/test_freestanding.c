/* The library as firmware has it: its own mathematics, and what follows from them. */
#define VIT_FREESTANDING
#ifndef VIT_NO_SIMD
#define VIT_NO_SIMD
#endif
#define VIT__EMULATED             /* no instruction for the square root either */
#undef __GCC_ATOMIC_INT_LOCK_FREE /* nor for counting, as on a Cortex-M0+ */
#define VIT_STATIC
#include "test_util.h"

#include "hosted.h"

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* How far a result is from the true one, in units in the last place of the latter. */
static double error_in_ulp(float got, double want) {
    int exponent;
    frexp(want, &exponent);
    return fabs((double)got - want) / ldexp(1.0, exponent - 24);
}

/* The largest error for the numbers from low to high, of one sign, every step-th float of them. */
static double largest_error(float (*function)(float), double (*exact)(double), float low,
                            float high, uint32_t step) {
    double largest = 0;
    for (uint32_t bits = bits_of(low); bits <= bits_of(high); bits += step) {
        float x = float_of(bits);
        largest = fmax(largest, error_in_ulp(function(x), exact((double)x)));
    }
    return largest;
}

static void assert_ulp(double got, double bound, const char *what) {
    if (!(got <= bound)) fail_msg("%s: %.3f ULP, which is more than %.1f", what, got, bound);
}

static void test_exp_is_within_1_ulp(void **state) {
    (void)state;
    assert_ulp(largest_error(vit__expf, exp, 1e-30f, 88.0f, 211), 1, "exp(x), x > 0");
    assert_ulp(largest_error(vit__expf, exp, -1e-30f, -87.0f, 211), 1, "exp(x), x < 0");
}

static void test_erf_is_within_2_ulp(void **state) {
    (void)state;
    assert_ulp(largest_error(vit__erff, erf, 1e-30f, 10.0f, 211), 2, "erf(x), x > 0");
    assert_ulp(largest_error(vit__erff, erf, -1e-30f, -10.0f, 211), 2, "erf(x), x < 0");
}

static void test_tanh_is_within_2_ulp(void **state) {
    (void)state;
    assert_ulp(largest_error(vit__tanhf, tanh, 1e-30f, 100.0f, 211), 2, "tanh(x), x > 0");
    assert_ulp(largest_error(vit__tanhf, tanh, -1e-30f, -100.0f, 211), 2, "tanh(x), x < 0");
}

static void test_sqrt_is_rounded_to_nearest(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x7F800000u; bits += 769) {
        float x = float_of(bits), want = sqrtf(x);
        if (bits_of(vit__sqrtf(x)) != bits_of(want)) fail_msg("sqrt(%.9g)", (double)x);
    }
}

/* What is not a number, or at the ends. */
static void test_mathematics_of_special_values(void **state) {
    (void)state;
    assert_true(vit__expf(-1000) >= 0 && vit__expf(-1000) < 1.7e-38f);
    assert_true(vit__expf(-INFINITY) < 1.7e-38f && vit__expf(INFINITY) > 1.6e38f);
    assert_true(vit__expf(0) == 1 && vit__erff(0) == 0 && vit__tanhf(0) == 0);
    assert_true(vit__erff(INFINITY) == 1 && vit__erff(-INFINITY) == -1);
    assert_true(vit__tanhf(INFINITY) == 1 && vit__tanhf(-INFINITY) == -1);
    assert_true(isnan(vit__expf(NAN)) && isnan(vit__erff(NAN)) && isnan(vit__tanhf(NAN)));
    assert_true(vit__sqrtf(0) == 0 && isinf(vit__sqrtf(INFINITY)));
    assert_true(isnan(vit__sqrtf(-1)) && isnan(vit__sqrtf(NAN)));
}

/* Logits of the two builds, the difference divided by the largest. */
static float difference_of_builds(const vit_config *config, vit_dtype dtype, uint32_t seed) {
    vit_model model;
    vit_options options;
    float got[5], want[5], difference = 0;
    model_file file = model_make_dtype(config, dtype, seed, &model);
    size_t count = vit_pixels_count(&model, NULL);
    unsigned char *pixels = (unsigned char *)allocate(count);
    random_bytes(&seed, pixels, count);
    memset(&options, 0, sizeof(options));
    options.pixel_type = VIT_PIXELS_U8, options.isa = VIT_ISA_PORTABLE;
    assert_status(forward(&model, &options, pixels, 1, got), VIT_OK, "forward");
    assert_int_equal(hosted_forward(file.data, file.size, VIT_PIXELS_U8, pixels, want), VIT_OK);
    for (size_t i = 0; i < COUNT_OF(got); i++)
        difference = fmaxf(difference, fabsf(got[i] - want[i]));
    free(pixels);
    model_free(&file);
    return difference / largest_of(want, COUNT_OF(want));
}

static void test_logits_equal_those_of_a_hosted_build(void **state) {
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        vit_config c = small_config();
        c.act = seed % 2 == 0 ? VIT_ACT_GELU : VIT_ACT_GELU_TANH;
        c.pre_logits = seed % 3 == 0 ? 9 : 0;
        for (int dtype = 0; dtype < VIT_DTYPE_COUNT; dtype++) {
            int integer =
                dtype == VIT_INT8 || dtype == VIT_INT8X; /* one may be rounded otherwise */
            float difference = difference_of_builds(&c, (vit_dtype)dtype, seed);
            if (!(difference <= (integer ? 5e-3f : 1e-5f)))
                fail_msg("%s, seed %u: %.3g of the largest", vit_dtype_name((vit_dtype)dtype), seed,
                         (double)difference);
        }
    }
}

/* How often each task of a step ran, and by which workers. */
typedef struct task_log {
    int runs[7], workers;
} task_log;

static void log_task(void *arg, int index, int worker) {
    task_log *log = (task_log *)arg;
    log->runs[index]++;
    log->workers |= 1 << worker;
}

/* A parallel_for that calls every index once, the last one first. */
static void backwards_for(void *user, int count, vit_task task, void *arg) {
    (void)user;
    while (count > 0) task(arg, --count);
}

static void test_every_worker_has_tasks_where_nothing_is_counted(void **state) {
    const vit_options options = {.threads = 3, .parallel_for = backwards_for};
    task_log log = {{0}, 0};
    (void)state;
#ifdef VIT__COUNT_UP
    skip(); /* a compiler that does not ask the macro */
#endif
    vit__parallel(&options, 7, log_task, &log);
    for (int i = 0; i < 7; i++) assert_int_equal(log.runs[i], 1);
    assert_int_equal(log.workers, 7); /* 0, 1 and 2 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp_is_within_1_ulp),
        cmocka_unit_test(test_erf_is_within_2_ulp),
        cmocka_unit_test(test_tanh_is_within_2_ulp),
        cmocka_unit_test(test_sqrt_is_rounded_to_nearest),
        cmocka_unit_test(test_mathematics_of_special_values),
        cmocka_unit_test(test_logits_equal_those_of_a_hosted_build),
        cmocka_unit_test(test_every_worker_has_tasks_where_nothing_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
