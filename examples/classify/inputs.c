#include "inputs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static int give(input *in, char *path, const char *error) {
    const input new = {path, 0, error};
    *in = new;
    return 1;
}

/* ---- a list of names ---- */

enum { LIST_SIZE = 1 << 16, PATIENCE = 100 /* milliseconds between two looks at `stop` */ };

typedef struct list {
    int file;
    size_t at, used;
    char bytes[LIST_SIZE + 1];
} list;

static list *list_open(const char *path) {
    int file = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY);
    list *new = file < 0 ? NULL : (list *)malloc(sizeof(list));
    if (new == NULL) return NULL;
    new->file = file;
    new->at = new->used = 0;
    return new;
}

static void list_close(list *l) {
    if (l != NULL && l->file != STDIN_FILENO) close(l->file);
    free(l);
}

/* Waits until there is something to read, or the end of it; 0 at `stop`. */
static int wait_for(int file, const volatile sig_atomic_t *stop) {
    struct pollfd wait = {file, POLLIN, 0};
    while (!*stop)
        if (poll(&wait, 1, PATIENCE) > 0) return 1;
    return 0;
}

/* Reads more; 0 at the end, at `stop` and after an error, which is then in errno. */
static int list_fill(list *l, const volatile sig_atomic_t *stop) {
    memmove(l->bytes, l->bytes + l->at, l->used - l->at);
    l->used -= l->at, l->at = 0;
    while (wait_for(l->file, stop)) {
        errno = 0;
        ssize_t got = read(l->file, l->bytes + l->used, (unsigned)(LIST_SIZE - l->used));
        if (got < 0 && errno == EINTR) continue;
        if (got > 0) l->used += (size_t)got;
        return got > 0;
    }
    errno = 0;
    return 0;
}

/* The next name that is not empty, in the list's memory; NULL after the last. *error: why it is the
   last, or unchanged. */
static char *list_next(list *l, char separator, const volatile sig_atomic_t *stop,
                       const char **error) {
    for (;;) {
        char *name = l->bytes + l->at, *end = memchr(name, separator, l->used - l->at);
        if (end == NULL && l->used - l->at == LIST_SIZE) {
            *error = "a name of 64 KB";
            return NULL;
        }
        if (end == NULL && list_fill(l, stop)) continue;
        if (end == NULL && errno != 0) *error = strerror(errno);
        if (end == NULL && (errno != 0 || *stop || l->used == 0)) return NULL;
        name = l->bytes + l->at; /* the last may lack its separator */
        if (end == NULL) end = l->bytes + l->used;
        l->at = (size_t)(end - l->bytes) + (end < l->bytes + l->used);
        *end = 0;
        if (separator == '\n' && end > name && end[-1] == '\r') end[-1] = 0;
        if (*name != 0) return name;
    }
}

/* ---- a folder ---- */

/* A folder is read as often as it takes to have so many names at a time in their order. */
enum { NAMES = 4096 };

typedef struct folder {
    struct folder *above;
    char *path;
    dev_t device;
    ino_t inode;
    char *names[2 * NAMES]; /* those at hand, sorted */
    size_t next, count;
    int complete; /* no names come after these */
} folder;

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void drop_names(folder *f, size_t kept) {
    while (f->count > kept) free(f->names[--f->count]);
}

/* Adds a name that comes after `last`, and drops others where there are too many. */
static int add_name(folder *f, const char *last, const char *name) {
    if (name[0] == '.' || (last != NULL && strcmp(name, last) <= 0)) return 1;
    if (!f->complete && strcmp(name, f->names[NAMES - 1]) > 0) return 1;
    if ((f->names[f->count] = strdup(name)) == NULL) return 0;
    if (++f->count < 2 * NAMES) return 1;
    qsort(f->names, f->count, sizeof(char *), compare_names);
    drop_names(f, NAMES);
    f->complete = 0;
    return 1;
}

/* The first names after `last`; returns 0 with errno where that is not possible. */
static int read_names(folder *f, const char *last) {
    DIR *open = opendir(f->path);
    int good = open != NULL;
    f->next = f->count = 0;
    f->complete = 1;
    for (struct dirent *entry; good && (errno = 0, entry = readdir(open)) != NULL;)
        good = add_name(f, last, entry->d_name);
    int error = errno;
    if (open != NULL) closedir(open);
    if (f->count > 0) qsort(f->names, f->count, sizeof(char *), compare_names);
    if (f->count > NAMES) {
        drop_names(f, NAMES);
        f->complete = 0;
    }
    errno = error;
    return error == 0;
}

/* The names after those at hand. */
static int read_more(folder *f) {
    char *last = f->names[f->count - 1];
    f->count--;
    drop_names(f, 0);
    int good = read_names(f, last);
    free(last);
    return good;
}

/* Whether the folder is one of those that lead to it, by a symbolic link. */
static int is_within_itself(const folder *above, const struct stat *status) {
    for (; above != NULL; above = above->above)
        if (status->st_ino != 0 && above->device == status->st_dev &&
            above->inode == status->st_ino)
            return 1;
    return 0;
}

