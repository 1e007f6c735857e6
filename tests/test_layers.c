/* The layers, each alone, and the whole model for many configs against a plain reference. */
#include "reference.h"

/* ---- attention against PyTorch: 2 heads, 13 tokens, 24 wide; twice, as two images ---- */

enum { HEADS = 2, TOKENS = 13, WIDTH = 24, WIDE = 32, INNER = 64, IMAGES = 2 };

/* A pass that has no model: what attention needs, and dirty buffers. */
typedef struct attention_rig {
    vit_config config;
    vit_options options;
    vit__pass pass;
    float *memory;
} attention_rig;

static void rig_make(attention_rig *rig, int queries) {
    size_t rows = IMAGES * TOKENS * INNER, keys = IMAGES * 16 * INNER;
    size_t scratch = 32 * INNER + 16 * 32; /* a slice, and 16 tokens */
    memset(rig, 0, sizeof(*rig));
    rig->config.num_heads = HEADS, rig->config.head_dim = WIDTH;
    rig->memory = allocate_floats(2 * rows + scratch + keys);
    memset(rig->memory, 0xFF, (2 * rows + scratch + keys) * sizeof(float));
    vit__pass *pass = &rig->pass;
    pass->config = &rig->config, pass->options = &rig->options;
    pass->images = IMAGES, pass->tokens = TOKENS, pass->rows_per_image = queries;
    pass->kernels = vit__kernels_of(vit_best_isa());
    pass->padded_tokens = 16, pass->heads = pass->heads_at_once = HEADS, pass->head_width = WIDE;
    pass->inner = INNER, pass->queries_at_once = VIT__TILE_ROWS;
    pass->queries.stride = INNER;
    pass->queries.data = rig->memory, pass->values = rig->memory + rows;
    pass->scratch = pass->values + rows, pass->keys = pass->scratch + scratch;
    pass->scratch_size = scratch, pass->slice_size = 32 * INNER;
}

/* A token of golden [head][token][24] as a row of padded heads. */
static void golden_row(const float *golden, int token, float row[INNER]) {
    memset(row, 0, INNER * sizeof(float));
    for (int head = 0; head < HEADS; head++)
        memcpy(row + head * WIDE, golden + (head * TOKENS + token) * WIDTH, WIDTH * sizeof(float));
}

/* In the place of the queries: keys come there too. */
static void put_rows(const attention_rig *rig, const float *golden, int rows) {
    for (int row = 0; row < IMAGES * rows; row++)
        golden_row(golden, row % rows, rig->pass.queries.data + row * INNER);
}

static void put_values(const attention_rig *rig, const float *golden) {
    for (int i = 0; i < IMAGES * TOKENS; i++) {
        float row[INNER];
        golden_row(golden, i % TOKENS, row);
        for (int n = 0; n < INNER; n++) {
            int panel = i / TOKENS * INNER / 16 + n / 16;
            rig->pass.values[(panel * TOKENS + i % TOKENS) * 16 + n % 16] = row[n];
        }
    }
}

/* Within 1e-5: scores reach 60 here, and their rounding becomes a relative error of the weights. */
static void check_attention(int queries) {
    const int size = HEADS * TOKENS * WIDTH;
    float *golden = golden_floats("attention.f32", 4 * (size_t)size);
    attention_rig rig;
    rig_make(&rig, queries);
    put_rows(&rig, golden + size, TOKENS);
    for (int task = 0; task < IMAGES * HEADS; task++) vit__key_task(&rig.pass, task, 0);
    put_values(&rig, golden + 2 * size);
    put_rows(&rig, golden, queries);
    vit__attention(&rig.pass);
    for (int row = 0; row < IMAGES * queries; row++) {
        for (int head = 0; head < HEADS; head++) {
            const float *got = rig.pass.queries.data + row * INNER + head * WIDE;
            assert_near(got, golden + 3 * size + (head * TOKENS + row % queries) * WIDTH, WIDTH,
                        1e-5f);
            for (int i = WIDTH; i < WIDE; i++) assert_true(got[i] == 0);
        }
    }
    free(rig.memory);
    free(golden);
}

static void test_attention_equals_pytorch_for_any_number_of_queries(void **state) {
    (void)state;
    for (int queries = 1; queries <= TOKENS; queries++) check_attention(queries);
}

