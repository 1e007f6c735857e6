/* No size, strides or recipe may make preprocessing read outside a picture, write outside its pixels or
   workspace, hang or crash. The input is the numbers of `input` and then bytes that repeat as the
   picture's. How to run it: see fuzz.h. */
#define VIT_IMPLEMENTATION
#include "vit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 22, MOST_OUTPUTS = 1 << 20 };

typedef struct input {
    int32_t size[2], strides[3]; /* 0 stands for the default, as in vit_image */
    int32_t img_size[2], model_size[2], resize_size[2];
    float rescale, mean[3], std[3], crop_pct;
    unsigned char resize, interpolation, crop, grey;
} input;

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* A model that is all recipe; returns whether a file may have it. */
static int make_model(const input *in, vit_model *model) {
    unsigned char header[VIT__HEADER_SIZE] = {0};
    memset(model, 0, sizeof(*model));
    vit_config c = {0};
    vit_preprocess_config *p = &c.preprocess;
    c.in_chans = in->grey & 1 ? 1 : 3;
    c.patch_size[0] = c.patch_size[1] = c.embed_dim = c.depth = c.num_heads = 1;
    c.head_dim = c.mlp_dim = c.num_classes = c.head_avg = 1;
    c.norm_eps = 1e-6f;
    p->resize = (vit_resize)(in->resize % VIT_RESIZE_COUNT);
    p->interpolation = (vit_interpolation)(in->interpolation % VIT_INTERPOLATION_COUNT);
    p->crop = (vit_crop)(in->crop % VIT_CROP_COUNT);
    for (int i = 0; i < 2; i++) {
        c.img_size[i] = in->model_size[i];
        p->resize_size[i] = in->resize_size[i];
    }
    p->rescale = in->rescale, p->crop_pct = in->crop_pct;
    for (int i = 0; i < 3; i++) p->mean[i] = in->mean[i], p->std[i] = in->std[i];
    p->std[3] = 1;
    vit__write_config(header, &c);
    model->data = (const unsigned char *)""; /* it is open */
    return vit__read_config(header, &model->config) == VIT_OK;
}

/* Bytes in front of and after the first pixel that a stride reaches; 0 if too many. */
static int reach(int64_t stride, int64_t steps, int64_t *before, int64_t *after) {
    if (steps > 0 && (stride > MOST_BYTES || stride < -MOST_BYTES)) return 0;
    int64_t distance = stride * steps;
    if (distance < 0) *before -= distance;
    else *after += distance;
    return *before + *after < MOST_BYTES;
}

/* The picture in memory of exactly its size, to be freed; NULL if it is too large. */
static unsigned char *make_picture(const input *in, const unsigned char *bytes, size_t count,
                                   vit_image *image) {
    int64_t pixel = in->strides[1] ? in->strides[1] : 3;
    int64_t row = in->strides[0] ? in->strides[0] : in->size[0] * (pixel < 0 ? -pixel : pixel);
    int64_t channel = in->strides[2] ? in->strides[2] : pixel >= 3 || pixel <= -3;
    int64_t before = 0, after = 0;
    if (in->size[0] < 1 || in->size[1] < 1 || !reach(row, in->size[1] - 1, &before, &after) ||
        !reach(pixel, in->size[0] - 1, &before, &after) || !reach(channel, 2, &before, &after))
        return NULL;
    size_t size = (size_t)(before + after + 1);
    unsigned char *memory = malloc(size);
    assert(memory != NULL);
    for (size_t i = 0; i < size; i++) memory[i] = count > 0 ? bytes[i % count] : (unsigned char)i;
    const vit_image made = {memory + before, in->size[0],    in->size[1],
                            in->strides[0],  in->strides[1], in->strides[2]};
    *image = made;
    return memory;
}

static void run(const vit_model *model, const vit_options *o, const vit_image *image) {
    size_t need = vit_preprocess_workspace_size(model, o, image);
    size_t count = vit_pixels_count(model, o);
    if (need == 0 || need > MOST_BYTES || count == 0 || count > MOST_OUTPUTS) return;
    void *workspace = malloc(need);
    float *pixels = malloc(count * sizeof(float));
    assert(workspace != NULL && pixels != NULL);
    memset(pixels, 0xFF, count * sizeof(float));
    assert(vit_preprocess(model, o, image, pixels, workspace, need) == VIT_OK);
    for (size_t i = 0; i < count; i++) assert(!isnan(pixels[i])); /* each was written */
    free(workspace), free(pixels);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    input in;
    vit_image image;
    vit_model model;
    vit_options o;
    if (size < sizeof(in)) return 0;
    memcpy(&in, data, sizeof(in));
    if (!make_model(&in, &model)) return 0;
    unsigned char *memory = make_picture(&in, data + sizeof(in), size - sizeof(in), &image);
    if (memory == NULL) return 0;
    memset(&o, 0, sizeof(o));
    o.img_size[0] = in.img_size[0], o.img_size[1] = in.img_size[1];
    run(&model, NULL, &image);
    run(&model, &o, &image);
    if (vit_native_img_size(&model, &image, o.img_size) == VIT_OK) run(&model, &o, &image);
    free(memory);
    return 0;
}
