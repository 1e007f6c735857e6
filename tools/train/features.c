/* features: what a Vision Transformer makes of pictures, for a teacher (teacher.py).

       features [-m] MODEL.vit < PATHS > FEATURES

   PATHS are pictures' files, one a line. It writes two u32, depth and embed_dim, and for each picture,
   as float32, the class token after each block and the mean of the patch tokens there:
   [depth][2][embed_dim]. -m mirrors the pictures. Computes on one thread: start one for each
   processor, each with a part of the paths. */

#define VIT_IMPLEMENTATION
#include "vit.h"

#include "examples/picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct extractor {
    vit_model model;
    vit_options options;
    int mirror;
    float *features; /* [depth][2][embed_dim] */
    float *pixels;
    float *logits;
    void *workspace;
    size_t workspace_size;
} extractor;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "features: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void *allocate(size_t size) {
    void *memory = size > 0 ? malloc(size) : NULL;
    if (memory == NULL) fail("memory", vit_status_string(VIT_ERROR_MEMORY));
    return memory;
}

/* A workspace of at least so many bytes. */
static void reserve(extractor *e, size_t size) {
    if (size <= e->workspace_size) return;
    free(e->workspace);
    e->workspace = allocate(size);
    e->workspace_size = size;
}

/* Writes a block's part of the features. */
static int keep_block(void *user, const vit_block_output *output) {
    extractor *e = (extractor *)user;
    int dim = output->embed_dim, prefix = vit_model_config(&e->model)->prefix_tokens;
    float *token = e->features + (size_t)output->block * 2 * (size_t)dim, *mean = token + dim;
    memcpy(token, output->rows, (size_t)dim * sizeof(float));
    memset(mean, 0, (size_t)dim * sizeof(float));
    for (int t = prefix; t < output->tokens; t++) {
        const float *row = output->rows + (size_t)t * output->row_stride;
        for (int i = 0; i < dim; i++) mean[i] += row[i];
    }
    for (int i = 0; i < dim; i++) mean[i] /= (float)(output->tokens - prefix);
    return 0;
}

static void start(extractor *e, const char *path) {
    vit_status status = vit_model_load(&e->model, path, NULL);
    if (status != VIT_OK) fail(path, vit_status_string(status));
    const vit_config *config = vit_model_config(&e->model);
    e->options.on_block = keep_block;
    e->options.on_block_user = e;
    e->options.all_tokens = 1;
    e->features =
        (float *)allocate((size_t)config->depth * 2 * (size_t)config->embed_dim * sizeof(float));
    e->pixels = (float *)allocate(vit_pixels_count(&e->model, NULL) * sizeof(float));
    e->logits = (float *)allocate((size_t)config->num_classes * sizeof(float));
    reserve(e, vit_workspace_size(&e->model, &e->options, 1));
}

/* The features of a picture, into e->features. */
static vit_status extract(extractor *e, vit_image image) {
    if (e->mirror) {
        image.data += (image.width - 1) * image.pixel_stride;
        image.pixel_stride = -image.pixel_stride;
    }
    reserve(e, vit_preprocess_workspace_size(&e->model, NULL, &image));
    vit_status status =
        vit_preprocess(&e->model, NULL, &image, e->pixels, e->workspace, e->workspace_size);
    if (status != VIT_OK) return status;
    return vit_forward(&e->model, &e->options, e->pixels, 1, e->logits, e->workspace,
                       e->workspace_size);
}

static void put(const void *data, size_t size, size_t count) {
    if (fwrite(data, size, count, stdout) != count) fail("output", "cannot write");
}

static void put_header(const extractor *e) {
    const vit_config *config = vit_model_config(&e->model);
    uint32_t header[2] = {(uint32_t)config->depth, (uint32_t)config->embed_dim};
    put(header, sizeof(header[0]), 2);
}

static void put_features(extractor *e, const char *path) {
    const vit_config *config = vit_model_config(&e->model);
    picture p;
    const char *wrong = picture_load(&p, path);
    if (wrong != NULL) fail(path, wrong);
    vit_status status = extract(e, p.image);
    picture_free(&p);
    if (status != VIT_OK) fail(path, vit_status_string(status));
    put(e->features, sizeof(float), (size_t)config->depth * 2 * (size_t)config->embed_dim);
}

int main(int argc, char **argv) {
    extractor e;
    char path[4096];
    memset(&e, 0, sizeof(e));
    e.mirror = argc > 1 && strcmp(argv[1], "-m") == 0;
    if (argc != 2 + e.mirror) fail("usage", "features [-m] MODEL.vit < PATHS > FEATURES");
    start(&e, argv[1 + e.mirror]);
    put_header(&e);
    while (fgets(path, sizeof(path), stdin) != NULL) {
        path[strcspn(path, "\n")] = '\0';
        put_features(&e, path);
    }
    if (fflush(stdout) != 0) fail("output", "cannot write");
    vit_model_close(&e.model);
    free(e.features);
    free(e.pixels);
    free(e.logits);
    free(e.workspace);
    return EXIT_SUCCESS;
}
