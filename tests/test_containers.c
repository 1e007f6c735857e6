/* vit-convert's readers: each kind of file gives the same tensors, and what is damaged, hostile or
   another kind is refused by a line that says so. tests/golden/make_containers.py makes the files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* here it is report.h's */

#include "tests/reader_end.h"
#include "tools/convert/container.h"
#include "tools/convert/torch.h"
#include "tools/convert/zip.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#define fail_test(...) (print_error(__VA_ARGS__), _fail(__FILE__, __LINE__))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define FOLDER "tests/golden/containers/"
#define MEGABYTE ((size_t)1 << 20)

static const char *const files[] = {
    "plain.safetensors", "float64.safetensors", "zip.pth",
    "before_1_6.pt",     "strides.pth",         "parameters.bin",
    "training.pth",      "deflated.pth",        "untyped.pth",
    "stored.npz",        "deflated.npz",        "odd.npz",
    "big_endian.pth",    "vit_cpp.gguf",        "strides_before_1_6.ckpt",
};

/* ---- helpers ---- */

/* A child process runs `read`, since fail() leaves allocated what there is. Returns what it said when
   it failed, "" where it did not; any other end is an error of the test. */
static const char *said_by(void (*read_it)(const void *), const void *argument) {
    static char said[sizeof(reader_said)];
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        if (setjmp(reader_end) == 0) {
            read_it(argument);
            reader_said[0] = 0;
        }
        ssize_t written = write(ends[1], reader_said, strlen(reader_said));
        _exit(written == (ssize_t)strlen(reader_said) ? 0 : 1);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], said, sizeof(said) - 1);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_test("status %d", status);
    said[length > 0 ? length : 0] = 0;
    return said;
}

static void assert_said(const char *said, const char *words) {
    const char *end = strchr(said, '\n');
    if (strstr(said, words) == NULL) fail_test("\"%s\" is not in: %s", words, said);
    assert_true(strncmp(said, "vit-convert: error: ", 20) == 0 && end != NULL && end[1] == 0);
}

/* Some bytes as a file. */
static void read_bytes(const void *argument) {
    const file_map *file = argument;
    checkpoint c;
    memset(&c, 0, sizeof(c));
    c.file = format_text("%s", file->path);
    container_read_file(&c, file);
    checkpoint_sort(&c);
}

static void assert_bytes_refused(const void *bytes, size_t size, const char *words) {
    const file_map file = {"file", bytes, size};
    assert_said(said_by(read_bytes, &file), words);
}

static void open_path(const void *path) {
    checkpoint c = checkpoint_open(path, NULL);
    checkpoint_close(&c);
}

static file_map open_golden(const char *name) {
    char *path = format_text(FOLDER "%s", name);
    file_map map = file_map_open(path);
    map.path = name;
    free(path);
    return map;
}

static unsigned char *copy_golden(const char *name, size_t *size) {
    file_map map = open_golden(name);
    unsigned char *copy = allocate(map.size, 1);
    memcpy(copy, map.data, map.size);
    *size = map.size;
    file_map_close(&map);
    return copy;
}

/* ---- what is read ---- */

static void assert_same_values(const tensor *got, const tensor *want, float add) {
    size_t count = tensor_count(want);
    float *a = allocate(count, sizeof(float)), *b = allocate(count, sizeof(float));
    assert_int_equal(got->rank, want->rank);
    for (size_t i = 0; i < want->rank; i++) assert_int_equal(got->shape[i], want->shape[i]);
    tensor_read(got, 0, count, a);
    tensor_read(want, 0, count, b);
    for (size_t i = 0; i < count; i++) assert_true(a[i] == b[i] + add);
    for (size_t i = 0; i < count; i++) { /* one by one, in other steps than rows */
        tensor_read(got, i, count - i < 3 ? count - i : 3, b);
        assert_memory_equal(a + i, b, (count - i < 3 ? count - i : 3) * sizeof(float));
    }
    free(a);
    free(b);
}

