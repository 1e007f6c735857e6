/* Reading what Python's pickle module wrote, as data: nothing is imported, called or run. */
#ifndef PICKLE_H
#define PICKLE_H

#include "file_map.h"

#include <stdint.h>

typedef enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,   /* also those above 64 bits, as INT64_MAX */
    PICKLE_FLOAT, /* its value is of no use here */
    PICKLE_TEXT,  /* str or bytes */
    PICKLE_TUPLE,
    PICKLE_LIST, /* or a set */
    PICKLE_DICT,
    PICKLE_GLOBAL, /* a function or a class by its name */
    PICKLE_CALL,   /* what a global is to make of arguments: not done; may have items as a dict */
    PICKLE_STORAGE /* a persistent id, which PyTorch uses for the bytes of tensors */
} pickle_kind;

typedef struct pickle_value pickle_value;
struct pickle_value {
    pickle_kind kind;
    int visited, listed; /* for the caller */
    size_t count;        /* bytes of a text, or items; a dict has two for each key: key, value */
    size_t capacity;     /* of items */
    const char *text;    /* of a text: in the file, without NUL; of a global: "module name" */
    int64_t integer;     /* of an int or a bool */
    pickle_value **items;
    pickle_value *function, *arguments; /* of a call; a persistent id is arguments alone */
};

typedef struct pickle pickle;
struct pickle {
    const file_map *file;
    size_t at, end;             /* the bytes in the file that are still to be read */
    const char *const *allowed; /* the globals that may be there, "module name", NULL at the end */
    /* Ends the program with what there is to say of another, at the value of `key`, "" without one. */
    void (*refuse)(const pickle *p, const char *name, const char *key);
    struct pickle_block *blocks;
    size_t memory;        /* bytes taken */
    size_t steps;         /* opcodes read */
    pickle_value *values; /* room for the next ones */
    size_t free_values;
    pickle_value *shared[PICKLE_STORAGE + 1]; /* by kind, of those that are all the same */
    pickle_value **stack;                     /* NULL is a mark */
    size_t depth, stack_capacity;
    pickle_value **memo;
    size_t memo_count, memo_next;
    pickle_value **storages; /* all of them */
    size_t storage_count, storage_capacity;
};

/* Reads one pickle from p->at on, which is after it then. The caller sets the members from file to
   refuse, and all others to 0 before the first one. Values stay until pickle_free. What is damaged, or
   takes more than 128 MB, ends the program. */
pickle_value *pickle_read(pickle *p);
void pickle_free(pickle *p);

/* Whether a value is a call of a global, or the global itself, "module name". */
int pickle_is_call(const pickle_value *v, const char *name);
int pickle_is_global(const pickle_value *v, const char *name);

/* Whether a text is this one. */
int pickle_is_text(const pickle_value *v, const char *text);

/* Whether a value has keys: a dict, or a class that is one. Its value of a key, NULL where there is
   none. */
int pickle_is_dict(const pickle_value *v);
pickle_value *pickle_get(const pickle_value *dict, const char *key);

/* An item of a tuple or list, NULL where there is none. */
pickle_value *pickle_item(const pickle_value *v, size_t i);

#endif