/* ---- whole models against the reference ---- */

static int between(uint32_t *random, int low, int high) {
    return low + random_below(random, high - low + 1);
}

/* Any config of few numbers, and each option now and then. */
static vit_config random_config(uint32_t *random) {
    vit_config c = small_config();
    for (int i = 0; i < 2; i++) {
        c.patch_size[i] = between(random, 1, 6);
        c.img_size[i] =
            c.patch_size[i] * between(random, 1, 6) + random_below(random, c.patch_size[i]);
    }
    c.in_chans = between(random, 1, 6);
    c.num_classes = between(random, 1, 40);
    c.embed_dim = between(random, 2, 40);
    c.depth = between(random, 1, 3);
    c.num_heads = between(random, 1, 4);
    c.head_dim = between(random, 1, 35);
    c.mlp_dim = between(random, 1, 70);
    c.prefix_tokens = between(random, 0, 5);
    c.head_tokens = between(random, 0, c.prefix_tokens);
    c.head_avg = random_below(random, 3);
    if (c.head_tokens == 0 && c.head_avg == 0) c.head_avg = 1;
    c.final_norm = (vit_final_norm)random_below(random, VIT_FINAL_NORM_COUNT);
    c.norm_pre = random_below(random, 4) == 0, c.qk_norm = random_below(random, 4) == 0;
    c.post_norm = random_below(random, 4) == 0, c.patch_norm = random_below(random, 4) == 0;
    c.embed_norm = random_below(random, 4) == 0;
    c.pre_logits = random_below(random, 2) ? between(random, 1, 40) : 0;
    if (random_below(random, 10) == 0) c.pre_logits = 2000; /* wider than all other buffers */
    c.pre_logits_l2 = c.pre_logits > 0 && random_below(random, 4) == 0;
    c.act = (vit_act)random_below(random, VIT_ACT_COUNT);
    c.norm_eps = random_below(random, 2) ? 1e-5f : 0.5f;
    if (random_below(random, 8) > 0) return c;
    c.num_classes = c.pre_logits = c.pre_logits_l2 = 0, c.output = VIT_OUTPUT_EMBEDDING;
    return c;
}

#define ROUNDING 2e-5f /* of floats, relative to the largest logit */

typedef struct tally {
    size_t logits, off; /* by more than the rounding of floats */
} tally;

static int is_near(const float *got, const float *want, size_t count, float tolerance) {
    for (size_t i = 0; i < count; i++) {
        if (!(fabsf(got[i] - want[i]) <= tolerance)) return 0;
    }
    return 1;
}

/* Where activations become integers or bf16, one in the middle between two may become either, which in a
   small model shows. Then what is wanted for pixels that are some units in the last place away is near. */
static void want_for_neighbours(const vit_model *model, float *pixels, const float *got,
                                float *want, float tolerance) {
    uint32_t random = 30;
    size_t classes = vit_output_count(model, NULL);
    for (int i = 0; i < 64 && !is_near(got, want, classes, tolerance); i++) {
        for (size_t k = 0; k < vit_pixels_count(model, NULL); k++)
            pixels[k] = nextafterf(pixels[k], random_below(&random, 2) ? 9.0f : -9.0f);
        reference_forward(model, pixels, want);
    }
}

/* Three images; within so much of the largest logit. */
static void check_config(uint32_t *random, vit_dtype dtype, float tolerance, tally *t) {
    vit_config config = random_config(random);
    vit_model model;
    model_file file = model_make_dtype(&config, dtype, random_u32(random), &model);
    size_t count = vit_pixels_count(&model, NULL), classes = vit_output_count(&model, NULL);
    float *pixels = allocate_floats(3 * count), *got = allocate_floats(3 * classes);
    float *want = allocate_floats(classes);
    vit_options options = {0};
    options.low_memory = random_below(random, 2);
    random_floats(random, pixels, 3 * count);
    assert_status(forward(&model, &options, pixels, 3, got), VIT_OK, vit_dtype_name(dtype));
    for (size_t image = 0; image < 3; image++) {
        reference_forward(&model, pixels + image * count, want);
        float scale = largest_of(want, classes) + 0.5f;
        t->logits += classes;
        for (size_t i = 0; i < classes; i++)
            t->off += fabsf(got[image * classes + i] - want[i]) > ROUNDING * scale;
        if (tolerance > ROUNDING)
            want_for_neighbours(&model, pixels + image * count, got + image * classes, want,
                                tolerance * scale);
        assert_near(got + image * classes, want, classes, tolerance * scale);
    }
    free(pixels), free(got), free(want);
    model_free(&file);
}

