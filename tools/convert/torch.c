/* https://pytorch.org/docs/stable/notes/serialization.html; torch/_utils.py has the functions that the
   pickle names. */
#include "torch.h"

#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME 1000 /* bytes of a key */
#define MAX_NESTING 4 /* dicts in dicts, down to the one of tensors */

/* ---- the globals that may be in a pickle: tensors, and what is stored beside them as data ---- */

const char *const torch_globals[] = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_parameter_with_state",
    "torch._tensor _rebuild_from_type_v2",
    "torch.nn.parameter Parameter",
    "torch Tensor",
    "torch Size",
    "torch device",
    "torch FloatStorage",
    "torch DoubleStorage",
    "torch HalfStorage",
    "torch BFloat16Storage",
    "torch LongStorage",
    "torch IntStorage",
    "torch ShortStorage",
    "torch CharStorage",
    "torch ByteStorage",
    "torch BoolStorage",
    "torch ComplexFloatStorage",
    "torch ComplexDoubleStorage",
    "torch.storage UntypedStorage",
    "torch.storage _UntypedStorage",
    "torch UntypedStorage",
    "torch float32",
    "torch float64",
    "torch float16",
    "torch bfloat16",
    "torch int64",
    "torch int32",
    "torch int16",
    "torch int8",
    "torch uint64",
    "torch uint32",
    "torch uint16",
    "torch uint8",
    "torch bool",
    "torch complex64",
    "torch complex128",
    "torch float8_e4m3fn",
    "torch float8_e5m2",
    "argparse Namespace",
    "types SimpleNamespace",
    "collections defaultdict",
    "collections Counter",
    "collections deque",
    "builtins dict",
    "builtins list",
    "builtins tuple",
    "builtins set",
    "builtins frozenset",
    "builtins int",
    "builtins float",
    "builtins bool",
    "builtins str",
    "builtins bytes",
    "builtins bytearray",
    "builtins complex",
    "builtins slice",
    "builtins range",
    "__builtin__ set",
    "__builtin__ dict",
    "__builtin__ list",
    "__builtin__ bytearray",
    "_codecs encode",
    "pathlib Path",
    "pathlib PosixPath",
    "pathlib PurePosixPath",
    "pathlib WindowsPath",
    "pathlib PureWindowsPath",
    "datetime datetime",
    "datetime date",
    "datetime timedelta",
    "numpy dtype",
    "numpy ndarray",
    "numpy.core.multiarray scalar",
    "numpy.core.multiarray _reconstruct",
    "numpy._core.multiarray scalar",
    "numpy._core.multiarray _reconstruct",
    "typing Any",
    "omegaconf.dictconfig DictConfig",
    "omegaconf.listconfig ListConfig",
    "omegaconf.base ContainerMetadata",
    "omegaconf.base Metadata",
    "omegaconf.nodes AnyNode",
    "yacs.config CfgNode",
    "easydict EasyDict",
    "pytorch_lightning.utilities.parsing AttributeDict",
    "lightning_fabric.utilities.data AttributeDict",
    "lightning.fabric.utilities.data AttributeDict",
    NULL,
};

static int find_bytes(const pickle *p, const char *text) {
    size_t length = strlen(text);
    const unsigned char *at = p->file->data + p->at, *end = p->file->data + p->end;
    while ((size_t)(end - at) >= length && (at = memchr(at, text[0], (size_t)(end - at))) != NULL) {
        if ((size_t)(end - at) >= length && memcmp(at, text, length) == 0) return 1;
        at++;
    }
    return 0;
}

/* A module's attributes have these names in every version. */
static int holds_module(const pickle *p) {
    return find_bytes(p, "_parameters") && find_bytes(p, "_modules");
}

void torch_refuse_global(const pickle *p, const char *name, const char *key) {
    const char *file = p->file->path;
    char *class = format_text("%s", name), *space = strchr(class, ' ');
    char *member = key[0] == 0 ? format_text("%s", "") : format_text("['%s']", key);
    if (space != NULL) *space = '.';
    if (holds_module(p))
        fail(
            "%s: a whole module (%s), not a state dict: it takes its code to read it. If you trust "
            "the file: python3 -c \"import torch; torch.save(torch.load('%s', 'cpu', "
            "weights_only=False)%s.state_dict(), 'OUT.pth')\"",
            file, class, file, member);
    fail(
        "%s: refused, and nothing was run: its pickle%s%s asks for %s, which is not among the data "
        "that are read. If you trust the file, load it in Python and save the state dict alone",
        file, key[0] == 0 ? "" : " at ", member, class);
}