/* Takes path. Returns NULL, or what is wrong; then path is still the caller's. */
static const char *enter_folder(inputs *all, char *path, const struct stat *status) {
    if (is_within_itself(all->folder, status)) return "a link to a folder that it is in";
    folder *new = (folder *)malloc(sizeof(folder));
    if (new == NULL) return "out of memory";
    new->above = all->folder;
    new->path = path;
    new->device = status->st_dev;
    new->inode = status->st_ino;
    if (read_names(new, NULL)) {
        all->folder = new;
        return NULL;
    }
    const char *error = strerror(errno);
    drop_names(new, 0);
    free(new);
    return error;
}

static void leave_folder(inputs *all) {
    folder *f = all->folder;
    all->folder = f->above;
    drop_names(f, 0);
    free(f->path);
    free(f);
}

static char *join(const char *path, const char *name) {
    size_t length = strlen(path), size = length + strlen(name) + 2;
    char *joined = (char *)malloc(size);
    const char *slash = length > 0 && path[length - 1] == '/' ? "" : "/";
    if (joined != NULL) snprintf(joined, size, "%s%s%s", path, slash, name);
    return joined;
}

/* Also of pictures that are not read, so that they are named. */
static int is_picture_name(const char *name) {
    static const char *const ends[] = {"jpg",  "jpeg", "jpe", "jfif", "png",  "bmp",
                                       "dib",  "ppm",  "pgm", "pnm",  "webp", "heic",
                                       "heif", "avif", "gif", "tif",  "tiff"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof(ends) / sizeof(ends[0]); i++)
        if (strcasecmp(dot + 1, ends[i]) == 0) return 1;
    return 0;
}

/* The path is known to be a folder. 0 where it was entered. */
static int give_folder(inputs *all, input *in, char *path, const struct stat *status) {
    const char *error = enter_folder(all, path, status);
    return error != NULL && give(in, path, error);
}

/* The next of the folder; 0 where that was another folder, or no picture, or there is none. */
static int next_in_folder(inputs *all, input *in) {
    folder *f = all->folder;
    struct stat status;
    if (f->next == f->count && !f->complete && !read_more(f)) {
        f->complete = 1;
        return give(in, strdup(f->path), strerror(errno));
    }
    if (f->next == f->count) {
        leave_folder(all);
        return 0;
    }
    const char *name = f->names[f->next++];
    char *path = join(f->path, name);
    if (path == NULL) return give(in, NULL, "out of memory");
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return give_folder(all, in, path, &status);
    if (is_picture_name(name)) return give(in, path, NULL);
    all->left_out++;
    free(path);
    return 0;
}

/* ---- what is named ---- */

static int next_named(inputs *all, input *in, const char *name) {
    struct stat status;
    char *path = strdup(name);
    if (path == NULL) return give(in, NULL, "out of memory");
    if (strcmp(path, "-") != 0 && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return give_folder(all, in, path, &status);
    return give(in, path, NULL);
}

static int next_in_list(inputs *all, input *in) {
    const char *error = NULL, *name = list_next(all->list, all->separator, all->stop, &error);
    if (name != NULL) return next_named(all, in, name);
    list_close(all->list);
    all->list = NULL;
    return error != NULL && give(in, strdup(all->names[-1]), error);
}

static int next_argument(inputs *all, input *in) {
    const char *name = *all->names++;
    all->count--;
    if (strcmp(name, "-") == 0 && !wait_for(STDIN_FILENO, all->stop)) return 0;
    if (name[0] != '@') return next_named(all, in, name);
    all->list = list_open(name + 1);
    return all->list == NULL && give(in, strdup(name), strerror(errno));
}

static int next_tensor(inputs *all, input *in) {
    give(in, strdup(all->tensor), NULL);
    in->is_tensor = 1;
    all->tensor = NULL;
    return 1;
}

/* Whether it is one that has been looked at before; it is then dropped. */
static int pass_over(const inputs *all, const input *in) {
    int is_done = all->is_done != NULL && in->error == NULL && in->path != NULL &&
                  all->is_done(all->user, in->path);
    if (is_done) free(in->path);
    return is_done;
}

int inputs_next(inputs *all, input *in) {
    while (!*all->stop) {
        int given = all->tensor != NULL   ? next_tensor(all, in)
                    : all->folder != NULL ? next_in_folder(all, in)
                    : all->list != NULL   ? next_in_list(all, in)
                    : all->count > 0      ? next_argument(all, in)
                                          : -1;
        if (given < 0) return 0;
        if (given > 0 && !pass_over(all, in)) return 1;
    }
    return 0;
}

/* Whether the names are there to be read twice. */
static int is_countable(const inputs *all) {
    struct stat status;
    for (int i = 0; i < all->count; i++) {
        const char *name = all->names[i];
        if (name[0] == '@' && (stat(name + 1, &status) != 0 || !S_ISREG(status.st_mode))) return 0;
    }
    return 1;
}

size_t inputs_count(const inputs *all) {
    inputs copy = *all;
    input in;
    size_t count = 0;
    if (!is_countable(all)) return 0;
    for (; inputs_next(&copy, &in); count++) free(in.path);
    inputs_close(&copy);
    return count;
}

void inputs_close(inputs *all) {
    while (all->folder != NULL) leave_folder(all);
    list_close(all->list);
    all->list = NULL;
}
