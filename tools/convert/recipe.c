#include "recipe.h"

#include "keys.h"
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const float half[3] = {0.5f, 0.5f, 0.5f};
static const float imagenet_mean[3] = {0.485f, 0.456f, 0.406f};
static const float imagenet_std[3] = {0.229f, 0.224f, 0.225f};
static const float clip_mean[3] = {0.48145466f, 0.4578275f, 0.40821073f};
static const float clip_std[3] = {0.26862954f, 0.26130258f, 0.27577711f};

/* mean or std: a number for each channel, of which the first four are kept. */
static void read_channels(json object, const char *key, float values[4], int *count) {
    json list = json_get(object, key);
    const cJSON *value;
    if (list.node == NULL || *count > 0) return;
    if (!cJSON_IsArray(list.node)) fail("%s: %s is not a list", object.file, key);
    cJSON_ArrayForEach(value, list.node) {
        if (!cJSON_IsNumber(value) || !isfinite((float)value->valuedouble))
            fail("%s: %s: not a number", object.file, key);
        if (*count < 4) values[*count] = (float)value->valuedouble;
        ++*count;
    }
    if (*count == 0) fail("%s: %s is empty", object.file, key);
}

static void set_channels(float values[4], int *count, const float *from, int channels) {
    if (*count > 0) return;
    memcpy(values, from, (size_t)channels * sizeof(float));
    *count = channels;
}

static void set_channel(float values[4], int *count, float value) {
    set_channels(values, count, &value, 1);
}

/* ---- timm ---------------------------------------------------------------------------------- */

static int read_interpolation(const char *file, const char *name) {
    if (strcmp(name, "bilinear") == 0) return VIT_INTERPOLATION_BILINEAR;
    if (strcmp(name, "bicubic") == 0) return VIT_INTERPOLATION_BICUBIC;
    fail("%s: the interpolation %s is not supported: bilinear and bicubic are (--interpolation)",
         file, name);
}

/* input_size: [channels, height, width]. */
static void read_input_size(json recipe, int sides[2]) {
    json input = json_get(recipe, "input_size");
    if (input.node == NULL) return;
    for (int i = 0; i < 2; i++) {
        const cJSON *side = cJSON_GetArrayItem(input.node, i + 1);
        if (cJSON_GetArraySize(input.node) != 3 || !json_is_whole(side, 1, MODEL_MAX_SIZE))
            fail("%s: input_size is not [channels, height, width]", recipe.file);
        sides[i] = (int)side->valuedouble;
    }
}

static void read_crop(settings *s, json recipe, const int input[2]) {
    const char *mode = json_text(recipe, "crop_mode", "center");
    if (s->resize >= 0) return;
    if (strcmp(mode, "center") != 0 && strcmp(mode, "squash") != 0)
        fail("%s: crop_mode %s is not supported: center and squash are (--resize)", recipe.file,
             mode);
    s->squash = strcmp(mode, "squash") == 0;
    if (s->crop_pct > 0) return;
    s->crop_pct = json_positive(recipe, "crop_pct", 0.875);
    memcpy(s->crop_size, input, sizeof(s->crop_size));
}

/* Whether any key of a recipe is there: then timm's own defaults replace the missing ones. */
static int has_recipe(json object) {
    static const char *const names[] = {"input_size", "interpolation", "crop_pct",
                                        "crop_mode",  "mean",          "std"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (json_get(object, names[i]).node != NULL) return 1;
    }
    return 0;
}

void recipe_read_timm(settings *s, const model *m, json config) {
    int input[2] = {0, 0};
    json recipe = json_get(config, "pretrained_cfg");
    if (has_recipe(recipe) && has_recipe(config))
        note("%s: the recipe is pretrained_cfg's, not that of the top level", config.file);
    if (!has_recipe(recipe)) recipe = config;
    if (!has_recipe(recipe)) return;
    read_input_size(recipe, input);
    if (s->img_size[0] == 0) memcpy(s->img_size, input, sizeof(input));
    read_crop(s, recipe, input);
    read_channels(recipe, "mean", s->mean, &s->means);
    read_channels(recipe, "std", s->std, &s->stds);
    if (m->config.in_chans == 3) { /* else there is no usual mean */
        set_channels(s->mean, &s->means, imagenet_mean, 3);
        set_channels(s->std, &s->stds, imagenet_std, 3);
    }
    if (s->interpolation < 0)
        s->interpolation =
            read_interpolation(recipe.file, json_text(recipe, "interpolation", "bicubic"));
}

