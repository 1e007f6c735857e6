/* A model with a new head, as a .vit file in memory. */
#ifndef SAVE_H
#define SAVE_H

#include "tools/teach/fit.h"
#include "tools/teach/validate.h"
#include "vit.h"

typedef struct saved_model {
    unsigned char *data;
    size_t size;
} saved_model;

/* The backbone with this head: all other tensors as they are, byte for byte. The head is int8 where the
   blocks are, so that a build of VIT_ONLY_INT8 takes it, and float32 elsewhere. labels: those of the
   head's classes, each ended by NUL. threshold: config.reject_below. */
vit_status save_taught(saved_model *saved, const vit_model *backbone, const reading *r,
                       const linear *head, const char *labels, size_t labels_size,
                       double threshold);

void save_free(saved_model *saved);

#endif
