/* What the command line asks for. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "examples/heatmap.h"
#include "examples/picture.h"
#include "vit.h"

enum { EXIT_BAD_INPUT = 1, EXIT_USAGE = 2 };

typedef enum layout { LAYOUT_LIST, LAYOUT_TABLE, LAYOUT_CSV, LAYOUT_JSON } layout;

typedef struct settings {
    const char *model_path;   /* NULL: the one that ships */
    const char *pixels_path;  /* NULL: no tensor */
    const char *embed_path;   /* NULL: no embeddings are written */
    const char *similar_path; /* NULL: nothing is looked for; else a folder or an .npy */
    const char *resume_path;  /* NULL: lines go to standard output */
    const char *model_name;   /* the model's file, without its folders */
    int top;
    int threads; /* of a forward pass; 0: not said */
    int jobs;    /* pictures at a time; 0: not said */
    vit_isa isa;
    layout layout;
    int colours;    /* 1: on standard output */
    char separator; /* after each name of a list */
    int logits;
    int img_size[2];         /* 0: the model's own */
    int native;              /* 1: of each picture's aspect ratio */
    int merge;               /* pairs of tokens that each block merges */
    const char *heatmap_dir; /* NULL: none */
    heatmap_source heatmap_source;
    picture_limits limits;
    int draft;             /* 1: large JPEGs are decoded smaller */
    char *const *pictures; /* [picture_count]: what is named, as it stands there */
    int picture_count;
} settings;

/* Ends the program with what is wrong if anything is. */
settings settings_parse(int argc, char **argv);

#endif
