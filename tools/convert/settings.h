/* What the tensors do not say about a model: from the options, otherwise from the config files,
   otherwise what is usual for the checkpoint's library. Each source fills in only what is still
   unknown. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "json.h"
#include "layouts.h"

/* POOLING_ALL: the mean of prefix tokens too; POOLING_TOKEN_AVG: token 0 and the mean of the patches. */
typedef enum pooling {
    POOLING_UNKNOWN,
    POOLING_TOKEN,
    POOLING_AVG,
    POOLING_ALL,
    POOLING_TOKEN_AVG
} pooling;

typedef struct settings {
    char architecture[64]; /* empty: not known */
    int num_heads;         /* 0: not known, as for every member without another comment */
    int shape_heads;       /* what shapes say that they are, with --names */
    double norm_eps;
    int act;       /* vit_act; -1: not known */
    int act_given; /* 1: by --act */
    int img_size[2];
    int sized;        /* 1: img_size comes from --size, and the recipe follows it */
    int own_size[2];  /* img_size in the config, whatever the options say */
    int pos_resample; /* vit_pos_resample; -1: as the layout's library does it */
    pooling pooling;
    int pool_prefix; /* 1: avg includes the tokens in front of the patches */
    int post_norm;   /* 1: norms follow attention and MLP */
    int renamed;     /* 1: by --names, which do not say what comes when */
    int fc_norm;     /* -1: not known */
    int qkv_bias;    /* -1: not known */
    int output;      /* vit_output; -1: not known */
    double reject_below;

    int resize; /* vit_resize; -1: not known, then img_size / crop_pct ... */
    int resize_size[2];
    double crop_pct;   /* ... of the short side, */
    int squash;        /* or with 1 exactly */
    int crop_size[2];  /* has to be img_size */
    int crop;          /* vit_crop */
    int interpolation; /* vit_interpolation; -1: not known */
    double rescale;
    int means, stds; /* how many; one stands for all channels */
    float mean[4], std[4];
    const char *pos_embed; /* "sincos1d", ...; NULL: in a tensor */
} settings;

void settings_clear(settings *s);

/* The pooling of a name: token, avg, all or token_avg; POOLING_UNKNOWN where there is none. */
pooling pooling_find(const char *name);

/* "bicubic" and so on; the method of a name, VIT_POS_RESAMPLE_COUNT where there is none. */
const char *pos_resample_name(vit_pos_resample method);
vit_pos_resample pos_resample_find(const char *name);

/* Fill in from config.json and preprocessor_config.json, which may be absent. */
void settings_read(settings *s, const model *m, json config, json processor);

/* Complete the model: the family's defaults, each noted on stderr, then everything that follows from
   them. name: of the architecture, where no config gives one. */
void settings_apply(settings *s, model *m, const char *name);

#endif
