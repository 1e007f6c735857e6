/* The file: what is accepted, what is refused and with which status, and that no content whatever
   makes the library read out of bounds (run with sanitizers). */
#include "test_util.h"

/* ---- checksum ---- */

/* The buffer of xxHash's own self-test: the upper byte of a running product. */
static void fill_sanity_buffer(unsigned char *out, size_t size) {
    uint64_t state = 2654435761u;
    for (size_t i = 0; i < size; i++, state *= 11400714785074694797u)
        out[i] = (unsigned char)(state >> 56);
}

static void test_xxh32_gives_the_published_values(void **state) {
    static const struct {
        const char *text;
        uint32_t hash;
    } texts[] = {{"", 0x02CC5D05},
                 {"a", 0x550D7456},
                 {"abc", 0x32D153FF},
                 {"message digest", 0x7C948494},
                 {"abcdefghijklmnopqrstuvwxyz", 0x63A14D5F},
                 {"Nobody inspects the spammish repetition", 0xE2293B2F}};
    static const struct {
        size_t size;
        uint32_t hash;
    } sanity[] = {
        {0, 0x02CC5D05}, {1, 0xCF65B03E}, {14, 0x1208E7E2}, {101, 0x1B305CDB}, {222, 0x5BD11DBD}};
    unsigned char buffer[222];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_int_equal(vit__xxh32(texts[i].text, strlen(texts[i].text)), texts[i].hash);
    fill_sanity_buffer(buffer, sizeof(buffer));
    for (size_t i = 0; i < COUNT_OF(sanity); i++)
        assert_int_equal(vit__xxh32(buffer, sanity[i].size), sanity[i].hash);
}

/* ---- models that open ---- */

static const vit_dtype all_dtypes[] = {VIT_F32, VIT_F16, VIT_BF16, VIT_INT8, VIT_INT8X, VIT_INT4};

static const char five_labels[] =
    "one\0zwei\0\xE4\xB8\x89\0\xC3\xA7\0\xF0\x9F\x90\x88"; /* and NUL */

static model_parts full_parts(void) {
    model_parts parts;
    memset(&parts, 0, sizeof(parts));
    parts.config = small_config();
    parts.labels = five_labels;
    parts.labels_size = sizeof(five_labels);
    parts.chunks = 2;
    return parts;
}

static model_parts tiny_parts(void) {
    model_parts parts;
    memset(&parts, 0, sizeof(parts));
    parts.config = tiny_config();
    parts.labels = "a\0b";
    parts.labels_size = 4;
    parts.chunks = 1;
    return parts;
}

static void test_a_model_opens_with_the_config_and_labels_of_its_file(void **state) {
    model_parts parts = full_parts();
    model_file file = model_make(&parts, 1);
    vit_model model;
    vit_config want = parts.config;
    (void)state;
    assert_status(vit_model_open(&model, file.data, file.size), VIT_OK, "open");
    assert_status(vit_model_verify(&model), VIT_OK, "verify");
    const vit_config *config = vit_model_config(&model);
    assert_string_equal(config->architecture, "small");
    want.architecture = config->architecture;
    assert_memory_equal(&want.img_size, &config->img_size,
                        sizeof(want) - offsetof(vit_config, img_size));
    assert_string_equal(vit_model_label(&model, 0), "one");
    assert_string_equal(vit_model_label(&model, 2), "\xE4\xB8\x89");
    assert_string_equal(vit_model_label(&model, 4), "\xF0\x9F\x90\x88");
    assert_null(vit_model_label(&model, 5));
    assert_null(vit_model_label(&model, -1));
    model_free(&file);
}

static void test_a_model_without_labels_has_none(void **state) {
    vit_model model;
    vit_config config = tiny_config();
    model_file file = model_make_open(&config, 1, &model);
    (void)state;
    assert_null(vit_model_label(&model, 0));
    model_free(&file);
}

static void test_the_golden_models_open(void **state) {
    static const char *const names[] = {GOLDEN "tiny.vit", GOLDEN "tiny_avg.vit"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        size_t size = 0;
        vit_model model;
        unsigned char *data = read_file(names[i], &size);
        assert_status(vit_model_open(&model, data, size), VIT_OK, names[i]);
        assert_status(vit_model_verify(&model), VIT_OK, names[i]);
        const char *label = vit_model_label(&model, 4);
        if (i == 0)
            assert_string_equal(label, "K\xC3\xA4"
                                       "fer");
        if (i == 1) assert_null(label);
        free(data);
    }
}

/* Logits of random pixels. */
static void run(const vit_model *model, float *logits) {
    uint32_t random = 9;
    size_t count = vit_pixels_count(model, NULL);
    float *pixels = allocate_floats(count);
    random_floats(&random, pixels, count);
    assert_status(forward(model, NULL, pixels, 1, logits), VIT_OK, "forward");
    free(pixels);
}

static void test_larger_headers_and_entries_and_unknown_chunks_are_skipped(void **state) {
    static const uint32_t variants[][3] = {
        {384, 48, 0}, {448, 48, 0}, {384, 56, 0}, {392, 4096, 1}, {1024, 64, 7}};
    float want[5] = {0}, got[5] = {0};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(variants); i++) {
        model_parts parts = full_parts();
        parts.header_size = variants[i][0];
        parts.entry_size = variants[i][1];
        parts.chunks = variants[i][2];
        model_file file = model_make(&parts, 2);
        vit_model model;
        assert_status(vit_model_open(&model, file.data, file.size), VIT_OK, "open");
        assert_status(vit_model_verify(&model), VIT_OK, "verify");
        assert_string_equal(vit_model_label(&model, 1), "zwei");
        run(&model, i == 0 ? want : got);
        if (i > 0) assert_same_bits(got, want, 5);
        model_free(&file);
    }
}

static void test_data_may_lie_at_any_multiple_of_16_and_nowhere_else(void **state) {
    vit_config config = tiny_config();
    vit_model model;
    model_file file = model_make_open(&config, 3, &model);
    unsigned char *room = (unsigned char *)allocate(file.size + 128);
    unsigned char *start = room + (64 - (uintptr_t)room % 64) % 64;
    float want[2] = {0}, got[2] = {0};
    (void)state;
    run(&model, want);
    for (size_t shift = 0; shift < 64; shift++) {
        memmove(start + shift, file.data, file.size);
        vit_status status = vit_model_open(&model, start + shift, file.size);
        assert_int_equal(status, shift % 16 == 0 ? VIT_OK : VIT_ERROR_ALIGNMENT);
        if (status != VIT_OK) continue;
        run(&model, got);
        assert_same_bits(got, want, 2);
    }
    free(room);
    model_free(&file);
}

static void test_opening_and_running_changes_nothing_in_the_file(void **state) {
    model_parts parts = full_parts();
    model_file file = model_make(&parts, 4);
    unsigned char *copy = (unsigned char *)allocate(file.size);
    vit_model model;
    float logits[5];
    (void)state;
    memcpy(copy, file.data, file.size);
    assert_status(vit_model_open(&model, file.data, file.size), VIT_OK, "open");
    assert_status(vit_model_verify(&model), VIT_OK, "verify");
    run(&model, logits);
    vit_model_close(&model);
    assert_memory_equal(copy, file.data, file.size);
    free(copy);
    model_free(&file);
}

static void test_null_arguments_are_refused(void **state) {
    model_parts parts = tiny_parts();
    model_file file = model_make(&parts, 1);
    vit_model model;
    (void)state;
    assert_int_equal(vit_model_open(NULL, file.data, file.size), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_model_open(&model, NULL, file.size), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_model_verify(&model), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_model_verify(NULL), VIT_ERROR_ARGUMENT);
    assert_null(vit_model_label(&model, 0));
    vit_model_close(&model);
    vit_model_close(&model);
    vit_model_close(NULL);
    model_free(&file);
}

static void test_a_model_that_failed_to_open_can_be_closed_but_not_used(void **state) {
    model_parts parts = tiny_parts();
    model_file file = model_make(&parts, 1);
    vit_model model;
    float number = 0;
    (void)state;
    memset(&model, 0xFF, sizeof(model));
    file.data[0] ^= 1;
    assert_int_equal(vit_model_open(&model, file.data, file.size), VIT_ERROR_MAGIC);
    assert_int_equal(vit_workspace_size(&model, NULL, 1), 0);
    assert_int_equal(vit_forward(&model, NULL, &number, 1, &number, &number, 4),
                     VIT_ERROR_ARGUMENT);
    vit_model_close(&model);
    model_free(&file);
}

static void test_dtypes_have_names(void **state) {
    static const char *const names[] = {"f32", "f16", "bf16", "int8", "int8x", "int4"};
    (void)state;
    assert_int_equal(COUNT_OF(all_dtypes), VIT_DTYPE_COUNT);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_string_equal(vit_dtype_name(all_dtypes[i]), names[i]);
    assert_string_equal(vit_dtype_name(VIT_DTYPE_COUNT), "unknown");
    assert_string_equal(vit_dtype_name((vit_dtype)-1), "unknown");
}

