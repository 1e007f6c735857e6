/* A build without what a firmware with one model of int8 does not need: it refuses the other models,
   and computes what the whole library does, to the bit where its mathematics is the same. */
#include <math.h>
#define VIT_FREESTANDING
#define VIT_ONLY_INT8
#define VIT_NO_LABELS
#define VIT_NO_TANH
#define VIT_NO_PARALLEL
#define VIT_NO_MERGE
#define VIT_NO_LOW_MEMORY
#ifndef VIT_NO_SIMD
#define VIT_NO_SIMD
#endif
#define VIT_STATIC
#define VIT_EXPF(x) expf(x)
#define VIT_ERFF(x) erff(x)
#include "test_util.h"

#include "hosted.h"

static void test_it_takes_int8_alone(void **state) {
    (void)state;
    for (int dtype = 0; dtype < VIT_DTYPE_COUNT; dtype++) {
        vit_model model;
        model_parts parts;
        memset(&parts, 0, sizeof(parts));
        parts.config = small_config(), parts.dtype = (vit_dtype)dtype;
        model_file file = model_make(&parts, 7);
        assert_status(vit_model_open(&model, file.data, file.size),
                      dtype == VIT_INT8 ? VIT_OK : VIT_ERROR_FEATURE,
                      vit_dtype_name((vit_dtype)dtype));
        model_free(&file);
    }
}

static void test_a_head_of_another_type_is_refused(void **state) {
    vit_model model;
    vit_config c = small_config();
    model_file file = model_make_dtype(&c, VIT_INT8, 7, &model);
    int head = vit__tensor_index(&c, VIT__HEAD, 0);
    (void)state;
    put_u32(file.data + vit__u32(file.data + 44) + (uint32_t)head * 48 + 8, VIT__BF16);
    seal_head(file.data);
    assert_status(vit_model_open(&model, file.data, file.size), VIT_ERROR_FEATURE, "bf16");
    model_free(&file);
}

static void test_layers_with_tanh_are_refused(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        vit_model model;
        model_parts parts;
        memset(&parts, 0, sizeof(parts));
        parts.config = small_config(), parts.dtype = VIT_INT8;
        if (i == 0) parts.config.act = VIT_ACT_GELU_TANH;
        else parts.config.pre_logits = 3;
        model_file file = model_make(&parts, 7);
        assert_status(vit_model_open(&model, file.data, file.size), VIT_ERROR_FEATURE, "tanh");
        model_free(&file);
    }
}

static void test_labels_are_not_looked_at(void **state) {
    vit_model model;
    model_parts parts;
    (void)state;
    memset(&parts, 0, sizeof(parts));
    parts.config = small_config(), parts.dtype = VIT_INT8;
    parts.labels = "\xFF", parts.labels_size = 2;
    model_file file = model_make(&parts, 7);
    assert_status(vit_model_open(&model, file.data, file.size), VIT_OK, "malformed labels");
    assert_null(vit_model_label(&model, 0));
    model_free(&file);
}

static int give_nothing(void *user, int image, int row, void *pixels) {
    (void)user, (void)image, (void)row, (void)pixels;
    return 1;
}

static void test_options_that_are_left_out_are_refused(void **state) {
    static const vit_options refused[] = {
        {.low_memory = 1}, {.read_rows = give_nothing}, {.merge = 1}};
    vit_config c = small_config();
    vit_model model;
    model_file file = model_make_dtype(&c, VIT_INT8, 7, &model);
    (void)state;
    assert_status(vit_forward_check(&model, NULL, 1), VIT_OK, "defaults");
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        assert_int_equal(vit_workspace_size(&model, &refused[i], 1), 0);
        assert_status(vit_forward_check(&model, &refused[i], 1), VIT_ERROR_ARGUMENT, "option");
    }
    model_free(&file);
}

static void never(void *user, int count, vit_task task, void *arg) {
    (void)user, (void)count, (void)task, (void)arg;
    fail_msg("parallel_for is called");
}

static void test_logits_are_those_of_the_whole_library(void **state) {
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        vit_config c = small_config();
        vit_model model;
        vit_options options;
        float got[5], want[5], pixels[3 * 13 * 17];
        c.head_avg = seed % 2 == 0;
        c.final_norm = seed % 3 == 0 ? VIT_FINAL_NORM_POOLED : VIT_FINAL_NORM_TOKENS;
        model_file file = model_make_dtype(&c, VIT_INT8, seed, &model);
        uint32_t random = seed;
        random_floats(&random, pixels, COUNT_OF(pixels));
        memset(&options, 0, sizeof(options));
        options.parallel_for = never, options.threads = 2;
        assert_status(forward(&model, &options, pixels, 1, got), VIT_OK, "forward");
        assert_int_equal(hosted_forward(file.data, file.size, VIT_PIXELS_F32, pixels, want),
                         VIT_OK);
        assert_same_bits(got, want, COUNT_OF(got));
        model_free(&file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_takes_int8_alone),
        cmocka_unit_test(test_a_head_of_another_type_is_refused),
        cmocka_unit_test(test_layers_with_tanh_are_refused),
        cmocka_unit_test(test_labels_are_not_looked_at),
        cmocka_unit_test(test_options_that_are_left_out_are_refused),
        cmocka_unit_test(test_logits_are_those_of_the_whole_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
