/* Protocols 2 to 5, as Lib/pickletools.py of CPython specifies them, without what torch.save never
   writes: the text forms of protocol 0, extension codes, buffers outside. */
#include "pickle.h"

#include "bytes.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MEMORY (128u << 20) /* bytes; the state dict of 1000 tensors takes 2 MB */
#define MAX_STEPS 50000000      /* opcodes, for a file that is nothing but steps */
#define BLOCK 65536             /* bytes of values that are allocated at a time */
#define MAX_NAME 512            /* characters of a global */

typedef struct pickle_block {
    struct pickle_block *next;
} pickle_block;

REPORT_NORETURN static void fail_damaged(const pickle *p, const char *what) {
    fail("%s: damaged pickle, at byte %zu: %s", p->file->path, p->at, what);
}

/* ---- memory: bounded, whatever the file asks for ---- */

static void *take_memory(pickle *p, size_t size) {
    if (size > MAX_MEMORY - p->memory)
        fail("%s: its pickle takes more than %u MB", p->file->path, MAX_MEMORY >> 20);
    p->memory += size;
    pickle_block *block = allocate(1, sizeof(*block) + size);
    block->next = p->blocks;
    p->blocks = block;
    return block + 1;
}

static pickle_value *new_value(pickle *p, pickle_kind kind) {
    if (p->free_values == 0) {
        p->free_values = BLOCK / sizeof(pickle_value);
        p->values = take_memory(p, p->free_values * sizeof(pickle_value));
    }
    pickle_value *v = p->values++;
    p->free_values--;
    v->kind = kind;
    return v;
}

/* A larger copy of an array of pointers; the old one stays until the end. */
static pickle_value **widen(pickle *p, pickle_value **array, size_t count, size_t *capacity,
                            size_t least) {
    size_t larger = *capacity * 2 > 8 ? *capacity * 2 : 8;
    if (larger < least) larger = least;
    if (larger > MAX_MEMORY / sizeof(pickle_value *))
        larger = MAX_MEMORY / sizeof(pickle_value *) + 1;
    pickle_value **copy = take_memory(p, larger * sizeof(pickle_value *));
    if (count > 0) memcpy(copy, array, count * sizeof(pickle_value *));
    *capacity = larger;
    return copy;
}

static void add_items(pickle *p, pickle_value *v, pickle_value **items, size_t count) {
    if (count > v->capacity - v->count)
        v->items = widen(p, v->items, v->count, &v->capacity, v->count + count);
    for (size_t i = 0; i < count; i++) v->items[v->count++] = items[i];
}

void pickle_free(pickle *p) {
    while (p->blocks != NULL) {
        pickle_block *next = p->blocks->next;
        free(p->blocks);
        p->blocks = next;
    }
}

/* ---- bytes ---- */

static const unsigned char *take(pickle *p, uint64_t size) {
    if (size > p->end - p->at) fail("%s: its pickle is cut short", p->file->path);
    p->at += (size_t)size;
    return p->file->data + p->at - (size_t)size;
}

static uint64_t take_number(pickle *p, size_t bytes) {
    const unsigned char *b = take(p, bytes);
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;) value = value << 8 | b[i];
    return value;
}

/* ---- the stack ---- */

static void push(pickle *p, pickle_value *v) {
    if (p->depth == p->stack_capacity)
        p->stack = widen(p, p->stack, p->depth, &p->stack_capacity, 0);
    p->stack[p->depth++] = v;
}

static pickle_value *pop(pickle *p) {
    if (p->depth == 0 || p->stack[p->depth - 1] == NULL) fail_damaged(p, "a value is missing");
    return p->stack[--p->depth];
}

static pickle_value *top(pickle *p) {
    pickle_value *v = pop(p);
    p->depth++;
    return v;
}

/* The values above the last mark, which goes. They stay where they are until the next push. */
static pickle_value **pop_to_mark(pickle *p, size_t *count) {
    size_t i = p->depth;
    while (i > 0 && p->stack[i - 1] != NULL) i--;
    if (i == 0) fail_damaged(p, "a mark is missing");
    *count = p->depth - i;
    p->depth = i - 1;
    return p->stack + i;
}

/* ---- what opcodes do; n is a number of bytes, items or the like, or a kind ---- */

static void push_items(pickle *p, pickle_kind kind, pickle_value **items, size_t count) {
    pickle_value *v = new_value(p, kind);
    if (kind == PICKLE_DICT && count % 2 != 0) fail_damaged(p, "a key without a value");
    add_items(p, v, items, count);
    push(p, v);
}

