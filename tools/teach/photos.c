#include "photos.h"

#include "tools/convert/model_writer.h"
#include "tools/convert/report.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The entries of a folder that are folders, or those that are not. */
typedef struct entries {
    char **paths; /* sorted */
    size_t count, capacity;
    size_t others; /* of the other kind */
} entries;

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_entry(entries *e, const char *folder, const char *name, int folders) {
    struct stat status;
    char *path = format_text("%s/%s", folder, name);
    if (stat(path, &status) != 0) fail("%s: %s", path, strerror(errno));
    if ((S_ISDIR(status.st_mode) != 0) != folders) {
        e->others++;
        free(path);
        return;
    }
    e->paths = make_room_for_one(e->paths, e->count, &e->capacity, sizeof(char *));
    e->paths[e->count++] = path;
}

static entries read_entries(const char *folder, int folders) {
    entries e = {NULL, 0, 0, 0};
    DIR *open = opendir(folder);
    if (open == NULL) fail("%s: %s", folder, strerror(errno));
    for (struct dirent *entry; (entry = readdir(open)) != NULL;) {
        if (entry->d_name[0] != '.') add_entry(&e, folder, entry->d_name, folders);
    }
    closedir(open);
    if (e.count > 0) qsort(e.paths, e.count, sizeof(char *), compare_texts);
    return e;
}

/* When the file was changed, in nanoseconds; mingw-w64 tells whole seconds. */
static int64_t changed_at(const struct stat *status) {
#ifdef _WIN32
    return (int64_t)status->st_mtime * 1000000000;
#else
    return (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
#endif
}

/* The pictures of a class; its folder's path becomes theirs. */
static void add_class(photos *p, const char *folder, int class, size_t *capacity) {
    entries files = read_entries(folder, 0);
    if (files.count == 0) fail("%s: no picture in the folder", folder);
    if (files.others > 0) note("%s: folders within it are left out: %zu", folder, files.others);
    for (size_t i = 0; i < files.count; i++) {
        struct stat status;
        if (stat(files.paths[i], &status) != 0) fail("%s: %s", files.paths[i], strerror(errno));
        photo new = {files.paths[i], class, (uint64_t)status.st_size, changed_at(&status)};
        p->list = make_room_for_one(p->list, p->count, capacity, sizeof(photo));
        p->list[p->count++] = new;
    }
    free(files.paths);
}

/* The label of a class's folder. */
static char *label_of(const char *folder) {
    const char *name = strrchr(folder, '/') + 1;
    if (!text_is_valid(name))
        fail("%s: the folder's name is to be the label, and is not UTF-8 without control "
             "characters",
             folder);
    return format_text("%s", name);
}

static int find_label(const photos *p, const char *label) {
    int class = 0;
    while (class < p->classes && strcmp(p->labels[class], label) != 0) class ++;
    return class;
}

/* Takes the labels of `known`, which has to have those of the folders. */
static void take_labels(photos *p, const photos *known) {
    p->classes = known->classes;
    p->labels = allocate((size_t)known->classes, sizeof(char *));
    for (int i = 0; i < known->classes; i++) p->labels[i] = format_text("%s", known->labels[i]);
}

static void make_labels(photos *p, const char *folder, const entries *classes) {
    if (classes->count < 2)
        fail("%s: %s: a folder of pictures is wanted for each of two classes or more", folder,
             classes->count == 0 ? "no folder in it" : "only one folder in it");
    p->labels = allocate(classes->count, sizeof(char *));
    for (size_t i = 0; i < classes->count; i++)
        p->labels[p->classes++] = label_of(classes->paths[i]);
}

photos photos_find(const char *folder, const photos *known) {
    photos p = {NULL, 0, NULL, 0};
    size_t capacity = 0;
    entries classes = read_entries(folder, 1);
    if (classes.others > 0)
        note("%s: files beside the folders are left out: %zu", folder, classes.others);
    if (known != NULL) take_labels(&p, known);
    else make_labels(&p, folder, &classes);
    for (size_t i = 0; i < classes.count; i++) {
        char *label = label_of(classes.paths[i]);
        int class = find_label(&p, label);
        if (class == p.classes) fail("%s: no such class has been learned", classes.paths[i]);
        add_class(&p, classes.paths[i], class, &capacity);
        free(label);
        free(classes.paths[i]);
    }
    if (p.count == 0) fail("%s: no folder of pictures in it", folder);
    free(classes.paths);
    return p;
}

size_t photos_count(const photos *p, int class) {
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++) count += p->list[i].class == class;
    return count;
}

void photos_free(photos *p) {
    for (int i = 0; i < p->classes; i++) free(p->labels[i]);
    for (size_t i = 0; i < p->count; i++) free(p->list[i].path);
    free(p->labels);
    free(p->list);
}