static void assert_same_tensors(const char *name, const char *key, float add) {
    char *path = format_text(FOLDER "%s", name);
    checkpoint want = checkpoint_open(FOLDER "plain.safetensors", NULL);
    checkpoint got = checkpoint_open(path, key);
    assert_int_equal(got.count, want.count);
    for (size_t i = 0; i < want.count; i++) {
        assert_string_equal(got.tensors[i].name, want.tensors[i].name);
        assert_same_values(&got.tensors[i], &want.tensors[i], add);
    }
    checkpoint_close(&got);
    checkpoint_close(&want);
    free(path);
}

static void test_each_container_gives_the_same_tensors(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++) assert_same_tensors(files[i], NULL, 0);
    assert_same_tensors("shards", NULL, 0);
    assert_same_tensors("shards/pytorch_model.bin.index.json", NULL, 0);
}

static void test_a_key_chooses_the_dict(void **state) {
    (void)state;
    assert_same_tensors("training.pth", "model_ema", 0);
    assert_same_tensors("training.pth", "model", 1); /* where 1 is added to all */
}

static void open_wrong_key(const void *key) {
    checkpoint_open(FOLDER "training.pth", key);
}

static void open_array_by_key(const void *key) {
    checkpoint_open(FOLDER "stored.npz", key);
}

static void test_a_key_that_is_not_there_is_refused(void **state) {
    (void)state;
    assert_said(said_by(open_wrong_key, "teacher"), "there is no dict 'teacher'; the keys are: ");
    assert_said(said_by(open_wrong_key, "epoch"), "there is no dict 'epoch'");
    assert_said(said_by(open_wrong_key, "optimizer"), "'optimizer' has no tensors");
    assert_said(said_by(open_wrong_key, "model/inner"), "there is no dict 'inner'");
    assert_said(said_by(open_array_by_key, "model"), "--key: not a file of PyTorch");
}

/* Doubles that no float is: the nearest, to even; too large ones become infinite. */
static void test_float64_is_rounded_to_nearest(void **state) {
    static const double values[] = {0.1,    1 + 0x1p-24, 1 + 0x3p-24, 1e300,
                                    -1e300, 0x1p-150,    0x1.8p-150};
    const float want[] = {0.1f, 1, 1 + 0x1p-22f, INFINITY, -INFINITY, 0, 0x1p-149f};
    float got[COUNT_OF(values)];
    tensor t;
    (void)state;
    memset(&t, 0, sizeof(t));
    assert_true(tensor_set_type(&t, "F64") && tensor_add_dimension(&t, COUNT_OF(values)));
    tensor_set_strides(&t, 0);
    t.data = (const unsigned char *)values;
    tensor_read(&t, 0, COUNT_OF(values), got);
    assert_memory_equal(got, want, sizeof(want));
}

/* ---- what is not ---- */

static const struct {
    const char *bytes;
    size_t size;
    const char *words;
} kinds[] = {
    {"", 0, "an empty file"},
    {"version https://git-lfs.github.com/spec/v1\noid sha256:0", 54, "git lfs pull"},
    {"\x89VIT\r\n\x1a\n", 8, "a .vit file already"},
    {"\x89HDF\r\n\x1a\n", 8, "HDF5 file, as Keras writes"},
    {"GGUF\3\0\0\0", 8, "GGUF file of llama.cpp"},
    {"\x1c\0\0\0TFL3", 8, "TensorFlow Lite"},
    {"\x08\x01\x12\x80\x01", 5, "TensorFlow SavedModel"},
    {"model_checkpoint_path: \"ckpt-1\"", 31, "TensorFlow checkpoint"},
    {"\0\0\0\0\x57\xfb\x80\x8b\x24\x75\x47\xdb", 12, "part of a TensorFlow checkpoint"},
    {"\x08\x07\x12\x07pytorch\x1a\x05"
     "1.13",
     17, "an ONNX model"},
    {"<!DOCTYPE html>\n<html>", 22, "HTML or XML page"},
    {"\n <html lang=en>", 16, "HTML or XML page"},
    {"<?xml version=\"1.0\"?>", 21, "HTML or XML page"},
    {"\x82\xa6params\x80", 9, "msgpack file, as Flax writes"},
    {"\x1f\x8b\x08\0", 4, "gunzip"},
    {"BZh91AY", 7, "bunzip2"},
    {"\xfd"
     "7zXZ\0",
     6, "unxz"},
    {"\x28\xb5\x2f\xfd", 4, "unzstd"},
    {"\xff\xd8\xff\xe0", 4, "a picture (JPEG)"},
    {"\x89PNG\r\n\x1a\n", 8, "a picture (PNG)"},
    {"\x7f"
     "ELF\2\1\1",
     7, "a program"},
    {"import torch\n", 13, "a text, not a model"},
    {"\1\2\3\4", 4, "not a kind of file that is read"},
    {"\x80\2}q\0.", 6, "a pickle that torch.save did not write"},
};

