/* Which dtype the tensors of a model get in a file. Include after the implementation of vit.h.

   The matrices of the blocks are nearly all of a model, and each of them is one among many: they get
   the dtype that was asked for. Patch embedding, pre_logits and head, through which everything goes,
   get the next better one, but for an int4 head. On DeiT-Tiny that adds 0.01 to a mean logit error of
   0.24, and a patch embedding of int4 would add 0.02; for int8, f16 there would not show (0.067 and
   0.066), for int8x it does (0.053 and 0.056). */
#ifndef DTYPES_H
#define DTYPES_H

typedef struct stored_dtype {
    vit__dtype dtype;
    int range; /* of integers; else 0 */
} stored_dtype;

static inline stored_dtype stored_dtype_of(vit_dtype asked, const vit__tensor *t) {
    static const stored_dtype in_blocks[VIT_DTYPE_COUNT] = {{VIT__F32, 0},    {VIT__F16, 0},
                                                            {VIT__BF16, 0},   {VIT__INT8, 63},
                                                            {VIT__INT8, 127}, {VIT__INT4, 8}};
    static const stored_dtype outside[VIT_DTYPE_COUNT] = {{VIT__F32, 0},  {VIT__F16, 0},
                                                          {VIT__BF16, 0}, {VIT__INT8, 127},
                                                          {VIT__F16, 0},  {VIT__INT8, 127}};
    if (t->order == VIT__ROWS) return in_blocks[VIT_F32];
    if (t->role >= VIT__Q && t->role <= VIT__FC2) return in_blocks[asked];
    return asked == VIT_INT4 && t->role == VIT__HEAD ? in_blocks[asked] : outside[asked];
}

#endif
