#include "names.h"

#include "file_map.h"
#include "report.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char names_usage[] =
    "A file of names (--names) has a line for each kind of tensor, IN's name = timm's:\n"
    "  # a comment\n"
    "  embed.conv.*            = patch_embed.proj.*\n"
    "  attn_{i}.query.weight   = blocks.{i}.attn.q.weight\n"
    "  attn_{i}.head{head}.k.* = blocks.{i}.attn.k.*\n"
    "  attn_{i}.qkv.kernel [in (qkv head dim)] = blocks.{i}.attn.qkv.weight\n"
    "  decoder.{i}.*           = -\n"
    "{i} is the number of a block, counted from the least one; * is weight or bias; - leaves\n"
    "tensors out; {head} or {qkv} numbers the pieces that make up one of timm's tensors.\n"
    "[...] says what the axes of IN's weight are, where they are not timm's, which are:\n"
    "  [out chan row col]    patch_embed.proj.weight; flat: [out (row col chan=3)], ...\n"
    "  [(qkv head dim) in]   blocks.{i}.attn.qkv.weight; [(head dim) in] of q, k and v\n"
    "  [out (head dim)]      blocks.{i}.attn.proj.weight\n"
    "  [out in]              blocks.{i}.mlp.fc1.weight, .fc2, head.weight; kernels: [in out]\n"
    "  [1 tokens width]      pos_embed, reg_token; cls_token, dist_token; ones may be missing\n"
    "  [width]               norm.weight, .bias, norm_pre, patch_embed.norm (of embeddings),\n"
    "                        blocks.{i}.norm1, .norm2, .attn.q_norm, .k_norm, .ls1.gamma\n"
    "  [(chan row col)]      patch_norm.weight, .bias, of a patch's pixels\n"
    "(a b) is one axis on which b runs faster. With *, these are the weight's; the bias has those\n"
    "of them that are outputs. chan=3 gives a length that the shape does not say; how many heads\n"
    "share an axis says --heads, if no shape does.\n";

#define MAX_AXES 8 /* of a tensor, parts of axes counted singly */

/* An axis, or a part of one: qkv in (qkv head dim). */
typedef struct axis {
    char name[16];
    size_t size;  /* 0: not known yet */
    size_t group; /* which axis of the tensor it is, or is a part of */
    size_t stride;
} axis;

typedef struct axes {
    axis list[MAX_AXES];
    size_t count, groups;
} axes;

/* timm's tensors. */
static const struct target {
    const char *name;          /* without .weight and .bias, if it has these */
    const char *weight, *bias; /* their axes; NULL: there is no .bias, nor a .weight in the name */
} targets[] = {
    {"patch_embed.proj", "out chan row col", "out"},
    {"cls_token", "1 1 width", NULL},
    {"dist_token", "1 1 width", NULL},
    {"reg_token", "1 tokens width", NULL},
    {"pos_embed", "1 tokens width", NULL},
    {"blocks.{i}.norm1", "width", "width"},
    {"blocks.{i}.attn.qkv", "(qkv head dim) in", "(qkv head dim)"},
    {"blocks.{i}.attn.q", "(head dim) in", "(head dim)"},
    {"blocks.{i}.attn.k", "(head dim) in", "(head dim)"},
    {"blocks.{i}.attn.v", "(head dim) in", "(head dim)"},
    {"blocks.{i}.attn.proj", "out (head dim)", "out"},
    {"blocks.{i}.ls1.gamma", "width", NULL},
    {"blocks.{i}.norm2", "width", "width"},
    {"blocks.{i}.mlp.fc1", "out in", "out"},
    {"blocks.{i}.mlp.fc2", "out in", "out"},
    {"blocks.{i}.ls2.gamma", "width", NULL},
    {"norm_pre", "width", "width"},
    {"patch_norm", "(chan row col)", "(chan row col)"},
    {"patch_embed.norm", "width", "width"},
    {"blocks.{i}.attn.q_norm", "width", "width"},
    {"blocks.{i}.attn.k_norm", "width", "width"},
    {"norm", "width", "width"},
    {"fc_norm", "width", "width"},
    {"pre_logits.fc", "out in", "out"},
    {"head", "out in", "out"},
    {"head_dist", "out in", "out"},
};

