/* Version 1 of the format: every file of tests/golden/v1 is read as it was when it was written, its weights
   to the bit, and gives PyTorch's outputs. tests/golden/make_v1.py makes the files and says what is in
   them. */
#include "test_util.h"

#define V1 GOLDEN "v1/"

/* A line of models.txt. */
typedef struct expectation {
    char name[32];
    unsigned checksum; /* of the weights */
    int outputs, embeds;
} expectation;

/* Largest difference of an output from PyTorch's, relative to the largest, by how the weights are rounded. */
static float tolerance_of(const char *name) {
    static const struct {
        const char *name;
        float tolerance;
    } rounded[] = {
        {"bf16", 2e-2f}, /* inputs too, where the processor multiplies bf16 */
        {"int8", 1e-1f},      {"int8x", 5e-2f},
        {"int4", 5e-1f},      {"embedding", 2e-3f}, /* LayerScale is in the weights of f16 */
        {"zero_shot", 2e-3f},                       /* the texts' lengths are */
    };
    for (size_t i = 0; i < COUNT_OF(rounded); i++) {
        if (strcmp(name, rounded[i].name) == 0) return rounded[i].tolerance;
    }
    return 1e-5f;
}

/* Weights and bias of a matrix, [padded outputs][padded inputs] and [padded outputs]. */
static size_t matrix_weights(const vit_model *model, const vit__tensor *t, float *out) {
    const vit__matrix m = vit__matrix_of(model, t->role, t->block);
    float *panel = allocate_floats(m.inputs * VIT__PANEL);
    for (size_t row = 0; row < m.outputs; row += VIT__PANEL) {
        model->kernels->unpack(&m, (int)(row / VIT__PANEL), 1, 0, m.inputs, panel);
        for (size_t i = 0; i < VIT__PANEL * m.inputs; i++)
            out[(row + i % VIT__PANEL) * m.inputs + i / VIT__PANEL] = panel[i];
    }
    free(panel);
    memcpy(out + m.outputs * m.inputs, m.bias, m.outputs * sizeof(float));
    return m.outputs * (m.inputs + 1);
}

static size_t tensor_weights(const vit_model *model, const vit__tensor *t, float *out) {
    size_t count = t->padded_rows * t->padded_cols;
    if (t->order == VIT__PANELS) return matrix_weights(model, t, out);
    memcpy(out, vit__tensor_data(model, t->role, t->block), count * sizeof(float));
    return count;
}

static uint32_t checksum_of_weights(const vit_model *model) {
    size_t count = 0, done = 0;
    for (int i = 0; i < vit_model_tensor_count(model); i++) {
        vit__tensor t = vit__tensor_at(&model->config, i);
        count += t.padded_rows * (t.padded_cols + 1);
    }
    float *weights = allocate_floats(count);
    for (int i = 0; i < vit_model_tensor_count(model); i++) {
        vit__tensor t = vit__tensor_at(&model->config, i);
        done += tensor_weights(model, &t, weights + done);
    }
    uint32_t checksum = vit__xxh32(weights, done * sizeof(float));
    free(weights);
    return checksum;
}

/* What make_v1.py's PyTorch has seen. */
static float *make_pixels(const vit_model *model) {
    size_t count = vit_pixels_count(model, NULL);
    float *pixels = allocate_floats(count);
    for (size_t i = 0; i < count; i++) pixels[i] = (float)((i * 37 + 11) % 256) / 128 - 1;
    return pixels;
}

static void check_outputs(const vit_model *model, const expectation *expected) {
    char path[64];
    size_t size = vit_workspace_size(model, NULL, 1), count = (size_t)expected->outputs;
    snprintf(path, sizeof(path), "v1/%s.f32", expected->name);
    float *want = golden_floats(path, count), *got = allocate_floats(count);
    float *pixels = make_pixels(model);
    void *workspace = allocate(size);
    assert_status(vit_forward(model, NULL, pixels, 1, got, workspace, size), VIT_OK,
                  expected->name);
    assert_near(got, want, count, tolerance_of(expected->name) * largest_of(want, count));
    free(workspace), free(pixels), free(got), free(want);
}

static void check_model(const expectation *expected) {
    char path[64];
    size_t size = 0;
    vit_model model;
    snprintf(path, sizeof(path), V1 "%s.vit", expected->name);
    unsigned char *data = read_file(path, &size);
    assert_status(vit_model_open(&model, data, size), VIT_OK, path);
    assert_status(vit_model_verify(&model), VIT_OK, path);
    assert_int_equal(model.config.num_classes == 0, expected->embeds);
    uint32_t checksum = checksum_of_weights(&model);
    if (checksum != expected->checksum)
        fail_msg("%s: weights %08x, not %08x", path, checksum, expected->checksum);
    check_outputs(&model, expected);
    free(data);
}

static void test_every_file_of_version_1_is_read_as_it_was_written(void **state) {
    size_t size = 0;
    int models = 0, length = 0;
    char *list = (char *)read_file(V1 "models.txt", &size), *end = list + size;
    expectation expected;
    (void)state;
    list[size - 1] = '\0'; /* the last line's end */
    for (char *line = list; line < end; line += length + 1, models++) {
        length = (int)strcspn(line, "\n");
        if (sscanf(line, "%31s %x %d %d", expected.name, &expected.checksum, &expected.outputs,
                   &expected.embeds) != 4)
            fail_msg("models.txt: %.*s", length, line);
        check_model(&expected);
    }
    assert_int_equal(models, 18);
    free(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_file_of_version_1_is_read_as_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
