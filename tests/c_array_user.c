/* A program with a model that vit-convert --c-array has made, compiled and run by test_programs.c: its
   bytes are those of the file, and it needs the workspace that the header says. */
#define VIT_STATIC
#define VIT_IMPLEMENTATION
#include "vit.h"

#include "linked_model.h"

#include <stdio.h>

static unsigned char workspace[LINKED_MODEL_WORKSPACE_SIZE_LOW_MEMORY];
static unsigned char file_bytes[LINKED_MODEL_SIZE + 1];

int main(int argc, char **argv) {
    static const float pixels[LINKED_MODEL_PIXELS_COUNT];
    float logits[LINKED_MODEL_NUM_CLASSES];
    vit_model model;
    vit_options options = {0};
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL) return 1;
    size_t size = fread(file_bytes, 1, sizeof(file_bytes), file);
    fclose(file);
    if (size != sizeof(linked_model) || memcmp(linked_model, file_bytes, size) != 0) return 2;
    if ((uintptr_t)linked_model % 64 != 0) return 3;
    if (vit_model_open(&model, linked_model, sizeof(linked_model)) != VIT_OK) return 4;
    if (vit_workspace_size(&model, NULL, 1) != LINKED_MODEL_WORKSPACE_SIZE) return 5;
    options.low_memory = 1;
    return vit_forward(&model, &options, pixels, 1, logits, workspace, sizeof(workspace));
}
