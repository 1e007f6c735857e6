/* The index of shards: https://huggingface.co/docs/transformers/big_models. */
#include "folder.h"

#include "container.h"
#include "json.h"
#include "report.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names that Hugging Face gives, the first that is there counts. */
static const char *const usual[] = {"model.safetensors", "model.safetensors.index.json",
                                    "pytorch_model.bin", "pytorch_model.bin.index.json"};

/* Where none of them is, one file with such a name is taken. */
static const char *const endings[] = {".safetensors", ".pth", ".pt",  ".bin",
                                      ".ckpt",        ".npz", ".tar", ".th"};

/* What tells that a folder is something else. */
static const struct {
    const char *name, *title;
} other[] = {
    {"saved_model.pb", "a TensorFlow SavedModel"},
    {"keras_metadata.pb", "a Keras model of TensorFlow"},
    {"tf_model.h5", "a Keras model of TensorFlow"},
    {"checkpoint", "a checkpoint of TensorFlow or JAX"},
    {"_METADATA", "a checkpoint of JAX (Orbax)"},
    {"flax_model.msgpack", "a checkpoint of Flax"},
    {"model.onnx", "an ONNX model"},
    {"data.pkl", "an unpacked PyTorch file: give the file itself"},
};

int folder_is(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int is_there(const char *folder, const char *name) {
    char *path = format_text("%s/%s", folder, name);
    int there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static int is_checkpoint(const struct dirent *entry) {
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (text_ends_with(entry->d_name, endings[i])) return 1;
    }
    return 0;
}

static int is_array(const struct dirent *entry) {
    return text_ends_with(entry->d_name, ".npy");
}

/* A folder's files that are wanted, in the order of their names; how many there are. */
static int list(const char *folder, int (*wanted)(const struct dirent *),
                struct dirent ***entries) {
    int count = scandir(folder, entries, wanted, alphasort);
    if (count < 0) fail("%s: %s", folder, strerror(errno));
    return count;
}

static void free_list(struct dirent **entries, int count) {
    for (int i = 0; i < count; i++) free(entries[i]);
    free(entries);
}

static char *find_usual(const char *folder) {
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        if (is_there(folder, usual[i])) return format_text("%s/%s", folder, usual[i]);
    }
    return NULL;
}

static char *find_single(const char *folder) {
    struct dirent **entries;
    char *path = NULL;
    int count = list(folder, is_checkpoint, &entries);
    if (count > 1)
        fail("%s: which file is meant, %s or %s? Give that file", folder, entries[0]->d_name,
             entries[1]->d_name);
    if (count == 1) {
        path = format_text("%s/%s", folder, entries[0]->d_name);
        note("%s is read", path);
    }
    free_list(entries, count);
    return path;
}

/* A folder of .npy files has a tensor in each. Returns how many there are. */
static int read_arrays(checkpoint *c, const char *folder) {
    struct dirent **entries;
    int count = list(folder, is_array, &entries);
    for (int i = 0; i < count; i++) {
        char *path = format_text("%s/%s", folder, entries[i]->d_name);
        container_read(c, path);
        free(path);
    }
    free_list(entries, count);
    return count;
}

REPORT_NORETURN static void refuse(const char *folder) {
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        if (is_there(folder, other[i].name))
            fail("%s: %s (%s is there); what is read are files of PyTorch, safetensors and NumPy",
                 folder, other[i].title, other[i].name);
    }
    fail("%s: there is no checkpoint: neither %s nor %s nor one file whose name ends with "
         ".safetensors, .pth, .pt, .bin, .ckpt or .npz",
         folder, usual[0], usual[2]);
}

void folder_read(checkpoint *c, const char *folder) {
    char *path = find_usual(folder);
    if (path == NULL) path = find_single(folder);
    if (path != NULL) {
        container_read(c, path);
        free(path);
    } else {
        c->file = format_text("%s", folder);
        if (read_arrays(c, folder) == 0) refuse(folder);
    }
}

/* ---- shards ---- */

/* A shard's name is a plain file name: the index must not lead out of its folder. */
static const char *shard_name(const char *index, const cJSON *entry) {
    const char *name = cJSON_IsString(entry) ? entry->valuestring : "";
    if (name[0] == 0 || name[0] == '.' || strpbrk(name, "/\\") != NULL)
        fail("%s: %s: '%s' is not the name of a shard", index, entry->string, name);
    return name;
}

static char *shard_path(const char *index, const cJSON *entry) {
    const char *slash = strrchr(index, '/'), *name = shard_name(index, entry);
    return format_text("%.*s%s", slash == NULL ? 0 : (int)(slash + 1 - index), index, name);
}

static void read_shard(checkpoint *c, const char *path) {
    for (size_t i = 0; i < c->file_count; i++) {
        if (strcmp(c->files[i]->path, path) == 0) return;
    }
    container_read(c, path);
}

/* Each tensor that is listed is in its shard, and no other is there. */
static void check_index(const checkpoint *c, const char *path, const cJSON *map) {
    const cJSON *entry;
    size_t listed = 0;
    cJSON_ArrayForEach(entry, map) {
        char *shard = shard_path(path, entry);
        const tensor *t = checkpoint_find(c, entry->string);
        if (t == NULL || strcmp(t->file, shard) != 0)
            fail("%s: %s is not in %s", path, entry->string, shard);
        free(shard);
        listed++;
    }
    if (listed != c->count)
        fail("%s: %zu tensors are listed, %zu are there", path, listed, c->count);
}

void folder_read_index(checkpoint *c, const char *path) {
    json root = json_read(path);
    json map = json_get(root, "weight_map");
    const cJSON *entry;
    if (!cJSON_IsObject(map.node))
        fail("%s: JSON, but no index of shards (without weight_map); give the weights' file", path);
    if (c->is_index++) fail("%s: an index of shards in an index", path);
    cJSON_ArrayForEach(entry, map.node) {
        char *shard = shard_path(path, entry);
        read_shard(c, shard);
        free(shard);
    }
    checkpoint_sort(c);
    check_index(c, path, map.node);
    cJSON_Delete(root.node);
}