#define TARGETS (sizeof(targets) / sizeof(targets[0]))

/* A line of the file. */
typedef struct rule {
    const char *file;
    size_t line;
    char *theirs, *ours, *axes; /* axes NULL: timm's. ours "-": left out */
    const struct target *target;
    char piece[16]; /* the axis whose pieces are numbered; empty: one tensor is all */
    size_t matches;
} rule;

/* What a name is by its rule. */
typedef struct match {
    rule *rule; /* NULL: no rule takes it */
    size_t block, piece;
    const char *ending; /* what * stands for, or NULL */
} match;

REPORT_NORETURN static void fail_line(const rule *r, const char *what, const char *which) {
    fail("%s: line %zu: %s%s", r->file, r->line, what, which);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static char *trim(char *text) {
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL) text[--length] = 0;
    return text;
}

/* timm's names end with .weight, .bias or .*; a few have no such ending. Returns what follows the
   target's name, or NULL if it is another one. The block is {i} or a number. */
static const char *match_target(const char *target, const char *name) {
    while (*target != 0) {
        if (strncmp(target, "{i}", 3) == 0 && *name >= '0' && *name <= '9') {
            name += strspn(name, "0123456789");
            target += 3;
        } else if (*target++ != *name++) {
            return NULL;
        }
    }
    return name;
}

static void find_target(rule *r) {
    for (size_t i = 0; i < TARGETS; i++) {
        const char *end = match_target(targets[i].name, r->ours);
        if (end == NULL) continue;
        int pair =
            strcmp(end, ".weight") == 0 || strcmp(end, ".bias") == 0 || strcmp(end, ".*") == 0;
        if (targets[i].bias != NULL ? !pair : *end != 0) continue;
        r->target = &targets[i];
        return;
    }
    fail_line(r, "not one of timm's names (--help lists them): ", r->ours);
}

/* The placeholders of the left side: {i}, and the name of an axis. */
static void check_placeholders(rule *r) {
    int block = 0, star = text_ends_with(r->theirs, "*");
    for (const char *p = r->theirs; (p = strchr(p, '{')) != NULL; p++) {
        size_t length = strcspn(p + 1, "}");
        if (p[1 + length] != '}') fail_line(r, "a { without }: ", r->theirs);
        if (length == 1 && p[1] == 'i') {
            if (block++) fail_line(r, "{i} is there twice: ", r->theirs);
        } else if (r->piece[0] != 0 ||
                   (strncmp(p, "{head}", 6) != 0 && strncmp(p, "{qkv}", 5) != 0)) {
            fail_line(r, "one {i} and one of {head} and {qkv} may be in a name, not: ", r->theirs);
        } else {
            memcpy(r->piece, p + 1, length);
        }
    }
    if (strchr(r->theirs, '*') != NULL && strchr(r->theirs, '*')[1] != 0)
        fail_line(r, "* stands for weight or bias, at the end: ", r->theirs);
    if (strcmp(r->ours, "-") == 0) return;
    if (block != (strstr(r->ours, "{i}") != NULL))
        fail_line(r, "{i} has to be on both sides, or on none: ", r->theirs);
    if (star != text_ends_with(r->ours, "*"))
        fail_line(r, "* has to be on both sides, or on none: ", r->theirs);
}

/* THEIRS = OURS or THEIRS [AXES] = OURS. */
static void parse_line(rule *r, char *text) {
    char *equals = strrchr(text, '='), *bracket = strchr(text, '[');
    if (bracket != NULL && strchr(bracket, ']') != NULL) {
        char *end = strchr(bracket, ']');
        equals = strchr(end, '=');
        *bracket = *end = 0;
        r->axes = format_text("%s", bracket + 1);
        if (equals != NULL && *trim(end + 1) != '=') fail_line(r, "no = after ]", "");
    } else if (bracket != NULL) {
        fail_line(r, "a [ without ]", "");
    }
    if (equals == NULL) fail_line(r, "no = between the file's name and timm's: ", text);
    *equals = 0;
    r->theirs = format_text("%s", trim(text));
    r->ours = format_text("%s", trim(equals + 1));
    if (r->theirs[0] == 0 || r->ours[0] == 0) fail_line(r, "a name is missing beside =", "");
    if (strcmp(r->ours, "?") == 0)
        fail_line(r, "? stands for timm's name, which has to be filled in: ", r->theirs);
    if (strcmp(r->ours, "-") != 0) find_target(r);
    check_placeholders(r);
}