static void test_logits_of_any_config_agree_with_the_reference(void **state) {
    uint32_t random = 20;
    (void)state;
    tally t = {0, 0};
    for (int i = 0; i < 150; i++) check_config(&random, VIT_F32, ROUNDING, &t);
}

/* Where activations are integers or bf16, one that lies between two may become either, which shows in
   about one logit of ten. */
static void test_logits_of_any_type_of_weights_agree_with_the_reference(void **state) {
    uint32_t random = 21;
    (void)state;
    tally t[VIT_DTYPE_COUNT] = {{0, 0}};
    for (int i = 0; i < 40; i++) {
        for (int dtype = VIT_F16; dtype < VIT_DTYPE_COUNT; dtype++) {
            float tolerance = takes_bf16((vit__dtype)dtype) ? 0.005f : ROUNDING;
            if (dtype == VIT_INT8 || dtype == VIT_INT8X) tolerance = 0.02f;
            check_config(&random, (vit_dtype)dtype, tolerance, &t[dtype]);
        }
    }
    for (int dtype = VIT_F16; dtype < VIT_DTYPE_COUNT; dtype++)
        assert_true(t[dtype].off < t[dtype].logits / 7 + 1);
}

/* The size of a workspace from the config alone, for a program on the host. */
static void test_the_size_of_the_workspace_follows_from_the_config(void **state) {
    uint32_t random = 22;
    (void)state;
    for (int i = 0; i < 500; i++) {
        vit_config c = random_config(&random);
        vit_dtype dtype = (vit_dtype)(i % VIT_DTYPE_COUNT);
        vit_options options = {0};
        vit_model model;
        if (i % 10 == 0) c.embed_dim = 512, c.mlp_dim = 2048; /* rows are spaced */
        model_file file = model_make_dtype(&c, dtype, 23, &model);
        options.low_memory = random_below(&random, 2);
        int batch = 1 + random_below(&random, 3);
        size_t size = vit_workspace_size(&model, &options, batch);
        assert_true(size > 0);
        assert_int_equal(vit_config_workspace_size(&c, dtype, &options, batch), size);
        assert_int_equal(vit_config_workspace_size(&c, dtype, &options, 0), 0);
        assert_int_equal(vit_config_workspace_size(&c, VIT_DTYPE_COUNT, &options, batch), 0);
        c.depth = 0; /* which no model has */
        assert_int_equal(vit_config_workspace_size(&c, dtype, &options, batch), 0);
        model_free(&file);
    }
    assert_int_equal(vit_config_workspace_size(NULL, VIT_F32, NULL, 1), 0);
}

/* ---- patch embedding ---- */

/* Keeps a copy of the rows, where they lie, behind a block. */
typedef struct block_copy {
    int block;
    float rows[4096];
    vit_block_output output;
} block_copy;

static int keep_block(void *user, const vit_block_output *output) {
    block_copy *copy = (block_copy *)user;
    size_t count = (size_t)(output->images * output->tokens) * output->row_stride;
    if (output->block != copy->block) return 0;
    assert_true(count <= COUNT_OF(copy->rows));
    memcpy(copy->rows, output->rows, count * sizeof(float));
    copy->output = *output;
    return 0;
}

/* HWC bytes of count images -> floats as vit_preprocess writes them. */
static void normalise(const vit_config *c, const unsigned char *bytes, int count, float *out) {
    int plane = c->img_size[0] * c->img_size[1];
    for (int image = 0; image < count; image++) {
        for (int i = 0; i < plane * c->in_chans; i++) {
            unsigned char value = bytes[image * plane * c->in_chans + i];
            int channel = i % c->in_chans;
            out[(image * c->in_chans + channel) * plane + i / c->in_chans] =
                vit__normalize(&c->preprocess, channel, value);
        }
    }
}

