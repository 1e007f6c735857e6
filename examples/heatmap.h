/* What a model looked at, as a picture: vit.h's attention over the pixels that the model saw, in a PNG.

   Copy heatmap.h and heatmap.c into your program. They need vit.h and stb_image_write.h (package
   libstb-dev or stb). */

#ifndef HEATMAP_H
#define HEATMAP_H

#include "vit.h"

/* Whose attention: a head of a block, or with block -1 the rollout of all blocks and heads. */
typedef struct heatmap_source {
    int block, head;
} heatmap_source;

/* Whether the model has that block and head. */
int heatmap_source_is_valid(const vit_model *model, heatmap_source source);

/* Bytes of workspace that heatmap_forward needs; 0 where options are out of range. */
size_t heatmap_workspace_size(const vit_model *model, const vit_options *options,
                              heatmap_source source);

/* vit_forward for one image, and how much what the head reads has of each patch: heat, float
   [vit_token_count], of which prefix tokens come first. */
vit_status heatmap_forward(const vit_model *model, const vit_options *options,
                           heatmap_source source, const float *pixels, float *output, float *heat,
                           void *workspace, size_t workspace_size);

/* Write the pixels with the heat of their patches over them, in colours from the least to the most.
   pixels: float [in_chans][height][width] as the model sees them, 1 or 3 channels; patches: [height /
   patch height][width / patch width]. Returns NULL, or what went wrong. */
const char *heatmap_write(const char *path, const vit_config *config, const int img_size[2],
                          const float *pixels, const float *patches);

#endif