/* The rules in a text, which is cut into its lines. */
static rule *parse_rules(const char *file, char *text, size_t *count) {
    rule *rules = NULL;
    size_t capacity = 0;
    char *next = text;
    *count = 0;
    for (size_t line = 1; *next != 0; line++) {
        char *this = next;
        next += strcspn(this, "\n");
        if (*next != 0) *next++ = 0;
        this[strcspn(this, "#")] = 0;
        this = trim(this);
        if (*this == 0) continue;
        rules = make_room_for_one(rules, *count, &capacity, sizeof(*rules));
        rule *r = &rules[(*count)++];
        memset(r, 0, sizeof(*r));
        r->file = file, r->line = line;
        parse_line(r, this);
    }
    return rules;
}

static rule *read_rules(const char *file, size_t *count) {
    file_map map = file_map_open(file);
    char *text = allocate(map.size + 1, 1);
    if (map.size > 0) memcpy(text, map.data, map.size);
    if (strlen(text) != map.size) fail("%s: not a text: it has a NUL", file);
    int mark = strncmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    rule *rules = parse_rules(file, text + mark, count);
    if (*count == 0) fail("%s: no line with a name", file);
    free(text);
    file_map_close(&map);
    return rules;
}

static void free_rules(rule *rules, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(rules[i].theirs);
        free(rules[i].ours);
        free(rules[i].axes);
    }
    free(rules);
}

/* ---- which rule a name has ------------------------------------------------------------------- */

/* The number at p, and where it ends; NULL where there is none. */
static const char *read_number(const char *p, size_t *number) {
    size_t length = strspn(p, "0123456789");
    if (length == 0 || length > 9) return NULL;
    *number = strtoul(p, NULL, 10);
    return p + length;
}

static int matches(const char *pattern, const char *name, match *m) {
    m->ending = NULL;
    while (*pattern != 0) {
        if (*pattern == '{') {
            size_t number;
            name = read_number(name, &number);
            if (name == NULL) return 0;
            *(strncmp(pattern, "{i}", 3) == 0 ? &m->block : &m->piece) = number;
            pattern = strchr(pattern, '}') + 1;
        } else if (*pattern == '*') {
            m->ending = name;
            return strcmp(name, "weight") == 0 || strcmp(name, "bias") == 0;
        } else if (*pattern++ != *name++) {
            return 0;
        }
    }
    return *name == 0;
}

static match find_rule(rule *rules, size_t count, const tensor *t) {
    match found = {NULL, 0, 0, NULL};
    for (size_t i = 0; i < count; i++) {
        match m = {&rules[i], 0, 0, NULL};
        if (!matches(rules[i].theirs, t->name, &m)) continue;
        if (found.rule != NULL)
            fail("%s: lines %zu and %zu both take %s", rules[i].file, found.rule->line,
                 rules[i].line, t->name);
        found = m;
    }
    if (found.rule != NULL) found.rule->matches++;
    return found;
}

/* Rules for all tensors; unless they are optional, each has to be one's. Blocks are counted from the least number that one has. */
static match *find_rules(const checkpoint *c, rule *rules, size_t count, int optional) {
    match *found = allocate(c->count, sizeof(*found));
    size_t least = (size_t)-1;
    for (size_t i = 0; i < c->count; i++) {
        found[i] = find_rule(rules, count, &c->tensors[i]);
        if (found[i].rule != NULL && strstr(found[i].rule->ours, "{i}") != NULL &&
            found[i].block < least)
            least = found[i].block;
    }
    for (size_t i = 0; i < count; i++) {
        if (rules[i].matches == 0 && !optional)
            fail_line(&rules[i],
                      "no tensor has such a name (--list shows them): ", rules[i].theirs);
    }
    if (least > 0 && least != (size_t)-1)
        note("the blocks are numbered from %zu on: %zu is timm's block 0", least, least);
    for (size_t i = 0; i < c->count; i++) {
        if (found[i].rule != NULL && strstr(found[i].rule->ours, "{i}") != NULL)
            found[i].block -= least;
    }
    return found;
}

