/* vit_preprocess as a shared library, for pixels.py. */
#define VIT_IMPLEMENTATION
#include "vit.h"

#include <stdio.h>

int bench_open(const char *path);
const char *bench_isa(int isa);
int bench_preprocess(const unsigned char *rgb, int width, int height, int resize, int side,
                     int interpolation, int isa, float *pixels);

enum { SIDE = 224 };

static vit_model model;
static void *workspace;
static size_t workspace_size;

/* Any model of three channels: each picture brings a recipe of its own. */
int bench_open(const char *path) {
    return (int)vit_model_load(&model, path, NULL);
}

/* The name of an instruction set, or NULL where this machine or build does not have it. */
const char *bench_isa(int isa) {
    int here = isa > VIT_ISA_BEST && isa < VIT_ISA_COUNT && vit__kernels_of((vit_isa)isa) != NULL;
    return here ? vit_isa_name((vit_isa)isa) : NULL;
}

/* RGB to pixels[3][224][224], by way of `side` pixels; a vit_status. */
int bench_preprocess(const unsigned char *rgb, int width, int height, int resize, int side,
                     int interpolation, int isa, float *pixels) {
    const vit_image image = {rgb, width, height, 0, 0, 0};
    vit_options options = {0};
    vit_preprocess_config *recipe = &model.config.preprocess;
    options.isa = (vit_isa)isa;
    model.config.img_size[0] = model.config.img_size[1] = SIDE;
    recipe->resize = (vit_resize)resize;
    recipe->resize_size[0] = recipe->resize_size[1] = side;
    recipe->interpolation = (vit_interpolation)interpolation;
    size_t need = vit_preprocess_workspace_size(&model, &options, &image);
    if (need > workspace_size) {
        free(workspace);
        workspace = malloc(need);
        workspace_size = workspace == NULL ? 0 : need;
    }
    return (int)vit_preprocess(&model, &options, &image, pixels, workspace, workspace_size);
}
