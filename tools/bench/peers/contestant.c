/* A contestant as a process: CONTESTANT MODEL PIXELS THREADS BATCH

   PIXELS is a file with one picture's tensor, which is taken BATCH times. Each line of standard
   input is a command, each answer a line of standard output:

     run      makes a forward pass; milliseconds
     logits   of the first picture, by the last pass
     peak     GFLOP/s of the processor at most, 0 where not known */
#include "contestant.h"

#include "../clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fail(const char *message) {
    fprintf(stderr, "contestant: %s\n", message);
    exit(1);
}

static void read_pixels(contest *c, const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fread(c->pixels, sizeof(float), PIXELS, file) != PIXELS)
        fail("cannot read the pixels");
    fclose(file);
    for (int i = 1; i < c->batch; i++)
        memcpy(c->pixels + (size_t)i * PIXELS, c->pixels, PIXELS * sizeof(float));
}

static double run(const contest *c) {
    double begin = seconds();
    contestant_run(c);
    return (seconds() - begin) * 1e3;
}

static void print_logits(const contest *c) {
    for (int i = 0; i < CLASSES; i++)
        printf("%.9g%c", (double)c->logits[i], i + 1 < CLASSES ? ' ' : '\n');
}

static void obey(const contest *c, const char *command) {
    if (strcmp(command, "run\n") == 0) printf("%.4f\n", run(c));
    else if (strcmp(command, "logits\n") == 0) print_logits(c);
    else if (strcmp(command, "peak\n") == 0) printf("%.2f\n", contestant_peak(c));
    else fail("there is no such command");
    fflush(stdout);
}

int main(int argc, char **argv) {
    char command[16];
    contest c = {0};
    if (argc != 5) fail("usage: contestant MODEL PIXELS THREADS BATCH");
    c.model = argv[1];
    c.threads = (int)strtol(argv[3], NULL, 10);
    c.batch = (int)strtol(argv[4], NULL, 10);
    if (c.threads < 1 || c.batch < 1) fail("not a count");
    c.pixels = malloc((size_t)c.batch * PIXELS * sizeof(float));
    c.logits = malloc((size_t)c.batch * CLASSES * sizeof(float));
    if (c.pixels == NULL || c.logits == NULL) fail("out of memory");
    read_pixels(&c, argv[2]);
    contestant_open(&c);
    while (fgets(command, sizeof(command), stdin) != NULL) obey(&c, command);
    return 0; /* what is left, the system takes back */
}
