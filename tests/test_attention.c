/* A look inside: what on_attention sees, attention rollout, and features instead of logits. */
#include "test_util.h"

enum { TOKENS = 16, HEADS = 3, BLOCKS = 2, CLASSES = 5, IMAGES = 3, PIXELS = 3 * 13 * 17 };

/* small_config's attention of some images, with the rest of the batch's results. */
typedef struct seen {
    int calls, stop_at;
    float rows[IMAGES][BLOCKS][HEADS][TOKENS][TOKENS];
    float logits[IMAGES * CLASSES];
} seen;

static int keep(void *user, const vit_attention *a) {
    seen *s = (seen *)user;
    const float *row = a->rows;
    assert_int_equal(a->tokens, TOKENS);
    for (int image = a->image; image < a->image + a->images; image++) {
        for (int head = a->head; head < a->head + a->heads; head++) {
            for (int query = 0; query < a->queries; query++, row += a->row_stride)
                memcpy(s->rows[image][a->block][head][query], row, TOKENS * sizeof(float));
        }
    }
    return ++s->calls == s->stop_at;
}

static void make_pixels(float *pixels) {
    uint32_t random = 3;
    random_floats(&random, pixels, IMAGES * PIXELS);
}

/* All that keep sees, with some options more. */
static seen *look(const vit_model *model, vit_options options) {
    float pixels[IMAGES * PIXELS];
    seen *s = (seen *)allocate(sizeof(*s));
    memset(s, 0, sizeof(*s));
    make_pixels(pixels);
    options.on_attention = keep, options.on_attention_user = s;
    assert_status(forward(model, &options, pixels, IMAGES, s->logits), VIT_OK, "forward");
    return s;
}

static double sum_of(const float *row, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) sum += (double)row[i];
    return sum;
}

static const vit_options all_tokens = {.all_tokens = 1};

static void test_every_row_of_attention_adds_up_to_1(void **state) {
    vit_config config = small_config();
    (void)state;
    for (int dtype = 0; dtype < VIT_DTYPE_COUNT; dtype++) {
        vit_model model;
        model_file file = model_make_dtype(&config, (vit_dtype)dtype, 41, &model);
        seen *s = look(&model, all_tokens);
        const float *rows = &s->rows[0][0][0][0][0];
        for (int i = 0; i < IMAGES * BLOCKS * HEADS * TOKENS; i++)
            assert_true(fabs(sum_of(rows + (size_t)i * TOKENS, TOKENS) - 1) <= 1e-6);
        free(s);
        model_free(&file);
    }
}

/* One head at a time, several threads: the numbers are the same, but for rounding with low_memory. */
static void test_attention_is_the_same_however_it_is_computed(void **state) {
    static const vit_options others[] = {
        {.all_tokens = 1, .low_memory = 1},
        {.threads = 2, .parallel_for = one_by_one, .all_tokens = 1},
        {.threads = 3, .parallel_for = one_by_one, .all_tokens = 1},
    };
    vit_config config = small_config();
    (void)state;
    for (int dtype = 0; dtype < VIT_DTYPE_COUNT; dtype++) {
        vit_model model;
        model_file file = model_make_dtype(&config, (vit_dtype)dtype, 42, &model);
        seen *want = look(&model, all_tokens);
        /* what differs by rounding may be quantized to the next integer */
        float tolerance = dtype == VIT_INT8 || dtype == VIT_INT8X ? 1e-3f : 1e-6f;
        assert_int_equal(want->calls, IMAGES * BLOCKS);
        for (size_t i = 0; i < COUNT_OF(others); i++) {
            seen *got = look(&model, others[i]);
            size_t count = sizeof(got->rows) / sizeof(float);
            assert_int_equal(got->calls, i == 0   ? IMAGES * BLOCKS * HEADS
                                         : i == 1 ? 2 * BLOCKS
                                                  : BLOCKS);
            if (i > 0)
                assert_same_bits(&got->rows[0][0][0][0][0], &want->rows[0][0][0][0][0], count);
            assert_near(&got->rows[0][0][0][0][0], &want->rows[0][0][0][0][0], count, tolerance);
            free(got);
        }
        free(want);
        model_free(&file);
    }
}

static void test_the_last_block_shows_the_tokens_in_use(void **state) {
    const vit_options none = {0};
    vit_config config = small_config();
    vit_model model;
    model_file file = model_make_open(&config, 43, &model);
    seen *all = look(&model, all_tokens), *few = look(&model, none);
    (void)state;
    for (int image = 0; image < IMAGES; image++) {
        for (int head = 0; head < HEADS; head++) {
            const float *row = few->rows[image][1][head][0];
            assert_near(row, all->rows[image][1][head][0], TOKENS, 1e-6f);
            assert_true(sum_of(row + TOKENS, TOKENS) == 0); /* the second query is not there */
        }
    }
    free(all), free(few);
    model_free(&file);
}