/* ---- Hugging Face transformers ------------------------------------------------------------- */

/* A class of processors, and what stands for keys that its file does not have. */
typedef struct processor_class {
    const char *name; /* followed by one of class_endings */
    int side;         /* size */
    int shortest;     /* size as a number is the short side's */
    int crops, resample;
    const float *mean, *std;
} processor_class;

static const processor_class classes[] = {
    {"ViT", 224, 0, 0, 2, half, half},          {"DeiT", 256, 0, 1, 3, half, half},
    {"Bit", 224, 1, 1, 3, clip_mean, clip_std}, {"CLIP", 224, 1, 1, 3, clip_mean, clip_std},
    {"ConvNext", 384, 1, 0, 2, half, half},
};
static const char *const class_endings[] = {"ImageProcessor", "ImageProcessorFast",
                                            "FeatureExtractor"};
static const processor_class *const convnext = &classes[4];

/* NULL where the class is none of those. */
static const processor_class *find_class(const char *name) {
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        size_t length = strlen(classes[i].name);
        if (strncmp(name, classes[i].name, length) != 0) continue;
        for (size_t j = 0; j < sizeof(class_endings) / sizeof(class_endings[0]); j++) {
            if (strcmp(name + length, class_endings[j]) == 0) return &classes[i];
        }
    }
    return NULL;
}

static int is_wrapper(const char *name) {
    return strcmp(name, "TimmWrapperImageProcessor") == 0;
}

static const char *class_name(json processor, family f) {
    const char *fallback = f == FAMILY_HF_DEIT     ? "DeiTImageProcessor"
                           : f == FAMILY_HF_CLIP   ? "CLIPImageProcessor"
                           : f == FAMILY_HF_DINOV2 ? "BitImageProcessor"
                                                   : "ViTImageProcessor";
    fallback = json_text(processor, "feature_extractor_type", fallback);
    return json_text(processor, "image_processor_type", fallback);
}

/* A number, {height, width} or {shortest_edge}. Returns how to resize to it. */
static vit_resize read_sides(json processor, const char *key, int shortest, int sides[2]) {
    json value = json_get(processor, key);
    int given[2] = {0, 0};
    if (cJSON_IsObject(value.node)) shortest = json_get(value, "shortest_edge").node != NULL;
    if (!cJSON_IsObject(value.node)) {
        json_size(processor, key, MODEL_MAX_SIZE, given);
    } else if (shortest) {
        json_size(value, "shortest_edge", MODEL_MAX_SIZE, given);
    } else {
        given[0] = json_int(value, "height", 0, 1, MODEL_MAX_SIZE);
        given[1] = json_int(value, "width", 0, 1, MODEL_MAX_SIZE);
        if (given[0] == 0 || given[1] == 0)
            fail("%s: %s is neither height and width nor shortest_edge", processor.file, key);
    }
    if (given[0] > 0) memcpy(sides, given, sizeof(given));
    return shortest ? VIT_RESIZE_SHORTEST : VIT_RESIZE_EXACT;
}

/* ConvNext's rule: below 384 the short side becomes size / crop_pct, and the centre is taken; from there
   on the picture is resized exactly. */
static void apply_crop_pct(settings *s, json processor, int sides[2]) {
    double crop_pct = json_positive(processor, "crop_pct", 224 / 256.0), resized;
    if (s->resize != VIT_RESIZE_SHORTEST)
        fail("%s: size without shortest_edge is not ConvNext's (--resize)", processor.file);
    s->resize = VIT_RESIZE_EXACT;
    if (sides[0] >= 384) return;
    resized = sides[0] / crop_pct;
    if (!(resized >= 1 && resized <= MODEL_MAX_SIZE))
        fail("%s: crop_pct %g is out of range", processor.file, crop_pct);
    s->resize = VIT_RESIZE_SHORTEST;
    sides[0] = sides[1] = (int)resized;
}