static void test_models_of_every_dtype_open(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(all_dtypes); i++) {
        model_parts parts = full_parts();
        vit_model model;
        parts.config.pre_logits = 9;
        parts.dtype = all_dtypes[i];
        model_file file = model_make(&parts, 14);
        const char *name = vit_dtype_name(parts.dtype);
        assert_status(vit_model_open(&model, file.data, file.size), VIT_OK, name);
        assert_status(vit_model_verify(&model), VIT_OK, name);
        assert_int_equal(vit_model_dtype(&model), parts.dtype);
        assert_string_equal(vit_model_label(&model, 1), "zwei");
        model_free(&file);
    }
}

/* vit__matrix_of against the second reading of the format in test_util.h. */
static void check_matrix(const vit_model *model, const vit__tensor *t) {
    vit__matrix m = vit__matrix_of(model, t->role, t->block);
    assert_int_equal(m.outputs, padded_outputs(t));
    assert_int_equal(m.inputs, padded_inputs(t));
    assert_int_equal(m.panel_size * (m.outputs / 16), biases_offset(t, m.dtype));
    for (int row = 0; row < t->rows * t->rows_repeat; row++) {
        size_t n = padded_index(row, t->rows);
        int sum = 0;
        assert_true(m.bias[n] == stored_bias(m.weights, t, m.dtype, row));
        for (int col = 0; m.dtype == VIT__INT8 && col < t->cols * t->cols_repeat; col++) {
            int q = stored_integer(m.weights, t, m.dtype, row, col);
            assert_true(q >= -m.range && q <= m.range);
            assert_true((double)m.scales[n] * q == stored_weight(m.weights, t, m.dtype, row, col));
            sum += q;
        }
        if (m.dtype == VIT__INT8) assert_int_equal(m.sums[n], sum);
        for (int col = 0; m.dtype == VIT__INT4 && col < t->cols * t->cols_repeat; col++) {
            size_t groups = (m.inputs + 31) / 32, k = padded_index(col, t->cols);
            const uint16_t *scale = m.group_scales + (n / 16 * groups + k / 32) * 16 + n % 16;
            assert_ptr_equal(scale, m.weights + group_scale_offset(t, row, col));
        }
    }
}

static void test_every_part_of_a_matrix_is_found(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(all_dtypes); i++) {
        model_parts parts = full_parts();
        vit_model model;
        parts.dtype = all_dtypes[i];
        model_file file = model_make(&parts, 15);
        assert_status(vit_model_open(&model, file.data, file.size), VIT_OK, "open");
        for (int j = 0; j < vit__tensor_count(&parts.config); j++) {
            vit__tensor t = vit__tensor_at(&parts.config, j);
            if (t.order == VIT__PANELS) check_matrix(&model, &t);
        }
        model_free(&file);
    }
}

static vit__tensor fc1_of(int mlp_dim, int embed_dim) {
    vit_config config = tiny_config();
    config.mlp_dim = mlp_dim, config.embed_dim = embed_dim;
    return vit__tensor_of(&config, VIT__FC1, 0);
}

/* Bytes of a matrix of 13 x 20, hence N = 16 and K = 32, and of 13 x 33, hence K = 48. */
static void test_the_size_of_a_matrix_follows_from_its_dtype(void **state) {
    static const size_t sizes[][2] = {{16 * 32 * 4 + 64, 16 * 48 * 4 + 64},
                                      {16 * 32 * 2 + 64, 16 * 48 * 2 + 64},
                                      {16 * 32 * 2 + 64, 16 * 48 * 2 + 64},
                                      {16 * 32 + 3 * 64, 16 * 48 + 3 * 64},
                                      {16 * 32 / 2 + 64 + 64, 16 * 48 / 2 + 64 + 64}};
    (void)state;
    assert_int_equal(COUNT_OF(sizes), VIT__DTYPE_COUNT);
    for (int dtype = 0; dtype < VIT__DTYPE_COUNT; dtype++) {
        vit__tensor narrow = fc1_of(13, 20), wide = fc1_of(13, 33);
        assert_int_equal(vit__tensor_size(&narrow, (vit__dtype)dtype), sizes[dtype][0]);
        assert_int_equal(vit__tensor_size(&wide, (vit__dtype)dtype), sizes[dtype][1]);
    }
}

/* ---- integers beyond their range ---- */

/* A byte of the first matrix of int8 that is beyond the range that the directory states. */
static void check_byte(vit_dtype dtype, int value, int place, int valid) {
    model_parts parts = tiny_parts();
    parts.config.embed_dim = 40, parts.config.mlp_dim = 48;
    parts.dtype = dtype;
    model_file file = model_make(&parts, 6);
    vit_model model;
    assert_status(vit_model_open(&model, file.data, file.size), VIT_OK, "open");
    int index = vit__tensor_index(&parts.config, VIT__FC1, 0);
    vit__matrix m = vit__matrix_of(&model, VIT__FC1, 0);
    size_t size = m.outputs * m.inputs;
    file.data[(size_t)(m.weights - file.data) + (size_t)place % size] = (unsigned char)value;
    seal(file.data);
    vit_status want = valid || !VIT__SUMS_16 ? VIT_OK : VIT_ERROR_RANGE;
    assert_status(vit_model_open(&model, file.data, file.size), VIT_OK, "open");
    assert_status(vit_model_verify_tensor(&model, index), want, "the tensor");
    assert_status(vit_model_verify_tensor(&model, index - 1), VIT_OK, "another tensor");
    assert_status(vit_model_verify(&model), want, "all");
    model_free(&file);
}

static void test_integers_beyond_the_range_of_their_tensor_are_found(void **state) {
    (void)state;
    for (int value = -128; value < 128; value++) {
        check_byte(VIT_INT8, value, (value + 128) * 37, value >= -63 && value <= 63);
        check_byte(VIT_INT8X, value, (value + 128) * 37, value >= -127);
    }
    for (int place = 0; place < 64; place++) check_byte(VIT_INT8, 64, place, 0);
}

/* ---- the public lookups ---- */

static void test_tensors_are_told_as_the_directory_has_them(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(all_dtypes); i++) {
        model_parts parts = full_parts();
        parts.dtype = all_dtypes[i];
        parts.config.pre_logits = 9;
        model_file file = model_make(&parts, 8);
        vit_model model;
        vit_tensor t;
        assert_status(vit_model_open(&model, file.data, file.size), VIT_OK, "open");
        int count = vit_model_tensor_count(&model);
        assert_int_equal(count, 6 + 8 * parts.config.depth);
        for (int j = 0; j < count; j++) {
            const unsigned char *entry = file.data + 384 + 48 * j;
            assert_status(vit_model_tensor(&model, j, &t), VIT_OK, "tensor");
            int in_blocks = j >= 3 && j < count - 3;
            assert_int_equal(t.block, in_blocks ? (int)vit__u32(entry + 4) : -1);
            assert_int_equal(t.is_matrix, vit__u32(entry + 12));
            assert_int_equal(t.rows, vit__u32(entry + 16));
            assert_int_equal(t.cols, vit__u32(entry + 20));
            assert_int_equal(t.checksum, vit__u32(entry + 28));
            assert_int_equal(t.offset, vit__u64(entry + 32));
            assert_int_equal(t.size, vit__u64(entry + 40));
            if (in_blocks && t.is_matrix) assert_int_equal(t.dtype, parts.dtype);
            if (!t.is_matrix) assert_int_equal(t.dtype, VIT_F32);
        }
        assert_int_equal(vit_model_tensor(&model, -1, &t), VIT_ERROR_ARGUMENT);
        assert_int_equal(vit_model_tensor(&model, count, &t), VIT_ERROR_ARGUMENT);
        assert_int_equal(vit_model_tensor(&model, 0, NULL), VIT_ERROR_ARGUMENT);
        assert_int_equal(vit_model_tensor(NULL, 0, &t), VIT_ERROR_ARGUMENT);
        assert_int_equal(vit_model_verify_tensor(&model, count), VIT_ERROR_ARGUMENT);
        assert_status(vit_model_tensor(&model, 0, &t), VIT_OK, "first");
        assert_string_equal(t.name, "patch_embed");
        assert_status(vit_model_tensor(&model, count - 1, &t), VIT_OK, "last");
        assert_string_equal(t.name, "head");
        assert_status(vit_model_tensor(&model, 4, &t), VIT_OK, "q");
        assert_string_equal(t.name, "q");
        model_free(&file);
    }
}

static void test_names_are_found(void **state) {
    (void)state;
    for (int i = 0; i < VIT_DTYPE_COUNT; i++)
        assert_int_equal(vit_dtype_find(vit_dtype_name((vit_dtype)i)), i);
    for (int i = 0; i < VIT_ISA_COUNT; i++)
        assert_int_equal(vit_isa_find(vit_isa_name((vit_isa)i)), i);
    static const char *const others[] = {"", "int", "int88", "F32", "unknown", "avx", "avx5122"};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        assert_int_equal(vit_dtype_find(others[i]), VIT_DTYPE_COUNT);
        assert_int_equal(vit_isa_find(others[i]), VIT_ISA_COUNT);
    }
}