static void test_bytes_give_the_same_bits_as_their_normalised_floats(void **state) {
    uint32_t random = 21;
    (void)state;
    for (int chans = 1; chans <= 6; chans++) {
        vit_config config = small_config();
        vit_options options = {.pixel_type = VIT_PIXELS_U8};
        vit_model model;
        float got[15] = {0}, want[15] = {0};
        config.in_chans = chans;
        model_file file = model_make_open(&config, 22, &model);
        size_t count = 3 * vit_pixels_count(&model, NULL);
        unsigned char *bytes = (unsigned char *)allocate(count);
        float *floats = allocate_floats(count);
        random_bytes(&random, bytes, count);
        normalise(&config, bytes, 3, floats);
        assert_status(forward(&model, NULL, floats, 3, want), VIT_OK, "floats");
        assert_status(forward(&model, &options, bytes, 3, got), VIT_OK, "bytes");
        assert_same_bits(got, want, 15);
        free(bytes);
        free(floats);
        model_free(&file);
    }
}

static void test_a_byte_is_normalised_as_torchvision_does(void **state) {
    vit_config config = small_config();
    (void)state;
    for (int value = 0; value < 256; value++) {
        for (int c = 0; c < 5; c++) {
            float want = (float)value / 255.0f;
            if (c < 4) want = (want - 0.25f * (float)c) / 0.5f;
            float got = vit__normalize(&config.preprocess, c, (unsigned char)value);
            assert_same_bits(&got, &want, 1);
        }
    }
}

/* Pixels that no patch covers, below and to the right, change nothing. */
static void test_pixels_outside_the_grid_are_not_read(void **state) {
    vit_config config = small_config(); /* 13 x 17 pixels, 12 x 15 in patches */
    vit_model model;
    model_file file = model_make_open(&config, 23, &model);
    float pixels[3 * 13 * 17], got[5] = {0}, want[5] = {0};
    uint32_t random = 24;
    (void)state;
    random_floats(&random, pixels, COUNT_OF(pixels));
    assert_status(forward(&model, NULL, pixels, 1, want), VIT_OK, "forward");
    for (int i = 0; i < 3 * 13 * 17; i++) {
        if (i / 17 % 13 >= 12 || i % 17 >= 15) pixels[i] = NAN;
    }
    assert_status(forward(&model, NULL, pixels, 1, got), VIT_OK, "forward");
    assert_same_bits(got, want, 5);
    model_free(&file);
}

/* ---- the residual stream ---- */

static void test_padding_of_the_residual_stream_is_zero_in_every_block(void **state) {
    vit_config config = small_config();
    vit_model model;
    model_file file = model_make_open(&config, 25, &model);
    float pixels[2 * 3 * 13 * 17], logits[10];
    uint32_t random = 26;
    (void)state;
    random_floats(&random, pixels, COUNT_OF(pixels));
    for (int block = 0; block < config.depth; block++) {
        block_copy copy = {block, {0}, {0, 0, 0, 0, 0, 0, NULL}};
        vit_options options = {.on_block = keep_block, .on_block_user = &copy};
        assert_status(forward(&model, &options, pixels, 1, logits), VIT_OK, "forward");
        assert_int_equal(copy.output.tokens, block == config.depth - 1 ? 1 : 16);
        assert_int_equal(copy.output.embed_dim, 20);
        assert_int_equal(copy.output.row_stride, 32);
        for (int row = 0; row < copy.output.tokens; row++) {
            for (int i = 20; i < 32; i++) assert_true(copy.rows[row * 32 + i] == 0);
        }
    }
    model_free(&file);
}

static void test_keep_tokens_packs_the_first_of_each_image(void **state) {
    enum { DIM = 16, ALL = 5, KEEP = 2, COUNT = 3 };
    float x[COUNT * ALL * DIM];
    vit__pass pass;
    (void)state;
    memset(&pass, 0, sizeof(pass));
    pass.images = COUNT, pass.tokens = ALL;
    pass.x.data = x, pass.x.stride = DIM;
    for (int i = 0; i < COUNT * ALL * DIM; i++) x[i] = (float)i;
    vit__keep_tokens(&pass, KEEP);
    for (int i = 0; i < COUNT * KEEP * DIM; i++)
        assert_true(x[i] == (float)(i / (KEEP * DIM) * (ALL * DIM) + i % (KEEP * DIM)));
}