static void push_plain(pickle *p, size_t kind) {
    push(p, new_value(p, (pickle_kind)kind));
}

/* None and floats are all the same here: one value stands for all of a kind. */
static void push_shared(pickle *p, size_t kind) {
    if (p->shared[kind] == NULL) p->shared[kind] = new_value(p, (pickle_kind)kind);
    push(p, p->shared[kind]);
}

static void push_tuple(pickle *p, size_t count) {
    pickle_value *items[3];
    for (size_t i = count; i-- > 0;) items[i] = pop(p);
    push_items(p, PICKLE_TUPLE, items, count);
}

static void push_marked(pickle *p, size_t kind) {
    size_t count;
    pickle_value **items = pop_to_mark(p, &count);
    push_items(p, (pickle_kind)kind, items, count);
}

static void push_integer(pickle *p, pickle_kind kind, int64_t integer) {
    pickle_value *v = new_value(p, kind);
    v->integer = integer;
    push(p, v);
}

static void push_bool(pickle *p, size_t n) {
    push_integer(p, PICKLE_BOOL, (int64_t)n);
}

static void read_unsigned(pickle *p, size_t bytes) {
    push_integer(p, PICKLE_INT, (int64_t)take_number(p, bytes));
}

static void read_signed(pickle *p, size_t bytes) {
    int64_t number = (int64_t)take_number(p, bytes);
    push_integer(p, PICKLE_INT, number > INT32_MAX ? number - ((int64_t)1 << 32) : number);
}

/* A whole number of any length, in two's complement. */
static void read_long(pickle *p, size_t bytes) {
    uint64_t length = take_number(p, bytes);
    const unsigned char *b = take(p, length);
    uint64_t value = length > 0 && b[length - 1] >= 0x80 ? UINT64_MAX : 0;
    int64_t number = INT64_MAX;
    for (size_t i = (size_t)length; i-- > 0;) value = value << 8 | b[i];
    if (length <= 8) memcpy(&number, &value, sizeof(number));
    push_integer(p, PICKLE_INT, number);
}

static void read_float(pickle *p, size_t bytes) {
    take(p, bytes);
    push_shared(p, PICKLE_FLOAT);
}

static void read_text(pickle *p, size_t bytes) {
    pickle_value *v = new_value(p, PICKLE_TEXT);
    uint64_t length = take_number(p, bytes);
    v->text = (const char *)take(p, length);
    v->count = (size_t)length;
    push(p, v);
}

static void append(pickle *p, pickle_value **items, size_t count) {
    pickle_value *list = top(p);
    if (list->kind != PICKLE_LIST && list->kind != PICKLE_CALL)
        fail_damaged(p, "no list to append to");
    if (list->kind == PICKLE_LIST) add_items(p, list, items, count);
}

static void append_one(pickle *p, size_t n) {
    pickle_value *one = pop(p);
    append(p, &one, n);
}

static void append_marked(pickle *p, size_t n) {
    pickle_value **items = pop_to_mark(p, &n);
    append(p, items, n);
}

static void set_items(pickle *p, pickle_value **items, size_t count) {
    pickle_value *dict = top(p);
    if (dict->kind != PICKLE_DICT && dict->kind != PICKLE_CALL)
        fail_damaged(p, "no dict for a key");
    if (count % 2 != 0) fail_damaged(p, "a key without a value");
    add_items(p, dict, items, count);
}

static void set_pair(pickle *p, size_t n) {
    pickle_value *pair[2];
    pair[1] = pop(p);
    pair[0] = pop(p);
    set_items(p, pair, n);
}

static void set_marked(pickle *p, size_t n) {
    pickle_value **items = pop_to_mark(p, &n);
    set_items(p, items, n);
}

static void push_mark(pickle *p, size_t n) {
    (void)n;
    push(p, NULL);
}

static void drop(pickle *p, size_t n) {
    while (n-- > 0) pop(p);
}

static void drop_marked(pickle *p, size_t n) {
    pop_to_mark(p, &n);
}

static void push_again(pickle *p, size_t n) {
    (void)n;
    push(p, top(p));
}

/* A state that a class gets: of no use here. */
static void drop_state(pickle *p, size_t n) {
    drop(p, n);
    top(p);
}

static void check_protocol(pickle *p, size_t bytes) {
    if (take_number(p, bytes) > 5) fail_damaged(p, "a protocol that is not known");
}

static void skip(pickle *p, size_t bytes) {
    take(p, bytes);
}

/* ---- the memo ---- */