static void test_logits_do_not_depend_on_being_watched(void **state) {
    const vit_options none = {0};
    vit_config config = small_config();
    float pixels[IMAGES * PIXELS], want[IMAGES * CLASSES] = {0};
    (void)state;
    make_pixels(pixels);
    for (int dtype = 0; dtype < VIT_DTYPE_COUNT; dtype++) {
        vit_model model;
        model_file file = model_make_dtype(&config, (vit_dtype)dtype, 44, &model);
        assert_status(forward(&model, NULL, pixels, IMAGES, want), VIT_OK, "forward");
        seen *s = look(&model, none);
        assert_near(s->logits, want, IMAGES * CLASSES, 1e-5f * largest_of(want, IMAGES * CLASSES));
        free(s);
        model_free(&file);
    }
}

static void test_on_attention_stops_the_pass(void **state) {
    vit_config config = small_config();
    vit_model model;
    model_file file = model_make_open(&config, 45, &model);
    float pixels[IMAGES * PIXELS], logits[IMAGES * CLASSES];
    (void)state;
    make_pixels(pixels);
    for (int low_memory = 0; low_memory < 2; low_memory++) {
        for (int stop_at = 1; stop_at <= IMAGES * BLOCKS; stop_at++) {
            seen s;
            memset(&s, 0, sizeof(s));
            s.stop_at = stop_at;
            vit_options options = {
                .on_attention = keep, .on_attention_user = &s, .low_memory = low_memory};
            assert_status(forward(&model, &options, pixels, IMAGES, logits), VIT_ERROR_STOPPED,
                          "stop");
            assert_int_equal(s.calls, stop_at);
        }
    }
    model_free(&file);
}

static int see_nothing(void *user, const vit_attention *a) {
    (void)user, (void)a;
    return 0;
}

static void test_only_who_watches_pays(void **state) {
    const vit_options watched = {.on_attention = see_nothing};
    vit_config config = small_config();
    vit_model model;
    model_file file = model_make_open(&config, 46, &model);
    size_t more = (size_t)HEADS * TOKENS * 16 * sizeof(float);
    (void)state;
    assert_int_equal(vit_workspace_size(&model, &watched, 1),
                     vit_workspace_size(&model, NULL, 1) + more);
    model_free(&file);
}

/* ---- rollout ---- */

/* All blocks' matrices multiplied with each other: row `token` of the product. */
static void multiply_out(const seen *s, int image, int token, double *row) {
    double product[TOKENS][TOKENS] = {{0}};
    for (int i = 0; i < TOKENS; i++) product[i][i] = 1;
    for (int block = 0; block < BLOCKS; block++) {
        double next[TOKENS][TOKENS] = {{0}};
        for (int i = 0; i < TOKENS; i++) {
            for (int k = 0; k < TOKENS; k++) {
                double share = i == k ? 0.5 : 0;
                for (int head = 0; head < HEADS; head++)
                    share += (double)s->rows[image][block][head][i][k] / (2 * HEADS);
                for (int j = 0; j < TOKENS; j++) next[i][j] += share * product[k][j];
            }
        }
        memcpy(product, next, sizeof(product));
    }
    memcpy(row, product[token], sizeof(product[token]));
}

static vit_status roll_out(const vit_model *model, const vit_options *options, const void *pixels,
                           int token, float *logits, float *rollout) {
    guarded w = guarded_make(vit_rollout_workspace_size(model, options), 0);
    vit_status status =
        vit_rollout(model, options, pixels, IMAGES, logits, token, rollout, w.bytes, w.size);
    guarded_free(&w);
    return status;
}

