/* A contestant as a process:

     CONTESTANT MODEL PIXELS THREADS BATCH [CHANNELS SIDE CLASSES]

   PIXELS is a file with the tensors of pictures, 3 x 224 x 224 each without CHANNELS and SIDE. A pass
   takes the first BATCH of them, and starts again from the first if there are fewer. Each line of
   standard input is a command, each answer a line of standard output:

     run        makes a forward pass; milliseconds
     logits     those of the first picture in the last pass
     all PATH   classifies all pictures and writes their logits, float32, into a file; milliseconds
                of the passes
     peak       the processor's peak in GFLOP/s, 0 if not known */
#include "contestant.h"

#include "../clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float *pictures; /* [picture_count][picture_size] */
static size_t picture_count;

void fail(const char *message) {
    fprintf(stderr, "contestant: %s\n", message);
    exit(1);
}

size_t picture_size(const contest *c) {
    return (size_t)c->channels * (size_t)c->side * (size_t)c->side;
}

static float *allocate(size_t count) {
    float *memory = malloc(count * sizeof(float));
    if (memory == NULL) fail("out of memory");
    return memory;
}

static int parse_count(const char *text) {
    long value = strtol(text, NULL, 10);
    if (value < 1 || value > 100000) fail("not a count");
    return (int)value;
}

static void read_pictures(const contest *c, const char *path) {
    size_t bytes = picture_size(c) * sizeof(float);
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) fail("cannot read the pixels");
    long length = ftell(file);
    rewind(file);
    if (length <= 0 || (size_t)length % bytes != 0) fail("the pixels are not of whole pictures");
    picture_count = (size_t)length / bytes;
    pictures = allocate(picture_count * picture_size(c));
    if (fread(pictures, bytes, picture_count, file) != picture_count)
        fail("cannot read the pixels");
    fclose(file);
}

/* Sets the pixels of the next pass: a batch that begins with picture `first`. */
static void take(const contest *c, size_t first) {
    size_t size = picture_size(c);
    for (size_t i = 0; i < (size_t)c->batch; i++) {
        memcpy(c->pixels + i * size, pictures + first * size, size * sizeof(float));
        if (++first == picture_count) first = 0;
    }
}

static double run(const contest *c) {
    double begin = seconds();
    contestant_run(c);
    return (seconds() - begin) * 1e3;
}

static double run_all(const contest *c, const char *path) {
    size_t batch = (size_t)c->batch, classes = (size_t)c->classes;
    double milliseconds = 0;
    FILE *file = fopen(path, "wb");
    if (file == NULL) fail("cannot write the logits");
    for (size_t first = 0; first < picture_count; first += batch) {
        size_t left = picture_count - first, count = left < batch ? left : batch;
        take(c, first);
        milliseconds += run(c);
        if (fwrite(c->logits, classes * sizeof(float), count, file) != count)
            fail("cannot write the logits");
    }
    if (fclose(file) != 0) fail("cannot write the logits");
    take(c, 0);
    return milliseconds;
}

static void print_logits(const contest *c) {
    for (int i = 0; i < c->classes; i++)
        printf("%.9g%c", (double)c->logits[i], i + 1 < c->classes ? ' ' : '\n');
}

static void obey(const contest *c, const char *command) {
    if (strcmp(command, "run") == 0) printf("%.4f\n", run(c));
    else if (strcmp(command, "logits") == 0) print_logits(c);
    else if (strncmp(command, "all ", 4) == 0) printf("%.4f\n", run_all(c, command + 4));
    else if (strcmp(command, "peak") == 0) printf("%.2f\n", contestant_peak(c));
    else fail("there is no such command");
    fflush(stdout);
}

int main(int argc, char **argv) {
    char command[4096];
    contest c = {0};
    if (argc != 5 && argc != 8)
        fail("usage: contestant MODEL PIXELS THREADS BATCH [CHANNELS SIDE CLASSES]");
    c.model = argv[1];
    c.threads = parse_count(argv[3]);
    c.batch = parse_count(argv[4]);
    c.channels = argc > 5 ? parse_count(argv[5]) : 3;
    c.side = argc > 5 ? parse_count(argv[6]) : 224;
    c.classes = argc > 5 ? parse_count(argv[7]) : 1000;
    c.pixels = allocate((size_t)c.batch * picture_size(&c));
    c.logits = allocate((size_t)c.batch * (size_t)c.classes);
    read_pictures(&c, argv[2]);
    take(&c, 0);
    contestant_open(&c);
    while (fgets(command, sizeof(command), stdin) != NULL) {
        command[strcspn(command, "\n")] = 0;
        obey(&c, command);
    }
    return 0; /* the system frees the rest */
}