static void put(pickle *p, uint64_t index) {
    if (index >= p->end) fail_damaged(p, "an index of the memo that no pickle needs");
    if (index >= p->memo_count) {
        size_t capacity = p->memo_count;
        p->memo = widen(p, p->memo, p->memo_count, &capacity, (size_t)index + 1);
        p->memo_count = capacity;
    }
    p->memo[index] = top(p);
    if (index >= p->memo_next) p->memo_next = (size_t)index + 1;
}

static void read_put(pickle *p, size_t bytes) {
    put(p, take_number(p, bytes));
}

static void put_next(pickle *p, size_t n) {
    put(p, p->memo_next + n);
}

static void read_get(pickle *p, size_t bytes) {
    uint64_t index = take_number(p, bytes);
    if (index >= p->memo_count || p->memo[index] == NULL)
        fail_damaged(p, "an index of the memo that is empty");
    push(p, p->memo[index]);
}

/* ---- globals and calls ---- */

/* The key in the outermost dict whose value is being read; "" where there is none. On the stack are
   the dict, maybe a mark, then keys and values in turn. */
static void find_key(const pickle *p, char *key, size_t size) {
    size_t i = p->depth > 1 && p->stack[1] == NULL ? 2 : 1, length = 0;
    if (p->depth > 0 && p->stack[0] != NULL && p->stack[0]->kind != PICKLE_DICT &&
        p->stack[0]->kind != PICKLE_CALL)
        i = p->depth;
    for (; i < p->depth && p->stack[i] != NULL && p->stack[i]->kind == PICKLE_TEXT; i += 2) {
        length = p->stack[i]->count < size ? p->stack[i]->count : size - 1;
        memcpy(key, p->stack[i]->text, length);
    }
    key[length] = 0;
}

static void push_global(pickle *p, const char *module, size_t module_length, const char *name,
                        size_t name_length) {
    char text[MAX_NAME], key[64];
    if (module_length + name_length + 2 > sizeof(text)) fail_damaged(p, "a global's name");
    memcpy(text, module, module_length);
    text[module_length] = ' ';
    memcpy(text + module_length + 1, name, name_length);
    text[module_length + 1 + name_length] = 0;
    for (const char *const *allowed = p->allowed; *allowed != NULL; allowed++) {
        if (strcmp(*allowed, text) != 0) continue;
        pickle_value *v = new_value(p, PICKLE_GLOBAL);
        v->text = *allowed;
        push(p, v);
        return;
    }
    find_key(p, key, sizeof(key));
    p->refuse(p, text, key);
}

static size_t line_length(const pickle *p) {
    const unsigned char *start = p->file->data + p->at;
    size_t most = p->end - p->at < MAX_NAME ? p->end - p->at : MAX_NAME;
    const unsigned char *end = most > 0 ? memchr(start, '\n', most) : NULL;
    if (end == NULL) fail("%s: its pickle is cut short, or damaged", p->file->path);
    return (size_t)(end - start);
}

static void read_global(pickle *p, size_t n) {
    (void)n;
    size_t module_length = line_length(p);
    const char *module = (const char *)take(p, module_length + 1);
    size_t name_length = line_length(p);
    const char *name = (const char *)take(p, name_length + 1);
    push_global(p, module, module_length, name, name_length);
}

static void take_global(pickle *p, size_t n) {
    (void)n;
    const pickle_value *name = pop(p), *module = pop(p);
    if (name->kind != PICKLE_TEXT || module->kind != PICKLE_TEXT || name->count > MAX_NAME ||
        module->count > MAX_NAME)
        fail_damaged(p, "a global without a name");
    push_global(p, module->text, module->count, name->text, name->count);
}

/* A function, or a class that makes an object, and its arguments; n more on top are keywords. */
static void push_call(pickle *p, size_t n) {
    pickle_value *v = new_value(p, PICKLE_CALL);
    drop(p, n);
    v->arguments = pop(p);
    v->function = pop(p);
    if (v->function->kind != PICKLE_GLOBAL || v->arguments->kind != PICKLE_TUPLE)
        fail_damaged(p, "a call of something else than a global");
    push(p, v);
}

static void push_storage(pickle *p, size_t n) {
    (void)n;
    pickle_value *v = new_value(p, PICKLE_STORAGE);
    v->arguments = pop(p);
    if (p->storage_count == p->storage_capacity)
        p->storages = widen(p, p->storages, p->storage_count, &p->storage_capacity, 0);
    p->storages[p->storage_count++] = v;
    push(p, v);
}

/* ---- opcodes ---- */

