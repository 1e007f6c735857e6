/* The keys of config files. Each that a file has is obeyed, or known to say nothing about the result, or
   its values are limited to what is computed; any other is refused by name. */
#ifndef KEYS_H
#define KEYS_H

#include "json.h"

typedef enum keys {
    KEYS_TIMM,      /* config.json */
    KEYS_TIMM_ARGS, /* its model_args */
    KEYS_RECIPE,    /* its pretrained_cfg */
    KEYS_HF,        /* config.json of ViT and DeiT in Hugging Face transformers */
    KEYS_HF_DINOV2, /* of Dinov2 */
    KEYS_HF_BEIT,   /* of Beit and Data2VecVision */
    KEYS_HF_CLIP,   /* of CLIP's image tower */
    KEYS_HF_CLIP_WHOLE,
    KEYS_PROCESSOR, /* preprocessor_config.json */
    KEYS_WRAPPER,   /* the same of timm's models */
    KEYS_SIZE,      /* size and crop_size in that */
    KEYS_SOURCE_COUNT
} keys;

/* What is wrong with the first key that is not supported, to be freed; NULL: nothing is. path: where the
   object is in its file, such as "model_args.". */
char *keys_problem(json object, const char *path, keys source);

/* The same, but a problem ends the program. */
void keys_check(json object, const char *path, keys source);

/* Takes a key out of the object and the objects in it, with a note. Returns whether it was there. */
int keys_ignore(json object, const char *name);

#endif