/* timm's name of a tensor. */
static char *make_name(const match *m) {
    const char *ours = m->rule->ours, *block = strstr(ours, "{i}");
    size_t length = strlen(ours) - (m->ending != NULL); /* without the * */
    if (block == NULL)
        return format_text("%.*s%s", (int)length, ours, m->ending != NULL ? m->ending : "");
    return format_text("%.*s%zu%.*s%s", (int)(block - ours), ours, m->block,
                       (int)(length - (size_t)(block + 3 - ours)), block + 3,
                       m->ending != NULL ? m->ending : "");
}

/* ---- axes ------------------------------------------------------------------------------------ */

static void add_axis(const rule *r, axes *a, const char *name, size_t length) {
    const char *equals = memchr(name, '=', length);
    size_t letters = equals != NULL ? (size_t)(equals - name) : length;
    if (a->count == MAX_AXES || letters == 0 || letters >= sizeof(a->list[0].name))
        fail_line(r, "not the axes of a tensor: ", r->axes);
    axis *x = &a->list[a->count++];
    memset(x, 0, sizeof(*x));
    memcpy(x->name, name, letters);
    x->group = a->groups;
    if (equals != NULL && (read_number(equals + 1, &x->size) != name + length || x->size == 0))
        fail_line(r, "not a length after = in the axes: ", r->axes);
    if (strcmp(x->name, "1") == 0) x->size = 1;
    if (strcmp(x->name, "qkv") == 0) x->size = 3;
}

static axes parse_axes(const rule *r, const char *text) {
    axes a;
    int inside = 0;
    memset(&a, 0, sizeof(a));
    while (*(text += strspn(text, " \t")) != 0) {
        size_t length = strcspn(text, " \t()");
        if (length > 0) add_axis(r, &a, text, length);
        else if (*text != (inside ? ')' : '(')) fail_line(r, "unpaired ( or ): ", r->axes);
        else inside = !inside, length = 1;
        text += length;
        if (!inside && a.count > 0 && a.list[a.count - 1].group == a.groups) a.groups++;
    }
    if (inside) fail_line(r, "unpaired ( or ): ", r->axes);
    return a;
}

static axis *find_axis(axes *a, const char *name) {
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->list[i].name, name) == 0) return &a->list[i];
    }
    return NULL;
}

/* Remove an axis; groups that become empty go too. */
static void remove_axis(axes *a, const axis *x) {
    size_t at = (size_t)(x - a->list), group = x->group, others = 0;
    memmove(&a->list[at], &a->list[at + 1], (a->count - at - 1) * sizeof(axis));
    a->count--;
    for (size_t i = 0; i < a->count; i++) others += a->list[i].group == group;
    if (others > 0) return;
    a->groups--;
    for (size_t i = 0; i < a->count; i++) a->list[i].group -= a->list[i].group > group;
}

static axes timm_axes(const rule *r, int is_bias) {
    return parse_axes(r, is_bias ? r->target->bias : r->target->weight);
}

/* What the axes of the file's tensor are: as the rule says, for a bias without the inputs; or timm's,
   without that which numbers the pieces. */