static void test_rollout_is_the_product_of_all_blocks(void **state) {
    static const vit_options ways[] = {
        {0}, {.low_memory = 1}, {.threads = 3, .parallel_for = one_by_one}};
    vit_config config = small_config();
    float pixels[IMAGES * PIXELS], want_logits[IMAGES * CLASSES];
    (void)state;
    make_pixels(pixels);
    for (int dtype = 0; dtype < VIT_DTYPE_COUNT; dtype++) {
        vit_model model;
        model_file file = model_make_dtype(&config, (vit_dtype)dtype, 47, &model);
        seen *s = look(&model, all_tokens);
        assert_status(forward(&model, NULL, pixels, IMAGES, want_logits), VIT_OK, "forward");
        for (int token = 0; token < TOKENS; token += 5) {
            float got[IMAGES][TOKENS], logits[IMAGES * CLASSES];
            const vit_options *options = &ways[(size_t)token % COUNT_OF(ways)];
            assert_status(roll_out(&model, options, pixels, token, logits, got[0]), VIT_OK,
                          "rollout");
            assert_near(logits, want_logits, IMAGES * CLASSES,
                        1e-5f * largest_of(want_logits, IMAGES * CLASSES));
            for (int image = 0; image < IMAGES; image++) {
                double want[TOKENS];
                multiply_out(s, image, token, want);
                for (int t = 0; t < TOKENS; t++)
                    assert_true(fabs((double)got[image][t] - want[t]) <= 1e-6);
                assert_true(fabs(sum_of(got[image], TOKENS) - 1) <= 1e-6);
            }
        }
        free(s);
        model_free(&file);
    }
}

/* Of a class token that is token 0's; of a mean the mean of its tokens'; of both half and half. */
static void test_rollout_of_what_the_head_reads(void **state) {
    static const int heads[][2] = {{1, 0}, {0, 1}, {0, 2}, {1, 1}}; /* tokens, mean */
    float pixels[IMAGES * PIXELS];
    (void)state;
    make_pixels(pixels);
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        float got[IMAGES][TOKENS], one[IMAGES][TOKENS], logits[IMAGES * CLASSES];
        double want[TOKENS] = {0}, pooled = heads[i][0] + (heads[i][1] > 0);
        int first = heads[i][1] == 2 ? 0 : 1;
        vit_config config = small_config();
        vit_model model;
        config.head_tokens = heads[i][0], config.head_avg = heads[i][1];
        model_file file = model_make_open(&config, 52, &model);
        assert_status(roll_out(&model, NULL, pixels, -1, logits, got[0]), VIT_OK, "rollout");
        for (int token = 0; token < TOKENS; token++) {
            double share = heads[i][1] && token >= first ? 1.0 / (TOKENS - first) : 0;
            if (token < heads[i][0]) share += 1;
            assert_status(roll_out(&model, NULL, pixels, token, logits, one[0]), VIT_OK, "one");
            for (int t = 0; t < TOKENS; t++) want[t] += share / pooled * (double)one[0][t];
        }
        for (int t = 0; t < TOKENS; t++) assert_true(fabs((double)got[0][t] - want[t]) <= 1e-6);
        model_free(&file);
    }
}

static void test_rollout_refuses_what_it_cannot_do(void **state) {
    vit_config config = small_config();
    vit_model model;
    model_file file = model_make_open(&config, 48, &model);
    float pixels[IMAGES * PIXELS], logits[CLASSES], rollout[TOKENS];
    const vit_options bad = {.threads = -1};
    size_t need = vit_rollout_workspace_size(&model, NULL);
    guarded w = guarded_make(need, 1);
    (void)state;
    make_pixels(pixels);
#define ROLLOUT(model, options, pixels, batch, logits, token, rollout, size) \
    vit_rollout(model, options, pixels, batch, logits, token, rollout, w.bytes, size)
    assert_int_equal(ROLLOUT(&model, NULL, pixels, 1, logits, 0, rollout, need), VIT_OK);
    assert_int_equal(ROLLOUT(&model, NULL, pixels, 1, logits, 0, rollout, need - 1),
                     VIT_ERROR_WORKSPACE);
    assert_int_equal(ROLLOUT(&model, NULL, pixels, 1, logits, -2, rollout, need),
                     VIT_ERROR_ARGUMENT);
    assert_int_equal(ROLLOUT(&model, NULL, pixels, 1, logits, TOKENS, rollout, need),
                     VIT_ERROR_ARGUMENT);
    assert_int_equal(ROLLOUT(&model, NULL, pixels, 0, logits, 0, rollout, need),
                     VIT_ERROR_ARGUMENT);
    assert_int_equal(ROLLOUT(&model, NULL, NULL, 1, logits, 0, rollout, need), VIT_ERROR_ARGUMENT);
    assert_int_equal(ROLLOUT(&model, NULL, pixels, 1, NULL, 0, rollout, need), VIT_ERROR_ARGUMENT);
    assert_int_equal(ROLLOUT(&model, NULL, pixels, 1, logits, 0, NULL, need), VIT_ERROR_ARGUMENT);
    assert_int_equal(ROLLOUT(NULL, NULL, pixels, 1, logits, 0, rollout, need), VIT_ERROR_ARGUMENT);
    assert_int_equal(ROLLOUT(&model, &bad, pixels, 1, logits, 0, rollout, need),
                     VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_rollout_workspace_size(&model, &bad), 0);
    assert_int_equal(vit_rollout_workspace_size(NULL, NULL), 0);
    guarded_free(&w);
    model_free(&file);
}

