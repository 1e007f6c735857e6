/* Writes a photo as C source: resized and cropped by the model's recipe, 8 bits a channel.

       make_photo MODEL.vit FOLDER NAME [COUNT]

   takes the first photo in FOLDER/index.tsv (lines of FILE, tab, CLASS) that the model classifies right
   on this machine, or with COUNT that many photos as they come, and writes NAME.c and NAME.h as
   make_pictures.py does. */
#define VIT_IMPLEMENTATION
#include "picture.h"
#include "vit.h"

static void fail(const char *what, const char *why) {
    fprintf(stderr, "make_photo: %s: %s\n", what, why);
    exit(1);
}

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (memory == NULL) fail("memory", "there is not enough");
    return memory;
}

static FILE *create(const char *name, const char *suffix) {
    char path[4096];
    snprintf(path, sizeof(path), "%s%s", name, suffix);
    FILE *file = fopen(path, "w");
    if (file == NULL) fail(path, "cannot be written");
    return file;
}

/* [in_chans][height][width], normalised */
static float *preprocess(const vit_model *model, const char *path) {
    picture photo;
    vit_image image = {NULL, 0, 0, 0, 0, 0};
    const char *error = picture_load(&photo, path);
    if (error != NULL) fail(path, error);
    image = photo.image;
    size_t size = vit_preprocess_workspace_size(model, NULL, &image);
    void *workspace = allocate(size);
    float *pixels = (float *)allocate(vit_pixels_count(model, NULL) * sizeof(float));
    vit_status status = vit_preprocess(model, NULL, &image, pixels, workspace, size);
    if (status != VIT_OK) fail(path, vit_status_string(status));
    free(workspace);
    picture_free(&photo);
    return pixels;
}

/* The byte that was normalised: the nearest one. */
static int byte_of(const vit_preprocess_config *recipe, int channel, float x) {
    return (int)((x * recipe->std[channel] + recipe->mean[channel]) * recipe->rescale + 0.5f);
}

static void write_pixels(FILE *file, const vit_config *c, const float *pixels) {
    int plane = c->img_size[0] * c->img_size[1];
    for (int i = 0; i < plane * c->in_chans; i++) {
        int channel = i % c->in_chans;
        float x = pixels[channel * plane + i / c->in_chans];
        fprintf(file, "%d,%s", byte_of(&c->preprocess, channel, x), i % 24 == 23 ? "\n" : "");
    }
}

static int classify(const vit_model *model, const float *pixels) {
    int classes = vit_model_config(model)->num_classes, best = -1;
    size_t size = vit_workspace_size(model, NULL, 1);
    void *workspace = allocate(size);
    float *logits = (float *)allocate((size_t)classes * sizeof(float));
    vit_status status = vit_forward(model, NULL, pixels, 1, logits, workspace, size);
    if (status != VIT_OK) fail("model", vit_status_string(status));
    vit_top_k(logits, classes, 1, &best);
    free(workspace);
    free(logits);
    return best;
}

enum { MOST_PHOTOS = 100 };

typedef struct photos {
    int count, classes[MOST_PHOTOS];
    float *pixels[MOST_PHOTOS];
} photos;

/* The first `most` of the index or, with 0, the first that the model classifies right. */
static void load_photos(photos *p, const vit_model *model, const char *folder, int most) {
    char path[4096], file[256];
    int class_index;
    snprintf(path, sizeof(path), "%s/index.tsv", folder);
    FILE *index = fopen(path, "r");
    if (index == NULL) fail(path, "cannot be read");
    p->count = 0;
    while (p->count < (most > 0 ? most : 1) &&
           fscanf(index, "%255[^\t]\t%d\n", file, &class_index) == 2) {
        snprintf(path, sizeof(path), "%s/%s", folder, file);
        float *pixels = preprocess(model, path);
        if (most == 0 && classify(model, pixels) != class_index) {
            free(pixels);
            continue;
        }
        p->classes[p->count] = class_index, p->pixels[p->count++] = pixels;
    }
    fclose(index);
    if (p->count == 0) fail(folder, "the model classifies none of the photos right");
    if (p->count < most) fail(folder, "has fewer photos");
}

static void write_header(FILE *file, int pictures, size_t count) {
    fprintf(file,
            "#define PICTURES %d\n"
            "extern const unsigned char pictures[PICTURES][%zu];\n"
            "extern const short picture_classes[PICTURES];\n",
            pictures, count);
}

static void write_photos(FILE *file, const vit_model *model, const photos *p) {
    fprintf(file, "#include \"pictures.h\"\n\n"
                  "#define SECTION __attribute__((section(\".pictures\")))\n"
                  "SECTION const short picture_classes[PICTURES] = {");
    for (int i = 0; i < p->count; i++) fprintf(file, "%d,", p->classes[i]);
    fprintf(file, "};\nSECTION const unsigned char pictures[PICTURES][%zu] = {\n",
            vit_pixels_count(model, NULL));
    for (int i = 0; i < p->count; i++) {
        fprintf(file, "{");
        write_pixels(file, vit_model_config(model), p->pixels[i]);
        fprintf(file, "},\n");
    }
    fprintf(file, "};\n");
}

int main(int argc, char **argv) {
    vit_model model;
    static photos p;
    int most = argc == 5 ? atoi(argv[4]) : 0;
    if (argc < 4 || argc > 5 || most < 0 || most > MOST_PHOTOS)
        fail("usage", "make_photo MODEL.vit FOLDER NAME [COUNT], which is at most 100");
    vit_status status = vit_model_load(&model, argv[1], NULL);
    if (status != VIT_OK) fail(argv[1], vit_status_string(status));
    load_photos(&p, &model, argv[2], most);
    FILE *header = create(argv[3], ".h"), *source = create(argv[3], ".c");
    write_header(header, p.count, vit_pixels_count(&model, NULL));
    write_photos(source, &model, &p);
    if (fclose(header) != 0 || fclose(source) != 0) fail(argv[3], "cannot be written");
    for (int i = 0; i < p.count; i++) free(p.pixels[i]);
    vit_model_close(&model);
    return 0;
}
