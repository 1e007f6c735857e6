#define VIT_IMPLEMENTATION
#include "vit.h"

#include "hosted.h"

int hosted_forward(const void *data, size_t size, int pixel_type, const void *pixels,
                   float *logits) {
    vit_model model;
    vit_options options;
    memset(&options, 0, sizeof(options));
    options.pixel_type = (vit_pixel_type)pixel_type;
    options.isa = VIT_ISA_PORTABLE;
    vit_status status = vit_model_open(&model, data, size);
    if (status != VIT_OK) return (int)status;
    size_t need = vit_workspace_size(&model, &options, 1);
    void *workspace = malloc(need);
    if (workspace == NULL) return VIT_ERROR_MEMORY;
    status = vit_forward(&model, &options, pixels, 1, logits, workspace, need);
    free(workspace);
    return (int)status;
}