static const struct {
    void (*run)(pickle *p, size_t n);
    size_t n;
} opcodes[256] = {
    ['N'] = {push_shared, PICKLE_NONE},
    [0x88] = {push_bool, 1},
    [0x89] = {push_bool, 0},
    ['K'] = {read_unsigned, 1},
    ['M'] = {read_unsigned, 2},
    ['J'] = {read_signed, 4},
    [0x8a] = {read_long, 1},
    [0x8b] = {read_long, 4},
    ['G'] = {read_float, 8},
    ['U'] = {read_text, 1}, /* str of Python 2, bytes and str of Python 3, with their lengths: */
    ['C'] = {read_text, 1},
    [0x8c] = {read_text, 1},
    ['T'] = {read_text, 4},
    ['B'] = {read_text, 4},
    ['X'] = {read_text, 4},
    [0x8d] = {read_text, 8},
    [0x8e] = {read_text, 8},
    [0x96] = {read_text, 8},
    [')'] = {push_tuple, 0},
    [0x85] = {push_tuple, 1},
    [0x86] = {push_tuple, 2},
    [0x87] = {push_tuple, 3},
    ['t'] = {push_marked, PICKLE_TUPLE},
    [']'] = {push_plain, PICKLE_LIST},
    [0x8f] = {push_plain, PICKLE_LIST}, /* set */
    ['l'] = {push_marked, PICKLE_LIST},
    [0x91] = {push_marked, PICKLE_LIST}, /* frozenset */
    ['a'] = {append_one, 1},
    ['e'] = {append_marked, 0},
    [0x90] = {append_marked, 0},
    ['}'] = {push_plain, PICKLE_DICT},
    ['d'] = {push_marked, PICKLE_DICT},
    ['s'] = {set_pair, 2},
    ['u'] = {set_marked, 0},
    ['('] = {push_mark, 0},
    ['0'] = {drop, 1},
    ['1'] = {drop_marked, 0},
    ['2'] = {push_again, 0},
    ['q'] = {read_put, 1},
    ['r'] = {read_put, 4},
    [0x94] = {put_next, 0},
    ['h'] = {read_get, 1},
    ['j'] = {read_get, 4},
    ['c'] = {read_global, 0},
    [0x93] = {take_global, 0},
    ['R'] = {push_call, 0},
    [0x81] = {push_call, 0}, /* NEWOBJ */
    [0x92] = {push_call, 1}, /* NEWOBJ_EX */
    ['b'] = {drop_state, 1},
    ['Q'] = {push_storage, 0},
    [0x80] = {check_protocol, 1},
    [0x95] = {skip, 8}, /* FRAME: a size that readers may do without */
};

pickle_value *pickle_read(pickle *p) {
    p->depth = p->memo_count = p->memo_next = 0;
    while (p->steps++ < MAX_STEPS) {
        int code = (int)take_number(p, 1);
        if (code == '.') return pop(p);
        if (opcodes[code].run == NULL)
            fail("%s: damaged pickle, or not of torch.save's: opcode 0x%02x at byte %zu",
                 p->file->path, (unsigned)code, p->at - 1);
        opcodes[code].run(p, opcodes[code].n);
    }
    fail("%s: its pickle has more than %d steps", p->file->path, MAX_STEPS);
}

/* ---- values ---- */

int pickle_is_global(const pickle_value *v, const char *name) {
    return v != NULL && v->kind == PICKLE_GLOBAL && strcmp(v->text, name) == 0;
}

int pickle_is_call(const pickle_value *v, const char *name) {
    return v != NULL && v->kind == PICKLE_CALL && pickle_is_global(v->function, name);
}

int pickle_is_text(const pickle_value *v, const char *text) {
    return v != NULL && v->kind == PICKLE_TEXT && v->count == strlen(text) &&
           memcmp(v->text, text, v->count) == 0;
}

int pickle_is_dict(const pickle_value *v) {
    return v != NULL && (v->kind == PICKLE_DICT || (v->kind == PICKLE_CALL && v->count > 0));
}

pickle_value *pickle_get(const pickle_value *dict, const char *key) {
    for (size_t i = dict->count; i >= 2; i -= 2) {
        if (pickle_is_text(dict->items[i - 2], key)) return dict->items[i - 1];
    }
    return NULL;
}

pickle_value *pickle_item(const pickle_value *v, size_t i) {
    if (v == NULL || (v->kind != PICKLE_TUPLE && v->kind != PICKLE_LIST)) return NULL;
    return i < v->count ? v->items[i] : NULL;
}