/* ---- the directory follows from the config ---- */

static vit_config config_of_depth(int depth, int pre_logits) {
    vit_config config = small_config();
    config.depth = depth;
    config.pre_logits = pre_logits;
    return config;
}

static void test_index_and_role_of_a_tensor_agree(void **state) {
    (void)state;
    for (int depth = 1; depth <= 12; depth++) {
        for (int pre_logits = 0; pre_logits <= 9; pre_logits += 9) {
            vit_config config = config_of_depth(depth, pre_logits);
            int count = vit__tensor_count(&config);
            assert_int_equal(count, 5 + 8 * depth + (pre_logits > 0));
            for (int i = 0; i < count; i++) {
                vit__tensor t = vit__tensor_at(&config, i);
                assert_int_equal(vit__tensor_index(&config, t.role, t.block), i);
                if (pre_logits == 0) assert_int_not_equal(t.role, VIT__PRE_LOGITS);
            }
        }
    }
}

static void test_every_tensor_is_found_where_the_directory_says(void **state) {
    model_parts parts = full_parts();
    parts.config.pre_logits = 9;
    model_file file = model_make(&parts, 1);
    vit_model model;
    (void)state;
    assert_status(vit_model_open(&model, file.data, file.size), VIT_OK, "open");
    for (int i = 0; i < vit__tensor_count(&parts.config); i++) {
        const unsigned char *entry = file.data + 384 + 48 * i;
        const float *data =
            vit__tensor_data(&model, (vit__role)vit__u32(entry), (int)vit__u32(entry + 4));
        assert_ptr_equal(data, file.data + vit__u64(entry + 32));
    }
    model_free(&file);
}

/* ---- one malformation after the other; the head is sealed again after each ---- */

#define FULL_TENSORS 21 /* of full_parts */
#define ENTRY(i) (384 + 48 * (i))
#define CHUNK(i) (ENTRY(FULL_TENSORS) + 24 * (i))

typedef enum patch_kind { SET32, ADD32, SET64, ADD64 } patch_kind;

typedef struct malformation {
    const char *what;
    size_t at;
    uint64_t value;
    patch_kind kind;
    vit_status want;
} malformation;

#define HUGE_U32 0xFFFFFFFFu
#define MINUS(n) (0u - (uint64_t)(n))
#define NAN_BITS 0x7FC00000u
#define INFINITY_BITS 0x7F800000u
#define MINUS_ONE_BITS 0xBF800000u

static const malformation in_the_header[] = {
    {"magic", 0, 1, ADD32, VIT_ERROR_MAGIC},
    {"end of the magic", 4, 0x01000000, ADD32, VIT_ERROR_MAGIC},
    {"version 0", 8, 0, SET32, VIT_ERROR_VERSION},
    {"version 2", 8, 2, SET32, VIT_ERROR_VERSION},
    {"head_size too large for the file", 16, 0xFFFFFFC0u, SET32, VIT_ERROR_HEAD},
    {"head_size not a multiple of 64", 16, 8, ADD32, VIT_ERROR_HEAD},
    {"head_size too small for the directory", 16, 384, SET32, VIT_ERROR_LABELS},
    {"head_size below header_size", 16, 320, SET32, VIT_ERROR_HEAD},
    {"head_size one step on", 16, 64, ADD32, VIT_ERROR_DIRECTORY},
    {"header_size of an earlier format", 20, 256, SET32, VIT_ERROR_VERSION},
    {"header_size too small", 20, 383, SET32, VIT_ERROR_VERSION},
    {"header_size too large", 20, HUGE_U32, SET32, VIT_ERROR_HEAD},
    {"header_size reaches over the directory", 20, 392, SET32, VIT_ERROR_DIRECTORY},
    {"file_size one more", 24, 1, ADD64, VIT_ERROR_SIZE},
    {"file_size one less", 24, MINUS(1), ADD64, VIT_ERROR_SIZE},
    {"file_size 2^32 more", 24, 0x100000000u, ADD64, VIT_ERROR_SIZE},
    {"file_size 0", 24, 0, SET64, VIT_ERROR_SIZE},
    {"lowest feature bit", 32, 1, SET32, VIT_ERROR_FEATURE},
    {"highest feature bit", 32, 0x80000000u, SET32, VIT_ERROR_FEATURE},
    {"entry_size too small", 36, 40, SET32, VIT_ERROR_DIRECTORY},
    {"entry_size too large", 36, 4104, SET32, VIT_ERROR_DIRECTORY},
    {"entry_size huge", 36, HUGE_U32, SET32, VIT_ERROR_DIRECTORY},
    {"entry_size not a multiple of 8", 36, 52, SET32, VIT_ERROR_DIRECTORY},
    {"a tensor too few", 40, MINUS(1), ADD32, VIT_ERROR_DIRECTORY},
    {"a tensor too many", 40, 1, ADD32, VIT_ERROR_DIRECTORY},
    {"huge tensor_count", 40, HUGE_U32, SET32, VIT_ERROR_DIRECTORY},
    {"directory in the header", 44, 376, SET32, VIT_ERROR_DIRECTORY},
    {"directory not at a multiple of 8", 44, 4, ADD32, VIT_ERROR_DIRECTORY},
    {"directory one entry on", 44, 48, ADD32, VIT_ERROR_DIRECTORY},
    {"directory reaches out of the head", 44, 256, ADD32, VIT_ERROR_DIRECTORY},
    {"directory behind the file", 44, 0xFFFFFFF8u, SET32, VIT_ERROR_DIRECTORY},
    {"labels in the header", 48, 383, SET32, VIT_ERROR_LABELS},
    {"labels behind the file", 48, HUGE_U32, SET32, VIT_ERROR_LABELS},
    {"labels too long for the head", 52, 64, ADD32, VIT_ERROR_LABELS},
    {"huge labels_size", 52, HUGE_U32, SET32, VIT_ERROR_LABELS},
    {"labels without the last NUL", 52, MINUS(1), ADD32, VIT_ERROR_LABELS},
    {"labels and a NUL too many", 52, 1, ADD32, VIT_ERROR_LABELS},
    {"a class more than labels", 84, 1, ADD32, VIT_ERROR_LABELS},
    {"a class less than labels", 84, MINUS(1), ADD32, VIT_ERROR_LABELS},
    {"a chunk too few", 56, MINUS(1), ADD32, VIT_ERROR_SIZE},
    {"a chunk too many", 56, 1, ADD32, VIT_ERROR_DIRECTORY},
    {"huge chunk_count", 56, HUGE_U32, SET32, VIT_ERROR_DIRECTORY},
    {"chunk table in the header", 60, 0, SET32, VIT_ERROR_DIRECTORY},
    {"chunk table not at a multiple of 8", 60, 4, ADD32, VIT_ERROR_DIRECTORY},
    {"chunk table behind the file", 60, 0xFFFFFFF8u, SET32, VIT_ERROR_DIRECTORY},
};

static const malformation in_the_directory[] = {
    {"role of another tensor", ENTRY(0), 1, SET32, VIT_ERROR_DIRECTORY},
    {"unknown role", ENTRY(20), 17, SET32, VIT_ERROR_DIRECTORY},
    {"block of another tensor", ENTRY(5) + 4, 1, SET32, VIT_ERROR_DIRECTORY},
    {"block outside the blocks", ENTRY(0) + 4, 1, SET32, VIT_ERROR_DIRECTORY},
    {"block -1", ENTRY(11) + 4, HUGE_U32, SET32, VIT_ERROR_DIRECTORY},
    {"f16 of the size of f32", ENTRY(0) + 8, 1, SET32, VIT_ERROR_DIRECTORY},
    {"rows of f16", ENTRY(1) + 8, 1, SET32, VIT_ERROR_DIRECTORY},
    {"a norm of int8", ENTRY(3) + 8, 3, SET32, VIT_ERROR_DIRECTORY},
    {"dtype 5", ENTRY(4) + 8, 5, SET32, VIT_ERROR_DIRECTORY},
    {"dtype -1", ENTRY(4) + 8, HUGE_U32, SET32, VIT_ERROR_DIRECTORY},
    {"unknown dtype", ENTRY(20) + 8, 99, SET32, VIT_ERROR_DIRECTORY},
    {"rows where panels belong", ENTRY(0) + 12, 0, SET32, VIT_ERROR_DIRECTORY},
    {"panels where rows belong", ENTRY(1) + 12, 1, SET32, VIT_ERROR_DIRECTORY},
    {"a row too many", ENTRY(4) + 16, 1, ADD32, VIT_ERROR_DIRECTORY},
    {"rows 0", ENTRY(19) + 16, 0, SET32, VIT_ERROR_DIRECTORY},
    {"a column too few", ENTRY(7) + 20, MINUS(1), ADD32, VIT_ERROR_DIRECTORY},
    {"range 127", ENTRY(8) + 24, 127, SET32, VIT_ERROR_DIRECTORY},
    {"offset one block on", ENTRY(3) + 32, 64, ADD64, VIT_ERROR_DIRECTORY},
    {"offset 0", ENTRY(0) + 32, 0, SET64, VIT_ERROR_DIRECTORY},
    {"offset 2^32 on", ENTRY(9) + 32, 0x100000000u, ADD64, VIT_ERROR_DIRECTORY},
    {"offset -64", ENTRY(9) + 32, MINUS(64), SET64, VIT_ERROR_DIRECTORY},
    {"size one block more", ENTRY(20) + 40, 64, ADD64, VIT_ERROR_DIRECTORY},
    {"size without padding", ENTRY(3) + 40, MINUS(4), ADD64, VIT_ERROR_DIRECTORY},
    {"size 2^32 more", ENTRY(20) + 40, 0x100000000u, ADD64, VIT_ERROR_DIRECTORY},
    {"size huge", ENTRY(20) + 40, MINUS(64), SET64, VIT_ERROR_DIRECTORY},
    {"chunk offset", CHUNK(0) + 8, 64, ADD64, VIT_ERROR_DIRECTORY},
    {"chunk offset huge", CHUNK(1) + 8, MINUS(64), SET64, VIT_ERROR_DIRECTORY},
    {"chunk larger than the file", CHUNK(1) + 16, 64, ADD64, VIT_ERROR_DIRECTORY},
    {"chunk huge", CHUNK(1) + 16, MINUS(64), SET64, VIT_ERROR_DIRECTORY},
    {"chunk size not a multiple of 64", CHUNK(1) + 16, MINUS(8), ADD64, VIT_ERROR_DIRECTORY},
    {"bytes behind the last chunk", CHUNK(1) + 16, 0, SET64, VIT_ERROR_SIZE},
};