static void read_resize(settings *s, json processor, const processor_class *class) {
    int crops = json_bool(processor, "do_center_crop", class->crops), crop[2] = {224, 224};
    int sides[2] = {class->side, class->side};
    int shortest = !json_bool(processor, "default_to_square", !class->shortest);
    if (s->resize >= 0 || s->crop_pct > 0) return;
    s->resize = (int)read_sides(processor, "size", shortest, sides);
    if (crops) read_sides(processor, "crop_size", 0, crop);
    else memcpy(crop, sides, sizeof(crop));
    if (class == convnext) apply_crop_pct(s, processor, sides);
    if (s->resize == VIT_RESIZE_SHORTEST && !crops && class != convnext)
        fail("%s: it resizes to shortest_edge and does not crop (--resize)", processor.file);
    memcpy(s->crop_size, crop, sizeof(crop));
    if (json_bool(processor, "do_resize", 1)) {
        memcpy(s->resize_size, sides, sizeof(sides));
        return;
    }
    s->resize = VIT_RESIZE_NONE;
    if (!crops) s->crop_size[0] = s->crop_size[1] = 0;
}

static void read_values(settings *s, const model *m, json processor, const processor_class *class) {
    int channels = class->mean == half ? 1 : 3;
    if (s->rescale == 0 && !json_bool(processor, "do_rescale", 1)) s->rescale = 1;
    if (s->rescale == 0) s->rescale = 1 / json_positive(processor, "rescale_factor", 1 / 255.0);
    if (json_bool(processor, "do_normalize", 1)) {
        read_channels(processor, "image_mean", s->mean, &s->means);
        read_channels(processor, "image_std", s->std, &s->stds);
        if (channels == 3 && m->config.in_chans != 3) return; /* there is no usual mean */
        set_channels(s->mean, &s->means, class->mean, channels);
        set_channels(s->std, &s->stds, class->std, channels);
    } else {
        set_channel(s->mean, &s->means, 0);
        set_channel(s->std, &s->stds, 1);
    }
}

static void read_resample(settings *s, json processor, const processor_class *class) {
    int resample = json_int(processor, "resample", class->resample, 0, 5);
    if (s->interpolation >= 0) return;
    if (resample != 2 && resample != 3)
        fail("%s: resample %d is not supported: 2 (bilinear) and 3 (bicubic) are (--interpolation)",
             processor.file, resample);
    s->interpolation = resample == 2 ? VIT_INTERPOLATION_BILINEAR : VIT_INTERPOLATION_BICUBIC;
}

/* ---- either -------------------------------------------------------------------------------- */

/* Keys of the sizes, and those that a class does not look at. */
static char *class_problem(json processor, const processor_class *class) {
    char *problem = keys_problem(processor, "", KEYS_PROCESSOR);
    if (problem == NULL) problem = keys_problem(json_get(processor, "size"), "size.", KEYS_SIZE);
    if (problem == NULL)
        problem = keys_problem(json_get(processor, "crop_size"), "crop_size.", KEYS_SIZE);
    if (problem != NULL) return problem;
    if (class != convnext && json_get(processor, "crop_pct").node != NULL)
        return format_text("%s: crop_pct is of ConvNext's processor alone", processor.file);
    if (class == convnext && json_bool(processor, "do_center_crop", 0))
        return format_text("%s: do_center_crop is not of ConvNext's processor", processor.file);
    return NULL;
}

/* Why a processor cannot be expressed, to be freed; NULL: it can. class is NULL for timm's. */
static char *processor_problem(json processor, const char *name, const processor_class *class) {
    if (class != NULL) return class_problem(processor, class);
    if (!is_wrapper(name))
        return format_text("%s: %s is not supported: the processors of ViT, DeiT, BiT, CLIP, "
                           "ConvNext and TimmWrapper are",
                           processor.file, name);
    char *problem = keys_problem(processor, "", KEYS_WRAPPER);
    if (problem != NULL) return problem;
    return keys_problem(json_get(processor, "pretrained_cfg"), "pretrained_cfg.", KEYS_RECIPE);
}

