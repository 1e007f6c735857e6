#include "container.h"

#include "bytes.h"
#include "folder.h"
#include "ggml.h"
#include "numpy.h"
#include "report.h"
#include "safetensors.h"
#include "text.h"
#include "torch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WHAT_IS_READ \
    "safetensors, PyTorch (.pth, .pt, .bin, .ckpt), NumPy (.npz, .npy) or vit.cpp's"
#define ORIGIN "give the checkpoint that it was made from: " WHAT_IS_READ

/* Files that are not read, by the bytes at an offset. */
static const struct {
    size_t offset, length;
    const char *bytes, *title;
} others[] = {
    {0, 23, "version https://git-lfs",
     "a git-lfs pointer: the file itself was not fetched (git lfs pull)"},
    {0, 8, "\x89VIT\r\n\x1a\n", "a .vit file already"},
    {0, 8, "\x89HDF\r\n\x1a\n",
     "an HDF5 file, as Keras writes: load the model and write its weights by numpy.savez"},
    {0, 4, "GGUF", "a GGUF file of llama.cpp: " ORIGIN},
    {4, 4, "TFL3", "a TensorFlow Lite model: " ORIGIN},
    {4, 4, "ET12", "an ExecuTorch program: " ORIGIN},
    {0, 3, "\x08\x01\x12", "a TensorFlow SavedModel: load it and write its weights by numpy.savez"},
    {0, 23, "model_checkpoint_path: ",
     "a TensorFlow checkpoint: load it and write its weights by numpy.savez"},
    {0, 2, "\x1f\x8b", "packed by gzip: unpack it (gunzip, or tar -xzf)"},
    {0, 6,
     "\xfd"
     "7zXZ",
     "packed by xz: unpack it (unxz, or tar -xJf)"},
    {0, 3, "BZh", "packed by bzip2: unpack it (bunzip2, or tar -xjf)"},
    {0, 4, "\x28\xb5\x2f\xfd", "packed by zstd: unpack it (unzstd)"},
    {0, 6, "7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"},
    {0, 4, "Rar!", "a rar archive: unpack it"},
    {257, 5, "ustar", "a tar archive: unpack it (tar -xf)"},
    {0, 3, "\xff\xd8\xff", "a picture (JPEG), not a model"},
    {0, 8, "\x89PNG\r\n\x1a\n", "a picture (PNG), not a model"},
    {0, 4, "GIF8", "a picture (GIF), not a model"},
    {8, 4, "WEBP", "a picture (WebP), not a model"},
    {0, 4, "II*\0", "a picture (TIFF), not a model"},
    {0, 4, "MM\0*", "a picture (TIFF), not a model"},
    {0, 5, "%PDF-", "a PDF document, not a model"},
    {0, 4,
     "\x7f"
     "ELF",
     "a program, not a model"},
};

static int has(const file_map *file, size_t offset, const char *bytes, size_t length) {
    return file->size >= length && offset <= file->size - length &&
           memcmp(file->data + offset, bytes, length) == 0;
}

/* The index of a checkpoint of TensorFlow is a table of LevelDB, which ends with this. */
static int is_tensorflow_index(const file_map *file) {
    return file->size >= 8 && read_u64(file->data + file->size - 8) == 0xdb4775248b80fb57u;
}

/* ModelProto: field 1, the version, then the field of a producer's name, or of the graph. */
static int is_onnx(const file_map *file) {
    const unsigned char *p = file->data;
    if (file->size < 16 || p[0] != 0x08 || p[1] < 3 || p[1] > 30) return 0;
    if (p[2] == 0x3a) return 1;
    return p[2] == 0x12 && p[3] < 64 && p[4] >= ' ' && p[4] < 0x7f && p[5] >= ' ' && p[5] < 0x7f;
}

/* A map of few members, the first of which has a short text as its key. */
static int is_msgpack(const file_map *file) {
    return file->size > 2 && file->data[0] > 0x80 && file->data[0] < 0x90 && file->data[1] > 0xa0 &&
           file->data[1] < 0xc0;
}

static int is_pickle(const file_map *file) {
    return file->size > 2 && file->data[0] == 0x80 && file->data[1] >= 2 && file->data[1] <= 5;
}

/* The first place from i on that is no white space, of which there may be much in a file that is made
   to cost time. */
static size_t skip_spaces(const file_map *file, size_t i) {
    size_t end = file->size < i + 1000 ? file->size : i + 1000;
    while (i < end && (file->data[i] == ' ' || (file->data[i] >= '\t' && file->data[i] <= '\r')))
        i++;
    return i;
}

/* The first byte of a text, after a mark of its encoding, if there is one. */
static size_t start_of_text(const file_map *file) {
    return skip_spaces(file, has(file, 0, "\xef\xbb\xbf", 3) ? 3 : 0);
}

/* A tag, in letters of either case. */
static int is_markup(const file_map *file) {
    size_t i = start_of_text(file);
    return i + 2 < file->size && file->data[i] == '<' && strchr("!?hH", file->data[i + 1]) != NULL;
}