static const malformation in_the_config[] = {
    {"image smaller than a patch", 64, 3, SET32, VIT_ERROR_CONFIG},
    {"image narrower than a patch", 68, 2, SET32, VIT_ERROR_CONFIG},
    {"patch larger than the image", 72, 14, SET32, VIT_ERROR_CONFIG},
    {"no token for the head", 112, 0, SET32, VIT_ERROR_CONFIG},
    {"more head_tokens than prefix_tokens", 112, 2, SET32, VIT_ERROR_CONFIG},
    {"huge head_tokens", 112, HUGE_U32, SET32, VIT_ERROR_CONFIG},
    {"huge prefix_tokens", 108, HUGE_U32, SET32, VIT_ERROR_CONFIG},
    {"head_avg 3", 116, 3, SET32, VIT_ERROR_FEATURE},
    {"huge head_avg", 116, HUGE_U32, SET32, VIT_ERROR_FEATURE},
    {"no final norm, but its tensor", 120, 2, SET32, VIT_ERROR_DIRECTORY},
    {"final_norm 3", 120, 3, SET32, VIT_ERROR_FEATURE},
    {"no head, but classes", 84, 0, SET32, VIT_ERROR_CONFIG},
    {"huge pre_logits", 124, HUGE_U32, SET32, VIT_ERROR_CONFIG},
    {"quick GELU", 128, 2, SET32, VIT_OK},
    {"SwiGLU, but no gate", 128, 3, SET32, VIT_ERROR_DIRECTORY},
    {"ReLU", 128, 4, SET32, VIT_OK},
    {"act 5", 128, 5, SET32, VIT_ERROR_FEATURE},
    {"act -1", 128, HUGE_U32, SET32, VIT_ERROR_FEATURE},
    {"norm_eps 0", 132, 0, SET32, VIT_ERROR_CONFIG},
    {"norm_eps NaN", 132, NAN_BITS, SET32, VIT_ERROR_CONFIG},
    {"norm_eps infinite", 132, INFINITY_BITS, SET32, VIT_ERROR_CONFIG},
    {"norm_eps -1", 132, MINUS_ONE_BITS, SET32, VIT_ERROR_CONFIG},
    {"resize 3", 136, 3, SET32, VIT_ERROR_FEATURE},
    {"resize -1", 136, HUGE_U32, SET32, VIT_ERROR_FEATURE},
    {"interpolation 2", 148, 2, SET32, VIT_ERROR_FEATURE},
    {"crop 2", 152, 2, SET32, VIT_ERROR_FEATURE},
    {"rescale 0", 156, 0, SET32, VIT_ERROR_CONFIG},
    {"rescale -1", 156, MINUS_ONE_BITS, SET32, VIT_ERROR_CONFIG},
    {"rescale NaN", 156, NAN_BITS, SET32, VIT_ERROR_CONFIG},
    {"rescale infinite", 156, INFINITY_BITS, SET32, VIT_ERROR_CONFIG},
    {"mean NaN", 160, NAN_BITS, SET32, VIT_ERROR_CONFIG},
    {"fourth mean infinite", 172, INFINITY_BITS, SET32, VIT_ERROR_CONFIG},
    {"std 0", 176, 0, SET32, VIT_ERROR_CONFIG},
    {"fourth std NaN", 188, NAN_BITS, SET32, VIT_ERROR_CONFIG},
    {"architecture with a control character", 192, 0x0A616161, SET32, VIT_ERROR_CONFIG},
    {"architecture not in UTF-8", 192, 0xFF616161, SET32, VIT_ERROR_CONFIG},
    {"sigmoid", 256, 1, SET32, VIT_OK},
    {"plain numbers", 256, 2, SET32, VIT_OK},
    {"an embedding", 256, 3, SET32, VIT_OK},
    {"output 4", 256, 4, SET32, VIT_ERROR_FEATURE},
    {"norm_pre, but not its tensor", 260, 1, SET32, VIT_ERROR_DIRECTORY},
    {"norm_pre 2", 260, 2, SET32, VIT_ERROR_FEATURE},
    {"qk_norm, but not its tensors", 264, 1, SET32, VIT_ERROR_DIRECTORY},
    {"qk_norm 2", 264, 2, SET32, VIT_ERROR_FEATURE},
    {"post_norm", 268, 1, SET32, VIT_OK},
    {"post_norm 2", 268, 2, SET32, VIT_ERROR_FEATURE},
    {"pos_size without a width", 272, 3, SET32, VIT_ERROR_CONFIG},
    {"pos_size without a height", 276, 5, SET32, VIT_ERROR_CONFIG},
    {"huge pos_size", 276, HUGE_U32, SET32, VIT_ERROR_CONFIG},
    {"patch_norm, but not its tensor", 280, 1, SET32, VIT_ERROR_DIRECTORY},
    {"patch_norm 2", 280, 2, SET32, VIT_ERROR_FEATURE},
    {"embed_norm, but not its tensor", 284, 1, SET32, VIT_ERROR_DIRECTORY},
    {"huge embed_norm", 284, HUGE_U32, SET32, VIT_ERROR_FEATURE},
    {"pos_resample", 288, 1, SET32, VIT_OK},
    {"pos_resample 5", 288, 5, SET32, VIT_ERROR_FEATURE},
    {"crop_pct", 292, 0x3F800000, SET32, VIT_OK},
    {"crop_pct -1", 292, MINUS_ONE_BITS, SET32, VIT_ERROR_CONFIG},
    {"crop_pct NaN", 292, NAN_BITS, SET32, VIT_ERROR_CONFIG},
    {"crop_pct infinite", 292, INFINITY_BITS, SET32, VIT_ERROR_CONFIG},
    {"reject_below 1", 296, 0x3F800000, SET32, VIT_OK},
    {"reject_below above 1", 296, 0x3F800001, SET32, VIT_ERROR_CONFIG},
    {"reject_below -1", 296, MINUS_ONE_BITS, SET32, VIT_ERROR_CONFIG},
    {"reject_below NaN", 296, NAN_BITS, SET32, VIT_ERROR_CONFIG},
    {"reject_below infinite", 296, INFINITY_BITS, SET32, VIT_ERROR_CONFIG},
    {"pre_logits_l2 without pre_logits", 300, 1, SET32, VIT_ERROR_CONFIG},
    {"huge pre_logits_l2", 300, HUGE_U32, SET32, VIT_ERROR_FEATURE},
    {"first spare byte", 304, 1, SET32, VIT_ERROR_FEATURE},
    {"last spare byte", 380, 0x01000000, SET32, VIT_ERROR_FEATURE},
    {"a spare byte and a count out of range", 124, HUGE_U32, SET32, VIT_ERROR_CONFIG},
    {"architecture with something after its NUL", 248, 1, SET32, VIT_ERROR_CONFIG},
    {"architecture without NUL", 252, 0x61616161, SET32, VIT_ERROR_CONFIG},
};

static void apply(const malformation *m, unsigned char *file) {
    unsigned char *p = file + m->at;
    if (m->kind == SET32) put_u32(p, (uint32_t)m->value);
    if (m->kind == ADD32) put_u32(p, vit__u32(p) + (uint32_t)(m->value & HUGE_U32));
    if (m->kind == SET64) put_u64(p, m->value);
    if (m->kind == ADD64) put_u64(p, vit__u64(p) + m->value);
    uint32_t head_size = vit__u32(file + 16);
    if (head_size >= 16 && head_size < 10000) seal_head(file);
}

