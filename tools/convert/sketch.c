#include "sketch.h"

#include "report.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RUNS 4   /* numbers in a name that are looked at */
#define MAX_NAME 200 /* longer names are taken as they are */

/* Tensors whose names differ in a number or two. */
typedef struct kind {
    char *pattern; /* their name, with {i} and {head} */
    const tensor *first;
    size_t count, least; /* how many, and the least block */
    int in_blocks, pieces;
    struct kind *bias;  /* of a weight */
    int is_bias;        /* whether it is the bias of another */
    const char *ours;   /* timm's name without .weight; NULL: not decided */
    const char *axes;   /* NULL: timm's */
    const char *others; /* what it may be, where it is not decided */
} kind;

typedef struct sketch {
    kind *kinds;
    size_t count;
    size_t dim;    /* embed_dim; 0: not known */
    size_t hidden; /* mlp_dim; 0: not known */
    int has_head;
    int transposed; /* whether weights are [in][out] */
} sketch;

/* ---- patterns -------------------------------------------------------------------------------- */

/* A name with one of its numbers left out. */
typedef struct hole {
    char *pattern;
    size_t owner; /* whose name it is */
    size_t number;
} hole;

static int by_pattern(const void *a, const void *b) {
    const hole *x = a, *y = b;
    int order = strcmp(x->pattern, y->pattern);
    return order != 0 ? order : x->owner < y->owner ? -1 : x->owner > y->owner;
}

static size_t add_holes(hole *holes, size_t owner, const char *name, const char *placeholder) {
    size_t count = 0;
    if (strlen(name) > MAX_NAME) return 0;
    for (const char *p = name; count < MAX_RUNS && *(p += strcspn(p, "0123456789")) != 0;) {
        size_t length = strspn(p, "0123456789");
        hole *h = &holes[count++];
        h->pattern = format_text("%.*s%s%s", (int)(p - name), name, placeholder, p + length);
        h->owner = owner;
        h->number = length < 10 ? strtoul(p, NULL, 10) : 0;
        p += length;
    }
    return count;
}

/* The holes of all names, sorted. */
static hole *find_holes(char **names, size_t count, const char *placeholder, size_t *hole_count) {
    hole *holes = allocate(count * MAX_RUNS, sizeof(*holes));
    *hole_count = 0;
    for (size_t i = 0; i < count; i++)
        *hole_count += add_holes(holes + *hole_count, i, names[i], placeholder);
    qsort(holes, *hole_count, sizeof(*holes), by_pattern);
    return holes;
}

/* Replaces in each name the first number in which it differs from another by the placeholder, and
   notes the number, -1 where there is none, and how many names differ in it. */