/* ---- storages and tensors ---- */

static const struct {
    const char *global, *dtype;
} types[] = {
    {"torch FloatStorage", "F32"},
    {"torch DoubleStorage", "F64"},
    {"torch HalfStorage", "F16"},
    {"torch BFloat16Storage", "BF16"},
    {"torch LongStorage", "I64"},
    {"torch IntStorage", "I32"},
    {"torch ShortStorage", "I16"},
    {"torch CharStorage", "I8"},
    {"torch ByteStorage", "U8"},
    {"torch BoolStorage", "BOOL"},
    {"torch ComplexFloatStorage", "C64"},
    {"torch ComplexDoubleStorage", "C128"},
    {"torch.storage UntypedStorage", "U8"},
    {"torch.storage _UntypedStorage", "U8"},
    {"torch UntypedStorage", "U8"},
    {"torch float32", "F32"},
    {"torch float64", "F64"},
    {"torch float16", "F16"},
    {"torch bfloat16", "BF16"},
    {"torch int64", "I64"},
    {"torch int32", "I32"},
    {"torch int16", "I16"},
    {"torch int8", "I8"},
    {"torch uint64", "U64"},
    {"torch uint32", "U32"},
    {"torch uint16", "U16"},
    {"torch uint8", "U8"},
    {"torch bool", "BOOL"},
    {"torch complex64", "C64"},
    {"torch complex128", "C128"},
    {"torch float8_e4m3fn", "F8_E4M3"},
    {"torch float8_e5m2", "F8_E5M2"},
};

static const char *dtype_of(const file_map *file, const pickle_value *v) {
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (pickle_is_global(v, types[i].global)) return types[i].dtype;
    }
    fail("%s: damaged: a tensor without a type", file->path);
}

static size_t size_from(const file_map *file, const pickle_value *v) {
    if (v == NULL || v->kind != PICKLE_INT || v->integer < 0 ||
        (uint64_t)v->integer > SIZE_MAX / 16)
        fail("%s: damaged: a size of a tensor is none", file->path);
    return (size_t)v->integer;
}

/* ('storage', type, key, where it was, elements); before 1.6 also None, or a part of it: (key, offset,
   elements). The file itself says how many elements there are. */
torch_storage torch_storage_of(const file_map *file, const pickle_value *v) {
    const pickle_value *id = v == NULL ? NULL : v->arguments, *key = pickle_item(id, 2);
    torch_storage s;
    memset(&s, 0, sizeof(s));
    if (!pickle_is_text(pickle_item(id, 0), "storage") || key == NULL || key->kind != PICKLE_TEXT ||
        key->count >= sizeof(s.key))
        fail("%s: damaged: a tensor without a storage", file->path);
    s.dtype = dtype_of(file, pickle_item(id, 1));
    memcpy(s.key, key->text, key->count);
    const pickle_value *part = pickle_item(id, 5);
    if (part != NULL && part->kind == PICKLE_TUPLE)
        s.offset = size_from(file, pickle_item(part, 1));
    return s;
}

/* How a tensor is to be made, taken out of what is around it: Parameter, a class with a state. */
static void unwrap(const pickle_value **function, const pickle_value **arguments,
                   const pickle_value *v) {
    *function = *arguments = NULL;
    for (int i = 0; i < MAX_NESTING && v != NULL && v->kind == PICKLE_CALL; i++) {
        *function = v->function, *arguments = v->arguments;
        if (pickle_is_call(v, "torch._tensor _rebuild_from_type_v2")) {
            *function = pickle_item(v->arguments, 0), *arguments = pickle_item(v->arguments, 2);
            v = NULL;
        } else if (pickle_is_call(v, "torch._utils _rebuild_parameter") ||
                   pickle_is_call(v, "torch._utils _rebuild_parameter_with_state")) {
            v = pickle_item(v->arguments, 0);
        } else {
            v = NULL;
        }
    }
}

static int is_rebuild(const pickle_value *function) {
    return pickle_is_global(function, "torch._utils _rebuild_tensor_v2") ||
           pickle_is_global(function, "torch._utils _rebuild_tensor_v3") ||
           pickle_is_global(function, "torch._utils _rebuild_tensor");
}

