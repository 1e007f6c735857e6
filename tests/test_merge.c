/* Merged tokens: PyTorch's logits, the same for any batch and threads, no more memory, and what is
   refused. */
#include "test_util.h"

enum { BATCH = 5, CLASSES = 5, DIM = 20 };

/* Of the golden models with 1, 3 and 100 tokens merged in each block. */
static void test_logits_equal_pytorch(void **state) {
    static const char *const names[] = {"tiny", "tiny_avg"};
    static const int merges[] = {1, 3, 100};
    (void)state;
    for (int i = 0; i < 2 * 2 * 3; i++) {
        const vit_options options = {.low_memory = i / 2 % 2, .merge = merges[i / 4]};
        char path[64];
        vit_model model;
        snprintf(path, sizeof(path), GOLDEN "%s.vit", names[i % 2]);
        assert_status(vit_model_load(&model, path, NULL), VIT_OK, path);
        size_t classes = (size_t)vit_model_config(&model)->num_classes;
        snprintf(path, sizeof(path), "%s_pixels.f32", names[i % 2]);
        float *pixels = golden_floats(path, vit_pixels_count(&model, NULL));
        snprintf(path, sizeof(path), "%s_merge.f32", names[i % 2]);
        float *want = golden_floats(path, 3 * classes), *got = allocate_floats(classes);
        float *of_r = want + (size_t)(i / 4) * classes;
        assert_status(forward(&model, &options, pixels, 1, got), VIT_OK, "forward");
        assert_near(got, of_r, classes, 1e-5f * largest_of(of_r, classes));
        free(pixels), free(want), free(got);
        vit_model_close(&model);
    }
}

/* Several heads, one, means of tokens, many prefix tokens, norms of queries and keys. */
static vit_config merge_config(int variant) {
    vit_config c = small_config();
    c.depth = 4;
    if (variant == 1) c.num_heads = 1, c.prefix_tokens = 0, c.head_tokens = 0, c.head_avg = 2;
    if (variant == 2) c.head_avg = 1, c.final_norm = VIT_FINAL_NORM_POOLED;
    if (variant == 3) c.prefix_tokens = 4, c.qk_norm = 1;
    if (variant == 4) c.img_size[0] = c.img_size[1] = 36; /* 9 x 12 patches */
    return c;
}

static void check_threads(const vit_model *model, int merge, int low_memory) {
    const vit_options alone = {.low_memory = low_memory, .merge = merge};
    size_t count = vit_pixels_count(model, NULL);
    float *pixels = allocate_floats(BATCH * count), want[BATCH * CLASSES], got[BATCH * CLASSES];
    uint32_t random = 71;
    random_floats(&random, pixels, BATCH * count);
    for (size_t i = 0; i < BATCH; i++)
        assert_status(forward(model, &alone, pixels + i * count, 1, want + i * CLASSES), VIT_OK,
                      "one");
    assert_status(forward(model, &alone, pixels, BATCH, got), VIT_OK, "batch");
    assert_same_bits(got, want, BATCH * CLASSES);
    for (int threads = 2; HAS_THREADS && threads < 4; threads++) {
        vit_pool *pool = vit_pool_create(threads, NULL);
        vit_options options = alone;
        options.parallel_for = vit_pool_parallel_for, options.parallel_user = pool;
        assert_status(forward(model, &options, pixels, BATCH, got), VIT_OK, "threads");
        assert_same_bits(got, want, BATCH * CLASSES);
        vit_pool_destroy(pool);
    }
    free(pixels);
}

static void test_logits_are_the_same_for_any_batch_and_threads(void **state) {
    static const int merges[] = {1, 2, 5, INT32_MAX};
    (void)state;
    for (int i = 0; i < 5 * VIT_DTYPE_COUNT * 2; i++) {
        vit_config config = merge_config(i % 5);
        vit_model model;
        model_file file = model_make_dtype(&config, (vit_dtype)(i / 10), 72, &model);
        for (size_t m = 0; m < COUNT_OF(merges); m++) check_threads(&model, merges[m], i / 5 % 2);
        model_free(&file);
    }
}

/* Block by block: r tokens less, but at most half of those that are not prefix tokens. */
typedef struct counter {
    int merge, prefix, left, blocks;
} counter;