static void generalise(char **names, size_t count, const char *placeholder, long *numbers,
                       size_t *sizes) {
    size_t hole_count, end;
    hole *holes = find_holes(names, count, placeholder, &hole_count);
    char **better = allocate(count, sizeof(char *));
    for (size_t i = 0; i < count; i++) numbers[i] = -1;
    for (size_t start = 0; start < hole_count; start = end) {
        for (end = start;
             end < hole_count && strcmp(holes[end].pattern, holes[start].pattern) == 0;)
            end++;
        for (size_t j = start; j < end && end - start > 1; j++) {
            char **best = &better[holes[j].owner];
            const char *old = *best, *new = holes[j].pattern;
            if (old != NULL && strstr(old, placeholder) - old < strstr(new, placeholder) - new)
                continue; /* an earlier number differs too */
            free(*best);
            *best = format_text("%s", new);
            numbers[holes[j].owner] = (long)holes[j].number;
            sizes[holes[j].owner] = end - start;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (better[i] == NULL) continue;
        free(names[i]);
        names[i] = better[i];
    }
    for (size_t i = 0; i < hole_count; i++) free(holes[i].pattern);
    free(holes);
    free(better);
}

static int by_kind(const void *a, const void *b) {
    return strcmp(((const kind *)a)->pattern, ((const kind *)b)->pattern);
}

static kind *find_kind(const sketch *s, const char *pattern) {
    kind wanted;
    memset(&wanted, 0, sizeof(wanted));
    wanted.pattern = format_text("%s", pattern);
    kind *found = bsearch(&wanted, s->kinds, s->count, sizeof(kind), by_kind);
    free(wanted.pattern);
    return found;
}

/* Sorts the kinds; those with the same pattern become one. */
static void unite(sketch *s) {
    size_t kept = 0;
    qsort(s->kinds, s->count, sizeof(kind), by_kind);
    for (size_t i = 0; i < s->count; i++) {
        kind *k = &s->kinds[i], *last = kept > 0 ? &s->kinds[kept - 1] : NULL;
        if (last == NULL || by_kind(last, k) != 0) {
            s->kinds[kept++] = *k;
            continue;
        }
        last->count += k->count;
        if (k->least < last->least) last->least = k->least;
        free(k->pattern);
    }
    s->count = kept;
}

/* A name to be printed: control characters, which names in a file may have, become '?'. */
static char *copy_name(const char *name) {
    char *copy = format_text("%s", name);
    for (char *p = copy; *p != 0; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = '?';
    }
    return copy;
}

static void make_kinds(sketch *s, const checkpoint *c) {
    char **names = allocate(c->count, sizeof(char *));
    long *numbers = allocate(c->count, sizeof(long));
    for (size_t i = 0; i < c->count; i++) names[i] = copy_name(c->tensors[i].name);
    size_t *sizes = allocate(c->count, sizeof(size_t));
    generalise(names, c->count, "{i}", numbers, sizes);
    s->kinds = allocate(c->count, sizeof(kind));
    s->count = c->count;
    for (size_t i = 0; i < c->count; i++) {
        kind *k = &s->kinds[i];
        k->pattern = names[i];
        k->first = &c->tensors[i];
        k->count = 1;
        k->in_blocks = numbers[i] >= 0;
        k->least = k->in_blocks ? (size_t)numbers[i] : 0;
    }
    unite(s);
    free(names);
    free(numbers);
    free(sizes);
}

/* Pieces of queries, keys and values, one for each head: [dim of a head][embed_dim]. */
static void find_pieces(sketch *s) {
    char **names = allocate(s->count, sizeof(char *));
    long *numbers = allocate(s->count, sizeof(long));
    size_t *sizes = allocate(s->count, sizeof(size_t));
    for (size_t i = 0; i < s->count; i++) names[i] = format_text("%s", s->kinds[i].pattern);
    generalise(names, s->count, "{head}", numbers, sizes);
    for (size_t i = 0; i < s->count; i++) {
        kind *k = &s->kinds[i];
        const tensor *t = k->first;
        int piece = numbers[i] >= 0 && k->in_blocks && t->rank >= 1 && t->rank <= 2 &&
                    t->shape[0] * sizes[i] % (s->dim > 0 ? s->dim : 1) == 0 &&
                    t->shape[0] < s->dim && (t->rank == 1 || t->shape[1] == s->dim);
        if (piece) {
            free(k->pattern);
            k->pattern = names[i];
            k->pieces = 1;
        } else {
            free(names[i]);
        }
    }
    unite(s);
    free(names);
    free(numbers);
    free(sizes);
}

/* ---- what the shapes decide ------------------------------------------------------------------ */

static int has_shape(const kind *k, size_t rank, size_t first, size_t last) {
    const tensor *t = k->first;
    return t->rank == rank && t->shape[0] == first && t->shape[rank - 1] == last;
}

static int is_convolution(const kind *k) {
    const tensor *t = k->first;
    return t->rank == 4 && !k->in_blocks && t->shape[2] == t->shape[3] && t->shape[0] > t->shape[1];
}

/* As JAX and TensorFlow have it: [row][col][chan][out]. */
static int is_kernel(const kind *k) {
    const tensor *t = k->first;
    return t->rank == 4 && !k->in_blocks && t->shape[0] == t->shape[1] && t->shape[3] > t->shape[2];
}

/* The length that most vectors in the blocks have: those of norms, and biases. */
static size_t usual_length(const sketch *s) {
    size_t best = 0, most = 0;
    for (size_t i = 0; i < s->count; i++) {
        const kind *k = &s->kinds[i];
        size_t same = 0;
        if (!k->in_blocks || k->first->rank != 1) continue;
        for (size_t j = 0; j < s->count && j < 1000; j++)
            same += s->kinds[j].in_blocks &&
                    has_shape(&s->kinds[j], 1, k->first->shape[0], k->first->shape[0]);
        if (same > most) most = same, best = k->first->shape[0];
    }
    return best;
}

/* embed_dim: the outputs of the patch embedding, the width of a token, or of the norms. */
static void find_dim(sketch *s) {
    for (size_t i = 0; i < s->count && s->dim == 0; i++) {
        if (is_convolution(&s->kinds[i])) s->dim = s->kinds[i].first->shape[0];
        else if (is_kernel(&s->kinds[i])) s->dim = s->kinds[i].first->shape[3], s->transposed = 1;
    }
    for (size_t i = 0; i < s->count && s->dim == 0; i++) {
        const tensor *t = s->kinds[i].first;
        if (t->rank == 3 && t->shape[0] == 1 && !s->kinds[i].in_blocks) s->dim = t->shape[2];
    }
    if (s->dim == 0) s->dim = usual_length(s);
}

/* The bias of each weight: its name has "bias" for the last "weight" or the like. */
static void find_biases(sketch *s) {
    static const char *const words[] = {"weight", "kernel", "scale", "gamma"};
    for (size_t i = 0; i < s->count; i++) {
        kind *k = &s->kinds[i];
        for (size_t j = 0; j < sizeof(words) / sizeof(words[0]); j++) {
            if (!text_ends_with(k->pattern, words[j])) continue;
            int length = (int)(strlen(k->pattern) - strlen(words[j]));
            char *name = format_text("%.*s%s", length, k->pattern, j == 3 ? "beta" : "bias");
            k->bias = find_kind(s, name);
            if (k->bias != NULL) k->bias->is_bias = 1;
            free(name);
        }
    }
}

/* The outputs of a matrix, if its bias says so; else those of [out][in], or of [in][out] where other
   weights are so. */
static size_t outputs(const sketch *s, const kind *k) {
    const tensor *t = k->first;
    if (k->bias != NULL) return tensor_count(k->bias->first);
    return t->shape[s->transposed ? t->rank - 1 : 0];
}

static int is_matrix(const kind *k) {
    return k->first->rank == 2 && k->first->shape[0] > 1 && k->first->shape[1] > 1 && !k->pieces &&
           !k->is_bias;
}

static int maps(const sketch *s, const kind *k, size_t in, size_t out) {
    return is_matrix(k) && tensor_count(k->first) == in * out && outputs(s, k) == out &&
           (k->first->shape[0] == out || k->first->shape[1] == out);
}

static void find_transposed(sketch *s) {
    for (size_t i = 0; i < s->count; i++) {
        const kind *k = &s->kinds[i];
        if (is_matrix(k) && k->bias != NULL && k->first->shape[0] != k->first->shape[1] &&
            has_shape(k, 2, k->first->shape[0], tensor_count(k->bias->first)))
            s->transposed = 1;
    }
}

/* The only kind in the blocks, or outside, that maps `in` to `out`; NULL: there is none, or more. */
static kind *only(const sketch *s, int in_blocks, size_t in, size_t out) {
    kind *found = NULL;
    for (size_t i = 0; i < s->count; i++) {
        kind *k = &s->kinds[i];
        if (k->in_blocks != in_blocks || !maps(s, k, in, out)) continue;
        if (found != NULL) return NULL;
        found = k;
    }
    return found;
}

static void set(const sketch *s, kind *k, const char *ours) {
    if (k == NULL) return;
    k->ours = ours;
    if (k->first->rank == 2 && s->transposed) k->axes = "in out";
}

/* fc2 is what maps another width to embed_dim. */
static void decide_mlp(sketch *s) {
    kind *fc2 = NULL;
    int several = 0;
    for (size_t i = 0; i < s->count; i++) {
        kind *k = &s->kinds[i];
        if (!k->in_blocks || !is_matrix(k)) continue;
        size_t out = outputs(s, k), in = tensor_count(k->first) / (out > 0 ? out : 1);
        if (out != s->dim || in == s->dim || !maps(s, k, in, out)) continue;
        several = fc2 != NULL;
        fc2 = k;
    }
    if (fc2 == NULL || several) return;
    s->hidden = tensor_count(fc2->first) / s->dim;
    set(s, fc2, "blocks.{i}.mlp.fc2");
    set(s, only(s, 1, s->dim, s->hidden), "blocks.{i}.mlp.fc1");
}

static void decide_attention(sketch *s) {
    size_t dim = s->dim;
    kind *qkv = s->hidden == 3 * dim ? NULL : only(s, 1, dim, 3 * dim);
    set(s, qkv, "blocks.{i}.attn.qkv");
    if (qkv != NULL && s->transposed) qkv->axes = "in (qkv head dim)";
    if (qkv != NULL) {
        kind *proj = only(s, 1, dim, dim);
        set(s, proj, "blocks.{i}.attn.proj");
        if (proj != NULL && s->transposed) proj->axes = "(head dim) out";
    }
    for (size_t i = 0; i < s->count; i++) {
        kind *k = &s->kinds[i];
        const tensor *t = k->first;
        if (!k->in_blocks || t->rank != 3 || k->is_bias || tensor_count(t) != dim * dim) continue;
        if (t->shape[2] == dim && t->shape[0] != dim)
            k->ours = "blocks.{i}.attn.proj", k->axes = "head dim out";
        else if (t->shape[0] == dim && t->shape[2] != dim)
            k->others = "blocks.{i}.attn.q, .k, .v", k->axes = "in head dim";
    }
}

static int is_square(size_t n) {
    size_t root = 0;
    while (root * root < n && root < 4096) root++;
    return root * root == n;
}

/* The rows of tokens outside the blocks: [1][rows][embed_dim] or [rows][embed_dim]; 0: it has none. */
static size_t token_rows(const sketch *s, const kind *k) {
    const tensor *t = k->first;
    if (k->in_blocks || k->is_bias || k->bias != NULL || t->rank < 2 || t->rank > 3) return 0;
    if (t->shape[t->rank - 1] != s->dim || (t->rank == 3 && t->shape[0] != 1)) return 0;
    return t->shape[t->rank - 2];
}

/* One token alone is the class token; the largest that is a square and prefix tokens, the positions. A
   matrix may be the head, unless there is one. */
static void decide_tokens(sketch *s) {
    kind *token = NULL, *positions = NULL;
    size_t tokens = 0, most = 1;
    for (size_t i = 0; i < s->count; i++) {
        kind *k = &s->kinds[i];
        size_t rows = token_rows(s, k);
        if (rows == 1 && tokens++ == 0) token = k;
        if (rows > 1 && k->first->rank == 2 && !s->has_head) continue;
        if (rows > most) positions = k, most = rows;
        if (rows > 0) k->others = "cls_token, dist_token, reg_token or pos_embed";
    }
    if (tokens == 1) token->ours = "cls_token";
    if (positions != NULL && (is_square(most) || (most > tokens && is_square(most - tokens))))
        positions->ours = "pos_embed";
}

static void decide_outside(sketch *s) {
    kind *head = NULL, *norm = NULL;
    size_t heads = 0, norms = 0;
    for (size_t i = 0; i < s->count; i++) {
        kind *k = &s->kinds[i];
        if (k->in_blocks || k->is_bias) continue;
        if (is_convolution(k) && k->first->shape[0] == s->dim) k->ours = "patch_embed.proj";
        if (is_kernel(k) && k->first->shape[3] == s->dim)
            k->ours = "patch_embed.proj", k->axes = "row col chan out";
        if (k->bias != NULL && is_matrix(k) && maps(s, k, s->dim, outputs(s, k))) head = k, heads++;
        if (k->bias != NULL && has_shape(k, 1, s->dim, s->dim)) norm = k, norms++;
    }
    if (heads == 1 && outputs(s, head) != s->dim) set(s, head, "head"), s->has_head = 1;
    if (norms == 1) norm->ours = "norm";
}

/* What else there may be of a shape. */
static const char *suggest(const sketch *s, const kind *k) {
    if (k->pieces) return "blocks.{i}.attn.q, .k, .v or .qkv";
    if (has_shape(k, 1, s->dim, s->dim) && k->bias == NULL)
        return k->in_blocks ? "blocks.{i}.ls1.gamma or .ls2.gamma, or a bias"
                            : "cls_token, dist_token, or a bias";
    if (has_shape(k, 1, s->dim, s->dim))
        return k->in_blocks ? "blocks.{i}.norm1 or .norm2" : "norm or fc_norm";
    if (maps(s, k, s->dim, s->dim) && k->in_blocks)
        return "blocks.{i}.attn.q, .k, .v or .proj; a kernel with [in out]";
    if (is_matrix(k) && k->in_blocks) return "blocks.{i}.attn.qkv, .mlp.fc1 or .mlp.fc2";
    if (is_matrix(k) && outputs(s, k) == s->dim)
        return "patch_embed.proj with [out (row col chan=3)] or [out (chan=3 row col)]";
    return is_matrix(k) ? "head" : NULL;
}

/* ---- printing -------------------------------------------------------------------------------- */

static void print_shape(const kind *k) {
    printf("[");
    for (size_t i = 0; i < k->first->rank; i++) printf(i > 0 ? ", %zu" : "%zu", k->first->shape[i]);
    printf("]");
}

/* The axes of a bias are those of the weight that are outputs. */
static const char *bias_axes(const kind *k) {
    if (k->bias->first->rank != 2) return NULL;
    return "head dim";
}

static void print_line(const kind *k, const char *axes, const char *ours, const char *ending,
                       const char *others) {
    printf("%s", k->pattern);
    if (axes != NULL) printf(" [%s]", axes);
    printf(" = %s%s  # ", ours != NULL ? ours : "?", ours != NULL ? ending : "");
    print_shape(k);
    if (ours == NULL && others != NULL) printf(" %s", others);
    printf("\n");
}

static int has_ending(const char *ours) {
    return !text_ends_with(ours, "_token") && !text_ends_with(ours, "_embed");
}

/* "weight" and "bias" are one line if the names are so. */
static void print_kind(const sketch *s, kind *k) {
    const char *others = k->others != NULL ? k->others : suggest(s, k);
    size_t length = strlen(k->pattern);
    if (k->first->type == TENSOR_OTHER || tensor_count(k->first) == 0) {
        print_line(k, NULL, "-", "", NULL);
    } else if (k->bias != NULL && text_ends_with(k->pattern, ".weight")) {
        memcpy(k->pattern + length - 6, "*", 2);
        print_line(k, k->axes, k->ours, ".*", others);
    } else {
        int ending = k->ours != NULL && has_ending(k->ours);
        print_line(k, k->axes, k->ours, ending ? ".weight" : "", others);
        if (k->bias != NULL) print_line(k->bias, bias_axes(k), k->ours, ".bias", "its bias");
    }
}

static void print_summary(const sketch *s) {
    printf(
        "# ? is one of the names after the shape, ended by .weight, .bias or .* as on the left\n");
    size_t blocks = 0, least = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (!s->kinds[i].in_blocks || s->kinds[i].pieces || s->kinds[i].count < blocks) continue;
        blocks = s->kinds[i].count;
        least = s->kinds[i].least;
    }
    if (blocks == 0) printf("# no numbers of blocks in the names\n");
    else printf("# %zu blocks, numbered from %zu to %zu\n", blocks, least, least + blocks - 1);
    if (s->dim == 0) printf("# embed_dim is not known: no patch embedding [dim][chan][row][col]\n");
    else printf("# embed_dim %zu\n", s->dim);
    for (size_t i = 0; i < s->count; i++) {
        const kind *k = &s->kinds[i];
        if (k->ours == NULL || strcmp(k->ours, "pos_embed") != 0) continue;
        size_t rows = token_rows(s, k), prefix = 0;
        while (prefix < rows && !is_square(rows - prefix)) prefix++;
        printf("# %zu position embeddings: %zu prefix tokens, if the patches are a square\n", rows,
               prefix);
    }
    printf("# heads: --heads; epsilon: --eps; activation: --act; norms are before the branches\n");
}

void sketch_names(const checkpoint *c) {
    sketch s;
    memset(&s, 0, sizeof(s));
    make_kinds(&s, c);
    find_dim(&s);
    find_pieces(&s);
    find_biases(&s);
    if (s.dim > 0) {
        find_transposed(&s);
        decide_mlp(&s);
        decide_attention(&s);
        decide_outside(&s);
        decide_tokens(&s);
    }
    print_summary(&s);
    for (size_t i = 0; i < s.count; i++) {
        if (!s.kinds[i].is_bias) print_kind(&s, &s.kinds[i]);
    }
    for (size_t i = 0; i < s.count; i++) free(s.kinds[i].pattern);
    free(s.kinds);
}
