/* No bytes may make a model that opens, or a pass through it, crash, hang or read outside them. The
   checksums and the file's size are made right first, so that changes get past them; what is written in
   the head's checksum, bytes 12 to 15, chooses the options of the pass. How to run it: see fuzz.h. */
#define VIT_IMPLEMENTATION
#include "vit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORKSPACE = 1 << 24, MOST_TOKENS = 400, MOST_PIXELS = 1 << 18 };

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* ---- checksums ---- */

static void put_u32(unsigned char *p, uint32_t value) {
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(value >> 8 * i & 255);
}

/* The checksum at `at` of the bytes that the two numbers at `place` tell, if they are in the file. */
static void seal_part(unsigned char *file, size_t size, uint64_t at, uint64_t place) {
    if (at > size - 4 || place > size - 16) return;
    uint64_t start = vit__u64(file + place), length = vit__u64(file + place + 8);
    if (start > size || length > size - start) return;
    put_u32(file + at, vit__xxh32(file + start, (size_t)length));
}

/* See THE .vit FORMAT in vit.h. */
static void seal(unsigned char *file, size_t size) {
    uint64_t entry_size = vit__u32(file + 36), entries = vit__u32(file + 44);
    uint64_t chunks = vit__u32(file + 60), head = vit__u32(file + 16);
    put_u32(file + 24, (uint32_t)size);
    put_u32(file + 28, 0);
    for (uint64_t i = 0; i < vit__u32(file + 40) && i < size / 16; i++)
        seal_part(file, size, entries + i * entry_size + 28, entries + i * entry_size + 32);
    for (uint64_t i = 0; i < vit__u32(file + 56) && i < size / 16; i++)
        seal_part(file, size, chunks + i * 24 + 4, chunks + i * 24 + 8);
    if (head >= 16 && head <= size) put_u32(file + 12, vit__xxh32(file + 16, (size_t)head - 16));
}

/* ---- a pass ---- */

static void backwards(void *user, int count, vit_task task, void *arg) {
    (void)user;
    for (int i = count; i-- > 0;) task(arg, i);
}

/* Reads what it is shown. user: the block at which it stops. */
static int on_block(void *user, const vit_block_output *output) {
    volatile float sum = 0;
    for (int row = 0; row < output->images * output->tokens; row++)
        sum = sum + output->rows[(size_t)row * output->row_stride + (size_t)output->embed_dim - 1];
    return output->block == *(const int *)user;
}

static int on_attention(void *user, const vit_attention *attention) {
    volatile float sum = 0;
    (void)user;
    int rows = attention->images * attention->heads * attention->queries;
    for (int row = 0; row < rows; row++)
        sum = sum +
              attention->rows[(size_t)row * attention->row_stride + (size_t)attention->tokens - 1];
    return 0;
}

/* Writes all that it may; `user` is how many bytes. */
static int read_rows(void *user, int image, int row, void *pixels) {
    memset(pixels, row, *(const size_t *)user);
    return image == 1 && row > 0;
}

static vit_options choose(const vit_model *model, uint32_t bits, int *stop_at) {
    static const vit_isa isas[] = {VIT_ISA_BEST, VIT_ISA_PORTABLE, VIT_ISA_AVX2, VIT_ISA_AVX512};
    vit_options o;
    memset(&o, 0, sizeof(o));
    o.isa = isas[bits & 3];
    if (vit_forward_check(model, &o, 1) == VIT_ERROR_ISA) o.isa = VIT_ISA_BEST;
    o.low_memory = (int)(bits >> 2 & 1);
    o.all_tokens = (int)(bits >> 3 & 1);
    o.pixel_type = (vit_pixel_type)(bits >> 4 & 1);
    o.features = (vit_features)((bits >> 5 & 3) % VIT_FEATURES_COUNT);
    if (bits >> 7 & 1) o.threads = 3, o.parallel_for = backwards;
    *stop_at = (int)(bits >> 8 & 7);
    if (bits >> 11 & 1) o.on_block = on_block, o.on_block_user = stop_at;
    if (bits >> 12 & 1) o.on_attention = on_attention;
    if (bits >> 14 & 1) o.merge = 1 + (int)(bits >> 16 & 15);
    if (bits >> 13 & 1) o.img_size[0] = 1 + (int)(bits >> 16 & 63);
    if (bits >> 13 & 1) o.img_size[1] = 1 + (int)(bits >> 22 & 63);
    if (bits >> 15 & 1) o.read_rows = read_rows;
    return o;
}

/* Rollout, or a pass over a batch of 1 or 2. Every buffer ends where it has to. */
static void run(const vit_model *model, uint32_t bits) {
    int stop_at, batch = 1 + (int)(bits >> 28 & 1), rolls = (bits >> 29 & 1) != 0;
    vit_options o = choose(model, bits, &stop_at);
    size_t need =
        rolls ? vit_rollout_workspace_size(model, &o) : vit_workspace_size(model, &o, batch);
    size_t count = vit_pixels_count(model, &o), outputs = vit_output_count(model, &o);
    int tokens = vit_token_count(model, &o);
    if (need == 0 || need > MOST_WORKSPACE || tokens > MOST_TOKENS || count > MOST_PIXELS) return;
    void *workspace = malloc(need);
    size_t bytes = count * (size_t)batch * (o.pixel_type == VIT_PIXELS_U8 ? 1 : sizeof(float));
    float *output = malloc((size_t)batch * outputs * sizeof(float));
    float *rollout = malloc((size_t)batch * (size_t)tokens * sizeof(float));
    void *pixels = malloc(bytes);
    assert(workspace != NULL && pixels != NULL && output != NULL && rollout != NULL);
    memset(pixels, (int)(bits >> 30) * 85, bytes);
    const vit_config *c = vit_model_config(model);
    size_t height = (size_t)(o.img_size[0] > 0 ? o.img_size[0] : c->img_size[0]);
    size_t row_bytes = bytes / (size_t)batch / height * (size_t)c->patch_size[0];
    const void *given = o.read_rows == NULL ? pixels : NULL;
    o.read_rows_user = &row_bytes;
    if (rolls)
        vit_rollout(model, &o, given, batch, output, (int)(bits >> 8 & 7) - 1, rollout, workspace,
                    need);
    else vit_forward(model, &o, given, batch, output, workspace, need);
    free(workspace), free(pixels), free(output), free(rollout);
}

static void read_labels(const vit_model *model) {
    volatile size_t length = 0;
    for (int i = -1; i <= model->config.num_classes; i++) {
        const char *label = vit_model_label(model, i);
        if (label != NULL) length = length + strlen(label);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    vit_model model;
    if (size < 64) return 0;
    unsigned char *file = malloc(size);
    assert(file != NULL);
    memcpy(file, data, size);
    seal(file, size);
    if (vit_model_open(&model, file, size) == VIT_OK) {
        vit_status status = vit_model_verify(&model);
        assert(status == VIT_OK || status == VIT_ERROR_RANGE);
        read_labels(&model);
        run(&model, vit__u32(data + 12));
    }
    free(file);
    return 0;
}