static void test_pool_takes_the_prefix_and_a_mean(void **state) {
    vit_config config = small_config(); /* 15 patches */
    vit__pass pass;
    float rows[2 * 18 * 32], pooled[2 * 3 * 32];
    uint32_t random = 27;
    (void)state;
    config.prefix_tokens = 3, config.head_tokens = 2;
    random_floats(&random, rows, COUNT_OF(rows));
    memset(&pass, 0, sizeof(pass));
    pass.config = &config, pass.images = 2, pass.tokens = pass.first_tokens = 18,
    pass.rows_per_image = 18;
    pass.dim = 32, pass.pooled.data = pooled, pass.pooled.stride = 3 * 32;
    pass.x.data = rows, pass.x.stride = 32;
    for (int image = 0; image < 4; image++) { /* two of the patches' mean, two of all tokens' */
        config.head_avg = 1 + image / 2;
        vit__pool(&pass);
        const float *in = rows + image % 2 * 18 * 32, *out = pooled + image % 2 * 3 * 32;
        assert_same_bits(out, in, 2 * 32);
        for (int i = 0; i < 32; i++) {
            int first = image < 2 ? 3 : 0;
            double mean = 0;
            for (int t = first; t < 18; t++) mean += (double)in[t * 32 + i] / (18 - first);
            assert_true(fabs((double)out[64 + i] - mean) < 1e-6);
        }
    }
}

/* ---- what is not finite in a pixel or a weight: no logit hides it, with any type of weights ---- */

static int none_is_finite(const float *logits, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (vit__is_finite(logits[i])) return 0;
    }
    return 1;
}

static float not_finite(size_t i) {
    return i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
}

/* Two images, of which the second has one pixel that is not finite. */
static void check_pixel(const vit_model *model, size_t pixel, float value, int low_memory) {
    size_t count = vit_pixels_count(model, NULL);
    size_t classes = (size_t)vit_model_config(model)->num_classes;
    float *pixels = allocate_floats(2 * count), *got = allocate_floats(2 * classes);
    float *want = allocate_floats(2 * classes);
    vit_options options;
    uint32_t random = 50;
    memset(&options, 0, sizeof(options));
    options.low_memory = low_memory;
    random_floats(&random, pixels, 2 * count);
    assert_status(forward(model, &options, pixels, 2, want), VIT_OK, "finite");
    pixels[count + pixel] = value;
    assert_status(forward(model, &options, pixels, 2, got), VIT_OK, "not finite");
    assert_same_bits(got, want, classes);
    assert_true(none_is_finite(got + classes, classes));
    free(pixels), free(got), free(want);
}

static void test_a_pixel_that_is_not_finite_leaves_no_logit_finite(void **state) {
    const vit_config config = small_config();
    (void)state;
    for (int dtype = 0; dtype < VIT_DTYPE_COUNT; dtype++) {
        vit_model model;
        model_file file = model_make_dtype(&config, (vit_dtype)dtype, 51, &model);
        for (size_t y = 0; y < 12; y += 5) { /* within the patches: 12 x 15 pixels of 13 x 17 */
            for (size_t x = 0; x < 15; x++)
                check_pixel(&model, (x % 3 * 13 + y) * 17 + x, not_finite(x / 3), (int)(x & 1));
        }
        model_free(&file);
    }
}

/* Number i of a tensor becomes one that is not finite: a float of rows; with `bias` a bias; else a
   weight or, where weights are integers, a scale. */
static void spoil(const vit__tensor *t, unsigned char *data, vit__dtype dtype, int bias, int i,
                  float value) {
    unsigned char bytes[4];
    int row = i % (t->rows * t->rows_repeat), col = i * 7 % (t->cols * t->cols_repeat);
    size_t stride = (size_t)(t->cols + 15) / 16 * 16;
    unsigned char *biases = data + biases_offset(t, dtype);
    put_f32(bytes, value);
    if (t->order == VIT__ROWS) memcpy(data + 4 * ((size_t)row * stride + (size_t)col), bytes, 4);
    else if (bias) memcpy(biases + 4 * padded_index(row, t->rows), bytes, 4);
    else if (dtype == VIT__F32) memcpy(data + 4 * weight_index(t, row, col), bytes, 4);
    else if (dtype == VIT__BF16) memcpy(data + 2 * weight_index(t, row, col), bytes + 2, 2);
    else if (dtype == VIT__INT8)
        memcpy(biases + 4 * (padded_outputs(t) + padded_index(row, t->rows)), bytes, 4);
    else {
        const int half = isnan(value) ? 0x7E00 : value > 0 ? 0x7C00 : 0xFC00;
        unsigned char *p = dtype == VIT__F16 ? data + 2 * weight_index(t, row, col)
                                             : data + group_scale_offset(t, row, col);
        p[0] = (unsigned char)(half & 255), p[1] = (unsigned char)(half >> 8);
    }
}

