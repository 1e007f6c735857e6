#include "list.h"

#include "layouts.h"
#include "report.h"
#include "sketch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names in a file may have any bytes: control characters are shown as '?'. */
static void print_name(const char *name, int width) {
    int length = 0;
    for (; *name != 0; name++, length++)
        putchar((unsigned char)*name < 0x20 || *name == 0x7F ? '?' : *name);
    for (; length < width; length++) putchar(' ');
}

static void print_tensor(const tensor *t, int width) {
    size_t sizes[TENSOR_RANK], rank = tensor_shape(t, sizes);
    print_name(t->name, width);
    printf("  %-4s [", t->dtype);
    for (size_t i = 0; i < rank; i++) printf(i > 0 ? ", %zu" : "%zu", sizes[i]);
    printf("]");
    if (t->original != NULL) {
        printf("  ");
        print_name(t->original, 0);
    }
    putchar('\n');
}

static void print_tensors(const checkpoint *c) {
    size_t width = 0, elements = 0;
    for (size_t i = 0; i < c->count; i++) {
        size_t length = strlen(c->tensors[i].name);
        if (length > width && length <= 80) width = length;
        elements += tensor_count(&c->tensors[i]);
    }
    for (size_t i = 0; i < c->count; i++) print_tensor(&c->tensors[i], (int)width);
    printf("\n%s: %zu tensors with %zu elements", c->file, c->count, elements);
    if (c->taken != NULL) printf(", those of the key '%s'", c->taken);
    putchar('\n');
}

/* What the tensors of a model say, and what they do not. */
static void print_model(checkpoint *c, const layout *l) {
    model m;
    memset(&m, 0, sizeof(m));
    m.checkpoint = c, m.layout = l;
    layout_measure(&m);
    const vit_config *config = &m.config;
    printf(
        "their shapes say: embed_dim %d, depth %d, mlp_dim %d, %d classes, patches of %dx%d in %d "
        "channels, %d prefix tokens, %d position embeddings\n",
        config->embed_dim, config->depth, config->mlp_dim, config->num_classes,
        config->patch_size[0], config->patch_size[1], config->in_chans, config->prefix_tokens,
        layout_pos_rows(&m));
    printf("they do not say: the heads (--heads), epsilon (--eps), the activation (--act), the "
           "picture's recipe; config.json or these options do\n");
}

void list_checkpoint(checkpoint *c) {
    const char *why = NULL, *reason;
    print_tensors(c);
    const tensor *refused = layout_refused(c, &reason);
    int heads = 0;
    const layout *l = refused == NULL ? layout_identify(c, &heads, &why) : NULL;
    if (l != NULL) {
        printf("the names are those of %s, as there is %s\n", l->title, why);
        print_model(c, l);
    } else if (refused != NULL) {
        printf("%s shows %s, which is not supported\n", refused->name, reason);
    } else {
        printf("the names are not those of timm, Hugging Face transformers, torchvision, CLIP, "
               "JAX or vit-pytorch, which have one of");
        for (size_t i = 0; (why = layout_first_name(i)) != NULL; i++)
            printf("%s %s", i > 0 ? "," : "", why);
        printf(
            "\n\nThe beginning of a file for --names (see --help); what the shapes do not decide "
            "is ?\n\n");
        sketch_names(c);
    }
    if (fflush(stdout) != 0) fail("the list cannot be written");
}