/* Opens a copy in memory of exactly this size, so that a sanitizer sees each byte read beyond. */
static vit_status open_exact(const unsigned char *data, size_t size) {
    unsigned char *copy = (unsigned char *)allocate(size);
    vit_model model;
    if (size > 0) memcpy(copy, data, size);
    vit_status status = vit_model_open(&model, copy, size);
    free(copy);
    return status;
}

static void check_malformations_of(vit_dtype dtype, const malformation *list, size_t count) {
    model_parts parts = full_parts();
    parts.dtype = dtype;
    model_file file = model_make(&parts, 5);
    unsigned char *bad = (unsigned char *)allocate(file.size);
    for (size_t i = 0; i < count; i++) {
        memcpy(bad, file.data, file.size);
        apply(&list[i], bad);
        assert_status(open_exact(bad, file.size), list[i].want, list[i].what);
    }
    free(bad);
    model_free(&file);
}

static void check_malformations(const malformation *list, size_t count) {
    check_malformations_of(VIT_F32, list, count);
}

static void test_each_error_of_the_header_has_its_status(void **state) {
    (void)state;
    check_malformations(in_the_header, COUNT_OF(in_the_header));
}

static void test_each_error_of_the_directory_has_its_status(void **state) {
    (void)state;
    check_malformations(in_the_directory, COUNT_OF(in_the_directory));
}

static void test_each_error_of_the_config_has_its_status(void **state) {
    (void)state;
    check_malformations(in_the_config, COUNT_OF(in_the_config));
}

/* Every dtype and range of a matrix but its own. The sizes of f16 and bf16 are the same. */
static void test_only_the_right_range_goes_with_a_dtype(void **state) {
    static const uint32_t ranges[] = {
        0,       1, 7, 8, 62, 63, 64, 126, 127, 128, 255, 0x7FFFFFFF, 0x80000000u, HUGE_U32 - 62,
        HUGE_U32};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(all_dtypes); i++) {
        vit_dtype dtype = all_dtypes[i];
        for (size_t j = 0; j < COUNT_OF(ranges); j++) {
            uint32_t range = ranges[j];
            int is_int8 = dtype == VIT_INT8 || dtype == VIT_INT8X;
            int right = is_int8             ? range == 63 || range == 127
                        : dtype == VIT_INT4 ? range == 8
                                            : range == 0;
            malformation m = {"range", ENTRY(4) + 24, range, SET32,
                              right ? VIT_OK : VIT_ERROR_DIRECTORY};
            check_malformations_of(dtype, &m, 1);
        }
    }
}

/* The halves are of one size, so that either may be in the place of the other; but not in one matrix of
   the blocks alone. */
static void test_a_dtype_of_another_size_or_than_the_blocks_is_refused(void **state) {
    static const size_t entries[] = {0, 4, 5, 7, 9, 10};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(all_dtypes) * COUNT_OF(entries); i++) {
        for (uint32_t dtype = 0; dtype < 8; dtype++) {
            model_parts parts = full_parts();
            parts.dtype = all_dtypes[i / COUNT_OF(entries)];
            model_file file = model_make(&parts, 5);
            unsigned char *entry = file.data + ENTRY(entries[i % COUNT_OF(entries)]);
            uint32_t own = vit__u32(entry + 8);
            int halves = (own == 1 || own == 2) && (dtype == 1 || dtype == 2);
            int right = dtype == own || (halves && entries[i % COUNT_OF(entries)] == 0);
            put_u32(entry + 8, dtype);
            put_u32(entry + 24, dtype == 3 ? 63 : dtype == 4 ? 8 : 0);
            seal_head(file.data);
            assert_int_equal(open_exact(file.data, file.size),
                             right ? VIT_OK : VIT_ERROR_DIRECTORY);
            model_free(&file);
        }
    }
}

static void test_int8_has_few_enough_inputs_for_sums_of_32_bits(void **state) {
    vit__tensor most = fc1_of(1, 1 << 17), more = fc1_of(1, (1 << 17) + 1);
    vit__tensor most_x = fc1_of(1, 1 << 16), more_x = fc1_of(1, (1 << 16) + 1);
    (void)state;
    assert_true((int64_t)most.padded_cols * 127 * 128 <= INT32_MAX);
    assert_true(vit__dtype_is_valid(&most, VIT__INT8, 63));
    assert_false(vit__dtype_is_valid(&more, VIT__INT8, 63));
    assert_true((int64_t)most_x.padded_cols * 254 * 128 <= INT32_MAX);
    assert_true(vit__dtype_is_valid(&most_x, VIT__INT8, 127));
    assert_false(vit__dtype_is_valid(&more_x, VIT__INT8, 127));
    assert_true(vit__dtype_is_valid(&more, VIT__INT4, 8));
    most.role = VIT__HEAD; /* its inputs are floats */
    assert_true(vit__dtype_is_valid(&most, VIT__INT8, 127));
}

/* Whatever the range of the matrix that it goes through afterwards; int8 may have more. */
static void test_int8x_has_few_enough_inputs_of_a_head_for_sums_of_32_bits(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        const int more = i % 2, is_x = i / 2;
        model_parts parts = tiny_parts();
        parts.dtype = is_x ? VIT_INT8X : VIT_INT8;
        parts.config.num_heads = 1, parts.config.head_dim = (1 << 16) + more;
        model_file file = model_make(&parts, 15);
        for (int block = 0; block < parts.config.depth; block++) {
            const int proj = vit__tensor_index(&parts.config, VIT__PROJ, block);
            put_u32(file.data + ENTRY((size_t)proj) + 24, 63);
        }
        seal_head(file.data);
        assert_int_equal(open_exact(file.data, file.size),
                         more && is_x ? VIT_ERROR_DIRECTORY : VIT_OK);
        model_free(&file);
    }
}

static void test_int8_has_few_enough_tokens_for_sums_of_32_bits(void **state) {
    (void)state;
    for (int more = 0; more < 2; more++) {
        for (int dtype = VIT_F32; dtype <= VIT_INT8X; dtype++) {
            if (dtype == VIT_F16 || dtype == VIT_BF16) continue;
            model_parts parts = tiny_parts();
            parts.dtype = (vit_dtype)dtype;
            parts.config.img_size[0] = 1 << 9, parts.config.img_size[1] = (1 << 8) - 1;
            parts.config.patch_size[0] = parts.config.patch_size[1] = 1;
            parts.config.prefix_tokens = (1 << 9) + more, parts.config.head_tokens = 1;
            model_file file = model_make(&parts, 14);
            assert_int_equal(vit__num_tokens(&parts.config), (1 << 17) + more);
            assert_int_equal(open_exact(file.data, file.size),
                             more && dtype >= VIT_INT8 ? VIT_ERROR_DIRECTORY : VIT_OK);
            model_free(&file);
        }
    }
}

/* img_size, patch_size, in_chans, num_classes, embed_dim, depth, num_heads, head_dim, mlp_dim,
   and resize_size: none may be 0 or larger than 2^20. */
static void test_no_count_may_be_0_or_huge(void **state) {
    static const uint32_t values[] = {0, 0x100001, 0x7FFFFFFF, 0x80000000u, HUGE_U32};
    (void)state;
    for (size_t at = 64; at <= 144; at += 4) {
        if (at == 108) at = 140;
        for (size_t i = 0; i < COUNT_OF(values); i++) {
            malformation m = {"count", at, values[i], SET32, VIT_ERROR_CONFIG};
            check_malformations(&m, 1);
        }
    }
}

/* Every count as large as it may be, one, two and three at a time: no product overflows, and
   nothing is accepted, for the file is too small. */
static void test_no_product_of_large_counts_overflows(void **state) {
    model_parts parts = full_parts();
    model_file file = model_make(&parts, 5);
    unsigned char *bad = (unsigned char *)allocate(file.size);
    (void)state;
    for (size_t a = 64; a <= 124; a += 4) {
        for (size_t b = a; b <= 124; b += 4) {
            for (size_t c = b; c <= 124; c += 4) {
                memcpy(bad, file.data, file.size);
                put_u32(bad + 52, 0);
                put_u32(bad + a, 1u << 20), put_u32(bad + b, 1u << 20), put_u32(bad + c, 1u << 20);
                seal_head(bad);
                vit_status status = open_exact(bad, file.size);
                assert_true(status == VIT_ERROR_CONFIG || status == VIT_ERROR_DIRECTORY ||
                            status == VIT_ERROR_FEATURE);
            }
        }
    }
    free(bad);
    model_free(&file);
}