/* ---- features ---- */

/* What PyTorch has after the final norm: tiny's tokens, tiny_avg's normalised mean. */
static void test_features_equal_pytorch(void **state) {
    static const char *const names[] = {"tiny", "tiny_avg"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        char path[64];
        vit_model model;
        snprintf(path, sizeof(path), GOLDEN "%s.vit", names[i]);
        assert_status(vit_model_load(&model, path, NULL), VIT_OK, path);
        const vit_options options = {.features =
                                         i == 0 ? VIT_FEATURES_TOKENS : VIT_FEATURES_POOLED};
        size_t count = vit_output_count(&model, &options);
        size_t dim = (size_t)vit_model_config(&model)->embed_dim;
        assert_int_equal(count, i == 0 ? (size_t)vit_token_count(&model, NULL) * dim : dim);
        snprintf(path, sizeof(path), "%s_pixels.f32", names[i]);
        float *pixels = golden_floats(path, vit_pixels_count(&model, NULL));
        snprintf(path, sizeof(path), "%s_norm.f32", names[i]);
        float *want = golden_floats(path, count), *got = allocate_floats(count);
        assert_status(forward(&model, &options, pixels, 1, got), VIT_OK, "forward");
        assert_near(got, want, count, 1e-5f * largest_of(want, count));
        free(pixels), free(want), free(got);
        vit_model_close(&model);
    }
}

/* Pooled features are those of the tokens, whatever the head reads. */
static void test_pooled_features_are_made_of_the_tokens(void **state) {
    static const int heads[][2] = {{1, 0}, {2, 0}, {1, 1}, {0, 1}, {0, 2}}; /* tokens, mean */
    (void)state;
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        const vit_options pooled = {.features = VIT_FEATURES_POOLED};
        const vit_options tokens = {.features = VIT_FEATURES_TOKENS};
        enum { DIM = 20, ROWS = TOKENS + 1 };
        float pixels[IMAGES * PIXELS], got[IMAGES][2 * DIM], all[IMAGES][ROWS][DIM];
        vit_config config = small_config();
        vit_model model;
        config.prefix_tokens = 2, config.head_tokens = heads[i][0], config.head_avg = heads[i][1];
        config.num_classes = i % 2 == 0 ? 5 : 0;
        config.output = i % 2 == 0 ? VIT_OUTPUT_SOFTMAX : VIT_OUTPUT_EMBEDDING;
        model_file file = model_make_open(&config, 49, &model);
        int count = heads[i][0] + (heads[i][1] > 0), first = heads[i][1] == 1 ? 2 : 0;
        make_pixels(pixels);
        assert_int_equal(vit_output_count(&model, &pooled), count * DIM);
        assert_int_equal(vit_output_count(&model, NULL), i % 2 == 0 ? 5 : count * DIM);
        assert_int_equal(vit_output_count(&model, &tokens), ROWS * DIM);
        assert_status(forward(&model, &pooled, pixels, 1, got[0]), VIT_OK, "pooled");
        assert_status(forward(&model, &tokens, pixels, IMAGES, all[0][0]), VIT_OK, "tokens");
        for (int d = 0; d < DIM; d++) {
            double mean = 0;
            for (int t = first; t < ROWS; t++) mean += (double)all[0][t][d] / (ROWS - first);
            for (int t = 0; t < heads[i][0]; t++)
                assert_true(fabsf(got[0][t * DIM + d] - all[0][t][d]) <= 1e-5f);
            if (heads[i][1])
                assert_true(fabs((double)got[0][(count - 1) * DIM + d] - mean) <= 1e-5);
        }
        model_free(&file);
    }
}

/* Each image of a batch, on several threads too, has the bits that it has alone. */
static void test_features_are_the_same_for_any_batch(void **state) {
    vit_config config = small_config();
    vit_model model;
    model_file file = model_make_open(&config, 50, &model);
    float pixels[IMAGES * PIXELS];
    (void)state;
    make_pixels(pixels);
    for (int features = VIT_FEATURES_NONE; features < VIT_FEATURES_COUNT; features++) {
        vit_options options = {.features = (vit_features)features};
        size_t count = vit_output_count(&model, &options);
        float *want = allocate_floats(IMAGES * count), *got = allocate_floats(IMAGES * count);
        for (size_t i = 0; i < IMAGES; i++)
            assert_status(forward(&model, &options, pixels + i * PIXELS, 1, want + i * count),
                          VIT_OK, "one");
        for (int threads = 0; threads < 3; threads++) {
            options.threads = threads, options.parallel_for = threads > 0 ? one_by_one : NULL;
            assert_status(forward(&model, &options, pixels, IMAGES, got), VIT_OK, "all");
            assert_same_bits(got, want, IMAGES * count);
        }
        free(want), free(got);
    }
    model_free(&file);
}

