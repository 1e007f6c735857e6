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

/* ---- the parts of it ---- */

static void test_the_most_similar_is_the_first_of_the_largest(void **state) {
    uint32_t random = 14;
    (void)state;
    for (int i = 0; i < 3000; i++) {
        float row[64], given[64], similarity = 0, most = -2;
        const int count = 1 + random_below(&random, 50), first = random_below(&random, count);
        int index = first;
        for (int n = 0; n < 64; n++) {
            row[n] = (float)random_below(&random, 9) / 4 - 1;
            if (random_below(&random, i % 4 * 8 + 1) > 2) row[n] = NAN;
        }
        memcpy(given, row, sizeof(row));
        for (int n = first; n < count; n++)
            if (row[n] > most) most = row[n], index = n;
        assert_int_equal(vit__most_similar(row, first, count, &similarity), index);
        assert_true(similarity == most);
        for (size_t n = vit__round16(count); n < 64; n++)
            assert_int_equal(bits_of(row[n]), bits_of(given[n]));
    }
}

/* Whether b comes before a. */
static int is_preferred(const float *x, int a, int b) {
    return x[b] > x[a] || (b < a && x[b] == x[a]);
}

static void test_the_most_similar_pairs_merge(void **state) {
    uint32_t random = 15;
    (void)state;
    for (int i = 0; i < 3000; i++) {
        float similarities[40];
        int32_t partners[40];
        const int count = 1 + random_below(&random, 40), first = random_below(&random, count);
        const int merged = random_below(&random, count - first + 1);
        for (int n = 0; n < 40; n++) {
            similarities[n] = (float)(1 + random_below(&random, 9)) / 4 - 2.1f;
            partners[n] = n * 3;
        }
        vit__choose(similarities, first, count, merged, partners);
        for (int n = 0; n < 40; n++) {
            int before = 0;
            for (int m = first; m < count; m++) before += is_preferred(similarities, n, m);
            int keeps = n >= count || (n >= first && before < merged);
            assert_int_equal(partners[n], keeps ? n * 3 : -1);
        }
    }
}

static void test_the_logarithm_of_a_size_is_near(void **state) {
    (void)state;
    for (int size = 1; size < 1 << 24; size += 1 + size / 1000) {
        const double want = log((double)size), got = (double)vit__log((float)size);
        if (!(fabs(got - want) <= 2e-6)) fail_msg("%d: %.9g, not %.9g", size, got, want);
    }
    assert_true(vit__log(1) == 0);
}

/* Keys of 2 images, 3 heads and 2 panels of tokens, as attention keeps them: their sum over the heads is
   that of the numbers that they were made of, within half a step each. */
static void check_sum_of_keys(vit__operand operand) {
    enum { IMAGES = 2, HEADS = 3, TOKENS = 32, WIDTH = 32, PANEL = WIDTH * VIT__PANEL };
    static float numbers[IMAGES * HEADS * TOKENS * WIDTH], keys[IMAGES * HEADS * TOKENS * WIDTH];
    float scales[IMAGES * HEADS * TOKENS] = {0}, sums[PANEL];
    int32_t key_sums[IMAGES * HEADS * TOKENS];
    uint32_t random = 16;
    vit__pass pass;
    memset(&pass, 0, sizeof(pass));
    pass.kernels = vit__kernels_of(vit_best_isa());
    pass.attention_operand = operand;
    pass.heads = pass.heads_at_once = HEADS, pass.head_width = WIDTH, pass.padded_tokens = TOKENS;
    pass.keys = keys, pass.key_scales = scales;
    random_floats(&random, numbers, COUNT_OF(numbers));
    for (size_t i = 0; i < IMAGES * HEADS * TOKENS / VIT__PANEL; i++) {
        float *panel = keys + vit__packed_size(operand, i * PANEL);
        const float *from = numbers + i * PANEL;
        if (operand == VIT__OPERAND_F32) memcpy(panel, from, PANEL * sizeof(float));
        else
            vit__kernels_for(&pass, operand)
                ->pack_panel(from, VIT__PANEL, WIDTH, vit__key_range(operand), panel,
                             scales + i * VIT__PANEL, key_sums + i * VIT__PANEL);
    }
    for (size_t image = 0; image < IMAGES; image++) {
        for (int first = 0; first < TOKENS; first += VIT__PANEL) {
            vit__part part = {image, 0, first, VIT__PANEL};
            vit__sum_panels(&pass, part, sums);
            for (size_t i = 0; i < PANEL; i++) {
                float want = 0, steps = 1e-5f;
                for (size_t head = 0; head < HEADS; head++) {
                    size_t token = (image * HEADS + head) * TOKENS + (size_t)first;
                    want += numbers[token * WIDTH + i];
                    steps += 0.5f * scales[token + i % VIT__PANEL];
                }
                assert_near(&sums[i], &want, 1, steps);
            }
        }
    }
}

static void test_keys_are_added_up_over_the_heads(void **state) {
    (void)state;
    check_sum_of_keys(VIT__OPERAND_F32);
    check_sum_of_keys(VIT__OPERAND_INT8);
    check_sum_of_keys(VIT__OPERAND_INT8X);
}

/* Also of columns that are too short to be told from zeros. */
static void test_columns_are_divided_by_their_lengths(void **state) {
    float columns[3][VIT__PANEL] = {{3, 1e-20f, 0, 2e-15f}, {4, 1e-20f, 0, 2e-15f}, {12, 0, 0, 0}};
    float inverse[VIT__PANEL];
    (void)state;
    vit__inverse_lengths(columns[0], 3, inverse);
    assert_true(fabsf(inverse[0] * 13 - 1) < 1e-6f);
    assert_true(fabsf(inverse[1] * 1e-15f - 1) < 1e-6f);
    assert_true(fabsf(inverse[2] * 1e-15f - 1) < 1e-6f);
    assert_true(fabsf(inverse[3] * 2.82842712e-15f - 1) < 1e-6f);
    for (int n = 4; n < VIT__PANEL; n++) assert_true(inverse[n] == inverse[2]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits_equal_pytorch),
        cmocka_unit_test(test_logits_are_the_same_for_any_batch_and_threads),
        cmocka_unit_test(test_each_block_has_fewer_tokens),
        cmocka_unit_test(test_the_workspace_is_no_larger),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_nan_spreads),
        cmocka_unit_test(test_the_most_similar_is_the_first_of_the_largest),
        cmocka_unit_test(test_the_most_similar_pairs_merge),
        cmocka_unit_test(test_the_logarithm_of_a_size_is_near),
        cmocka_unit_test(test_keys_are_added_up_over_the_heads),
        cmocka_unit_test(test_columns_are_divided_by_their_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