static int is_json(const file_map *file) {
    size_t i = start_of_text(file);
    if (i >= file->size || file->data[i] != '{') return 0;
    i = skip_spaces(file, i + 1);
    return i < file->size && (file->data[i] == '"' || file->data[i] == '}');
}

static int is_text(const file_map *file) {
    size_t i = 0, end = file->size < 512 ? file->size : 512;
    while (i < end && (file->data[i] >= ' ' || (file->data[i] >= '\t' && file->data[i] <= '\r')))
        i++;
    return i == end;
}

REPORT_NORETURN static void refuse(const file_map *file) {
    if (file->size == 0) fail("%s: an empty file: fetch it once more", file->path);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (has(file, others[i].offset, others[i].bytes, others[i].length))
            fail("%s: %s", file->path, others[i].title);
    }
    if (is_tensorflow_index(file) || strstr(file->path, ".data-0000") != NULL)
        fail("%s: a part of a TensorFlow checkpoint: load it and write its weights by numpy.savez",
             file->path);
    if (is_pickle(file))
        fail("%s: a pickle that torch.save did not write: load it in Python and save its tensors "
             "by their names, with torch.save or numpy.savez",
             file->path);
    if (is_msgpack(file))
        fail("%s: a msgpack file, as Flax writes: load it and write its weights by numpy.savez",
             file->path);
    if (is_onnx(file)) fail("%s: an ONNX model: " ORIGIN, file->path);
    if (is_markup(file))
        fail("%s: an HTML or XML page, not a model: fetch the file itself (on huggingface.co, with "
             "/resolve/ in its address for /blob/)",
             file->path);
    if (is_text(file)) fail("%s: a text, not a model: what is read is " WHAT_IS_READ, file->path);
    fail("%s: not a kind of file that is read: " WHAT_IS_READ, file->path);
}

/* ---- zip archives ---- */

static const zip_entry *find_ending(const zip *z, const char *ending) {
    for (size_t i = 0; i < z->count; i++) {
        if (text_ends_with(z->entries[i].name, ending)) return &z->entries[i];
    }
    return NULL;
}

/* Others that are zip archives, by the end of a name in them. */
static void refuse_zip(const zip *z) {
    static const struct {
        const char *ending, *title;
    } kinds[] = {
        {"model.weights.h5", "a Keras model: load it and write its weights by numpy.savez"},
        {"saved_model.pb", "a packed TensorFlow SavedModel: load it and write its weights by "
                           "numpy.savez"},
        {"serialized_exported_program.json",
         "a program of torch.export: save a state dict instead"},
        {"models/model.json", "a program of torch.export: save a state dict instead"},
        {".safetensors", "an archive with a checkpoint in it: unpack it"},
        {".pth", "an archive with a checkpoint in it: unpack it"},
        {".pt", "an archive with a checkpoint in it: unpack it"},
        {"pytorch_model.bin", "an archive with a checkpoint in it: unpack it"},
    };
    const char *file = z->file->path;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const zip_entry *e = find_ending(z, kinds[i].ending);
        if (e != NULL) fail("%s: %s (%s)", file, kinds[i].title, e->name);
    }
    if (z->count == 0) fail("%s: a zip archive without a file", file);
    fail("%s: a zip archive (%s, ...) that neither PyTorch nor NumPy wrote", file,
         z->entries[0].name);
}

static void read_zip(checkpoint *c, const file_map *file) {
    zip *z = checkpoint_open_zip(c, file);
    if (find_ending(z, "/constants.pkl") != NULL)
        fail("%s: TorchScript, not a state dict; what can be read is written by: python3 -c "
             "\"import torch; torch.save(torch.jit.load('%s', 'cpu').state_dict(), 'OUT.pth')\"",
             file->path, file->path);
    if (find_ending(z, "/data.pkl") != NULL) torch_read_zip(c, z);
    else if (find_ending(z, ".npy") != NULL) numpy_read_archive(c, z);
    else refuse_zip(z);
}

/* ---- files ---- */

static file_map *open_file(checkpoint *c, const char *path) {
    c->files = make_room_for_one(c->files, c->file_count, &c->file_capacity, sizeof(file_map *));
    file_map *file = allocate(1, sizeof(*file));
    *file = file_map_open(format_text("%s", path));
    return c->files[c->file_count++] = file;
}

void container_read_file(checkpoint *c, const file_map *file) {
    if (zip_starts(file)) read_zip(c, file);
    else if (torch_legacy_starts(file)) torch_read_legacy(c, file);
    else if (numpy_starts(file)) numpy_read_file(c, file);
    else if (ggml_starts(file)) ggml_read(c, file);
    else if (safetensors_starts(file)) safetensors_read(c, file);
    else refuse(file);
}

void container_read(checkpoint *c, const char *path) {
    const file_map *file = open_file(c, path);
    if (c->file == NULL) c->file = format_text("%s", path);
    if (is_json(file) && !safetensors_starts(file)) folder_read_index(c, path);
    else container_read_file(c, file);
}

int container_is_vit(const char *path) {
    if (access(path, F_OK) != 0 || folder_is(path)) return 0;
    file_map file = file_map_open(path);
    int is = has(&file, 0, "\x89VIT\r\n\x1a\n", 8);
    file_map_close(&file);
    return is;
}
