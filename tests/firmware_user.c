/* The smallest use of vit.h that classifies: what check_freestanding.sh links to see how large the code
   is that a firmware gets. */
#include "vit.h"

/* The class of a picture of 8 bits a channel, at the model's own size; -1 on an error. */
int classify(const void *model_data, size_t model_size, const void *pixels, float *logits,
             void *workspace, size_t workspace_size);

int classify(const void *model_data, size_t model_size, const void *pixels, float *logits,
             void *workspace, size_t workspace_size) {
    vit_model model;
    vit_options options = {0};
    int best;
    options.pixel_type = VIT_PIXELS_U8;
    if (vit_model_open(&model, model_data, model_size) != VIT_OK) return -1;
    if (vit_model_verify(&model) != VIT_OK) return -1;
    if (vit_forward(&model, &options, pixels, 1, logits, workspace, workspace_size) != VIT_OK)
        return -1;
    vit_softmax(logits, vit_model_config(&model)->num_classes, logits);
    vit_top_k(logits, vit_model_config(&model)->num_classes, 1, &best);
    return best;
}