static int count_tokens(void *user, const vit_block_output *output) {
    counter *c = (counter *)user;
    int most = (c->left - c->prefix) / 2;
    c->left -= c->merge < most ? c->merge : most;
    assert_int_equal(output->tokens, c->left);
    for (int i = 0; i < output->images * output->tokens; i++)
        for (int d = 0; d < DIM; d++)
            assert_true(vit__is_finite(output->rows[(size_t)i * output->row_stride + (size_t)d]));
    c->blocks++;
    return 0;
}

static void test_each_block_has_fewer_tokens(void **state) {
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        for (int merge = 1; merge < 12; merge++) {
            vit_config config = merge_config(variant);
            vit_model model;
            model_file file = model_make_open(&config, 73, &model);
            float *pixels = allocate_floats(vit_pixels_count(&model, NULL)), logits[CLASSES];
            uint32_t random = 74;
            counter c = {merge, config.prefix_tokens, vit_token_count(&model, NULL), 0};
            const vit_options options = {
                .on_block = count_tokens, .on_block_user = &c, .all_tokens = 1, .merge = merge};
            random_floats(&random, pixels, vit_pixels_count(&model, NULL));
            assert_status(forward(&model, &options, pixels, 1, logits), VIT_OK, "forward");
            assert_int_equal(c.blocks, config.depth);
            free(pixels);
            model_free(&file);
        }
    }
}

/* Than without merging or, with low_memory, than without that: ViT-Ti's widths, which is what the comment
   promises. */
static void test_the_workspace_is_no_larger(void **state) {
    vit_config config = small_config();
    (void)state;
    config.img_size[0] = config.img_size[1] = 224, config.patch_size[0] = config.patch_size[1] = 16;
    config.embed_dim = 192, config.head_dim = 64, config.mlp_dim = 768;
    for (int i = 0; i < VIT_DTYPE_COUNT * 2 * 200; i++) {
        const int merge = 2 + i / 2 / VIT_DTYPE_COUNT; /* 2 * 192 > 197 tokens */
        vit_options other = {.merge = i % 2 ? merge : 0};
        vit_options merging = {.low_memory = i % 2, .merge = merge};
        vit_dtype dtype = (vit_dtype)(i / 2 % VIT_DTYPE_COUNT);
        size_t most = vit_config_workspace_size(&config, dtype, &other, 1);
        assert_in_range(vit_config_workspace_size(&config, dtype, &merging, 1), 1, most);
    }
}

static int see_nothing(void *user, const vit_attention *a) {
    (void)user, (void)a;
    return 0;
}

static void test_what_is_refused(void **state) {
    static const vit_options bad[] = {{.merge = -1},
                                      {.merge = INT32_MIN},
                                      {.on_attention = see_nothing, .merge = 1},
                                      {.features = VIT_FEATURES_TOKENS, .merge = 1}};
    static const vit_options good = {.features = VIT_FEATURES_POOLED, .merge = 1};
    vit_config config = small_config();
    vit_model model;
    model_file file = model_make_open(&config, 75, &model);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(vit_workspace_size(&model, &bad[i], 1), 0);
        assert_int_equal(vit_forward_check(&model, &bad[i], 1), VIT_ERROR_ARGUMENT);
    }
    assert_int_equal(vit_forward_check(&model, &good, 1), VIT_OK);
    assert_int_equal(vit_rollout_workspace_size(&model, &good), 0);
    model_free(&file);
}

/* A pixel that is not a number makes logits that are not, and nothing worse. */
static void test_nan_spreads(void **state) {
    (void)state;
    for (int dtype = 0; dtype < VIT_DTYPE_COUNT; dtype++) {
        const vit_options options = {.merge = 3};
        vit_config config = small_config();
        vit_model model;
        model_file file = model_make_dtype(&config, (vit_dtype)dtype, 76, &model);
        float *pixels = allocate_floats(vit_pixels_count(&model, NULL)), logits[CLASSES];
        uint32_t random = 77;
        random_floats(&random, pixels, vit_pixels_count(&model, NULL));
        pixels[0] = (float)NAN;
        assert_status(forward(&model, &options, pixels, 1, logits), VIT_OK, "forward");
        for (int i = 0; i < CLASSES; i++) assert_true(isnan(logits[i]));
        free(pixels);
        model_free(&file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits_equal_pytorch),
        cmocka_unit_test(test_logits_are_the_same_for_any_batch_and_threads),
        cmocka_unit_test(test_each_block_has_fewer_tokens),
        cmocka_unit_test(test_the_workspace_is_no_larger),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_nan_spreads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
