/* The sizes that follow from a config: none of their products overflows where vit__config_is_valid takes
   the config. Eva keeps no relation between numbers, so the factors of one product after the other go
   through the powers of two or four that they lie between, while all other numbers are unknown. */
#define VIT_IMPLEMENTATION
#include "vit.h"

#include "__fc_builtin.h"

enum { POWERS_OF_2 = 21, POWERS_OF_4 = 11 }; /* up to VIT__MAX_COUNT, 2^20 */

/* What the table of fields leaves of a config. */
static void make_unknown(vit_config *c) {
    enum { MOST = VIT__MAX_COUNT };
    for (int i = 0; i < 2; i++) {
        c->img_size[i] = Frama_C_interval(1, MOST), c->patch_size[i] = Frama_C_interval(1, MOST);
        c->pos_size[i] = Frama_C_interval(0, MOST);
        c->preprocess.resize_size[i] = Frama_C_interval(0, MOST);
    }
    c->in_chans = Frama_C_interval(1, MOST), c->num_classes = Frama_C_interval(0, MOST);
    c->embed_dim = Frama_C_interval(1, MOST), c->depth = Frama_C_interval(1, MOST);
    c->num_heads = Frama_C_interval(1, MOST), c->head_dim = Frama_C_interval(1, MOST);
    c->mlp_dim = Frama_C_interval(1, MOST), c->prefix_tokens = Frama_C_interval(0, MOST);
    c->head_tokens = Frama_C_interval(0, MOST), c->head_avg = Frama_C_interval(0, 2);
    c->pre_logits = Frama_C_interval(0, MOST);
    c->final_norm = (vit_final_norm)Frama_C_interval(0, VIT_FINAL_NORM_COUNT - 1);
    c->act = (vit_act)Frama_C_interval(0, VIT_ACT_COUNT - 1);
    c->output = (vit_output)Frama_C_interval(0, VIT_OUTPUT_COUNT - 1);
    c->preprocess.resize = (vit_resize)Frama_C_interval(0, VIT_RESIZE_COUNT - 1);
    c->norm_pre = Frama_C_interval(0, 1), c->qk_norm = Frama_C_interval(0, 1);
    c->patch_norm = Frama_C_interval(0, 1), c->embed_norm = Frama_C_interval(0, 1);
    c->pre_logits_l2 = Frama_C_interval(0, 1);
}

/* A number from 2^power up to the next power. */
static int about_2(int power) {
    return Frama_C_interval(1 << power, power == 20 ? 1 << 20 : (2 << power) - 1);
}

/* A number from 4^power up to the next power. */
static int about(int power) {
    return Frama_C_interval(1 << 2 * power, power == 10 ? 1 << 20 : (4 << 2 * power) - 1);
}

/* The shape of a tensor, and its entry in a directory that holds anything. */
static void check(const vit_config *c, vit__role role) {
    unsigned char entry[VIT__ENTRY_SIZE];
    Frama_C_make_unknown((char *)entry, sizeof(entry));
    if (!vit__config_is_valid(c)) return;
    vit__tensor t = vit__tensor_of(c, role, 0);
    vit__entry_matches(entry, &t, 0);
    if (role == VIT__POS_EMBED && c->pos_size[0] == 0) vit__num_tokens(c);
}

static void check_patch(const vit_config *c) {
    if (vit__config_is_valid(c)) vit__patch_inputs(c);
}

/* in_chans * patch_size[0] * patch_size[1] */
static void check_patches(vit_config c) {
    for (int i = 0; i < POWERS_OF_4; i++) {
        for (int j = 0; j < POWERS_OF_4; j++) {
            for (int k = 0; k < POWERS_OF_4; k++) {
                c.in_chans = about(i), c.patch_size[0] = about(j), c.patch_size[1] = about(k);
                check_patch(&c);
            }
        }
    }
}

/* The grid of patches, and that of positions: pos_size, or the former. */
static void check_grids(vit_config c) {
    for (int i = 0; i < POWERS_OF_2; i++) {
        for (int j = 0; j < POWERS_OF_2; j++) {
            vit_config grid = c, positions = c;
            grid.img_size[0] = about_2(i), grid.img_size[1] = about_2(j);
            grid.pos_size[0] = grid.pos_size[1] = 0;
            positions.pos_size[0] = about_2(i), positions.pos_size[1] = about_2(j);
            check(&grid, VIT__POS_EMBED), check(&positions, VIT__POS_EMBED);
        }
    }
}

/* num_heads * head_dim */
static void check_heads(vit_config c) {
    for (int i = 0; i < POWERS_OF_4; i++) {
        for (int j = 0; j < POWERS_OF_4; j++) {
            c.num_heads = about(i), c.head_dim = about(j);
            check(&c, VIT__Q), check(&c, VIT__PROJ); /* K and V have Q's shape */
        }
    }
}

/* The tensors after the last block, without pre_logits and with them. */
static void check_outputs(vit_config c) {
    c.pre_logits = 0;
    check(&c, VIT__HEAD);
    c.pre_logits = Frama_C_interval(1, VIT__MAX_COUNT);
    check(&c, VIT__PRE_LOGITS), check(&c, VIT__HEAD);
}

/* embed_dim * (head_tokens + 1) */
static void check_pooled(vit_config c) {
    for (int i = 0; i < POWERS_OF_4; i++) {
        for (int j = 0; j < POWERS_OF_4; j++) {
            c.embed_dim = about(i), c.head_tokens = about(j);
            check_outputs(c);
            c.head_tokens = 0;
            check_outputs(c);
        }
    }
}

int main(void) {
    vit_config c;
    memset(&c, 0, sizeof(c));
    make_unknown(&c);
    check_patches(c), check_grids(c), check_heads(c), check_pooled(c);
    check(&c, VIT__PREFIX_TOKENS), check(&c, VIT__NORM_PRE), check(&c, VIT__NORM1);
    check(&c, VIT__Q_NORM), check(&c, VIT__FC1);
    check(&c, VIT__FC2), check(&c, VIT__NORM), check(&c, VIT__EMBED_NORM);
    return 0;
}
