/* The long way: all memory is the caller's. minimal.c has the short one. */
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#define VIT_IMPLEMENTATION
#include "vit.h"

int main(int argc, char **argv) {
    int best[5];
    vit_model model;
    vit_image image = {0};
    if (argc != 3) return fprintf(stderr, "usage: steps MODEL.vit PICTURE\n"), 2;
    vit_status status = vit_model_load(&model, argv[1], NULL);
    if (status != VIT_OK) return fprintf(stderr, "model: %s\n", vit_status_string(status)), 1;
    image.data = stbi_load(argv[2], &image.width, &image.height, NULL, 3);
    if (image.data == NULL) return fprintf(stderr, "picture: %s\n", stbi_failure_reason()), 1;
    if (!vit_model_label(&model, 0)) return fprintf(stderr, "the model has no labels\n"), 1;
    int classes = vit_model_config(&model)->num_classes;
    size_t size =
        vit_workspace_size(&model, NULL, 1) + vit_preprocess_workspace_size(&model, NULL, &image);
    void *workspace = malloc(size); /* more than enough for either */
    float *pixels = malloc(vit_pixels_count(&model, NULL) * sizeof(float));
    float *scores = malloc((size_t)classes * sizeof(float));
    if (!workspace || !pixels || !scores) return fprintf(stderr, "out of memory\n"), 1;
    status = vit_preprocess(&model, NULL, &image, pixels, workspace, size); /* resize, crop */
    if (status == VIT_OK) status = vit_forward(&model, NULL, pixels, 1, scores, workspace, size);
    if (status != VIT_OK) return fprintf(stderr, "%s\n", vit_status_string(status)), 1;
    vit_scores(&model, scores, scores); /* probabilities, or what the model's output is */
    for (int i = 0, count = vit_top_k(scores, classes, 5, best); i < count; i++)
        printf("%8.4f  %s\n", (double)scores[best[i]], vit_model_label(&model, best[i]));
}