static int is_tensor(const pickle_value *v) {
    const pickle_value *function, *arguments;
    unwrap(&function, &arguments, v);
    return is_rebuild(function);
}

static void set_shape(const file_map *file, tensor *t, const pickle_value *size,
                      const pickle_value *strides) {
    if (pickle_is_call(size, "torch Size")) size = pickle_item(size->arguments, 0);
    if (size == NULL || strides == NULL || size->kind != PICKLE_TUPLE ||
        strides->kind != PICKLE_TUPLE || size->count != strides->count)
        fail("%s: %s: damaged: a tensor without a shape", t->file, t->name);
    for (size_t i = 0; i < size->count; i++) {
        if (!tensor_add_dimension(t, size_from(file, pickle_item(size, i))))
            fail("%s: %s: the shape is too large", t->file, t->name);
        t->strides[i] = size_from(file, pickle_item(strides, i));
    }
}

/* Element 0 is `offset` elements from the storage's start, and the last one is in it, too. */
static void set_place(tensor *t, size_t offset, size_t bytes) {
    size_t extent, most = bytes / t->element_size;
    if (!tensor_extent(t, &extent) || offset > most || extent > most - offset)
        fail("%s: %s: damaged: it does not fit in its storage", t->file, t->name);
    if (t->packed != NULL) t->packed_offset += offset * t->element_size;
    else if (t->data != NULL) t->data += offset * t->element_size;
}

static void add_tensor(checkpoint *c, const file_map *file, const pickle_value *key,
                       const pickle_value *v, torch_finder find, const void *source) {
    const pickle_value *function, *arguments;
    tensor *t = checkpoint_add(c, file, format_text("%.*s", (int)key->count, key->text));
    unwrap(&function, &arguments, v);
    const pickle_value *storage = pickle_item(arguments, 0);
    if (storage != NULL && storage->kind != PICKLE_STORAGE) storage = NULL;
    torch_storage s = torch_storage_of(file, storage);
    int third = pickle_is_global(function, "torch._utils _rebuild_tensor_v3");
    tensor_set_type(t, third ? dtype_of(file, pickle_item(arguments, 6)) : s.dtype);
    set_shape(file, t, pickle_item(arguments, 2), pickle_item(arguments, 3));
    if (pickle_is_dict(pickle_item(arguments, third ? 7 : 6)) &&
        pickle_item(arguments, third ? 7 : 6)->count > 0)
        fail("%s: %s is a conjugate or negative view: save its resolve_neg().clone()", t->file,
             t->name);
    size_t bytes = find(source, &s, t);
    set_place(t, s.offset + size_from(file, pickle_item(arguments, 1)), bytes);
}

/* ---- which dict is the state dict ---- */

/* Averaged weights before those that they are the average of, as timm's load_state_dict has it. */
const char *const torch_keys[] = {
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "params_ema",
    "ema_model",
    "ema",
    "teacher",
    "model",
    "state_dict",
    "model_state_dict",
    "model_state",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "encoder",
    "student",
    NULL,
};

/* Where a dict was found. */
typedef struct found {
    const pickle_value *dict;
    char path[256]; /* its keys, with slashes between them */
} found;

static int is_name(const pickle_value *v) {
    return v->kind == PICKLE_TEXT && v->count < MAX_NAME;
}

static size_t count_tensors(const pickle_value *dict) {
    size_t count = 0;
    if (dict == NULL || !pickle_is_dict(dict)) return 0;
    for (size_t i = 0; i + 1 < dict->count; i += 2)
        count += is_name(dict->items[i]) && is_tensor(dict->items[i + 1]);
    return count;
}

static void add_key(found *f, const char *key, size_t length) {
    size_t used = strlen(f->path);
    snprintf(f->path + used, sizeof(f->path) - used, "%s%.*s", used > 0 ? "/" : "", (int)length,
             key);
}

static int choose(found *f, pickle_value *dict, int depth);

static int choose_member(found *f, const char *key, size_t length, pickle_value *v, int depth) {
    found inner = *f;
    add_key(&inner, key, length);
    if (!choose(&inner, v, depth + 1)) return 0;
    *f = inner;
    return 1;
}

/* Which value in a dict is the dict with most tensors, if more than the outer one has; 0: that one. A
   value is counted once, however often it is there. */