static void test_other_kinds_of_file_are_named(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        assert_bytes_refused(kinds[i].bytes, kinds[i].size, kinds[i].words);
    assert_said(said_by(open_path, "tests/golden/picture"), "there is no checkpoint");
    assert_said(said_by(open_path, FOLDER), "which file is meant");
    assert_said(said_by(open_path, "tests/golden/tiny_timm/config.json"), "no index of shards");
    assert_said(said_by(open_path, FOLDER "none.pth"), "none.pth: No such file");
}

/* All that a file begins with, but for all of it; one of vit.cpp may end after any tensor. */
static void read_truncations(const void *argument) {
    const file_map *whole = argument;
    int may_end = strcmp(whole->path, "vit_cpp.gguf") == 0;
    volatile size_t size = 0;
    jmp_buf outer;
    memcpy(&outer, &reader_end, sizeof(outer));
    for (; size < whole->size; size++) {
        unsigned char *bytes = malloc(size > 0 ? size : 1);
        const file_map file = {"cut", bytes, size};
        memcpy(bytes, whole->data, size);
        reader_said[0] = 0;
        if (setjmp(reader_end) == 0) {
            read_bytes(&file);
            if (may_end) continue;
            memcpy(&reader_end, &outer, sizeof(outer));
            fail("%s is read when it is cut to %zu bytes", whole->path, size);
        } else if (strncmp(reader_said, "vit-convert: error: cut: ", 25) != 0) {
            memcpy(&reader_end, &outer, sizeof(outer));
            fail("%s, cut to %zu bytes: %s", whole->path, size, reader_said);
        }
    }
}

static void test_a_file_that_is_cut_short_is_refused_at_every_length(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        file_map whole = open_golden(files[i]);
        assert_string_equal(said_by(read_truncations, &whole), "");
        file_map_close(&whole);
    }
}

/* One byte more is a sign of damage in every format that says how long it is. */
static void test_bytes_after_the_end_are_refused(void **state) {
    static const char *const names[] = {"plain.safetensors", "zip.pth", "before_1_6.pt",
                                        "vit_cpp.gguf", "stored.npz"};
    static const char *const words[] = {"bytes after the last tensor", "bytes after its end",
                                        "bytes after the last storage", "cut short",
                                        "bytes after its end"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        file_map file = open_golden(names[i]);
        unsigned char *longer = allocate(file.size + 1, 1);
        memcpy(longer, file.data, file.size);
        assert_bytes_refused(longer, file.size + 1, words[i]);
        free(longer);
        file_map_close(&file);
    }
}

/* ---- zip archives ---- */

static unsigned char *find_bytes(unsigned char *bytes, size_t size, const char *what,
                                 size_t length) {
    for (size_t i = 0; i + length <= size; i++) {
        if (memcmp(bytes + i, what, length) == 0) return bytes + i;
    }
    fail_test("%.*s is not there", (int)length, what);
    return NULL;
}

/* Changes bytes of an entry of the directory, the second one. */
static void assert_directory_refused(size_t offset, const char *change, size_t length,
                                     const char *words) {
    size_t size;
    unsigned char *bytes = copy_golden("stored.npz", &size);
    unsigned char *first = find_bytes(bytes, size, "PK\1\2", 4);
    unsigned char *second = find_bytes(first + 4, size - (size_t)(first + 4 - bytes), "PK\1\2", 4);
    memcpy(second + offset, change, length);
    assert_bytes_refused(bytes, size, words);
    free(bytes);
}

