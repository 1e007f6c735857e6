/* How the programs of tools/ open a .vit file, and what they say where that fails. Beside vit.h. */
#ifndef OPEN_MODEL_H
#define OPEN_MODEL_H

#include "tools/convert/report.h"
#include "vit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether a file is what git-lfs leaves where it has not fetched one. */
static int is_lfs_pointer(const char *path) {
    static const char pointer[] = "version https://git-lfs";
    char begin[sizeof(pointer)] = "";
    FILE *file = fopen(path, "rb");
    size_t got = file == NULL ? 0 : fread(begin, 1, sizeof(begin) - 1, file);
    if (file != NULL) fclose(file);
    return got > 0 && strcmp(begin, pointer) == 0;
}

/* An error ends the program: by what the system says of the file, or else by what is wrong with it. */
static vit_model open_model(const char *path, const vit_load_options *options) {
    vit_model model;
    struct stat file;
    vit_status status = vit_model_load(&model, path, options);
    if (status == VIT_OK) return model;
    if (stat(path, &file) != 0) fail_open(path);
    if (S_ISDIR(file.st_mode)) fail("%s: a folder, not a .vit file (vit-convert makes one)", path);
    if (status == VIT_ERROR_OPEN && access(path, R_OK) != 0) fail_open(path);
    if (file.st_size == 0 && S_ISREG(file.st_mode)) fail("%s: it is empty", path);
    if (is_lfs_pointer(path))
        fail("%s: a git-lfs pointer: the model itself was not fetched (git lfs pull)", path);
    fail("%s: %s%s", path, vit_status_string(status),
         status == VIT_ERROR_MAGIC ? ": vit-convert makes one of a checkpoint" : "");
}

#endif
