/* What the tensors of a Vision Transformer are called, and what their shapes say about the
   model. */
#ifndef LAYOUTS_H
#define LAYOUTS_H

#include "checkpoint.h"
#include "vit.h"

typedef enum family {
    FAMILY_TIMM,
    FAMILY_HF_VIT,
    FAMILY_HF_DEIT,
    FAMILY_TORCHVISION,
    FAMILY_DINOV2,    /* its own files, with timm's names */
    FAMILY_HF_DINOV2, /* from here on by the rules of families.c, under timm's names */
    FAMILY_HF_CLIP,
    FAMILY_HF_BEIT,
    FAMILY_OPENAI_CLIP,
    FAMILY_JAX,
    FAMILY_LUCIDRAINS
} family;

/* The tensors, by their weights: the bias has the same name with "bias" for "weight". */
typedef enum part {
    PART_PATCH_EMBED,
    PART_CLASS_TOKEN,
    PART_DIST_TOKEN,
    PART_REG_TOKEN,
    PART_POS_EMBED,
    PART_PATCH_NORM, /* of the pixels ... */
    PART_EMBED_NORM, /* ... and of their embedding */
    PART_NORM_PRE,
    PART_NORM1,
    PART_QKV, /* one matrix, or three: */
    PART_Q,
    PART_K,
    PART_V,
    PART_Q_BIAS, /* biases beside one matrix that has none: BEiT's, whose keys have no bias */
    PART_V_BIAS,
    PART_Q_NORM,
    PART_K_NORM,
    PART_PROJ,
    PART_LAYER_SCALE1,
    PART_NORM2,
    PART_FC1,
    PART_FC2,
    PART_LAYER_SCALE2,
    PART_NORM,
    PART_FC_NORM,
    PART_PRE_LOGITS,
    PART_HEAD,
    PART_HEAD_DIST,
    PART_COUNT
} part;

typedef struct layout {
    family family;
    const char *title;
    vit_pos_resample pos_resample;    /* as its library resamples positions */
    const char *names[PART_COUNT][2]; /* %d: the block; the second is an older name */
} layout;

/* Texts that the classes are compared with. */
typedef struct texts {
    float *rows; /* [classes][width], each of length 1; NULL: there are none */
    int classes, width;
    float scale; /* that the cosines are multiplied with */
} texts;

/* A model in a checkpoint. layout_recognise fills in what the tensors alone say. */
typedef struct model {
    checkpoint *checkpoint;
    const checkpoint *head; /* that has the head's weight and bias; NULL: the same */
    const layout *layout;
    vit_config config;
    char architecture[64];
    int inner;             /* outputs of q, of k, and of v */
    int flat_patch_embed;  /* 1: its weight is a matrix, as in old timm files */
    const char *pos_embed; /* how position embeddings are computed; NULL: they are a tensor */
    int pos_prefix;        /* rows before the patches in that tensor ... */
    int pos_grid[2];       /* ... and the patches' grid: height, width */
    int qkv_bias;          /* 1: has to be there, 0: must not, -1: either */
    texts texts; /* with them the checkpoint's head is the layer in front of the classes */
} model;

#define MODEL_MAX_SIZE (1 << 20) /* of everything that is counted, as in the .vit format */

/* Shape of a tensor: rank, dimensions. */
typedef struct shape {
    size_t rank, sizes[TENSOR_RANK];
} shape;

/* The layout that the names are those of, and the name that decides; NULL: they are none's. What stands
   before all names, as "module." does, is dropped with a note, and some names become timm's. heads: set
   where shapes say how many there are. */
const layout *layout_identify(checkpoint *c, int *heads, const char **why);

/* A name that decides for each layout; NULL after the last. */
const char *layout_first_name(size_t index);

/* A tensor that shows a model which the .vit format cannot express, and what it is; or NULL. */
const tensor *layout_refused(const checkpoint *c, const char **reason);

/* Find out whose names the checkpoint uses and how large the model is. A prefix is dropped. heads: set
   where shapes say how many there are. */
void layout_recognise(model *m, checkpoint *c, int *heads);

/* The latter for a model whose checkpoint and layout are set. */
void layout_measure(model *m);

/* Whether it is a family of Hugging Face transformers. */
int family_is_hugging_face(family f);

/* A tensor of the model, marked as used; block is 0 outside the blocks. Where it is missing, need ends
   the program with its name and find returns NULL. The shape is checked. */
tensor *layout_need(const model *m, part p, int block, shape expected);
tensor *layout_find_bias(const model *m, part p, int block, size_t size);
tensor *layout_need_bias(const model *m, part p, int block, size_t size);

/* Whether a tensor is there; its shape is not checked. */
int layout_has(const model *m, part p);

/* Whether the biases of q and v are tensors of their own, and k has none. */
int layout_biases_apart(const model *m);

/* What the head reads, and the length of a norm; 0 where there is none. */
int layout_head_inputs(const model *m);
int layout_norm_size(const model *m, part p);

/* Rows of the position embeddings; 0 where there are none. */
int layout_pos_rows(const model *m);

/* Say which tensors are left out, for a known reason, and which biases are taken as zeros. Any
   other tensor that is not used is an error. */
void layout_check_rest(const model *m);

#endif