static void test_damaged_zip_archives_are_refused(void **state) {
    (void)state;
    assert_directory_refused(42, "\0\0\0\0", 4, "overlap");
    assert_directory_refused(42, "\1\0\0\0", 4, "its header is not where it should be");
    assert_directory_refused(42, "\xff\xff\xff\x7f", 4, "outside the file");
    assert_directory_refused(20, "\0\0\0\x7f\0\0\0\x7f", 8, "outside the file");
    assert_directory_refused(24, "\1\0\0\0", 4, "a stored entry of two sizes");
    assert_directory_refused(8, "\1", 1, "is encrypted");
    assert_directory_refused(10, "\x0e", 1, "compression method 14");
    assert_directory_refused(28, "\xff\xff", 2, "cut short");
    assert_directory_refused(0, "XX", 2, "fewer entries than it says");
}

/* An array whose bytes are others than when it was written. */
static void read_damaged_array(const void *name) {
    size_t size;
    float values[8];
    unsigned char *bytes = copy_golden(name, &size);
    const file_map file = {"file", bytes, size};
    checkpoint c;
    memset(&c, 0, sizeof(c));
    unsigned char *header = find_bytes(bytes, size, "norm.weight.npy", 15);
    header[15 + 20 + (strcmp(name, "stored.npz") == 0 ? 140 : 40)] ^=
        1; /* after 20 bytes of zip64 */
    container_read_file(&c, &file);
    checkpoint_sort(&c);
    for (size_t i = 0; i < c.count; i++) tensor_read(&c.tensors[i], 0, 1, values);
}

static void test_the_checksum_of_an_array_is_checked(void **state) {
    (void)state;
    assert_said(said_by(read_damaged_array, "stored.npz"),
                "norm.weight.npy does not have its checksum");
    assert_said(said_by(read_damaged_array, "deflated.npz"), "norm");
}

/* ---- pickles ---- */

static size_t find_nothing(const void *source, const torch_storage *storage, tensor *t) {
    (void)source, (void)storage, (void)t;
    return 0;
}

static void read_pickle(const void *argument) {
    const file_map *file = argument;
    checkpoint c;
    pickle p;
    memset(&c, 0, sizeof(c));
    memset(&p, 0, sizeof(p));
    p.file = file, p.end = file->size;
    p.allowed = torch_globals, p.refuse = torch_refuse_global;
    torch_add_tensors(&c, file, pickle_read(&p), find_nothing, NULL);
}

static void assert_pickle_refused(const char *bytes, size_t size, const char *words) {
    const file_map file = {"file", (const unsigned char *)bytes, size};
    assert_said(said_by(read_pickle, &file), words);
}

#define REFUSED(text, words) assert_pickle_refused(text, sizeof(text) - 1, words)

static void test_a_pickle_runs_nothing(void **state) {
    const char *ran = "/tmp/vit-test-ran";
    (void)state;
    unlink(ran);
    REFUSED("\x80\2cposix\nsystem\nX\x17\0\0\0touch /tmp/vit-test-ran\n\x85R.",
            "asks for posix.system");
    REFUSED("\x80\4\x8c\5posix\x8c\6system\x93\x8c\4true\x85R.", "asks for posix.system");
    REFUSED("\x80\2c__builtin__\neval\n(X\1\0\0\0001tR.", "asks for __builtin__.eval");
    REFUSED("\x80\2cbuiltins\ngetattr\n.", "asks for builtins.getattr");
    REFUSED("\x80\2}X\4\0\0\0argscmy_code\nConfig\n)\x81s.", "at ['args'] asks for my_code.Config");
    REFUSED("\x80\2(cos\nsystem\nX\2\0\0\0ido.", "asks for os.system");
    REFUSED("cos\nsystem\n(S'id'\ntR.", "asks for os.system");
    REFUSED("(S'id'\nios\nsystem\n.", "opcode 0x53");
    REFUSED("\x80\2\x82\1.", "opcode 0x82");
    assert_int_not_equal(access(ran, F_OK), 0);
}

static void test_a_pickled_module_is_refused_with_the_way_out(void **state) {
    (void)state;
    REFUSED("\x80\2ctimm.models.vit\nViT\n)\x81}(X\x0b\0\0\0_parametersX\x08\0\0\0_modulesub.",
            "a whole module (timm.models.vit.ViT)");
    REFUSED("\x80\2}X\5\0\0\0modelctimm.models.vit\nViT\n)\x81}(X\x0b\0\0\0_parameters"
            "X\x08\0\0\0_modulesubs.",
            "weights_only=False)['model'].state_dict(), 'OUT.pth')");
}