/* In the head only the logit of that row is not finite. */
static void check_spoilt(const vit_model *model, unsigned char *file, int index, int bias, int i) {
    const vit__tensor t = vit__tensor_at(vit_model_config(model), index);
    const unsigned char *entry = vit__entry(file, index);
    unsigned char *data = file + vit__u64_size(entry + 32);
    size_t size = vit__u64_size(entry + 40), count = vit_pixels_count(model, NULL);
    unsigned char *kept = (unsigned char *)allocate(size);
    float *pixels = allocate_floats(count), logits[5];
    vit_options options;
    uint32_t random = 52;
    memset(&options, 0, sizeof(options));
    options.low_memory = i & 1;
    random_floats(&random, pixels, count);
    memcpy(kept, data, size);
    spoil(&t, data, (vit__dtype)vit__u32(entry + 8), bias, i, not_finite((size_t)i));
    assert_status(forward(model, &options, pixels, 1, logits), VIT_OK, "spoilt");
    if (t.role == VIT__HEAD) assert_true(none_is_finite(logits + i % 5, 1));
    else if (!none_is_finite(logits, COUNT_OF(logits)))
        fail_msg("role %d, block %d, bias %d, number %d", (int)t.role, t.block, bias, i);
    memcpy(data, kept, size);
    free(kept), free(pixels);
}

static void test_a_weight_that_is_not_finite_leaves_no_logit_finite(void **state) {
    vit_config config = small_config();
    (void)state;
    for (int i = 0; i < 2 * VIT_DTYPE_COUNT; i++) {
        vit_model model;
        config.act = (vit_act)(i % 2);
        model_file file = model_make_dtype(&config, (vit_dtype)(i / 2), 53, &model);
        for (int index = 0; index < vit__tensor_count(&config); index++) {
            for (int number = 0; number < 12; number++) {
                check_spoilt(&model, file.data, index, 0, number);
                if (vit__tensor_at(&config, index).order != VIT__ROWS)
                    check_spoilt(&model, file.data, index, 1, number);
            }
        }
        model_free(&file);
    }
}

static void test_a_row_of_zeros_has_no_length_and_stays_one(void **state) {
    float rows[2][16] = {{0}, {3, 4}};
    vit__table table = {rows[0], 16};
    (void)state;
    vit__l2_normalize(table, 2);
    for (int i = 0; i < 16; i++) assert_true(rows[0][i] == 0);
    assert_near(rows[1], (const float[]){0.6f, 0.8f, 0}, 3, 1e-6f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_size_of_the_workspace_follows_from_the_config),
        cmocka_unit_test(test_attention_equals_pytorch_for_any_number_of_queries),
        cmocka_unit_test(test_logits_of_any_config_agree_with_the_reference),
        cmocka_unit_test(test_logits_of_any_type_of_weights_agree_with_the_reference),
        cmocka_unit_test(test_bytes_give_the_same_bits_as_their_normalised_floats),
        cmocka_unit_test(test_a_byte_is_normalised_as_torchvision_does),
        cmocka_unit_test(test_pixels_outside_the_grid_are_not_read),
        cmocka_unit_test(test_padding_of_the_residual_stream_is_zero_in_every_block),
        cmocka_unit_test(test_keep_tokens_packs_the_first_of_each_image),
        cmocka_unit_test(test_pool_takes_the_prefix_and_a_mean),
        cmocka_unit_test(test_a_pixel_that_is_not_finite_leaves_no_logit_finite),
        cmocka_unit_test(test_a_weight_that_is_not_finite_leaves_no_logit_finite),
        cmocka_unit_test(test_a_row_of_zeros_has_no_length_and_stays_one),
    };
    return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}