static size_t find_largest(const pickle_value *dict) {
    size_t most = count_tensors(dict), place = 0;
    for (size_t i = 1; i < dict->count; i += 2) {
        pickle_value *v = dict->items[i];
        if (v->visited || !is_name(dict->items[i - 1])) continue;
        size_t count = count_tensors(v);
        v->visited = 1;
        if (count <= most) continue;
        most = count;
        place = i;
    }
    return place;
}

/* A key that is known, or else the dict with the most tensors, this one or one in it. */
static int choose(found *f, pickle_value *dict, int depth) {
    if (depth > MAX_NESTING || !pickle_is_dict(dict) || dict->visited) return 0;
    dict->visited = 1;
    for (size_t i = 0; torch_keys[i] != NULL; i++) {
        const char *key = torch_keys[i];
        if (choose_member(f, key, strlen(key), pickle_get(dict, key), depth)) return 1;
    }
    size_t place = find_largest(dict);
    f->dict = place > 0 ? dict->items[place] : dict;
    if (place > 0) add_key(f, dict->items[place - 1]->text, dict->items[place - 1]->count);
    return place > 0 || count_tensors(dict) > 0;
}

/* The keys of a dict whose values are such, as text to be freed; `except` is left out. */
static char *list_keys(const pickle_value *dict, const pickle_value *except, int of_tensors) {
    char *list = format_text("%s", "");
    int listed = 0;
    size_t items = dict != NULL && pickle_is_dict(dict) ? dict->count : 0;
    for (size_t i = 0; i + 1 < items && listed < 10; i += 2) {
        const pickle_value *key = dict->items[i];
        pickle_value *v = dict->items[i + 1];
        if (!is_name(key) || v == except) continue;
        if (of_tensors && (v->listed++ || count_tensors(v) == 0)) continue;
        char *longer = format_text("%s%s%.*s", list, listed++ ? ", " : "",
                                   key->count < 40 ? (int)key->count : 40, key->text);
        free(list);
        list = longer;
    }
    return list;
}

/* The dict that --key names: keys with slashes between them. */
static found find_key(const file_map *file, const char *path, pickle_value *dict) {
    found f = {dict, ""};
    while (*path != 0) {
        size_t length = strcspn(path, "/");
        char *key = format_text("%.*s", (int)length, path);
        const pickle_value *member = pickle_is_dict(f.dict) ? pickle_get(f.dict, key) : NULL;
        if (!pickle_is_dict(member)) {
            char *list = list_keys(f.dict, NULL, 0);
            fail("%s: --key: there is no dict '%s'; the keys are: %s", file->path, key, list);
        }
        add_key(&f, key, length);
        f.dict = member;
        free(key);
        path += length + (path[length] == '/');
    }
    if (count_tensors(f.dict) == 0) fail("%s: --key: '%s' has no tensors", file->path, f.path);
    return f;
}

static found find_by_rule(const file_map *file, pickle_value *root) {
    found f = {NULL, ""};
    if (is_tensor(root)) fail("%s: a tensor without a name, not a state dict", file->path);
    if (!pickle_is_dict(root)) fail("%s: there is no dict with tensors in it", file->path);
    if (!choose(&f, root, 0)) {
        char *list = list_keys(root, NULL, 0);
        fail("%s: no dict with tensors in it: its keys are %s", file->path, list);
    }
    if (f.path[0] == 0) return f;
    char *others = list_keys(root, f.dict, 1);
    note("%s: the tensors are those of '%s'%s%s", file->path, f.path,
         others[0] != 0 ? "; --key takes others: " : "", others);
    free(others);
    return f;
}

void torch_add_tensors(checkpoint *c, const file_map *file, pickle_value *root, torch_finder find,
                       const void *source) {
    found f = c->key != NULL ? find_key(file, c->key, root) : find_by_rule(file, root);
    const pickle_value *first = NULL;
    size_t rest = 0;
    c->keyed = 1;
    free(c->taken);
    c->taken = f.path[0] != 0 ? format_text("%s", f.path) : NULL;
    for (size_t i = 0; i + 1 < f.dict->count; i += 2) {
        const pickle_value *key = f.dict->items[i], *v = f.dict->items[i + 1];
        if (is_name(key) && is_tensor(v)) add_tensor(c, file, key, v, find, source);
        else if (rest++ == 0) first = key;
    }
    if (rest == 0) return;
    note("%s: left out, as it is no tensor: %.*s%s", file->path,
         is_name(first) ? (int)first->count : 1, is_name(first) ? first->text : "?",
         rest > 1 ? ", and others" : "");
}