static void test_damaged_pickles_are_refused(void **state) {
    (void)state;
    REFUSED("\x80\2", "cut short");
    REFUSED("\x80\2X\xff\xff\xff\x7f.", "cut short");
    REFUSED("\x80\2\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "cut short");
    REFUSED("\x80\6.", "a protocol that is not known");
    REFUSED("\x80\2.", "a value is missing");
    REFUSED("\x80\2R.", "a value is missing");
    REFUSED("\x80\2t.", "a mark is missing");
    REFUSED("\x80\2(\x85.", "a value is missing");
    REFUSED("\x80\2h\0.", "an index of the memo that is empty");
    REFUSED("\x80\2Nr\xff\xff\xff\xff.", "an index of the memo that no pickle needs");
    REFUSED("\x80\2NN\x85R.", "a call of something else");
    REFUSED("\x80\2}(K\1u.", "a key without a value");
    REFUSED("\x80\2NK\1a.", "no list to append to");
    REFUSED("\x80\2NK\1K\1s.", "no dict for a key");
    REFUSED("\x80\2N.", "no dict with tensors in it");
    REFUSED("\x80\2}X\1\0\0\0aK\1s.", "its keys are a");
    REFUSED("\x80\2}X\1\0\0\0actorch._utils\n_rebuild_tensor_v2\n)Rs.",
            "a tensor without a storage");
}

/* Many of one opcode, or of a few. */
static void assert_repeated_refused(const char *begin, size_t begin_size, const char *step,
                                    size_t step_size, size_t size, const char *words) {
    char *bytes = allocate(size + begin_size, 1);
    memcpy(bytes, begin, begin_size);
    for (size_t i = 0; i < size; i++) bytes[begin_size + i] = step[i % step_size];
    assert_pickle_refused(bytes, begin_size + size, words);
    free(bytes);
}

static void test_a_pickle_takes_bounded_memory_and_time(void **state) {
    (void)state;
    assert_repeated_refused("\x80\2", 2, "(", 1, 40 * MEGABYTE, "takes more than 128 MB");
    assert_repeated_refused("\x80\2", 2, "]", 1, 40 * MEGABYTE, "takes more than 128 MB");
    assert_repeated_refused("\x80\2", 2, "\x85", 1, 40 * MEGABYTE, "a value is missing");
    assert_repeated_refused("\x80\2N", 3, "\x85", 1, 40 * MEGABYTE, "takes more than 128 MB");
    assert_repeated_refused("\x80\2]", 3, "2a", 2, 40 * MEGABYTE, "takes more than 128 MB");
    assert_repeated_refused("\x80\2N", 3, "20", 2, 60 * MEGABYTE, "more than 50000000 steps");
    assert_repeated_refused("\x80\4N", 3, "\x94", 1, 40 * MEGABYTE, "takes more than 128 MB");
}

/* Lists of ten times the list before: read as what they are, without being written out. */
static void test_a_memo_bomb_is_small(void **state) {
    char bytes[1024];
    size_t size = 0;
    (void)state;
    memcpy(bytes, "\x80\2}X\5\0\0\0model]q\0", 16);
    size = 16;
    for (int level = 0; level < 20; level++) {
        bytes[size++] = ']', bytes[size++] = 'q', bytes[size++] = (char)(level + 1),
        bytes[size++] = '(';
        for (int i = 0; i < 10; i++) bytes[size++] = 'h', bytes[size++] = (char)level;
        bytes[size++] = 'e';
    }
    for (int level = 0; level < 20; level++) bytes[size++] = '0';
    bytes[size++] = 's', bytes[size++] = '.';
    assert_pickle_refused(bytes, size, "its keys are model");
}

/* Dicts that hold themselves, and dicts in dicts. */
static void test_dicts_in_dicts_end(void **state) {
    char *bytes = allocate(MEGABYTE, 1);
    size_t size = 2;
    (void)state;
    REFUSED("\x80\2}q\0X\5\0\0\0modelh\0s.", "its keys are model");
    memcpy(bytes, "\x80\2", 2);
    for (int level = 0; level < 10000; level++, size += 11)
        memcpy(bytes + size, "}X\5\0\0\0model", 11);
    bytes[size++] = 'N';
    for (int level = 0; level < 10000; level++) bytes[size++] = 's';
    bytes[size++] = '.';
    assert_pickle_refused(bytes, size, "its keys are model");
    free(bytes);
}

/* ---- safetensors and JSON ---- */

static void test_a_nonsense_header_takes_bounded_memory(void **state) {
    size_t length = 30 * MEGABYTE;
    unsigned char *bytes = allocate(length + 8, 1);
    (void)state;
    for (size_t i = 0; i < length; i++) bytes[8 + i] = (unsigned char)"1,"[i % 2];
    memcpy(bytes + 8, "{\"a\":[", 6);
    for (int i = 0; i < 4; i++) bytes[i] = (unsigned char)(length >> 8 * i);
    assert_bytes_refused(bytes, length + 8, "bytes of JSON have too many values");
    bytes[3] = 5; /* 80 MB and more, as the format allows */
    assert_bytes_refused(bytes, length + 8, "cut short");
    free(bytes);
}

/* ---- more damage ---- */

/* Changes bytes of the record at the end of an archive. */
static void assert_end_refused(size_t offset, const char *change, size_t length,
                               const char *words) {
    size_t size;
    unsigned char *bytes = copy_golden("stored.npz", &size);
    memcpy(find_bytes(bytes, size, "PK\5\6", 4) + offset, change, length);
    assert_bytes_refused(bytes, size, words);
    free(bytes);
}

static void test_directories_that_cannot_be_are_refused(void **state) {
    (void)state;
    assert_end_refused(16, "\xff\xff\xff\x7f", 4, "its directory is outside the file");
    assert_end_refused(12, "\xff\xff\xff\x7f", 4, "its directory is outside the file");
    assert_end_refused(8, "\xff\xff\xff\xff", 4, "of 65535 entries is no checkpoint");
}

/* Changes the sizes of the last entry of an archive, packed and unpacked. */
static void assert_sizes_refused(const char *name, uint32_t packed, uint32_t unpacked,
                                 const char *words) {
    size_t size;
    unsigned char *bytes = copy_golden(name, &size), *last = NULL;
    for (size_t i = 0; i + 4 < size; i++) {
        if (memcmp(bytes + i, "PK\1\2", 4) == 0) last = bytes + i;
    }
    assert_non_null(last);
    for (int i = 0; i < 4; i++) {
        if (packed > 0) last[20 + i] = (unsigned char)(packed >> 8 * i & 255);
        last[24 + i] = (unsigned char)(unpacked >> 8 * i & 255);
    }
    assert_bytes_refused(bytes, size, words);
    free(bytes);
}

static void test_entries_larger_than_their_archive_are_refused(void **state) {
    file_map file = open_golden("stored.npz");
    const uint32_t size = (uint32_t)file.size - 100;
    (void)state;
    assert_sizes_refused("stored.npz", size, size, "its bytes are outside the file");
    assert_sizes_refused("deflated.npz", 0, 0x7fffffff, "its entries would take");
    file_map_close(&file);
}

/* ---- an archive that is larger than what is kept of it ---- */

enum { PACKED = 3, UNPACKED = 21 << 20 };

typedef struct packed {
    unsigned char bytes[1 << 19];
    size_t size, places[PACKED], sizes[PACKED];
    uint32_t crc;
} packed;

static void put(packed *p, uint64_t value, int count) {
    for (; count > 0; count--, value >>= 8) p->bytes[p->size++] = (unsigned char)(value & 255);
}

/* From the version that is needed to the sizes of name and extra field. */
static void put_sizes(packed *p, size_t size) {
    put(p, 20, 2), put(p, 0, 2), put(p, 8, 2), put(p, 0, 4);
    put(p, p->crc, 4), put(p, size, 4), put(p, UNPACKED, 4), put(p, 1, 2), put(p, 0, 2);
}

/* Entries a, b and c of zeros, deflated. */
static void pack_zeros(packed *p) {
    unsigned char *zeros = allocate(UNPACKED, 1);
    p->size = 0, p->crc = (uint32_t)crc32(0, zeros, UNPACKED);
    for (int i = 0; i < PACKED; i++) {
        z_stream z;
        memset(&z, 0, sizeof(z));
        assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
        size_t at = p->places[i] = p->size;
        p->size += 31;
        z.next_in = zeros, z.avail_in = UNPACKED;
        z.next_out = p->bytes + p->size, z.avail_out = (uInt)(sizeof(p->bytes) - p->size);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        p->sizes[i] = z.total_out;
        p->size = at;
        put(p, 0x04034b50, 4), put_sizes(p, p->sizes[i]), put(p, (uint64_t)('a' + i), 1);
        p->size += p->sizes[i];
        deflateEnd(&z);
    }
    size_t directory = p->size;
    for (int i = 0; i < PACKED; i++) {
        put(p, 0x02014b50, 4), put(p, 20, 2), put_sizes(p, p->sizes[i]);
        put(p, 0, 10), put(p, p->places[i], 4), put(p, (uint64_t)('a' + i), 1);
    }
    size_t size = p->size - directory;
    put(p, 0x06054b50, 4), put(p, 0, 4), put(p, PACKED, 2), put(p, PACKED, 2);
    put(p, size, 4), put(p, directory, 4), put(p, 0, 2);
    free(zeros);
}

static void unpack_damaged(const void *file) {
    zip_bytes(zip_find(zip_open(file), "b"));
}

static void test_unpacked_entries_stay_until_others_need_the_room(void **state) {
    static packed p;
    (void)state;
    pack_zeros(&p);
    const file_map file = {"zeros.zip", p.bytes, p.size};
    zip *z = zip_open(&file);
    zip_entry *a = zip_find(z, "a"), *b = zip_find(z, "b"), *c = zip_find(z, "c");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(zip_bytes(a)[UNPACKED - 1], 0);
        assert_int_equal(zip_bytes(b)[UNPACKED - 1], 0);
        assert_true(a->unpacked == NULL && b->unpacked != NULL);
        assert_int_equal(zip_bytes(c)[0], 0);
        assert_true(b->unpacked == NULL && z->kept == UNPACKED);
    }
    zip_close(z);
    p.bytes[p.places[1] + 31] = 7; /* a block of no type */
    assert_said(said_by(unpack_damaged, &file), "b does not unpack");
}

