/* vit_preprocess as a function of a shared library, for pixels.py. */
#define VIT_IMPLEMENTATION
#include "vit.h"

vit_status parity_preprocess(const void *file, size_t size, const vit_image *image, float *pixels);

vit_status parity_preprocess(const void *file, size_t size, const vit_image *image, float *pixels) {
    vit_model model;
    vit_status status = vit_model_open(&model, file, size);
    if (status != VIT_OK) return status;
    size_t need = vit_preprocess_workspace_size(&model, NULL, image);
    void *workspace = malloc(need);
    status = workspace == NULL ? VIT_ERROR_MEMORY
                               : vit_preprocess(&model, NULL, image, pixels, workspace, need);
    free(workspace);
    return status;
}