static int recipe_is_known(const settings *s) {
    return (s->resize >= 0 || s->crop_pct > 0) && s->interpolation >= 0 && s->means > 0 &&
           s->stds > 0;
}

static void read_processor(settings *s, const model *m, json processor,
                           const processor_class *class) {
    s->crop = class == NULL ? VIT_CROP_TORCHVISION : VIT_CROP_FLOOR;
    if (class == NULL) {
        recipe_read_timm(s, m, processor);
        return;
    }
    read_resize(s, processor, class);
    read_values(s, m, processor, class);
    read_resample(s, processor, class);
}

void recipe_read_processor(settings *s, const model *m, json processor) {
    family f = m->layout->family;
    const char *name = class_name(processor, f);
    const processor_class *class = find_class(name);
    int known = recipe_is_known(s);
    if (f == FAMILY_TIMM && known) {
        note("%s is not read: the recipe is known without it", processor.file);
        return;
    }
    char *problem = processor_problem(processor, name, class);
    if (problem == NULL) {
        read_processor(s, m, processor, class);
    } else if (known) {
        note("%s; the options replace the file, for pixels from 0 to 1", problem);
        free(problem);
    } else {
        fail("%s; --resize, --interpolation, --mean and --std together replace the file", problem);
    }
}

/* ---- what is usual ------------------------------------------------------------------------- */

/* Which parts of the recipe are assumed. */
enum { ASSUMED_RESIZE = 1, ASSUMED_INTERPOLATION = 2, ASSUMED_MEAN = 4, ASSUMED_STD = 8 };

/* The recipe of most published models of the family, for any img_size. Models of other than three
   channels have no usual mean: 0.5 puts their pixels from -1 to 1. Returns what was not known. */
static int assume(settings *s, const model *m) {
    family f = m->layout->family;
    int torchvision = f == FAMILY_TORCHVISION, huge = torchvision && m->config.img_size[0] != 224;
    int clip = f == FAMILY_HF_CLIP || f == FAMILY_OPENAI_CLIP;
    int imagenet = torchvision || f == FAMILY_HF_DINOV2 || f == FAMILY_DINOV2 ||
                   (f != FAMILY_HF_DEIT && layout_has(m, PART_DIST_TOKEN));
    int known = m->config.in_chans == 3 && (imagenet || clip), assumed = 0;
    if (s->resize < 0 && s->crop_pct == 0) {
        assumed |= ASSUMED_RESIZE;
        s->squash = f == FAMILY_HF_VIT || f == FAMILY_HF_DEIT;
        s->crop_pct = f == FAMILY_TIMM ? 0.9 : f == FAMILY_HF_VIT || huge || clip ? 1 : 0.875;
    }
    if (s->interpolation < 0) {
        assumed |= ASSUMED_INTERPOLATION;
        s->interpolation = f == FAMILY_HF_VIT || (torchvision && !huge) ? VIT_INTERPOLATION_BILINEAR
                                                                        : VIT_INTERPOLATION_BICUBIC;
    }
    assumed |= (s->means == 0 ? ASSUMED_MEAN : 0) | (s->stds == 0 ? ASSUMED_STD : 0);
    set_channels(s->mean, &s->means,
                 !known ? half
                 : clip ? clip_mean
                        : imagenet_mean,
                 known ? 3 : 1);
    set_channels(s->std, &s->stds, !known ? half : clip ? clip_std : imagenet_std, known ? 3 : 1);
    return m->config.in_chans <= 4 ? assumed : assumed & ~(ASSUMED_MEAN | ASSUMED_STD);
}