static axes their_axes(const rule *r, axes ours, int is_bias) {
    axes theirs = r->axes != NULL ? parse_axes(r, r->axes) : ours;
    axis *piece = r->axes == NULL && r->piece[0] != 0 ? find_axis(&theirs, r->piece) : NULL;
    if (piece != NULL) remove_axis(&theirs, piece);
    for (size_t i = theirs.count; i-- > 0;) {
        axis *x = &theirs.list[i];
        if (find_axis(&ours, x->name) != NULL || strcmp(x->name, "1") == 0) continue;
        if (!is_bias || text_ends_with(r->theirs, "*") == 0)
            fail("%s: line %zu: %s has no axis '%s'", r->file, r->line, r->ours, x->name);
        remove_axis(&theirs, x);
    }
    for (size_t i = 0; i < ours.count; i++) {
        const char *name = ours.list[i].name;
        if (strcmp(name, "1") == 0 || strcmp(name, r->piece) == 0) continue;
        if (find_axis(&theirs, name) == NULL)
            fail("%s: line %zu: the axis '%s' of %s is missing", r->file, r->line, name, r->ours);
    }
    return theirs;
}

/* Axes of length 1 are left out or put in front, until there are as many as in the rule. */
static void fit_rank(tensor *t, size_t rank) {
    for (size_t i = t->rank; i-- > 0 && t->rank > rank;) {
        if (t->shape[i] != 1) continue;
        t->rank--;
        for (size_t j = i; j < t->rank; j++)
            t->shape[j] = t->shape[j + 1], t->strides[j] = t->strides[j + 1];
    }
}

/* head and dim beside each other, as timm has them, are one axis whose parts need not be known.
   Elsewhere the heads are those of --heads, or of the shape. */
static void join_heads(axes *a, int heads) {
    axis *head = find_axis(a, "head"), *dim = find_axis(a, "dim");
    if (head == NULL || head->size > 0) return;
    if (dim == head + 1 && dim->group == head->group) remove_axis(a, dim);
    else head->size = (size_t)heads;
}

/* Ones in front may be missing in the file. */
static void drop_ones(axes *a) {
    while (a->groups > 1 && strcmp(a->list[0].name, "1") == 0) remove_axis(a, &a->list[0]);
}

/* The lengths within one axis of a tensor: all but one are known, or two are those of a square. */
static void split_axis(const rule *r, const tensor *t, axes *a, size_t group) {
    axis *open[2] = {NULL, NULL};
    size_t known = 1, count = 0, size = t->shape[group];
    for (size_t i = 0; i < a->count; i++) {
        axis *x = &a->list[i];
        if (x->group != group) continue;
        if (x->size > 0 && size % (known * x->size) == 0) known *= x->size;
        else if (x->size > 0)
            fail("%s: line %zu: %s: an axis of %zu is not a multiple of %s, which is %zu", r->file,
                 r->line, t->name, size, x->name, x->size);
        else if (count < 2) open[count++] = x;
        else count++;
    }
    size_t rest = size / known, root = 1;
    while (root * root < rest) root++;
    if (count == 1) open[0]->size = rest;
    else if (count == 2 && root * root == rest && strcmp(open[0]->name, "head") != 0 &&
             strcmp(open[1]->name, "head") != 0)
        open[0]->size = open[1]->size = root;
    else if (count > 1)
        fail("%s: line %zu: %s: how %zu is '%s' times '%s' is not known: give %s", r->file, r->line,
             t->name, rest, open[0]->name, open[1]->name,
             find_axis(a, "head") != NULL ? "--heads" : "one of them, as in [chan=3]");
    else if (rest != 1)
        fail("%s: line %zu: %s: an axis of %zu should be %zu long", r->file, r->line, t->name, size,
             known);
}

static void measure(const rule *r, const tensor *t, axes *a) {
    if (t->rank != a->groups)
        fail("%s: line %zu: %s has %zu axes, not %zu%s", r->file, r->line, t->name, t->rank,
             a->groups, r->axes == NULL ? ": say which they are, in [...]" : "");
    for (size_t g = 0; g < a->groups; g++) {
        split_axis(r, t, a, g);
        size_t stride = t->strides[g];
        for (size_t i = a->count; i-- > 0;) {
            if (a->list[i].group != g) continue;
            a->list[i].stride = stride;
            stride *= a->list[i].size;
        }
    }
}