/* ---- tensors of PyTorch and of vit.cpp ---- */

#define TYPE "ctorch\nFloatStorage\n"
#define STORAGE(type) "(X\7\0\0\0storage" type "X\1\0\0\0000X\3\0\0\0cpuK\1tQ"
#define TENSOR(function, arguments) \
    "\x80\2}X\1\0\0\0actorch._utils\n_rebuild_tensor" function "\n(" arguments "tRs."

static void test_tensors_that_cannot_be_are_refused(void **state) {
    (void)state;
    REFUSED(TENSOR("_v2", STORAGE("N") "K\0))"), "a tensor without a type");
    REFUSED(TENSOR("_v2", STORAGE(TYPE) "K\0K\1\x85)"), "a: damaged: a tensor without a shape");
    REFUSED(TENSOR("_v2", STORAGE(TYPE) "K\0N)"), "a: damaged: a tensor without a shape");
    REFUSED(TENSOR("_v2", STORAGE(TYPE) "K\0N\x85K\1\x85"), "a size of a tensor is none");
    REFUSED(TENSOR("_v2", STORAGE(TYPE) "K\0J\xff\xff\xff\xff\x85K\1\x85"),
            "a size of a tensor is none");
    REFUSED(TENSOR("_v2", STORAGE(TYPE) "N))"), "a size of a tensor is none");
    REFUSED(TENSOR("_v2", STORAGE(TYPE) "K\0(J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7ft"
                                        "(K\1K\1K\1t"),
            "a: the shape is too large");
    REFUSED(TENSOR("_v2", STORAGE(TYPE) "K\0))"), "a: damaged: it does not fit in its storage");
    REFUSED(TENSOR("_v2", STORAGE(TYPE) "K\0))\x89N}X\4\0\0\0conj\x88s"),
            "a is a conjugate or negative view");
}