/* What is just allowed, and one more. */
static void test_sizes_that_follow_from_the_config_are_limited(void **state) {
    static const struct {
        int img_size[2], patch_size[2], in_chans, embed_dim, num_heads, head_dim, prefix_tokens;
        int valid;
    } cases[] = {
        {{1 << 14, 1 << 14}, {16, 16}, 1, 8, 1, 8, 1, 1}, /* 2^28 pixels */
        {{1 << 14, 16400}, {16, 16}, 1, 8, 1, 8, 1, 0},
        {{1 << 14, 1 << 13}, {16, 16}, 3, 8, 1, 8, 1, 0},
        {{1 << 20, 1 << 20}, {1 << 10, 1 << 10}, 1, 8, 1, 8, 1, 0},
        {{1 << 12, 1 << 12}, {1 << 12, 1 << 12}, 1, 8, 1, 8, 1, 1}, /* 2^24 inputs of a matrix */
        {{1 << 12, 1 << 12}, {1 << 12, 1 << 12}, 2, 8, 1, 8, 1, 0},
        {{1 << 12, 4097}, {1 << 12, 4097}, 1, 8, 1, 8, 1, 0},
        {{1 << 12, 4095}, {1, 1}, 1, 8, 1, 8, 1 << 12, 1}, /* 2^24 tokens */
        {{1 << 12, 4095}, {1, 1}, 1, 8, 1, 8, 4097, 0},
        {{32, 32}, {8, 8}, 3, 8, 1 << 20, 16, 1, 1}, /* 2^24 outputs of all heads */
        {{32, 32}, {8, 8}, 3, 8, 1 << 20, 17, 1, 0},
        {{32, 32}, {8, 8}, 3, 1 << 20, 1, 8, 16, 1}, /* 2^24 inputs of the head */
        {{32, 32}, {8, 8}, 3, 1 << 20, 1, 8, 17, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        vit_config c = small_config();
        memcpy(c.img_size, cases[i].img_size, sizeof(c.img_size));
        memcpy(c.patch_size, cases[i].patch_size, sizeof(c.patch_size));
        c.in_chans = cases[i].in_chans, c.embed_dim = cases[i].embed_dim;
        c.num_heads = cases[i].num_heads, c.head_dim = cases[i].head_dim;
        c.prefix_tokens = c.head_tokens = cases[i].prefix_tokens;
        if (c.prefix_tokens > 1000) c.head_tokens = 1;
        if (vit__config_is_valid(&c) != cases[i].valid) fail_msg("case %zu", i);
    }
}

/* Just what is too much: 2^28 + 1 pixels, 2^24 + 1 inputs of a matrix. */
static void test_one_more_than_the_limits_is_refused(void **state) {
    vit_config c = tiny_config();
    (void)state;
    c.in_chans = 1;
    c.img_size[0] = c.patch_size[0] = 17, c.img_size[1] = 15790321, c.patch_size[1] = 1000;
    assert_int_equal((int64_t)c.img_size[0] * c.img_size[1], (1 << 28) + 1);
    assert_false(vit__config_is_valid(&c));
    c.img_size[1]--;
    assert_true(vit__config_is_valid(&c));
    c.img_size[0] = c.patch_size[0] = 97 * 257, c.img_size[1] = c.patch_size[1] = 673;
    assert_int_equal(vit__patch_inputs(&c), (1 << 24) + 1);
    assert_false(vit__config_is_valid(&c));
    c.patch_size[1]--;
    assert_true(vit__config_is_valid(&c));
}

/* 2^24 positions at most, those of the prefix tokens included. */
static void test_positions_are_limited(void **state) {
    vit_config c = small_config();
    (void)state;
    c.pos_size[0] = 1 << 12, c.pos_size[1] = (1 << 12) - 1, c.prefix_tokens = 1 << 12;
    assert_int_equal(vit__num_positions(&c), 1 << 24);
    assert_true(vit__config_is_valid(&c));
    c.prefix_tokens++;
    assert_false(vit__config_is_valid(&c));
    c.prefix_tokens = 1, c.pos_size[0] = c.pos_size[1] = 1;
    assert_true(vit__config_is_valid(&c));
}

/* The smallest and largest number of each range, and those beside them. */
static void test_numbers_of_the_header_have_limits(void **state) {
    static const struct {
        int range;
        uint32_t value;
        vit_status want;
    } cases[] = {
        {VIT__FROM_0, 0, VIT_OK},
        {VIT__FROM_0, 1u << 20, VIT_OK},
        {VIT__FROM_0, (1u << 20) + 1, VIT_ERROR_CONFIG},
        {VIT__FROM_1, 0, VIT_ERROR_CONFIG},
        {VIT__FROM_1, 1, VIT_OK},
        {VIT__FROM_1, 1u << 20, VIT_OK},
        {VIT__FROM_1, (1u << 20) + 1, VIT_ERROR_CONFIG},
        {VIT__FROM_1, NAN_BITS, VIT_ERROR_CONFIG},
        {VIT__FINITE, MINUS_ONE_BITS, VIT_OK},
        {VIT__FINITE, 0x7F7FFFFF, VIT_OK}, /* the largest float */
        {VIT__FINITE, INFINITY_BITS, VIT_ERROR_CONFIG},
        {VIT__POSITIVE, 1, VIT_OK}, /* the smallest float */
        {VIT__POSITIVE, 0, VIT_ERROR_CONFIG},
        {VIT__POSITIVE, 0x80000001u, VIT_ERROR_CONFIG},
        {VIT__NONZERO, 1, VIT_OK},
        {VIT__NONZERO, 0x80000001u, VIT_OK},
        {VIT__NONZERO, 0x80000000u, VIT_ERROR_CONFIG}, /* -0 */
        {VIT__NOT_NEGATIVE, 0, VIT_OK},
        {VIT__NOT_NEGATIVE, 0x80000001u, VIT_ERROR_CONFIG},
        {VIT__SHARE, 0, VIT_OK},
        {VIT__SHARE, 0x3F800000, VIT_OK},
        {VIT__SHARE, 0x3F800001, VIT_ERROR_CONFIG},
        {VIT__CHOICES + 1, 0, VIT_OK},
        {VIT__CHOICES + 1, 1, VIT_ERROR_FEATURE},
        {VIT__CHOICES + 3, 2, VIT_OK},
        {VIT__CHOICES + 3, 3, VIT_ERROR_FEATURE},
        {VIT__CHOICES + 3, HUGE_U32, VIT_ERROR_FEATURE},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (vit__check_number(cases[i].range, cases[i].value) != cases[i].want)
            fail_msg("case %zu", i);
    }
}

/* A range of bytes in the head, after the header of 384 bytes. */
static void test_what_is_in_the_head(void **state) {
    unsigned char file[24] = {0};
    (void)state;
    put_u32(file + 16, 512), put_u32(file + 20, 384);
    assert_true(vit__in_head(file, 384, 128));
    assert_false(vit__in_head(file, 383, 1));
    assert_false(vit__in_head(file, 384, 129));
    assert_true(vit__in_head(file, 504, 8));
    assert_false(vit__in_head(file, 504, 9));
    assert_true(vit__in_head(file, 512, 0));
    assert_false(vit__in_head(file, 513, 0));
    assert_false(vit__in_head(file, 513, SIZE_MAX));
    assert_false(vit__in_head(file, SIZE_MAX, 1));
}

/* 63 bytes of a name and a NUL, but not 64 bytes. */
static void test_a_name_ends_with_a_nul(void **state) {
    unsigned char name[65];
    (void)state;
    for (size_t length = 0; length <= 64; length++) {
        memset(name, 0, sizeof(name));
        memset(name, 'a', length);
        assert_int_equal(vit__name_is_valid(name), length < 64);
    }
    for (size_t at = 1; at < 64; at++) {
        memset(name, 0, sizeof(name));
        name[at] = 'a';
        assert_false(vit__name_is_valid(name));
    }
}

/* The last tensor reaches over the end of the file, and a chunk of a size that wraps around brings
   the sum of all sizes back to the file's. */
static void test_a_chunk_of_negative_size_does_not_make_up_for_missing_weights(void **state) {
    model_parts parts = full_parts();
    parts.chunks = 1;
    model_file file = model_make(&parts, 13);
    uint64_t end = file.size - 64; /* of the tensors */
    (void)state;
    for (uint64_t missing = 0; missing <= 256; missing += 64) {
        put_u64(file.data + 24, end - missing);
        put_u64(file.data + CHUNK(0) + 8, end);
        put_u64(file.data + CHUNK(0) + 16, 0 - missing);
        seal_head(file.data);
        assert_int_equal(open_exact(file.data, (size_t)(end - missing)),
                         missing == 0 ? VIT_OK : VIT_ERROR_DIRECTORY);
    }
    model_free(&file);
}

static void test_a_wrong_head_checksum_is_refused(void **state) {
    model_parts parts = tiny_parts();
    model_file file = model_make(&parts, 1);
    (void)state;
    put_u32(file.data + 12, vit__u32(file.data + 12) ^ 1);
    assert_int_equal(open_exact(file.data, file.size), VIT_ERROR_HEAD);
    model_free(&file);
}

/* ---- labels ---- */

typedef struct label_case {
    const char *bytes; /* of one label */
    vit_status want;
} label_case;

static const label_case labels[] = {
    {"", VIT_OK},
    {" ", VIT_OK},
    {"~", VIT_OK},
    {"\x1F", VIT_ERROR_LABELS},
    {"tab\there", VIT_ERROR_LABELS},
    {"\x7F", VIT_ERROR_LABELS},
    {"\x80", VIT_ERROR_LABELS},
    {"\xC0\x80", VIT_ERROR_LABELS}, /* an overlong NUL */
    {"\xC1\xBF", VIT_ERROR_LABELS},
    {"\xC2\x9F", VIT_ERROR_LABELS}, /* a C1 control */
    {"\xC2\xA0", VIT_OK},
    {"\xC2", VIT_ERROR_LABELS},
    {"\xC2 ", VIT_ERROR_LABELS},
    {"\xDF\xBF", VIT_OK},
    {"\xE0\x9F\xBF", VIT_ERROR_LABELS}, /* overlong */
    {"\xE0\xA0\x80", VIT_OK},
    {"\xED\x9F\xBF", VIT_OK},
    {"\xED\xA0\x80", VIT_ERROR_LABELS}, /* a surrogate */
    {"\xEE\x80\x80", VIT_OK},
    {"\xEF\xBF", VIT_ERROR_LABELS},
    {"\xEF\xBF\xBD", VIT_OK},
    {"\xF0\x8F\xBF\xBF", VIT_ERROR_LABELS}, /* overlong */
    {"\xF0\x90\x80\x80", VIT_OK},
    {"\xF4\x8F\xBF\xBF", VIT_OK},
    {"\xF4\x90\x80\x80", VIT_ERROR_LABELS}, /* beyond U+10FFFF */
    {"\xF5\x80\x80\x80", VIT_ERROR_LABELS},
    {"\xF0\x90\x80", VIT_ERROR_LABELS},
    {"\xF0\x90\x80\xC0", VIT_ERROR_LABELS},
    {"\xFF", VIT_ERROR_LABELS},
};

/* The status of a model of one class that has this label. */
static vit_status open_with_labels(const char *bytes, size_t size) {
    model_parts parts = tiny_parts();
    parts.config.num_classes = 1;
    parts.labels = bytes;
    parts.labels_size = size;
    model_file file = model_make(&parts, 1);
    vit_status status = open_exact(file.data, file.size);
    model_free(&file);
    return status;
}

static void test_labels_are_clean_utf8(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(labels); i++)
        assert_status(open_with_labels(labels[i].bytes, strlen(labels[i].bytes) + 1),
                      labels[i].want, labels[i].bytes);
}

