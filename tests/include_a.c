/* One of two files of a program that include vit.h: this one uses the declarations alone. It is
   compiled as C and as C++, by check_include.sh. */
#ifdef INCLUDE_STATIC
#define VIT_IMPLEMENTATION
#endif
#include "vit.h"
#include "vit.h"

#include "include_b.h"

#include <stdio.h>
#include <stdlib.h>

/* The logits of tests/golden/tiny.vit, to 1e-5 of the largest. Returns 0 where they are right. */
static int check_logits(const vit_model *model, const float *pixels, const float *want) {
    float logits[7], largest = 0, worst = 0;
    size_t need = vit_workspace_size(model, NULL, 1);
    void *workspace = malloc(need);
    vit_status status = vit_forward(model, NULL, pixels, 1, logits, workspace, need);
    free(workspace);
    if (status != VIT_OK) return 1;
    for (int i = 0; i < 7; i++) {
        float size = want[i] < 0 ? -want[i] : want[i], difference = logits[i] - want[i];
        if (size > largest) largest = size;
        if (difference < 0) difference = -difference;
        if (!(difference <= worst)) worst = difference;
    }
    return !(worst <= 1e-5f * largest);
}

static int read_floats(const char *path, float *out, size_t count) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return 1;
    size_t got = fread(out, sizeof(float), count, file);
    fclose(file);
    return got != count;
}

int main(void) {
    static float pixels[3 * 32 * 32], want[7];
    vit_model model;
    const char *text = vit_status_string(VIT_ERROR_MAGIC);
    if (vit_model_load(&model, "tests/golden/tiny.vit", NULL) != VIT_OK) return 1;
    if (read_floats("tests/golden/tiny_pixels.f32", pixels, 3 * 32 * 32)) return 2;
    if (read_floats("tests/golden/tiny_logits.f32", want, 7)) return 3;
    if (check_logits(&model, pixels, want)) return 4;
    vit_model_close(&model);
    for (int i = 0; text[i] != 0; i++) {
        if (status_of_b(VIT_ERROR_MAGIC)[i] != text[i]) return 5;
    }
    return 0;
}
