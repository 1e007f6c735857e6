/* The reader of files on bytes of which nothing is known: opening, and all that reads an open model. */
#define VIT_IMPLEMENTATION
#include "vit.h"

#include "__fc_builtin.h"

enum { MOST = 4096 };
static unsigned char file[MOST] __attribute__((aligned(64)));

int main(void) {
    vit_model model;
    vit_tensor tensor;
    Frama_C_make_unknown((char *)file, MOST);
    if (vit_model_open(&model, file, (size_t)Frama_C_interval(0, MOST)) != VIT_OK) return 0;
    int index = Frama_C_interval(-0x7FFFFFFF, 0x7FFFFFFF);
    vit_model_verify(&model);
    vit_model_verify_tensor(&model, index);
    vit_model_tensor(&model, index, &tensor);
    vit_model_label(&model, index);
    vit_model_dtype(&model);
    vit_model_close(&model);
    return 0;
}