static void test_labels_end_with_one_nul(void **state) {
    static const char filled[64] = "a";
    (void)state;
    assert_int_equal(open_with_labels("abc", 3), VIT_ERROR_LABELS);
    assert_int_equal(open_with_labels("abc\0", 5), VIT_ERROR_LABELS);
    assert_int_equal(open_with_labels("a\0b", 3), VIT_ERROR_LABELS);
    assert_int_equal(open_with_labels(filled, 64), VIT_ERROR_LABELS);
    assert_int_equal(open_with_labels("\xC3\0\xA4", 4), VIT_ERROR_LABELS);
}

/* A sequence is one only where all of it is there. */
static void test_a_sequence_ends_before_the_end(void **state) {
    static const char *const sequences[] = {"a", "\xC3\xA4", "\xE4\xB8\x89", "\xF0\x9F\x90\x88"};
    (void)state;
    for (size_t length = 1; length <= COUNT_OF(sequences); length++) {
        const unsigned char *p = (const unsigned char *)sequences[length - 1];
        for (size_t left = 1; left < 6; left++)
            assert_int_equal(vit__utf8_length(p, left), left < length ? 0 : length);
    }
}

/* The last sequence of the labels is cut off by the end of the head, which is the file's too. */
static void test_labels_are_not_read_beyond_their_end(void **state) {
    char bytes[64];
    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    for (size_t size = 1; size <= sizeof(bytes); size++) {
        bytes[size - 1] = '\xF0';
        assert_int_equal(vit__strings_are_valid((const unsigned char *)bytes, size, 1), 0);
        bytes[size - 1] = 'x';
    }
}

/* ---- damage ---- */

static void test_every_flipped_bit_of_the_head_is_refused(void **state) {
    model_parts parts = tiny_parts();
    model_file file = model_make(&parts, 6);
    vit_model model;
    (void)state;
    for (size_t bit = 0; bit < (size_t)vit__u32(file.data + 16) * 8; bit++) {
        file.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        if (vit_model_open(&model, file.data, file.size) == VIT_OK)
            fail_msg("bit %zu of byte %zu", bit % 8, bit / 8);
        file.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    assert_int_equal(vit_model_open(&model, file.data, file.size), VIT_OK);
    model_free(&file);
}

static void test_every_flipped_bit_of_the_weights_is_found(void **state) {
    model_parts parts = tiny_parts();
    model_file file = model_make(&parts, 7);
    vit_model model;
    (void)state;
    assert_status(vit_model_open(&model, file.data, file.size), VIT_OK, "open");
    for (size_t bit = (size_t)vit__u32(file.data + 16) * 8; bit < file.size * 8; bit++) {
        file.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        if (vit_model_verify(&model) != VIT_ERROR_CHECKSUM)
            fail_msg("bit %zu of byte %zu", bit % 8, bit / 8);
        file.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    assert_status(vit_model_verify(&model), VIT_OK, "verify");
    model_free(&file);
}

static void test_a_file_cut_off_anywhere_is_refused(void **state) {
    model_parts parts = tiny_parts();
    model_file file = model_make(&parts, 8);
    (void)state;
    for (size_t size = 0; size < file.size; size++) {
        vit_status want = size < 12 ? VIT_ERROR_MAGIC : VIT_ERROR_SIZE;
        if (open_exact(file.data, size) != want) fail_msg("%zu bytes", size);
    }
    assert_int_equal(open_exact(file.data, file.size), VIT_OK);
    model_free(&file);
}

/* As above, but file_size says what is there, and the checksum is right where the head is whole. */
static void test_a_file_cut_off_anywhere_that_denies_it_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(all_dtypes); i++) {
        model_parts parts = tiny_parts();
        parts.dtype = all_dtypes[i];
        model_file file = model_make(&parts, 8);
        for (size_t size = 384; size < file.size; size++) {
            put_u64(file.data + 24, size);
            seal_head(file.data);
            vit_status want =
                size < vit__u32(file.data + 16) ? VIT_ERROR_HEAD : VIT_ERROR_DIRECTORY;
            if (open_exact(file.data, size) != want) fail_msg("%zu bytes", size);
        }
        model_free(&file);
    }
}

static void test_a_byte_behind_the_end_is_refused(void **state) {
    model_parts parts = tiny_parts();
    model_file file = model_make(&parts, 8);
    vit_model model;
    (void)state;
    assert_int_equal(vit_model_open(&model, file.data, file.size + 1), VIT_ERROR_SIZE);
    model_free(&file);
}

/* ---- random damage behind right checksums ---- */

/* Opens it and, where it opens, uses all that it offers. Returns whether it opened. */
static int use(const unsigned char *data, size_t size) {
    vit_model model;
    if (vit_model_open(&model, data, size) != VIT_OK) return 0;
    vit_model_verify(&model);
    for (int i = -1; i <= model.config.num_classes; i++) {
        const char *label = vit_model_label(&model, i);
        if (label != NULL) assert_true(strlen(label) < size);
    }
    size_t need = vit_workspace_size(&model, NULL, 1);
    size_t pixels_count = vit_pixels_count(&model, NULL);
    if (need == 0 || need > 1 << 22 || pixels_count > 1 << 18) return 1;
    float *pixels = allocate_floats(pixels_count);
    float *logits = allocate_floats((size_t)model.config.num_classes);
    static const unsigned char photo[5 * 7 * 3] = {1, 2, 3, 200};
    vit_image image = {photo, 5, 7, 0, 0, 0};
    size_t need_image = vit_preprocess_workspace_size(&model, NULL, &image);
    unsigned char *workspace = (unsigned char *)allocate(need + need_image);
    if (need_image < 1 << 22) vit_preprocess(&model, NULL, &image, pixels, workspace, need_image);
    memset(pixels, 0, pixels_count * sizeof(float));
    assert_status(vit_forward(&model, NULL, pixels, 1, logits, workspace, need), VIT_OK, "forward");
    free(workspace);
    free(logits);
    free(pixels);
    return 1;
}

/* A 32-bit word of the head, or one bit, becomes something else. */
static void damage(unsigned char *file, int head_size, uint32_t *random) {
    static const uint32_t values[] = {0,          1,           2,        3,       4,   15,
                                      16,         17,          64,       255,     256, 0x100000,
                                      0x7FFFFFFF, 0x80000000u, HUGE_U32, NAN_BITS};
    unsigned char *p = file + 4 * random_below(random, head_size / 4);
    if (random_below(random, 2)) p = file + 16 + 4 * random_below(random, 44);
    switch (random_below(random, 4)) {
    case 0:
        put_u32(p, values[random_below(random, (int)COUNT_OF(values))]);
        break;
    case 1:
        put_u32(p, vit__u32(p) + (uint32_t)random_below(random, 129) - 64);
        break;
    case 2:
        put_u32(p, random_u32(random));
        break;
    default:
        p += random_below(random, 4);
        *p ^= (unsigned char)(1 << random_below(random, 8));
    }
}

