/* Classifies the linked pictures with the linked model, and prints the instructions and memory that this
   took. The same for every board. */
#include "board.h"
#include "weights.h" /* by vit-convert --c-array */
#include "pictures.h"
#include "vit.h"

#ifdef LOW_MEMORY
static unsigned char workspace[WEIGHTS_WORKSPACE_SIZE_LOW_MEMORY];
static const int low_memory = 1;
#else
static unsigned char workspace[WEIGHTS_WORKSPACE_SIZE];
static const int low_memory = 0;
#endif
static float logits[WEIGHTS_NUM_CLASSES];
static uint64_t camera_instructions; /* of all pictures */

/* ---- text, without a C library ---- */

static void write_number(uint64_t number) {
    char text[21], *p = text + sizeof(text) - 1;
    *p = 0;
    do {
        *--p = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    board_write(p);
}

static void write_pair(const char *key, uint64_t number) {
    board_write(" ");
    board_write(key);
    board_write("=");
    write_number(number);
}

static void write_hexadecimal(uint32_t number) {
    char text[] = " 00000000";
    for (int i = 8; i > 0; i--, number >>= 4) text[i] = "0123456789abcdef"[number & 15];
    board_write(text);
}

/* The bits of each logit, which check.py compares with those of another machine. */
static void write_logits(void) {
    board_write("logits");
    for (int i = 0; i < WEIGHTS_NUM_CLASSES; i++) {
        union {
            float number;
            uint32_t bits;
        } logit;
        logit.number = logits[i];
        write_hexadecimal(logit.bits);
    }
    board_write("\n");
}

/* ---- the application ---- */

static int fail(vit_status status) {
    board_write(vit_status_string(status));
    board_write("\n");
    return 1;
}

#ifdef FRAME_WIDTH
#include "camera.h"

static unsigned char seen[WEIGHTS_PIXELS_COUNT];

/* What the model sees of a frame, whose rows come one by one as from a sensor. */
static vit_status see(const vit_model *model, int picture, const unsigned char **pixels) {
    static int32_t memory[1024];
    const size_t row_size = sizeof(pictures[picture]) / FRAME_HEIGHT;
    camera c;
    uint64_t start = board_instructions();
    vit_status status = camera_begin(&c, model, CAMERA_RGB565_HIGH_FIRST, FRAME_WIDTH, FRAME_HEIGHT,
                                     memory, sizeof(memory), seen);
    if (status != VIT_OK) return status;
    for (const unsigned char *row = pictures[picture]; !camera_row(&c, row);) row += row_size;
    camera_instructions += board_instructions() - start;
    *pixels = seen;
    return VIT_OK;
}
#else
static vit_status see(const vit_model *model, int picture, const unsigned char **pixels) {
    (void)model;
    *pixels = pictures[picture];
    return VIT_OK;
}
#endif

#ifdef READ_ROWS
typedef struct source {
    const vit_config *config;
    const unsigned char *pixels;
} source;

/* A row of patches, as it would come from a camera, a card or a line. */
static int read_rows(void *user, int image, int row, void *pixels) {
    const source *s = (const source *)user;
    const size_t width = (size_t)(s->config->img_size[1] * s->config->in_chans);
    const unsigned char *from = s->pixels + (size_t)row * width;
    unsigned char *to = (unsigned char *)pixels;
    (void)image;
    for (size_t i = 0; i < (size_t)s->config->patch_size[0] * width; i++) to[i] = from[i];
    return 0;
}
#endif

/* One picture; *best becomes its class. */
static vit_status classify(const vit_model *model, int picture, int *best) {
    vit_options options = {0};
    const unsigned char *pixels;
    const char *label;
    options.pixel_type = VIT_PIXELS_U8;
    options.low_memory = low_memory;
    vit_status status = see(model, picture, &pixels);
    if (status != VIT_OK) return status;
#ifdef READ_ROWS
    source rows = {vit_model_config(model), pixels};
    options.read_rows = read_rows, options.read_rows_user = &rows;
    pixels = NULL;
#endif
    uint64_t start = board_instructions();
    status = vit_forward(model, &options, pixels, 1, logits, workspace, sizeof(workspace));
    uint64_t instructions = board_instructions() - start;
    if (status != VIT_OK) return status;
    write_logits();
    vit_softmax(logits, WEIGHTS_NUM_CLASSES, logits);
    vit_top_k(logits, WEIGHTS_NUM_CLASSES, 1, best);
    label = vit_model_label(model, *best);
    board_write("picture ");
    write_number((uint64_t)picture);
    board_write(": ");
    board_write(label == NULL ? "?" : label);
    board_write(", ");
    write_number((uint32_t)(logits[*best] * 100.0f + 0.5f));
    board_write(" %, ");
    write_number(instructions);
    board_write(" instructions\n");
    return VIT_OK;
}

int app_main(void) {
    vit_model model;
    int correct = 0;
    vit_status status = vit_model_open(&model, weights, WEIGHTS_SIZE);
    if (status == VIT_OK) status = vit_model_verify(&model);
    if (status != VIT_OK) return fail(status);

    uint64_t start = board_instructions();
    for (int i = 0; i < PICTURES; i++) {
        int best = -1;
        status = classify(&model, i, &best);
        if (status != VIT_OK) return fail(status);
        correct += best == picture_classes[i];
    }
    board_write("board=" BOARD " model=" MODEL_NAME);
    write_pair("flash", board_flash());
    write_pair("ram", board_ram());
    write_pair("workspace", sizeof(workspace));
    write_pair("stack", board_stack());
    write_pair("instructions", (board_instructions() - start) / PICTURES);
    if (camera_instructions > 0) write_pair("camera", camera_instructions / PICTURES);
    write_pair("correct", (uint64_t)correct);
    write_pair("pictures", PICTURES);
    board_write("\n");
    return 0;
}