static void test_another_version_before_1_6_is_named(void **state) {
    size_t size;
    unsigned char *bytes = copy_golden("before_1_6.pt", &size);
    (void)state;
    find_bytes(bytes, size, "\x80\2M\xe9\3.", 6)[3] = 0xea;
    assert_bytes_refused(bytes, size, "before 1.6 that is not known");
    free(bytes);
}

/* The first storage of the list, whose key becomes another. */
static void test_storages_before_1_6_are_those_of_tensors(void **state) {
    size_t size;
    unsigned char *bytes = copy_golden("before_1_6.pt", &size), *list = bytes;
    (void)state;
    for (unsigned char *p = bytes; p + 4 < bytes + size; p++) {
        if (memcmp(p, "\x80\2]q", 4) == 0) list = p; /* the last list that is a pickle */
    }
    unsigned char *key = find_bytes(list, size - (size_t)(list - bytes), "X", 1);
    key[5] ^= 64;
    assert_bytes_refused(bytes, size, "a storage that no tensor has");
    free(bytes);
}

/* A file of vit.cpp: its first four bytes, the header, as many labels, and a tensor's numbers. */
static void assert_ggml_refused(const int *words, size_t count, const char *why) {
    size_t size;
    unsigned char bytes[128], *golden = copy_golden("vit_cpp.gguf", &size);
    memcpy(bytes, golden, 4);
    free(golden);
    for (size_t i = 0; i < count; i++) {
        for (int j = 0; j < 4; j++)
            bytes[4 + 4 * i + (size_t)j] = (unsigned char)((unsigned)words[i] >> 8 * j & 255);
    }
    memcpy(bytes + 4 + 4 * count, "name", 4);
    assert_bytes_refused(bytes, 8 + 4 * count, why);
}