static void test_features_out_of_range_are_refused(void **state) {
    const vit_options bad = {.features = VIT_FEATURES_COUNT};
    vit_config config = small_config();
    vit_model model;
    model_file file = model_make_open(&config, 51, &model);
    (void)state;
    assert_int_equal(vit_output_count(&model, &bad), 0);
    assert_int_equal(vit_token_count(&model, &bad), 0);
    assert_int_equal(vit_token_count(&model, NULL), TOKENS);
    assert_int_equal(vit_workspace_size(&model, &bad, 1), 0);
    model_free(&file);
}

static int stop_at_once(void *user, const vit_block_output *output) {
    (void)user, (void)output;
    return 1;
}

static void test_rollout_takes_bytes_and_stops(void **state) {
    vit_config config = small_config();
    vit_model model;
    model_file file = model_make_open(&config, 90, &model);
    unsigned char bytes[IMAGES * PIXELS];
    float logits[IMAGES * CLASSES], all[IMAGES * TOKENS], one[TOKENS];
    const vit_options options = {.pixel_type = VIT_PIXELS_U8};
    vit_options stops = options;
    uint32_t random = 91;
    (void)state;
    random_bytes(&random, bytes, sizeof(bytes));
    assert_status(roll_out(&model, &options, bytes, 0, logits, all), VIT_OK, "bytes");
    size_t need = vit_rollout_workspace_size(&model, &options);
    unsigned char *workspace = (unsigned char *)allocate(need);
    for (size_t i = 0; i < IMAGES; i++) {
        assert_status(
            vit_rollout(&model, &options, bytes + i * PIXELS, 1, logits, 0, one, workspace, need),
            VIT_OK, "one");
        assert_same_bits(one, all + i * TOKENS, TOKENS);
    }
    stops.on_block = stop_at_once;
    assert_status(vit_rollout(&model, &stops, bytes, IMAGES, logits, 0, all, workspace, need),
                  VIT_ERROR_STOPPED, "stopped");
    free(workspace);
    model_free(&file);
}

static void test_rollout_needs_its_arguments_and_memory(void **state) {
    static vit_model closed; /* all zero */
    vit_config config = small_config();
    vit_model model;
    model_file file = model_make_open(&config, 92, &model);
    float pixels[PIXELS] = {0}, logits[CLASSES], rollout[TOKENS];
    size_t need = vit_rollout_workspace_size(&model, NULL);
    unsigned char *workspace = (unsigned char *)allocate(need);
    (void)state;
    assert_int_equal(vit_rollout_workspace_size(&closed, NULL), 0);
    assert_status(vit_rollout(&model, NULL, pixels, 1, logits, 0, NULL, workspace, need),
                  VIT_ERROR_ARGUMENT, "rollout");
    assert_status(vit_rollout(&model, NULL, pixels, 1, logits, 0, rollout, NULL, need),
                  VIT_ERROR_ARGUMENT, "workspace");
    free(workspace);
    /* 2^20 blocks of 2^48 numbers, of which vit_forward needs none */
    vit__rollout r = {.tokens = (size_t)1 << 24};
    model.config.depth = 1 << 20;
    assert_int_equal(vit__rollout_carve(&r, &model, NULL), 0);
    model_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_of_attention_adds_up_to_1),
        cmocka_unit_test(test_attention_is_the_same_however_it_is_computed),
        cmocka_unit_test(test_the_last_block_shows_the_tokens_in_use),
        cmocka_unit_test(test_logits_do_not_depend_on_being_watched),
        cmocka_unit_test(test_on_attention_stops_the_pass),
        cmocka_unit_test(test_only_who_watches_pays),
        cmocka_unit_test(test_rollout_is_the_product_of_all_blocks),
        cmocka_unit_test(test_rollout_of_what_the_head_reads),
        cmocka_unit_test(test_rollout_refuses_what_it_cannot_do),
        cmocka_unit_test(test_features_equal_pytorch),
        cmocka_unit_test(test_pooled_features_are_made_of_the_tokens),
        cmocka_unit_test(test_features_are_the_same_for_any_batch),
        cmocka_unit_test(test_features_out_of_range_are_refused),
        cmocka_unit_test(test_rollout_takes_bytes_and_stops),
        cmocka_unit_test(test_rollout_needs_its_arguments_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