/* ", mean A B C (--mean)" into text; returns its length. */
static int print_channels(char *text, size_t room, const char *name, const float *values,
                          int channels) {
    int length = snprintf(text, room, ", %s", name);
    for (int i = 0; i < channels; i++)
        length += snprintf(text + length, room - (size_t)length, " %g", (double)values[i]);
    return length + snprintf(text + length, room - (size_t)length, " (--%s)", name);
}

static void note_assumed(int assumed, const vit_config *c) {
    const vit_preprocess_config *p = &c->preprocess;
    char text[512] = "";
    int length = 0;
    if (assumed & ASSUMED_RESIZE)
        length = snprintf(text, sizeof(text), ", %s to %dx%d (--resize, --crop-pct)",
                          p->resize == VIT_RESIZE_SHORTEST ? "the short side" : "exactly",
                          p->resize_size[0], p->resize_size[1]);
    if (assumed & ASSUMED_INTERPOLATION)
        length += snprintf(text + length, sizeof(text) - (size_t)length, ", %s (--interpolation)",
                           p->interpolation == VIT_INTERPOLATION_BICUBIC ? "bicubic" : "bilinear");
    if (assumed & ASSUMED_MEAN)
        length += print_channels(text + length, sizeof(text) - (size_t)length, "mean", p->mean,
                                 c->in_chans);
    if (assumed & ASSUMED_STD)
        print_channels(text + length, sizeof(text) - (size_t)length, "std", p->std, c->in_chans);
    if (assumed) note("no config gives all of the recipe: assumed %s", text + 2);
}

/* ---- what follows -------------------------------------------------------------------------- */

static void apply_channels(const char *name, float to[4], const float from[4], int count,
                           int in_chans) {
    if (in_chans > 4) return;
    if (count != 1 && count != in_chans)
        fail("%d values of %s for %d channel%s (--%s)", count, name, in_chans,
             in_chans == 1 ? "" : "s", name);
    for (int i = 0; i < in_chans; i++) to[i] = from[count == 1 ? 0 : i];
}

static void apply_resize(const settings *s, const vit_config *c, vit_preprocess_config *p) {
    p->resize = (vit_resize)s->resize;
    memcpy(p->resize_size, s->resize_size, sizeof(p->resize_size));
    if (s->resize < 0) {
        p->resize = s->squash ? VIT_RESIZE_EXACT : VIT_RESIZE_SHORTEST;
        for (int i = 0; i < 2; i++) {
            double side = floor(c->img_size[i] / s->crop_pct);
            if (!(side >= 1 && side <= MODEL_MAX_SIZE))
                fail("crop_pct %g is out of range", s->crop_pct);
            p->resize_size[i] = (int)side;
        }
        p->crop_pct = (float)s->crop_pct;
    }
    if (s->crop_size[0] == 0 ||
        (s->crop_size[0] == c->img_size[0] && s->crop_size[1] == c->img_size[1]))
        return;
    if (!s->sized)
        fail(
            "the recipe crops to %dx%d, but img_size is %dx%d (--resize or --crop-pct replaces it)",
            s->crop_size[0], s->crop_size[1], c->img_size[0], c->img_size[1]);
    for (int i = 0; i < 2 && s->resize >= 0; i++) /* as vit_preprocess does it at another size */
        p->resize_size[i] = (int)((long long)s->resize_size[i] * c->img_size[i] / s->crop_size[i]);
}

void recipe_apply(settings *s, model *m) {
    vit_preprocess_config *p = &m->config.preprocess;
    int assumed = assume(s, m);
    apply_resize(s, &m->config, p);
    p->interpolation = (vit_interpolation)s->interpolation;
    p->crop = (vit_crop)s->crop;
    p->rescale = (float)(s->rescale == 0 ? 255 : s->rescale);
    for (int i = 0; i < 4; i++) {
        p->mean[i] = 0, p->std[i] = 1;
        if (i < s->stds && !(s->std[i] > 0)) fail("std %g is not positive", (double)s->std[i]);
    }
    apply_channels("mean", p->mean, s->mean, s->means, m->config.in_chans);
    apply_channels("std", p->std, s->std, s->stds, m->config.in_chans);
    note_assumed(assumed, &m->config);
}
