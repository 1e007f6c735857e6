#include "heatmap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef __clang_analyzer__ /* which finds fault with it */
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#endif
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif
#include <stb/stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

int heatmap_source_is_valid(const vit_model *model, heatmap_source source) {
    const vit_config *c = vit_model_config(model);
    return source.block == -1 || (source.block >= 0 && source.block < c->depth &&
                                  source.head >= 0 && source.head < c->num_heads);
}

/* ---- attention ---- */

/* What keep_head adds up. */
typedef struct head_watch {
    const vit_config *config;
    heatmap_source source;
    float *heat;
} head_watch;

/* The mean over the tokens that the head reads, or over all where it reads their mean. */
static int keep_head(void *user, const vit_attention *a) {
    const head_watch *w = (const head_watch *)user;
    const int read = w->config->head_tokens > 0 ? w->config->head_tokens : a->queries;
    if (a->block != w->source.block || w->source.head < a->head ||
        w->source.head >= a->head + a->heads)
        return 0;
    const float *row =
        a->rows + (size_t)(w->source.head - a->head) * (size_t)a->queries * a->row_stride;
    memset(w->heat, 0, (size_t)a->tokens * sizeof(float));
    for (int q = 0; q < read; q++, row += a->row_stride) {
        for (int t = 0; t < a->tokens; t++) w->heat[t] += row[t] / (float)read;
    }
    return 0;
}

static vit_options watching(const vit_options *options, head_watch *watch) {
    vit_options own = *options;
    own.on_attention = keep_head, own.on_attention_user = watch;
    return own;
}

size_t heatmap_workspace_size(const vit_model *model, const vit_options *options,
                              heatmap_source source) {
    head_watch watch = {vit_model_config(model), source, NULL};
    vit_options own = watching(options, &watch);
    return source.block < 0 ? vit_rollout_workspace_size(model, options)
                            : vit_workspace_size(model, &own, 1);
}

vit_status heatmap_forward(const vit_model *model, const vit_options *options,
                           heatmap_source source, const float *pixels, float *output, float *heat,
                           void *workspace, size_t workspace_size) {
    head_watch watch = {vit_model_config(model), source, heat};
    vit_options own = watching(options, &watch);
    if (source.block < 0)
        return vit_rollout(model, options, pixels, 1, output, -1, heat, workspace, workspace_size);
    return vit_forward(model, &own, pixels, 1, output, workspace, workspace_size);
}

/* ---- the picture ---- */

static unsigned char to_byte(float x) {
    return (unsigned char)(x <= 0 ? 0 : x >= 255 ? 255 : x + 0.5f);
}

/* The heat of the patches between which a pixel lies, 0 to 1. */
static float heat_at(const float *heat, const int grid[2], float y, float x) {
    y = y < 0 ? 0 : y > (float)(grid[0] - 1) ? (float)(grid[0] - 1) : y;
    x = x < 0 ? 0 : x > (float)(grid[1] - 1) ? (float)(grid[1] - 1) : x;
    int top = (int)y, left = (int)x;
    int bottom = top + 1 < grid[0] ? top + 1 : top, right = left + 1 < grid[1] ? left + 1 : left;
    const float *upper = heat + top * grid[1], *lower = heat + bottom * grid[1];
    float down = y - (float)top, across = x - (float)left;
    float above = upper[left] + across * (upper[right] - upper[left]);
    return above + down * (lower[left] + across * (lower[right] - lower[left]) - above);
}

/* From black by red to yellow: five colours of matplotlib's inferno, evenly spaced. */
static void colour_of(float heat, float rgb[3]) {
    static const float colours[5][3] = {
        {0, 0, 4}, {87, 16, 110}, {188, 55, 84}, {249, 142, 9}, {252, 255, 164}};
    int i = heat >= 1 ? 3 : (int)(heat * 4);
    float rest = heat * 4 - (float)i;
    for (int c = 0; c < 3; c++) rgb[c] = colours[i][c] + rest * (colours[i + 1][c] - colours[i][c]);
}

/* The heat from 0 for the least to 1 for the most; to be freed. */
static float *stretch(const float *patches, int count) {
    float least = patches[0], most = patches[0];
    float *heat = (float *)malloc((size_t)count * sizeof(float));
    for (int i = 1; i < count; i++) {
        if (patches[i] < least) least = patches[i];
        if (patches[i] > most) most = patches[i];
    }
    for (int i = 0; heat != NULL && i < count; i++)
        heat[i] = most > least ? (patches[i] - least) / (most - least) : 0;
    return heat;
}

/* Half of the pixel and half of the heat's colour. */
static void paint(const vit_config *c, const int img_size[2], const float *pixels,
                  const float *heat, unsigned char *rgb) {
    const int grid[2] = {img_size[0] / c->patch_size[0], img_size[1] / c->patch_size[1]};
    const vit_preprocess_config *p = &c->preprocess;
    size_t plane = (size_t)img_size[0] * (size_t)img_size[1], at = 0;
    for (int y = 0; y < img_size[0]; y++) {
        float row = ((float)y + 0.5f) / (float)c->patch_size[0] - 0.5f;
        for (int x = 0; x < img_size[1]; x++, at++) {
            float colour[3], column = ((float)x + 0.5f) / (float)c->patch_size[1] - 0.5f;
            colour_of(heat_at(heat, grid, row, column), colour);
            for (int i = 0; i < 3; i++) {
                int channel = c->in_chans == 3 ? i : 0;
                float seen =
                    pixels[(size_t)channel * plane + at] * p->std[channel] + p->mean[channel];
                *rgb++ = to_byte(0.5f * seen * p->rescale + 0.5f * colour[i]);
            }
        }
    }
}

static void write_bytes(void *user, void *bytes, int size) {
    FILE *file = (FILE *)user;
    fwrite(bytes, 1, (size_t)size, file); /* fclose and ferror tell of failure */
}

static const char *write_png(const char *path, const int img_size[2], const unsigned char *rgb) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) return strerror(errno);
    errno = 0;
    int good = stbi_write_png_to_func(write_bytes, file, img_size[1], img_size[0], 3, rgb, 0);
    good &= ferror(file) == 0;
    good &= fclose(file) == 0;
    if (good) return NULL;
    const char *reason = errno != 0 ? strerror(errno) : "out of memory";
    remove(path);
    return reason;
}

const char *heatmap_write(const char *path, const vit_config *config, const int img_size[2],
                          const float *pixels, const float *patches) {
    if (config->in_chans != 1 && config->in_chans != 3) return "only 1 or 3 channels are a picture";
    int count = img_size[0] / config->patch_size[0] * (img_size[1] / config->patch_size[1]);
    unsigned char *rgb = (unsigned char *)malloc((size_t)img_size[0] * (size_t)img_size[1] * 3);
    float *heat = stretch(patches, count);
    const char *error = "out of memory";
    if (rgb != NULL && heat != NULL) {
        paint(config, img_size, pixels, heat, rgb);
        error = write_png(path, img_size, rgb);
    }
    free(rgb);
    free(heat);
    return error;
}