#define GGML_REFUSED(why, ...) \
    assert_ggml_refused((const int[]){__VA_ARGS__}, COUNT_OF(((const int[]){__VA_ARGS__})), why)

static void test_files_of_vit_cpp_that_cannot_be_are_refused(void **state) {
    (void)state;
    GGML_REFUSED("hidden_size: 4294967295 is out of range", -1, 1, 1, 1, 1, 1, 0, 0);
    GGML_REFUSED("ftype 2 of vit.cpp", 16, 1, 1, 1, 1, 1, 2, 0);
    GGML_REFUSED("name is quantized (type 2 of ggml)", 16, 1, 1, 1, 1, 1, 0, 0, 1, 4, 2, 1);
    GGML_REFUSED("name: the shape is too large", 16, 1, 1, 1, 1, 1, 0, 0, 4, 4, 0, INT32_MAX,
                 INT32_MAX, INT32_MAX, INT32_MAX);
    GGML_REFUSED("cut short at byte", 16, 1, 1, 1, 1, 1, 0, 0, 1, 4, 0, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_container_gives_the_same_tensors),
        cmocka_unit_test(test_a_key_chooses_the_dict),
        cmocka_unit_test(test_a_key_that_is_not_there_is_refused),
        cmocka_unit_test(test_float64_is_rounded_to_nearest),
        cmocka_unit_test(test_other_kinds_of_file_are_named),
        cmocka_unit_test(test_a_file_that_is_cut_short_is_refused_at_every_length),
        cmocka_unit_test(test_bytes_after_the_end_are_refused),
        cmocka_unit_test(test_damaged_zip_archives_are_refused),
        cmocka_unit_test(test_the_checksum_of_an_array_is_checked),
        cmocka_unit_test(test_a_pickle_runs_nothing),
        cmocka_unit_test(test_a_pickled_module_is_refused_with_the_way_out),
        cmocka_unit_test(test_damaged_pickles_are_refused),
        cmocka_unit_test(test_a_pickle_takes_bounded_memory_and_time),
        cmocka_unit_test(test_a_memo_bomb_is_small),
        cmocka_unit_test(test_dicts_in_dicts_end),
        cmocka_unit_test(test_a_nonsense_header_takes_bounded_memory),
        cmocka_unit_test(test_directories_that_cannot_be_are_refused),
        cmocka_unit_test(test_entries_larger_than_their_archive_are_refused),
        cmocka_unit_test(test_unpacked_entries_stay_until_others_need_the_room),
        cmocka_unit_test(test_tensors_that_cannot_be_are_refused),
        cmocka_unit_test(test_another_version_before_1_6_is_named),
        cmocka_unit_test(test_storages_before_1_6_are_those_of_tensors),
        cmocka_unit_test(test_files_of_vit_cpp_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests_name("containers", tests, NULL, NULL);
}