/* Makes the tensor one with timm's axes. The axis of pieces has length 1 in a piece. */
static void reorder(const rule *r, tensor *t, const axes *ours, axes *theirs) {
    t->rank = 0, t->joined = 0;
    for (size_t i = 0; i < ours->count; i++) {
        const axis *mine = &ours->list[i], *x = find_axis(theirs, mine->name);
        if (strcmp(mine->name, r->piece) == 0) t->piece_axis = t->rank;
        if (x == NULL && strcmp(mine->name, "1") != 0 && strcmp(mine->name, r->piece) != 0)
            continue; /* dim, which is joined with head */
        if (i > 0 && ours->list[i - 1].group == mine->group) t->joined |= 1u << t->rank;
        int one = x == NULL || strcmp(mine->name, "1") == 0;
        t->shape[t->rank] = one ? 1 : x->size;
        t->strides[t->rank++] = one ? 0 : x->stride;
    }
}

/* How many heads the shape says; 0: it does not. */
static size_t count_heads(const axes *theirs) {
    axes a = *theirs;
    const axis *head = find_axis(&a, "head");
    return head != NULL && find_axis(&a, "dim") != NULL ? head->size : 0;
}

static void set_heads(int *heads, size_t count, const char *name) {
    if (count == 0 || (size_t)*heads == count) return;
    if (*heads > 0) fail("%s: its shape says %zu heads, not %d", name, count, *heads);
    if (count > 1000000) fail("%s: %zu heads", name, count);
    *heads = (int)count;
    note("%s says that there are %zu heads", name, count);
}

static void set_axes(const match *m, tensor *t, const char *name, int *heads) {
    const rule *r = m->rule;
    int is_bias = r->target->bias != NULL && text_ends_with(name, ".bias");
    axes ours = timm_axes(r, is_bias), theirs = their_axes(r, ours, is_bias);
    if (r->piece[0] != 0 && find_axis(&ours, r->piece) == NULL)
        fail("%s: line %zu: %s has no axis '%s'", r->file, r->line, name, r->piece);
    if (r->axes == NULL) drop_ones(&theirs);
    join_heads(&theirs, *heads);
    fit_rank(t, theirs.groups);
    measure(r, t, &theirs);
    set_heads(heads, count_heads(&theirs), t->name);
    reorder(r, t, &ours, &theirs);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static int same_shape(const tensor *a, const tensor *b) {
    return a->rank == b->rank && a->type == b->type &&
           memcmp(a->shape, b->shape, a->rank * sizeof(a->shape[0])) == 0;
}

/* The tensors i and on that have the same new name, as the pieces of one. */
static void join_pieces(checkpoint *c, const match *found, size_t i, char **names, int *heads) {
    tensor *whole = &c->tensors[i];
    size_t count = 0, least = found[i].piece;
    for (size_t j = i; j < c->count; j++) {
        if (names[j] == NULL || strcmp(names[j], names[i]) != 0) continue;
        if (!same_shape(&c->tensors[j], whole))
            fail("%s: %s and %s differ in shape or type", whole->file, whole->name,
                 c->tensors[j].name);
        if (found[j].piece < least) least = found[j].piece;
        count++;
    }
    tensor *pieces = allocate(count, sizeof(*pieces));
    for (size_t j = i; j < c->count; j++) {
        if (names[j] == NULL || strcmp(names[j], names[i]) != 0) continue;
        size_t place = found[j].piece - least;
        if (place >= count || pieces[place].name != NULL)
            fail("%s: line %zu: the numbers of {%s} of %s have a gap, or are there twice",
                 found[i].rule->file, found[i].rule->line, found[i].rule->piece, names[i]);
        pieces[place] = c->tensors[j];
        if (j > i) free(names[j]), names[j] = NULL, c->tensors[j].used = -1;
    }
    if (strcmp(found[i].rule->piece, "head") == 0) set_heads(heads, count, names[i]);
    if (strcmp(found[i].rule->piece, "qkv") == 0 && count != 3)
        fail("%s: line %zu: %zu pieces of %s, not q, k and v", found[i].rule->file,
             found[i].rule->line, count, names[i]);
    whole->pieces = pieces;
    whole->piece_count = count;
    whole->shape[whole->piece_axis] = count;
}

static void leave_out(checkpoint *c, const match *found, const rule *r) {
    const char *first = NULL;
    for (size_t i = 0; i < c->count; i++) {
        if (found[i].rule != r) continue;
        if (first == NULL) first = c->tensors[i].name;
        c->tensors[i].used = -1;
    }
    note("%s%s left out, by line %zu of %s", first, r->matches > 1 ? " and others are" : " is",
         r->line, r->file);
}

/* Whether the heads share an axis with others, so that their number has to be known. */
static int needs_heads(const rule *r) {
    if (r->axes == NULL) return 0;
    axes a = parse_axes(r, r->axes);
    const axis *head = find_axis(&a, "head"), *dim = find_axis(&a, "dim");
    if (head == NULL || (dim == head + 1 && dim->group == head->group)) return 0;
    size_t parts = 0;
    for (size_t i = 0; i < a.count; i++) parts += a.list[i].group == head->group;
    return parts > 1;
}

/* Axes and names of all tensors; those whose shapes say how many heads there are come first. */
static void rename_tensors(checkpoint *c, const match *found, char **names, int *heads) {
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < c->count; i++) {
            const rule *r = found[i].rule;
            if (r == NULL || r->target == NULL || needs_heads(r) != pass) continue;
            names[i] = make_name(&found[i]);
            set_axes(&found[i], &c->tensors[i], names[i], heads);
        }
    }
    for (size_t i = 0; i < c->count; i++) {
        if (names[i] != NULL && found[i].rule != NULL && found[i].rule->piece[0] != 0)
            join_pieces(c, found, i, names, heads);
    }
}

