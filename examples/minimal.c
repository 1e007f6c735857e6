#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#define VIT_IMPLEMENTATION
#include "vit.h"

int main(int argc, char **argv) {
    vit_classifier classifier;
    vit_result best[5];
    vit_image photo = {0};
    vit_status status = vit_classifier_open(&classifier, argc > 2 ? argv[1] : NULL, 0);
    if (argc > 2) photo.data = stbi_load(argv[2], &photo.width, &photo.height, NULL, 3);
    if (status == VIT_OK) status = vit_classify(&classifier, &photo, 1, 5, best);
    if (status != VIT_OK) return fprintf(stderr, "%s\n", vit_status_string(status)), 1;
    for (int i = 0; i < 5; i++) printf("%8.4f  %s\n", (double)best[i].score, best[i].label);
}
