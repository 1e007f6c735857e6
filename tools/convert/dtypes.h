/* The dtype of each tensor in a file. Include after the implementation of vit.h.

   The matrices of the blocks, which are nearly all of a model, get the dtype that was asked for. Patch
   embedding, pre_logits and head, which every value passes through, get the next better one; only the
   head of an int4 model is int4. On DeiT-Tiny an int4 head adds 0.01 to a mean logit error of 0.24, and
   an int4 patch embedding would add 0.02. With f16 there, int8 would not be better (0.067 and 0.066);
   int8x is. */
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
    if (vit__in_block(t->role)) return in_blocks[asked];
    return asked == VIT_INT4 && t->role == VIT__HEAD ? in_blocks[asked] : outside[asked];
}

#endif