static void damage_at_random(vit_dtype dtype) {
    model_parts parts = tiny_parts();
    parts.dtype = dtype;
    model_file file = model_make(&parts, 9);
    unsigned char *bad = (unsigned char *)allocate(file.size);
    uint32_t random = 10 + (uint32_t)dtype;
    int opened = 0, head_size = (int)vit__u32(file.data + 16), times = dtype ? 4000 : 20000;
    for (int i = 0; i < times; i++) {
        memcpy(bad, file.data, file.size);
        for (int n = random_below(&random, 3); n >= 0; n--) damage(bad, head_size, &random);
        memcpy(bad, file.data, 12);
        if (vit__u32(bad + 16) >= 16 && vit__u32(bad + 16) <= file.size) seal_head(bad);
        opened += use(bad, file.size);
    }
    assert_true(opened > times / 40);
    free(bad);
    model_free(&file);
}

static void test_random_damage_behind_right_checksums_does_no_harm(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(all_dtypes); i++) damage_at_random(all_dtypes[i]);
}

static void test_random_weights_do_no_harm(void **state) {
    uint32_t random = 12;
    (void)state;
    for (size_t i = 0; i < 5 * COUNT_OF(all_dtypes); i++) {
        model_parts parts = full_parts();
        parts.dtype = all_dtypes[i / 5];
        model_file file = model_make(&parts, 11);
        size_t head_size = vit__u32(file.data + 16);
        random_bytes(&random, file.data + head_size, file.size - head_size);
        assert_true(use(file.data, file.size));
        model_free(&file);
    }
}

/* ---- statuses ---- */

static void test_every_status_has_a_text_of_its_own(void **state) {
    (void)state;
    for (int i = 0; i < VIT_STATUS_COUNT; i++) {
        const char *text = vit_status_string((vit_status)i);
        assert_true(strlen(text) > 0);
        for (int j = 0; j < i; j++) assert_string_not_equal(text, vit_status_string((vit_status)j));
    }
    assert_string_equal(vit_status_string(VIT_OK), "ok");
    assert_string_equal(vit_status_string(VIT_ERROR_STOPPED),
                        "stopped by options.on_block or on_attention");
    assert_string_equal(vit_status_string(VIT_STATUS_COUNT), "unknown status");
    assert_string_equal(vit_status_string((vit_status)-1), "unknown status");
    assert_string_equal(vit_status_string((vit_status)12345), "unknown status");
}

/* ---- what the cases above do not reach ---- */

static void test_a_name_ends_within_its_64_bytes(void **state) {
    model_parts parts = full_parts();
    model_file file = model_make(&parts, 5);
    (void)state;
    memset(file.data + VIT__NAME_OFFSET, 'a', 64);
    seal_head(file.data);
    assert_status(open_exact(file.data, file.size), VIT_ERROR_CONFIG, "64 bytes");
    file.data[VIT__NAME_OFFSET + 63] = 0;
    seal_head(file.data);
    assert_status(open_exact(file.data, file.size), VIT_OK, "63 bytes and NUL");
    model_free(&file);
}

static void test_positions_of_another_grid_are_not_too_many(void **state) {
    vit_config config = small_config();
    (void)state;
    config.pos_size[0] = 1 << 12, config.pos_size[1] = (1 << 12) - 1;
    assert_true(vit__config_is_valid(&config));
    config.pos_size[1]++;
    assert_false(vit__config_is_valid(&config));
}

static void test_pre_logits_are_in_front_of_a_head(void **state) {
    vit_config config = small_config();
    (void)state;
    config.num_classes = 0, config.output = VIT_OUTPUT_EMBEDDING;
    assert_true(vit__config_is_valid(&config));
    config.pre_logits = 4;
    assert_false(vit__config_is_valid(&config));
    config.num_classes = 5;
    assert_true(vit__config_is_valid(&config));
}

/* Each byte in each of the places that are looked at together. */
static void test_each_byte_is_within_its_range_or_is_found(void **state) {
    (void)state;
    for (int value = -128; value < 128; value++) {
        for (size_t place = 0; place < 128; place += place % 4 == 3 ? 29 : 1) {
            unsigned char bytes[128] = {0};
            bytes[place] = (unsigned char)value;
            assert_int_equal(vit__bytes_are_within(bytes, 128, 63), value >= -63 && value <= 63);
            assert_int_equal(vit__bytes_are_within(bytes, 128, 127), value >= -127);
        }
    }
}

static void test_tensors_of_no_model_are_refused(void **state) {
    static vit_model closed; /* all zero */
    model_parts parts = tiny_parts();
    model_file file = model_make(&parts, 1);
    vit_model model;
    vit_tensor t;
    (void)state;
    assert_status(vit_model_open(&model, file.data, file.size), VIT_OK, "open");
    assert_int_equal(vit_model_verify_tensor(NULL, 0), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_model_verify_tensor(&closed, 0), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_model_verify_tensor(&model, -1), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_model_tensor(&closed, 0, &t), VIT_ERROR_ARGUMENT);
    model_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xxh32_gives_the_published_values),
        cmocka_unit_test(test_a_model_opens_with_the_config_and_labels_of_its_file),
        cmocka_unit_test(test_a_model_without_labels_has_none),
        cmocka_unit_test(test_the_golden_models_open),
        cmocka_unit_test(test_larger_headers_and_entries_and_unknown_chunks_are_skipped),
        cmocka_unit_test(test_data_may_lie_at_any_multiple_of_16_and_nowhere_else),
        cmocka_unit_test(test_opening_and_running_changes_nothing_in_the_file),
        cmocka_unit_test(test_null_arguments_are_refused),
        cmocka_unit_test(test_a_model_that_failed_to_open_can_be_closed_but_not_used),
        cmocka_unit_test(test_dtypes_have_names),
        cmocka_unit_test(test_models_of_every_dtype_open),
        cmocka_unit_test(test_every_part_of_a_matrix_is_found),
        cmocka_unit_test(test_the_size_of_a_matrix_follows_from_its_dtype),
        cmocka_unit_test(test_integers_beyond_the_range_of_their_tensor_are_found),
        cmocka_unit_test(test_tensors_are_told_as_the_directory_has_them),
        cmocka_unit_test(test_names_are_found),
        cmocka_unit_test(test_index_and_role_of_a_tensor_agree),
        cmocka_unit_test(test_every_tensor_is_found_where_the_directory_says),
        cmocka_unit_test(test_each_error_of_the_header_has_its_status),
        cmocka_unit_test(test_each_error_of_the_directory_has_its_status),
        cmocka_unit_test(test_each_error_of_the_config_has_its_status),
        cmocka_unit_test(test_only_the_right_range_goes_with_a_dtype),
        cmocka_unit_test(test_a_dtype_of_another_size_or_than_the_blocks_is_refused),
        cmocka_unit_test(test_int8_has_few_enough_inputs_for_sums_of_32_bits),
        cmocka_unit_test(test_int8_has_few_enough_tokens_for_sums_of_32_bits),
        cmocka_unit_test(test_int8x_has_few_enough_inputs_of_a_head_for_sums_of_32_bits),
        cmocka_unit_test(test_no_count_may_be_0_or_huge),
        cmocka_unit_test(test_no_product_of_large_counts_overflows),
        cmocka_unit_test(test_sizes_that_follow_from_the_config_are_limited),
        cmocka_unit_test(test_one_more_than_the_limits_is_refused),
        cmocka_unit_test(test_positions_are_limited),
        cmocka_unit_test(test_numbers_of_the_header_have_limits),
        cmocka_unit_test(test_what_is_in_the_head),
        cmocka_unit_test(test_a_name_ends_with_a_nul),
        cmocka_unit_test(test_a_chunk_of_negative_size_does_not_make_up_for_missing_weights),
        cmocka_unit_test(test_a_wrong_head_checksum_is_refused),
        cmocka_unit_test(test_labels_are_clean_utf8),
        cmocka_unit_test(test_labels_end_with_one_nul),
        cmocka_unit_test(test_a_sequence_ends_before_the_end),
        cmocka_unit_test(test_labels_are_not_read_beyond_their_end),
        cmocka_unit_test(test_every_flipped_bit_of_the_head_is_refused),
        cmocka_unit_test(test_every_flipped_bit_of_the_weights_is_found),
        cmocka_unit_test(test_a_file_cut_off_anywhere_is_refused),
        cmocka_unit_test(test_a_file_cut_off_anywhere_that_denies_it_is_refused),
        cmocka_unit_test(test_a_byte_behind_the_end_is_refused),
        cmocka_unit_test(test_random_damage_behind_right_checksums_does_no_harm),
        cmocka_unit_test(test_random_weights_do_no_harm),
        cmocka_unit_test(test_every_status_has_a_text_of_its_own),
        cmocka_unit_test(test_a_name_ends_within_its_64_bytes),
        cmocka_unit_test(test_positions_of_another_grid_are_not_too_many),
        cmocka_unit_test(test_pre_logits_are_in_front_of_a_head),
        cmocka_unit_test(test_each_byte_is_within_its_range_or_is_found),
        cmocka_unit_test(test_tensors_of_no_model_are_refused),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
