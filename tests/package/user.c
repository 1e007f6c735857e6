/* A program of one who has vit.h installed, compiled as C and as C++. It prints the version and how many
   classes a model has. */
#define VIT_IMPLEMENTATION
#include <vit.h>

#include <stdio.h>

int main(int argc, char **argv) {
    vit_model model;
    if (argc != 2 || vit_model_load(&model, argv[1], NULL) != VIT_OK) return 1;
    vit_pool *pool = vit_pool_create(2, NULL); /* needs what has to be linked for threads */
    printf("%d.%d.%d, %d classes\n", VIT_VERSION_MAJOR, VIT_VERSION_MINOR, VIT_VERSION_PATCH,
           vit_model_config(&model)->num_classes);
    vit_pool_destroy(pool);
    vit_model_close(&model);
    return 0;
}