/* Renames the tensors, and leaves out those of rules for that. Frees the rules. */
static int apply_rules(checkpoint *c, rule *rules, size_t count, int optional, int heads) {
    match *found = find_rules(c, rules, count, optional);
    char **names = allocate(c->count, sizeof(char *));
    rename_tensors(c, found, names, &heads);
    for (size_t i = 0; i < c->count; i++) {
        if (names[i] == NULL) continue;
        c->tensors[i].original = c->tensors[i].name;
        c->tensors[i].name = names[i];
    }
    for (size_t i = 0; i < count; i++) {
        if (rules[i].target == NULL && rules[i].matches > 0) leave_out(c, found, &rules[i]);
    }
    checkpoint_remove_marked(c);
    checkpoint_sort(c);
    free(names);
    free(found);
    free_rules(rules, count);
    return heads;
}

int names_apply(checkpoint *c, const char *file, int heads) {
    size_t count;
    rule *rules = read_rules(file, &count);
    return apply_rules(c, rules, count, 0, heads);
}

int names_apply_known(checkpoint *c, const char *title, const char *text, int heads) {
    size_t count;
    char *copy = format_text("%s", text);
    rule *rules = parse_rules(title, copy, &count);
    free(copy);
    return apply_rules(c, rules, count, 1, heads);
}

/* ---- prefixes -------------------------------------------------------------------------------- */

void names_drop_prefix(checkpoint *c, const char *prefix, int leave_out) {
    size_t length = strlen(prefix), others = 0;
    const char *first = NULL;
    for (size_t i = 0; i < c->count; i++) {
        tensor *t = &c->tensors[i];
        if (strncmp(t->name, prefix, length) == 0 && t->name[length] != 0) continue;
        if (others++ == 0) first = t->name;
        if (leave_out) t->used = -1;
    }
    if (others == c->count) fail("%s: no name begins with %s", c->file, prefix);
    if (others == 0) note("the prefix '%s' of all names is dropped", prefix);
    else
        note("the prefix '%s' is dropped; %zu of %zu names do not have it (%s%s)%s", prefix, others,
             c->count, first, others > 1 ? ", ..." : "", leave_out ? ": left out" : "");
    for (size_t i = 0; i < c->count; i++) {
        tensor *t = &c->tensors[i];
        if (strncmp(t->name, prefix, length) != 0 || t->name[length] == 0) continue;
        memmove(t->name, t->name + length, strlen(t->name + length) + 1);
    }
    checkpoint_remove_marked(c);
    checkpoint_sort(c);
}
