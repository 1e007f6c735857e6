/* vit.h - v0.2.0 - image classification with Vision Transformers (ViT), in one C header. MIT licence.

   #include "vit.h" wherever it is used; in exactly one C or C++ file write

       #define VIT_IMPLEMENTATION
       #include "vit.h"

   A picture in, labels out (examples/minimal.c is this as a complete program):

       vit_classifier classifier;
       vit_result best[5];
       vit_image image = {rgb, width, height, 0, 0, 0};          // 8 bits a channel, packed RGB
       vit_status status = vit_classifier_open(&classifier, "deit_tiny.vit", 0);
       if (status == VIT_OK) status = vit_classify(&classifier, &image, 1, 5, best);
       puts(status == VIT_OK ? best[0].label : vit_status_string(status));

   The same in memory of the caller's, as firmware does it (examples/steps.c): vit_model_load or
   vit_model_open; vit_preprocess resizes, crops and normalises; vit_forward gives logits, vit_scores
   probabilities, vit_top_k the best of them, and vit_model_label their names.

   SECTIONS (search for the number in brackets)

       [1]  this comment: configuration, memory, less of it, firmware, threads, determinism, numerics,
            Windows, untrusted files, merged tokens, what token 0 is, the .vit format
       [2]  interface: everything that a program calls, each with its contract
       [3]  prelude: hooks, platform
       [4]  small tools: checked sizes, little-endian reads, mathematics without libm, checksum,
            steps that threads share
       [5]  the file: tables of the header's fields and of the tensors' roles; every number checked
       [6]  preprocessing: resize as Pillow does it, crop, normalise; with vectors a block of rows at a
            time
       [7]  kernels: the contract of what each instruction set has its own of, in plain C, and which
            of them this machine runs
       [8]  products: rows times the panels of a matrix, for each type of operand
       [9]  layers: patch embedding, positions for other sizes, norms, attention, merging of tokens,
            MLP, pooling, head
       [10] forward: sizes and workspace of a pass, blocks one after the other, batches; attention
            rollout
       [11] results: softmax, scores, top-k, the answer
       [12] convenience: pictures in batches, load from a file, thread pool, classifier
       [13] targets: the kernels of [7] for each instruction set
       [14] licence

   CONFIGURATION (macros, defined where the implementation is compiled; none changes a struct)

       VIT_STATIC            every function is static: for a private copy in one file, which has
                             to define VIT_IMPLEMENTATION too
       VIT_API               put before each declaration (default: extern, or static by VIT_STATIC)
       VIT_MALLOC(context, size), VIT_FREE(context, pointer)
                             replace malloc and free; context is what the caller passed in
                             vit_load_options or to vit_pool_create
       VIT_NO_MALLOC         no heap: leaves out vit_model_load, vit_classifier and the thread pool
       VIT_NO_STDIO          no files: leaves out vit_model_load and vit_classifier
       VIT_NO_MMAP           vit_model_load always reads, never maps
       VIT_NO_THREADS        leaves out the thread pool
       VIT_NO_PREPROCESS     leaves out vit_preprocess: pictures come normalised, or in 8 bits at the
                             model's own size
       VIT_FREESTANDING      for firmware: VIT_NO_MALLOC, VIT_NO_STDIO, VIT_NO_THREADS and
                             VIT_NO_PREPROCESS, without libm and vit_rollout: see FIRMWARE
       VIT_ONLY_INT8, VIT_ONLY_PLAIN, VIT_NO_TANH, VIT_NO_LABELS, VIT_NO_PARALLEL,
       VIT_NO_MERGE, VIT_NO_LOW_MEMORY
                             leave out more: see FIRMWARE
       VIT_NO_SIMD           plain C only: no vector kernels
       VIT_MAX_ISA           the highest vit_isa that VIT_ISA_BEST may stand for (all)
       VIT_PROFILE(step)     called by vit_forward after each step, for profiling; expands to
                             nothing by default
       VIT_SELF              the name by which this file includes itself for the vector kernels
                             (its own where the compiler tells that, else "vit.h")
       VIT_EXPF, VIT_ERFF, VIT_TANHF, VIT_SQRTF
                             replace the functions of math.h, which is then not included

   MEMORY  The core allocates nothing. vit_workspace_size and vit_preprocess_workspace_size say how
   many bytes a call needs; the caller passes one buffer of at least that size, at any alignment,
   and may use it for anything else between calls. The size of vit_forward's workspace depends on
   the model and the options alone, so a size computed on one machine holds on every other. A model is
   used in place: in mapped memory, in flash, in an array. Opening it copies nothing.

   LESS MEMORY  options.low_memory makes the workspace smaller. What stays in it is the residual stream,
   in floats, and the keys and values of a block, in 8 bits each with int8 and int8x; all else is there
   for a few rows at a time, which go through the whole branch of a block. DeiT-Tiny in int8 at 224 x 224
   takes 251 KB so instead of 637 KB. The logits differ from those without it by rounding, as they do
   between instruction sets. With on_attention or merge attention is computed one head at a time instead.
   options.read_rows gives the pixels a row of patches at a time, in the workspace, so that no whole
   picture has to be in memory.

   FIRMWARE  With VIT_FREESTANDING nothing is included but stddef.h and stdint.h (the compiler's own
   header of vector instructions, unless VIT_NO_SIMD; string.h in C++ without -ffreestanding), and
   nothing is called but memcpy, memmove, memset, memcmp and what the compiler itself calls for
   floats, and for 32-bit division, on a processor without them. There is no heap, file, locale, libm,
   double or 64-bit division, nothing writable that is static, and no recursion. Pictures come at the
   model's own size, as bytes or normalised floats: vit_preprocess computes in double, as Pillow
   does. The deepest chain of calls takes less than 2.75 KB of stack on 32-bit processors at -Os; with
   options.parallel_for, twice that. At -O2 the images of examples/firmware have used 3.1 KB at most,
   their interrupt and the application included.
   More can be left out. The library takes 23,230 bytes on a Cortex-M4 at -Os (open, verify, forward,
   softmax, top_k). Each macro saves the bytes beside it; all seven together leave 12,250:

       VIT_ONLY_PLAIN   2990   what ViT and DeiT do without: models with other norms or activations than
                               GELU, without a head, or with positions for another size, which are
                               refused with VIT_ERROR_FEATURE; options.features, on_attention,
                               img_size
       VIT_ONLY_INT8    2230   models of int8 alone: those of vit-convert --dtype int8. Others are
                               refused with VIT_ERROR_FEATURE
       VIT_NO_TANH       410   models with VIT_ACT_GELU_TANH or pre_logits are refused too
       VIT_NO_LABELS     300   models are as if they had no labels
       VIT_NO_PARALLEL   530   options.parallel_for is not called
       VIT_NO_MERGE     3120   options.merge, which is refused
       VIT_NO_LOW_MEMORY
                        2040   options.low_memory and options.read_rows, which are refused

   THREADS  Every function may be called from any thread. A model is read-only once it is open: any
   number of threads, each with a workspace of its own, share one. vit_forward runs on the caller's
   thread unless options.parallel_for is set; vit_pool is an implementation of that.

   DETERMINISM  The logits of an image are the same to the bit for any number of threads, any batch
   size and any position in the batch. Between compilers, processors and instruction sets they differ
   by rounding. This holds where all threads have one floating-point mode (rounding, flush to zero):
   those of a vit_pool have the mode that their creator had then.

   NUMERICS  Everything is computed in float, but for what is multiplied by the blocks' matrices of
   int8, and the products of attention then: each row is quantized with a scale and a zero of its own,
   to 7 bits with int8 and to 8 bits (255 numbers) with int8x, as a head's queries and keys are,
   attention's weights to 12 bits and values to 8, so that no sum saturates and the products of the same
   integers are the same on every machine. Where the processor multiplies bf16, rows that the blocks'
   matrices of bf16 multiply are rounded to bf16 too, and summed in float; elsewhere such weights become
   floats. With weights of f32 logits agree with
   PyTorch's within 1e-5 of the largest logit. Preprocessing equals Pillow's and torchvision's to the
   bit. A NaN or an infinity in a pixel that a patch covers makes every logit of its image NaN, in all
   types of weights and instruction sets. One in the weights spreads as arithmetic has it; quantized
   rows take it as NaN. -ffast-math, its parts that would break this, and the x87's long intermediate
   results are refused with #error; clang, which has no macros for some parts, is told to ignore them.

   WINDOWS  Paths are UTF-8. Threads, locks and mapped files are the system's own (Windows 7 and later);
   windows.h is not included: the implementation declares the functions of kernel32 that it calls, as
   windows.h does, which may come before it or after it. gcc (mingw-w64) and clang make all of the library.
   MSVC itself, which it has not been tried with, finds no extension of gcc on its path: it makes the kernels
   in plain C, as there are vector kernels for gcc and clang alone. /fp:fast is refused.

   UNTRUSTED FILES  No content of a model file and no picture makes the library read out of bounds,
   abort or loop: every number is checked when the model is opened, and errors are returned. The
   weights themselves are data: a damaged one gives a wrong logit, which vit_model_verify finds
   beforehand (vit_model_load calls it unless told not to). All this is of a file that stays as it is.
   A mapped file that another program truncates or changes while it is in use can crash this one:
   where that may happen, read it instead (vit_load_options.no_map).

   MERGING TOKENS  With options.merge = r each block merges r pairs of tokens between attention and MLP,
   so that the blocks after it have fewer: faster, and a little less exact, without training (Bolya et
   al. 2023, arXiv:2210.09461, as their code does it). Every other token is matched with the one of the
   rest whose keys, the mean over the heads, are most like its own, by the cosine; the r best pairs
   become their means, weighted by how many tokens each stands for. Attention adds the logarithm of
   that number to the scores, and a mean of tokens (head_avg) is weighted by it. Prefix tokens never
   merge. r is cut to half of the tokens that may; 0 merges nothing, and a negative one is an error. So
   is one with on_attention or VIT_FEATURES_TOKENS, for which each token has to stay itself; on_block
   sees the tokens that are left, prefix tokens first. The workspace is that without merging, unless
   r * embed_dim is less than the number of tokens, or a model has one head: then it can be larger. With
   low_memory it is larger too: attention is computed one head at a time, as the keys of all are read again.

   WHAT TOKEN 0 IS  The class token is a learned vector, the same for every picture. It stands
   first, at position 0, in front of the patch tokens, and its position embedding is row 0. It
   carries nothing of the picture when it starts: it gathers by attention, block after block, and
   its output alone, token 0, feeds the head. So the last block is computed for token 0 alone, which
   is exact but for rounding. Models that feed the head with the mean of the patch tokens or of all
   tokens instead (head_avg), with or without a class token, are supported too.

   THE .vit FORMAT, version 1.  It is frozen: every later version of the library reads such files as this one.
   Little-endian throughout. u8 to u64 are unsigned; s8 and s32 are two's complement; f16 and f32 are
   IEEE 754's binary16 and binary32; bf16 is the upper half of an f32. [i] counts from 0. round16(n)
   is n rounded up to a multiple of 16.

   The file is a head (header, directory, chunk table, labels, zeros up to a multiple of 64), then
   the tensors, then the chunks. Every byte is covered by a checksum or compared with a constant.

     offset  type     header
          0  u8[8]    magic: 89 56 49 54 0D 0A 1A 0A
          8  u32      version: 1
         12  u32      head_checksum: XXH32 of the bytes [16, head_size)
         16  u32      head_size: a multiple of 64; the first tensor starts there
         20  u32      header_size: 384; a later writer may append fields, which are skipped
         24  u64      file_size
         32  u32      features: bits that a reader has to know; version 1 has none, so 0
         36  u32      entry_size: 48, the size of a directory entry; what is appended is skipped too
         40  u32      tensor_count
         44  u32      directory_offset: a multiple of 8, not before header_size
         48  u32      labels_offset
         52  u32      labels_size: 0 where the model has no labels
         56  u32      chunk_count
         60  u32      chunks_offset: a multiple of 8, in the head; ignored when chunk_count is 0
                      config, in timm's words
         64  u32[2]   img_size: height, width, in pixels
         72  u32[2]   patch_size: height, width; the grid is img_size / patch_size, rounded down
         80  u32      in_chans
         84  u32      num_classes; 0: no head, the output is what a head would read
         88  u32      embed_dim
         92  u32      depth: number of blocks
         96  u32      num_heads
        100  u32      head_dim: embed_dim / num_heads in every published ViT, but free here
        104  u32      mlp_dim
        108  u32      prefix_tokens: tokens in front of the patches, the class token first
        112  u32      head_tokens: the head reads the outputs of tokens 0 to head_tokens - 1 ...
        116  u32      head_avg: ... followed by 0 nothing, 1 the mean of the patch tokens, 2 the mean
                      of all tokens
        120  u32      final_norm: 0 each token is normalised, then pooled; 1 pooled, then normalised;
                      2 none
        124  u32      pre_logits: width of a layer in front of the head, with tanh unless
                      pre_logits_l2 is 1; 0: none
        128  u32      act: 0 GELU (erf), 1 GELU (tanh form), 2 quick GELU, 3 SwiGLU, 4 ReLU
        132  f32      norm_eps
                      preprocess: the recipe in resolved numbers
        136  u32      resize: 0 none, 1 short side to resize_size, 2 exactly to resize_size
        140  u32[2]   resize_size: height, width
        148  u32      interpolation: 0 bilinear, 1 bicubic, both as Pillow computes them
        152  u32      crop: how the offset of the centre crop to img_size is rounded, vit_crop below
        156  f32      rescale: x = u8 / rescale, then (x - mean) / std
        160  f32[4]   mean  } for each channel; with more than four channels they are not
        176  f32[4]   std   } used, and unused ones are mean 0 and std 1
        192  u8[64]   architecture: a name like a label (below), filled up with NUL
                      config, continued
        256  u32      output: what makes scores of the logits: 0 softmax, 1 a sigmoid for each class,
                      2 they are plain numbers, 3 they are an embedding, as without a head
        260  u32      norm_pre: 1: a norm before the blocks
        264  u32      qk_norm: 1: norms of each head's queries and keys
        268  u32      post_norm: 1: a block's norms follow its branches
        272  u32[2]   pos_size: height, width of the position embeddings' grid, in patches; 0: the
                      grid of the patches
        280  u32      patch_norm: 1: a norm of each patch's pixels before its embedding
        284  u32      embed_norm: 1: a norm of each patch's embedding before its position is added
        288  u32      pos_resample: how positions are resampled where the grid of the patches is not
                      pos_size, vit_pos_resample below
        292  f32      crop_pct: img_size / resize_size before rounding, for other sizes than img_size;
                      0: not known
        296  f32      reject_below: score of the first class below which none of the classes is meant,
                      0 to 1; 0: none
        300  u32      pre_logits_l2: 1: that layer's output is divided by its length (L2 norm), not
                      put through tanh
        304  u8[80]   spare: zeros; others are a feature that a build lacks

     offset  type     directory entry, tensor_count of them
          0  u32      role: 0 to 18, in the order of the tensors listed below
          4  u32      block: 0 to depth - 1 for the roles of a block, else 0
          8  u32      dtype: 0 f32, 1 f16, 2 bf16, 3 int8, 4 int4; each tensor has its own, but the
                      matrices of the blocks (q, k, v, proj, fc1, fc2) have one together
         12  u32      order: 0 rows, 1 panels of 16
         16  u32      rows: outputs of a matrix   } as the config gives them, before padding
         20  u32      cols: inputs of a matrix    }
         24  u32      range: the largest magnitude of an integer weight: 63 or 127 with int8, 8 with
                      int4; 0 with the others
         28  u32      checksum: XXH32 of the tensor's bytes
         32  u64      offset: where the one before ends; the first at head_size
         40  u64      size: in bytes, a multiple of 64, all padding (zeros) included

     offset  type     chunk table entry, chunk_count of them, 24 bytes each
          0  u32      tag: four letters. Version 1 knows none; a reader skips those it does not know
          4  u32      checksum: XXH32 of the chunk's bytes
          8  u64      offset: where the one before ends; the first where the last tensor ends
         16  u64      size: a multiple of 64

   The labels are num_classes strings, UTF-8 without control characters, each ended by one NUL.

   The tensors, in the order of the directory. One that would have no rows is absent:

     patch_embed    matrix [embed_dim][in_chans * patch height * patch width], the inputs in the
                    order channel, y, x
     prefix_tokens  rows [prefix_tokens][embed_dim]: the class token first
     pos_embed      rows [prefix_tokens + pos_size's][embed_dim]: prefix tokens first, then the grid
                    row by row; zeros for a token to which the model adds no position
     norm_pre       rows [2][embed_dim]: weight, bias; only with norm_pre
     for each block
       norm1        rows [2][embed_dim]
       q, k, v      matrix [num_heads * head_dim][embed_dim]; each head's outputs are padded to
                    round16(head_dim), so that a head starts on a panel
       q_norm, k_norm
                    rows [2][head_dim]; only with qk_norm
       proj         matrix [embed_dim][num_heads * head_dim]; each head's inputs are padded to
                    round16(head_dim)
       norm2        rows [2][embed_dim]
       fc1          matrix [mlp_dim][embed_dim]; with SwiGLU two of these, the gate's first, each
                    padded to round16(mlp_dim)
       fc2          matrix [embed_dim][mlp_dim]
     norm           rows [2][embed_dim]: the final norm (timm's norm or fc_norm)
     pre_logits     matrix [pre_logits][pooled tokens * embed_dim]: head_tokens of them, and one more
                    with head_avg
     head           matrix [num_classes][pre_logits, or else as there]; each pooled token's inputs
                    are padded to round16(embed_dim)
     patch_norm     rows [2][in_chans * patch height * patch width]: weight, bias, the inputs in the
                    order of patch_embed's; only with patch_norm
     embed_norm     rows [2][embed_dim]; only with embed_norm

   Rows (order 0, always f32): each row is padded with zeros to round16(cols) floats. Padded with
   zeros to a multiple of 64 bytes they are a tensor.

   A matrix (order 1, any dtype) has N = its padded outputs and K = its padded inputs, both multiples
   of 16. With w(n, k) the weight of output n for input k, y[n] = bias[n] + sum over k of
   x[k] * w(n, k). Biases are 0 where the model has none, and all padding is zero: weights, biases,
   scales, sums, and the bytes from the last of the following to a multiple of 64.

     f32, f16, bf16
       panels  the dtype [N / 16][K][16]: w(n, k) = panels[n / 16][k][n % 16]. So a panel is the
               weights of its 16 outputs for input 0, then for input 1, and so on
       bias    f32 [N]
     int8: symmetric, a scale for each output. K is at most 131072, with a range of 127 in the blocks
     65536, so that sums of products fit s32
       panels  s8 [N / 16][K / 4][16][4], -range to range, four neighbouring inputs together:
               w(n, k) = scale[n] * panels[n / 16][k / 4][n % 16][k % 4]
       bias    f32 [N]
       scale   f32 [N]
       sum     s32 [N]: over k of output n's integers in the panels, for activations whose zero is
               not 0
     int4: a scale for each output and each group of 32 inputs; G = K / 32, rounded up (the last
     group may have 16 inputs)
       panels  u8 [N / 16][K / 8][16][4], two weights a byte: with j = k % 8,
               byte = panels[n / 16][k / 8][n % 16][j % 4] has in its low nibble (bits 0 to 3) the
               input j < 4, in its high nibble (bits 4 to 7) the input j >= 4; a nibble is the weight
               plus 8, so that weights are -8 to 7 and padding is 0x88;
               w(n, k) = scale[n / 16][k / 32][n % 16] * (nibble - 8)
       bias    f32 [N]
       scale   f16 [N / 16][G][16]; it may be negative

   XXH32 is Yann Collet's xxHash, 32 bits, seed 0 (https://github.com/Cyan4973/xxHash, its
   doc/xxhash_spec.md). It needs no table, and any change within one aligned word changes it. */

#ifndef VIT__TARGET /* this file is not being included by itself, for [13] */

/* ---- [2] INTERFACE ------------------------------------------------------------------------- */

#ifndef VIT_H
#define VIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef VIT_FREESTANDING
#ifndef VIT_NO_MALLOC
#define VIT_NO_MALLOC
#endif
#ifndef VIT_NO_STDIO
#define VIT_NO_STDIO
#endif
#ifndef VIT_NO_THREADS
#define VIT_NO_THREADS
#endif
#ifndef VIT_NO_PREPROCESS
#define VIT_NO_PREPROCESS
#endif
#endif

#define VIT_VERSION_MAJOR 0
#define VIT_VERSION_MINOR 2
#define VIT_VERSION_PATCH 0
#define VIT_VERSION (VIT_VERSION_MAJOR * 10000 + VIT_VERSION_MINOR * 100 + VIT_VERSION_PATCH)

#ifndef VIT_API
#if defined(VIT_STATIC) && (defined(__GNUC__) || defined(__clang__))
#define VIT_API static __attribute__((unused))
#elif defined(VIT_STATIC)
#define VIT_API static
#else
#define VIT_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What went wrong. vit_status_string gives the text beside each. */
#define VIT_STATUS_LIST(X)                                                                \
    X(VIT_OK, "ok")                                                                       \
    X(VIT_ERROR_ARGUMENT, "an argument is NULL or out of range")                          \
    X(VIT_ERROR_ALIGNMENT, "the model's data does not start at a multiple of 16 bytes")   \
    X(VIT_ERROR_WORKSPACE, "the workspace is too small")                                  \
    X(VIT_ERROR_MEMORY, "out of memory")                                                  \
    X(VIT_ERROR_OPEN, "the file cannot be opened")                                        \
    X(VIT_ERROR_READ, "the file cannot be read")                                          \
    X(VIT_ERROR_MAGIC, "this is not a .vit file")                                         \
    X(VIT_ERROR_VERSION, "the file's format version is not supported")                    \
    X(VIT_ERROR_FEATURE, "the file needs a feature that this build does not have")        \
    X(VIT_ERROR_SIZE, "the file is shorter or longer than it says")                       \
    X(VIT_ERROR_HEAD, "the head of the file is damaged")                                  \
    X(VIT_ERROR_CONFIG, "the config in the file is out of range")                         \
    X(VIT_ERROR_LABELS, "the labels in the file are malformed")                           \
    X(VIT_ERROR_DIRECTORY, "the tensors in the file do not fit its config")               \
    X(VIT_ERROR_CHECKSUM, "the weights in the file are damaged")                          \
    X(VIT_ERROR_RANGE, "integer weights in the file are beyond the range that it states") \
    X(VIT_ERROR_BYTE_ORDER, "models can be used on little-endian machines only")          \
    X(VIT_ERROR_CHANNELS, "only models of 1 or 3 channels take pictures")                 \
    X(VIT_ERROR_ISA, "this machine or build does not have the instruction set asked for") \
    X(VIT_ERROR_STOPPED, "stopped by options.on_block or on_attention")                   \
    X(VIT_ERROR_CLASSES, "the model has no classes: its output is an embedding")

#define VIT__STATUS_NAME(name, text) name,
typedef enum vit_status { VIT_STATUS_LIST(VIT__STATUS_NAME) VIT_STATUS_COUNT } vit_status;

/* The text of a status, in English, for any value; never NULL. */
VIT_API const char *vit_status_string(vit_status status);

/* Activation of the MLP. */
typedef enum vit_act {
    VIT_ACT_GELU,       /* x * Phi(x), by erf: Hendrycks and Gimpel 2016, arXiv:1606.08415 */
    VIT_ACT_GELU_TANH,  /* its tanh form, from the same paper */
    VIT_ACT_QUICK_GELU, /* x * sigmoid(1.702 * x), from the same paper, as CLIP has it */
    VIT_ACT_SWIGLU,     /* silu(a) * b, fc1 giving a and b: Shazeer 2020, arXiv:2002.05202 */
    VIT_ACT_RELU,
    VIT_ACT_COUNT
} vit_act;

/* The final norm. */
typedef enum vit_final_norm {
    VIT_FINAL_NORM_TOKENS, /* each token is normalised, then they are pooled: timm's norm */
    VIT_FINAL_NORM_POOLED, /* they are pooled, then normalised: timm's fc_norm */
    VIT_FINAL_NORM_NONE,   /* there is none */
    VIT_FINAL_NORM_COUNT
} vit_final_norm;

/* What turns the logits into scores. */
typedef enum vit_output {
    VIT_OUTPUT_SOFTMAX,   /* probabilities of classes that exclude each other */
    VIT_OUTPUT_SIGMOID,   /* a probability for each class, whatever the others are */
    VIT_OUTPUT_NUMBER,    /* the logits are plain numbers: regression */
    VIT_OUTPUT_EMBEDDING, /* there are no classes: the output describes the picture */
    VIT_OUTPUT_COUNT
} vit_output;

/* "softmax", "sigmoid", "number", "embedding"; "unknown" for any other value. */
VIT_API const char *vit_output_name(vit_output output);

/* The output of a name; VIT_OUTPUT_COUNT where there is none. */
VIT_API vit_output vit_output_find(const char *name);

/* How position embeddings are resampled for another grid of patches: as the source of the model does it.
   Bicubic without antialiasing is PyTorch's (a = -0.75, clamped at the edges), with it Pillow's
   (a = -0.5). */
typedef enum vit_pos_resample {
    VIT_POS_BICUBIC_ANTIALIAS, /* timm, DINOv2 with registers */
    VIT_POS_BICUBIC,           /* Hugging Face transformers */
    VIT_POS_BICUBIC_ALIGNED,   /* torchvision: the corners' centres stay where they are */
    VIT_POS_BICUBIC_OFFSET,    /* DINOv2's own code: the scale is (size + 0.1) / old size */
    VIT_POS_BILINEAR,          /* timm, for Google's .npz */
    VIT_POS_RESAMPLE_COUNT
} vit_pos_resample;

typedef enum vit_resize {
    VIT_RESIZE_NONE,     /* the picture is taken as it is */
    VIT_RESIZE_SHORTEST, /* aspect ratio kept, the picture just covers resize_size: torchvision's
                            Resize(int), or timm's ResizeKeepRatio where the sides differ */
    VIT_RESIZE_EXACT,    /* to resize_size, whatever the aspect ratio */
    VIT_RESIZE_COUNT
} vit_resize;

typedef enum vit_interpolation {
    VIT_INTERPOLATION_BILINEAR,
    VIT_INTERPOLATION_BICUBIC,
    VIT_INTERPOLATION_COUNT
} vit_interpolation;

/* Offset of the centre crop, from the difference d = resized size - img_size. A negative one means
   that black is put around the picture. */
typedef enum vit_crop {
    VIT_CROP_TORCHVISION, /* d / 2 rounded to nearest, halves to even; d < 0: rounded up */
    VIT_CROP_FLOOR,       /* d / 2 rounded down, as Hugging Face's processors do */
    VIT_CROP_COUNT
} vit_crop;

/* How a picture becomes the model's input. */
typedef struct vit_preprocess_config {
    vit_resize resize;
    int resize_size[2]; /* height, width */
    vit_interpolation interpolation;
    vit_crop crop;
    float rescale; /* x = u8 / rescale, usually 255; then (x - mean) / std for each channel */
    float mean[4];
    float std[4];
    float crop_pct; /* img_size / resize_size before that was rounded; 0: not known */
} vit_preprocess_config;

/* What a model is. Names are timm's. */
typedef struct vit_config {
    const char *architecture; /* a name such as "deit_tiny_patch16_224"; may be empty, never NULL */
    int img_size[2];          /* height, width in pixels */
    int patch_size[2];        /* height, width in pixels */
    int in_chans;             /* 3: RGB, 1: grey */
    int num_classes;          /* outputs of the head; 0: there is none */
    int embed_dim;
    int depth; /* number of blocks */
    int num_heads;
    int head_dim;
    int mlp_dim;
    int prefix_tokens; /* tokens in front of the patches; the class token is the first of them */
    int head_tokens;   /* the head reads the first head_tokens tokens (1: the class token) ... */
    int head_avg;      /* ... and then, if 1, the mean of the patch tokens; if 2, of all tokens */
    vit_final_norm final_norm;
    int pre_logits; /* width of a layer in front of the head; 0: none */
    vit_act act;
    float norm_eps;
    vit_output output;
    int norm_pre;    /* 1: a norm in front of the blocks, as CLIP has it */
    int qk_norm;     /* 1: each head's queries and keys are normalised */
    int post_norm;   /* 1: x = norm1(x + attention(x)) and so on, as torch.nn's encoder has it */
    int patch_norm;  /* 1: a norm of each patch's pixels, in front of patch_embed */
    int embed_norm;  /* 1: a norm of each patch's embedding, before its position is added */
    int pos_size[2]; /* height, width of the position embeddings' grid; 0: that of the patches */
    vit_pos_resample pos_resample;
    float reject_below; /* score of the first class below which none of them is meant; 0: none */
    int pre_logits_l2; /* 0: pre_logits has tanh; 1: its output is divided by its length, as CLIP does */
    vit_preprocess_config preprocess;
} vit_config;

/* Instruction sets that there are kernels for, each with those before it of its processors. */
typedef enum vit_isa {
    VIT_ISA_BEST, /* the highest that machine and build have and that is no slower, up to VIT_MAX_ISA */
    VIT_ISA_PORTABLE,
    VIT_ISA_DSP,          /* Cortex-M4, M7, M33, not with -O0: products of integers alone */
    VIT_ISA_MVE,          /* Cortex-M55, with floats */
    VIT_ISA_NEON,         /* aarch64; 32-bit ARM only where the compiler is told so (-mfpu=neon,
                             neon-vfpv4 or later), as the whole program needs it then */
    VIT_ISA_NEON_DOTPROD, /* products of integers by sdot */
    VIT_ISA_NEON_I8MM,    /* by smmla */
    VIT_ISA_NEON_BF16,    /* products of bf16 too, by bfmmla */
    VIT_ISA_SIMD128,      /* WebAssembly */
    VIT_ISA_RVV,          /* RISC-V with V 1.0, by clang 19 */
    VIT_ISA_SSE41,        /* x86-64 */
    VIT_ISA_AVX2,         /* x86-64, with FMA */
    VIT_ISA_AVX2_VNNI,    /* AVX-VNNI: products of integers */
    VIT_ISA_AVX512,       /* x86-64, AVX-512F and BW */
    VIT_ISA_AVX512_VNNI,  /* AVX512-VNNI: products of integers */
    VIT_ISA_AVX512_BF16,  /* AVX512-BF16 too: products of bf16; slower than floats on Intel's */
    VIT_ISA_AMX,          /* Linux, AMX-INT8 and AMX-BF16 too: products of both */
    VIT_ISA_COUNT
} vit_isa;

/* What VIT_ISA_BEST stands for here. */
VIT_API vit_isa vit_best_isa(void);

/* "portable", "dsp", "mve", "neon", "neon-dotprod", "neon-i8mm", "neon-bf16", "simd128",
   "sse4.1", "avx2", "avx2-vnni", "avx512", "avx512-vnni", "avx512-bf16", "amx"; "best" for any other value. */
VIT_API const char *vit_isa_name(vit_isa isa);

/* The instruction set of a name; VIT_ISA_COUNT where there is none. */
VIT_API vit_isa vit_isa_find(const char *name);

/* What the weights of a model's blocks are stored as. */
typedef enum vit_dtype {
    VIT_F32,
    VIT_F16,   /* IEEE 754's half precision */
    VIT_BF16,  /* the upper half of a float */
    VIT_INT8,  /* -63 to 63 times a scale for each output */
    VIT_INT8X, /* -127 to 127, and activations of 8 bits: half the error of int8, slower on some */
    VIT_INT4,  /* -8 to 7 times a scale for each output and 32 inputs */
    VIT_DTYPE_COUNT
} vit_dtype;

/* "f32", "f16", "bf16", "int8", "int8x", "int4"; "unknown" for any other value. */
VIT_API const char *vit_dtype_name(vit_dtype dtype);

/* The type of a name; VIT_DTYPE_COUNT where there is none. */
VIT_API vit_dtype vit_dtype_find(const char *name);

/* An open model. Visible so that it can be placed anywhere; its members are private. */
typedef struct vit_model {
    vit_config config;
    const unsigned char *data;
    size_t size;
    const char *labels;                 /* NULL: none */
    const struct vit__kernels *kernels; /* the best here */
    void *memory;                       /* what vit_model_close has to release, NULL: nothing */
    int mapped;
    void *malloc_context;
} vit_model;

/* Open the model at data, size bytes, at a multiple of 16 (of 64 for full speed). The
   data must stay as it is while the model is in use; it is neither copied nor freed. The head of
   the file and every size and offset are checked; the weights are not (vit_model_verify). On an
   error the model may be closed but not used. */
VIT_API vit_status vit_model_open(vit_model *model, const void *data, size_t size);

/* Check the weights: VIT_ERROR_CHECKSUM where a checksum is wrong, VIT_ERROR_RANGE where an integer
   is beyond the range that the file states and an instruction set of this build would compute
   something else with it than another. Reads the whole file. */
VIT_API vit_status vit_model_verify(const vit_model *model);

/* Release what vit_model_load took. Harmless on a model from vit_model_open, and called twice. */
VIT_API void vit_model_close(vit_model *model);

/* The config of an open model; it lives as long as the model. */
VIT_API const vit_config *vit_model_config(const vit_model *model);

/* The type of the weights in an open model's blocks; where matrices of int8 have either range, that of
   the first. Biases, norms, tokens and positions are float always. */
VIT_API vit_dtype vit_model_dtype(const vit_model *model);

/* The name of a class, UTF-8, 0 <= index < num_classes; NULL where the model has no labels or index
   is out of range. It is part of the model's data. */
VIT_API const char *vit_model_label(const vit_model *model, int index);

/* A tensor of an open model. */
typedef struct vit_tensor {
    const char *name; /* "patch_embed", "q" and so on: see THE .vit FORMAT */
    int block;        /* 0 to depth - 1; -1: outside the blocks */
    int is_matrix;    /* 1: panels and a bias for each row; 0: rows of float */
    int rows, cols;   /* without padding */
    vit_dtype dtype;
    uint32_t checksum;
    size_t offset, size; /* bytes in the file, padding included */
} vit_tensor;

/* Number of tensors of an open model. */
VIT_API int vit_model_tensor_count(const vit_model *model);

/* What is stored as tensor `index` of an open model, 0 <= index < vit_model_tensor_count;
   VIT_ERROR_ARGUMENT for any other index. */
VIT_API vit_status vit_model_tensor(const vit_model *model, int index, vit_tensor *tensor);

/* vit_model_verify for one tensor. */
VIT_API vit_status vit_model_verify_tensor(const vit_model *model, int index);

/* A picture of 8 bits a channel. The strides are in bytes and may be negative (bottom-up: data
   points to the upper left pixel all the same). A stride of 0 stands for:
     pixel_stride    3: packed RGB
     row_stride      width * |pixel_stride|
     channel_stride  1 where a pixel takes 3 bytes or more; otherwise the picture is grey, and its one
                     byte a pixel stands for R, G and B
   So RGBA is pixel_stride 4; grey is pixel_stride 1; planar is pixel_stride 1 and channel_stride
   height * row_stride; BGR is data + 2, pixel_stride 3, channel_stride -1. */
typedef struct vit_image {
    const unsigned char *data;
    int width, height; /* 1 to 1048576 */
    ptrdiff_t row_stride;
    ptrdiff_t pixel_stride;
    ptrdiff_t channel_stride;
} vit_image;

/* Part of a step of vit_forward. */
typedef void (*vit_task)(void *arg, int index);

/* Calls task(arg, index) for every index in [0, count), in any order and on any threads, and returns
   when all calls have returned. count is at most options.threads. The tasks share out the work
   among themselves: an index that is left out, repeated or out of range changes nothing. (Where the
   compiler has no atomic integers, each index has to come once.) It is faster if a thread calls with
   the same index every time: then it goes on with the rows that it made. */
typedef void (*vit_parallel_for)(void *user, int count, vit_task task, void *arg);

/* What on_block sees: the residual stream after a block, for some images of the batch. */
typedef struct vit_block_output {
    int block;         /* 0 to depth - 1 */
    int image;         /* index in the batch of the first image */
    int images;        /* number of images */
    int tokens;        /* rows of each image: all tokens, or after the last block those in use */
    int embed_dim;     /* floats in a row */
    size_t row_stride; /* floats from one row to the next, also from image to image */
    const float *rows; /* [images * tokens][row_stride], token 0 first; valid during the call */
} vit_block_output;

/* What on_attention sees: how much some heads of a block attend to each token, for some images of the
   batch. With low_memory it is called for each head, otherwise once for all heads of a block. */
typedef struct vit_attention {
    int block;         /* 0 to depth - 1 */
    int head, heads;   /* the first head, and how many */
    int image, images; /* as in vit_block_output */
    int queries;       /* tokens that attend: all, or in the last block those in use */
    int tokens;        /* tokens that they attend to: all */
    size_t row_stride; /* floats from one row to the next */
    const float *rows; /* [images][heads][queries][row_stride], valid during the call: each is the
                          softmax of a query's scores, so that its sum is 1 */
} vit_attention;

typedef enum vit_pixel_type {
    VIT_PIXELS_F32, /* float [in_chans][height][width], normalised */
    VIT_PIXELS_U8,  /* uint8_t [height][width][in_chans], normalised while patches are read */
    VIT_PIXELS_COUNT
} vit_pixel_type;

/* What vit_forward puts out for an image. */
typedef enum vit_features {
    VIT_FEATURES_NONE, /* the logits; of a model without a head as the next */
    VIT_FEATURES_POOLED, /* what the head reads, in front of pre_logits: [head_tokens, and one more with
                            head_avg][embed_dim] */
    VIT_FEATURES_TOKENS, /* all tokens after the last block, and after the final norm where it comes
                            before pooling: [vit_token_count][embed_dim] */
    VIT_FEATURES_COUNT
} vit_features;

/* Gives the pixels of a row of patches: rows `row` to row + patch height - 1 of an image of the batch, in
   the type of the options, [in_chans][patch height][width] or [patch height][width][in_chans]. Nonzero
   stops the pass. It is called from the thread of vit_forward, image after image, from the top down, once
   for each row of patches. */
typedef int (*vit_read_rows)(void *user, int image, int row, void *pixels);

/* Options of vit_forward. All zero, or NULL, means default. */
typedef struct vit_options {
    int threads; /* tasks of parallel_for at a time; 0: all threads of a vit_pool, else 1 */
    vit_parallel_for parallel_for; /* NULL: everything on the caller's thread */
    void *parallel_user;           /* passed to parallel_for */
    int (*on_block)(void *user, const vit_block_output *output); /* nonzero stops the pass */
    void *on_block_user;
    int (*on_attention)(void *user, const vit_attention *attention); /* nonzero stops the pass */
    void *on_attention_user;
    vit_pixel_type pixel_type;
    int all_tokens; /* 1: compute every token in the last block too, for on_block to see */
    vit_isa isa;    /* forces a lower instruction set; one that is not there is an error. For AMX,
                       models of bf16, int8 and int8x ask Linux to let the process have its tiles;
                       sigaltstack then takes no stack of less than AT_MINSIGSTKSZ */
    int low_memory; /* 1: the smallest workspace; slower. See LESS MEMORY */
    vit_features features;
    int img_size[2]; /* height, width in pixels; 0: the model's own. Positions are resampled */
    int merge; /* tokens that each block merges with the ones most like them; see MERGING TOKENS */
    vit_read_rows read_rows; /* NULL: the pixels are those that vit_forward gets */
    void *read_rows_user;
} vit_options;

/* Number of floats of one image as vit_forward takes it: in_chans * height * width. 0 where
   options.img_size is out of range: smaller than a patch, or too large. */
VIT_API size_t vit_pixels_count(const vit_model *model, const vit_options *options);

#ifndef VIT_NO_PREPROCESS
/* Bytes of workspace that vit_preprocess needs for this picture; 0 where it would return an error. */
VIT_API size_t vit_preprocess_workspace_size(const vit_model *model, const vit_options *options,
                                             const vit_image *image);

/* Resize, crop and normalise a picture by the model's own recipe: pixels[in_chans][height][width].
   Equal to Pillow's resize (9.4: bilinear or bicubic, 8 bits) followed by torchvision's CenterCrop,
   ToTensor and Normalize, to the bit. For a model of one channel the picture is made grey first, by
   Pillow's formula. Models of other than 1 or 3 channels: VIT_ERROR_CHANNELS. Of the options img_size
   counts: resize_size grows with it, by crop_pct as timm computes it if the model knows that; and isa,
   which changes no bit: where there are vectors for pictures, one that is not there is VIT_ERROR_ISA. */
VIT_API vit_status vit_preprocess(const vit_model *model, const vit_options *options,
                                  const vit_image *image, float *pixels, void *workspace,
                                  size_t workspace_size);

/* VIT_OK, or the error that vit_preprocess would return: why that size is 0. */
VIT_API vit_status vit_preprocess_check(const vit_model *model, const vit_options *options,
                                        const vit_image *image);

/* vit_preprocess for count pictures, in pixels one after the other, each by one of the threads of
   options. An error is that of the first picture that has one; then pixels are not written. */
VIT_API size_t vit_preprocess_batch_workspace_size(const vit_model *model,
                                                   const vit_options *options,
                                                   const vit_image *images, int count);
VIT_API vit_status vit_preprocess_batch(const vit_model *model, const vit_options *options,
                                        const vit_image *images, int count, float *pixels,
                                        void *workspace, size_t workspace_size);

#ifndef VIT_ONLY_PLAIN
/* An options.img_size in the aspect ratio of a picture: whole patches, at most as many as the model's
   own size has, so that it takes no longer. VIT_ERROR_ARGUMENT where the picture has no size. */
VIT_API vit_status vit_native_img_size(const vit_model *model, const vit_image *image,
                                       int img_size[2]);
#endif
#endif

/* Floats that vit_forward puts out for an image; see vit_features. 0 where options are out of range. */
VIT_API size_t vit_output_count(const vit_model *model, const vit_options *options);

/* Tokens of an image: prefix tokens and patches. 0 where options are out of range. */
VIT_API int vit_token_count(const vit_model *model, const vit_options *options);

/* Bytes of workspace that vit_forward needs; 0 where it is not possible: an argument out of range,
   or more than SIZE_MAX. Grows with min(threads, batch), and by a little with threads. */
VIT_API size_t vit_workspace_size(const vit_model *model, const vit_options *options, int batch);

/* The same for a model that is not at hand, from its config and the vit_dtype of its blocks: for a
   program on the host that sizes a static array. */
VIT_API size_t vit_config_workspace_size(const vit_config *config, vit_dtype dtype,
                                         const vit_options *options, int batch);

/* VIT_OK, or why vit_workspace_size is 0: VIT_ERROR_ARGUMENT for an option or batch out of range,
   VIT_ERROR_MEMORY for more than SIZE_MAX; VIT_ERROR_ISA where the instruction set asked for is not
   there. */
VIT_API vit_status vit_forward_check(const vit_model *model, const vit_options *options, int batch);

/* Classify batch images. pixels: batch images in a row, of the type in options; NULL with
   options.read_rows, which gives them a few rows at a time. output: float [batch][vit_output_count],
   complete only if VIT_OK is returned; after an error their contents are unspecified. workspace: at least
   vit_workspace_size bytes, for the same options and batch. Nothing outside it is written, whatever the
   options are: one that is out of range is an error. on_block and on_attention are called from this
   thread, image after image; without them each thread may work on an image of its own, which is faster. */
VIT_API vit_status vit_forward(const vit_model *model, const vit_options *options,
                               const void *pixels, int batch, float *output, void *workspace,
                               size_t workspace_size);

#if !defined(VIT_ONLY_PLAIN) && !defined(VIT_FREESTANDING)
/* Attention rollout: Abnar and Zuidema 2020, arXiv:2005.00928. How much of each token of the input has
   reached `token` after the last block (0: the class token; -1: what the head reads, each of its tokens
   and the mean alike), if attention, averaged over the heads, and the residual stream take part
   equally. rollout: float [batch][vit_token_count], prefix tokens first; each image's sum is 1. All
   else is as for vit_forward, but on_attention is not called, and read_rows is an error. The workspace
   has depth * tokens^2 floats more. */
VIT_API size_t vit_rollout_workspace_size(const vit_model *model, const vit_options *options);
VIT_API vit_status vit_rollout(const vit_model *model, const vit_options *options,
                               const void *pixels, int batch, float *output, int token,
                               float *rollout, void *workspace, size_t workspace_size);
#endif

/* Probabilities from logits, both [num_classes]; they may be the same array. */
VIT_API void vit_softmax(const float *logits, int num_classes, float *probabilities);

/* What the model's output says its logits are: probabilities by softmax, by a sigmoid for each class, or
   the logits as they are (numbers and embeddings). Both have vit_output_count numbers, without options,
   and may be the same array. A logit that is not a number gives scores that are not. */
VIT_API void vit_scores(const vit_model *model, const float *logits, float *scores);

/* The indices of the k largest scores, largest first, equal ones by index, NaN last. Returns how
   many were written: min(k, num_classes). */
VIT_API int vit_top_k(const float *scores, int num_classes, int k, int *indices);

/* The class that scores, [num_classes] of vit_scores, are for: the first of vit_top_k. -1 where none of
   the classes is meant, as its score is below config.reject_below, or where no score is a number. */
VIT_API int vit_answer(const vit_model *model, const float *scores);

#if !defined(VIT_NO_MALLOC) && !defined(VIT_NO_STDIO)
/* Options of vit_model_load. All zero, or NULL, means default. */
typedef struct vit_load_options {
    int no_verify; /* 1: do not compute the checksums of the weights */
    int no_map;    /* 1: read into memory from VIT_MALLOC; default: map where the system can */
    void *malloc_context; /* passed to VIT_MALLOC and VIT_FREE */
    int threads; /* tasks of parallel_for at a time; 0: all threads of a vit_pool, else 1 */
    vit_parallel_for parallel_for; /* computes the checksums; NULL: the caller's thread */
    void *parallel_user;           /* passed to parallel_for */
} vit_load_options;

/* Open the model in a file. vit_model_close releases it. On Windows path is UTF-8, and as long as the file
   is mapped nobody can change or delete it. */
VIT_API vit_status vit_model_load(vit_model *model, const char *path,
                                  const vit_load_options *options);
#endif

#if !defined(VIT_NO_MALLOC) && !defined(VIT_NO_THREADS)
/* Processors that this process may use, at least 1: those of its affinity (Linux, Windows), and no more
   than the quota of its cgroup (Linux), else those of the machine. */
VIT_API int vit_processor_count(void);

/* A pool of threads for options.parallel_for: set parallel_for = vit_pool_parallel_for and
   parallel_user = pool. Several callers may share a pool: while it is busy, another caller's work
   runs on that caller's own thread. In a forked child, which has none of the threads, all work
   runs on the caller's thread and vit_pool_destroy frees the memory. Where other programs keep the
   processors busy, and waiting for the threads costs more than they save, the caller works alone for
   up to half a second before it tries them again. Threads of POSIX or of Windows; on other systems
   vit_pool_create returns NULL. */
typedef struct vit_pool vit_pool;

/* threads, up to 1024, counts the caller's; 0: vit_processor_count(). NULL on failure: then the
   functions below work without threads. */
VIT_API vit_pool *vit_pool_create(int threads, void *malloc_context);
VIT_API void vit_pool_destroy(vit_pool *pool);      /* NULL is ignored; no work may be under way */
VIT_API int vit_pool_threads(const vit_pool *pool); /* 1 for NULL */
VIT_API void vit_pool_parallel_for(void *pool, int count, vit_task task, void *arg);
#endif

#if !defined(VIT_NO_MALLOC) && !defined(VIT_NO_STDIO) && !defined(VIT_NO_PREPROCESS)
/* A model with all that it takes to classify pictures: the short way. One thread at a time may use it.
   Visible so that it can be placed anywhere; its members are private. */
typedef struct vit_classifier {
    vit_model model;
    vit_options options;
    int at_once; /* pictures */
    float *pixels, *scores;
    int *best;
    void *workspace;
    size_t workspace_size;
} vit_classifier;

/* A class of a picture. */
typedef struct vit_result {
    int index;         /* 0 to num_classes - 1; -1: there are no more classes */
    const char *label; /* its name, part of the model's data; "" where it has none */
    float score;       /* of vit_scores */
    int accepted;      /* 0: the score is below config.reject_below, or not a number */
} vit_result;

/* Open the model in a file, with as many threads; 0: vit_processor_count(). A model without classes, whose
   output is an embedding, is VIT_ERROR_CLASSES. On an error the classifier may be closed but not used. */
VIT_API vit_status vit_classifier_open(vit_classifier *classifier, const char *path, int threads);

/* Release it. Harmless on one that was not opened but is all zero, and called twice. */
VIT_API void vit_classifier_close(vit_classifier *classifier);

/* The open model, as long as the classifier is open. */
VIT_API const vit_model *vit_classifier_model(const vit_classifier *classifier);

/* The k best classes of each of count pictures: results [count][k], the best first. Its memory grows with
   the largest picture, not with count. */
VIT_API vit_status vit_classify(vit_classifier *classifier, const vit_image *images, int count,
                                int k, vit_result *results);
#endif

#ifdef __cplusplus
}
#endif
#endif /* VIT_H */

/* ---- [3] PRELUDE --------------------------------------------------------------------------- */

#if defined(VIT_IMPLEMENTATION) && !defined(VIT__IMPLEMENTED)
#define VIT__IMPLEMENTED

/* Floating point other than IEEE 754's breaks softmax, GELU, the checks for NaN, and Pillow's bits. */
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(_M_FP_FAST)
#error \
    "vit.h: compile without -ffast-math (/fp:fast) and its parts -ffinite-math-only, -funsafe-math-optimizations"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error \
    "vit.h: float has to be computed as float: on 32-bit x86 -msse2 -mfpmath=sse, elsewhere -fexcess-precision=fast"
#endif

/* In C++ the C library may declare these noexcept, so that declaring them again could conflict. */
#if !defined(VIT_FREESTANDING) || (defined(__cplusplus) && __STDC_HOSTED__)
#include <string.h>
#else
#define VIT__DECLARE_MEMORY
#endif

#if !defined(VIT_NO_MALLOC) && (!defined(VIT_MALLOC) || !defined(VIT_FREE))
#include <stdlib.h>
#endif
#if !defined(VIT_FREESTANDING) && \
    (!defined(VIT_EXPF) || !defined(VIT_ERFF) || !defined(VIT_TANHF) || !defined(VIT_SQRTF))
#include <math.h>
#endif

#ifndef VIT_MALLOC
#define VIT_MALLOC(context, size) ((void)(context), malloc(size))
#endif
#ifndef VIT_FREE
#define VIT_FREE(context, pointer) ((void)(context), free(pointer))
#endif
#ifndef VIT_PROFILE
#define VIT_PROFILE(step)
#endif

#ifdef VIT_FREESTANDING
/* The square root, if the processor has an instruction for it. */
#if (defined(__GNUC__) || defined(__clang__)) && !defined(VIT__EMULATED)
#if defined(__x86_64__)
#define VIT__SQRT(root, x) __asm__("sqrtss {%1, %0|%0, %1}" : "=x"(root) : "x"(x))
#elif defined(__aarch64__)
#define VIT__SQRT(root, x) __asm__("fsqrt %s0, %s1" : "=w"(root) : "w"(x))
#elif defined(__ARM_FP)
#define VIT__SQRT(root, x) __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x))
#elif defined(__riscv_flen)
#define VIT__SQRT(root, x) __asm__("fsqrt.s %0, %1" : "=f"(root) : "f"(x))
#endif
#endif
#endif

/* The VIT_ONLY and VIT_NO macros as 0 or 1, so that a plain `if` drops dead code. */
#ifdef VIT_ONLY_INT8
#define VIT__ONLY_INT8 1
#else
#define VIT__ONLY_INT8 0
#endif
#ifdef VIT_ONLY_PLAIN
#define VIT__FAMILIES 0
#else
#define VIT__FAMILIES 1
#endif
#ifdef VIT_NO_LABELS
#define VIT__LABELS 0
#else
#define VIT__LABELS 1
#endif
#ifdef VIT_NO_TANH
#define VIT__TANH 0
#else
#define VIT__TANH 1
#endif
#ifdef VIT_NO_PARALLEL
#define VIT__PARALLEL 0
#else
#define VIT__PARALLEL 1
#endif
#ifdef VIT_NO_MERGE
#define VIT__MERGES 0
#else
#define VIT__MERGES 1
#endif
#ifdef VIT_NO_LOW_MEMORY
#define VIT__LOW_MEMORY 0
#else
#define VIT__LOW_MEMORY 1
#endif

#ifndef VIT_FREESTANDING /* where [4] has its own */
#ifndef VIT_EXPF
#define VIT_EXPF(x) expf(x)
#endif
#ifndef VIT_ERFF
#define VIT_ERFF(x) erff(x)
#endif
#ifndef VIT_TANHF
#define VIT_TANHF(x) tanhf(x)
#endif
#ifndef VIT_SQRTF
#define VIT_SQRTF(x) sqrtf(x)
#endif
#endif

#if !defined(VIT_NO_MALLOC) && !defined(VIT_NO_STDIO)
#include <stdio.h>
#if !defined(VIT_NO_MMAP) && (defined(__unix__) || defined(__APPLE__))
#define VIT__MMAP
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#elif defined(_WIN32)
#define VIT__WINDOWS_FILES
#include <io.h>
#endif
#endif

#if !defined(VIT_NO_MALLOC) && !defined(VIT_NO_THREADS)
#if defined(__unix__) || defined(__APPLE__)
#define VIT__PTHREAD
#include <pthread.h>
#include <time.h>
#include <unistd.h>
#elif defined(_WIN32)
#define VIT__WINDOWS_THREADS
#include <process.h>
#if defined(__SSE__) || defined(_M_X64) || defined(_M_IX86)
#define VIT__MXCSR /* mingw-w64's fegetenv does not read its mode */
#include <xmmintrin.h>
#else
#include <fenv.h>
#endif
#endif
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define VIT__MSVC
#include <intrin.h>
#endif

/* Adds 1 to a number that threads share and gives what it was; undefined where the compiler cannot
   do that without a library. */
#if defined(VIT__COUNT_UP) /* the tests have one of their own */
#elif defined(VIT__MSVC)
#define VIT__COUNT_UP(p) (int)_InterlockedExchangeAdd((volatile long *)(p), 1)
#elif defined(__GCC_ATOMIC_INT_LOCK_FREE)
#if __GCC_ATOMIC_INT_LOCK_FREE == 2
#define VIT__COUNT_UP(p) __atomic_fetch_add(p, 1, __ATOMIC_RELAXED)
#endif
#elif defined(__clang__) && defined(_WIN32) /* as MSVC, it does not tell */
#define VIT__COUNT_UP(p) __atomic_fetch_add(p, 1, __ATOMIC_RELAXED)
#endif

/* Vector kernels that this compiler can make for this processor family: see [7]. */
#if !defined(VIT_NO_SIMD) && (defined(__GNUC__) || defined(__clang__))
#if defined(__x86_64__)
#define VIT__X86
#include <cpuid.h>
#include <immintrin.h>
#ifdef __has_include
#if __has_include(<avxvnniintrin.h>) /* gcc 11, clang 12 */
#define VIT__HAVE_AVXVNNI
#endif
#if __has_include(<avx512bf16intrin.h>) /* gcc 10, clang 9 */
#define VIT__HAVE_AVX512BF16
#endif
#if __has_include(<amxtileintrin.h>) || __has_include(<amxintrin.h>) /* gcc 11, clang 11 */
#if defined(__linux__) && defined(VIT__HAVE_AVX512BF16) && !defined(VIT__EMULATED) && \
    !defined(VIT_ONLY_INT8)
#define VIT__HAVE_AMX
#endif
#endif
#endif
#elif defined(__aarch64__)
#define VIT__AARCH64
#include <arm_neon.h>
#if defined(VIT_FREESTANDING)
#elif defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_WIN32)
#define VIT__PROCESSOR_FEATURE
#endif
#elif defined(__arm__) && defined(__ARM_NEON)
#define VIT__ARMV7
#include <arm_neon.h>
#elif defined(__wasm_simd128__)
#define VIT__WASM
#include <wasm_simd128.h>
#elif defined(__riscv_flen) && defined(__clang_major__)
#if __riscv_flen >= 64 && __clang_major__ >= 19
#if defined(__linux__) && !defined(VIT_FREESTANDING)
#define VIT__RVV_BY_SYSTEM /* which tells whether the processor has V */
#include <sys/auxv.h>
#endif
#ifdef __riscv_v
#define VIT__RVV
#elif defined(VIT__RVV_BY_SYSTEM) && !defined(__riscv_vector) /* no part of V */
#define VIT__RVV
#define VIT__RVV_CHOSEN /* functions of their own for it, as on x86 */
#endif
#endif
#elif defined(__ARM_FEATURE_MVE)
#if __ARM_FEATURE_MVE & 2 /* of floats too */
#define VIT__MVE
#include <arm_mve.h>
#endif
#elif defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_PROFILE)
#if __ARM_ARCH_PROFILE == 'M' && defined(__OPTIMIZE__) /* with -O0 it has too few registers */
#define VIT__DSP
#endif
#endif
#endif

/* Whether there are kernels that multiply bf16. */
#if (defined(VIT__AARCH64) || defined(VIT__HAVE_AVX512BF16)) && !defined(VIT_ONLY_INT8)
#define VIT__MULTIPLIES_BF16
#endif

/* Whether there are kernels that fetch what they read next: those for processors with large caches. */
#if defined(VIT__FETCHES) /* make coverage has one of its own */
#elif defined(VIT__X86) || defined(VIT__AARCH64) || defined(VIT__ARMV7)
#define VIT__FETCHES 1
#else
#define VIT__FETCHES 0
#endif

/* clang tells of most parts of fast-math by no macro: here they are switched off. */
#if defined(__clang__) && defined(__x86_64__)
#pragma float_control(precise, on, push)
#elif defined(__clang__)
#pragma clang fp reassociate(off)
#endif

/* clang 16 takes && and || with constants for mistakes, as C23 alone. */
#if defined(__clang__) && !defined(__cplusplus)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wconstant-logical-operand"
#endif

/* Whether there are kernels that resize pictures: the most rows that they take side by side. */
#if defined(VIT_NO_PREPROCESS)
#elif defined(VIT__X86)
#define VIT__PIXEL_ROWS 16
#elif defined(VIT__AARCH64) || defined(VIT__WASM)
#define VIT__PIXEL_ROWS 4
#endif

/* Whether there are kernels that sum products of bytes in 16 bits, which must not be too large. */
#if defined(VIT__X86) || defined(VIT__AARCH64) || defined(VIT__ARMV7) || defined(VIT__WASM)
#define VIT__SUMS_16 1
#else
#define VIT__SUMS_16 0
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What is called of kernel32, with the types that windows.h has: it defines too much to be included. A
   declaration without dllimport, which only MSVC wants, stands before each of windows.h, but not after. */
#if defined(_WIN32) && !defined(_WINDOWS_)
#ifdef _MSC_VER
#define VIT__KERNEL32(type) __declspec(dllimport) type __stdcall
#else
#define VIT__KERNEL32(type) type __stdcall
#endif
#ifdef _WIN64
typedef unsigned long long vit__uintptr;
#else
typedef unsigned long vit__uintptr;
#endif
struct _SECURITY_ATTRIBUTES;
struct _RTL_SRWLOCK;
struct _RTL_CONDITION_VARIABLE;
#ifdef VIT__PROCESSOR_FEATURE
VIT__KERNEL32(int) IsProcessorFeaturePresent(unsigned long feature);
#endif
#ifdef VIT__WINDOWS_FILES
VIT__KERNEL32(int)
MultiByteToWideChar(unsigned code_page, unsigned long flags, const char *from, int size,
                    wchar_t *to, int room);
VIT__KERNEL32(void *)
CreateFileMappingW(void *file, struct _SECURITY_ATTRIBUTES *security, unsigned long protection,
                   unsigned long size_high, unsigned long size_low, const wchar_t *name);
VIT__KERNEL32(void *)
MapViewOfFile(void *mapping, unsigned long access, unsigned long offset_high,
              unsigned long offset_low, vit__uintptr size);
VIT__KERNEL32(int) UnmapViewOfFile(const void *memory);
#endif
#ifdef VIT__WINDOWS_THREADS
VIT__KERNEL32(void) AcquireSRWLockExclusive(struct _RTL_SRWLOCK *lock);
VIT__KERNEL32(void) ReleaseSRWLockExclusive(struct _RTL_SRWLOCK *lock);
VIT__KERNEL32(int)
SleepConditionVariableSRW(struct _RTL_CONDITION_VARIABLE *condition, struct _RTL_SRWLOCK *lock,
                          unsigned long milliseconds, unsigned long flags);
VIT__KERNEL32(void) WakeConditionVariable(struct _RTL_CONDITION_VARIABLE *condition);
VIT__KERNEL32(void) WakeAllConditionVariable(struct _RTL_CONDITION_VARIABLE *condition);
VIT__KERNEL32(unsigned long) WaitForSingleObject(void *object, unsigned long milliseconds);
VIT__KERNEL32(void *) GetCurrentProcess(void);
VIT__KERNEL32(int)
GetProcessAffinityMask(void *process, vit__uintptr *of_process, vit__uintptr *of_system);
VIT__KERNEL32(unsigned long) GetActiveProcessorCount(unsigned short group);
union _LARGE_INTEGER;
VIT__KERNEL32(int) QueryPerformanceCounter(union _LARGE_INTEGER *count);
VIT__KERNEL32(int) QueryPerformanceFrequency(union _LARGE_INTEGER *a_second);
#endif
#if defined(VIT__WINDOWS_FILES) || defined(VIT__WINDOWS_THREADS)
VIT__KERNEL32(int) CloseHandle(void *object);
#endif
#elif defined(_WIN32)
typedef ULONG_PTR vit__uintptr;
#endif

#ifdef VIT__DECLARE_MEMORY
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
#endif

#define VIT__ALIGN 64      /* of tensors in the file and of buffers in the workspace */
#define VIT__PANEL 16      /* outputs of a matrix that are stored together */
#define VIT__TILE_ROWS 12  /* the largest tile_rows of all kernels but AMX's, 240 ... */
#define VIT__TILE_PANELS 2 /* ... and tile_panels of all */
#define VIT__MAX_THREADS 1024
#define VIT__PATCH_ROWS 36     /* patches in a task: each unpacked weight is used that often */
#define VIT__FEW_ROWS 4        /* queries at a time, with little memory ... */
#define VIT__FEW_PATCHES 3     /* ... and patches */
#define VIT__SLICE_INPUTS 1024 /* inputs unpacked at a time, at most */

/* ---- [4] SMALL TOOLS ----------------------------------------------------------------------- */

/* Sizes saturate: SIZE_MAX means "too large", and stays so through further sums and products. */
static size_t vit__add(size_t a, size_t b) {
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

static size_t vit__mul(size_t a, size_t b) {
    return b != 0 && a > SIZE_MAX / b ? SIZE_MAX : a * b;
}

static size_t vit__round_up(size_t n, size_t multiple) {
    size_t sum = vit__add(n, multiple - 1);
    return sum == SIZE_MAX ? SIZE_MAX : sum / multiple * multiple;
}

static size_t vit__round16(int n) {
    return ((size_t)n + 15) / 16 * 16;
}

static size_t vit__larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t vit__smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static int vit__min(int a, int b) {
    return a < b ? a : b;
}

static int vit__max(int a, int b) {
    return a > b ? a : b;
}

static uint32_t vit__u32(const unsigned char *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t vit__u64(const unsigned char *p) {
    return (uint64_t)vit__u32(p) | (uint64_t)vit__u32(p + 4) << 32;
}

/* A size or an offset; SIZE_MAX where it is larger than this machine's memory. */
static size_t vit__u64_size(const unsigned char *p) {
    uint64_t size = vit__u64(p);
    return size < SIZE_MAX ? (size_t)size : SIZE_MAX;
}

/* One number's bytes. With -ffreestanding memcpy would be a call, even for four bytes. */
#if defined(__GNUC__) || defined(__clang__)
#define VIT__COPY(to, from) __builtin_memcpy(to, from, sizeof(*(to)))
#else
#define VIT__COPY(to, from) memcpy(to, from, sizeof(*(to)))
#endif

static float vit__float_of(int32_t bits) {
    float x;
    VIT__COPY(&x, &bits);
    return x;
}

static int vit__is_finite(float x) {
    return x - x == 0.0f;
}

/* 1.5 * 2^23: a sum with it has in its low bits the nearest integer, even from the middle. */
#define VIT__SHIFT 12582912.0f

/* Before a function that kernels of vectors call. On x86 it has to become a part of them: code without AVX
   that is called between instructions of AVX waits for the upper halves of registers, long enough that
   int8 took an eighth longer. */
#ifdef VIT__X86
#define VIT__PART static inline __attribute__((always_inline))
#else
#define VIT__PART static
#endif

/* x rounded to that integer; limited to 256, so that whatever x is, even NaN, it is defined. */
VIT__PART int32_t vit__nearest(float x) {
    float limited = x < 256.0f ? x : 256.0f;
    limited = limited > -256.0f ? limited : -256.0f;
    float shifted = limited + VIT__SHIFT;
    int32_t bits;
    VIT__COPY(&bits, &shifted);
    return bits - 0x4B400000;
}

/* c[0] x^(count - 1) + ... + c[count - 1] */
static float vit__polynomial(const float *c, int count, float x) {
    float y = c[0];
    for (int i = 1; i < count; i++) y = y * x + c[i];
    return y;
}

/* The mathematics of a freestanding build. Bounds are in units in the last place of the result. */
#ifdef VIT_FREESTANDING

#ifndef VIT_EXPF
#define VIT_EXPF(x) vit__expf(x)
/* e^x, within 1 ULP for -87 <= x <= 88; arguments outside are clamped to that range. With x = n ln(2) + f,
   |f| <= ln(2) / 2, it is 2^n (1 + f + f^2 P(f)). ln(2) is in two parts, the first of which is exact
   times n. */
static float vit__expf(float x) {
    static const float p[] = {0.00138209877f, 0.00836867001f, 0.0416682623f, 0.166665211f,
                              0.49999994f};
    float limited = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x, power;
    int32_t n = vit__nearest(limited * 1.44269504f);
    float f = limited - (float)n * 0.693359375f + (float)n * 0.000212194440f;
    uint32_t bits = (uint32_t)(n + 127) << 23;
    VIT__COPY(&power, &bits);
    return (1.0f + (f + f * f * vit__polynomial(p, 5, f))) * power;
}
#endif

#ifndef VIT_ERFF
#define VIT_ERFF(x) vit__erff(x)
/* The error function, within 2 ULP: near 0 it is x (1 + P(x^2)), then 1 - exp(-x P(x)). */
static float vit__erff(float x) {
    static const float inner[] = {-0.000612119155f, 0.00501567917f, -0.0267796777f,
                                  0.112821043f,     -0.376125127f,  0.128379151f};
    static const float outer[] = {-0.000214924265f, 0.00322275911f, -0.0229152106f,
                                  0.105301604f,     0.635687828f,   1.12852347f};
    float a = x < 0 ? -x : x;
    if (a < 0.875f) return x + x * vit__polynomial(inner, 6, x * x);
    if (a > 4.0f) a = 4.0f;
    float y = 1.0f - VIT_EXPF(-a * vit__polynomial(outer, 6, a));
    return x < 0 ? -y : y;
}
#endif

#ifndef VIT_TANHF
#define VIT_TANHF(x) vit__tanhf(x)
/* The hyperbolic tangent, within 2 ULP: near 0 it is x + x^3 P(x^2). */
static float vit__tanhf(float x) {
    static const float inner[] = {0.0172404423f, -0.053044986f, 0.133258715f, -0.333331436f};
    float a = x < 0 ? -x : x;
    if (a < 0.5f) return x + x * (x * x * vit__polynomial(inner, 4, x * x));
    float y = 1.0f - 2.0f / (1.0f + VIT_EXPF(2.0f * a));
    return x < 0 ? -y : y;
}
#endif

#ifndef VIT_SQRTF
#define VIT_SQRTF(x) vit__sqrtf(x)
#ifdef VIT__SQRT
static float vit__sqrtf(float x) {
    float root;
    VIT__SQRT(root, x);
    return root;
}
#else
/* The square root, rounded as IEEE 754 has it, bit by bit. root and bit are fixed-point numbers with
   2^24 standing for 1; left is the remainder of x, scaled by 1 / bit. */
static float vit__sqrtf(float x) {
    uint32_t bits, root = 0;
    VIT__COPY(&bits, &x);
    if (!(x > 0) || bits >= 0x7F800000u) return x < 0 ? (x - x) / (x - x) : x;
    int exponent = vit__max(1, (int)(bits >> 23));
    uint32_t left = bits < 0x800000u ? bits : (bits & 0x7FFFFFu) | 0x800000u;
    while (left < 0x800000u) left <<= 1, exponent--;
    left <<= exponent % 2 != 0 ? 1 : 2;
    for (uint32_t bit = 1u << 24; bit > 0; bit >>= 1, left <<= 1) {
        if (left < 2 * root + bit) continue;
        left -= 2 * root + bit;
        root += bit;
    }
    bits = ((uint32_t)((exponent + 127) >> 1) << 23) + (root + 1) / 2 - 0x800000u;
    VIT__COPY(&x, &bits);
    return x;
}
#endif
#endif

#endif /* VIT_FREESTANDING */

static int vit__same_text(const char *a, const char *b) {
    for (; *a != 0 && *a == *b; a++) b++;
    return *a == *b;
}

static int vit__is_little_endian(void) {
    const uint32_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 1;
}

static uint32_t vit__rotate_left(uint32_t x, int bits) {
    return x << bits | x >> (32 - bits);
}

#define VIT__XXH1 2654435761u
#define VIT__XXH2 2246822519u
#define VIT__XXH3 3266489917u
#define VIT__XXH4 668265263u
#define VIT__XXH5 374761393u

static uint32_t vit__xxh32_round(uint32_t lane, const unsigned char *p) {
    return vit__rotate_left(lane + vit__u32(p) * VIT__XXH2, 13) * VIT__XXH1;
}

/* XXH32 with seed 0: Yann Collet, xxHash, doc/xxhash_spec.md. */
static uint32_t vit__xxh32(const void *data, size_t size) {
    const unsigned char *p = (const unsigned char *)data;
    size_t left = size;
    uint32_t hash = VIT__XXH5;
    if (size >= 16) {
        uint32_t a = VIT__XXH1 + VIT__XXH2, b = VIT__XXH2, c = 0, d = 0u - VIT__XXH1;
        for (; left >= 16; left -= 16, p += 16) {
            a = vit__xxh32_round(a, p);
            b = vit__xxh32_round(b, p + 4);
            c = vit__xxh32_round(c, p + 8);
            d = vit__xxh32_round(d, p + 12);
        }
        hash = vit__rotate_left(a, 1) + vit__rotate_left(b, 7) + vit__rotate_left(c, 12) +
               vit__rotate_left(d, 18);
    }
    hash += (uint32_t)size;
    for (; left >= 4; left -= 4, p += 4)
        hash = vit__rotate_left(hash + vit__u32(p) * VIT__XXH3, 17) * VIT__XXH4;
    for (; left > 0; left--, p++) hash = vit__rotate_left(hash + *p * VIT__XXH5, 11) * VIT__XXH1;
    hash = (hash ^ hash >> 15) * VIT__XXH2;
    hash = (hash ^ hash >> 13) * VIT__XXH3;
    return hash ^ hash >> 16;
}

/* Buffers cut one after the other from the caller's workspace, each at a multiple of VIT__ALIGN.
   With base NULL it only counts: take returns NULL and `used` grows. */
typedef struct vit__arena {
    unsigned char *base;
    size_t used; /* SIZE_MAX: too large */
} vit__arena;

static vit__arena vit__arena_make(void *workspace) {
    vit__arena arena;
    size_t misaligned = (size_t)((uintptr_t)workspace % VIT__ALIGN);
    arena.base = (unsigned char *)workspace;
    if (workspace != NULL) arena.base += (VIT__ALIGN - misaligned) % VIT__ALIGN;
    arena.used = 0;
    return arena;
}

static void *vit__arena_take(vit__arena *arena, size_t count, size_t element) {
    void *buffer = arena->base == NULL ? NULL : arena->base + arena->used;
    arena->used = vit__round_up(vit__add(arena->used, vit__mul(count, element)), VIT__ALIGN);
    return buffer;
}

/* What the caller has to pass for the arena to fit at any alignment; 0 where it is too large. */
static size_t vit__arena_size(const vit__arena *arena) {
    size_t size = vit__add(arena->used, VIT__ALIGN - 1);
    return size == SIZE_MAX ? 0 : size;
}

/* Whether a workspace is as large as one of these sizes. */
static int vit__has_room(size_t workspace_size, size_t need) {
    return need - 1 < workspace_size; /* none has room for one that is too large, 0 */
}

/* Part of a step: item `index` of it, by a worker that no other thread has at the same time. */
typedef void (*vit__task)(void *arg, int index, int worker);

#if !defined(VIT_NO_MALLOC) && !defined(VIT_NO_THREADS)
#define VIT__POOL
#endif

/* Workers of a step, at most. Each has its own part of the workspace. */
static int vit__threads(const vit_options *options) {
    if (!VIT__PARALLEL || options->parallel_for == NULL) return 1;
    if (options->threads > 0) return options->threads;
#ifdef VIT__POOL
    if (options->parallel_for == vit_pool_parallel_for)
        return vit_pool_threads((const vit_pool *)options->parallel_user);
#endif
    return 1;
}

static int vit__divide_up(int n, int by) {
    return n / by + (n % by != 0);
}

#define VIT__SHARES (VIT__FETCHES ? 8 : 1) /* of a step, at most; more is more code */

/* Indices of a step that one worker begins with, in a cache line of its own. */
typedef struct vit__share {
    int next, end;
    int claims; /* calls that wanted to be this worker: the first one is */
    char rest[VIT__ALIGN - 3 * sizeof(int)];
} vit__share;

/* A step that several workers share. */
typedef struct vit__step {
    vit__task task;
    void *arg;
    int workers, shares;
    int next_worker; /* of those without a share */
    vit__share share[VIT__SHARES];
} vit__step;

#ifdef VIT__COUNT_UP

static int vit__claim(vit__share *share) {
    return VIT__COUNT_UP(&share->claims) == 0;
}

/* A worker that no other call is: `index`, if it is free, so that a thread which always passes the same
   index has in each step the rows that it made in the one before. Negative if all are taken. */
static int vit__become_worker(vit__step *step, int index) {
    if (VIT__SHARES > 1) {
        if (index >= 0 && index < step->shares && vit__claim(&step->share[index])) return index;
        for (int i = 0; i < step->shares; i++)
            if (vit__claim(&step->share[i])) return i;
    }
    int worker = VIT__COUNT_UP(&step->next_worker);
    return worker < step->workers ? worker : -1;
}

/* What parallel_for calls, a vit_task. A worker takes the indices of its share, and then those that
   others have left. Nothing but speed depends on what parallel_for passes. */
static void vit__work(void *arg, int index) {
    vit__step *step = (vit__step *)arg;
    const int worker = vit__become_worker(step, index);
    if (worker < 0) return;
    for (int i = 0; i < step->shares; i++) {
        vit__share *share = &step->share[(worker + i) % step->shares];
        for (int at; (at = VIT__COUNT_UP(&share->next)) < share->end;)
            step->task(step->arg, at, worker);
    }
}

#else

/* Where nothing can be counted, an index has its tasks alone. */
static void vit__work(void *arg, int index) {
    const vit__step *step = (const vit__step *)arg;
    const int count = step->share[step->shares - 1].end;
    if (index < 0 || index >= step->workers) return;
    for (int i = index; i < count; i += step->workers) step->task(step->arg, i, index);
}

#endif

/* Run task for every index in [0, count). */
static void vit__parallel(const vit_options *options, int count, vit__task task, void *arg) {
    int workers = vit__min(vit__threads(options), count);
    if (!VIT__PARALLEL || workers <= 1) {
        for (int index = 0; index < count; index++) task(arg, index, 0);
        return;
    }
    vit__step step;
    step.task = task, step.arg = arg, step.workers = workers;
    step.shares = vit__min(workers, VIT__SHARES);
    step.next_worker = VIT__SHARES > 1 ? step.shares : 0;
    for (int i = 0, first = 0; i < step.shares; i++, first = step.share[i - 1].end) {
        vit__share *share = &step.share[i];
        share->next = first, share->claims = 0;
        share->end = first + vit__divide_up(count - first, step.shares - i);
    }
    options->parallel_for(options->parallel_user, workers, vit__work, &step);
#ifdef VIT__COUNT_UP
    vit__work(&step, 0); /* what is left where parallel_for called nothing */
#endif
}

VIT_API const char *vit_status_string(vit_status status) {
#define VIT__STATUS_TEXT(name, text) text,
    static const char *const texts[] = {VIT_STATUS_LIST(VIT__STATUS_TEXT)};
#undef VIT__STATUS_TEXT
    if ((unsigned)status >= VIT_STATUS_COUNT) return "unknown status";
    return texts[status];
}

/* ---- [5] THE FILE -------------------------------------------------------------------------- */

typedef struct vit__kernels vit__kernels;
static const vit__kernels *vit__kernels_of(vit_isa isa); /* [7] */

static const unsigned char vit__magic[8] = {0x89, 'V', 'I', 'T', 0x0D, 0x0A, 0x1A, 0x0A};

#define VIT__FORMAT_VERSION 1u
#define VIT__HEADER_SIZE 384u
#define VIT__NAME_OFFSET 192  /* of the architecture, 64 bytes */
#define VIT__SPARE_OFFSET 304 /* from here on zeros */
#define VIT__ENTRY_SIZE 48u
#define VIT__CHUNK_SIZE 24u
#define VIT__MAX_COUNT (1u << 20)  /* of every count in the config */
#define VIT__MAX_MATRIX (1u << 24) /* of either dimension of a matrix, and of tokens */
#define VIT__MAX_PIXELS (1u << 28) /* in_chans * height * width */
#define VIT__MAX_SUMMED \
    (1u << 17) /* products of 127 and an s8 whose sum fits an int32_t for sure */
#define VIT__MAX_SUMMED_X (1u << 16) /* products of 254 and an s8 */
#define VIT__GROUP 32                /* inputs of an int4 matrix that share a scale */

/* The range of a number of the header, after the sizes of the file's parts. */
typedef enum vit__range {
    VIT__FROM_0, /* u32, up to VIT__MAX_COUNT */
    VIT__FROM_1,
    VIT__FINITE,       /* f32 */
    VIT__POSITIVE,     /* f32, finite */
    VIT__NONZERO,      /* f32, finite */
    VIT__NOT_NEGATIVE, /* f32, finite */
    VIT__SHARE,        /* f32, 0 to 1 */
    VIT__CHOICES       /* + n: u32, below n, which counts the choices that this build computes */
} vit__range;

typedef struct vit__field {
    unsigned char word;  /* of the header: offset / 4 */
    unsigned char place; /* offset in vit_config */
    unsigned char size;  /* bytes there: an enum may take 1 */
    unsigned char count; /* of such numbers, one after the other */
    unsigned char range; /* vit__range */
} vit__field;

#define VIT__HEADER(offset, member, count, range)                                                \
    {                                                                                            \
        (offset) / 4, offsetof(vit_config, member), sizeof(((vit_config *)0)->member) / (count), \
            count, range                                                                         \
    }

#define VIT__CHOICE(n) ((int)VIT__CHOICES + (int)(n)) /* C++20 warns of sums of two enums */

/* The config and the recipe: what reads, checks and writes them walks this table. */
static const vit__field vit__fields[] = {
    VIT__HEADER(64, img_size, 2, VIT__FROM_1),
    VIT__HEADER(72, patch_size, 2, VIT__FROM_1),
    VIT__HEADER(80, in_chans, 1, VIT__FROM_1),
    VIT__HEADER(84, num_classes, 1, VIT__FROM_0),
    VIT__HEADER(88, embed_dim, 1, VIT__FROM_1),
    VIT__HEADER(92, depth, 1, VIT__FROM_1),
    VIT__HEADER(96, num_heads, 1, VIT__FROM_1),
    VIT__HEADER(100, head_dim, 1, VIT__FROM_1),
    VIT__HEADER(104, mlp_dim, 1, VIT__FROM_1),
    VIT__HEADER(108, prefix_tokens, 1, VIT__FROM_0),
    VIT__HEADER(112, head_tokens, 1, VIT__FROM_0),
    VIT__HEADER(116, head_avg, 1, VIT__CHOICE(3)),
    VIT__HEADER(120, final_norm, 1,
                VIT__CHOICE(VIT__FAMILIES ? VIT_FINAL_NORM_COUNT : VIT_FINAL_NORM_NONE)),
    VIT__HEADER(124, pre_logits, 1, VIT__FROM_0),
    VIT__HEADER(128, act, 1,
                VIT__CHOICE(VIT__FAMILIES ? VIT_ACT_COUNT : VIT_ACT_GELU_TANH + VIT__TANH)),
    VIT__HEADER(132, norm_eps, 1, VIT__POSITIVE),
    VIT__HEADER(136, preprocess.resize, 1, VIT__CHOICE(VIT_RESIZE_COUNT)),
    VIT__HEADER(140, preprocess.resize_size, 2, VIT__FROM_0),
    VIT__HEADER(148, preprocess.interpolation, 1, VIT__CHOICE(VIT_INTERPOLATION_COUNT)),
    VIT__HEADER(152, preprocess.crop, 1, VIT__CHOICE(VIT_CROP_COUNT)),
    VIT__HEADER(156, preprocess.rescale, 1, VIT__POSITIVE),
    VIT__HEADER(160, preprocess.mean, 4, VIT__FINITE),
    VIT__HEADER(176, preprocess.std, 4, VIT__NONZERO),
    VIT__HEADER(256, output, 1,
                VIT__CHOICE(VIT__FAMILIES ? VIT_OUTPUT_COUNT : VIT_OUTPUT_EMBEDDING)),
#ifndef VIT_ONLY_PLAIN
    VIT__HEADER(260, norm_pre, 1, VIT__CHOICE(2)),
    VIT__HEADER(264, qk_norm, 1, VIT__CHOICE(2)),
    VIT__HEADER(268, post_norm, 1, VIT__CHOICE(2)),
    VIT__HEADER(272, pos_size, 2, VIT__FROM_0),
    VIT__HEADER(280, patch_norm, 1, VIT__CHOICE(2)),
    VIT__HEADER(284, embed_norm, 1, VIT__CHOICE(2)),
    VIT__HEADER(288, pos_resample, 1, VIT__CHOICE(VIT_POS_RESAMPLE_COUNT)),
    VIT__HEADER(292, preprocess.crop_pct, 1, VIT__NOT_NEGATIVE),
    VIT__HEADER(300, pre_logits_l2, 1, VIT__CHOICE(2)),
#endif
    VIT__HEADER(296, reject_below, 1, VIT__SHARE),
};

#define VIT__FIELD_COUNT (sizeof(vit__fields) / sizeof(vit__fields[0]))

/* As in the directory; vit_dtype tells int8 of two ranges apart. */
typedef enum vit__dtype {
    VIT__F32,
    VIT__F16,
    VIT__BF16,
    VIT__INT8,
    VIT__INT4,
    VIT__DTYPE_COUNT
} vit__dtype;

typedef enum vit__order { VIT__ROWS, VIT__PANELS } vit__order;

/* Roles of tensors in the order of the directory: name, order, and rows and columns as a size and how
   often it is repeated, by names of vit__size. A tensor without rows is absent. */
#define VIT__ROLE_LIST(X)                                               \
    X(PATCH_EMBED, "patch_embed", PANELS, DIM, ONE, PATCH, ONE)         \
    X(PREFIX_TOKENS, "prefix_tokens", ROWS, PREFIX, ONE, DIM, ONE)      \
    X(POS_EMBED, "pos_embed", ROWS, POSITIONS, ONE, DIM, ONE)           \
    X(NORM_PRE, "norm_pre", ROWS, NORM_PRE, ONE, DIM, ONE)              \
    X(NORM1, "norm1", ROWS, TWO, ONE, DIM, ONE)  /* from here to FC2 */ \
    X(Q, "q", PANELS, HEAD_DIM, HEADS, DIM, ONE) /* for each block  */  \
    X(K, "k", PANELS, HEAD_DIM, HEADS, DIM, ONE)                        \
    X(V, "v", PANELS, HEAD_DIM, HEADS, DIM, ONE)                        \
    X(Q_NORM, "q_norm", ROWS, QK_NORM, ONE, HEAD_DIM, ONE)              \
    X(K_NORM, "k_norm", ROWS, QK_NORM, ONE, HEAD_DIM, ONE)              \
    X(PROJ, "proj", PANELS, DIM, ONE, HEAD_DIM, HEADS)                  \
    X(NORM2, "norm2", ROWS, TWO, ONE, DIM, ONE)                         \
    X(FC1, "fc1", PANELS, MLP, GATES, DIM, ONE)                         \
    X(FC2, "fc2", PANELS, DIM, ONE, MLP, ONE)                           \
    X(NORM, "norm", ROWS, FINAL_NORM, ONE, DIM, ONE)                    \
    X(PRE_LOGITS, "pre_logits", PANELS, PRE_LOGITS, ONE, DIM, POOLED)   \
    X(HEAD, "head", PANELS, CLASSES, ONE, HEAD_INPUT, HEAD_INPUTS)      \
    X(PATCH_NORM, "patch_norm", ROWS, PATCH_NORM, ONE, PATCH, ONE)      \
    X(EMBED_NORM, "embed_norm", ROWS, EMBED_NORM, ONE, DIM, ONE)

#define VIT__ROLE_NAME(role, name, order, rows, rows_repeat, cols, cols_repeat) VIT__##role,
typedef enum vit__role { VIT__ROLE_LIST(VIT__ROLE_NAME) VIT__ROLE_COUNT } vit__role;
#undef VIT__ROLE_NAME

/* Sizes that follow from a config c, of which the shapes of its tensors are made. */
#define VIT__SIZE_LIST(X)                                                        \
    X(ONE, 1)                                                                    \
    X(TWO, 2) /* weight and bias of a norm */                                    \
    X(NORM_PRE, VIT__FAMILIES * 2 * c->norm_pre)                                 \
    X(PATCH_NORM, VIT__FAMILIES * 2 * c->patch_norm)                             \
    X(EMBED_NORM, VIT__FAMILIES * 2 * c->embed_norm)                             \
    X(QK_NORM, VIT__FAMILIES * 2 * c->qk_norm)                                   \
    X(FINAL_NORM, VIT__FAMILIES && c->final_norm == VIT_FINAL_NORM_NONE ? 0 : 2) \
    X(DIM, c->embed_dim)                                                         \
    X(PATCH, vit__patch_inputs(c))                                               \
    X(PREFIX, c->prefix_tokens)                                                  \
    X(POSITIONS, vit__num_positions(c))                                          \
    X(HEAD_DIM, c->head_dim)                                                     \
    X(HEADS, c->num_heads)                                                       \
    X(MLP, c->mlp_dim)                                                           \
    X(GATES, 1 + vit__is_gated(c))                                               \
    X(POOLED, vit__pooled_tokens(c))                                             \
    X(PRE_LOGITS, c->pre_logits)                                                 \
    X(CLASSES, c->num_classes)                                                   \
    X(HEAD_INPUT, c->pre_logits > 0 ? c->pre_logits : c->embed_dim)              \
    X(HEAD_INPUTS, c->pre_logits > 0 ? 1 : vit__pooled_tokens(c))

#define VIT__SIZE_NAME(name, value) VIT__SIZE_##name,
enum { VIT__SIZE_LIST(VIT__SIZE_NAME) VIT__SIZE_COUNT };
#undef VIT__SIZE_NAME

typedef struct vit__role_shape {
    unsigned char order, rows, rows_repeat, cols, cols_repeat;
} vit__role_shape;

#define VIT__ROLE_SHAPE(role, name, order, rows, rows_repeat, cols, cols_repeat) \
    {VIT__##order, VIT__SIZE_##rows, VIT__SIZE_##rows_repeat, VIT__SIZE_##cols,  \
     VIT__SIZE_##cols_repeat},
static const vit__role_shape vit__role_shapes[VIT__ROLE_COUNT] = {VIT__ROLE_LIST(VIT__ROLE_SHAPE)};
#undef VIT__ROLE_SHAPE

/* A tensor as the config demands it. Dimensions along which something is repeated (heads, pooled
   tokens) are repeat * part, each part padded to a multiple of 16. Its dtype is the file's choice,
   and with it the size. */
typedef struct vit__tensor {
    vit__role role;
    int block;
    vit__order order;
    int rows, rows_repeat; /* rows: of one part */
    int cols, cols_repeat;
    size_t padded_rows; /* N of a matrix */
    size_t padded_cols; /* K of a matrix, floats in a row otherwise */
} vit__tensor;

/* A matrix in the file: N outputs and K inputs, padded, as the format has it. */
typedef struct vit__matrix {
    vit__dtype dtype;
    int range; /* of integer weights */
    size_t outputs, inputs;
    const unsigned char *weights; /* the panels ... */
    size_t panel_size;            /* ... of this many bytes each */
    const float *bias;            /* [N] */
    const float *scales;          /* int8: [N] */
    const int32_t *sums;          /* int8: [N] */
    const uint16_t *group_scales; /* int4: f16 [N / 16][G][16] */
} vit__matrix;

/* Rows of the grid of patches. */
static int vit__grid_height(const vit_config *c) {
    return c->img_size[0] / c->patch_size[0];
}

/* Columns of the grid of patches. */
static int vit__grid_width(const vit_config *c) {
    return c->img_size[1] / c->patch_size[1];
}

static int vit__num_patches(const vit_config *c) {
    return vit__grid_height(c) * vit__grid_width(c);
}

/* Inputs of a patch's embedding. */
static int vit__patch_inputs(const vit_config *c) {
    return c->in_chans * c->patch_size[0] * c->patch_size[1];
}

static int vit__num_tokens(const vit_config *c) {
    return c->prefix_tokens + vit__num_patches(c);
}

/* Rows and columns of the grid of the position embeddings. */
static int vit__pos_height(const vit_config *c) {
    return VIT__FAMILIES && c->pos_size[0] > 0 ? c->pos_size[0] : vit__grid_height(c);
}

static int vit__pos_width(const vit_config *c) {
    return VIT__FAMILIES && c->pos_size[1] > 0 ? c->pos_size[1] : vit__grid_width(c);
}

/* Position embeddings in the file, those of the prefix tokens included. */
static int vit__num_positions(const vit_config *c) {
    return c->prefix_tokens + vit__pos_height(c) * vit__pos_width(c);
}

static int vit__pooled_tokens(const vit_config *c) {
    return c->head_tokens + (c->head_avg != 0);
}

/* Whether the MLP has a gate beside what it lets pass. */
static int vit__is_gated(const vit_config *c) {
    return VIT__FAMILIES && c->act == VIT_ACT_SWIGLU;
}

static int vit__size_of(const vit_config *c, int size) {
#define VIT__SIZE_CASE(name, value) \
    case VIT__SIZE_##name:          \
        return value;
    switch (size) { VIT__SIZE_LIST(VIT__SIZE_CASE) }
#undef VIT__SIZE_CASE
    return 0; /* every size has its case */
}

/* Tensors of the roles from first to last; of one block, where they are those of blocks. */
static int vit__count_roles(const vit_config *c, int first, int last) {
    int count = 0;
    for (; first <= last; first++) count += vit__size_of(c, vit__role_shapes[first].rows) > 0;
    return count;
}

static int vit__tensors_of_block(const vit_config *c) {
    return vit__count_roles(c, VIT__NORM1, VIT__FC2);
}

static int vit__tensor_count(const vit_config *c) {
    return vit__count_roles(c, 0, VIT__ROLE_COUNT - 1) + (c->depth - 1) * vit__tensors_of_block(c);
}

/* Index in the directory. block is 0 for a role outside the blocks. */
static int vit__tensor_index(const vit_config *c, vit__role role, int block) {
    if (role > VIT__FC2) block = c->depth - 1;
    return vit__count_roles(c, 0, (int)role - 1) + block * vit__tensors_of_block(c);
}

/* Whether a role is that of a matrix in a block. */
static int vit__in_block(vit__role role) {
    return role >= VIT__Q && role <= VIT__FC2 && vit__role_shapes[role].order == VIT__PANELS;
}

/* The tensor of a role: its shape follows from the config. */
static vit__tensor vit__tensor_of(const vit_config *c, vit__role role, int block) {
    const vit__role_shape *shape = &vit__role_shapes[role];
    vit__tensor t;
    t.role = role, t.block = block, t.order = (vit__order)shape->order;
    t.rows = vit__size_of(c, shape->rows), t.rows_repeat = vit__size_of(c, shape->rows_repeat);
    t.cols = vit__size_of(c, shape->cols), t.cols_repeat = vit__size_of(c, shape->cols_repeat);
    size_t rows = t.order == VIT__ROWS ? (size_t)t.rows : vit__round16(t.rows);
    t.padded_rows = rows * (size_t)t.rows_repeat;
    t.padded_cols = vit__round16(t.cols) * (size_t)t.cols_repeat;
    return t;
}

/* The tensor at an index of the directory, 0 <= index < vit__tensor_count. */
static vit__tensor vit__tensor_at(const vit_config *c, int index) {
    int before = vit__count_roles(c, 0, VIT__NORM1 - 1), each = vit__tensors_of_block(c);
    int block = index < before ? 0 : vit__min((index - before) / each, c->depth - 1), role = 0;
    index -= block * each; /* as if there were that block alone */
    while (vit__count_roles(c, 0, role) <= index) role++;
    return vit__tensor_of(c, (vit__role)role, role > VIT__FC2 ? 0 : block);
}

/* Bytes of a panel: 16 outputs of `inputs` inputs. */
static size_t vit__panel_size(vit__dtype dtype, size_t inputs) {
    static const size_t bits[VIT__DTYPE_COUNT] = {32, 16, 16, 8, 4};
    return vit__mul(inputs, bits[dtype] * VIT__PANEL / 8);
}

/* Groups along the inputs of an int4 matrix. */
static size_t vit__groups(size_t inputs) {
    return vit__round_up(inputs, VIT__GROUP) / VIT__GROUP;
}

/* Bytes of a tensor in the file, with the zeros that fill it up. */
static size_t vit__tensor_size(const vit__tensor *t, vit__dtype dtype) {
    size_t panels = t->padded_rows / VIT__PANEL,
           beside = sizeof(float); /* of an output: its bias */
    if (t->order == VIT__ROWS)
        return vit__round_up(vit__mul(vit__mul(t->padded_rows, t->padded_cols), sizeof(float)),
                             VIT__ALIGN);
    if (dtype == VIT__INT8) beside += sizeof(float) + sizeof(int32_t);
    if (!VIT__ONLY_INT8 && dtype == VIT__INT4)
        beside += vit__groups(t->padded_cols) * sizeof(uint16_t);
    size_t panel = vit__add(vit__panel_size(dtype, t->padded_cols), beside * VIT__PANEL);
    return vit__round_up(vit__mul(panels, panel), VIT__ALIGN);
}

static const unsigned char *vit__entry(const unsigned char *file, int index) {
    return file + vit__u32(file + 44) + (size_t)index * vit__u32(file + 36);
}

/* The data of a tensor: of rows, or of a matrix of f32. */
static const float *vit__tensor_data(const vit_model *model, vit__role role, int block) {
    int index = vit__tensor_index(&model->config, role, block);
    const unsigned char *entry = vit__entry(model->data, index);
    return (const float *)(const void *)(model->data + vit__u64_size(entry + 32));
}

/* The matrix at data. */
static vit__matrix vit__matrix_at(const unsigned char *data, const vit__tensor *t, vit__dtype dtype,
                                  int range) {
    vit__matrix m;
    memset(&m, 0, sizeof(m));
    m.dtype = dtype, m.range = range;
    m.outputs = t->padded_rows, m.inputs = t->padded_cols;
    m.weights = data;
    m.panel_size = vit__panel_size(dtype, m.inputs);
    m.bias = (const float *)(const void *)(data + m.outputs / VIT__PANEL * m.panel_size);
    const void *after = m.bias + m.outputs;
    if (dtype == VIT__INT8) {
        m.scales = (const float *)after;
        m.sums = (const int32_t *)(const void *)(m.scales + m.outputs);
    }
    if (!VIT__ONLY_INT8 && dtype == VIT__INT4) m.group_scales = (const uint16_t *)after;
    return m;
}

static vit__matrix vit__matrix_of(const vit_model *model, vit__role role, int block) {
    const vit_config *c = &model->config;
    const unsigned char *entry = vit__entry(model->data, vit__tensor_index(c, role, block));
    vit__tensor t = vit__tensor_of(c, role, block);
    return vit__matrix_at(model->data + vit__u64_size(entry + 32), &t,
                          (vit__dtype)vit__u32(entry + 8), (int)vit__u32(entry + 24));
}

/* Whether a number of the header is in its range; VIT_ERROR_FEATURE for a choice that this build does
   not compute. */
static vit_status vit__check_number(int range, uint32_t value) {
    float number = vit__float_of((int32_t)value);
    int in_range = vit__is_finite(number);
    if (range >= VIT__CHOICES)
        return value < (uint32_t)(range - VIT__CHOICES) ? VIT_OK : VIT_ERROR_FEATURE;
    if (range <= VIT__FROM_1) in_range = value >= (uint32_t)range && value <= VIT__MAX_COUNT;
    if (range == VIT__POSITIVE) in_range &= number > 0;
    if (range == VIT__NONZERO) in_range &= number != 0;
    if (VIT__FAMILIES && range == VIT__NOT_NEGATIVE) in_range &= number >= 0;
    if (range == VIT__SHARE) in_range = value <= 0x3F800000; /* floats from 0 to 1, in order */
    return in_range ? VIT_OK : VIT_ERROR_CONFIG;
}

/* Whether both sides of pos_size are given, or none, and are not too many positions. */
static int vit__pos_size_is_valid(const vit_config *c) {
    size_t count = vit__mul((size_t)c->pos_size[0], (size_t)c->pos_size[1]);
    return (c->pos_size[0] > 0) == (c->pos_size[1] > 0) &&
           vit__add(count, (size_t)c->prefix_tokens) <= VIT__MAX_MATRIX;
}

/* Whether pictures may have a size: at least a patch, and not too many pixels and tokens. */
static int vit__img_size_is_valid(const vit_config *c, const int size[2]) {
    if (size[0] < c->patch_size[0] || size[1] < c->patch_size[1]) return 0;
    size_t pixels = vit__mul((size_t)size[0], (size_t)size[1]);
    size_t patches =
        vit__mul((size_t)(size[0] / c->patch_size[0]), (size_t)(size[1] / c->patch_size[1]));
    return vit__mul(pixels, (size_t)c->in_chans) <= VIT__MAX_PIXELS &&
           vit__add(patches, (size_t)c->prefix_tokens) <= VIT__MAX_MATRIX;
}

/* Whether every size that follows from the numbers fits an int. */
static int vit__config_is_valid(const vit_config *c) {
    if (!vit__img_size_is_valid(c, c->img_size)) return 0;
    if (c->head_tokens > c->prefix_tokens || vit__pooled_tokens(c) < 1) return 0;
    if (VIT__FAMILIES && c->num_classes == 0 &&
        (c->output != VIT_OUTPUT_EMBEDDING || c->pre_logits > 0))
        return 0;
    if (VIT__FAMILIES && c->pre_logits_l2 && c->pre_logits == 0) return 0;
    const int *resized = c->preprocess.resize_size;
    if (c->preprocess.resize != VIT_RESIZE_NONE && (resized[0] < 1 || resized[1] < 1)) return 0;
    size_t channels = (size_t)c->in_chans;
    size_t patch = vit__mul((size_t)c->patch_size[0], (size_t)c->patch_size[1]);
    size_t inner = vit__mul((size_t)c->num_heads, vit__round16(c->head_dim));
    size_t pooled = vit__mul((size_t)vit__pooled_tokens(c), vit__round16(c->embed_dim));
    if (vit__mul(patch, channels) > VIT__MAX_MATRIX) return 0;
    if (VIT__FAMILIES && !vit__pos_size_is_valid(c)) return 0;
    return inner <= VIT__MAX_MATRIX && pooled <= VIT__MAX_MATRIX;
}

/* Config and recipe as the header's bytes, which are zeros before. */
static void vit__write_config(unsigned char *header, const vit_config *c) {
    for (const vit__field *f = vit__fields; f < vit__fields + VIT__FIELD_COUNT; f++) {
        for (size_t i = 0; i < f->count; i++)
            memcpy(header + 4 * (f->word + i), (const unsigned char *)c + f->place + i * f->size,
                   f->size);
    }
}

/* Config and recipe from the header's bytes, checked. */
static vit_status vit__read_config(const unsigned char *header, vit_config *c) {
    memset(c, 0, sizeof(*c));
    c->architecture = (const char *)header + VIT__NAME_OFFSET;
    for (const vit__field *f = vit__fields; f < vit__fields + VIT__FIELD_COUNT; f++) {
        const unsigned char *p = header + 4 * f->word;
        unsigned char *to = (unsigned char *)c + f->place;
        for (int i = 0; i < f->count; i++, p += 4, to += f->size) {
            uint32_t value = vit__u32(p);
            vit_status status = vit__check_number(f->range, value);
            if (status != VIT_OK) return status;
            memcpy(to, &value, f->size);
        }
    }
    if (!vit__config_is_valid(c)) return VIT_ERROR_CONFIG;
    if ((!VIT__FAMILIES && c->num_classes == 0) || (!VIT__TANH && c->pre_logits > 0) ||
        (VIT__FAMILIES && !VIT__TANH && c->act == VIT_ACT_GELU_TANH))
        return VIT_ERROR_FEATURE;
    for (size_t i = VIT__FAMILIES ? VIT__SPARE_OFFSET : 260; i < VIT__HEADER_SIZE; i++) {
        if (!VIT__FAMILIES && i == 288) i = 300; /* what is of other sizes, and reject_below */
        if (header[i] != 0) return VIT_ERROR_FEATURE;
    }
    return VIT_OK;
}

/* Length of the UTF-8 sequence at p, at most left bytes; 0 where there is none, or a control
   character. The Unicode Standard, table 3-7. */
static size_t vit__utf8_length(const unsigned char *p, size_t left) {
    unsigned first = p[0];
    if (first < 0x80) return first >= 0x20 && first != 0x7F;
    size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                    : first >= 0xE0 && first <= 0xEF ? 3
                    : first >= 0xF0 && first <= 0xF4 ? 4
                                                     : 0;
    if (length == 0 || left < length) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0;
    }
    if (first == 0xC2 && p[1] < 0xA0) return 0; /* C1 controls */
    if ((first == 0xE0 && p[1] < 0xA0) || (first == 0xED && p[1] > 0x9F)) return 0;
    if ((first == 0xF0 && p[1] < 0x90) || (first == 0xF4 && p[1] > 0x8F)) return 0;
    return length;
}

/* Whether the bytes, at least one, are count strings of clean UTF-8, each ended by one NUL. */
static int vit__strings_are_valid(const unsigned char *p, size_t size, int count) {
    size_t i = 0;
    while (i < size) {
        if (p[i] == 0) {
            if (count == 0) return 0;
            count--, i++;
            continue;
        }
        size_t length = vit__utf8_length(p + i, size - i);
        if (length == 0) return 0;
        i += length;
    }
    return count == 0 && p[size - 1] == 0;
}

/* Whether the 64 bytes of a name are one such string, filled up with NUL. */
static int vit__name_is_valid(const unsigned char *p) {
    size_t length = 0;
    while (length < 64 && p[length] != 0) length++;
    for (size_t i = length; i < 64; i++) {
        if (p[i] != 0) return 0;
    }
    return length < 64 && (!VIT__LABELS || vit__strings_are_valid(p, length + 1, 1));
}

/* Whether a range is in the head, after the header. */
static int vit__in_head(const unsigned char *file, size_t offset, size_t size) {
    size_t head_size = vit__u32(file + 16), header_size = vit__u32(file + 20);
    return offset >= header_size && offset <= head_size && size <= head_size - offset;
}

/* Whether the first bytes of a file, size of them, can be those of a .vit file. */
static vit_status vit__check_start(const unsigned char *file, size_t size) {
    if (size < 12 || memcmp(file, vit__magic, sizeof(vit__magic)) != 0) return VIT_ERROR_MAGIC;
    if (vit__u32(file + 8) != VIT__FORMAT_VERSION) return VIT_ERROR_VERSION;
    return size < VIT__HEADER_SIZE ? VIT_ERROR_SIZE : VIT_OK;
}

static vit_status vit__check_head(const unsigned char *file, size_t size) {
    vit_status status = vit__check_start(file, size);
    if (status != VIT_OK) return status;
    if (vit__u64_size(file + 24) != size) return VIT_ERROR_SIZE;
    uint32_t head_size = vit__u32(file + 16), header_size = vit__u32(file + 20);
    if (head_size > size || head_size % VIT__ALIGN != 0) return VIT_ERROR_HEAD;
    if (header_size < VIT__HEADER_SIZE) return VIT_ERROR_VERSION; /* of a time before version 1 */
    if (header_size > head_size || vit__u32(file + 12) != vit__xxh32(file + 16, head_size - 16))
        return VIT_ERROR_HEAD;
    if (vit__u32(file + 32) != 0) return VIT_ERROR_FEATURE;
    return VIT_OK;
}

static vit_status vit__check_labels(const unsigned char *file, const vit_config *config) {
    uint32_t offset = vit__u32(file + 48), size = vit__u32(file + 52);
    if (!VIT__LABELS || size == 0) return VIT_OK;
    if (!vit__in_head(file, offset, size) ||
        !vit__strings_are_valid(file + offset, size, config->num_classes))
        return VIT_ERROR_LABELS;
    return VIT_OK;
}

/* Whether a tensor may be of a dtype with a range, both as the directory has them. */
static int vit__dtype_is_valid(const vit__tensor *t, uint32_t dtype, uint32_t range) {
    if (t->order == VIT__ROWS) return dtype == VIT__F32 && range == 0;
    if (dtype == VIT__INT8) {
        const int is_int8x = !VIT__ONLY_INT8 && range == 127 && vit__in_block(t->role);
        return (range == 63 || range == 127) &&
               t->padded_cols <= (is_int8x ? VIT__MAX_SUMMED_X : VIT__MAX_SUMMED);
    }
    if (!VIT__ONLY_INT8 && dtype == VIT__INT4) return range == 8;
    return dtype < VIT__DTYPE_COUNT && range == 0;
}

/* Whether this build computes with a tensor of a dtype. */
static int vit__has_dtype(const vit__tensor *t, uint32_t dtype, uint32_t range) {
    if (!VIT__ONLY_INT8 || t->order == VIT__ROWS) return 1;
    return dtype == VIT__INT8 && range == (vit__in_block(t->role) ? 63 : 127);
}

static int vit__entry_matches(const unsigned char *entry, const vit__tensor *t, size_t offset) {
    uint32_t dtype = vit__u32(entry + 8);
    return vit__u32(entry) == (uint32_t)t->role && vit__u32(entry + 4) == (uint32_t)t->block &&
           vit__dtype_is_valid(t, dtype, vit__u32(entry + 24)) &&
           vit__u32(entry + 12) == (uint32_t)t->order &&
           vit__u32(entry + 16) == (uint32_t)(t->rows * t->rows_repeat) &&
           vit__u32(entry + 20) == (uint32_t)(t->cols * t->cols_repeat) &&
           vit__u64_size(entry + 32) == offset &&
           vit__u64_size(entry + 40) == vit__tensor_size(t, (vit__dtype)dtype);
}

/* Every tensor has the shape that the config demands and starts where the one before ends. *end is
   where the last one ends. */
static vit_status vit__check_tensors(const unsigned char *file, size_t size,
                                     const vit_config *config, size_t *end) {
    uint32_t entry_size = vit__u32(file + 36), count = vit__u32(file + 40);
    uint32_t offset = vit__u32(file + 44);
    if (entry_size < VIT__ENTRY_SIZE || entry_size % 8 != 0 || offset % 8 != 0 ||
        count != (uint32_t)vit__tensor_count(config) ||
        !vit__in_head(file, offset, vit__mul(count, entry_size)))
        return VIT_ERROR_DIRECTORY;
    const unsigned char *query = vit__entry(file, vit__tensor_index(config, VIT__Q, 0));
    uint32_t dtype = vit__u32(query + 8);
    /* attention adds up integers over the tokens, and over the inputs of a head */
    if (dtype == VIT__INT8 && ((uint32_t)vit__num_tokens(config) > VIT__MAX_SUMMED ||
                               (!VIT__ONLY_INT8 && vit__u32(query + 24) == 127 &&
                                (uint32_t)config->head_dim > VIT__MAX_SUMMED_X)))
        return VIT_ERROR_DIRECTORY;
    *end = vit__u32(file + 16);
    for (int i = 0; i < (int)count; i++) {
        const unsigned char *entry = vit__entry(file, i);
        vit__tensor t = vit__tensor_at(config, i);
        if (!vit__has_dtype(&t, vit__u32(entry + 8), vit__u32(entry + 24)))
            return VIT_ERROR_FEATURE;
        if (!vit__entry_matches(entry, &t, *end)) return VIT_ERROR_DIRECTORY;
        if (vit__in_block(t.role) && vit__u32(entry + 8) != dtype) return VIT_ERROR_DIRECTORY;
        size_t tensor_size = vit__u64_size(entry + 40);
        if (tensor_size > size - *end) return VIT_ERROR_DIRECTORY;
        *end += tensor_size;
    }
    return VIT_OK;
}

/* Chunks fill the file from the end of the tensors to its own end. */
static vit_status vit__check_chunks(const unsigned char *file, size_t size, size_t end) {
    uint32_t count = vit__u32(file + 56), offset = vit__u32(file + 60);
    if (count > 0 &&
        (offset % 8 != 0 || !vit__in_head(file, offset, vit__mul(count, VIT__CHUNK_SIZE))))
        return VIT_ERROR_DIRECTORY;
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *entry = file + offset + (size_t)i * VIT__CHUNK_SIZE;
        size_t chunk_size = vit__u64_size(entry + 16);
        if (vit__u64_size(entry + 8) != end || chunk_size % VIT__ALIGN != 0 ||
            chunk_size > size - end)
            return VIT_ERROR_DIRECTORY;
        end += chunk_size;
    }
    return end == size ? VIT_OK : VIT_ERROR_SIZE;
}

VIT_API vit_status vit_model_open(vit_model *model, const void *data, size_t size) {
    const unsigned char *file = (const unsigned char *)data;
    vit_status status;
    size_t end = 0;
    if (model == NULL) return VIT_ERROR_ARGUMENT;
    memset(model, 0, sizeof(*model));
    if (data == NULL) return VIT_ERROR_ARGUMENT;
    if (!vit__is_little_endian()) return VIT_ERROR_BYTE_ORDER;
    if ((uintptr_t)data % 16 != 0) return VIT_ERROR_ALIGNMENT;
    if ((status = vit__check_head(file, size)) != VIT_OK) return status;
    if ((status = vit__read_config(file, &model->config)) != VIT_OK) return status;
    if (!vit__name_is_valid(file + VIT__NAME_OFFSET)) return VIT_ERROR_CONFIG;
    if ((status = vit__check_labels(file, &model->config)) != VIT_OK) return status;
    if ((status = vit__check_tensors(file, size, &model->config, &end)) != VIT_OK) return status;
    if ((status = vit__check_chunks(file, size, end)) != VIT_OK) return status;
    model->kernels = vit__kernels_of(vit_best_isa());
    model->data = file;
    model->size = size;
    if (VIT__LABELS && vit__u32(file + 52) > 0)
        model->labels = (const char *)file + vit__u32(file + 48);
    return VIT_OK;
}

/* Whether all bytes are from -range to range, 63 or 127; size is a multiple of 64. Four at a time: a
   byte with 128 added has to be 128 - range to 128 + range. */
static int vit__bytes_are_within(const unsigned char *p, size_t size, int range) {
    const uint32_t each = 0x01010101u, tops = 128 * each;
    uint32_t beyond = 0;
    for (size_t i = 0; i < size; i += 64, p += 64) {
        for (size_t j = 0; j < 64; j += 4) {
            uint32_t x, low;
            VIT__COPY(&x, p + j);
            x ^= tops, low = x & ~tops;
            uint32_t above = (low + (uint32_t)(127 - range) * each) & x;
            uint32_t below = ~((low + (uint32_t)range * each) | x);
            beyond |= (above | below) & tops;
        }
    }
    return beyond == 0;
}

static vit_status vit__verify_tensor(const vit_model *model, int index) {
    const unsigned char *entry = vit__entry(model->data, index);
    const unsigned char *data = model->data + vit__u64_size(entry + 32);
    if (vit__u32(entry + 28) != vit__xxh32(data, vit__u64_size(entry + 40)))
        return VIT_ERROR_CHECKSUM;
    if (VIT__SUMS_16 && vit__u32(entry + 8) == VIT__INT8) {
        vit__tensor t = vit__tensor_at(&model->config, index);
        size_t size = t.padded_rows * t.padded_cols;
        if (!vit__bytes_are_within(data, size, (int)vit__u32(entry + 24))) return VIT_ERROR_RANGE;
    }
    return VIT_OK;
}

VIT_API vit_status vit_model_verify_tensor(const vit_model *model, int index) {
    if (model == NULL || model->data == NULL || index < 0 ||
        index >= vit__tensor_count(&model->config))
        return VIT_ERROR_ARGUMENT;
    return vit__verify_tensor(model, index);
}

static vit_status vit__verify_chunks(const unsigned char *file) {
    vit_status status = VIT_OK;
    for (uint32_t i = 0; status == VIT_OK && i < vit__u32(file + 56); i++) {
        const unsigned char *entry = file + vit__u32(file + 60) + (size_t)i * VIT__CHUNK_SIZE;
        size_t offset = vit__u64_size(entry + 8), size = vit__u64_size(entry + 16);
        if (vit__u32(entry + 4) != vit__xxh32(file + offset, size)) status = VIT_ERROR_CHECKSUM;
    }
    return status;
}

VIT_API vit_status vit_model_verify(const vit_model *model) {
    if (model == NULL || model->data == NULL) return VIT_ERROR_ARGUMENT;
    vit_status status = VIT_OK;
    for (int i = 0; status == VIT_OK && i < vit__tensor_count(&model->config); i++)
        status = vit__verify_tensor(model, i);
    return status == VIT_OK ? vit__verify_chunks(model->data) : status;
}

VIT_API const vit_config *vit_model_config(const vit_model *model) {
    return &model->config;
}

VIT_API const char *vit_dtype_name(vit_dtype dtype) {
    static const char *const names[] = {"f32", "f16", "bf16", "int8", "int8x", "int4"};
    return (unsigned)dtype < VIT_DTYPE_COUNT ? names[dtype] : "unknown";
}

VIT_API const char *vit_output_name(vit_output output) {
    static const char *const names[VIT_OUTPUT_COUNT] = {"softmax", "sigmoid", "number",
                                                        "embedding"};
    return (unsigned)output < VIT_OUTPUT_COUNT ? names[output] : "unknown";
}

VIT_API vit_output vit_output_find(const char *name) {
    int output = 0;
    while (output < VIT_OUTPUT_COUNT && !vit__same_text(vit_output_name((vit_output)output), name))
        output++;
    return (vit_output)output;
}

VIT_API vit_dtype vit_dtype_find(const char *name) {
    int dtype = 0;
    while (dtype < VIT_DTYPE_COUNT && !vit__same_text(vit_dtype_name((vit_dtype)dtype), name))
        dtype++;
    return (vit_dtype)dtype;
}

/* The public name of a dtype and a range. */
static vit_dtype vit__dtype_of(vit__dtype dtype, int range) {
    static const vit_dtype dtypes[] = {VIT_F32, VIT_F16, VIT_BF16, VIT_INT8, VIT_INT4};
    return dtype == VIT__INT8 && range == 127 ? VIT_INT8X : dtypes[dtype];
}

VIT_API vit_dtype vit_model_dtype(const vit_model *model) {
    vit__matrix m = vit__matrix_of(model, VIT__Q, 0);
    return vit__dtype_of(m.dtype, m.range);
}

VIT_API int vit_model_tensor_count(const vit_model *model) {
    return vit__tensor_count(&model->config);
}

VIT_API vit_status vit_model_tensor(const vit_model *model, int index, vit_tensor *tensor) {
#define VIT__ROLE_TEXT(role, name, order, rows, rows_repeat, cols, cols_repeat) name,
    static const char *const names[VIT__ROLE_COUNT] = {VIT__ROLE_LIST(VIT__ROLE_TEXT)};
#undef VIT__ROLE_TEXT
    if (model == NULL || model->data == NULL || tensor == NULL || index < 0 ||
        index >= vit__tensor_count(&model->config))
        return VIT_ERROR_ARGUMENT;
    const unsigned char *entry = vit__entry(model->data, index);
    vit__tensor t = vit__tensor_at(&model->config, index);
    tensor->name = names[t.role];
    tensor->block = t.role >= VIT__NORM1 && t.role <= VIT__FC2 ? t.block : -1;
    tensor->is_matrix = t.order == VIT__PANELS;
    tensor->rows = (int)vit__u32(entry + 16), tensor->cols = (int)vit__u32(entry + 20);
    tensor->dtype = vit__dtype_of((vit__dtype)vit__u32(entry + 8), (int)vit__u32(entry + 24));
    tensor->checksum = vit__u32(entry + 28);
    tensor->offset = vit__u64_size(entry + 32), tensor->size = vit__u64_size(entry + 40);
    return VIT_OK;
}

VIT_API const char *vit_model_label(const vit_model *model, int index) {
    const char *label = model->labels;
    if (label == NULL || index < 0 || index >= model->config.num_classes) return NULL;
    while (index > 0) index -= *label++ == 0;
    return label;
}

/* The size of pictures that options (NULL: none) ask for, or the model's own. Returns whether it is in
   range. */
static int vit__img_size_of(const vit_config *c, const vit_options *options, int size[2]) {
    const int *from = options == NULL ? c->img_size : options->img_size;
    if (from[0] == 0 && from[1] == 0) from = c->img_size;
    size[0] = from[0], size[1] = from[1];
    return from == c->img_size || (VIT__FAMILIES && vit__img_size_is_valid(c, size));
}

/* Tokens of a picture of that size, which is in range. */
static int vit__tokens_at(const vit_config *c, const int size[2]) {
    return c->prefix_tokens + size[0] / c->patch_size[0] * (size[1] / c->patch_size[1]);
}

/* ---- [6] PREPROCESSING --------------------------------------------------------------------- */

/* torchvision's ToTensor and Normalize of one value, in the same order of operations. */
static float vit__normalize(const vit_preprocess_config *recipe, int channel, unsigned char value) {
    float x = (float)value / recipe->rescale;
    if (channel >= 4) return x;
    return (x - recipe->mean[channel]) / recipe->std[channel];
}

VIT_API size_t vit_pixels_count(const vit_model *model, const vit_options *options) {
    const vit_config *c = &model->config;
    int size[2];
    if (!vit__img_size_of(c, options, size)) return 0;
    return (size_t)c->in_chans * (size_t)size[0] * (size_t)size[1];
}

#ifndef VIT_NO_PREPROCESS

#define VIT__MAX_SIDE (1 << 20) /* of a picture */
#define VIT__MAX_RESIZED 1.0e9  /* of a resized picture, which is never held whole */
#define VIT__WEIGHT_BITS 22 /* of the fixed-point weights of a resize, Pillow's PRECISION_BITS */

/* One axis of resize and crop: of `in` pixels resized to `out`, those from `start` on are wanted,
   `size` of them. What is outside [0, out) is black. */
typedef struct vit__axis {
    int in, out, start, size;
    double scale;   /* in / out */
    double stretch; /* of the filter: max(scale, 1) */
    double support; /* half the width of the stretched filter, in input pixels */
    int taps;       /* largest number of input pixels of an output pixel */
    vit_interpolation interpolation;
} vit__axis;

/* Input pixels of one output pixel; count 0: black. */
typedef struct vit__span {
    int first, count;
} vit__span;

static double vit__filter(vit_interpolation interpolation, double x) {
    const double a = -0.5;
    double t = x < 0 ? -x : x;
    if (interpolation == VIT_INTERPOLATION_BILINEAR) return t < 1 ? 1 - t : 0;
    if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
    return 0;
}

/* The input pixels of output pixel x of the resized axis and their weights [taps], in fixed point.
   Pillow, src/libImaging/Resample.c, precompute_coeffs and normalize_coeffs_8bpc. */
static vit__span vit__resample_weights(const vit__axis *axis, int x, int32_t *weights) {
    vit__span span = {0, 0};
    if (x < 0 || x >= axis->out) return span;
    double center = (x + 0.5) * axis->scale, sum = 0, per_pixel = 1 / axis->stretch;
    span.first = vit__max(0, (int)(center - axis->support + 0.5));
    span.count = vit__min(axis->in, (int)(center + axis->support + 0.5)) - span.first;
    for (int i = 0; i < span.count; i++)
        sum += vit__filter(axis->interpolation, (i + span.first - center + 0.5) * per_pixel);
    for (int i = 0; i < span.count; i++) {
        double w = vit__filter(axis->interpolation, (i + span.first - center + 0.5) * per_pixel);
        w = w / sum * (1 << VIT__WEIGHT_BITS);
        weights[i] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
    return span;
}

/* Offset of a centre crop, d = resized size - wanted size: see vit_crop. */
static int vit__crop_start(vit_crop crop, int d) {
    if (crop == VIT_CROP_FLOOR) return d >= 0 ? d / 2 : -((1 - d) / 2);
    if (d < 0) return -(-d / 2);
    int half = d / 2;
    return d % 2 != 0 && half % 2 != 0 ? half + 1 : half;
}

static vit__axis vit__make_axis(const vit_preprocess_config *recipe, int in, int out, int size) {
    vit__axis axis;
    axis.in = in, axis.out = out, axis.size = size;
    axis.start = vit__crop_start(recipe->crop, out - size);
    axis.interpolation = recipe->interpolation;
    axis.scale = (double)in / out;
    axis.stretch = axis.scale > 1 ? axis.scale : 1;
    axis.support = axis.stretch * (axis.interpolation == VIT_INTERPOLATION_BICUBIC ? 2 : 1);
    axis.taps = vit__min(in, 2 * ((int)axis.support + 1) + 1);
    return axis;
}

static double vit__round_half_even(double x) {
    double down = (double)(int)x, rest = x - down;
    int odd = (int)x % 2 != 0;
    return rest > 0.5 || (rest == 0.5 && odd) ? down + 1 : down;
}

/* Height and width of the resized picture; 0 where they are out of range. Where both sides of
   resize_size are the same this is torchvision's Resize(int), otherwise timm's ResizeKeepRatio. */
static int vit__resized_size(const vit_preprocess_config *recipe, int height, int width,
                             int out[2]) {
    double size[2] = {(double)height, (double)width};
    if (recipe->resize == VIT_RESIZE_EXACT) {
        size[0] = recipe->resize_size[0], size[1] = recipe->resize_size[1];
    } else if (recipe->resize == VIT_RESIZE_SHORTEST) {
        double ratio_height = size[0] / recipe->resize_size[0];
        double ratio_width = size[1] / recipe->resize_size[1];
        double ratio = ratio_height < ratio_width ? ratio_height : ratio_width;
        if (size[0] / ratio > VIT__MAX_RESIZED || size[1] / ratio > VIT__MAX_RESIZED) return 0;
        int longer = height > width ? 0 : 1, shorter = 1 - longer;
        if (recipe->resize_size[0] == recipe->resize_size[1]) {
            size[longer] = recipe->resize_size[0] * size[longer] / size[shorter];
            size[shorter] = recipe->resize_size[0];
        } else {
            size[0] = vit__round_half_even(size[0] / ratio);
            size[1] = vit__round_half_even(size[1] / ratio);
        }
    }
    out[0] = vit__max(1, (int)size[0]);
    out[1] = vit__max(1, (int)size[1]);
    return 1;
}

/* The picture with every stride written out. */
static vit_image vit__explicit_strides(const vit_image *image) {
    vit_image full = *image;
    if (full.pixel_stride == 0) full.pixel_stride = 3;
    ptrdiff_t pixel = full.pixel_stride < 0 ? -full.pixel_stride : full.pixel_stride;
    if (full.row_stride == 0) full.row_stride = full.width * pixel;
    if (full.channel_stride == 0) full.channel_stride = pixel >= 3 ? 1 : 0;
    return full;
}

/* What preprocessing works on: the axes, and buffers from the caller's workspace. */
typedef struct vit__resizer {
    vit_image image;
    int channels;
    const vit_preprocess_config *recipe; /* the model's: for the values, not for the sizes */
    vit__axis vertical, horizontal;
    vit__span *columns;      /* [width of the crop] */
    int32_t *column_weights; /* [width of the crop][horizontal.taps] */
    int32_t *row_weights;    /* [vertical.taps] */
    unsigned char *source;   /* [image width][channels]: one row of the picture */
    unsigned char *rows;     /* [vertical.taps][width of the crop][channels]: ring of rows */
#ifdef VIT__PIXEL_ROWS       /* in words, channel c in bits 8 * c to 8 * c + 7: */
    const struct vit__pixel_kernels *kernels; /* NULL: plain C */
    int reversed;    /* 1: channel 2 comes first, as in BGR, and image.data points to it */
    vit__span used;  /* columns of the picture */
    uint32_t *block; /* [used.count][kernels->rows]: rows of the picture side by side */
    uint32_t *ring;  /* [ring_rows][width of the crop], and VIT__PIXEL_ROWS words after it */
    int ring_rows;
#endif
} vit__resizer;

#ifdef VIT__PIXEL_ROWS
/* The kernels that do what vit__resize_row and vit__put_row do, with the same bits. */
typedef struct vit__pixel_kernels {
    int rows; /* of the picture, side by side */
    /* Pixels of 3 or 4 bytes, a multiple of 4 of them, of so many rows become [count][rows] words, whose
       last byte is anything. After the pixels one more and two bytes of it are read. */
    void (*pack_rows)(const unsigned char *const *rows, int pixel_stride, int count, uint32_t *out);
    void (*resize_rows)(const vit__resizer *r, int y); /* of the block, which begins with row y */
    /* A row of the resized picture, which the ring's rows of a span make, into planes. */
    void (*put_row)(const vit__resizer *r, vit__span span, float *out, size_t plane);
} vit__pixel_kernels;

/* Rows of the ring, [width] each: `count` from one on, then `rest` from its first on. */
typedef struct vit__ring_span {
    const uint32_t *from, *ring;
    size_t width;
    const int32_t *weights;
    int count, rest;
} vit__ring_span;

static const vit__pixel_kernels *vit__pixel_kernels_of(const vit__kernels *kernels); /* [7] */
#endif

/* One side of resize_size for another img_size: by timm's rule, or in proportion. */
static int vit__scale_resize(const vit_preprocess_config *recipe, int old, int resized, int side) {
    float size = recipe->crop_pct > 0 ? (float)side / recipe->crop_pct
                                      : (float)side * (float)resized / (float)old;
    return size >= (float)VIT__MAX_COUNT ? -1 : (int)size;
}

/* The recipe for pictures of a size; a resize_size out of range becomes -1. */
static vit_preprocess_config vit__recipe_at(const vit_config *c, const int size[2]) {
    vit_preprocess_config recipe = c->preprocess;
    for (int i = 0; VIT__FAMILIES && i < 2; i++) {
        if (size[i] != c->img_size[i])
            recipe.resize_size[i] =
                vit__scale_resize(&c->preprocess, c->img_size[i], recipe.resize_size[i], size[i]);
    }
    return recipe;
}

#ifdef VIT__PIXEL_ROWS
static void vit__plan_vectors(vit__resizer *r, const vit__pixel_kernels *kernels) {
    r->kernels = kernels->rows > 0 ? kernels : NULL;
    r->reversed = r->kernels != NULL && r->channels == 3 && r->image.channel_stride == -1;
    if (r->reversed) r->image.channel_stride = 1, r->image.data -= 2;
    r->ring_rows = r->vertical.taps + VIT__PIXEL_ROWS - 1;
}
#endif

static vit_status vit__resizer_plan(vit__resizer *r, const vit_model *model,
                                    const vit_options *options, const vit_image *image) {
    int resized[2], size[2];
    if (model == NULL || model->data == NULL || image == NULL) return VIT_ERROR_ARGUMENT;
    const vit_config *config = &model->config;
    if (!vit__img_size_of(config, options, size)) return VIT_ERROR_ARGUMENT;
    vit_preprocess_config recipe = vit__recipe_at(config, size);
    if (recipe.resize != VIT_RESIZE_NONE &&
        (recipe.resize_size[0] < 1 || recipe.resize_size[1] < 1))
        return VIT_ERROR_ARGUMENT;
    if (config->in_chans != 1 && config->in_chans != 3) return VIT_ERROR_CHANNELS;
    if (image->data == NULL || image->width < 1 || image->width > VIT__MAX_SIDE ||
        image->height < 1 || image->height > VIT__MAX_SIDE ||
        !vit__resized_size(&recipe, image->height, image->width, resized))
        return VIT_ERROR_ARGUMENT;
    r->image = vit__explicit_strides(image);
    r->channels = config->in_chans;
    r->recipe = &config->preprocess;
    r->vertical = vit__make_axis(&recipe, image->height, resized[0], size[0]);
    r->horizontal = vit__make_axis(&recipe, image->width, resized[1], size[1]);
#ifdef VIT__PIXEL_ROWS
    const int forced = options != NULL && options->isa != VIT_ISA_BEST;
    const vit__kernels *kernels = forced ? vit__kernels_of(options->isa) : model->kernels;
    if (kernels == NULL) return VIT_ERROR_ISA;
    vit__plan_vectors(r, vit__pixel_kernels_of(kernels));
#endif
    return VIT_OK;
}

static void vit__resizer_carve(vit__resizer *r, vit__arena *arena) {
    size_t width = (size_t)r->horizontal.size, channels = (size_t)r->channels;
    size_t down = (size_t)r->vertical.taps, across = (size_t)r->horizontal.taps;
    r->columns = (vit__span *)vit__arena_take(arena, width, sizeof(vit__span));
    r->column_weights = (int32_t *)vit__arena_take(arena, vit__mul(width, across), sizeof(int32_t));
    r->row_weights = (int32_t *)vit__arena_take(arena, down, sizeof(int32_t));
    r->source = (unsigned char *)vit__arena_take(arena, (size_t)r->image.width, channels);
    r->rows = (unsigned char *)vit__arena_take(arena, vit__mul(down, width), channels);
#ifdef VIT__PIXEL_ROWS /* whatever the kernels, for workspaces do not depend on the machine */
    const size_t most = VIT__PIXEL_ROWS * sizeof(uint32_t);
    const size_t ring = vit__add(vit__mul((size_t)r->ring_rows, width), VIT__PIXEL_ROWS);
    r->block = (uint32_t *)vit__arena_take(arena, (size_t)r->image.width, most);
    r->ring = (uint32_t *)vit__arena_take(arena, ring, sizeof(uint32_t));
#endif
}

/* Of the workspace; 0 where it is too large. */
static size_t vit__resizer_size(vit__resizer *r) {
    vit__arena arena = vit__arena_make(NULL);
    vit__resizer_carve(r, &arena);
    return vit__arena_size(&arena);
}

/* Pillow's formula, src/libImaging/Convert.c. */
static unsigned vit__grey(unsigned red, unsigned green, unsigned blue) {
    return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
}

/* Row y of the picture as packed channels, or grey. */
static void vit__read_row(const vit__resizer *r, int y) {
    const unsigned char *p = r->image.data + y * r->image.row_stride;
    ptrdiff_t channel = r->image.channel_stride;
    unsigned char *out = r->source;
    for (int x = 0; x < r->image.width; x++, p += r->image.pixel_stride) {
        unsigned red = p[0], green = p[channel], blue = p[2 * channel];
        if (r->channels == 1) {
            *out++ = (unsigned char)vit__grey(red, green, blue);
            continue;
        }
        *out++ = (unsigned char)red;
        *out++ = (unsigned char)green;
        *out++ = (unsigned char)blue;
    }
}

/* A sum in fixed point, one half included, rounded and clamped. */
static unsigned char vit__from_fixed_point(int32_t sum) {
    return (unsigned char)(sum < 0 ? 0 : vit__min(sum >> VIT__WEIGHT_BITS, 255));
}

/* The weighted sum of count bytes, stride apart. */
static unsigned char vit__resample(const unsigned char *p, size_t stride, const int32_t *weights,
                                   int count) {
    int32_t sum = 1 << (VIT__WEIGHT_BITS - 1);
    for (int i = 0; i < count; i++, p += stride) sum += *p * weights[i];
    return vit__from_fixed_point(sum);
}

/* The horizontal pass of row y of the picture, into its place in the ring. */
static void vit__resize_row(const vit__resizer *r, int y) {
    size_t channels = (size_t)r->channels, width = (size_t)r->horizontal.size;
    unsigned char *out = r->rows + (size_t)(y % r->vertical.taps) * width * channels;
    vit__read_row(r, y);
    for (size_t x = 0; x < width; x++) {
        const unsigned char *p = r->source + (size_t)r->columns[x].first * channels;
        const int32_t *weights = r->column_weights + x * (size_t)r->horizontal.taps;
        for (size_t c = 0; c < channels; c++)
            *out++ = vit__resample(p + c, channels, weights, r->columns[x].count);
    }
}

/* One value of the vertical pass: position i of [width of the crop][channels]. */
static unsigned char vit__resize_column(const vit__resizer *r, vit__span span, size_t i) {
    size_t stride = (size_t)r->horizontal.size * (size_t)r->channels;
    int32_t sum = 1 << (VIT__WEIGHT_BITS - 1);
    int slot = span.first % r->vertical.taps;
    for (int k = 0; k < span.count; k++) {
        sum += r->rows[(size_t)slot * stride + i] * r->row_weights[k];
        if (++slot == r->vertical.taps) slot = 0;
    }
    return vit__from_fixed_point(sum);
}

/* Row y of the resized picture, which the rows of a span make, into its planes. */
static void vit__put_row(const vit__resizer *r, vit__span span, int y, float *pixels) {
    const size_t width = (size_t)r->horizontal.size, plane = (size_t)r->vertical.size * width;
    float *out = pixels + (size_t)y * width;
    for (size_t x = 0, i = 0; x < width; x++) {
        for (int c = 0; c < r->channels; c++, i++)
            out[(size_t)c * plane + x] =
                vit__normalize(r->recipe, c, vit__resize_column(r, span, i));
    }
}

#ifdef VIT__PIXEL_ROWS
/* Pixels x to x + count of row y of the picture as words, step apart. */
static void vit__pack_pixels(const vit__resizer *r, int y, int x, int count, uint32_t *out,
                             size_t step) {
    const ptrdiff_t pixel = r->image.pixel_stride, channel = r->image.channel_stride;
    const unsigned char *p = r->image.data + y * r->image.row_stride + x * pixel;
    for (; count > 0; count--, p += pixel, out += step) {
        if (r->channels == 1) *out = vit__grey(p[0], p[channel], p[2 * channel]);
        else *out = (uint32_t)(p[0] | p[channel] << 8 | p[2 * channel] << 16);
    }
}

/* The rows of the picture from y on into the block; below the picture its last row is repeated. */
static void vit__pack_block(const vit__resizer *r, int y) {
    const unsigned char *rows[VIT__PIXEL_ROWS];
    const int step = r->kernels->rows, first = r->used.first, pixel = (int)r->image.pixel_stride;
    int done = 0;
    for (int i = 0; i < step; i++) {
        const int row = vit__min(y + i, r->image.height - 1);
        rows[i] = r->image.data + row * r->image.row_stride + first * r->image.pixel_stride;
    }
    if (r->channels == 3 && r->image.channel_stride == 1 && (pixel == 3 || pixel == 4)) {
        done = vit__min(r->used.count, r->image.width - 2 - first) & ~3;
        r->kernels->pack_rows(rows, pixel, done = vit__max(0, done), r->block);
    }
    for (int i = 0; i < step; i++)
        vit__pack_pixels(r, vit__min(y + i, r->image.height - 1), first + done,
                         r->used.count - done, r->block + done * step + i, (size_t)step);
}

/* The columns of the picture that columns of the crop are made of. */
static vit__span vit__used_columns(const vit__resizer *r) {
    int first = r->image.width, end = 0;
    for (int x = 0; x < r->horizontal.size; x++) {
        vit__span span = r->columns[x];
        if (span.count > 0) first = vit__min(first, span.first);
        end = vit__max(end, span.first + span.count);
    }
    vit__span used = {first, vit__max(0, end - first)};
    return used;
}

/* vit_preprocess by vectors, from the weights of the columns on. */
static void vit__resize_by_vectors(vit__resizer *r, float *pixels) {
    const size_t width = (size_t)r->horizontal.size, plane = (size_t)r->vertical.size * width;
    int next_row = 0;
    r->used = vit__used_columns(r);
    for (int y = 0; y < r->vertical.size; y++, pixels += width) {
        vit__span span = vit__resample_weights(&r->vertical, r->vertical.start + y, r->row_weights);
        next_row = vit__max(next_row, span.first);
        for (; next_row < span.first + span.count; next_row += r->kernels->rows) {
            vit__pack_block(r, next_row);
            r->kernels->resize_rows(r, next_row);
        }
        r->kernels->put_row(r, span, pixels, plane);
    }
}
#endif

VIT_API size_t vit_preprocess_workspace_size(const vit_model *model, const vit_options *options,
                                             const vit_image *image) {
    vit__resizer r;
    return vit__resizer_plan(&r, model, options, image) == VIT_OK ? vit__resizer_size(&r) : 0;
}

VIT_API vit_status vit_preprocess_check(const vit_model *model, const vit_options *options,
                                        const vit_image *image) {
    vit__resizer r;
    vit_status status = vit__resizer_plan(&r, model, options, image);
    if (status != VIT_OK) return status;
    return vit__resizer_size(&r) == 0 ? VIT_ERROR_MEMORY : VIT_OK;
}

VIT_API vit_status vit_preprocess(const vit_model *model, const vit_options *options,
                                  const vit_image *image, float *pixels, void *workspace,
                                  size_t workspace_size) {
    vit__resizer r;
    vit__arena arena = vit__arena_make(workspace);
    vit_status status = vit__resizer_plan(&r, model, options, image);
    if (status != VIT_OK) return status;
    if (pixels == NULL || workspace == NULL) return VIT_ERROR_ARGUMENT;
    if (!vit__has_room(workspace_size, vit__resizer_size(&r))) return VIT_ERROR_WORKSPACE;
    vit__resizer_carve(&r, &arena);

    int height = r.vertical.size, width = r.horizontal.size;
    for (int x = 0; x < width; x++) {
        int32_t *weights = r.column_weights + (size_t)x * (size_t)r.horizontal.taps;
        r.columns[x] = vit__resample_weights(&r.horizontal, r.horizontal.start + x, weights);
    }
#ifdef VIT__PIXEL_ROWS
    if (r.kernels != NULL) {
        vit__resize_by_vectors(&r, pixels);
        return VIT_OK;
    }
#endif
    int next_row = 0; /* of the picture: those before it are in the ring, or no longer needed */
    for (int y = 0; y < height; y++) {
        vit__span span = vit__resample_weights(&r.vertical, r.vertical.start + y, r.row_weights);
        for (next_row = vit__max(next_row, span.first); next_row < span.first + span.count;)
            vit__resize_row(&r, next_row++);
        vit__put_row(&r, span, y, pixels);
    }
    return VIT_OK;
}

#ifndef VIT_ONLY_PLAIN
VIT_API vit_status vit_native_img_size(const vit_model *model, const vit_image *image,
                                       int img_size[2]) {
    if (model == NULL || model->data == NULL || image == NULL || img_size == NULL ||
        image->width < 1 || image->height < 1)
        return VIT_ERROR_ARGUMENT;
    const vit_config *c = &model->config;
    const int patches = vit__num_patches(c);
    float down = (float)image->height / (float)c->patch_size[0];
    float across = (float)image->width / (float)c->patch_size[1];
    float rows = VIT_SQRTF((float)patches * (down / across));
    float nearest = rows + 0.5f < (float)patches ? rows + 0.5f : (float)patches;
    int height = vit__max(1, (int)nearest);
    int width = (int)(rows * (across / down) + 0.5f); /* at most patches + 1 for rows >= 1 */
    img_size[0] = height * c->patch_size[0];
    img_size[1] = vit__max(1, vit__min(width, patches / height)) * c->patch_size[1];
    return VIT_OK;
}
#endif

#endif /* VIT_NO_PREPROCESS */

/* ---- [7] KERNELS --------------------------------------------------------------------------- */

/* An activation of x [rows][16], in place. */
typedef void (*vit__act_kernel)(float *x, size_t stride, int rows);

/* A tile of a product: a few rows times one or two neighbouring panels,
     sums[r][p][n] = bias[p][n] + sum over k of input[r][k] * weights[p][k][n],
   which output gets, or has added to it. One step takes 4 bytes of each row and 64 of each panel.
   With VIT__OPERAND_F32 these are one float and [16] floats; with VIT__OPERAND_BF16 two numbers of
   16 bits and what `zip` makes of [2][16] of them, whose products are summed in floats, k by k, in an
   order that the rows and panels beside have no part in; with VIT__OPERAND_INT8 four bytes and
   [16][4] bytes, and
     sums[r][p][n] = bias[p][n] + scales[p][n] * row_scales[r] * (
                     sum over k of input[r][k] * weights[p][k][n] - row_zeros[r] * weight_sums[p][n]),
   where 0 <= input, row_zeros <= 127 and |weights| <= 127, so that what is in parentheses is exact in
   32 bits for up to VIT__MAX_INPUTS8 inputs: (2^31 - 1) / 127^2. VIT__OPERAND_INT8X is the same with
   0 <= input, row_zeros <= 254, or where a target likes it better both less 127, for up to
   VIT__MAX_SUMMED_X inputs. */
typedef struct vit__tile {
    int rows, panels;
    size_t steps;      /* int8: a multiple of 4; bf16: of 8 */
    const void *input; /* [rows][steps][4 bytes], rows input_stride bytes apart */
    size_t input_stride;
    const void *weights;        /* [panels][steps][64 bytes] */
    const float *bias;          /* [panels][16] */
    const float *scales;        /* int8: [panels][16] */
    const int32_t *weight_sums; /* int8: [panels][16], over all k */
    const float *row_scales;    /* int8: [rows], as quantize_rows makes them with the input ... */
    const int32_t *row_zeros;   /* ... these too */
    int narrow; /* int8: weights or input are at most 63, faster where products are summed in 16 bits */
    float *output; /* [rows][panels][16], the strides apart */
    size_t row_stride, panel_stride;
    int add;
    vit__act_kernel act; /* for the driver to apply to each panel of the output then, unless NULL */
    uintptr_t next; /* what is read soon: bytes to be fetched meanwhile, next_step with each step */
    size_t next_step;
} vit__tile;

#define VIT__STEP_INPUT 4 /* bytes of a row in a step, and of a panel: */
#define VIT__STEP_WEIGHTS (VIT__PANEL * VIT__STEP_INPUT)
#define VIT__MAX_INPUTS8 133136

/* Kinds of numbers that are multiplied. Rows and panels of any but floats have to be packed. */
typedef enum vit__operand {
    VIT__OPERAND_F32,
    VIT__OPERAND_INT8,
#ifndef VIT_ONLY_INT8
    VIT__OPERAND_INT8X,
#endif
#ifdef VIT__MULTIPLIES_BF16
    VIT__OPERAND_BF16,
#endif
    VIT__OPERAND_COUNT
} vit__operand;

/* Bytes of an input, for each kind. */
static const unsigned char vit__input_sizes[VIT__OPERAND_COUNT] = {
    sizeof(float),
    sizeof(int8_t),
#ifndef VIT_ONLY_INT8
    sizeof(int8_t),
#endif
#ifdef VIT__MULTIPLIES_BF16
    sizeof(uint16_t),
#endif
};

/* Whether rows and panels of an operand are integers. */
static int vit__is_integer(vit__operand operand) {
#ifndef VIT_ONLY_INT8
    if (operand == VIT__OPERAND_INT8X) return 1;
#endif
    return operand == VIT__OPERAND_INT8;
}

/* The kernels for one kind of operand; NULL where the processor does not multiply that kind. */
typedef struct vit__operand_kernels {
    int tile_rows, tile_panels; /* the most that multiply takes at a time */
    void (*multiply)(const vit__tile *tile);
    void (*pack_rows)(const float *x, size_t stride, int rows, size_t count, void *out,
                      size_t out_stride, float *scales, int32_t *zeros);
    void (*pack_panel)(const float *x, size_t stride, int rows, int range, void *panel,
                       float *scales, int32_t *sums);
} vit__operand_kernels;

/* The activations: enum, function, whether this build has it. After the first two they are in the order
   of vit_act. */
#define VIT__ACT_LIST(X)               \
    X(GELU, gelu, !VIT__ONLY_INT8)     \
    X(GELU8, gelu8, 1)                 \
    X(GELU_TANH, gelu_tanh, VIT__TANH) \
    VIT__FAMILY_ACTS(X)
#ifdef VIT_ONLY_PLAIN
#define VIT__FAMILY_ACTS(X)
#else
#define VIT__FAMILY_ACTS(X) X(QUICK_GELU, quick_gelu, 1) X(SILU, silu, 1) X(RELU, relu, 1)
#endif

#define VIT__ACT_ENUM(NAME, name, kept) VIT__##NAME,
typedef enum vit__activation { VIT__ACT_LIST(VIT__ACT_ENUM) VIT__ACTIVATION_COUNT } vit__activation;

/* The other kernels: name and parameters. */
#define VIT__KERNEL_LIST(X)                                                                      \
    X(norm_row,                                                                                  \
      (const float *x, const float *norm, int dim, size_t stride, float eps, float *out))        \
    X(softmax_rows, (float *x, size_t stride, int rows, int count, float scale))                 \
    X(softmax_rows8, (float *x, size_t stride, int rows, int count, float scale, uint8_t *high,  \
                      uint8_t *low, float *units))                                               \
    X(unpack, (const vit__matrix *m, int panel, int panels, size_t k, size_t count, float *out)) \
    X(transpose, (const float *rows, size_t stride, int count, size_t width, float *out))

/* The kernels of one instruction set. Those in plain C follow: they say what each has to do. */
#define VIT__KERNEL_MEMBER(name, parameters) void(*name) parameters;
struct vit__kernels {
    vit__operand_kernels operands[VIT__OPERAND_COUNT];
    vit__act_kernel act[VIT__ACTIVATION_COUNT];
    VIT__KERNEL_LIST(VIT__KERNEL_MEMBER)
#ifdef VIT__PIXEL_ROWS
    vit__pixel_kernels pixels;
#endif
#ifdef VIT__MULTIPLIES_BF16
    /* Inputs k to k + count of some panels of bf16, multiples of 16, in the order in which this multiplies
       them: [panels][count][16]. */
    void (*zip)(const vit__matrix *m, int panel, int panels, size_t k, size_t count, uint16_t *out);
#endif
};

/* As integers, floats without a sign are in the order of the numbers; infinity comes after, then NaN. */
static int32_t vit__bits_at(const float *x) {
    int32_t bits;
    VIT__COPY(&bits, x);
    return bits;
}

static const void *vit__tile_row(const vit__tile *t, int row) {
    return (const unsigned char *)t->input + (size_t)row * t->input_stride;
}

/* Unrolls by 4, so that scalar targets keep the sums in registers; those that vectorise need no hint. */
#if !defined(__OPTIMIZE_SIZE__) && (defined(__ARM_ARCH_PROFILE) || defined(__riscv))
#define VIT__UNROLL_SCALARS _Pragma("GCC unroll 4")
#else
#define VIT__UNROLL_SCALARS
#endif

/* Up to four rows times one panel; four rows by four outputs at a time stay in registers. Every sum
   is taken in the order of k by the same statement, whatever rows it shares the tile with (absent
   ones repeat the first): that makes results independent of threads and batch. */
static void vit__multiply(const vit__tile *t) {
    const float *x0 = (const float *)t->input;
    const float *x1 = t->rows > 1 ? (const float *)vit__tile_row(t, 1) : x0;
    const float *x2 = t->rows > 2 ? (const float *)vit__tile_row(t, 2) : x0;
    const float *x3 = t->rows > 3 ? (const float *)vit__tile_row(t, 3) : x0;
    for (size_t first = 0; first < VIT__PANEL; first += 4) {
        float sums[4][4];
        const float *weights = (const float *)t->weights + first;
        for (int r = 0; r < 4; r++) memcpy(sums[r], t->bias + first, sizeof(sums[r]));
        for (size_t k = 0; k < t->steps; k++, weights += VIT__PANEL) {
            VIT__UNROLL_SCALARS
            for (int n = 0; n < 4; n++) sums[0][n] += x0[k] * weights[n];
            VIT__UNROLL_SCALARS
            for (int n = 0; n < 4; n++) sums[1][n] += x1[k] * weights[n];
            VIT__UNROLL_SCALARS
            for (int n = 0; n < 4; n++) sums[2][n] += x2[k] * weights[n];
            VIT__UNROLL_SCALARS
            for (int n = 0; n < 4; n++) sums[3][n] += x3[k] * weights[n];
        }
        VIT__UNROLL_SCALARS
        for (int r = 0; r < 4; r++) {
            float *out = t->output + (size_t)r * t->row_stride + first;
            if (r >= t->rows) break;
            VIT__UNROLL_SCALARS
            for (int n = 0; n < 4; n++) out[n] = t->add ? out[n] + sums[r][n] : sums[r][n];
        }
    }
}

/* NaN gives NaN, infinity infinity, and -infinity nothing that is finite, in every instruction set. */
static float vit__gelu(float x) {
    return 0.5f * x * (1.0f + VIT_ERFF(x * 0.70710678118654752f));
}

/* The same within 5e-5 for |x| <= 30, in half the time, for rows that become integers of 7 bits: Phi(x)
   is 1/2 + x * P(x^2), where P is fitted to the error of x * Phi(x), with x limited to 4.4, where
   x * P(x^2) is 1/2. */
static const float vit__gelu8_terms[] = {3.56956166e-11f,  -3.75416986e-09f, 1.74089521e-07f,
                                         -4.72497504e-06f, 8.42944646e-05f,  -0.00105500442f,
                                         0.00964308437f,   -0.0660765618f,   0.39876169f};

static float vit__gelu8(float x) {
    float a = x < -4.4f ? -4.4f : x > 4.4f ? 4.4f : x;
    return x * (0.5f + a * vit__polynomial(vit__gelu8_terms, 9, a * a));
}

static float vit__gelu_tanh(float x) {
    return 0.5f * x * (1.0f + VIT_TANHF(0.79788456080286536f * (x + 0.044715f * x * x * x)));
}

#ifndef VIT_ONLY_PLAIN
/* x * sigmoid(1.702 * x) */
static float vit__quick_gelu(float x) {
    return x / (1.0f + VIT_EXPF(-1.702f * x));
}

/* x * sigmoid(x) */
static float vit__silu(float x) {
    return x / (1.0f + VIT_EXPF(-x));
}

static float vit__relu(float x) {
    return x < 0 ? x * 0.0f : x; /* NaN for -infinity */
}
#endif

/* The kernel of an activation: vit__gelu_rows and so on. */
#define VIT__PLAIN_ACT(NAME, name, kept)                                   \
    static void vit__##name##_rows(float *x, size_t stride, int rows) {    \
        for (; rows > 0; rows--, x += stride) {                            \
            for (int n = 0; n < VIT__PANEL; n++) x[n] = vit__##name(x[n]); \
        }                                                                  \
    }
VIT__ACT_LIST(VIT__PLAIN_ACT)

/* The sum of x - mean, or of its squares, in 16 partial sums, which keeps rounding small. */
static float vit__sum(const float *x, int count, float mean, int squares) {
    float partial[VIT__PANEL] = {0}, sum = 0;
    for (int i = 0; i < count; i++) {
        float d = x[i] - mean;
        partial[i % VIT__PANEL] += squares ? d * d : d;
    }
    for (int n = 0; n < VIT__PANEL; n++) sum += partial[n];
    return sum;
}

/* LayerNorm of one row: Ba, Kiros and Hinton 2016, arXiv:1607.06450. norm is [2][stride]: weight,
   bias. out gets stride floats, the padding zero; it may be x. */
static void vit__norm_row(const float *x, const float *norm, int dim, size_t stride, float eps,
                          float *out) {
    const float *weight = norm, *bias = norm + stride;
    float mean = vit__sum(x, dim, 0, 0) / (float)dim;
    float variance = vit__sum(x, dim, mean, 1) / (float)dim;
    float scale = 1.0f / VIT_SQRTF(variance + eps);
    for (size_t i = 0; i < stride; i++) out[i] = (x[i] - mean) * scale * weight[i] + bias[i];
}

/* exp(scale * x) in place, over the largest, so that nothing overflows. Returns 0, or NaN where a number
   of the row is a NaN or infinite. */
static float vit__exp_row(float *x, int count, float scale) {
    float largest = x[0];
    int32_t size = 0; /* bits of the largest |x|, which cost less where floats are emulated */
    for (int i = 0; i < count; i++) {
        largest = x[i] > largest ? x[i] : largest;
        size = vit__max(size, vit__bits_at(&x[i]) & 0x7FFFFFFF);
    }
    for (int i = 0; i < count; i++) x[i] = VIT_EXPF((x[i] - largest) * scale);
    return vit__float_of(size) - vit__float_of(size);
}

/* Divides a row by its sum, to which `probe` is added. */
static void vit__divide_row(float *x, int count, float probe) {
    float factor = 1.0f / (vit__sum(x, count, 0, 0) + probe);
    for (int i = 0; i < count; i++) x[i] *= factor;
}

/* Softmax of scale * x of up to 12 rows, in place. A row has room for a multiple of 16 floats; what is
   there after count is lost. A row with a NaN or an infinity becomes NaN throughout. */
static void vit__softmax_rows(float *x, size_t stride, int rows, int count, float scale) {
    for (; rows > 0; rows--, x += stride) vit__divide_row(x, count, vit__exp_row(x, count, scale));
}

#define VIT__PLAIN_ROWS8 4

/* Scales a panel's integer sums, adds the bias and stores them. */
static void vit__finish8(const vit__tile *t, int panel, int32_t sums[][VIT__PANEL]) {
    const float *scales = t->scales + panel * VIT__PANEL, *bias = t->bias + panel * VIT__PANEL;
    const int32_t *weight_sums = t->weight_sums + panel * VIT__PANEL;
    float *out = t->output + (size_t)panel * t->panel_stride;
    for (size_t r = 0; r < (size_t)t->rows; r++) {
        float *row = out + r * t->row_stride, row_scale = t->row_scales[r];
        uint32_t row_zero = (uint32_t)t->row_zeros[r];
        for (int n = 0; n < VIT__PANEL; n++) {
            uint32_t zeros = row_zero * (uint32_t)weight_sums[n];
            float exact = (float)(int32_t)((uint32_t)sums[r][n] - zeros); /* a bad file may wrap */
            float y = bias[n] + scales[n] * row_scale * exact;
            row[n] = t->add ? row[n] + y : y;
        }
    }
}

/* sums[n] of a row and a panel: the products of integers. */
static void vit__dot8(const uint8_t *input, size_t inputs, const int8_t *weights,
                      int32_t sums[VIT__PANEL]) {
    memset(sums, 0, VIT__PANEL * sizeof(sums[0]));
    for (size_t k = 0; k < inputs; k += 4, weights += 4 * VIT__PANEL) {
        for (size_t n = 0; n < VIT__PANEL; n++) {
            const int8_t *w = weights + 4 * n;
            sums[n] +=
                input[k] * w[0] + input[k + 1] * w[1] + input[k + 2] * w[2] + input[k + 3] * w[3];
        }
    }
}

/* A tile of int8 in plain C, one row at a time. */
static void vit__multiply8(const vit__tile *t) {
    int32_t sums[VIT__PLAIN_ROWS8][VIT__PANEL];
    for (int r = 0; r < t->rows; r++)
        vit__dot8((const uint8_t *)vit__tile_row(t, r), t->steps * 4, (const int8_t *)t->weights,
                  sums[r]);
    vit__finish8(t, 0, sums);
}

/* Rows become integers from 0 to this: of 7 bits, or with int8x of 8; less 127 the latter are -127 to 127,
   which are multiplied in pairs. */
#define VIT__ROW_RANGE 127
#define VIT__ROW_RANGE_X 254

/* How numbers of a row become such integers: x is about scale * (u - zero). */
typedef struct vit__quantizer {
    float scale, inverse;
    int32_t zero;
} vit__quantizer;

/* For numbers from low to high, low <= 0 <= high; 0 is exact. Rows narrower than 1e-30 become zeros,
   since 1 / scale would overflow. The scale is NaN where low, high or what is between is not finite. */
VIT__PART vit__quantizer vit__quantizer_of(float low, float high, int range) {
    vit__quantizer q;
    float width = high - low;
    q.scale = width < 1e-30f ? 1.0f : width / (float)range + (width - width);
    q.inverse = 1.0f / q.scale;
    q.zero = vit__min(range, vit__max(0, vit__nearest(-low * q.inverse)));
    return q;
}

/* Of up to 12 rows: out[i] = x[i] / scale + zero, rounded, 0..range; count is a multiple of 16. x and out
   may start at one place, rows too. Finite rows give the same bits in every instruction set. A row with
   a NaN or an infinity has the scale NaN, so that all that is multiplied from it is NaN. */
static void vit__quantize_rows_to(const float *x, size_t stride, int rows, size_t count,
                                  void *bytes, size_t out_stride, float *scales, int32_t *zeros,
                                  int range) {
    uint8_t *out = (uint8_t *)bytes;
    for (; rows > 0; rows--, x += stride, out += out_stride) {
        int32_t low = 0, high = 0; /* bits of the largest -x and of the largest x */
        for (size_t i = 0; i < count; i++) {
            int32_t bits = vit__bits_at(&x[i]);
            low = vit__max(low, bits ^ INT32_MIN);
            high = vit__max(high, bits);
        }
        vit__quantizer q = vit__quantizer_of(-vit__float_of(low), vit__float_of(high), range);
        for (size_t i = 0; i < count; i++) {
            int32_t u = vit__nearest(x[i] * q.inverse) + q.zero;
            out[i] = (uint8_t)(u < 0 ? 0 : u > range ? range : u);
        }
        *scales++ = q.scale, *zeros++ = q.zero;
    }
}

static void vit__quantize_rows(const float *x, size_t stride, int rows, size_t count, void *bytes,
                               size_t out_stride, float *scales, int32_t *zeros) {
    vit__quantize_rows_to(x, stride, rows, count, bytes, out_stride, scales, zeros, VIT__ROW_RANGE);
}

#ifndef VIT_ONLY_INT8
static void vit__quantize_rows_x(const float *x, size_t stride, int rows, size_t count, void *bytes,
                                 size_t out_stride, float *scales, int32_t *zeros) {
    vit__quantize_rows_to(x, stride, rows, count, bytes, out_stride, scales, zeros,
                          VIT__ROW_RANGE_X);
}
#endif

/* 16 numbers of each row become integers, -range to range, with a scale and a sum for each column: a
   panel of [rows / 4][16][4], with zeros up to a multiple of 16 rows. Finite columns give the same bits
   in every instruction set; one with a NaN or an infinity has the scale NaN. */
static void vit__quantize_panel(const float *x, size_t stride, int rows, int range, void *bytes,
                                float *scales, int32_t *sums) {
    int8_t *panel = (int8_t *)bytes;
    memset(panel, 0, vit__round16(rows) * VIT__PANEL);
    for (size_t n = 0; n < VIT__PANEL; n++) {
        int32_t size = 0x0DA24260; /* 1e-30 */
        for (size_t r = 0; r < (size_t)rows; r++)
            size = vit__max(size, vit__bits_at(&x[r * stride + n]) & 0x7FFFFFFF);
        float most = vit__float_of(size);
        float inverse = (float)range / most;
        scales[n] = most / (float)range + (most - most);
        sums[n] = 0;
        for (size_t r = 0; r < (size_t)rows; r++) {
            int8_t q = (int8_t)vit__nearest(x[r * stride + n] * inverse);
            panel[(r / 4 * VIT__PANEL + n) * 4 + r % 4] = q;
            sums[n] += q;
        }
    }
}

/* Softmax as integers of two digits, in rows of round16(count) bytes: it is unit * (64 * high + low), the
   largest having 64 * 63 + 63, and zeros after count. The unit is 1 over the sum of the integers, so
   that rounding makes no row heavier; it is NaN for a row with a NaN or an infinity. x is lost. */
static void vit__softmax_rows8(float *x, size_t stride, int rows, int count, float scale,
                               uint8_t *high, uint8_t *low, float *units) {
    for (; rows > 0; rows--, x += stride) {
        float sum = vit__exp_row(x, count, scale);
        for (int i = 0; i < (int)vit__round16(count); i++) {
            float shifted = (i < count ? x[i] * 4095 : 0) + VIT__SHIFT;
            int32_t bits = vit__bits_at(&shifted);
            *high++ = (uint8_t)(bits >> 6 & 63), *low++ = (uint8_t)(bits & 63);
            sum += shifted - VIT__SHIFT;
        }
        *units++ = 1 / sum;
    }
}

/* Half precision. As a float its exponent is 112 too small, subnormals included, unless it is 31: infinity
   and NaN. */
static float vit__from_f16(uint16_t half) {
    int32_t size = (half & 0x7FFF) << 13;
    float x = vit__float_of(size < 31 << 23 ? size : size | 0x7F800000);
    x *= 5.192296858534828e33f; /* 2^112 */
    return half & 0x8000 ? -x : x;
}

/* The weight of input k and output n of a panel. */
static float vit__weight(const vit__matrix *m, size_t panel, size_t k, size_t n) {
    const unsigned char *bytes = m->weights + panel * m->panel_size;
    const uint16_t *halves = (const uint16_t *)(const void *)bytes;
    if (VIT__ONLY_INT8 || m->dtype == VIT__INT8) {
        int8_t w = ((const int8_t *)bytes)[(k / 4 * VIT__PANEL + n) * 4 + k % 4];
        return (float)w * m->scales[panel * VIT__PANEL + n];
    }
    if (m->dtype == VIT__F16) return vit__from_f16(halves[k * VIT__PANEL + n]);
    if (m->dtype == VIT__F32) return ((const float *)(const void *)bytes)[k * VIT__PANEL + n];
    if (m->dtype == VIT__BF16)
        return vit__float_of((int32_t)((uint32_t)halves[k * VIT__PANEL + n] << 16));
    size_t groups = vit__groups(m->inputs);
    int two = bytes[(k / 8 * VIT__PANEL + n) * 4 + k % 4];
    int w = (k % 8 < 4 ? two & 15 : two >> 4) - 8;
    return (float)w *
           vit__from_f16(m->group_scales[(panel * groups + k / VIT__GROUP) * VIT__PANEL + n]);
}

/* Inputs k to k + count of some panels as floats, out[panels][count][16]; both multiples of 16. */
static void vit__unpack(const vit__matrix *m, int panel, int panels, size_t k, size_t count,
                        float *out) {
    for (size_t p = (size_t)panel; p < (size_t)(panel + panels); p++) {
        for (size_t i = k; i < k + count; i++) {
            for (size_t n = 0; n < VIT__PANEL; n++) *out++ = vit__weight(m, p, i, n);
        }
    }
}

/* Up to 16 rows become columns, with zeros after them: [count][width] -> [width][16]; width is a multiple
   of 4. */
static void vit__transpose(const float *rows, size_t stride, int count, size_t width, float *out) {
    for (size_t x = 0; x < width; x++) {
        for (int y = 0; y < VIT__PANEL; y++)
            *out++ = y < count ? rows[(size_t)y * stride + x] : 0.0f;
    }
}

/* The targets: this file includes itself, once for each, and takes [13]. */
#if !defined(VIT_SELF) && defined(__FILE_NAME__) /* gcc 12, clang 9: without the folder */
#define VIT_SELF __FILE_NAME__
#elif !defined(VIT_SELF)
#define VIT_SELF "vit.h"
#endif
#ifdef __has_include
#if !__has_include(VIT_SELF)
#error "vit.h: this file includes itself; define VIT_SELF as the name by which it can"
#endif
#endif
#ifndef VIT_MAX_ISA
#define VIT_MAX_ISA (VIT_ISA_COUNT - 1)
#endif
#define VIT__TARGET_DSP 1
#define VIT__TARGET_MVE 2
#define VIT__TARGET_NEON 3
#define VIT__TARGET_DOTPROD 4
#define VIT__TARGET_I8MM 5
#define VIT__TARGET_NEONBF16 6
#define VIT__TARGET_SIMD128 7
#define VIT__TARGET_SSE41 8
#define VIT__TARGET_AVX2 9 /* and FMA */
#define VIT__TARGET_AVXVNNI 10
#define VIT__TARGET_AVX512 11 /* AVX-512 F and BW; only Xeon Phi has F without BW */
#define VIT__TARGET_AVX512VNNI 12
#define VIT__TARGET_AVX512BF16 13
#define VIT__TARGET_AMX 14
#define VIT__TARGET_ARMV7 15 /* NEON on 32-bit ARM */
#define VIT__TARGET_RVV 16
#define VIT__TARGET_RVV256 17 /* vectors of 256 bits at least */

/* The kernels in plain C, with some products of integers. */
#define VIT__PLAIN_ACT_ENTRY(NAME, name, kept) (kept) ? vit__##name##_rows : NULL,
#define VIT__PLAIN_ENTRY(name, parameters) vit__##name,
#ifdef VIT__MULTIPLIES_BF16 /* but not in plain C */
#define VIT__NO_BF16 {0, 0, NULL, NULL, NULL},
#define VIT__NO_ZIP NULL
#else
#define VIT__NO_BF16
#define VIT__NO_ZIP
#endif
#ifdef VIT__PIXEL_ROWS
#define VIT__NO_PIXELS {0, NULL, NULL, NULL},
#else
#define VIT__NO_PIXELS
#endif
#ifdef VIT_ONLY_INT8
#define VIT__PLAIN_INT8X(panels8, multiply8)
#else
#define VIT__PLAIN_INT8X(panels8, multiply8) \
    {VIT__PLAIN_ROWS8, panels8, multiply8, vit__quantize_rows_x, vit__quantize_panel},
#endif
#define VIT__PLAIN_KERNELS(panels8, multiply8)                                            \
    {                                                                                     \
        {{4, 1, vit__multiply, NULL, NULL},                                               \
         {VIT__PLAIN_ROWS8, panels8, multiply8, vit__quantize_rows, vit__quantize_panel}, \
         VIT__PLAIN_INT8X(panels8, multiply8) VIT__NO_BF16},                              \
            {VIT__ACT_LIST(VIT__PLAIN_ACT_ENTRY)},                                        \
            VIT__KERNEL_LIST(VIT__PLAIN_ENTRY) VIT__NO_PIXELS VIT__NO_ZIP                 \
    }

static const vit__kernels vit__kernels_portable = VIT__PLAIN_KERNELS(1, vit__multiply8);

/* The targets of a family of processors and their rows in the table below. */
#define VIT__BIT(target) (1u << VIT__TARGET_##target)
#if defined(VIT__DSP)
#define VIT__TARGET VIT__TARGET_DSP
#include VIT_SELF
#define VIT__VARIANTS {VIT_ISA_DSP, 0, &vit__kernels_dsp},
#elif defined(VIT__MVE)
#define VIT__TARGET VIT__TARGET_MVE
#include VIT_SELF
#define VIT__VARIANTS {VIT_ISA_MVE, 0, &vit__kernels_mve},
#elif defined(VIT__AARCH64)
#define VIT__TARGET VIT__TARGET_NEON
#include VIT_SELF
#define VIT__TARGET VIT__TARGET_DOTPROD
#include VIT_SELF
#define VIT__TARGET VIT__TARGET_I8MM
#include VIT_SELF
#ifdef VIT__MULTIPLIES_BF16
#define VIT__TARGET VIT__TARGET_NEONBF16
#include VIT_SELF
#define VIT__NEONBF16_VARIANT {VIT_ISA_NEON_BF16, VIT__BIT(NEONBF16), &vit__kernels_neonbf16},
#else
#define VIT__NEONBF16_VARIANT
#endif
#define VIT__VARIANTS                                                     \
    {VIT_ISA_NEON, 0, &vit__kernels_neon},                                \
        {VIT_ISA_NEON_DOTPROD, VIT__BIT(DOTPROD), &vit__kernels_dotprod}, \
        {VIT_ISA_NEON_I8MM, VIT__BIT(I8MM), &vit__kernels_i8mm}, VIT__NEONBF16_VARIANT
#elif defined(VIT__ARMV7)
#define VIT__TARGET VIT__TARGET_ARMV7
#include VIT_SELF
#define VIT__VARIANTS {VIT_ISA_NEON, 0, &vit__kernels_armv7},
#elif defined(VIT__WASM)
#define VIT__TARGET VIT__TARGET_SIMD128
#include VIT_SELF
#define VIT__VARIANTS {VIT_ISA_SIMD128, 0, &vit__kernels_simd128},
#elif defined(VIT__RVV)
#define VIT__TARGET VIT__TARGET_RVV
#include VIT_SELF
#ifdef VIT__RVV_CHOSEN
#define VIT__TARGET VIT__TARGET_RVV256
#include VIT_SELF
#define VIT__RVV256_VARIANT {VIT_ISA_RVV, VIT__BIT(RVV256), &vit__kernels_rvv256},
#else
#define VIT__RVV256_VARIANT
#endif
#define VIT__VARIANTS /* of those with one name the first is taken */ \
    VIT__RVV256_VARIANT{VIT_ISA_RVV, VIT__BIT(RVV), &vit__kernels_rvv},
#elif defined(VIT__X86)
#define VIT__TARGET VIT__TARGET_SSE41
#include VIT_SELF
#define VIT__TARGET VIT__TARGET_AVX2
#include VIT_SELF
#ifdef VIT__HAVE_AVXVNNI
#define VIT__TARGET VIT__TARGET_AVXVNNI
#include VIT_SELF
#define VIT__AVXVNNI_VARIANT {VIT_ISA_AVX2_VNNI, VIT__BIT(AVXVNNI), &vit__kernels_avxvnni},
#else
#define VIT__AVXVNNI_VARIANT
#endif
#define VIT__TARGET VIT__TARGET_AVX512
#include VIT_SELF
#define VIT__TARGET VIT__TARGET_AVX512VNNI
#include VIT_SELF
#ifdef VIT__MULTIPLIES_BF16
#define VIT__TARGET VIT__TARGET_AVX512BF16
#include VIT_SELF
#define VIT__AVX512BF16_VARIANT \
    {VIT_ISA_AVX512_BF16, VIT__BIT(AVX512BF16), &vit__kernels_avx512bf16},
#else
#define VIT__AVX512BF16_VARIANT
#endif
#ifdef VIT__HAVE_AMX
#define VIT__TARGET VIT__TARGET_AMX
#include VIT_SELF
#define VIT__AMX_VARIANT {VIT_ISA_AMX, VIT__BIT(AMX), &vit__kernels_amx},
#else
#define VIT__AMX_VARIANT
#endif
#define VIT__VARIANTS                                                                 \
    {VIT_ISA_SSE41, VIT__BIT(SSE41), &vit__kernels_sse41},                            \
        {VIT_ISA_AVX2, VIT__BIT(AVX2), &vit__kernels_avx2},                           \
        VIT__AVXVNNI_VARIANT{VIT_ISA_AVX512, VIT__BIT(AVX512), &vit__kernels_avx512}, \
        {VIT_ISA_AVX512_VNNI, VIT__BIT(AVX512VNNI), &vit__kernels_avx512vnni},        \
        VIT__AVX512BF16_VARIANT VIT__AMX_VARIANT
#else
#define VIT__VARIANTS
#endif

#ifdef VIT__TARGET /* each inclusion ends with its #undef */
#error "vit.h: what was included is another file; define VIT_SELF as the name of this one"
#endif

#if defined(VIT__X86) && !defined(VIT__EMULATED)
/* Of AVX-512, given cpuid's leaf 7 and xgetbv's low half. AMX is counted where Linux lets programs ask
   for it. */
static unsigned vit__avx512_here(unsigned b, unsigned c, unsigned d, unsigned xcr0) {
    const unsigned avx512f = 1u << 16, avx512bw = 1u << 30, avx512vnni = 1u << 11;
    const unsigned avx512bf16 = 1u << 5;
    const unsigned amx = 1u << 22 | 1u << 24 | 1u << 25; /* bf16, tiles, int8 */
    unsigned a, here = VIT__BIT(AVX512), zero[3];
    if ((~xcr0 & 0xE6u) != 0 || (~b & (avx512f | avx512bw)) != 0) return 0;
    if ((c & avx512vnni) == 0) return here;
    here |= VIT__BIT(AVX512VNNI);
    if (!__get_cpuid_count(7, 1, &a, &zero[0], &zero[1], &zero[2]) || (a & avx512bf16) == 0)
        return here;
    here |= VIT__BIT(AVX512BF16);
    if ((~d & amx) == 0 && (~xcr0 & 0x60000u) == 0) here |= VIT__BIT(AMX);
    return here;
}
#endif

#ifdef VIT__AARCH64
/* Whether the processor has the dot product, i8mm, bf16, as bits 0 to 2: what the system says, or in
   firmware what the compiler was told. */
static unsigned vit__neon_features(void) {
    unsigned found = 0;
#if defined(VIT_FREESTANDING)
#elif defined(__linux__) /* Documentation/arch/arm64/elf_hwcaps.rst; 16 is AT_HWCAP, 26 AT_HWCAP2 */
    const unsigned long first = getauxval(16), second = getauxval(26);
    found = (unsigned)((first >> 20 & 1) | (second >> 13 & 1) << 1 | (second >> 14 & 1) << 2);
#elif defined(__APPLE__)
    static const char *const names[] = {"hw.optional.arm.FEAT_DotProd", "hw.optional.arm.FEAT_I8MM",
                                        "hw.optional.arm.FEAT_BF16"};
    for (int i = 0; i < 3; i++) {
        int has = 0;
        size_t size = sizeof(has);
        if (sysctlbyname(names[i], &has, &size, NULL, 0) == 0 && has) found |= 1u << i;
    }
#elif defined(VIT__PROCESSOR_FEATURE) /* PF_ARM_V82_DP, V82_I8MM and V86_BF16 of winnt.h */
    static const unsigned char numbers[] = {43, 66, 68};
    for (int i = 0; i < 3; i++) found |= (IsProcessorFeaturePresent(numbers[i]) != 0) * 1u << i;
#endif
#ifdef __ARM_FEATURE_DOTPROD
    found |= 1;
#endif
#ifdef __ARM_FEATURE_MATMUL_INT8
    found |= 2;
#endif
#ifdef __ARM_FEATURE_BF16_VECTOR_ARITHMETIC
    found |= 4;
#endif
    return found;
}
#endif

#ifdef VIT__RVV
/* Bytes of a vector register, 0 without V 1.0. Processors with V 0.7 may call it V too; there the same
   instruction, whose vtype they do not know, gives 0. */
static unsigned vit__rvv_bytes(void) {
    unsigned long bytes;
#ifdef VIT__RVV_BY_SYSTEM
    if ((getauxval(16) >> ('V' - 'A') & 1) == 0) return 0; /* AT_HWCAP */
#endif
    __asm__ volatile(
        ".option push\n\t.option arch, +v\n\tvsetvli %0, zero, e8, m1, ta, ma\n\t.option pop"
        : "=r"(bytes)
        :
        : "vl", "vtype");
    return (unsigned)bytes;
}
#endif

/* The targets, as bits, that this machine can run of those that not all of its family can: Intel's manual,
   volume 1, 14.3, 15.2 and 18.2. */
static unsigned vit__targets_here(void) {
    unsigned here = 0;
#if defined(VIT__EMULATED) /* by the tests: functions in C stand in for the intrinsics */
    here = ~0u;
#elif defined(VIT__X86)
    unsigned a, b, c, d, low, high;
    const unsigned sse41 = 1u << 19, fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28;
    const unsigned f16c = 1u << 29, avx2 = 1u << 5, avxvnni = 1u << 4;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & sse41) == 0) return here;
    here = VIT__BIT(SSE41);
    if ((~c & (fma | osxsave | avx | f16c)) != 0) return here;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((~low & 0x06u) != 0 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (~b & avx2) != 0)
        return here;
    here |= VIT__BIT(AVX2) | vit__avx512_here(b, c, d, low);
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & avxvnni) != 0)
        here |= VIT__BIT(AVXVNNI);
#elif defined(VIT__AARCH64)
    const unsigned found = vit__neon_features();
    if ((found & 1) != 0) here |= VIT__BIT(DOTPROD);
    if ((found & 2) != 0) here |= VIT__BIT(I8MM);
    if ((found & 6) == 6) here |= VIT__BIT(NEONBF16);
#elif defined(VIT__RVV)
    const unsigned bytes = vit__rvv_bytes();
#ifdef __riscv_v_fixed_vlen /* -mrvv-vector-bits: the compiler takes it for the only one */
    if (bytes != __riscv_v_fixed_vlen / 8) return here;
#elif defined(__riscv_v)
    if (bytes < __riscv_v_min_vlen / 8) return here;
#endif
    if (bytes >= 16) here |= VIT__BIT(RVV);
    if (bytes >= 32) here |= VIT__BIT(RVV256);
#endif
    return here;
}

/* Whether VIT_ISA_BEST passes over an instruction set. Intel's processors multiply floats faster than
   bf16 by AVX512-BF16: Sapphire Rapids twice as fast. */
static int vit__is_slow(vit_isa isa) {
#if defined(VIT__X86) && !defined(VIT__EMULATED)
    unsigned a, b, c, d;
    const unsigned ntel = 0x6C65746Eu; /* the end of GenuineIntel */
    return isa == VIT_ISA_AVX512_BF16 && __get_cpuid(0, &a, &b, &c, &d) && c == ntel;
#else
    (void)isa;
    return 0;
#endif
}

typedef struct vit__variant {
    vit_isa isa;
    unsigned needs;
    const vit__kernels *kernels;
} vit__variant;

static const vit__variant vit__variants[] = {{VIT_ISA_PORTABLE, 0, &vit__kernels_portable},
                                             VIT__VARIANTS};

/* The kernels for an instruction set; NULL where build or machine do not have it. */
static const vit__kernels *vit__kernels_of(vit_isa isa) {
    unsigned here = isa == VIT_ISA_PORTABLE ? 0 : vit__targets_here();
    for (size_t i = 0; i < sizeof(vit__variants) / sizeof(vit__variants[0]); i++) {
        const vit__variant *v = &vit__variants[i];
        if (v->isa == isa && (v->needs & ~here) == 0) return v->kernels;
    }
    return NULL;
}

#ifdef VIT__PIXEL_ROWS
static const vit__pixel_kernels *vit__pixel_kernels_of(const vit__kernels *kernels) {
    return &kernels->pixels;
}
#endif

/* The kernels, or those next to them where Linux does not let this process have AMX's tiles: it wants to be
   asked (0x1023 is its ARCH_REQ_XCOMP_PERM, 18 the tiles' data), and refuses where a signal's stack is too
   small for them. Models of f32, f16 and int4 never ask. */
static const vit__kernels *vit__kernels_for_dtype(const vit__kernels *kernels, vit_dtype dtype) {
#ifdef VIT__HAVE_AMX
    const int tiles = dtype == VIT_BF16 || dtype == VIT_INT8 || dtype == VIT_INT8X;
    if (kernels == &vit__kernels_amx && tiles) {
        long result = 158; /* arch_prctl */
        __asm__ volatile("syscall"
                         : "+a"(result)
                         : "D"(0x1023L), "S"(18L)
                         : "rcx", "r11", "memory");
        if (result != 0) return &vit__kernels_avx512bf16;
    }
#endif
    (void)dtype;
    return kernels;
}

/* One that is slow has to be VIT_MAX_ISA. */
VIT_API vit_isa vit_best_isa(void) {
    const unsigned here = vit__targets_here();
    const vit__variant *v = vit__variants + sizeof(vit__variants) / sizeof(vit__variants[0]) - 1;
    while (v > vit__variants && ((int)v->isa > (int)VIT_MAX_ISA || (v->needs & ~here) != 0 ||
                                 ((int)v->isa < (int)VIT_MAX_ISA && vit__is_slow(v->isa))))
        v--;
    return v->isa;
}

VIT_API const char *vit_isa_name(vit_isa isa) {
    static const char *const names[VIT_ISA_COUNT] = {
        "best",      "portable",  "dsp",         "mve",         "neon",   "neon-dotprod",
        "neon-i8mm", "neon-bf16", "simd128",     "rvv",         "sse4.1", "avx2",
        "avx2-vnni", "avx512",    "avx512-vnni", "avx512-bf16", "amx"};
    return names[(unsigned)isa < VIT_ISA_COUNT ? (int)isa : 0];
}

VIT_API vit_isa vit_isa_find(const char *name) {
    int isa = 0;
    while (isa < VIT_ISA_COUNT && !vit__same_text(vit_isa_name((vit_isa)isa), name)) isa++;
    return (vit_isa)isa;
}

/* ---- [8] PRODUCTS -------------------------------------------------------------------------- */

/* Rows, stride floats apart. Packed ones, which take less room, begin where floats would. */
typedef struct vit__table {
    float *data;
    size_t stride;
} vit__table;

/* One forward pass over some images. Widths are padded to multiples of 16; the padding is zero. In a
   shape, T stands for tokens, D for dim, I for inner, M for mlp, T16 for padded_tokens, W for
   head_width and H for heads_at_once. */
typedef struct vit__pass {
    const vit_model *model;
    const vit_config *config;
    const vit_options *options;
    const vit__kernels *kernels;
    const void *pixels;             /* of these images */
    vit__operand block_operand;     /* of products with the blocks' matrices */
    vit__operand attention_operand; /* of queries and keys, and of values */
    int images;
    int tokens;         /* of an image */
    int rows_per_image; /* rows of x in use: T, or head_tokens in the last block */
    size_t padded_tokens;
    int heads, heads_at_once; /* all, and those whose keys and values there is room for ... */
    int first_head;           /* ... from this one on */
    int patches_at_once, queries_at_once; /* that there is room for in a worker's rows */
    int mlp_rows_at_once;                 /* of an image */
    int by_strips;                        /* a few rows at a time go through a whole branch */
    int first_patch, patches_now; /* patches whose pixels are there: the first, and how many ... */
    size_t patches_image;         /* ... of this image, and of those after it that are there */
    void *pixel_rows;             /* of a row of patches */
    size_t dim, head_width, inner, patch_stride;
    vit__table x;          /* [images][rows_per_image][D]: the residual stream */
    vit__table normalized; /* [images][T][D], as the blocks' operands */
    float *row_scales;     /* [images][T], of packed rows */
    int32_t *row_zeros;    /* [images][T] */
    /* In memory that is used again, queries to value_sums, then hidden, then pooled to logits: */
    vit__table queries;    /* [images][rows_per_image][I]; then what they attended to */
    float *keys;           /* [images][H][T16 / 16][W][16], as attention's operands */
    float *values;         /* [images][H][W / 16][T][16]; packed ones have T16 tokens */
    float *key_scales;     /* [images][H][T16], of packed keys */
    int32_t *key_sums;     /* [images][H][T16] */
    float *value_scales;   /* [images][H][W], of packed values */
    int32_t *value_sums;   /* [images][H][W] */
    vit__table hidden;     /* [images][mlp_rows_at_once][M], with SwiGLU [2][M] */
    vit__table pooled;     /* [images][pooled tokens][D] */
    vit__table pre_logits; /* [images][pre_logits] */
    vit__table logits;     /* [images][num_classes] */
    float *scratch;        /* [threads][scratch_size]: a slice of weights, then a few rows */
    size_t scratch_size;   /* of a worker */
    unsigned char *memory; /* [images][image_size] bytes, of all that is not scratch */
    size_t image_size;
    size_t slice_inputs; /* inputs of weights that are unpacked at a time */
    size_t slice_size;   /* [2][slice_inputs][16] */
    int img_size[2];     /* height, width */
    int grid[2];         /* rows and columns of patches */
    /* Beyond the plain ViT: */
    int block;        /* whose attention it is */
    int first_image;  /* of the batch */
    int stopped;      /* by on_attention or read_rows */
    float *attention; /* [images][H][rows_per_image][T16]: softmax, for on_attention */
    /* With options.merge, where T is what is left: */
    int first_tokens;  /* before anything is merged, R16 when padded to a multiple of 16 */
    float *sizes;      /* [images][R16]: tokens that each stands for */
    float *log_sizes;  /* [images][R16]: logarithms of that, by the scale of the scores */
    float *token_bias; /* these; NULL: nothing is merged yet */
    float *moved;      /* [T / 2][D], on their way */
} vit__pass;

/* Distance between rows that a tile reads together: multiples of 2 KB would all map to a few sets of
   a first level cache, so they get 16 more floats. */
static size_t vit__row_stride(size_t width) {
    return width % 512 == 0 ? vit__add(width, VIT__PANEL) : width;
}

/* The operands of a pass, which a build for int8 alone knows. */
static vit__operand vit__block_operand(const vit__pass *pass) {
    return VIT__ONLY_INT8 ? VIT__OPERAND_INT8 : pass->block_operand;
}

static vit__operand vit__attention_operand(const vit__pass *pass) {
    return VIT__ONLY_INT8 ? VIT__OPERAND_INT8 : pass->attention_operand;
}

/* The operand for a matrix. Those outside the blocks cost little and matter more: floats. */
static vit__operand vit__operand_of(const vit__pass *pass, vit__role role) {
    return vit__in_block(role) ? vit__block_operand(pass) : VIT__OPERAND_F32;
}

static const vit__operand_kernels *vit__kernels_for(const vit__pass *pass, vit__operand operand) {
    return &pass->kernels->operands[operand];
}

/* Floats that hold `inputs` packed inputs, a multiple of 4. */
static size_t vit__packed_size(vit__operand operand, size_t inputs) {
    return inputs / (sizeof(float) / vit__input_sizes[operand]);
}

static size_t vit__steps(vit__operand operand, size_t inputs) {
    return inputs * vit__input_sizes[operand] / VIT__STEP_INPUT;
}

static vit__act_kernel vit__act(const vit__pass *pass) {
    const vit_act act = VIT__TANH || VIT__FAMILIES ? pass->config->act : VIT_ACT_GELU;
    const int packs = vit__is_integer(vit__block_operand(pass));
    if (act == VIT_ACT_GELU) return pass->kernels->act[packs ? VIT__GELU8 : VIT__GELU];
    return pass->kernels->act[(int)VIT__GELU8 + (int)act];
}

/* A worker's room for a slice of weights, [2][slice_inputs][16] ... */
static float *vit__worker_slice(const vit__pass *pass, int worker) {
    return pass->scratch + (size_t)worker * pass->scratch_size;
}

/* ... and for some rows: patches, scores, or one row on its way. */
static float *vit__worker_rows(const vit__pass *pass, int worker) {
    return vit__worker_slice(pass, worker) + pass->slice_size;
}

/* What a task works on: each image has some groups (its heads, or blocks of its rows), and each group
   has `length` things (tokens, panels, ...), of which one task takes `most`. */
typedef struct vit__part {
    size_t image, group;
    int first, count;
} vit__part;

static vit__part vit__part_of(int index, int groups, int length, int most) {
    int parts = vit__divide_up(length, most), all = index / parts;
    vit__part part = {(size_t)(all / groups), (size_t)(all % groups), index % parts * most, 0};
    part.count = vit__min(most, length - part.first);
    return part;
}

/* A task for each part of each image. */
static void vit__run_parts(vit__pass *pass, int groups, int length, int most, vit__task task) {
    int parts = pass->images * groups * vit__divide_up(length, most);
    vit__parallel(pass->options, parts, task, pass);
}

/* Heads whose keys and values there are now. */
static int vit__heads_now(const vit__pass *pass) {
    return vit__min(pass->heads_at_once, pass->heads - pass->first_head);
}

/* Threads that compute an image together, of which each takes some of `count` things. */
static int vit__threads_of_image(const vit__pass *pass, int images, int count) {
    if (VIT__SHARES == 1) return 1;
    return vit__min(vit__divide_up(vit__threads(pass->options), images), count);
}

/* Rows of the heads that there are now, by thread: as vit__part_of with [threads][heads][parts] for
   [groups][parts]. So a thread goes on with the rows that it made in the step before: those of another
   processor come slowly. Parts at the end may be empty. */
static vit__part vit__part_by_thread(const vit__pass *pass, int index, int length, int most) {
    if (VIT__SHARES == 1) return vit__part_of(index, vit__heads_now(pass), length, most);
    const int all_parts = vit__divide_up(length, most), heads = vit__heads_now(pass);
    const int threads = vit__threads_of_image(pass, pass->images, all_parts);
    const int parts = vit__divide_up(all_parts, threads), group = index / parts;
    const int thread = group / heads % threads;
    vit__part part = {(size_t)(group / heads / threads), (size_t)(group % heads),
                      (thread * parts + index % parts) * most, 0};
    part.count = vit__max(0, vit__min(most, length - part.first));
    return part;
}

static void vit__run_parts_by_thread(vit__pass *pass, int length, int most, vit__task task) {
    int parts = vit__divide_up(length, most);
    if (VIT__SHARES > 1) {
        const int threads = vit__threads_of_image(pass, pass->images, parts);
        parts = threads * vit__divide_up(parts, threads);
    }
    vit__parallel(pass->options, pass->images * vit__heads_now(pass) * parts, task, pass);
}

static const void *vit__offset(const void *p, size_t bytes) {
    return (const unsigned char *)p + bytes;
}

/* Rows and panels whose outputs are next to each other; the weights are left to be set. */
static void vit__set_tile(vit__tile *tile, const void *input, size_t input_stride, int rows,
                          size_t outputs, vit__table output) {
    memset(tile, 0, sizeof(*tile));
    tile->rows = rows, tile->panels = (int)(outputs / VIT__PANEL);
    tile->input = input, tile->input_stride = input_stride;
    tile->output = output.data, tile->row_stride = output.stride, tile->panel_stride = VIT__PANEL;
}

/* Spreads the prefetch of the panels that come next over the steps with these, which take `size` bytes;
   `done` steps have been with earlier slices of them. */
static void vit__fetch_next(vit__tile *tile, const void *weights, size_t size, size_t steps,
                            size_t done) {
    tile->next_step = (size + steps - 1) / steps;
    tile->next = (uintptr_t)weights + size + done * tile->next_step;
}

/* Any number of rows, a tile at a time, so that the panels stay in the cache while the rows pass. */
static void vit__multiply_rows(const vit__operand_kernels *kernels, vit__tile *tile, int rows) {
    for (; rows > 0; rows -= tile->rows) {
        tile->rows = vit__min(kernels->tile_rows, rows);
        kernels->multiply(tile);
        for (int i = 0; tile->act != NULL && i < tile->panels; i++)
            tile->act(tile->output + (size_t)i * tile->panel_stride, tile->row_stride, tile->rows);
        tile->input = vit__tile_row(tile, tile->rows);
        if (tile->row_scales != NULL) tile->row_scales += tile->rows, tile->row_zeros += tile->rows;
        tile->output += (size_t)tile->rows * tile->row_stride;
        if (VIT__FETCHES) tile->next += tile->steps * tile->next_step;
    }
}

static const float vit__no_bias[VIT__TILE_PANELS * VIT__PANEL] = {0};

/* Steps with the inputs of a slice, of floats or bf16. */
static size_t vit__slice_steps(const vit__pass *pass, vit__operand operand) {
#ifdef VIT__MULTIPLIES_BF16
    if (operand == VIT__OPERAND_BF16) return vit__steps(operand, pass->slice_inputs);
#endif
    (void)operand;
    return pass->slice_inputs;
}

/* The weights for a tile of some steps from k on: floats, or bf16 in the order of their kernel. */
static void vit__fill_slice(const vit__pass *pass, vit__operand operand, const vit__matrix *m,
                            int panel, const vit__tile *tile, size_t k, float *slice) {
#ifdef VIT__MULTIPLIES_BF16
    if (operand == VIT__OPERAND_BF16)
        pass->kernels->zip(m, panel, tile->panels, 2 * k, 2 * tile->steps, (uint16_t *)slice);
    else
#endif
        pass->kernels->unpack(m, panel, tile->panels, k, tile->steps, slice);
    (void)operand;
}

/* Whether a matrix is not as the operand's kernel takes it. */
static int vit__unpacks(vit__operand operand, const vit__matrix *m) {
    return !vit__is_integer(operand) && (VIT__ONLY_INT8 || m->dtype != VIT__F32);
}

/* Any number of rows and panels, the latter from first_panel of m on. If they are not as the operand's
   kernel takes them, slice_inputs inputs at a time are made so, [panels][slice][16], which stay in the
   first level cache while the rows pass; the sums of the slices add up in the output. m is NULL for
   panels that are no matrix. */
static void vit__multiply_panels(const vit__pass *pass, vit__operand operand, const vit__tile *all,
                                 const vit__matrix *m, int first_panel, float *slice) {
    const vit__operand_kernels *kernels = vit__kernels_for(pass, operand);
    const int unpacks = m != NULL && vit__unpacks(operand, m);
    const size_t panel_size = unpacks ? m->panel_size : all->steps * VIT__STEP_WEIGHTS;
    const size_t most = unpacks ? vit__slice_steps(pass, operand) : all->steps;
    vit__tile tile = *all;
    for (int panel = 0; panel < all->panels; panel += tile.panels) {
        const void *weights = vit__offset(all->weights, (size_t)panel * panel_size);
        const size_t n = (size_t)panel * VIT__PANEL;
        for (size_t k = 0; k < all->steps; k += tile.steps) {
            tile = *all;
            tile.panels = vit__min(kernels->tile_panels, all->panels - panel);
            tile.steps = vit__smaller(most, all->steps - k);
            tile.input = vit__offset(all->input, k * VIT__STEP_INPUT);
            tile.output += (size_t)panel * all->panel_stride;
            tile.weights = unpacks ? slice : weights;
            tile.bias = k > 0 || all->bias == NULL ? vit__no_bias : all->bias + n;
            if (all->scales != NULL) tile.scales += n, tile.weight_sums += n;
            tile.add = all->add || k > 0;
            if (k + tile.steps < all->steps) tile.act = NULL;
            if (unpacks) vit__fill_slice(pass, operand, m, first_panel + panel, &tile, k, slice);
            if (VIT__FETCHES) {
                const size_t tiles = (size_t)vit__divide_up(all->rows, kernels->tile_rows);
                vit__fetch_next(&tile, weights, (size_t)tile.panels * panel_size,
                                tiles * all->steps, tiles * k);
            }
            vit__multiply_rows(kernels, &tile, all->rows);
        }
    }
}

/* The panels of m from first_panel on come to what else `all` says. Floats are multiplied by weights
   of any type; packed rows have the type of the weights. */
static void vit__multiply_matrix(const vit__pass *pass, vit__operand operand, const vit__matrix *m,
                                 int first_panel, vit__tile *all, int worker) {
    const size_t n = (size_t)first_panel * VIT__PANEL;
    all->steps = vit__steps(operand, m->inputs);
    all->weights = m->weights + (size_t)first_panel * m->panel_size;
    all->bias = m->bias + n;
    if (m->scales != NULL) all->scales = m->scales + n, all->weight_sums = m->sums + n;
    all->narrow = m->range <= 63;
    vit__multiply_panels(pass, operand, all, m, first_panel, vit__worker_slice(pass, worker));
}

/* Rows of each image, [images][input_rows][inputs], times panels of a matrix. */
typedef struct vit__product {
    const vit__pass *pass;
    vit__operand operand;
    vit__matrix matrix;
    vit__tile all; /* rows and panels of the first image */
    int images, input_rows, first_panel, task_rows, task_panels;
    size_t image_stride; /* of the output */
} vit__product;

#define VIT__TASK_ROWS 240  /* at most; a multiple of the rows of every tile */
#define VIT__THREAD_ROWS 64 /* that are worth weights of their own */

/* Rows of a task: a thread's part of an image, unless weights would be unpacked for each part. */
static int vit__plan_task_rows(const vit__product *p) {
    const int most = vit__kernels_for(p->pass, p->operand)->tile_rows, rows = p->all.rows;
    const int tile_rows = vit__min(16, most); /* AMX takes more, 16 at a time */
    const int threads = vit__threads_of_image(p->pass, p->images, rows / VIT__THREAD_ROWS);
    if (threads <= 1 || vit__unpacks(p->operand, &p->matrix)) return VIT__TASK_ROWS;
    int blocks = threads * vit__divide_up(rows, threads * VIT__TASK_ROWS);
    return vit__divide_up(vit__divide_up(rows, blocks), tile_rows) * tile_rows;
}

static int vit__task_rows(const vit__product *p) {
    return VIT__SHARES > 1 ? p->task_rows : VIT__TASK_ROWS;
}

/* One task of a product: a few panels times a block of rows of an image. */
static void vit__product_task(void *arg, int index, int worker) {
    const vit__product *p = (const vit__product *)arg;
    const int rows = vit__task_rows(p);
    int blocks = vit__divide_up(p->all.rows, rows);
    vit__part part = vit__part_of(index, blocks, p->all.panels, p->task_panels);
    size_t row = part.group * (size_t)rows;
    size_t input_row = part.image * (size_t)p->input_rows + row;
    vit__tile tile = p->all;
    tile.rows = vit__min(rows, p->all.rows - (int)row), tile.panels = part.count;
    tile.input = vit__offset(tile.input, input_row * tile.input_stride);
    tile.row_scales += input_row, tile.row_zeros += input_row;
    tile.output += part.image * p->image_stride + row * tile.row_stride +
                   (size_t)part.first * tile.panel_stride;
    vit__multiply_matrix(p->pass, p->operand, &p->matrix, p->first_panel + part.first, &tile,
                         worker);
}

static void vit__run_product(vit__product *p) {
    if (VIT__SHARES > 1 && p->task_rows == 0) p->task_rows = vit__plan_task_rows(p);
    int blocks = p->images * vit__divide_up(p->all.rows, vit__task_rows(p));
    p->task_panels = p->images * p->all.rows < VIT__PANEL ? 8 : 2; /* worth handing to a thread */
    vit__parallel(p->pass->options, blocks * vit__divide_up(p->all.panels, p->task_panels),
                  vit__product_task, p);
}

/* Rows, all in one image, times all of a role's matrix, to rows. */
static vit__product vit__product_of(const vit__pass *pass, vit__role role, int block,
                                    vit__table input, int rows, vit__table output) {
    vit__product p;
    memset(&p, 0, sizeof(p));
    p.pass = pass;
    p.matrix = vit__matrix_of(pass->model, role, block);
    p.operand = vit__operand_of(pass, role);
    vit__set_tile(&p.all, input.data, input.stride * sizeof(float), rows, p.matrix.outputs, output);
    p.all.row_scales = pass->row_scales, p.all.row_zeros = pass->row_zeros;
    p.images = 1, p.input_rows = rows;
    return p;
}

static void vit__linear(const vit__pass *pass, vit__role role, int block, vit__table input,
                        int rows, int add, vit__table output) {
    vit__product p = vit__product_of(pass, role, block, input, rows, output);
    p.all.add = add;
    vit__run_product(&p);
}

/* ---- [9] LAYERS ---------------------------------------------------------------------------- */

/* A channel of a row of packed pixels, normalised. */
static void vit__read_u8(const vit_config *c, int channel, const unsigned char *pixels,
                         float *out) {
    for (int x = 0; x < c->patch_size[1]; x++, pixels += c->in_chans)
        out[x] = vit__normalize(&c->preprocess, channel, pixels[channel]);
}

/* Whether options.read_rows gives the pixels. */
static int vit__reads_rows(const vit__pass *pass) {
    return VIT__LOW_MEMORY && pass->options->read_rows != NULL;
}

/* A patch of an image as a row [inputs], in the order channel, y, x, and zeros. */
static void vit__read_patch(const vit__pass *pass, size_t image, int patch, float *out,
                            size_t inputs) {
    const vit_config *c = pass->config;
    size_t height = (size_t)pass->img_size[0], width = (size_t)pass->img_size[1];
    size_t channels = (size_t)c->in_chans, patch_width = (size_t)c->patch_size[1];
    size_t left = (size_t)(patch % pass->grid[1]) * patch_width;
    int top = patch / pass->grid[1] * c->patch_size[0];
    float *end = out + inputs;
    if (vit__reads_rows(pass)) image = 0, top = 0, height = (size_t)c->patch_size[0];
    for (int channel = 0; channel < c->in_chans; channel++) {
        size_t plane = image * channels + (size_t)channel;
        for (int y = top; y < top + c->patch_size[0]; y++, out += patch_width) {
            size_t planar = (plane * height + (size_t)y) * width + left;
            size_t packed = (image * height + (size_t)y) * width + left;
            if (pass->options->pixel_type == VIT_PIXELS_F32)
                memcpy(out, (const float *)pass->pixels + planar, patch_width * sizeof(float));
            else
                vit__read_u8(c, channel, (const unsigned char *)pass->pixels + packed * channels,
                             out);
        }
    }
    memset(out, 0, (size_t)(end - out) * sizeof(float));
}

/* Whether the grid of the patches is another than that of the positions. */
static int vit__resamples(const vit__pass *pass) {
    const vit_config *c = pass->config;
    return VIT__FAMILIES &&
           (vit__pos_height(c) != pass->grid[0] || vit__pos_width(c) != pass->grid[1]);
}

static int vit__patches_of(const vit__pass *pass) {
    return pass->grid[0] * pass->grid[1];
}

#ifndef VIT_ONLY_PLAIN

/* Which old positions along an axis make a new one: those from `first` on, of which the ones outside
   the grid are those at its edge, by a filter around `centre`, stretched. */
typedef struct vit__taps {
    int first, count, last;
    float a; /* of the bicubic filter; 0: bilinear */
    float centre, stretch, sum;
} vit__taps;

/* Keys 1981, "Cubic convolution interpolation for digital image processing"; or a triangle. */
static float vit__tap(const vit__taps *t, int i) {
    float x = ((float)(t->first + i) - t->centre) / t->stretch, a = t->a;
    if (x < 0) x = -x;
    if (a == 0) return x < 1 ? 1 - x : 0;
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static int vit__floor(float x) {
    int down = (int)x;
    return down - ((float)down > x);
}

/* What position `at` is made of, where `in` positions become `out`, as PyTorch's interpolate computes it:
   ATen's UpSample.h, and UpSampleKernel.cpp for antialiasing. */
static vit__taps vit__taps_of(vit_pos_resample method, int in, int out, int at) {
    const int aligned = method == VIT_POS_BICUBIC_ALIGNED;
    float scale = (float)in / ((float)out + (method == VIT_POS_BICUBIC_OFFSET ? 0.1f : 0.0f));
    if (aligned) scale = out > 1 ? (float)(in - 1) / (float)(out - 1) : 0;
    float centre = aligned ? (float)at * scale : ((float)at + 0.5f) * scale - 0.5f;
    vit__taps t = {vit__floor(centre) - 1, 4, in - 1, -0.75f, centre, 1, 1};
    if (method == VIT_POS_BILINEAR) {
        t.centre = centre > 0 ? centre : 0;
        t.first = vit__floor(t.centre), t.count = 2, t.a = 0;
    } else if (method == VIT_POS_BICUBIC_ANTIALIAS) {
        t.a = -0.5f, t.stretch = scale > 1 ? scale : 1, t.sum = 0;
        t.first = vit__max(0, (int)(centre + 1 - 2 * t.stretch));
        t.count = vit__min(in, (int)(centre + 1 + 2 * t.stretch)) - t.first;
        for (int i = 0; i < t.count; i++) t.sum += vit__tap(&t, i);
    }
    return t;
}

static int vit__tap_index(const vit__taps *t, int i) {
    return vit__max(0, vit__min(t->last, t->first + i));
}

/* Positions of patches, [height][width][dim], of which others are made. */
typedef struct vit__pos_grid {
    const float *rows;
    int height, width;
    size_t dim;
    vit_pos_resample method;
} vit__pos_grid;

/* Adds the position of patch `at` of a grid of height * width patches to a row [dim]. */
static void vit__add_position(const vit__pos_grid *grid, int height, int width, int at,
                              float *row) {
    vit__taps down = vit__taps_of(grid->method, grid->height, height, at / width);
    vit__taps across = vit__taps_of(grid->method, grid->width, width, at % width);
    for (int y = 0; y < down.count; y++) {
        size_t line = (size_t)vit__tap_index(&down, y) * (size_t)grid->width;
        float share = vit__tap(&down, y) / (down.sum * across.sum);
        for (int x = 0; x < across.count; x++) {
            const float *in = grid->rows + (line + (size_t)vit__tap_index(&across, x)) * grid->dim;
            float weight = share * vit__tap(&across, x);
            for (size_t i = 0; i < grid->dim; i++) row[i] += weight * in[i];
        }
    }
}

#endif /* VIT_ONLY_PLAIN */

/* The positions of some patches, if they have to be resampled, added to what x holds, or alone. */
static void vit__resample_positions(const vit__pass *pass, vit__part part, vit__table x, int add) {
    if (!vit__resamples(pass)) return;
#ifndef VIT_ONLY_PLAIN
    const vit_config *c = pass->config;
    const float *positions = vit__tensor_data(pass->model, VIT__POS_EMBED, 0);
    vit__pos_grid grid = {positions + (size_t)c->prefix_tokens * pass->dim, vit__pos_height(c),
                          vit__pos_width(c), pass->dim, c->pos_resample};
    for (int i = 0; i < part.count; i++) {
        float *row = x.data + (size_t)i * x.stride;
        if (!add) memset(row, 0, pass->dim * sizeof(float));
        vit__add_position(&grid, pass->grid[0], pass->grid[1], part.first + i, row);
    }
#else
    (void)part, (void)x, (void)add;
#endif
}

/* LayerNorm of a few rows in place, outside the blocks. */
static void vit__norm_rows(const vit__pass *pass, vit__role role, int width, size_t stride,
                           int rows, float *x) {
    const float *weights = vit__tensor_data(pass->model, role, 0);
    for (; rows > 0; rows--, x += stride)
        pass->kernels->norm_row(x, weights, width, vit__round16(width), pass->config->norm_eps, x);
}

/* Patch embedding: Dosovitskiy et al. 2021, arXiv:2010.11929; with norms of the pixels and of their
   embedding, Dual PatchNorm: Kumar et al. 2023, arXiv:2302.01327. One task: a few patches of an image
   become the worker's rows, whose product is added to what x holds. */
static void vit__patch_task(void *arg, int index, int worker) {
    const vit__pass *pass = (const vit__pass *)arg;
    const vit_config *c = pass->config;
    const int late = VIT__FAMILIES && c->embed_norm; /* positions come after that */
    vit__part part = vit__part_of(index, 1, pass->patches_now, pass->patches_at_once);
    if (VIT__LOW_MEMORY) part.image += pass->patches_image, part.first += pass->first_patch;
    size_t token = part.image * (size_t)pass->tokens + (size_t)(c->prefix_tokens + part.first);
    vit__table x = {pass->x.data + token * pass->x.stride, pass->x.stride};
    float *rows = vit__worker_rows(pass, worker);
    vit__matrix m = vit__matrix_of(pass->model, VIT__PATCH_EMBED, 0);
    vit__tile tile;
    vit__set_tile(&tile, rows, pass->patch_stride * sizeof(float), part.count, m.outputs, x);
    for (int i = 0; i < part.count; i++)
        vit__read_patch(pass, part.image, part.first + i, rows + (size_t)i * pass->patch_stride,
                        m.inputs);
    if (VIT__FAMILIES && c->patch_norm)
        vit__norm_rows(pass, VIT__PATCH_NORM, vit__patch_inputs(c), pass->patch_stride, part.count,
                       rows);
    tile.add = !late;
    if (!late) vit__resample_positions(pass, part, x, 0);
    vit__multiply_matrix(pass, VIT__OPERAND_F32, &m, 0, &tile, worker);
    if (!late) return;
    vit__norm_rows(pass, VIT__EMBED_NORM, c->embed_dim, x.stride, part.count, x.data);
    vit__resample_positions(pass, part, x, 1);
}

/* Every token starts as its position, or with `add` has it added to what x holds of the patches; prefix
   tokens, the class token first, are added. Resampled positions of patches are the patch tasks'. */
static void vit__put_positions(const vit__pass *pass, int add) {
    const float *prefix = vit__tensor_data(pass->model, VIT__PREFIX_TOKENS, 0);
    const float *pos_embed = vit__tensor_data(pass->model, VIT__POS_EMBED, 0);
    size_t count = (size_t)pass->tokens * pass->dim;
    size_t first = (size_t)pass->config->prefix_tokens * pass->dim;
    size_t copied = add || vit__resamples(pass) ? first : count;
    for (int image = 0; image < pass->images; image++) {
        float *x = pass->x.data + (size_t)image * count;
        memcpy(x, pos_embed, copied * sizeof(float));
        for (size_t i = 0; i < first; i++) x[i] += prefix[i];
        for (size_t i = first; add && !vit__resamples(pass) && i < count; i++) x[i] += pos_embed[i];
    }
}

/* The patches of images whose pixels options.read_rows gives, a row of patches at a time. */
static void vit__embed_rows(vit__pass *pass) {
    const vit_options *o = pass->options;
    const int across = pass->grid[1];
    pass->pixels = pass->pixel_rows, pass->patches_now = across;
    for (int at = 0; at < pass->images * pass->grid[0] && !pass->stopped; at++) {
        int image = at / pass->grid[0], row = at % pass->grid[0];
        pass->patches_image = (size_t)image, pass->first_patch = row * across;
        pass->stopped = o->read_rows(o->read_rows_user, pass->first_image + image,
                                     row * pass->config->patch_size[0], pass->pixel_rows);
        if (!pass->stopped)
            vit__parallel(o, vit__divide_up(across, pass->patches_at_once), vit__patch_task, pass);
    }
}

/* pixels -> x [images][T][D] */
static void vit__embed(vit__pass *pass, const void *pixels) {
    const vit_config *c = pass->config;
    const int late = VIT__FAMILIES && c->embed_norm;
    pass->pixels = pixels, pass->patches_now = vit__patches_of(pass);
    if (!late) vit__put_positions(pass, 0);
    if (vit__reads_rows(pass)) vit__embed_rows(pass);
    else vit__run_parts(pass, 1, pass->patches_now, pass->patches_at_once, vit__patch_task);
    if (late) vit__put_positions(pass, 1);
    VIT_PROFILE("embed");
}

/* Rows [rows][width] that become normalised, or copied if norm is NULL, and then what an operand is. */
typedef struct vit__row_work {
    const vit__pass *pass;
    vit__table input, output;
    int rows;
    size_t width;
    const float *norm;
    vit__operand operand;
} vit__row_work;

#define VIT__TASK_LINES 16 /* rows of a task that takes them one by one, or a few */
#define VIT__TOGETHER 4096 /* floats of these few, at most */

/* A few rows from `row` on, or one where VIT__FETCHES is 0; if packed they are normalised in `spare`
   [count][D], and their scales and zeros are written. */
static void vit__make_rows(const vit__row_work *w, size_t row, int count, float *spare,
                           float *scales, int32_t *zeros) {
    const vit__pass *pass = w->pass;
    const vit_config *c = pass->config;
    const int packs = w->operand != VIT__OPERAND_F32;
    const size_t in_stride = VIT__FETCHES ? w->input.stride : 0;
    const size_t out_stride = VIT__FETCHES ? w->output.stride : 0;
    const float *x = w->input.data + row * w->input.stride;
    float *out = w->output.data + row * w->output.stride, *normalized = packs ? spare : out;
    const size_t stride = packs && VIT__FETCHES ? w->width : out_stride; /* of normalized */
    if (w->norm != NULL) {
        for (size_t i = 0; i < (size_t)count; i++)
            pass->kernels->norm_row(x + i * in_stride, w->norm, c->embed_dim, w->width, c->norm_eps,
                                    normalized + i * stride);
    } else if (VIT__FAMILIES && !packs) {
        for (size_t i = 0; i < (size_t)count; i++)
            memcpy(out + i * out_stride, x + i * in_stride, w->width * sizeof(float));
    }
    if (packs)
        vit__kernels_for(pass, w->operand)
            ->pack_rows(w->norm != NULL ? normalized : x, w->norm != NULL ? stride : in_stride,
                        count, w->width, out, out_stride * sizeof(float), scales, zeros);
}

/* Rows at a time, so that none waits for its own largest number: that a worker has room for, and that a first
   level cache holds. */
static int vit__rows_together(const vit__row_work *w) {
    const vit__pass *pass = w->pass;
    const size_t room = vit__smaller(pass->scratch_size - pass->slice_size, VIT__TOGETHER);
    return vit__max(1, (int)vit__smaller(room / w->width, VIT__TILE_ROWS));
}

static void vit__row_task(void *arg, int index, int worker) {
    const vit__row_work *w = (const vit__row_work *)arg;
    const vit__pass *pass = w->pass;
    vit__part part = vit__part_of(index, 1, w->rows, VIT__TASK_LINES);
    const int most = VIT__FETCHES ? vit__rows_together(w) : 1;
    int count = 1;
    for (size_t row = (size_t)part.first; part.count > 0;
         part.count -= count, row += (size_t)count) {
        if (VIT__FETCHES) count = vit__min(most, part.count);
        vit__make_rows(w, row, count, vit__worker_rows(pass, worker), pass->row_scales + row,
                       pass->row_zeros + row);
    }
}

static void vit__run_rows(vit__row_work *work) {
    vit__parallel(work->pass->options, vit__divide_up(work->rows, VIT__TASK_LINES), vit__row_task,
                  work);
}

/* LayerNorm of rows [rows][D], as the matrix of the role `next` takes them; output may be input. */
static void vit__layer_norm(const vit__pass *pass, vit__role role, int block, vit__table input,
                            int rows, vit__table output, vit__role next) {
    const float *weights = vit__tensor_data(pass->model, role, block);
    vit__operand operand = vit__operand_of(pass, next);
    vit__row_work work = {pass, input, output, rows, pass->dim, weights, operand};
    vit__run_rows(&work);
}

static int vit__rows_in_use(const vit__pass *pass) {
    return pass->images * pass->rows_per_image;
}

/* Whether a few rows at a time go through a whole branch. */
static int vit__by_strips(const vit__pass *pass) {
    return VIT__LOW_MEMORY && pass->by_strips;
}

/* What a branch of a block reads, to the first rows of normalized: rows of x from `first` on, normalised
   unless that follows the branch. */
static void vit__read_branch(const vit__pass *pass, vit__role norm, int block, int first, int rows,
                             vit__role next) {
    vit__table x = {pass->x.data + (size_t)first * pass->x.stride, pass->x.stride};
    vit__row_work work = {pass,      x,    pass->normalized,           rows,
                          pass->dim, NULL, vit__operand_of(pass, next)};
    if (VIT__FAMILIES && pass->config->post_norm) vit__run_rows(&work);
    else vit__layer_norm(pass, norm, block, x, rows, pass->normalized, next);
}

/* After a branch is added to x. */
static void vit__end_branch(const vit__pass *pass, vit__role norm, int block) {
    if (VIT__FAMILIES && pass->config->post_norm)
        vit__layer_norm(pass, norm, block, pass->x, vit__rows_in_use(pass), pass->x, VIT__HEAD);
}

/* Rows of floats [rows][width] become the blocks' operands, in place. */
static void vit__pack_rows(const vit__pass *pass, vit__table table, int rows, size_t width) {
    vit__row_work work = {pass, table, table, rows, width, NULL, vit__block_operand(pass)};
    if (work.operand != VIT__OPERAND_F32) vit__run_rows(&work);
}

/* The index of a head among these, of all images. */
static size_t vit__head_of(const vit__pass *pass, vit__part part) {
    return part.image * (size_t)pass->heads_at_once + part.group;
}

/* A head's columns of a row in the queries' buffer, [images][rows_per_image][I]. */
static float *vit__head_row(const vit__pass *pass, vit__part part, int rows_per_image, int row) {
    size_t at = part.image * (size_t)rows_per_image + (size_t)row;
    return pass->queries.data + at * pass->queries.stride +
           ((size_t)pass->first_head + part.group) * pass->head_width;
}

/* normalized [images][T][D], the first `rows` of each image, times the panels of H heads of q, k or v, to
   [images][rows][I] in the queries' buffer */
static vit__product vit__heads_product(const vit__pass *pass, vit__role role, int block, int rows) {
    vit__product p = vit__product_of(pass, role, block, pass->normalized, rows, pass->queries);
    int panels = (int)(pass->head_width / VIT__PANEL);
    p.images = pass->images, p.input_rows = pass->tokens;
    p.first_panel = pass->first_head * panels, p.all.panels = vit__heads_now(pass) * panels;
    p.all.output += (size_t)pass->first_head * pass->head_width;
    p.image_stride = (size_t)rows * pass->queries.stride;
    return p;
}

static void vit__project_heads(const vit__pass *pass, vit__role role, int block, int rows) {
    vit__product p = vit__heads_product(pass, role, block, rows);
    vit__run_product(&p);
}

/* LayerNorm of a few queries or keys of a head in place: Dehghani et al. 2023, arXiv:2302.05442. */
static void vit__norm_head(const vit__pass *pass, vit__role role, int rows, vit__table x) {
    const vit_config *c = pass->config;
    if (!VIT__FAMILIES || !c->qk_norm) return;
    const float *weights = vit__tensor_data(pass->model, role, pass->block);
    for (; rows > 0; rows--, x.data += x.stride)
        pass->kernels->norm_row(x.data, weights, c->head_dim, pass->head_width, c->norm_eps,
                                x.data);
}

/* Integers of keys are at most this: 7 bits, or with int8x 8. */
static int vit__key_range(vit__operand operand) {
    return operand == VIT__OPERAND_INT8 ? 63 : 127;
}

/* 16 keys of a head, [rows][W], become a panel, so that the scores are a product with panels too. Tokens
   after the last are zero; their scores are not used. */
static void vit__key_panel(const vit__pass *pass, vit__part part, vit__table rows, float *columns) {
    vit__operand operand = vit__attention_operand(pass);
    size_t at = vit__head_of(pass, part) * pass->padded_tokens + (size_t)part.first;
    float *panel = pass->keys + vit__packed_size(operand, at * pass->head_width);
    if (operand == VIT__OPERAND_F32) columns = panel;
    vit__norm_head(pass, VIT__K_NORM, part.count, rows);
    pass->kernels->transpose(rows.data, rows.stride, part.count, pass->head_width, columns);
    if (operand != VIT__OPERAND_F32)
        vit__kernels_for(pass, operand)
            ->pack_panel(columns, VIT__PANEL, (int)pass->head_width, vit__key_range(operand), panel,
                         pass->key_scales + at, pass->key_sums + at);
}

/* One task of the keys: a panel. */
static void vit__key_task(void *arg, int index, int worker) {
    const vit__pass *pass = (const vit__pass *)arg;
    vit__part part = vit__part_by_thread(pass, index, pass->tokens, VIT__PANEL);
    if (part.count == 0) return;
    vit__table rows = {vit__head_row(pass, part, pass->tokens, part.first), pass->queries.stride};
    vit__key_panel(pass, part, rows, vit__worker_rows(pass, worker));
}

/* normalized -> keys of H heads; the queries' buffer holds their rows in between */
static void vit__make_keys(vit__pass *pass, int block) {
    vit__project_heads(pass, VIT__K, block, pass->tokens);
    vit__run_parts_by_thread(pass, pass->tokens, VIT__PANEL, vit__key_task);
}

/* 16 outputs of a head, [T][16], become a panel of packed values. */
static void vit__value_panel(const vit__pass *pass, vit__part part, vit__table columns) {
    vit__operand operand = vit__attention_operand(pass);
    size_t at = vit__head_of(pass, part) * pass->head_width + (size_t)part.first;
    float *panel = pass->values + vit__packed_size(operand, at * pass->padded_tokens);
    vit__kernels_for(pass, operand)
        ->pack_panel(columns.data, columns.stride, pass->tokens, 127, panel,
                     pass->value_scales + at, pass->value_sums + at);
}

/* One task of packed values: a panel. */
static void vit__value_task(void *arg, int index, int worker) {
    const vit__pass *pass = (const vit__pass *)arg;
    vit__part part = vit__part_of(index, vit__heads_now(pass), (int)pass->head_width, VIT__PANEL);
    vit__table columns = {vit__head_row(pass, part, pass->tokens, 0) + part.first,
                          pass->queries.stride};
    (void)worker;
    vit__value_panel(pass, part, columns);
}

/* normalized -> values of H heads: floats are panels at once, others are rows first as keys are */
static void vit__make_values(vit__pass *pass, int block) {
    vit__product p = vit__heads_product(pass, VIT__V, block, pass->tokens);
    if (vit__attention_operand(pass) == VIT__OPERAND_F32) {
        p.all.output = pass->values;
        p.all.row_stride = VIT__PANEL, p.all.panel_stride = (size_t)pass->tokens * VIT__PANEL;
        p.image_stride = (size_t)pass->heads_at_once * pass->head_width * (size_t)pass->tokens;
    } else if (VIT__SHARES > 1) {
        p.task_rows = VIT__TASK_ROWS; /* the thread that makes a head's values packs them, too */
    }
    vit__run_product(&p);
    if (vit__attention_operand(pass) != VIT__OPERAND_F32)
        vit__run_parts(pass, vit__heads_now(pass), (int)pass->head_width, VIT__PANEL,
                       vit__value_task);
}

/* The scores of a few queries of a head, [rows][T16]. The queries are packed in place. */
static void vit__score(const vit__pass *pass, vit__table queries, int rows, size_t head,
                       float *scores) {
    const vit__operand operand = vit__attention_operand(pass);
    const vit__operand_kernels *kernels = vit__kernels_for(pass, operand);
    const size_t width = pass->head_width, stride = queries.stride * sizeof(float);
    const size_t at = head * pass->padded_tokens;
    float row_scales[VIT__TILE_ROWS];
    int32_t row_zeros[VIT__TILE_ROWS];
    vit__table output = {scores, pass->padded_tokens};
    vit__tile tile;
    vit__set_tile(&tile, queries.data, stride, rows, pass->padded_tokens, output);
    tile.steps = vit__steps(operand, width);
    tile.weights = pass->keys + vit__packed_size(operand, at * width);
    if (VIT__MERGES && pass->token_bias != NULL)
        tile.bias = pass->token_bias +
                    head / (size_t)pass->heads_at_once * vit__round16(pass->first_tokens);
    if (operand != VIT__OPERAND_F32) {
        kernels->pack_rows(queries.data, queries.stride, rows, width, queries.data, stride,
                           row_scales, row_zeros);
        tile.row_scales = row_scales, tile.row_zeros = row_zeros;
        tile.narrow = vit__key_range(operand) <= 63;
        tile.scales = pass->key_scales + at, tile.weight_sums = pass->key_sums + at;
    }
    vit__multiply_panels(pass, operand, &tile, NULL, 0, NULL);
}

/* Whether on_attention is to be called, which firmware leaves out. */
static int vit__shows_attention(const vit__pass *pass) {
    return VIT__FAMILIES && pass->options->on_attention != NULL;
}

/* Where on_attention finds the row of a query of a head. */
static float *vit__attention_row(const vit__pass *pass, vit__part part) {
    size_t rows = vit__head_of(pass, part) * (size_t)pass->rows_per_image + (size_t)part.first;
    return pass->attention + rows * pass->padded_tokens;
}

/* What softmax_rows8 made of a few queries: two digits, in units of a row. */
static void vit__show_digits(const vit__pass *pass, vit__part part, const uint8_t *high,
                             const uint8_t *low, const float *units) {
    float *row = vit__attention_row(pass, part);
    for (int r = 0; r < part.count; r++) {
        for (size_t t = 0; t < pass->padded_tokens; t++)
            *row++ = units[r] * (float)(64 * *high++ + *low++);
    }
}

/* Softmax of the scores, and the values of a head added up by it, [rows][W], as floats ... */
static void vit__attend(const vit__pass *pass, vit__part part, size_t head, float *scores,
                        float scale, vit__table output) {
    const size_t stride = pass->padded_tokens, width = pass->head_width;
    vit__tile tile;
    vit__set_tile(&tile, scores, stride * sizeof(float), part.count, width, output);
    tile.steps = (size_t)pass->tokens, tile.weights = pass->values + head * width * tile.steps;
    pass->kernels->softmax_rows(scores, stride, part.count, pass->tokens, scale);
    if (vit__shows_attention(pass))
        memcpy(vit__attention_row(pass, part), scores, (size_t)part.count * stride * sizeof(float));
    vit__multiply_panels(pass, VIT__OPERAND_F32, &tile, NULL, 0, NULL);
}

/* ... and as integers: a product for each of two digits, which come after the scores. One digit of 7
   bits would add a third to the error of the logits; two cost half as much as floats. */
static void vit__attend_integers(const vit__pass *pass, vit__part part, size_t head, float *scores,
                                 float scale, vit__table output) {
    const size_t stride = pass->padded_tokens, at = head * pass->head_width;
    const size_t all_scores = (size_t)pass->queries_at_once * stride;
    uint8_t *high = (uint8_t *)(scores + all_scores), *low = high + all_scores;
    float units[2][VIT__TILE_ROWS];
    const int32_t row_zeros[VIT__TILE_ROWS] = {0};
    vit__tile tile;
    vit__set_tile(&tile, low, stride, part.count, pass->head_width, output);
    tile.steps = vit__steps(VIT__OPERAND_INT8, stride);
    tile.weights = pass->values + vit__packed_size(VIT__OPERAND_INT8, at * stride);
    tile.scales = pass->value_scales + at, tile.weight_sums = pass->value_sums + at;
    tile.row_zeros = row_zeros, tile.narrow = 1;
    pass->kernels->softmax_rows8(scores, stride, part.count, pass->tokens, scale, high, low,
                                 units[0]);
    if (vit__shows_attention(pass)) vit__show_digits(pass, part, high, low, units[0]);
    for (int r = 0; r < part.count; r++) units[1][r] = 64 * units[0][r];
    for (int digit = 0; digit < 2; digit++, tile.input = high, tile.add = 1) {
        tile.row_scales = units[digit];
        vit__multiply_panels(pass, VIT__OPERAND_INT8, &tile, NULL, 0, NULL);
    }
}

/* A few queries of a head, [rows][W], which what they attend to replaces. */
static void vit__attend_few(const vit__pass *pass, vit__part part, vit__table queries,
                            float *scores) {
    size_t head = vit__head_of(pass, part);
    float scale = 1.0f / VIT_SQRTF((float)pass->config->head_dim);
    vit__norm_head(pass, VIT__Q_NORM, part.count, queries);
    vit__score(pass, queries, part.count, head, scores);
    if (vit__is_integer(vit__attention_operand(pass)))
        vit__attend_integers(pass, part, head, scores, scale, queries);
    else vit__attend(pass, part, head, scores, scale, queries);
}

/* One task of attention: these. Their scores stay in the worker's rows. */
static void vit__attention_task(void *arg, int index, int worker) {
    const vit__pass *pass = (const vit__pass *)arg;
    vit__part part = vit__part_by_thread(pass, index, pass->rows_per_image, pass->queries_at_once);
    if (part.count == 0) return;
    vit__table queries = {vit__head_row(pass, part, pass->rows_per_image, part.first),
                          pass->queries.stride};
    vit__attend_few(pass, part, queries, vit__worker_rows(pass, worker));
}

/* Multi-head attention: Vaswani et al. 2017, arXiv:1706.03762. queries, and keys and values of H heads,
   -> what these heads of the queries attend to, in the same buffer */
static void vit__attention(vit__pass *pass) {
    vit__run_parts_by_thread(pass, pass->rows_per_image, pass->queries_at_once,
                             vit__attention_task);
}

/* Whether on_attention or read_rows wants the pass to end. */
static int vit__is_stopped(const vit__pass *pass) {
    return (VIT__FAMILIES || VIT__LOW_MEMORY) && pass->stopped;
}

/* Calls on_attention for these heads. */
static void vit__show_attention(vit__pass *pass, int block) {
    const vit_options *o = pass->options;
    vit_attention attention = {
        block,          pass->first_head,     vit__heads_now(pass), pass->first_image,
        pass->images,   pass->rows_per_image, pass->tokens,         pass->padded_tokens,
        pass->attention};
    pass->stopped = o->on_attention(o->on_attention_user, &attention);
}

/* How many tokens a token stands for. */
static float vit__token_size(const vit__pass *pass, size_t image, int token) {
    if (!VIT__MERGES || pass->token_bias == NULL) return 1;
    return pass->sizes[image * vit__round16(pass->first_tokens) + (size_t)token];
}

/* Tokens that this block merges: at most half of those that may be. With few rows nothing comes of it. */
static int vit__merges_now(const vit__pass *pass) {
    int most = (pass->tokens - pass->config->prefix_tokens) / 2;
    return pass->rows_per_image < pass->tokens ? 0 : vit__min(pass->options->merge, most);
}

/* With packed rows, one head at a time: what normalized has of them, which is read again to merge tokens,
   goes where the values are no longer needed. */
static void vit__keep_row_scales(const vit__pass *pass) {
    const size_t rows = (size_t)pass->images * (size_t)pass->tokens;
    if (vit__merges_now(pass) == 0 || pass->heads_at_once == pass->heads ||
        !vit__is_integer(vit__block_operand(pass)))
        return;
    memcpy(pass->values, pass->row_scales, rows * sizeof(float));
    memcpy(pass->values + rows, pass->row_zeros, rows * sizeof(int32_t));
}

/* normalized -> what the queries attend to, H heads at a time, as an operand */
static void vit__attend_heads(vit__pass *pass, int block) {
    for (pass->first_head = 0; pass->first_head < pass->heads && !vit__is_stopped(pass);
         pass->first_head += pass->heads_at_once) {
        vit__make_keys(pass, block);
        vit__make_values(pass, block);
        vit__project_heads(pass, VIT__Q, block, pass->rows_per_image);
        VIT_PROFILE("q, k, v");
        vit__attention(pass);
        if (vit__shows_attention(pass)) vit__show_attention(pass, block);
    }
    if (VIT__MERGES) vit__keep_row_scales(pass);
    vit__pack_rows(pass, pass->queries, vit__rows_in_use(pass), pass->inner);
}

/* Attention of the last block, where there are few queries: instead of projecting all tokens to keys and
   values, the queries are projected by the keys' matrix, and what they attend to by the values'. With W
   and b for keys or values, q . (W x + b) is (q W) . x and a term that is the same for all tokens x,
   which softmax cancels, and the sum of p (W x + b) over the tokens, whose weights p add up to 1, is W
   times the sum of p x, and b. So the tokens are keys and values of every head, and its query is
   q W. */
typedef struct vit__token_attention {
    const vit__pass *pass;
    int block;
    vit__table queries; /* [images][rows_per_image][heads][D]: q W, then what that attended to */
} vit__token_attention;

/* The head's tokens are all that the last block computes, unless the head reads the mean too. */
static int vit__last_block_tokens(const vit__pass *pass) {
    const vit_config *c = pass->config;
    int all = c->head_avg || pass->options->all_tokens ||
              (VIT__FAMILIES && pass->options->features == VIT_FEATURES_TOKENS);
    return all ? pass->tokens : c->head_tokens;
}

static int vit__attends_to_tokens(const vit__pass *pass, int block) {
    int queries = vit__last_block_tokens(pass);
    size_t room = (size_t)pass->heads_at_once * pass->head_width;
    return block == pass->config->depth - 1 && pass->dim <= room &&
           vit__block_operand(pass) == VIT__OPERAND_F32 && !vit__shows_attention(pass) &&
           !(VIT__FAMILIES && pass->config->qk_norm) && queries <= pass->tokens / (pass->heads + 1);
}

/* 16 tokens of an image become a panel of keys, [D][16], and their part of the values' panels. */
static void vit__token_panel_task(void *arg, int index, int worker) {
    const vit__pass *pass = (const vit__pass *)arg;
    vit__part part = vit__part_of(index, 1, pass->tokens, VIT__PANEL);
    size_t tokens = (size_t)pass->tokens, stride = pass->normalized.stride;
    size_t first = (size_t)part.first;
    const float *in = pass->normalized.data + (part.image * tokens + first) * stride;
    float *keys = pass->keys + (part.image * pass->padded_tokens + first) * pass->dim;
    float *values = pass->values + part.image * tokens * pass->dim + first * VIT__PANEL;
    (void)worker;
    pass->kernels->transpose(in, stride, part.count, pass->dim, keys);
    for (size_t d = 0; d < pass->dim; d += VIT__PANEL) {
        for (size_t i = 0; i < (size_t)part.count; i++)
            memcpy(values + d * tokens + i * VIT__PANEL, in + i * stride + d,
                   VIT__PANEL * sizeof(float));
    }
}

/* q W of a head of one of the queries. */
static void vit__query_task(void *arg, int index, int worker) {
    const vit__token_attention *t = (const vit__token_attention *)arg;
    const vit__pass *pass = t->pass;
    const vit__matrix m = vit__matrix_of(pass->model, VIT__K, t->block);
    size_t head = (size_t)(index % pass->heads), row = (size_t)(index / pass->heads);
    const float *q = pass->queries.data + row * pass->queries.stride + head * pass->head_width;
    float *out = t->queries.data + (size_t)index * t->queries.stride;
    float *slice = vit__worker_slice(pass, worker);
    int panel = (int)(head * pass->head_width / VIT__PANEL);
    memset(out, 0, pass->dim * sizeof(float));
    for (size_t n = 0; n < pass->head_width; n++) /* q . b cancels, unless b is not finite */
        out[0] += m.bias[head * pass->head_width + n] * 0.0f;
    for (size_t n = 0; n < pass->head_width; n += VIT__PANEL, panel++) {
        for (size_t k = 0, count; k < m.inputs; k += count) {
            count = vit__smaller(pass->slice_inputs, m.inputs - k);
            pass->kernels->unpack(&m, panel, 1, k, count, slice);
            for (size_t i = 0; i < count; i++) {
                const float *w = slice + i * VIT__PANEL;
                float sum = 0;
                for (size_t j = 0; j < VIT__PANEL; j++) sum += q[n + j] * w[j];
                out[k + i] += sum;
            }
        }
    }
}

/* What a head has attended to, times its values' matrix, to the rows of the queries. */
static void vit__result_task(void *arg, int index, int worker) {
    const vit__token_attention *t = (const vit__token_attention *)arg;
    const vit__pass *pass = t->pass;
    size_t head = (size_t)(index % pass->heads), row = (size_t)(index / pass->heads);
    const vit__matrix m = vit__matrix_of(pass->model, VIT__V, t->block);
    const float *input = t->queries.data + (size_t)index * t->queries.stride;
    vit__table output = pass->queries;
    output.data += row * output.stride + head * pass->head_width;
    vit__tile tile;
    vit__set_tile(&tile, input, 0, 1, pass->head_width, output);
    vit__multiply_matrix(pass, VIT__OPERAND_F32, &m, (int)head * tile.panels, &tile, worker);
}

/* normalized -> what the queries attend to, in their buffer */
static void vit__attend_to_tokens(vit__pass *pass, int block) {
    vit__token_attention t = {pass, block, pass->queries};
    vit__pass one = *pass; /* with one head, whose queries are those of all heads */
    int rows = vit__rows_in_use(pass);
    vit__run_parts(pass, 1, pass->tokens, VIT__PANEL, vit__token_panel_task);
    for (pass->first_head = 0; pass->first_head < pass->heads;
         pass->first_head += pass->heads_at_once)
        vit__project_heads(pass, VIT__Q, block, pass->rows_per_image);
    t.queries.data += (size_t)rows * t.queries.stride;
    vit__parallel(pass->options, rows * pass->heads, vit__query_task, &t);
    one.queries = t.queries;
    one.rows_per_image = pass->rows_per_image * pass->heads;
    one.heads = one.heads_at_once = 1, one.first_head = 0;
    one.head_width = one.inner = pass->dim;
    vit__attention(&one);
    vit__parallel(pass->options, rows * pass->heads, vit__result_task, &t);
}

/* Only the first `keep` tokens of each image stay in x, rows packed. */
static void vit__keep_tokens(vit__pass *pass, int keep) {
    size_t size = (size_t)keep * pass->x.stride, stride = (size_t)pass->tokens * pass->x.stride;
    for (size_t image = 1; image < (size_t)pass->images; image++)
        memmove(pass->x.data + image * size, pass->x.data + image * stride, size * sizeof(float));
    pass->rows_per_image = keep;
}

/* With little memory keys and values of all heads are made first. Then a few queries at a time are
   computed, attend, and have what they attended to projected and added to x, so that no other query has
   to wait in memory. What normalized holds is where the keys come, for which, as for the queries, a few
   rows of x are normalised again: that costs a hundredth of the products. */

/* Rows of a worker's own. */
typedef struct vit__strip {
    const vit__pass *pass;
    int worker, count;
    float *row_scales, *memory; /* the latter: what is left of the worker's */
    int32_t *row_zeros;
} vit__strip;

static vit__strip vit__strip_of(const vit__pass *pass, int worker, int count) {
    vit__strip strip;
    strip.pass = pass, strip.worker = worker, strip.count = count;
    strip.row_scales = vit__is_integer(vit__block_operand(pass)) ? vit__worker_slice(pass, worker)
                                                                 : vit__worker_rows(pass, worker);
    strip.memory = strip.row_scales + 2 * VIT__PANEL;
    strip.row_zeros = (int32_t *)(void *)(strip.row_scales + VIT__PANEL);
    return strip;
}

/* Room for the strip's rows, so far apart. */
static vit__table vit__strip_rows(vit__strip *strip, int most, size_t stride) {
    vit__table rows = {strip->memory, stride};
    strip->memory += (size_t)most * stride;
    return rows;
}

/* Rows of x from `first` on, as the branch of attention reads them. */
static vit__table vit__read_strip(vit__strip *strip, size_t first, int most) {
    const vit__pass *pass = strip->pass;
    const int late = VIT__FAMILIES && pass->config->post_norm;
    vit__table x = {pass->x.data + first * pass->x.stride, pass->x.stride};
    vit__row_work work = {pass,
                          x,
                          vit__strip_rows(strip, most, pass->normalized.stride),
                          strip->count,
                          pass->dim,
                          late ? NULL : vit__tensor_data(pass->model, VIT__NORM1, pass->block),
                          vit__block_operand(pass)};
    for (int row = 0; row < strip->count; row++)
        vit__make_rows(&work, (size_t)row, 1, strip->memory, strip->row_scales + row,
                       strip->row_zeros + row);
    return work.output;
}

/* The strip's rows times some panels of a matrix. */
static void vit__multiply_strip(vit__strip *strip, vit__role role, vit__table input,
                                int first_panel, size_t outputs, int add, vit__table output) {
    const vit__pass *pass = strip->pass;
    vit__matrix m = vit__matrix_of(pass->model, role, pass->block);
    vit__tile tile;
    vit__set_tile(&tile, input.data, input.stride * sizeof(float), strip->count, outputs, output);
    tile.row_scales = strip->row_scales, tile.row_zeros = strip->row_zeros, tile.add = add;
    vit__multiply_matrix(pass, vit__block_operand(pass), &m, first_panel, &tile, strip->worker);
}

/* One task: 16 outputs of packed values. */
static void vit__value_strip_task(void *arg, int index, int worker) {
    const vit__pass *pass = (const vit__pass *)arg;
    vit__part part = vit__part_of(index, pass->heads, (int)pass->head_width, VIT__PANEL);
    const size_t first = part.image * (size_t)pass->tokens, stride = pass->normalized.stride;
    const size_t output = part.group * pass->head_width + (size_t)part.first;
    vit__matrix m = vit__matrix_of(pass->model, VIT__V, pass->block);
    vit__table columns = {vit__worker_slice(pass, worker), VIT__PANEL};
    vit__tile tile;
    vit__set_tile(&tile, pass->normalized.data + first * stride, stride * sizeof(float),
                  pass->tokens, VIT__PANEL, columns);
    tile.row_scales = pass->row_scales + first, tile.row_zeros = pass->row_zeros + first;
    vit__multiply_matrix(pass, vit__block_operand(pass), &m, (int)(output / VIT__PANEL), &tile,
                         worker);
    vit__value_panel(pass, part, columns);
}

/* One task: the keys of 16 tokens. */
static void vit__key_strip_task(void *arg, int index, int worker) {
    const vit__pass *pass = (const vit__pass *)arg;
    vit__part part = vit__part_of(index, 1, pass->tokens, VIT__PANEL);
    const size_t width = pass->head_width;
    vit__strip strip = vit__strip_of(pass, worker, part.count);
    vit__table rows =
        vit__read_strip(&strip, part.image * (size_t)pass->tokens + (size_t)part.first, VIT__PANEL);
    vit__table keys = vit__strip_rows(&strip, VIT__PANEL, width);
    for (; part.group < (size_t)pass->heads; part.group++) {
        vit__multiply_strip(&strip, VIT__K, rows, (int)(part.group * width / VIT__PANEL), width, 0,
                            keys);
        vit__key_panel(pass, part, keys, strip.memory);
    }
}

/* One task: a few queries, through all of the branch. */
static void vit__query_strip_task(void *arg, int index, int worker) {
    const vit__pass *pass = (const vit__pass *)arg;
    const int most = pass->queries_at_once;
    vit__part part = vit__part_of(index, 1, pass->rows_per_image, most);
    const size_t first = part.image * (size_t)pass->rows_per_image + (size_t)part.first;
    vit__strip strip = vit__strip_of(pass, worker, part.count);
    vit__table rows = vit__read_strip(&strip, first, most);
    vit__table queries = vit__strip_rows(&strip, most, pass->queries.stride), head = queries;
    vit__table x = {pass->x.data + first * pass->x.stride, pass->x.stride};
    vit__multiply_strip(&strip, VIT__Q, rows, 0, pass->inner, 0, queries);
    for (; part.group < (size_t)pass->heads; part.group++, head.data += pass->head_width)
        vit__attend_few(pass, part, head, strip.memory);
    if (vit__block_operand(pass) != VIT__OPERAND_F32)
        vit__kernels_for(pass, vit__block_operand(pass))
            ->pack_rows(queries.data, queries.stride, part.count, pass->inner, queries.data,
                        queries.stride * sizeof(float), strip.row_scales, strip.row_zeros);
    vit__multiply_strip(&strip, VIT__PROJ, queries, 0, pass->dim, 1, x);
}

/* x and normalized -> x += proj(attention(normalized)) */
static void vit__attend_by_strips(vit__pass *pass, int block) {
    if (vit__is_integer(vit__attention_operand(pass)))
        vit__run_parts(pass, pass->heads, (int)pass->head_width, VIT__PANEL, vit__value_strip_task);
    else vit__make_values(pass, block);
    vit__run_parts(pass, 1, pass->tokens, VIT__PANEL, vit__key_strip_task);
    VIT_PROFILE("k, v");
    if (block == pass->config->depth - 1) vit__keep_tokens(pass, vit__last_block_tokens(pass));
    vit__run_parts(pass, 1, pass->rows_per_image, pass->queries_at_once, vit__query_strip_task);
    VIT_PROFILE("q, attention, proj");
}

/* normalized -> x += proj(attention(normalized)) */
static void vit__attend_at_once(vit__pass *pass, int block) {
    if (block == pass->config->depth - 1) vit__keep_tokens(pass, vit__last_block_tokens(pass));
    if (vit__attends_to_tokens(pass, block)) vit__attend_to_tokens(pass, block);
    else vit__attend_heads(pass, block);
    VIT_PROFILE("attention");
    vit__linear(pass, VIT__PROJ, block, pass->queries, vit__rows_in_use(pass), 1, pass->x);
    VIT_PROFILE("proj");
}

/* x += proj(attention(norm1(x))), or with post_norm x = norm1(x + proj(attention(x))) */
static void vit__attention_branch(vit__pass *pass, int block) {
    if (VIT__FAMILIES || VIT__LOW_MEMORY) pass->block = block;
    vit__read_branch(pass, VIT__NORM1, block, 0, vit__rows_in_use(pass), VIT__Q);
    VIT_PROFILE("norm1");
    if (vit__by_strips(pass)) vit__attend_by_strips(pass, block);
    else vit__attend_at_once(pass, block);
    vit__end_branch(pass, VIT__NORM1, block);
}

#ifndef VIT_NO_MERGE

/* Token merging, ToMe: Bolya et al. 2023, arXiv:2210.09461. Between attention and MLP, when the buffers of
   attention are free but for the keys. */

/* out [count][16] += in, all of a row read before any of it is written. */
static void vit__add_columns(float *out, const float *in, size_t count) {
    for (; count > 0; count--, out += VIT__PANEL, in += VIT__PANEL) {
        float sums[VIT__PANEL];
        for (size_t n = 0; n < VIT__PANEL; n++) sums[n] = out[n] + in[n];
        memcpy(out, sums, sizeof(sums));
    }
}

/* The keys of 16 tokens, which are there of every head, added up: [W][16]. */
static void vit__sum_panels(const vit__pass *pass, vit__part part, float *sums) {
    const vit__operand operand = vit__attention_operand(pass);
    const size_t width = pass->head_width;
    enum { INPUTS = 4 }; /* of integers, which share a word */
    float some[INPUTS * VIT__PANEL];
    memset(sums, 0, width * VIT__PANEL * sizeof(float));
    for (size_t head = 0; head < (size_t)pass->heads; head++) {
        size_t at = (part.image * (size_t)pass->heads + head) * pass->padded_tokens;
        size_t first = at + (size_t)part.first;
        const float *panel = pass->keys + vit__packed_size(operand, first * width);
        if (operand == VIT__OPERAND_F32) {
            vit__add_columns(sums, panel, width);
            continue;
        }
        vit__matrix m = {
            VIT__INT8, vit__key_range(operand),  VIT__PANEL, width, (const unsigned char *)panel, 0,
            NULL,      pass->key_scales + first, NULL,       NULL};
        for (size_t k = 0; k < width; k += INPUTS) {
            pass->kernels->unpack(&m, 0, 1, k, INPUTS, some);
            vit__add_columns(sums + k * VIT__PANEL, some, INPUTS);
        }
    }
}

/* The same of rows in the queries' buffer, in place. */
static void vit__sum_rows(const vit__pass *pass, int count, float *row) {
    const size_t width = pass->head_width;
    for (; count > 0; count--, row += pass->queries.stride) {
        for (size_t head = 0; head < (size_t)pass->heads; head++) {
            float *key = row + head * width;
            vit__table one = {key, 0};
            vit__norm_head(pass, VIT__K_NORM, 1, one);
            if (head > 0) vit__add_columns(row, key, width / VIT__PANEL);
        }
    }
}

/* 1 over the length of each column of [W][16]. */
static void vit__inverse_lengths(const float *columns, size_t width, float *inverse) {
    float sums[VIT__PANEL] = {0};
    for (; width > 0; width--, columns += VIT__PANEL)
        for (size_t n = 0; n < VIT__PANEL; n++) sums[n] += columns[n] * columns[n];
    for (size_t n = 0; n < VIT__PANEL; n++)
        inverse[n] = 1.0f / VIT_SQRTF(sums[n] > 1e-30f ? sums[n] : 1e-30f);
}

/* One task: 16 tokens' keys, added up over the heads and made as long as 1, to the first W of their rows
   in the queries' buffer. */
static void vit__metric_task(void *arg, int index, int worker) {
    const vit__pass *pass = (const vit__pass *)arg;
    const size_t width = pass->head_width, stride = pass->queries.stride;
    vit__part part = vit__part_of(index, 1, pass->tokens, VIT__PANEL);
    size_t first = part.image * (size_t)pass->tokens + (size_t)part.first;
    float *rows = pass->queries.data + first * stride, *sums = vit__worker_rows(pass, worker);
    float inverse[VIT__PANEL];
    if (pass->heads_at_once == pass->heads) vit__sum_panels(pass, part, sums);
    else {
        vit__sum_rows(pass, part.count, rows);
        pass->kernels->transpose(rows, stride, part.count, width, sums);
    }
    vit__inverse_lengths(sums, width, inverse);
    for (size_t n = 0; n < (size_t)part.count; n++, rows += stride)
        for (size_t k = 0; k < width; k++) rows[k] = sums[k * VIT__PANEL + n] * inverse[n];
}

/* The tokens are taken alternately: every first may merge with any second of them. */
static int vit__seconds(const vit__pass *pass) {
    return pass->tokens / 2;
}

static int vit__firsts(const vit__pass *pass) {
    return pass->tokens - vit__seconds(pass);
}

/* Panels of the seconds, in the memory of normalized. */
static float *vit__seconds_panels(const vit__pass *pass, size_t image) {
    return pass->normalized.data + image * vit__round16(vit__seconds(pass)) * pass->head_width;
}

/* One task: the metric of 16 seconds becomes a panel. */
static void vit__second_task(void *arg, int index, int worker) {
    const vit__pass *pass = (const vit__pass *)arg;
    const size_t stride = pass->queries.stride;
    vit__part part = vit__part_of(index, 1, vit__seconds(pass), VIT__PANEL);
    size_t row = part.image * (size_t)pass->tokens + 2 * (size_t)part.first + 1;
    (void)worker;
    pass->kernels->transpose(
        pass->queries.data + row * stride, 2 * stride, part.count, pass->head_width,
        vit__seconds_panels(pass, part.image) + (size_t)part.first * pass->head_width);
}

/* Index of the largest of `count` similarities, the first of equal ones; NaN is not looked at. Those up
   to a multiple of 16 are written. */
static int vit__most_similar(float *row, int first, int count, float *similarity) {
    float best[VIT__PANEL];
    int32_t panels[VIT__PANEL];
    int index = first;
    for (int i = 0; i < first; i++) row[i] = -3;
    for (int i = count; i < (int)vit__round16(count); i++) row[i] = -3;
    for (int n = 0; n < VIT__PANEL; n++) best[n] = -2, panels[n] = 0;
    for (int32_t panel = 0; panel * VIT__PANEL < count; panel++, row += VIT__PANEL) {
        for (int n = 0; n < VIT__PANEL; n++) panels[n] = row[n] > best[n] ? panel : panels[n];
        for (int n = 0; n < VIT__PANEL; n++) best[n] = row[n] > best[n] ? row[n] : best[n];
    }
    *similarity = -2;
    for (int n = 0; n < VIT__PANEL; n++) {
        int at = panels[n] * VIT__PANEL + n;
        if (best[n] > *similarity || (best[n] > -2 && best[n] >= *similarity && at < index))
            *similarity = best[n], index = at;
    }
    return index;
}

/* One task: a few firsts, and the second that is most like each: its similarity to row_scales, its index
   to row_zeros. */
static void vit__match_task(void *arg, int index, int worker) {
    const vit__pass *pass = (const vit__pass *)arg;
    const size_t stride = pass->queries.stride;
    const int seconds = vit__seconds(pass), prefix = pass->config->prefix_tokens;
    vit__part part = vit__part_of(index, 1, vit__firsts(pass), pass->queries_at_once);
    size_t image = part.image * (size_t)pass->tokens;
    size_t row = image + 2 * (size_t)part.first, at = image + (size_t)part.first;
    vit__table scores = {vit__worker_rows(pass, worker), vit__round16(seconds)};
    vit__tile tile;
    vit__set_tile(&tile, pass->queries.data + row * stride, 2 * stride * sizeof(float), part.count,
                  scores.stride, scores);
    tile.steps = pass->head_width, tile.weights = vit__seconds_panels(pass, part.image);
    vit__multiply_panels(pass, VIT__OPERAND_F32, &tile, NULL, 0, NULL);
    for (size_t i = 0; i < (size_t)part.count; i++)
        pass->row_zeros[at + i] = vit__most_similar(scores.data + i * scores.stride, prefix / 2,
                                                    seconds, pass->row_scales + at + i);
}

/* An integer that is in the order of the floats. */
static uint32_t vit__float_order(const float *x) {
    uint32_t bits = (uint32_t)vit__bits_at(x);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static int vit__count_above(const float *x, int count, uint32_t order) {
    int above = 0;
    for (int i = 0; i < count; i++) above += vit__float_order(x + i) > order;
    return above;
}

/* Only the `merged` firsts that are most similar keep their partner, equal ones by index; the others get
   -1. */
static void vit__choose(const float *similarities, int first, int count, int merged,
                        int32_t *partners) {
    uint32_t low = 0, high = 0xFFFFFFFFu; /* above low are at least `merged`, above high at most */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (vit__count_above(similarities + first, count - first, middle) > merged) low = middle;
        else high = middle;
    }
    int equal = merged - vit__count_above(similarities + first, count - first, high);
    for (int i = 0; i < count; i++) {
        uint32_t order = vit__float_order(similarities + i);
        int keeps = i >= first && (order > high || (order == high && equal-- > 0));
        if (!keeps) partners[i] = -1;
    }
}

/* Natural logarithm of a positive integer, of less than 2^24. */
static float vit__log(float x) {
    static const float c[] = {2.0f / 9, 2.0f / 7, 2.0f / 5, 2.0f / 3, 2.0f};
    int32_t bits = vit__bits_at(&x), exponent = (bits - 0x3F3504F3) >> 23; /* of x / sqrt(1/2) */
    float m = vit__float_of(bits - exponent * 0x800000), s = (m - 1) / (m + 1);
    return (float)exponent * 0.69314718f + s * vit__polynomial(c, 5, s * s);
}

/* The sizes of the tokens that are left, in their order: prefix tokens, firsts, seconds. */
static void vit__put_sizes(const vit__pass *pass, size_t image, const int32_t *partners,
                           const float *seconds) {
    const size_t at = image * vit__round16(pass->first_tokens);
    const int prefix = pass->config->prefix_tokens;
    float *sizes = pass->sizes + at, *bias = pass->log_sizes + at;
    int left = prefix;
    for (int t = 0; t < prefix; t++) sizes[t] = 1;
    for (int i = (prefix + 1) / 2; i < vit__firsts(pass); i++)
        if (partners[i] < 0) sizes[left++] = vit__token_size(pass, image, 2 * i);
    for (int i = prefix / 2; i < vit__seconds(pass); i++) sizes[left++] = seconds[i];
    for (int t = 0; t < left; t++)
        bias[t] = vit__log(sizes[t]) * VIT_SQRTF((float)pass->config->head_dim);
}

/* One task: of an image the pairs that merge, in row_scales what part the first is of a pair, and the new
   sizes. */
static void vit__choose_task(void *arg, int index, int worker) {
    const vit__pass *pass = (const vit__pass *)arg;
    const int firsts = vit__firsts(pass), prefix = pass->config->prefix_tokens;
    size_t image = (size_t)index, row = image * (size_t)pass->tokens;
    int32_t *partners = pass->row_zeros + row;
    float *shares = pass->row_scales + row, *sizes = shares + firsts; /* of the seconds */
    (void)worker;
    vit__choose(shares, (prefix + 1) / 2, firsts, vit__merges_now(pass), partners);
    for (int i = 0; i < vit__seconds(pass); i++) sizes[i] = vit__token_size(pass, image, 2 * i + 1);
    for (int i = 0; i < firsts; i++) {
        if (partners[i] < 0) continue;
        float size = vit__token_size(pass, image, 2 * i), *second = sizes + partners[i];
        *second += size;
        shares[i] = size / *second;
    }
    vit__put_sizes(pass, image, partners, sizes);
}

/* Of some columns of an image's x, [T][D] -> [left][D] at out: seconds become means. */
static void vit__move_columns(const vit__pass *pass, size_t image, const float *in, float *out,
                              size_t first, size_t count) {
    const size_t stride = pass->x.stride, size = count * sizeof(float);
    const size_t prefix = (size_t)pass->config->prefix_tokens;
    const size_t firsts = (size_t)vit__firsts(pass), seconds = (size_t)vit__seconds(pass);
    const int32_t *partners = pass->row_zeros + image * (size_t)pass->tokens;
    const float *shares = pass->row_scales + image * (size_t)pass->tokens;
    float *moved = pass->moved + first;
    for (size_t i = prefix / 2; i < seconds; i++)
        memcpy(moved + i * stride, in + (2 * i + 1) * stride, size);
    for (size_t i = 0; i < firsts; i++) {
        if (partners[i] < 0) continue;
        float *mean = moved + (size_t)partners[i] * stride;
        for (size_t n = 0; n < count; n++)
            mean[n] += shares[i] * (in[2 * i * stride + n] - mean[n]);
    }
    for (size_t t = 0; t < prefix; t++, out += stride) memmove(out, in + t * stride, size);
    for (size_t i = (prefix + 1) / 2; i < firsts; i++) {
        if (partners[i] >= 0) continue;
        memmove(out, in + 2 * i * stride, size);
        out += stride;
    }
    for (size_t i = prefix / 2; i < seconds; i++, out += stride)
        memcpy(out, moved + i * stride, size);
}

/* Panels of columns for each thread. */
static int vit__panels_of_move(const vit__pass *pass) {
    return vit__divide_up((int)(pass->dim / VIT__PANEL), vit__threads(pass->options));
}

/* One task: a thread's part of the columns, of all images one after the other. */
static void vit__move_task(void *arg, int index, int worker) {
    const vit__pass *pass = (const vit__pass *)arg;
    int panels = (int)(pass->dim / VIT__PANEL);
    vit__part part = vit__part_of(index, 1, panels, vit__panels_of_move(pass));
    const size_t first = (size_t)part.first * VIT__PANEL, tokens = (size_t)pass->tokens;
    const size_t left = tokens - (size_t)vit__merges_now(pass);
    float *x = pass->x.data + first;
    (void)worker;
    for (size_t image = 0; image < (size_t)pass->images; image++)
        vit__move_columns(pass, image, x + image * tokens * pass->x.stride,
                          x + image * left * pass->x.stride, first,
                          (size_t)part.count * VIT__PANEL);
}

/* Keys of every head again, as rows in the queries' buffer, where only one head's are there. */
static void vit__project_keys_again(vit__pass *pass, int block) {
    const size_t rows = (size_t)vit__rows_in_use(pass);
    const int heads_at_once = pass->heads_at_once, first_head = pass->first_head;
    if (vit__is_integer(vit__block_operand(pass))) {
        memcpy(pass->row_scales, pass->values, rows * sizeof(float));
        memcpy(pass->row_zeros, pass->values + rows, rows * sizeof(int32_t));
    }
    pass->heads_at_once = pass->heads, pass->first_head = 0;
    vit__project_heads(pass, VIT__K, block, pass->tokens);
    pass->heads_at_once = heads_at_once, pass->first_head = first_head;
}

/* Which tokens of a block merge, and x without those that do. */
static void vit__match_and_move(vit__pass *pass, int block) {
    int panels = (int)(pass->dim / VIT__PANEL);
    if (pass->heads_at_once < pass->heads) vit__project_keys_again(pass, block);
    vit__run_parts(pass, 1, pass->tokens, VIT__PANEL, vit__metric_task);
    vit__run_parts(pass, 1, vit__seconds(pass), VIT__PANEL, vit__second_task);
    vit__run_parts(pass, 1, vit__firsts(pass), pass->queries_at_once, vit__match_task);
    vit__parallel(pass->options, pass->images, vit__choose_task, pass);
    vit__parallel(pass->options, vit__divide_up(panels, vit__panels_of_move(pass)), vit__move_task,
                  pass);
}

#endif /* VIT_NO_MERGE */

/* SwiGLU: rows [rows][2][M] of the gate, through silu, and of what it lets pass -> their product in the
   first half. */
static void vit__gate_task(void *arg, int index, int worker) {
    const vit__row_work *w = (const vit__row_work *)arg;
    vit__part part = vit__part_of(index, 1, w->rows, VIT__TASK_LINES);
    (void)worker;
    for (int row = part.first; row < part.first + part.count; row++) {
        float *gate = w->input.data + (size_t)row * w->input.stride;
        for (size_t i = 0; i < w->width; i++) gate[i] *= gate[w->width + i];
    }
}

static void vit__gate_rows(const vit__pass *pass, int rows, size_t width) {
    vit__row_work work = {pass, pass->hidden, pass->hidden, rows, width, NULL, VIT__OPERAND_F32};
    vit__parallel(pass->options, vit__divide_up(rows, VIT__TASK_LINES), vit__gate_task, &work);
}

/* rows of normalized -> act(fc1), or with SwiGLU the gated product, as operands in hidden */
static void vit__hidden_rows(const vit__pass *pass, vit__product *fc1, int rows) {
    const size_t width = vit__round16(pass->config->mlp_dim);
    const int gated = vit__is_gated(pass->config);
    fc1->all.panels = (int)(width / VIT__PANEL);
    fc1->all.act = vit__act(pass);
    vit__run_product(fc1);
    if (gated) {
        fc1->first_panel = fc1->all.panels;
        fc1->all.output += width, fc1->all.act = NULL;
        vit__run_product(fc1);
        vit__gate_rows(pass, rows, width);
    }
    vit__pack_rows(pass, pass->hidden, rows, width);
}

/* The MLP of some rows, from `first` on: x += fc2(act(fc1(normalized))) */
static void vit__mlp_rows(const vit__pass *pass, int block, int first, int rows) {
    vit__table x = pass->x, normalized = pass->normalized;
    x.data += (size_t)first * x.stride;
    if (vit__by_strips(pass))
        vit__read_branch(pass, VIT__NORM2, block, first, rows, VIT__FC1), first = 0;
    normalized.data += (size_t)first * normalized.stride;
    vit__product fc1 = vit__product_of(pass, VIT__FC1, block, normalized, rows, pass->hidden);
    fc1.all.row_scales += first, fc1.all.row_zeros += first;
    vit__hidden_rows(pass, &fc1, rows);
    VIT_PROFILE("fc1, act");
    vit__linear(pass, VIT__FC2, block, pass->hidden, rows, 1, x);
    VIT_PROFILE("fc2");
}

/* x += fc2(act(fc1(norm2(x)))), or with post_norm x = norm2(x + fc2(act(fc1(x)))) */
static void vit__mlp_branch(const vit__pass *pass, int block) {
    int rows = vit__rows_in_use(pass), most = pass->images * pass->mlp_rows_at_once;
    if (!vit__by_strips(pass)) vit__read_branch(pass, VIT__NORM2, block, 0, rows, VIT__FC1);
    VIT_PROFILE("norm2");
    for (int first = 0; first < rows; first += most)
        vit__mlp_rows(pass, block, first, vit__min(most, rows - first));
    vit__end_branch(pass, VIT__NORM2, block);
}

/* The tokens that the head reads, one after the other: x -> pooled [images][pooled tokens][D] */
static void vit__pool(const vit__pass *pass) {
    const vit_config *c = pass->config;
    size_t dim = pass->dim;
    int first = c->head_avg == 1 ? c->prefix_tokens : 0; /* token of the mean */
    for (size_t image = 0; image < (size_t)pass->images; image++) {
        const float *in = pass->x.data + image * (size_t)pass->rows_per_image * pass->x.stride;
        float *out = pass->pooled.data + image * pass->pooled.stride;
        for (int t = 0; t < c->head_tokens; t++, out += dim)
            memcpy(out, in + (size_t)t * pass->x.stride, dim * sizeof(float));
        if (!c->head_avg) continue;
        memset(out, 0, dim * sizeof(float));
        for (int t = first; t < pass->tokens; t++) {
            float size = vit__token_size(pass, image, t);
            for (size_t i = 0; i < dim; i++) out[i] += size * in[(size_t)t * pass->x.stride + i];
        }
        int averaged = (VIT__MERGES ? pass->first_tokens : pass->tokens) - first;
        for (size_t i = 0; i < dim; i++) out[i] /= (float)averaged;
    }
}

/* x -> pooled, with the final norm before or after */
static void vit__final_norm_and_pool(const vit__pass *pass) {
    const vit_config *c = pass->config;
    vit__table tokens = {pass->pooled.data, pass->dim};
    if (c->final_norm == VIT_FINAL_NORM_TOKENS)
        vit__layer_norm(pass, VIT__NORM, 0, pass->x, vit__rows_in_use(pass), pass->x, VIT__HEAD);
    vit__pool(pass);
    if (c->final_norm == VIT_FINAL_NORM_POOLED)
        vit__layer_norm(pass, VIT__NORM, 0, tokens, pass->images * vit__pooled_tokens(c), tokens,
                        VIT__HEAD);
}

/* Each row divided by its length; a row of zeros stays one. */
static void vit__l2_normalize(vit__table rows, int count) {
    for (; count > 0; count--, rows.data += rows.stride) {
        float sum = 0;
        for (size_t i = 0; i < rows.stride; i++) sum += rows.data[i] * rows.data[i];
        float scale = 1.0f / VIT_SQRTF(sum > 1e-24f ? sum : 1e-24f);
        for (size_t i = 0; i < rows.stride; i++) rows.data[i] *= scale;
    }
}

/* pooled -> what the classifier reads: pre_logits where the model has that layer */
static vit__table vit__pre_logits(const vit__pass *pass) {
    const vit__table rows = pass->pre_logits;
    if (!VIT__TANH || pass->config->pre_logits == 0) return pass->pooled;
    vit__linear(pass, VIT__PRE_LOGITS, 0, pass->pooled, pass->images, 0, rows);
    if (VIT__FAMILIES && pass->config->pre_logits_l2) {
        vit__l2_normalize(rows, pass->images);
        return rows;
    }
    for (size_t i = 0; i < (size_t)pass->images * rows.stride; i++)
        rows.data[i] = VIT_TANHF(rows.data[i]);
    return rows;
}

/* Rows with padding -> [rows][width] */
static void vit__copy_rows(vit__table rows, int count, size_t width, float *out) {
    for (; count > 0; count--, rows.data += rows.stride, out += width)
        memcpy(out, rows.data, width * sizeof(float));
}

/* pooled [images][...] -> logits [images][num_classes] */
static void vit__classify(const vit__pass *pass, float *logits) {
    vit__linear(pass, VIT__HEAD, 0, vit__pre_logits(pass), pass->images, 0, pass->logits);
    vit__copy_rows(pass->logits, pass->images, (size_t)pass->config->num_classes, logits);
    VIT_PROFILE("head");
}

/* What comes out: without a head what one would read. */
static vit_features vit__features_of(const vit_config *c, const vit_options *options) {
    if (!VIT__FAMILIES) return VIT_FEATURES_NONE;
    return c->num_classes == 0 && !options->features ? VIT_FEATURES_POOLED : options->features;
}

static size_t vit__output_count(const vit_config *c, const vit_options *options, int tokens) {
    vit_features features = vit__features_of(c, options);
    if (features == VIT_FEATURES_NONE) return (size_t)c->num_classes;
    int rows = features == VIT_FEATURES_POOLED ? vit__pooled_tokens(c) : tokens;
    return (size_t)rows * (size_t)c->embed_dim;
}

/* x, pooled [images][...] -> output [images][vit_output_count] */
static void vit__put_out(const vit__pass *pass, float *output) {
    const vit_config *c = pass->config;
    vit_features features = vit__features_of(c, pass->options);
    vit__table pooled = {pass->pooled.data, pass->dim};
    if (features == VIT_FEATURES_NONE) vit__classify(pass, output);
    else if (features == VIT_FEATURES_POOLED)
        vit__copy_rows(pooled, pass->images * vit__pooled_tokens(c), (size_t)c->embed_dim, output);
    else vit__copy_rows(pass->x, pass->images * pass->tokens, (size_t)c->embed_dim, output);
}

/* ---- [10] FORWARD -------------------------------------------------------------------------- */

#define VIT__MAX_TASKS (1u << 30) /* of one step, which are counted by an int */

static const vit_options vit__default_options = {0,      NULL,
                                                 NULL,   NULL,
                                                 NULL,   NULL,
                                                 NULL,   VIT_PIXELS_F32,
                                                 0,      VIT_ISA_BEST,
                                                 0,      VIT_FEATURES_NONE,
                                                 {0, 0}, 0,
                                                 NULL,   NULL};

/* Merged tokens have neither attention nor outputs of their own. */
static int vit__merge_is_valid(const vit_options *options) {
    if (!VIT__MERGES || options->merge <= 0) return options->merge == 0;
    return options->on_attention == NULL && options->features != VIT_FEATURES_TOKENS;
}

static int vit__options_are_valid(const vit_options *options, int batch) {
    return batch >= 1 && options->threads >= 0 && options->threads <= VIT__MAX_THREADS &&
           (unsigned)options->pixel_type < VIT_PIXELS_COUNT && vit__merge_is_valid(options) &&
           (VIT__LOW_MEMORY || (!options->low_memory && options->read_rows == NULL)) &&
           (VIT__FAMILIES ? (unsigned)options->features < VIT_FEATURES_COUNT
                          : !options->features && options->on_attention == NULL);
}

/* Inputs in a slice of unpacked weights: of the widest such matrix, limited. */
static size_t vit__slice_inputs(const vit__pass *pass) {
    const int low_memory = VIT__LOW_MEMORY && pass->options->low_memory;
    size_t most = low_memory ? VIT__GROUP : VIT__SLICE_INPUTS, inputs = 0;
    for (int i = 0; i < vit__tensor_count(pass->config); i++) {
        vit__tensor t = vit__tensor_at(pass->config, i);
        if (t.order == VIT__PANELS && vit__operand_of(pass, t.role) == VIT__OPERAND_F32)
            inputs = vit__larger(inputs, t.padded_cols);
    }
    return vit__smaller(inputs, most);
}

/* What is computed by what, and how much at a time: min(threads, batch) images. */
static void vit__plan_work(vit__pass *pass, vit_dtype dtype, int batch) {
    const vit_config *c = pass->config;
    const int low_memory = VIT__LOW_MEMORY && pass->options->low_memory;
    if (dtype == VIT_INT8) pass->attention_operand = VIT__OPERAND_INT8;
#ifndef VIT_ONLY_INT8
    if (dtype == VIT_INT8X) pass->attention_operand = VIT__OPERAND_INT8X;
#endif
    pass->block_operand = pass->attention_operand;
    pass->images = vit__min(vit__threads(pass->options), batch);
    for (int i = 0; i < 2; i++) pass->grid[i] = pass->img_size[i] / c->patch_size[i];
    pass->tokens = pass->rows_per_image = c->prefix_tokens + vit__patches_of(pass);
    if (VIT__MERGES) pass->first_tokens = pass->tokens;
    pass->heads = c->num_heads;
    pass->by_strips =
        low_memory && !vit__shows_attention(pass) && !(VIT__MERGES && pass->options->merge > 0);
    pass->heads_at_once = low_memory && !pass->by_strips ? 1 : c->num_heads;
    pass->patches_at_once =
        vit__min(vit__patches_of(pass), low_memory ? VIT__FEW_PATCHES : VIT__PATCH_ROWS);
    pass->queries_at_once = low_memory ? VIT__FEW_ROWS : VIT__TILE_ROWS;
}

static void vit__plan_widths(vit__pass *pass) {
    const vit_config *c = pass->config;
    pass->padded_tokens = vit__round16(pass->tokens);
    pass->dim = vit__round16(c->embed_dim);
    pass->head_width = vit__round16(c->head_dim);
    pass->inner = pass->head_width * (size_t)c->num_heads;
    pass->patch_stride = vit__row_stride(vit__tensor_of(c, VIT__PATCH_EMBED, 0).padded_cols);
    pass->x.stride = pass->dim;
    pass->normalized.stride =
        vit__row_stride(vit__packed_size(vit__block_operand(pass), pass->dim));
    pass->queries.stride = vit__row_stride(pass->inner);
    pass->hidden.stride =
        vit__row_stride(vit__round16(c->mlp_dim) * (size_t)(1 + vit__is_gated(c)));
    pass->pooled.stride = pass->dim * (size_t)vit__pooled_tokens(c);
    pass->pre_logits.stride = vit__round16(c->pre_logits);
    pass->logits.stride = vit__round16(c->num_classes);
    pass->slice_inputs = vit__slice_inputs(pass);
    pass->slice_size = VIT__TILE_PANELS * VIT__PANEL * pass->slice_inputs;
}

/* Checks the options and computes all sizes of a pass but those of its buffers. */
static vit_status vit__plan_sizes(vit__pass *pass, const vit_config *config, vit_dtype dtype,
                                  const vit_options *options, int batch) {
    if (options == NULL) options = &vit__default_options;
    if (!vit__options_are_valid(options, batch)) return VIT_ERROR_ARGUMENT;
    memset(pass, 0, sizeof(*pass));
    pass->config = config, pass->options = options;
    if (!vit__img_size_of(config, options, pass->img_size)) return VIT_ERROR_ARGUMENT;
    vit__plan_work(pass, dtype, batch);
    vit__plan_widths(pass);
    if (VIT__FAMILIES && vit__is_integer(pass->attention_operand) &&
        pass->tokens > (int)VIT__MAX_SUMMED)
        return VIT_ERROR_ARGUMENT; /* attention adds up integers over them */
    size_t rows = vit__mul((size_t)pass->images, (size_t)pass->tokens);
    size_t columns =
        vit__larger(vit__larger(pass->inner, pass->hidden.stride), pass->logits.stride);
    int countable = vit__mul(rows, columns / VIT__PANEL) <= VIT__MAX_TASKS;
    return countable ? VIT_OK : VIT_ERROR_ARGUMENT;
}

/* vit__plan_sizes for a model, which the pass can run then, unless its kernels are NULL. */
static vit_status vit__pass_plan(vit__pass *pass, const vit_model *model,
                                 const vit_options *options, int batch) {
    if (model == NULL || model->data == NULL) return VIT_ERROR_ARGUMENT;
    vit_dtype dtype = VIT__ONLY_INT8 ? VIT_INT8 : vit_model_dtype(model);
    vit_status status = vit__plan_sizes(pass, &model->config, dtype, options, batch);
    if (status != VIT_OK) return status;
    const int forced = pass->options->isa != VIT_ISA_BEST;
    pass->model = model;
    pass->kernels = forced ? vit__kernels_of(pass->options->isa) : model->kernels;
    pass->kernels = vit__kernels_for_dtype(pass->kernels, dtype);
#ifdef VIT__MULTIPLIES_BF16 /* in the room of floats, for workspaces do not depend on the machine */
    if (dtype == VIT_BF16 && pass->kernels != NULL &&
        vit__kernels_for(pass, VIT__OPERAND_BF16)->multiply != NULL)
        pass->block_operand = VIT__OPERAND_BF16;
#endif
    return VIT_OK;
}

/* `count` times `size` floats, or integers of 32 bits. */
static void *vit__take(vit__arena *arena, int count, size_t size) {
    return vit__arena_take(arena, vit__mul((size_t)count, size), sizeof(float));
}

static void vit__carve_keys(vit__pass *pass, vit__arena *arena) {
    const vit__operand operand = vit__attention_operand(pass);
    const int heads = pass->images * pass->heads_at_once;
    size_t keys = vit__packed_size(operand, pass->padded_tokens);
    pass->keys = (float *)vit__take(arena, heads, vit__mul(pass->head_width, keys));
    if (operand == VIT__OPERAND_F32) return;
    pass->key_scales = (float *)vit__take(arena, heads, pass->padded_tokens);
    pass->key_sums = (int32_t *)vit__take(arena, heads, pass->padded_tokens);
}

static void vit__carve_values(vit__pass *pass, vit__arena *arena) {
    const vit__operand operand = vit__attention_operand(pass);
    const int packed = operand != VIT__OPERAND_F32, heads = pass->images * pass->heads_at_once;
    size_t values = packed ? vit__packed_size(operand, pass->padded_tokens) : (size_t)pass->tokens;
    pass->values = (float *)vit__take(arena, heads, vit__mul(pass->head_width, values));
    if (!packed) return;
    pass->value_scales = (float *)vit__take(arena, heads, pass->head_width);
    pass->value_sums = (int32_t *)vit__take(arena, heads, pass->head_width);
}

static void vit__carve_attention(vit__pass *pass, vit__arena *arena) {
    pass->queries.data =
        (float *)vit__take(arena, pass->images * pass->tokens, pass->queries.stride);
    vit__carve_values(pass, arena);
    vit__carve_keys(pass, arena);
    if (vit__shows_attention(pass))
        pass->attention = (float *)vit__take(arena, pass->images * pass->heads_at_once,
                                             vit__mul((size_t)pass->tokens, pass->padded_tokens));
}

/* Also for the panels of the tokens that others are matched with. */
static void *vit__take_normalized(const vit__pass *pass, vit__arena *arena) {
    size_t size = vit__mul((size_t)pass->tokens, pass->normalized.stride);
    if (VIT__MERGES && pass->options->merge > 0)
        size = vit__larger(size, vit__mul(vit__round16(pass->tokens / 2), pass->head_width));
    return vit__take(arena, pass->images, size);
}

/* What is normalised, and attention; the MLP takes what comes after it. By strips the MLP normalises some
   rows at a time, and the keys replace what is normalised for attention. */
static void vit__carve_branches(vit__pass *pass, vit__arena *attention, vit__arena *mlp) {
    const int rows = pass->images * pass->tokens;
    vit__arena keys = *attention;
    pass->row_scales = (float *)vit__take(attention, rows, 1);
    pass->row_zeros = (int32_t *)vit__take(attention, rows, 1);
    *mlp = *attention;
    pass->normalized.data = (float *)vit__take_normalized(pass, attention);
    if (!vit__by_strips(pass)) {
        *mlp = *attention;
        vit__carve_attention(pass, attention);
        return;
    }
    vit__take(mlp, pass->images * pass->mlp_rows_at_once, pass->normalized.stride);
    vit__carve_keys(pass, &keys);
    attention->used = vit__larger(attention->used, keys.used);
    vit__carve_values(pass, attention);
    pass->queries.data = pass->values; /* not used, but no null pointer */
}

/* Bytes of a row of patches, as options.read_rows gives it. */
static size_t vit__pixel_rows_size(const vit__pass *pass) {
    const vit_config *c = pass->config;
    const int bytes = pass->options->pixel_type == VIT_PIXELS_F32 ? (int)sizeof(float) : 1;
    size_t width = vit__mul((size_t)pass->img_size[1], (size_t)(c->in_chans * bytes));
    return vit__reads_rows(pass) ? vit__mul((size_t)c->patch_size[0], width) : 0;
}

/* Bytes at the end of an image's memory, from where the first tokens are merged on: token_bias, sizes. */
static size_t vit__sizes_bytes(const vit__pass *pass) {
    return 2 * sizeof(float) * vit__round16(pass->first_tokens);
}

/* Cuts up pass->memory, and returns the bytes that it takes: what attention, the MLP and the head use is
   never needed together. */
static size_t vit__carve_images(vit__pass *pass) {
    vit__arena arena = vit__arena_make(pass->memory), mlp, head, pixels;
    const int images = pass->images;
    pass->x.data = (float *)vit__take(&arena, images * pass->tokens, pass->x.stride);
    head = pixels = arena;
    vit__carve_branches(pass, &arena, &mlp);
    vit__arena moved = mlp;
    pass->hidden.data =
        (float *)vit__take(&mlp, images * pass->mlp_rows_at_once, pass->hidden.stride);
    pass->pooled.data = (float *)vit__take(&head, images, pass->pooled.stride);
    pass->pre_logits.data = (float *)vit__take(&head, images, pass->pre_logits.stride);
    pass->logits.data = (float *)vit__take(&head, images, pass->logits.stride);
    pass->pixel_rows = vit__arena_take(&pixels, 1, vit__pixel_rows_size(pass));
    size_t used = vit__larger(vit__larger(arena.used, mlp.used), head.used);
    used = vit__larger(used, pixels.used);
    if (!VIT__MERGES || pass->options->merge == 0) return used;
    pass->moved = (float *)vit__take(&moved, pass->tokens / 2 + 1, pass->dim);
    size_t sizes = (size_t)images * vit__sizes_bytes(pass);
    if (pass->tokens < pass->first_tokens) used = vit__add(used, sizes);
    return vit__larger(used, vit__add(moved.used, sizes));
}

/* Of an image. Packed rows or little memory: as many rows as attention's memory has room for, at least
   one, and in equal parts. */
static int vit__plan_mlp(const vit__pass *pass) {
    const int low_memory = VIT__LOW_MEMORY && pass->options->low_memory;
    size_t tokens = (size_t)pass->tokens, row = pass->hidden.stride;
    vit__arena attention = vit__arena_make(NULL), mlp;
    vit__pass one = *pass;
    if (!vit__is_integer(vit__block_operand(pass)) && !low_memory) return pass->tokens;
    one.images = 1, one.mlp_rows_at_once = 0;
    if (vit__by_strips(pass)) {
        vit__carve_branches(&one, &attention, &mlp);
        attention.used -= mlp.used, row += pass->normalized.stride;
    } else {
        vit__carve_attention(&one, &attention);
    }
    size_t most = vit__larger(1, attention.used / sizeof(float) / row);
    size_t parts = vit__larger(1, (tokens + most - 1) / most);
    size_t rows = (tokens + parts - 1) / parts;
    size_t tiles = (rows + VIT__TILE_ROWS - 1) / VIT__TILE_ROWS * VIT__TILE_ROWS;
    return (int)(tiles <= most && tiles < tokens ? tiles : rows);
}

#ifndef VIT_NO_MERGE
/* As many are left. */
static void vit__set_tokens(vit__pass *pass, int tokens) {
    pass->tokens = pass->rows_per_image = tokens;
    pass->padded_tokens = vit__round16(tokens);
    pass->mlp_rows_at_once = vit__plan_mlp(pass);
}
#endif

/* Bytes of an image: of its first block or, as that has no sizes yet, of the next. */
static size_t vit__image_size(const vit__pass *pass) {
    vit__pass one = *pass;
    one.images = 1;
    size_t size = vit__carve_images(&one);
#ifndef VIT_NO_MERGE
    if (pass->options->merge == 0) return size;
    vit__set_tokens(&one, one.tokens - vit__merges_now(&one));
    size = vit__larger(size, vit__carve_images(&one));
#endif
    return size;
}

/* Floats for a worker's strips, and with floats for a slice of weights: 16 rows and their keys of a head; a
   few rows, their queries and these scores; 16 outputs of packed values. */
static size_t vit__strip_size(const vit__pass *pass, size_t scores) {
    const int packed = vit__is_integer(vit__attention_operand(pass));
    const size_t few = (size_t)pass->queries_at_once, columns = pass->head_width * VIT__PANEL;
    size_t keys = pass->normalized.stride * VIT__PANEL +
                  vit__larger(pass->dim, columns * (size_t)(1 + packed));
    size_t attended = vit__mul(few, vit__add(pass->queries.stride, scores));
    size_t queries = vit__add(few * pass->normalized.stride, vit__larger(pass->dim, attended));
    size_t size = vit__add(2 * VIT__PANEL, vit__larger(keys, queries));
    return packed ? vit__larger(size, vit__mul((size_t)pass->tokens, VIT__PANEL))
                  : vit__add(pass->slice_size, size);
}

/* Floats for a worker. */
static size_t vit__scratch_size(const vit__pass *pass) {
    const int by_strips = vit__by_strips(pass);
    size_t columns = by_strips ? 0 : pass->head_width * VIT__PANEL;
    size_t scores = pass->padded_tokens; /* of a query, and the digits of their softmax */
    if (vit__is_integer(vit__attention_operand(pass))) scores += scores / 2;
    size_t few_scores = by_strips ? 0 : vit__mul((size_t)pass->queries_at_once, scores);
    size_t rows =
        vit__larger(few_scores, vit__mul((size_t)pass->patches_at_once, pass->patch_stride));
    size_t size = vit__add(pass->slice_size, vit__larger(rows, vit__larger(pass->dim, columns)));
    return by_strips ? vit__larger(size, vit__strip_size(pass, scores)) : size;
}

static void vit__pass_carve(vit__pass *pass, vit__arena *arena) {
    pass->scratch_size = vit__scratch_size(pass);
    pass->mlp_rows_at_once = vit__plan_mlp(pass);
    pass->image_size = vit__image_size(pass);
    pass->scratch = (float *)vit__take(arena, vit__threads(pass->options), pass->scratch_size);
    pass->memory = (unsigned char *)vit__arena_take(arena, (size_t)pass->images, pass->image_size);
    vit__carve_images(pass);
}

static size_t vit__workspace_size(vit__pass *pass) {
    vit__arena arena = vit__arena_make(NULL);
    vit__pass_carve(pass, &arena);
    return vit__arena_size(&arena);
}

VIT_API size_t vit_config_workspace_size(const vit_config *config, vit_dtype dtype,
                                         const vit_options *options, int batch) {
    unsigned char header[VIT__HEADER_SIZE] = {0};
    vit_config checked;
    vit__pass pass;
    if (config == NULL || (unsigned)dtype >= VIT_DTYPE_COUNT) return 0;
    vit__write_config(header, config);
    if (vit__read_config(header, &checked) != VIT_OK ||
        vit__plan_sizes(&pass, &checked, dtype, options, batch) != VIT_OK)
        return 0;
    return vit__workspace_size(&pass);
}

VIT_API size_t vit_output_count(const vit_model *model, const vit_options *options) {
    const vit_config *c = &model->config;
    int size[2];
    if (options == NULL) options = &vit__default_options;
    if (VIT__FAMILIES &&
        (!vit__img_size_of(c, options, size) || !vit__options_are_valid(options, 1)))
        return 0;
    return vit__output_count(c, options, VIT__FAMILIES ? vit__tokens_at(c, size) : 0);
}

VIT_API int vit_token_count(const vit_model *model, const vit_options *options) {
    const vit_config *c = &model->config;
    int size[2];
    if (options == NULL) options = &vit__default_options;
    if (!vit__img_size_of(c, options, size)) return 0;
    return VIT__FAMILIES && !vit__options_are_valid(options, 1) ? 0 : vit__tokens_at(c, size);
}

VIT_API size_t vit_workspace_size(const vit_model *model, const vit_options *options, int batch) {
    vit__pass pass;
    vit_status status = vit__pass_plan(&pass, model, options, batch);
    return status == VIT_OK ? vit__workspace_size(&pass) : 0;
}

VIT_API vit_status vit_forward_check(const vit_model *model, const vit_options *options,
                                     int batch) {
    vit__pass pass;
    vit_status status = vit__pass_plan(&pass, model, options, batch);
    if (status != VIT_OK) return status;
    if (vit__workspace_size(&pass) == 0) return VIT_ERROR_MEMORY;
    return pass.kernels == NULL ? VIT_ERROR_ISA : VIT_OK;
}

#ifndef VIT_NO_MERGE

/* All tokens, in buffers of their sizes; those of merged ones are at the end of the images' memory. */
static void vit__start_merging(vit__pass *pass) {
    const size_t count = (size_t)pass->images * vit__round16(pass->first_tokens);
    if (pass->options->merge == 0) return;
    unsigned char *end = pass->memory + (size_t)pass->images * pass->image_size;
    pass->log_sizes = (float *)(void *)end - count;
    pass->sizes = pass->log_sizes - count;
    pass->token_bias = NULL;
    vit__set_tokens(pass, pass->first_tokens);
    vit__carve_images(pass);
}

/* x [images][T][D] with what the block merges; T becomes less. */
static void vit__merge_tokens(vit__pass *pass, int block) {
    int merged = vit__merges_now(pass);
    if (merged == 0) return;
    vit__match_and_move(pass, block);
    pass->token_bias = pass->log_sizes;
    vit__set_tokens(pass, pass->tokens - merged);
    vit__carve_images(pass);
    VIT_PROFILE("merge");
}

#endif

static int vit__report_block(const vit__pass *pass, int block) {
    const vit_options *o = pass->options;
    vit_block_output output = {block,
                               pass->first_image,
                               pass->images,
                               pass->rows_per_image,
                               pass->config->embed_dim,
                               pass->x.stride,
                               pass->x.data};
    return o->on_block == NULL ? 0 : o->on_block(o->on_block_user, &output);
}

/* From the pixels of some images to their output; image is the index of the first of them. */
static vit_status vit__run(vit__pass *pass, const void *pixels, int image, float *output) {
    const vit_config *c = pass->config;
    size_t pixel = pass->options->pixel_type == VIT_PIXELS_F32 ? sizeof(float) : 1;
    size_t offset = (size_t)image * vit_pixels_count(pass->model, pass->options) * pixel;
    pass->first_image = image;
    pass->rows_per_image = pass->tokens;
#ifndef VIT_NO_MERGE
    vit__start_merging(pass);
#endif
    vit__embed(pass, pixels == NULL ? NULL : vit__offset(pixels, offset));
    if (vit__is_stopped(pass)) return VIT_ERROR_STOPPED;
    if (VIT__FAMILIES && c->norm_pre)
        vit__layer_norm(pass, VIT__NORM_PRE, 0, pass->x, vit__rows_in_use(pass), pass->x,
                        VIT__HEAD);
    for (int block = 0; block < c->depth; block++) {
        vit__attention_branch(pass, block);
        if (vit__is_stopped(pass)) return VIT_ERROR_STOPPED;
#ifndef VIT_NO_MERGE
        vit__merge_tokens(pass, block);
#endif
        vit__mlp_branch(pass, block);
        if (vit__report_block(pass, block)) return VIT_ERROR_STOPPED;
    }
    vit__final_norm_and_pool(pass);
    vit__put_out(pass, output + (size_t)image * vit__output_count(c, pass->options, pass->tokens));
    return VIT_OK;
}

typedef struct vit__images {
    const vit__pass *pass;
    const void *pixels;
    float *output;
} vit__images;

/* One image by one worker, in that worker's part of the workspace. */
static void vit__image_task(void *arg, int index, int worker) {
    const vit__images *images = (const vit__images *)arg;
    vit__pass pass = *images->pass;
    vit_options alone = *pass.options;
    alone.parallel_for = NULL;
    pass.options = &alone;
    pass.images = 1;
    pass.scratch = vit__worker_slice(&pass, worker);
    pass.memory += (size_t)worker * pass.image_size;
    vit__carve_images(&pass);
    vit__run(&pass, images->pixels, index, images->output);
}

VIT_API vit_status vit_forward(const vit_model *model, const vit_options *options,
                               const void *pixels, int batch, float *output, void *workspace,
                               size_t workspace_size) {
    vit__pass pass;
    vit__arena arena = vit__arena_make(workspace);
    vit_status status = vit__pass_plan(&pass, model, options, batch);
    if (status != VIT_OK) return status;
    if (output == NULL || workspace == NULL || (pixels != NULL) == vit__reads_rows(&pass))
        return VIT_ERROR_ARGUMENT;
    if (!vit__has_room(workspace_size, vit__workspace_size(&pass))) return VIT_ERROR_WORKSPACE;
    if (pass.kernels == NULL) return VIT_ERROR_ISA;
    vit__pass_carve(&pass, &arena);

    /* An image for each worker is fastest, as they never wait for each other; the images left over
       share the workers. So do all where something of the options is called from this thread. */
    int image = 0, threads = vit__threads(pass.options);
    if (threads > 1 && pass.options->on_block == NULL && !vit__shows_attention(&pass) &&
        !vit__reads_rows(&pass)) {
        vit__images images = {&pass, pixels, output};
        image = batch / threads * threads;
        vit__parallel(pass.options, image, vit__image_task, &images);
    }
    for (int images = pass.images; image < batch && status == VIT_OK; image += pass.images) {
        pass.images = vit__min(images, batch - image);
        vit__carve_images(&pass);
        status = vit__run(&pass, pixels, image, output);
    }
    return status;
}

#if !defined(VIT_ONLY_PLAIN) && !defined(VIT_FREESTANDING)

/* What vit_rollout keeps of an image's blocks. */
typedef struct vit__rollout {
    size_t tokens;
    int heads;
    float *means; /* [depth][T][T]: attention, the mean over the heads */
    float *other; /* [T] */
    void *workspace;
    size_t workspace_size;
    vit_options options;
} vit__rollout;

/* Adds some heads of a block to its mean; the first of them begin it. */
static int vit__add_heads(void *user, const vit_attention *a) {
    const vit__rollout *r = (const vit__rollout *)user;
    const size_t tokens = r->tokens, queries = (size_t)a->queries;
    float *mean = r->means + (size_t)a->block * tokens * tokens;
    if (a->head == 0) memset(mean, 0, tokens * tokens * sizeof(float));
    for (size_t row = 0; row < (size_t)a->heads * queries; row++) {
        const float *in = a->rows + row * a->row_stride;
        float *out = mean + row % queries * tokens;
        for (size_t t = 0; t < tokens; t++) out[t] += in[t] / (float)r->heads;
    }
    return 0;
}

/* rollout [T] times a block's mean attention and the identity, with rows that add up to 1: half of what
   a token has comes from where it attends to, and half from itself. */
static void vit__roll_back(const vit__rollout *r, int block, float *rollout) {
    const size_t tokens = r->tokens;
    const float *row = r->means + (size_t)block * tokens * tokens;
    memcpy(r->other, rollout, tokens * sizeof(float));
    memset(rollout, 0, tokens * sizeof(float));
    for (size_t q = 0; q < tokens; q++, row += tokens) {
        float share = r->other[q] / (vit__sum(row, (int)tokens, 0, 0) + 1);
        rollout[q] += share;
        for (size_t t = 0; t < tokens; t++) rollout[t] += share * row[t];
    }
}

/* [T]: a token, or what the head reads. */
static void vit__start_rollout(const vit_config *c, int tokens, int token, float *rollout) {
    const int first = c->head_avg == 1 ? c->prefix_tokens : 0;
    const float share = 1 / (float)vit__pooled_tokens(c);
    memset(rollout, 0, (size_t)tokens * sizeof(float));
    if (token >= 0) {
        rollout[token] = 1;
        return;
    }
    for (int t = 0; t < c->head_tokens; t++) rollout[t] = share;
    for (int t = first; c->head_avg && t < tokens; t++)
        rollout[t] += share / (float)(tokens - first);
}

/* The blocks from the last to the first: a row times matrices, not matrices times each other. */
static void vit__roll_out(const vit__rollout *r, const vit_config *c, int token, float *rollout) {
    vit__start_rollout(c, (int)r->tokens, token, rollout);
    for (int block = c->depth - 1; block >= 0; block--) vit__roll_back(r, block, rollout);
}

/* What vit_rollout does with each image. */
static vit_status vit__rollout_plan(vit__rollout *r, const vit_model *model,
                                    const vit_options *options, int token) {
    if (model == NULL || model->data == NULL) return VIT_ERROR_ARGUMENT;
    int tokens = vit_token_count(model, options);
    if (token < -1 || token >= tokens) return VIT_ERROR_ARGUMENT;
    memset(r, 0, sizeof(*r));
    r->tokens = (size_t)tokens, r->heads = model->config.num_heads;
    r->options = options != NULL ? *options : vit__default_options;
    r->options.on_attention = vit__add_heads, r->options.on_attention_user = r;
    if (token >= model->config.head_tokens) r->options.all_tokens = 1;
    return VIT_OK;
}

/* Cuts up the workspace, and returns the bytes that it takes; 0 where they are too many. */
static size_t vit__rollout_carve(vit__rollout *r, const vit_model *model, void *workspace) {
    vit__arena arena = vit__arena_make(workspace);
    r->means = (float *)vit__take(&arena, model->config.depth, vit__mul(r->tokens, r->tokens));
    r->other = (float *)vit__take(&arena, 1, r->tokens);
    r->workspace_size = vit_workspace_size(model, &r->options, 1);
    r->workspace = vit__arena_take(&arena, 1, r->workspace_size);
    return r->workspace_size == 0 ? 0 : vit__arena_size(&arena);
}

VIT_API size_t vit_rollout_workspace_size(const vit_model *model, const vit_options *options) {
    vit__rollout r;
    if (model == NULL || vit__rollout_plan(&r, model, options, 0) != VIT_OK) return 0;
    return vit__rollout_carve(&r, model, NULL);
}

VIT_API vit_status vit_rollout(const vit_model *model, const vit_options *options,
                               const void *pixels, int batch, float *output, int token,
                               float *rollout, void *workspace, size_t workspace_size) {
    vit__rollout r;
    vit_status status = vit__rollout_plan(&r, model, options, token);
    if (status != VIT_OK) return status;
    if (pixels == NULL || batch < 1 || output == NULL || rollout == NULL || workspace == NULL)
        return VIT_ERROR_ARGUMENT;
    if (!vit__has_room(workspace_size, vit__rollout_carve(&r, model, workspace)))
        return VIT_ERROR_WORKSPACE;
    size_t image_size = vit_pixels_count(model, &r.options);
    if (r.options.pixel_type == VIT_PIXELS_F32) image_size *= sizeof(float);
    size_t count = vit_output_count(model, &r.options);
    for (; batch > 0 && status == VIT_OK; batch--, output += count, rollout += r.tokens) {
        status = vit_forward(model, &r.options, pixels, 1, output, r.workspace, r.workspace_size);
        if (status == VIT_OK) vit__roll_out(&r, &model->config, token, rollout);
        pixels = vit__offset(pixels, image_size);
    }
    return status;
}

#endif

/* ---- [11] RESULTS -------------------------------------------------------------------------- */

VIT_API void vit_softmax(const float *logits, int num_classes, float *probabilities) {
    if (num_classes < 1) return;
    memmove(probabilities, logits, (size_t)num_classes * sizeof(float));
    vit__exp_row(probabilities, num_classes, 1.0f);
    vit__divide_row(probabilities, num_classes, 0); /* -infinity gives 0 */
}

/* The sigmoid of x is the first of the two probabilities of {x, 0}. */
static float vit__sigmoid(float x) {
    float pair[2] = {x, 0.0f};
    vit__exp_row(pair, 2, 1.0f);
    return x != x ? x : pair[0] / (pair[0] + pair[1]); /* VIT_EXPF may make a number of a NaN */
}

VIT_API void vit_scores(const vit_model *model, const float *logits, float *scores) {
    const vit_config *c = &model->config;
    if (c->output == VIT_OUTPUT_SOFTMAX) {
        vit_softmax(logits, c->num_classes, scores);
        return;
    }
    memmove(scores, logits, vit__output_count(c, &vit__default_options, 0) * sizeof(float));
    if (c->output != VIT_OUTPUT_SIGMOID) return;
    for (int i = 0; i < c->num_classes; i++) scores[i] = vit__sigmoid(scores[i]);
}

/* Whether class a comes before class b: larger score, then smaller index; NaN after all
   numbers. */
static int vit__ranks_before(const float *scores, int a, int b) {
    float x = scores[a], y = scores[b];
    if (x > y || x < y) return x > y;
    if ((x == x) != (y == y)) return x == x;
    return a < b;
}

VIT_API int vit_top_k(const float *scores, int num_classes, int k, int *indices) {
    int count = 0;
    for (int index = 0; index < num_classes && k > 0; index++) {
        int place = count;
        while (place > 0 && vit__ranks_before(scores, index, indices[place - 1])) place--;
        if (place == k) continue;
        if (count < k) count++;
        for (int i = count - 1; i > place; i--) indices[i] = indices[i - 1];
        indices[place] = index;
    }
    return count;
}

VIT_API int vit_answer(const vit_model *model, const float *scores) {
    const vit_config *c = &model->config;
    int first;
    if (vit_top_k(scores, c->num_classes, 1, &first) == 0 || scores[first] != scores[first])
        return -1;
    return c->reject_below > 0 && scores[first] < c->reject_below ? -1 : first;
}

/* ---- [12] CONVENIENCE ---------------------------------------------------------------------- */

#ifndef VIT_NO_PREPROCESS

/* Pictures that several workers share. */
typedef struct vit__pictures {
    const vit_model *model;
    const vit_options *options;
    const vit_image *images;
    float *pixels;
    size_t pixels_count; /* of one picture */
    unsigned char *workspace;
    size_t workspace_size; /* of one worker */
} vit__pictures;

static void vit__picture_task(void *arg, int index, int worker) {
    const vit__pictures *p = (const vit__pictures *)arg;
    vit_preprocess(p->model, p->options, p->images + index,
                   p->pixels + (size_t)index * p->pixels_count,
                   p->workspace + (size_t)worker * p->workspace_size, p->workspace_size);
}

/* Checks all pictures, and computes what the largest takes. */
static vit_status vit__pictures_plan(vit__pictures *p, int count) {
    if (count < 1 || p->images == NULL) return VIT_ERROR_ARGUMENT;
    if (p->options == NULL) p->options = &vit__default_options;
    for (int i = 0; i < count; i++) {
        size_t size = vit_preprocess_workspace_size(p->model, p->options, p->images + i);
        if (size == 0) return vit_preprocess_check(p->model, p->options, p->images + i);
        p->workspace_size = vit__larger(p->workspace_size, size);
    }
    return VIT_OK;
}

/* Of all workers; 0 where it is too large. */
static size_t vit__pictures_size(const vit__pictures *p, int count) {
    size_t workers = (size_t)vit__min(vit__threads(p->options), count);
    size_t size = vit__mul(workers, p->workspace_size);
    return size == SIZE_MAX ? 0 : size;
}

VIT_API size_t vit_preprocess_batch_workspace_size(const vit_model *model,
                                                   const vit_options *options,
                                                   const vit_image *images, int count) {
    vit__pictures p = {model, options, images, NULL, 0, NULL, 0};
    return vit__pictures_plan(&p, count) == VIT_OK ? vit__pictures_size(&p, count) : 0;
}

VIT_API vit_status vit_preprocess_batch(const vit_model *model, const vit_options *options,
                                        const vit_image *images, int count, float *pixels,
                                        void *workspace, size_t workspace_size) {
    vit__pictures p = {model, options, images, pixels, 0, (unsigned char *)workspace, 0};
    vit_status status = vit__pictures_plan(&p, count);
    if (status != VIT_OK) return status;
    if (pixels == NULL || workspace == NULL) return VIT_ERROR_ARGUMENT;
    if (!vit__has_room(workspace_size, vit__pictures_size(&p, count))) return VIT_ERROR_WORKSPACE;
    p.pixels_count = vit_pixels_count(model, options);
    vit__parallel(p.options, count, vit__picture_task, &p);
    return VIT_OK;
}

#endif

VIT_API void vit_model_close(vit_model *model) {
    if (model == NULL) return;
#if !defined(VIT_NO_MALLOC) && !defined(VIT_NO_STDIO)
#ifdef VIT__MMAP
    if (model->mapped) munmap(model->memory, model->size);
#elif defined(VIT__WINDOWS_FILES)
    if (model->mapped) UnmapViewOfFile(model->memory);
#endif
    if (model->memory != NULL && !model->mapped) VIT_FREE(model->malloc_context, model->memory);
#endif
    memset(model, 0, sizeof(*model));
}

#if !defined(VIT_NO_MALLOC) && !defined(VIT_NO_STDIO)

#ifdef VIT__MMAP
/* The file mapped, or NULL where that is not possible (a pipe, an empty file). */
static void *vit__map(const char *path, size_t *size) {
    struct stat info;
    void *memory = MAP_FAILED;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return NULL; /* a pipe opens only once */
    int file = open(path, O_RDONLY);
    if (file < 0) return NULL;
    if (fstat(file, &info) == 0 && info.st_size > 0 && (uint64_t)info.st_size <= SIZE_MAX) {
        *size = (size_t)info.st_size;
        memory = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, file, 0);
    }
    close(file);
    return memory == MAP_FAILED ? NULL : memory;
}
#endif

#ifdef VIT__WINDOWS_FILES
/* The file at a path in UTF-8, as CreateFileW takes it. */
static vit_status vit__open_file(const char *path, void *malloc_context, FILE **file) {
    enum { CODE_PAGE = 65001, REFUSE_INVALID = 8 };
    *file = NULL;
    int size = MultiByteToWideChar(CODE_PAGE, REFUSE_INVALID, path, -1, NULL, 0);
    if (size <= 0) return VIT_ERROR_OPEN;
    wchar_t *wide = (wchar_t *)VIT_MALLOC(malloc_context, (size_t)size * sizeof(wchar_t));
    if (wide == NULL) return VIT_ERROR_MEMORY;
    if (MultiByteToWideChar(CODE_PAGE, REFUSE_INVALID, path, -1, wide, size) == size)
        *file = _wfopen(wide, L"rb");
    VIT_FREE(malloc_context, wide);
    return *file == NULL ? VIT_ERROR_OPEN : VIT_OK;
}

#ifndef VIT_NO_MMAP
/* The open file mapped, or NULL where that is not possible (a pipe, an empty file). */
static void *vit__map_open(FILE *file, size_t *size) {
    enum { PAGES_READ_ONLY = 2, VIEW_TO_READ = 4 };
    void *memory = NULL;
    long long length = _filelengthi64(_fileno(file));
    if (length <= 0 || (unsigned long long)length > SIZE_MAX) return NULL;
    void *mapping =
        CreateFileMappingW((void *)_get_osfhandle(_fileno(file)), NULL, PAGES_READ_ONLY,
                           (unsigned long)((unsigned long long)length >> 32),
                           (unsigned long)((unsigned long long)length & 0xFFFFFFFFu), NULL);
    if (mapping == NULL) return NULL;
    memory = MapViewOfFile(mapping, VIEW_TO_READ, 0, 0, (vit__uintptr)length);
    CloseHandle(mapping); /* the view keeps it */
    if (memory != NULL) *size = (size_t)length;
    return memory;
}
#endif

#else
static vit_status vit__open_file(const char *path, void *malloc_context, FILE **file) {
    (void)malloc_context;
    *file = fopen(path, "rb");
    return *file == NULL ? VIT_ERROR_OPEN : VIT_OK;
}
#endif

/* The rest of an open file after its header: into memory at a multiple of VIT__ALIGN. */
static vit_status vit__read_rest(FILE *file, const unsigned char *header, void *malloc_context,
                                 void **memory, unsigned char **data, size_t *size) {
    *size = vit__u64_size(header + 24);
    if (*size < VIT__HEADER_SIZE) return VIT_ERROR_SIZE;
    if (*size > SIZE_MAX - VIT__ALIGN) return VIT_ERROR_MEMORY;
    *memory = VIT_MALLOC(malloc_context, *size + VIT__ALIGN);
    if (*memory == NULL) return VIT_ERROR_MEMORY;
    *data = (unsigned char *)*memory + (VIT__ALIGN - (uintptr_t)*memory % VIT__ALIGN) % VIT__ALIGN;
    memcpy(*data, header, VIT__HEADER_SIZE);
    size_t rest = *size - VIT__HEADER_SIZE;
    if (fread(*data + VIT__HEADER_SIZE, 1, rest, file) == rest && fgetc(file) == EOF)
        return ferror(file) ? VIT_ERROR_READ : VIT_OK;
    return ferror(file) ? VIT_ERROR_READ : VIT_ERROR_SIZE;
}

/* The whole file in memory from VIT_MALLOC: *memory to be freed, also on an error. */
static vit_status vit__read(FILE *file, void *malloc_context, void **memory, unsigned char **data,
                            size_t *size) {
    unsigned char header[VIT__HEADER_SIZE];
    size_t got = fread(header, 1, sizeof(header), file);
    vit_status status = ferror(file) ? VIT_ERROR_READ : vit__check_start(header, got);
    if (status == VIT_OK) status = vit__read_rest(file, header, malloc_context, memory, data, size);
    return status;
}

/* The file opened once, and mapped on Windows if that is possible and wanted, or else read. */
static vit_status vit__fetch_file(const char *path, const vit_load_options *options, void **memory,
                                  unsigned char **data, size_t *size, int *mapped) {
    FILE *file = NULL;
    vit_status status = vit__open_file(path, options->malloc_context, &file);
    if (status != VIT_OK) return status;
#if defined(VIT__WINDOWS_FILES) && !defined(VIT_NO_MMAP)
    if (!options->no_map) *memory = vit__map_open(file, size);
    *data = (unsigned char *)*memory;
    *mapped = *memory != NULL;
#endif
    if (!*mapped) status = vit__read(file, options->malloc_context, memory, data, size);
    fclose(file);
    return status;
}

#ifdef VIT__COUNT_UP
typedef struct vit__verification {
    const vit_model *model;
    int wrong; /* tensors */
} vit__verification;

static void vit__verify_task(void *arg, int index, int worker) {
    vit__verification *v = (vit__verification *)arg;
    (void)worker;
    if (vit__verify_tensor(v->model, index) != VIT_OK) (void)VIT__COUNT_UP(&v->wrong);
}
#endif

/* Tensors by several workers; where some are wrong, vit_model_verify says what the first one has. */
static vit_status vit__verify_loaded(const vit_model *model, const vit_load_options *options) {
#ifdef VIT__COUNT_UP
    if (options->parallel_for != NULL) {
        vit__verification v = {model, 0};
        vit_options shared;
        memset(&shared, 0, sizeof(shared));
        shared.threads = options->threads;
        shared.parallel_for = options->parallel_for;
        shared.parallel_user = options->parallel_user;
        vit__parallel(&shared, vit__tensor_count(&model->config), vit__verify_task, &v);
        if (v.wrong == 0) return vit__verify_chunks(model->data);
    }
#else
    (void)options;
#endif
    return vit_model_verify(model);
}

VIT_API vit_status vit_model_load(vit_model *model, const char *path,
                                  const vit_load_options *options) {
    static const vit_load_options defaults = {0, 0, NULL, 0, NULL, NULL};
    void *memory = NULL;
    unsigned char *data = NULL;
    size_t size = 0;
    int mapped = 0;
    vit_status status = VIT_OK;
    if (model == NULL) return VIT_ERROR_ARGUMENT;
    memset(model, 0, sizeof(*model));
    if (path == NULL) return VIT_ERROR_ARGUMENT;
    if (options == NULL) options = &defaults;
#ifdef VIT__MMAP
    if (!options->no_map) {
        memory = vit__map(path, &size);
        data = (unsigned char *)memory;
        mapped = memory != NULL;
    }
#endif
    if (!mapped) status = vit__fetch_file(path, options, &memory, &data, &size, &mapped);
    if (status == VIT_OK) status = vit_model_open(model, data, size);
    if (status == VIT_OK && !options->no_verify) status = vit__verify_loaded(model, options);
    model->memory = memory;
    model->mapped = mapped;
    model->malloc_context = options->malloc_context;
    model->size = size;
    if (status != VIT_OK) vit_model_close(model);
    return status;
}
#endif

#ifdef VIT__POOL
#if defined(VIT__PTHREAD) || defined(VIT__WINDOWS_THREADS)

#if defined(__linux__) && !defined(VIT_NO_STDIO)
/* The first line of a file that begins with `key`; returns whether there is one. */
static int vit__read_line(const char *folder, const char *name, const char *key, char *line,
                          int size) {
    char path[1200];
    int found = 0;
    snprintf(path, sizeof(path), "%s%s", folder, name);
    FILE *file = fopen(path, "r");
    while (file != NULL && !found && fgets(line, size, file) != NULL)
        found = strncmp(line, key, strlen(key)) == 0;
    if (file != NULL) fclose(file);
    return found;
}

/* Processors of the process's affinity; 0 where it is not told. root is empty except in tests. */
static long vit__allowed_processors(const char *root) {
    char line[4096]; /* a mask of 8192 processors takes 2,304 */
    long count = 0;
    if (!vit__read_line(root, "/proc/self/status", "Cpus_allowed:", line, sizeof(line))) return 0;
    for (const char *p = line + 13; *p != 0; p++) {
        int digit = *p >= 'a' && *p <= 'f' ? *p - 'a' + 10 : *p - '0';
        for (; digit > 0 && digit < 16; digit &= digit - 1) count++;
    }
    return count;
}

/* `count`, or less where a cgroup has a quota, which is rounded up: microseconds in each period. The
   Linux kernel's Documentation/admin-guide/cgroup-v2.rst and, for version 1, scheduler/sched-bwc.rst. */
static long vit__within_quota(const char *folder, long count) {
    char line[64];
    long quota = 0, period = 0;
    if (vit__read_line(folder, "/cpu.max", "", line, sizeof(line)))
        (void)sscanf(line, "%ld %ld", &quota, &period);
    else if (vit__read_line(folder, "/cpu.cfs_quota_us", "", line, sizeof(line)) &&
             sscanf(line, "%ld", &quota) == 1 &&
             vit__read_line(folder, "/cpu.cfs_period_us", "", line, sizeof(line)))
        (void)sscanf(line, "%ld", &period);
    if (quota < 1 || period < 1 || (quota - 1) / period >= count) return count;
    return (quota - 1) / period + 1;
}

/* The least of `count` and the quotas of the process's cgroup and those above it. */
static long vit__within_quotas(const char *root, long count) {
    char line[512], folder[1100];
    snprintf(folder, sizeof(folder), "%s/sys/fs/cgroup/cpu",
             root); /* version 1, as containers see it */
    count = vit__within_quota(folder, count);
    if (!vit__read_line(root, "/proc/self/cgroup", "0::/", line, sizeof(line))) return count;
    for (char *end = line + strcspn(line, "\n"); end != NULL; end = strrchr(line, '/')) {
        *end = 0;
        snprintf(folder, sizeof(folder), "%s/sys/fs/cgroup%s", root, line + 3);
        count = vit__within_quota(folder, count);
    }
    return count;
}
#endif

#ifdef VIT__WINDOWS_THREADS
/* Processors of the process's affinity, which is told of a process in one group (of 64) of them; in
   several, all. */
static long vit__windows_processors(void) {
    vit__uintptr of_process = 0, of_system = 0;
    long count = 0;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &of_process, &of_system)) of_process = 0;
    for (; of_process != 0; of_process &= of_process - 1) count++;
    return count > 0 ? count : (long)GetActiveProcessorCount(0xFFFF);
}
#endif

VIT_API int vit_processor_count(void) {
    long count = 1;
#if defined(VIT__WINDOWS_THREADS)
    count = vit__windows_processors();
#elif defined(_SC_NPROCESSORS_ONLN)
    count = sysconf(_SC_NPROCESSORS_ONLN);
#endif
#if defined(__linux__) && !defined(VIT_NO_STDIO)
    long allowed = vit__allowed_processors("");
    count = vit__within_quotas("", allowed > 0 ? allowed : count);
#endif
    return count < 1 ? 1 : count > VIT__MAX_THREADS ? VIT__MAX_THREADS : (int)count;
}

/* Threads, and what they wait for: those of POSIX, or of Windows, where zeros are ready for use. */
#ifdef VIT__PTHREAD
typedef pthread_mutex_t vit__mutex;
typedef pthread_cond_t vit__condition;
typedef pthread_t vit__thread;
typedef pid_t vit__process;
#else
typedef struct vit__mutex {
    void *word; /* an SRWLOCK */
} vit__mutex;
typedef struct vit__condition {
    void *word; /* a CONDITION_VARIABLE */
} vit__condition;
typedef uintptr_t vit__thread;
typedef int vit__process;
#ifdef VIT__MXCSR
typedef unsigned vit__mode; /* of floating point */
#else
typedef fenv_t vit__mode;
#endif
#endif

typedef struct vit__worker {
    vit__thread thread;
    struct vit_pool *pool;
    int number;
    unsigned taken; /* the generation in which its index, which is its number, was last taken */
} vit__worker;

struct vit_pool {
    vit__mutex mutex;    /* guards all below; `generation` and `running` are also watched */
    vit__condition work; /* there are indices to take, or it is time to quit */
    vit__condition done; /* no index is left and none is being worked on */
    int threads, started;
    int busy, quit;
    vit_task task;
    void *arg;
    int count, next;
    unsigned generation;  /* of the work; counted up when there is new work, or at the end */
    unsigned running;     /* indices being worked on */
    int sleeping;         /* workers that wait for `work` */
    uint64_t since;       /* in nanoseconds of vit__now, as the next two */
    uint64_t waited;      /* by callers for workers, since then */
    uint64_t alone_until; /* 0: callers do not work alone */
    void *malloc_context;
    vit__process process; /* whose threads they are: a forked child has none of them */
#ifdef VIT__WINDOWS_THREADS
    vit__mode mode; /* of the creator, which threads of POSIX inherit */
#endif
    vit__worker workers[1]; /* [threads], allocated after the struct; the first is the caller */
};

/* The steps of a forward pass follow each other within microseconds, and waking a thread takes tens of
   them: so a thread that runs out of work watches for more for a short while before it sleeps. */
#if defined(__GNUC__) || defined(__clang__)
#define VIT__WATCH_COUNT 2000
#define VIT__WATCHED(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define VIT__SET_WATCHED(p, value) __atomic_store_n(p, value, __ATOMIC_RELEASE)
#elif defined(VIT__MSVC) /* where a read in between does no harm, as the mutex is taken after it */
#define VIT__WATCH_COUNT 2000
#define VIT__WATCHED(p) (*(const volatile unsigned *)(p))
#define VIT__SET_WATCHED(p, value) (*(volatile unsigned *)(p) = (value))
#else
#define VIT__WATCH_COUNT 0
#define VIT__WATCHED(p) (*(p))
#define VIT__SET_WATCHED(p, value) (*(p) = (value))
#endif
#if defined(VIT__X86) || defined(VIT__MXCSR)
#define VIT__RELAX() _mm_pause()
#else
#define VIT__RELAX() ((void)0)
#endif

#ifdef VIT__PTHREAD
static void vit__lock(vit__mutex *mutex) {
    pthread_mutex_lock(mutex);
}

static void vit__unlock(vit__mutex *mutex) {
    pthread_mutex_unlock(mutex);
}

static void vit__wait(vit__condition *condition, vit__mutex *mutex) {
    pthread_cond_wait(condition, mutex);
}

static void vit__wake_one(vit__condition *condition) {
    pthread_cond_signal(condition);
}

static void vit__wake_all(vit__condition *condition) {
    pthread_cond_broadcast(condition);
}

static void vit__join(vit__thread thread) {
    pthread_join(thread, NULL);
}

static vit__process vit__this_process(void) {
    return getpid();
}
#else
static void vit__lock(vit__mutex *mutex) {
    AcquireSRWLockExclusive((struct _RTL_SRWLOCK *)mutex);
}

static void vit__unlock(vit__mutex *mutex) {
    ReleaseSRWLockExclusive((struct _RTL_SRWLOCK *)mutex);
}

static void vit__wait(vit__condition *condition, vit__mutex *mutex) {
    SleepConditionVariableSRW((struct _RTL_CONDITION_VARIABLE *)condition,
                              (struct _RTL_SRWLOCK *)mutex, 0xFFFFFFFF, 0);
}

static void vit__wake_one(vit__condition *condition) {
    WakeConditionVariable((struct _RTL_CONDITION_VARIABLE *)condition);
}

static void vit__wake_all(vit__condition *condition) {
    WakeAllConditionVariable((struct _RTL_CONDITION_VARIABLE *)condition);
}

static void vit__join(vit__thread thread) {
    WaitForSingleObject((void *)thread, 0xFFFFFFFF);
    CloseHandle((void *)thread);
}

static vit__process vit__this_process(void) {
    return 0; /* there is no fork */
}
#endif

/* Nanoseconds since some time; 0 where there is no such clock. */
static uint64_t vit__now(void) {
#ifdef VIT__WINDOWS_THREADS
    int64_t count = 0, a_second = 0;
    if (QueryPerformanceCounter((union _LARGE_INTEGER *)&count) &&
        QueryPerformanceFrequency((union _LARGE_INTEGER *)&a_second) && a_second > 0)
        return (uint64_t)((double)count / (double)a_second * 1e9);
#elif defined(CLOCK_MONOTONIC)
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) == 0)
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
#endif
    return 0;
}

/* Watch, without the mutex, for a while or until (*p == value) is `wanted`. The mutex is held on
   entry and on return. */
static void vit__pool_watch(vit_pool *pool, const unsigned *p, unsigned value, int wanted) {
    vit__unlock(&pool->mutex);
    for (int i = 0; i < VIT__WATCH_COUNT && (VIT__WATCHED(p) == value) != wanted; i++) VIT__RELAX();
    vit__lock(&pool->mutex);
}

/* Whether an index is not taken; now it is. */
static int vit__pool_takes(vit_pool *pool, int index) {
    if (index >= pool->threads) return 1;
    vit__worker *worker = &pool->workers[index];
    if (worker->taken == pool->generation) return 0;
    worker->taken = pool->generation;
    return 1;
}

/* An index that is not taken: a worker's own, then the others; negative if none is left. */
static int vit__pool_take(vit_pool *pool, int number) {
    if (number < pool->count && vit__pool_takes(pool, number)) return number;
    while (pool->next < pool->count) {
        int index = pool->next++;
        if (vit__pool_takes(pool, index)) return index;
    }
    return -1;
}

/* Take and run indices until none is left. The mutex is held on entry and on return. */
static void vit__pool_run(vit_pool *pool, int number) {
    for (int index; (index = vit__pool_take(pool, number)) >= 0;) {
        VIT__SET_WATCHED(&pool->running, pool->running + 1);
        vit__unlock(&pool->mutex);
        pool->task(pool->arg, index);
        vit__lock(&pool->mutex);
        VIT__SET_WATCHED(&pool->running, pool->running - 1);
    }
    if (pool->running == 0) vit__wake_one(&pool->done);
}

static void vit__pool_serve(const vit__worker *worker) {
    vit_pool *pool = worker->pool;
    vit__lock(&pool->mutex);
    while (!pool->quit) {
        vit__pool_run(pool, worker->number);
        unsigned generation = pool->generation;
        vit__pool_watch(pool, &pool->generation, generation, 0);
        pool->sleeping++;
        while (pool->generation == generation) vit__wait(&pool->work, &pool->mutex);
        pool->sleeping--;
    }
    vit__unlock(&pool->mutex);
}

/* New work, or the end. The mutex is held. */
static void vit__pool_announce(vit_pool *pool) {
    VIT__SET_WATCHED(&pool->generation, pool->generation + 1);
    if (pool->sleeping > 0) vit__wake_all(&pool->work);
}

#ifdef VIT__PTHREAD
static void *vit__pool_thread(void *arg) {
    vit__pool_serve((const vit__worker *)arg);
    return NULL;
}

static int vit__pool_start(vit__worker *worker) {
    return pthread_create(&worker->thread, NULL, vit__pool_thread, worker) == 0;
}

static int vit__pool_begin(vit_pool *pool) {
    return pthread_mutex_init(&pool->mutex, NULL) == 0 &&
           pthread_cond_init(&pool->work, NULL) == 0 && pthread_cond_init(&pool->done, NULL) == 0;
}

static void vit__pool_end(vit_pool *pool) {
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
}
#else
static int vit__get_mode(vit__mode *mode) {
#ifdef VIT__MXCSR
    *mode = _mm_getcsr();
    return 1;
#else
    return fegetenv(mode) == 0;
#endif
}

static void vit__set_mode(const vit__mode *mode) {
#ifdef VIT__MXCSR
    _mm_setcsr(*mode);
#else
    fesetenv(mode);
#endif
}

/* A new thread has the mode that the system begins with. */
static unsigned __stdcall vit__pool_thread(void *arg) {
    const vit__worker *worker = (const vit__worker *)arg;
    vit__set_mode(&worker->pool->mode);
    vit__pool_serve(worker);
    return 0;
}

static int vit__pool_start(vit__worker *worker) {
    worker->thread = (vit__thread)_beginthreadex(NULL, 0, vit__pool_thread, worker, 0, NULL);
    return worker->thread != 0;
}

static int vit__pool_begin(vit_pool *pool) {
    return vit__get_mode(&pool->mode);
}

static void vit__pool_end(vit_pool *pool) {
    (void)pool;
}
#endif

VIT_API void vit_pool_destroy(vit_pool *pool) {
    if (pool == NULL) return;
    if (pool->process == vit__this_process()) {
        vit__lock(&pool->mutex);
        pool->quit = 1;
        vit__pool_announce(pool);
        vit__unlock(&pool->mutex);
        for (int i = 1; i <= pool->started; i++) vit__join(pool->workers[i].thread);
        vit__pool_end(pool);
    }
    VIT_FREE(pool->malloc_context, pool);
}

VIT_API vit_pool *vit_pool_create(int threads, void *malloc_context) {
    if (threads == 0) threads = vit_processor_count();
    if (threads < 1 || threads > VIT__MAX_THREADS) return NULL;
    size_t size = sizeof(vit_pool) + (size_t)threads * sizeof(vit__worker);
    vit_pool *pool = (vit_pool *)VIT_MALLOC(malloc_context, size);
    if (pool == NULL) return NULL;
    memset(pool, 0, size);
    pool->threads = threads;
    pool->malloc_context = malloc_context;
    pool->process = vit__this_process();
    if (!vit__pool_begin(pool)) {
        VIT_FREE(malloc_context, pool);
        return NULL;
    }
    for (; pool->started < threads - 1; pool->started++) {
        vit__worker *worker = &pool->workers[pool->started + 1];
        worker->pool = pool, worker->number = pool->started + 1;
        if (!vit__pool_start(worker)) {
            vit_pool_destroy(pool);
            return NULL;
        }
    }
    return pool;
}

VIT_API int vit_pool_threads(const vit_pool *pool) {
    return pool == NULL ? 1 : pool->threads;
}

/* Nanoseconds. A worker may take the first to wake, or for a task. */
#define VIT__SHORT_WAIT 200000
#define VIT__JUDGED_TIME 100000000
#define VIT__MOST_ALONE 500000000
#define VIT__TIMES_ALONE 128 /* as long as was waited */

/* Where other programs have the processors too, a worker loses its own for milliseconds, and the caller
   waits for the index that it was working on: two threads are then slower than one. So where callers
   have waited for half of what the workers can have saved, or more, they work alone for a while. */
static void vit__pool_judge(vit_pool *pool, uint64_t wait) {
    if (wait < VIT__SHORT_WAIT) return;
    uint64_t threads = (uint64_t)pool->threads, now = vit__now();
    if (now - pool->since > VIT__JUDGED_TIME) { /* what was long ago counts half */
        pool->since += (now - pool->since) / 2;
        pool->waited /= 2;
    }
    pool->waited += wait;
    if (pool->waited <= (now - pool->since) / threads * (threads - 1) / 2) return;
    uint64_t alone = pool->waited < VIT__MOST_ALONE / VIT__TIMES_ALONE
                         ? pool->waited * VIT__TIMES_ALONE
                         : VIT__MOST_ALONE;
    pool->alone_until = now + alone;
}

/* Whether callers work alone; the end of that, and of a time without work, is a new beginning. */
static int vit__pool_is_alone(vit_pool *pool) {
    if (pool->alone_until == 0 && pool->sleeping == 0) return 0;
    uint64_t now = vit__now();
    if (now < pool->alone_until) return 1;
    pool->alone_until = 0, pool->since = now, pool->waited = 0;
    return 0;
}

/* Until no index is being worked on. */
static void vit__pool_finish(vit_pool *pool) {
    vit__pool_watch(pool, &pool->running, 0, 1);
    if (pool->running == 0) return;
    uint64_t begin = vit__now();
    while (pool->running > 0) vit__wait(&pool->done, &pool->mutex);
    vit__pool_judge(pool, vit__now() - begin);
}

VIT_API void vit_pool_parallel_for(void *user, int count, vit_task task, void *arg) {
    vit_pool *pool = (vit_pool *)user;
    int usable = pool != NULL && pool->process == vit__this_process();
    if (usable) vit__lock(&pool->mutex);
    if (!usable || pool->busy || vit__pool_is_alone(pool)) {
        if (usable) vit__unlock(&pool->mutex);
        for (int index = 0; index < count; index++) task(arg, index);
        return;
    }
    pool->busy = 1;
    pool->task = task;
    pool->arg = arg;
    pool->count = count;
    pool->next = 0;
    vit__pool_announce(pool);
    vit__pool_run(pool, 0);
    vit__pool_finish(pool);
    pool->busy = 0;
    vit__unlock(&pool->mutex);
}

#else /* neither threads of POSIX nor of Windows: no pool */

VIT_API vit_pool *vit_pool_create(int threads, void *malloc_context) {
    (void)threads;
    (void)malloc_context;
    return NULL;
}

VIT_API void vit_pool_destroy(vit_pool *pool) {
    (void)pool;
}

VIT_API int vit_pool_threads(const vit_pool *pool) {
    (void)pool;
    return 1;
}

VIT_API void vit_pool_parallel_for(void *pool, int count, vit_task task, void *arg) {
    (void)pool;
    for (int index = 0; index < count; index++) task(arg, index);
}

VIT_API int vit_processor_count(void) {
    return 1;
}

#endif
#endif

#if !defined(VIT_NO_MALLOC) && !defined(VIT_NO_STDIO) && !defined(VIT_NO_PREPROCESS)

VIT_API void vit_classifier_close(vit_classifier *classifier) {
    if (classifier == NULL) return;
    void *const memory[] = {classifier->pixels, classifier->scores, classifier->best,
                            classifier->workspace};
    for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++) {
        if (memory[i] != NULL) VIT_FREE(NULL, memory[i]);
    }
#ifndef VIT_NO_THREADS
    vit_pool_destroy((vit_pool *)classifier->options.parallel_user);
#endif
    vit_model_close(&classifier->model);
    memset(classifier, 0, sizeof(*classifier));
}

/* A pool of threads for the passes; without threads, or where there can be none, they do without. */
static void vit__classifier_start(vit_classifier *classifier, int threads) {
#ifndef VIT_NO_THREADS
    if (threads == 0) threads = vit_processor_count();
    vit_pool *pool = threads > 1 ? vit_pool_create(threads, NULL) : NULL;
    if (pool != NULL) {
        classifier->options.parallel_for = vit_pool_parallel_for;
        classifier->options.parallel_user = pool;
    }
#else
    (void)threads;
#endif
    classifier->at_once = vit__threads(&classifier->options);
}

/* So many times so many bytes, or NULL. */
static void *vit__allocate(size_t count, size_t size) {
    size_t bytes = vit__mul(count, size);
    return bytes == 0 || bytes == SIZE_MAX ? NULL : VIT_MALLOC(NULL, bytes);
}

VIT_API vit_status vit_classifier_open(vit_classifier *classifier, const char *path, int threads) {
    if (classifier == NULL) return VIT_ERROR_ARGUMENT;
    memset(classifier, 0, sizeof(*classifier));
    if (threads < 0 || threads > VIT__MAX_THREADS) return VIT_ERROR_ARGUMENT;
    vit__classifier_start(classifier, threads);
    const vit_load_options load = {
        0, 0, NULL, 0, classifier->options.parallel_for, classifier->options.parallel_user};
    vit_status status = vit_model_load(&classifier->model, path, &load);
    const vit_config *c = vit_model_config(&classifier->model);
    size_t classes = (size_t)c->num_classes;
    if (status == VIT_OK && c->output == VIT_OUTPUT_EMBEDDING) status = VIT_ERROR_CLASSES;
    if (status == VIT_OK) {
        size_t at_once = (size_t)classifier->at_once,
               pixels = vit_pixels_count(&classifier->model, NULL);
        classifier->pixels = (float *)vit__allocate(vit__mul(at_once, pixels), sizeof(float));
        classifier->scores = (float *)vit__allocate(vit__mul(at_once, classes), sizeof(float));
        classifier->best = (int *)vit__allocate(classes, sizeof(int));
        if (!classifier->pixels || !classifier->scores || !classifier->best)
            status = VIT_ERROR_MEMORY;
    }
    if (status != VIT_OK) vit_classifier_close(classifier);
    return status;
}

VIT_API const vit_model *vit_classifier_model(const vit_classifier *classifier) {
    return &classifier->model;
}

/* A workspace of at least so many bytes. */
static vit_status vit__classifier_reserve(vit_classifier *classifier, size_t size) {
    if (size <= classifier->workspace_size) return VIT_OK;
    if (classifier->workspace != NULL) VIT_FREE(NULL, classifier->workspace);
    classifier->workspace = VIT_MALLOC(NULL, size);
    classifier->workspace_size = classifier->workspace == NULL ? 0 : size;
    return classifier->workspace == NULL ? VIT_ERROR_MEMORY : VIT_OK;
}

/* images [count], count <= at_once, to logits [count][num_classes] in scores. Where a size is 0, the call
   that it is for says why. */
static vit_status vit__classifier_run(vit_classifier *classifier, const vit_image *images,
                                      int count) {
    const vit_model *m = &classifier->model;
    const vit_options *o = &classifier->options;
    size_t preprocess = vit_preprocess_batch_workspace_size(m, o, images, count);
    size_t forward = vit_workspace_size(m, o, count);
    vit_status status = vit__classifier_reserve(classifier, vit__larger(preprocess, forward));
    if (status == VIT_OK)
        status = vit_preprocess_batch(m, o, images, count, classifier->pixels,
                                      classifier->workspace, classifier->workspace_size);
    if (status != VIT_OK) return status;
    return vit_forward(m, o, classifier->pixels, count, classifier->scores, classifier->workspace,
                       classifier->workspace_size);
}

/* scores [num_classes], logits before, to results [k] */
static void vit__fill_results(const vit_classifier *classifier, float *scores, int k,
                              vit_result *results) {
    const vit_config *c = &classifier->model.config;
    vit_scores(&classifier->model, scores, scores);
    int found = vit_top_k(scores, c->num_classes, vit__min(k, c->num_classes), classifier->best);
    for (int i = 0; i < k; i++) {
        int index = i < found ? classifier->best[i] : -1;
        const char *label = vit_model_label(&classifier->model, index);
        results[i].index = index;
        results[i].label = label == NULL ? "" : label;
        results[i].score = index < 0 ? 0 : scores[index];
        results[i].accepted = index >= 0 && results[i].score >= c->reject_below;
    }
}

VIT_API vit_status vit_classify(vit_classifier *classifier, const vit_image *images, int count,
                                int k, vit_result *results) {
    if (classifier == NULL || classifier->model.data == NULL || images == NULL || results == NULL ||
        count < 0 || k < 1)
        return VIT_ERROR_ARGUMENT;
    const size_t classes = (size_t)classifier->model.config.num_classes;
    while (count > 0) {
        int some = vit__min(classifier->at_once, count);
        vit_status status = vit__classifier_run(classifier, images, some);
        if (status != VIT_OK) return status;
        for (int i = 0; i < some; i++, results += k)
            vit__fill_results(classifier, classifier->scores + (size_t)i * classes, k, results);
        images += some, count -= some;
    }
    return VIT_OK;
}

#endif

#ifdef __cplusplus
}
#endif
#if defined(__clang__) && !defined(__cplusplus)
#pragma clang diagnostic pop
#endif
#if defined(__clang__) && defined(__x86_64__)
#pragma float_control(pop)
#endif
#endif /* VIT_IMPLEMENTATION */

#else /* VIT__TARGET */

/* ---- [13] TARGETS ----------------------------------------------------------------------------

   What is written for one instruction set. [7] includes this section once for each target, which
   VIT__TARGET names. First come the target's operations, then the kernels, written once with them;
   VIT__NAME(name) is the target's name of a function or type.

   VIT__FLOATS is a vector of VIT__LANES floats, VIT__WORDS one of as many uint32_t. C's operators work
   on both lane by lane, and a number beside a vector stands for a vector of it. A target defines what C
   has no operator for (each with VIT__ in front; those with * only where it has something better):

     operation                for each lane                      NaN gives           range
     SET(x)                   x                                  NaN
     FMA(a, b, c)             a * b + c, rounded once; twice     NaN
                              with simd128, SSE4.1 and NEON
                              without vfpv4
     FNMA(a, b, c) *          c - a * b, rounded once            NaN
     FMA_SCALAR(x, b, c) *    x * b + c for a float x            NaN
     MIN(a, b), MAX(a, b)     the smaller, the larger            NaN from b; b or
                                                                 NaN from a
     IF_NEGATIVE(x, a, b)     x < 0 ? a : b                      a or b              -0: a or b
     ANY_BELOW(x, limit) *    one answer: is any x < limit       no for that lane
     LOOK_UP(table, w) *      table[w % 32], of 32 floats
     NEAREST(a)               a as a word, halves to even        any word            |a| < 2^22
     TO_FLOAT(w) *            w, which is signed, as a float
     MAX_WORDS(w, v)          the larger, which are signed
     LOAD_HALVES(p)           uint16_t p[lane] as a word
     LOAD_F16(p) *            the half p[lane] as a float        NaN
     DOT8(sum, x, w)          adds to sum four products of                           x 0..127
                              bytes of x and of w, signed
     DOT16(sum, x, w)         adds two products of bf16   NaN
     STORE_BF16(p, v)         writes 16 floats v[lane] as     NaN
                              bf16, halves to even
     DOT8_TWICE(sum, x0, w0,  adds eight; where it is faster                         all of x0 and x1, or
       x1, w1) *                                                                     of w0 and w1, <= 63
     STORE8(p, w)             writes 16 words as bytes, limited to 0..127
     STORE_BYTES(p, w) *      writes the low bytes of 16 words, w[lane]
     DOT8_X(sum, x, w) *      as DOT8, in two of it if it is missing             x 0..254, or with
                                                                                 INT8_SIGNED -127..127
     SUM_LANES(a), LARGEST_LANE(a), LARGEST_WORD(w) *    by +, MAX and MAX_WORDS
     FOLD(a, op) *            a = op of a and of a with its halves swapped; then quarters, and so on
     TRANSPOSE4(p, stride, q) *    4 rows of 4 floats become columns, 16 floats apart
     BYTE(w, c) *             byte c of w
     PIXELS(s) *              of s[3] what vit__from_fixed_point makes, as bytes 0 to 2 of a word

   A target also says how many rows and panels a tile has: as many as keep its sums in registers.

   Rows of int8x have 8 bits: 0..254, or where VIT__INT8_SIGNED is defined 127 less, as their zeros are.
   A target whose kernel of int8 multiplies them as it is defines VIT__INT8_TAKES_X; the kernel that is
   written with DOT8 here is made again with DOT8_X otherwise; and a target that has neither of these,
   but a kernel of its own, multiplies them in plain C. Whatever it does, the integers are the same. */

#if VIT__TARGET == VIT__TARGET_NEON || VIT__TARGET == VIT__TARGET_ARMV7 /* in 64 and in 32 bits */

static inline void vit__store8_neon(uint8_t *p, int16x8_t low, int16x8_t high) {
    int8x16_t bytes = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
    vst1q_u8(p, vreinterpretq_u8_s8(vmaxq_s8(bytes, vdupq_n_s8(0))));
}

static inline void vit__transpose4_neon(const float *in, size_t stride, float *out) {
    float32x4x4_t columns = {{vld1q_f32(in), vld1q_f32(in + stride), vld1q_f32(in + 2 * stride),
                              vld1q_f32(in + 3 * stride)}};
    float rows[16];
    vst4q_f32(rows, columns);
    for (size_t x = 0; x < 4; x++) vst1q_f32(out + x * VIT__PANEL, vld1q_f32(rows + 4 * x));
}

#endif

#if VIT__TARGET == VIT__TARGET_DSP

/* Four k of one output times four rows; compilers, given the instructions, spill. */
#define VIT__DOT8_FOUR(s0, s1, s2, s3, pairs, weights)                                \
    do {                                                                              \
        uint32_t bytes, pair;                                                         \
        __asm__("ldr %6, [%5], #64\n\tsxtb16 %7, %6\n\t"                              \
                "ldmia %4!, {r4, r5, r6, r8}\n\t"                                     \
                "smlad %0, r4, %7, %0\n\tsmlad %1, r5, %7, %1\n\t"                    \
                "smlad %2, r6, %7, %2\n\tsmlad %3, r8, %7, %3\n\t"                    \
                "ldmia %4!, {r4, r5, r6, r8}\n\tsxtb16 %7, %6, ror #8\n\t"            \
                "smlad %0, r4, %7, %0\n\tsmlad %1, r5, %7, %1\n\t"                    \
                "smlad %2, r6, %7, %2\n\tsmlad %3, r8, %7, %3"                        \
                : "+r"(s0), "+r"(s1), "+r"(s2), "+r"(s3), "+r"(pairs), "+r"(weights), \
                  "=&r"(bytes), "=&r"(pair)                                           \
                :                                                                     \
                : "r4", "r5", "r6", "r8", "memory");                                  \
    } while (0)
#define VIT__DSP_PANELS 2
#define VIT__DSP_INPUTS 64 /* at a time */

/* Inputs of four rows as pairs of 16 bits, [count / 4][2][4]: k and k + 2, then k + 1 and k + 3. Absent
   rows repeat the last. */
static void vit__pair_dsp(const vit__tile *t, size_t k, size_t count, uint32_t *pairs) {
    for (int r = 0; r < VIT__PLAIN_ROWS8; r++) {
        const uint8_t *row = (const uint8_t *)vit__tile_row(t, vit__min(r, t->rows - 1)) + k;
        uint32_t *out = pairs + r;
        for (const uint8_t *end = row + count; row < end; row += 4, out += 8) {
            uint32_t bytes;
            VIT__COPY(&bytes, row);
            __asm__("uxtb16 %0, %1" : "=r"(out[0]) : "r"(bytes));
            __asm__("uxtb16 %0, %1, ror #8" : "=r"(out[4]) : "r"(bytes));
        }
    }
}

/* sums[r][n] of a panel and four rows of pairs; those of the inputs before are added. */
static void vit__dot8_dsp(const uint32_t *pairs, size_t count, const int8_t *weights, int first,
                          int32_t sums[][VIT__PANEL]) {
    const uint32_t *end = pairs + 2 * count;
    for (int n = 0; n < VIT__PANEL; n++) {
        const uint32_t *p = pairs;
        const int8_t *w = weights + 4 * n;
        int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        if (count > 0) {
            do {
                VIT__DOT8_FOUR(s0, s1, s2, s3, p, w);
                VIT__DOT8_FOUR(s0, s1, s2, s3, p, w);
            } while (p < end);
        }
        sums[0][n] = first ? s0 : sums[0][n] + s0;
        sums[1][n] = first ? s1 : sums[1][n] + s1;
        sums[2][n] = first ? s2 : sums[2][n] + s2;
        sums[3][n] = first ? s3 : sums[3][n] + s3;
    }
}

static void vit__multiply8_dsp(const vit__tile *t) {
    int32_t sums[VIT__DSP_PANELS][VIT__PLAIN_ROWS8][VIT__PANEL];
    uint32_t pairs[VIT__DSP_INPUTS * 2];
    const size_t inputs = t->steps * 4;
    size_t k = 0;
    do {
        size_t count = vit__smaller(inputs - k, VIT__DSP_INPUTS);
        const int8_t *weights = (const int8_t *)t->weights + k * VIT__PANEL;
        vit__pair_dsp(t, k, count, pairs);
        for (int p = 0; p < t->panels; p++, weights += inputs * VIT__PANEL)
            vit__dot8_dsp(pairs, count, weights, k == 0, sums[p]);
        k += count;
    } while (k < inputs);
    for (int p = 0; p < t->panels; p++) vit__finish8(t, p, sums[p]);
}

static const vit__kernels vit__kernels_dsp =
    VIT__PLAIN_KERNELS(VIT__DSP_PANELS, vit__multiply8_dsp);

#else

#ifdef VIT__X86
#if !defined(__clang__) && !defined(VIT__EMULATED)
/* gcc 12, given the intrinsics, has two registers for each sum, copies to and fro and spills. */
#define VIT__SUMS_BY_ASM
#if VIT__TARGET == VIT__TARGET_SSE41
#define VIT__ADD_TO(sum, a) __asm__("paddd {%1, %0|%0, %1}" : "+x"(sum) : "x"(a))
#else
#define VIT__ADD_TO(sum, a) __asm__("vpaddd {%1, %0, %0|%0, %0, %1}" : "+v"(sum) : "v"(a))
#endif
#else
#define VIT__ADD_TO(sum, a) sum += (VIT__WORDS)(a)
#endif
#define VIT__LOAD_128(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define VIT__STORE_128(p, a) _mm_storeu_si128((__m128i *)(void *)(p), a)
#define VIT__TRANSPOSE4(in, stride, out)                                                     \
    do {                                                                                     \
        __m128 a = _mm_loadu_ps(in), b = _mm_loadu_ps((in) + (stride));                      \
        __m128 c = _mm_loadu_ps((in) + 2 * (stride)), d = _mm_loadu_ps((in) + 3 * (stride)); \
        _MM_TRANSPOSE4_PS(a, b, c, d);                                                       \
        _mm_storeu_ps(out, a), _mm_storeu_ps((out) + VIT__PANEL, b);                         \
        _mm_storeu_ps((out) + 2 * VIT__PANEL, c), _mm_storeu_ps((out) + 3 * VIT__PANEL, d);  \
    } while (0)
#endif

#if VIT__TARGET >= VIT__TARGET_NEON && VIT__TARGET <= VIT__TARGET_NEONBF16

#if VIT__TARGET == VIT__TARGET_NEON
#define VIT__NAME(name) vit__##name##_neon
#define VIT__INT8_ROWS 4
#elif VIT__TARGET == VIT__TARGET_DOTPROD
#define VIT__NAME(name) vit__##name##_dotprod
#define VIT__INT8_ROWS 4
#define VIT__EXTENSIONS "dotprod"
#elif VIT__TARGET == VIT__TARGET_I8MM
#define VIT__NAME(name) vit__##name##_i8mm
#define VIT__INT8_ROWS 12 /* in turns of 6, which share what a call costs */
#define VIT__EXTENSIONS "i8mm"
#else
#define VIT__NAME(name) vit__##name##_neonbf16
#define VIT__INT8_KERNEL(name) vit__##name##_i8mm
#define VIT__INT8_ROWS 12
#define VIT__BF16_KERNEL(name) VIT__NAME(name)
#define VIT__BF16_ROWS 4 /* with 6, gcc 12 spills sums */
#define VIT__BF16_PANELS 1
#define VIT__EXTENSIONS "bf16"
#define VIT__STORE_BF16(p, a) vit__store_bf16_neon(p, a)
#endif
#if VIT__TARGET != VIT__TARGET_NEON
#define VIT__FLOAT_KERNEL(name) vit__##name##_neon
#ifdef __clang__
#define VIT__FLAGS VIT__EXTENSIONS
#else
#define VIT__FLAGS "arch=armv8.2-a+" VIT__EXTENSIONS
#endif
#endif
#define VIT__INT8_TAKES_X
#define VIT__INT8_SIGNED
#define VIT__LANES 4
#define VIT__F32_ROWS 5 /* with 6, gcc 12 loads all inputs at once and spills a sum */
#define VIT__F32_PANELS 1
#define VIT__INT8_PANELS 1
#define VIT__SET(x) vdupq_n_f32(x)
#define VIT__FMA(a, b, c) vfmaq_f32(c, a, b)
#define VIT__FNMA(a, b, c) vfmsq_f32(c, a, b)
#define VIT__MIN(a, b) vminq_f32(a, b)
#define VIT__MAX(a, b) vmaxq_f32(a, b)
#define VIT__IF_NEGATIVE(x, a, b) vbslq_f32(vcltzq_f32(x), a, b)
#define VIT__NEAREST(a) (VIT__WORDS) vcvtnq_s32_f32(a)
#define VIT__MAX_WORDS(a, b) (VIT__WORDS) vmaxq_s32((int32x4_t)(a), (int32x4_t)(b))
#define VIT__LOAD_F16(p) (VIT__FLOATS) vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))
#define VIT__LOAD_HALVES(p) (VIT__WORDS) vmovl_u16(vld1_u16(p))
#if VIT__TARGET == VIT__TARGET_NEON
#define VIT__DOT8(sum, x, w) \
    sum = (VIT__WORDS)vit__dot8_neon((int32x4_t)(sum), (int8x16_t)(x), (int8x16_t)(w))
#define VIT__DOT8_TWICE(sum, x0, w0, x1, w1)                                                   \
    sum = (VIT__WORDS)vit__dot8_twice_neon((int32x4_t)(sum), (int8x16_t)(x0), (int8x16_t)(w0), \
                                           (int8x16_t)(x1), (int8x16_t)(w1))

/* Pairs of products are exact in 16 bits: 2 * 127 * 127 = 32258, whatever their signs. */
static inline int32x4_t vit__dot8_neon(int32x4_t sum, int8x16_t x, int8x16_t w) {
    int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
    return vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(x, w)));
}

/* Two pairs are exact for |w| <= 63: 4 * 127 * 63 = 32004. */
static inline int32x4_t vit__dot8_twice_neon(int32x4_t sum, int8x16_t x0, int8x16_t w0,
                                             int8x16_t x1, int8x16_t w1) {
    int16x8_t low = vmull_s8(vget_low_s8(x0), vget_low_s8(w0));
    int16x8_t high = vmull_high_s8(x0, w0);
    low = vmlal_s8(low, vget_low_s8(x1), vget_low_s8(w1));
    return vpadalq_s16(sum, vpaddq_s16(low, vmlal_high_s8(high, x1, w1)));
}
#endif
#define VIT__NARROW(a) vqmovn_s32((int32x4_t)(a))
#define VIT__STORE8(p, a)                                                       \
    vit__store8_neon(p, vcombine_s16(VIT__NARROW((a)[0]), VIT__NARROW((a)[1])), \
                     vcombine_s16(VIT__NARROW((a)[2]), VIT__NARROW((a)[3])))
#if VIT__TARGET == VIT__TARGET_NEON && defined(VIT__PIXEL_ROWS)
#define VIT__BYTE(w, c) (VIT__WORDS) vit__byte_neon((uint8x16_t)(w), c)
#define VIT__PIXELS(sum) \
    (VIT__WORDS) vit__pixels_neon((int32x4_t)(sum)[0], (int32x4_t)(sum)[1], (int32x4_t)(sum)[2])

/* Byte c of each word, as a word. Bytes that are out of range become 0. */
static inline uint8x16_t vit__byte_neon(uint8x16_t words, int c) {
    const uint32x4_t first = {0xFFFFFF00, 0xFFFFFF04, 0xFFFFFF08, 0xFFFFFF0C};
    return vqtbl1q_u8(words, vreinterpretq_u8_u32(vaddq_u32(first, vdupq_n_u32((uint32_t)c))));
}

/* Shifted in two steps, which limit to 16 bits and to 8. */
static inline uint8x16_t vit__pixels_neon(int32x4_t sum0, int32x4_t sum1, int32x4_t sum2) {
    const uint8x16_t order = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
    const uint16x8_t first = vqshrun_high_n_s32(vqshrun_n_s32(sum0, 16), sum1, 16);
    const uint16x8_t third = vcombine_u16(vqshrun_n_s32(sum2, 16), vdup_n_u16(0));
    const uint8x8_t bytes = vqshrn_n_u16(first, VIT__WEIGHT_BITS - 16);
    return vqtbl1q_u8(vqshrn_high_n_u16(bytes, third, VIT__WEIGHT_BITS - 16), order);
}
#endif

#define VIT__TRANSPOSE4(in, stride, out) vit__transpose4_neon(in, stride, out)

#elif VIT__TARGET == VIT__TARGET_ARMV7

/* Its vectors have no subnormal numbers: as operands and results they are zeros. gcc, which has to keep them,
   takes C's operators on floats one number at a time. */
#define VIT__NAME(name) vit__##name##_armv7
#define VIT__INT8_TAKES_X
#define VIT__INT8_SIGNED
#define VIT__LANES 4
#define VIT__F32_ROWS 4
#define VIT__TILE_VECTORS 2 /* of 16 registers 8 hold sums; with more gcc 12 spills */
#define VIT__F32_PANELS 1
#define VIT__INT8_ROWS 2
#define VIT__INT8_PANELS 1
#define VIT__SET(x) vdupq_n_f32(x)
#ifdef __ARM_FEATURE_FMA
#define VIT__FMA(a, b, c) vfmaq_f32(c, a, b)
#define VIT__FNMA(a, b, c) vfmsq_f32(c, a, b)
#else
#define VIT__FMA(a, b, c) vmlaq_f32(c, a, b) /* in two roundings */
#endif
#define VIT__MIN(a, b) vminq_f32(a, b)
#define VIT__MAX(a, b) vmaxq_f32(a, b)
#define VIT__IF_NEGATIVE(x, a, b) vbslq_f32(vcltq_f32(x, vdupq_n_f32(0.0f)), a, b)
#define VIT__NEAREST(a) \
    ((VIT__WORDS)vaddq_f32(a, VIT__SET(VIT__SHIFT)) - (VIT__WORDS)VIT__SET(VIT__SHIFT))
#define VIT__TO_FLOAT(a) vcvtq_f32_s32((int32x4_t)(a))
#define VIT__MAX_WORDS(a, b) (VIT__WORDS) vmaxq_s32((int32x4_t)(a), (int32x4_t)(b))
#define VIT__LOAD_F16(p) (VIT__FLOATS) vit__load_f16_armv7(p)
#define VIT__LOAD_HALVES(p) (VIT__WORDS) vmovl_u16(vld1_u16(p))
#define VIT__NARROW(a) vqmovn_s32((int32x4_t)(a))
#define VIT__STORE8(p, a)                                                       \
    vit__store8_neon(p, vcombine_s16(VIT__NARROW((a)[0]), VIT__NARROW((a)[1])), \
                     vcombine_s16(VIT__NARROW((a)[2]), VIT__NARROW((a)[3])))
#define VIT__TRANSPOSE4(in, stride, out) vit__transpose4_neon(in, stride, out)

/* As vit__from_f16. Subnormal halves are no subnormal floats on the way: 2^-14 is added and subtracted. */
static inline float32x4_t vit__load_f16_armv7(const uint16_t *p) {
    const uint32x4_t half = vmovl_u16(vld1_u16(p));
    const uint32x4_t size = vshlq_n_u32(vandq_u32(half, vdupq_n_u32(0x7FFF)), 13);
    const uint32x4_t not_finite = vcgtq_u32(size, vdupq_n_u32(0x0F7FFFFF));
    const uint32x4_t subnormal = vcltq_u32(size, vdupq_n_u32(0x00800000));
    const uint32x4_t least = vdupq_n_u32(113u << 23);
    uint32x4_t x = vaddq_u32(size, vdupq_n_u32(112u << 23));
    x = vorrq_u32(x, vandq_u32(not_finite, vdupq_n_u32(0x7F800000)));
    const float32x4_t tiny =
        vsubq_f32(vreinterpretq_f32_u32(vaddq_u32(size, least)), vreinterpretq_f32_u32(least));
    x = vbslq_u32(subnormal, vreinterpretq_u32_f32(tiny), x);
    x = vorrq_u32(x, vshlq_n_u32(vandq_u32(half, vdupq_n_u32(0x8000)), 16));
    return vreinterpretq_f32_u32(x);
}

/* The sums of aarch64, by asm: of intrinsics gcc 12 copies halves of registers, and spills. */
#define VIT__DOT8(sum, x, w)                                                                \
    do {                                                                                    \
        int16x8_t low, high;                                                                \
        __asm__("vmull.s8 %q1, %e3, %e4\n\tvmull.s8 %q2, %f3, %f4\n\t" VIT__ADD_QUADS_ARMV7 \
                : "+w"(sum), "=&w"(low), "=&w"(high)                                        \
                : "w"(x), "w"(w));                                                          \
    } while (0)
#define VIT__DOT8_TWICE(sum, x0, w0, x1, w1)                                                \
    do {                                                                                    \
        int16x8_t low, high;                                                                \
        __asm__("vmull.s8 %q1, %e3, %e4\n\tvmull.s8 %q2, %f3, %f4\n\t"                      \
                "vmlal.s8 %q1, %e5, %e6\n\tvmlal.s8 %q2, %f5, %f6\n\t" VIT__ADD_QUADS_ARMV7 \
                : "+w"(sum), "=&w"(low), "=&w"(high)                                        \
                : "w"(x0), "w"(w0), "w"(x1), "w"(w1));                                      \
    } while (0)
#define VIT__ADD_QUADS_ARMV7 \
    "vpadd.i16 %e1, %e1, %f1\n\tvpadd.i16 %f1, %e2, %f2\n\tvpadal.s16 %q0, %q1"

#elif VIT__TARGET == VIT__TARGET_SIMD128

#define VIT__NAME(name) vit__##name##_simd128
#define VIT__LANES 4
/* V8 on x86-64 has 15 registers: for the sums, the weights, an input and, where a product is not added at
   once, the product. */
#define VIT__TILE_VECTORS 2
#define VIT__F32_PANELS 1
#ifdef __wasm_relaxed_simd__
#define VIT__F32_ROWS 6
#define VIT__INT8_ROWS 3
#define VIT__INT8_PANELS 1
#define VIT__INT8_SIGNED
#else
#define VIT__F32_ROWS 5
#define VIT__INT8_ROWS 4
#define VIT__INT8_PANELS 2
#define VIT__INT8_TAKES_X
#endif
/* Several steps at a time only with this: clang puts off their sums, for which there are too few registers
   then. Later versions take no vector here. */
#if __clang_major__ <= 16
#define VIT__KEEPS 1
#define VIT__KEEP(a) __asm__ volatile("" : "+r"(a))
#else
#define VIT__KEEPS 0
#define VIT__KEEP(a) (void)(a)
#endif
#define VIT__SET(x) (VIT__FLOATS) wasm_f32x4_splat(x)
#ifdef __wasm_relaxed_simd__
#define VIT__FMA(a, b, c) (VIT__FLOATS) __builtin_wasm_relaxed_madd_f32x4(a, b, c)
#else
#define VIT__FMA(a, b, c) ((c) + (a) * (b)) /* in two roundings */
#endif
#define VIT__MIN(a, b) \
    (VIT__FLOATS) wasm_f32x4_pmin((v128_t)(b), (v128_t)(a)) /* min is slow on x86 */
#define VIT__MAX(a, b) (VIT__FLOATS) wasm_f32x4_pmax((v128_t)(b), (v128_t)(a))
#define VIT__IF_NEGATIVE(x, a, b) \
    (VIT__FLOATS) wasm_v128_bitselect((v128_t)(a), (v128_t)(b), (v128_t)((x) < 0.0f))
#define VIT__NEAREST(a) (VIT__WORDS) wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest((v128_t)(a)))
#define VIT__MAX_WORDS(a, b) (VIT__WORDS) wasm_i32x4_max((v128_t)(a), (v128_t)(b))
#define VIT__LOAD_HALVES(p) (VIT__WORDS) wasm_u32x4_load16x4(p)
#define VIT__STORE8(p, a)                                                           \
    vit__store8_simd128(p, wasm_i16x8_narrow_i32x4((v128_t)(a)[0], (v128_t)(a)[1]), \
                        wasm_i16x8_narrow_i32x4((v128_t)(a)[2], (v128_t)(a)[3]))

static inline void vit__store8_simd128(uint8_t *p, v128_t low, v128_t high) {
    v128_t bytes = wasm_i8x16_narrow_i16x8(low, high);
    wasm_v128_store(p, wasm_i8x16_max(bytes, wasm_i8x16_splat(0)));
}

#ifdef __wasm_relaxed_simd__
/* The instruction is unspecified for an x of 8 bits; ours have 7. As for AVX2, two sums fit 16 bits. Node
   20 gets the instruction wrong that adds to a sum of 32 bits too. */
#define VIT__DOT8(sum, x, w) \
    sum = (VIT__WORDS)vit__dot8_simd128((v128_t)(sum), (v128_t)(x), (v128_t)(w))
#define VIT__DOT8_I16(x, w) __builtin_wasm_relaxed_dot_i8x16_i7x16_s_i16x8(w, x)
#define VIT__DOT8_TWICE(sum, x0, w0, x1, w1)                                             \
    sum = (VIT__WORDS)vit__dot8_twice_simd128((v128_t)(sum), (v128_t)(x0), (v128_t)(w0), \
                                              (v128_t)(x1), (v128_t)(w1))

static inline v128_t vit__dot8_simd128(v128_t sum, v128_t x, v128_t w) {
    return wasm_i32x4_add(sum, wasm_i32x4_extadd_pairwise_i16x8(VIT__DOT8_I16(x, w)));
}

/* The weights without their signs have 7 bits, and x takes the signs. */
#define VIT__DOT8_X(sum, x, w) \
    sum = (VIT__WORDS)vit__dot8_x_simd128((v128_t)(sum), (v128_t)(x), (v128_t)(w))

static inline v128_t vit__dot8_x_simd128(v128_t sum, v128_t x, v128_t w) {
    const v128_t signs = wasm_i8x16_shr(w, 7);
    return vit__dot8_simd128(sum, wasm_i8x16_abs(w),
                             wasm_i8x16_sub(wasm_v128_xor(x, signs), signs));
}

static inline v128_t vit__dot8_twice_simd128(v128_t sum, v128_t x0, v128_t w0, v128_t x1,
                                             v128_t w1) {
    v128_t sums = wasm_i16x8_add(VIT__DOT8_I16(x0, w0), VIT__DOT8_I16(x1, w1));
    return wasm_i32x4_add(sum, wasm_i32x4_extadd_pairwise_i16x8(sums));
}
#endif

#elif VIT__TARGET == VIT__TARGET_MVE

#define VIT__NAME(name) vit__##name##_mve
#define VIT__LANES 4
#define VIT__F32_ROWS 3
#define VIT__F32_PANELS 1
#define VIT__TILE_VECTORS 2 /* of 8 registers 6 hold sums and 2 weights */
#define VIT__INT8_ROWS 3
#define VIT__INT8_PANELS 1
#define VIT__INT8_TAKES_X
#define VIT__INT8_SIGNED
#define VIT__SET(x) vdupq_n_f32(x)
#define VIT__FMA(a, b, c) vfmaq_f32(c, a, b)
#define VIT__FMA_SCALAR(x, b, c) vfmaq_n_f32(c, b, x)
#define VIT__FNMA(a, b, c) vfmsq_f32(c, a, b)
/* b where either is NaN: "greater" is false then, "less" would be true, and vminnm takes the number. */
#define VIT__MIN(a, b) vpselq_f32(a, b, vcmpgtq_f32(b, a))
#define VIT__MAX(a, b) vpselq_f32(a, b, vcmpgtq_f32(a, b))
#define VIT__IF_NEGATIVE(x, a, b) vpselq_f32(a, b, vcmpltq_n_f32(x, 0.0f))
#define VIT__NEAREST(a) (VIT__WORDS) vcvtnq_s32_f32(a)
#define VIT__TO_FLOAT(a) vcvtq_f32_s32((int32x4_t)(a)) /* gcc 12 takes a number at a time */
#define VIT__MAX_WORDS(a, b) (VIT__WORDS) vmaxq_s32((int32x4_t)(a), (int32x4_t)(b))
#define VIT__LOAD_HALVES(p) (VIT__WORDS) vldrhq_u32(p)
#define VIT__SUM_LANES(a) vit__sum_lanes_mve(a)
#define VIT__LARGEST_LANE(a) vmaxnmvq_f32((a)[0], a)
#define VIT__LARGEST_WORD(w) vit__float_of(vmaxvq_s32(0, (int32x4_t)(w)))
#define VIT__STORE_BYTES(p, a) \
    for (int v = 0; v < 4; v++) vstrbq_u32((p) + 4 * v, (uint32x4_t)(a)[v])
#define VIT__STORE8(p, a) \
    for (int v = 0; v < 4; v++) vit__store8_mve((int8_t *)(p) + 4 * v, (int32x4_t)(a)[v])

static inline float vit__sum_lanes_mve(float32x4_t a) {
    return (a[0] + a[2]) + (a[1] + a[3]);
}

static inline void vit__store8_mve(int8_t *p, int32x4_t a) {
    vstrbq_s32(p, vmaxq_s32(vminq_s32(a, vdupq_n_s32(127)), vdupq_n_s32(0)));
}

#elif VIT__TARGET == VIT__TARGET_SSE41

#define VIT__NAME(name) vit__##name##_sse41
#define VIT__FLAGS "sse4.1"
#define VIT__LANES 4
#define VIT__F32_ROWS 3
#define VIT__F32_PANELS 1
#define VIT__INT8_ROWS 3
#define VIT__INT8_PANELS 1
#define VIT__SET(x) _mm_set1_ps(x)
#ifdef __FMA__ /* compilers, told of it, would round once here and there */
#define VIT__FMA(a, b, c) _mm_fmadd_ps(a, b, c)
#define VIT__FNMA(a, b, c) _mm_fnmadd_ps(a, b, c)
#else
#define VIT__FMA(a, b, c) ((c) + (a) * (b)) /* in two roundings */
#endif
#define VIT__MIN(a, b) _mm_min_ps(a, b)
#define VIT__MAX(a, b) _mm_max_ps(a, b)
#define VIT__IF_NEGATIVE(x, a, b) _mm_blendv_ps(b, a, x)
#define VIT__NEAREST(a) (VIT__WORDS) _mm_cvtps_epi32(a)
#define VIT__MAX_WORDS(a, b) (VIT__WORDS) _mm_max_epi32((__m128i)(a), (__m128i)(b))
#define VIT__LOAD_HALVES(p) \
    (VIT__WORDS) _mm_cvtepu16_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p)))
/* As for AVX2. */
#define VIT__SUM8(sums) _mm_madd_epi16(sums, _mm_set1_epi16(1))
#define VIT__PAIRS8(x, w) _mm_maddubs_epi16((__m128i)(x), (__m128i)(w))
#define VIT__DOT8(sum, x, w) VIT__ADD_TO(sum, VIT__SUM8(VIT__PAIRS8(x, w)))
/* The weights without their signs, which x takes. */
#define VIT__INT8_SIGNED
#define VIT__DOT8_X(sum, x, w)                                         \
    VIT__ADD_TO(sum, VIT__SUM8(VIT__PAIRS8(_mm_abs_epi8((__m128i)(w)), \
                                           _mm_sign_epi8((__m128i)(x), (__m128i)(w)))))
#define VIT__DOT8_TWICE(sum, x0, w0, x1, w1) \
    VIT__ADD_TO(sum, VIT__SUM8(_mm_add_epi16(VIT__PAIRS8(x0, w0), VIT__PAIRS8(x1, w1))))
#define VIT__NARROW(a, b) _mm_packs_epi32((__m128i)(a), (__m128i)(b))
#define VIT__STORE_BYTES(p, a)                                                    \
    VIT__STORE_128(p, _mm_packus_epi16(VIT__NARROW((a)[0] & 255u, (a)[1] & 255u), \
                                       VIT__NARROW((a)[2] & 255u, (a)[3] & 255u)))
#define VIT__STORE8(p, a)                                                                 \
    VIT__STORE_128(                                                                       \
        p, _mm_max_epi8(_mm_setzero_si128(), _mm_packs_epi16(VIT__NARROW((a)[0], (a)[1]), \
                                                             VIT__NARROW((a)[2], (a)[3]))))

#elif VIT__TARGET == VIT__TARGET_AVX2 || VIT__TARGET == VIT__TARGET_AVXVNNI

#if VIT__TARGET == VIT__TARGET_AVX2
#define VIT__NAME(name) vit__##name##_avx2
#define VIT__FLAGS "avx2,fma,f16c"
#define VIT__SUM8(sums) _mm256_madd_epi16(sums, _mm256_set1_epi16(1))
#define VIT__PAIRS8(x, w) _mm256_maddubs_epi16((__m256i)(x), (__m256i)(w))
#define VIT__DOT8(sum, x, w) VIT__ADD_TO(sum, VIT__SUM8(VIT__PAIRS8(x, w)))
/* The weights without their signs, which x takes. */
#define VIT__INT8_SIGNED
#define VIT__DOT8_X(sum, x, w)                                            \
    VIT__ADD_TO(sum, VIT__SUM8(VIT__PAIRS8(_mm256_abs_epi8((__m256i)(w)), \
                                           _mm256_sign_epi8((__m256i)(x), (__m256i)(w)))))
/* Pairs of products are exact in 16 bits, 2 * 127 * 127 = 32258; two pairs of narrow ones too: 32004. */
#define VIT__DOT8_TWICE(sum, x0, w0, x1, w1) \
    VIT__ADD_TO(sum, VIT__SUM8(_mm256_add_epi16(VIT__PAIRS8(x0, w0), VIT__PAIRS8(x1, w1))))
#else
#define VIT__NAME(name) vit__##name##_avxvnni
#define VIT__FLAGS "avx2,fma,avxvnni"
#define VIT__INT8_TAKES_X
#define VIT__FLOAT_KERNEL(name) vit__##name##_avx2
#ifdef VIT__SUMS_BY_ASM
#define VIT__DOT8(sum, x, w) \
    __asm__("%{vex%} vpdpbusd {%2, %1, %0|%0, %1, %2}" : "+x"(sum) : "x"(x), "x"(w))
#else
#define VIT__DOT8(sum, x, w) \
    sum = (VIT__WORDS)_mm256_dpbusd_avx_epi32((__m256i)(sum), (__m256i)(x), (__m256i)(w))
#endif
#endif
#define VIT__LANES 8
#define VIT__F32_ROWS 6
#define VIT__F32_PANELS 1
#define VIT__INT8_ROWS 4
#define VIT__INT8_PANELS 1
#define VIT__SET(x) _mm256_set1_ps(x)
#define VIT__FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define VIT__FNMA(a, b, c) _mm256_fnmadd_ps(a, b, c)
#define VIT__MIN(a, b) _mm256_min_ps(a, b)
#define VIT__MAX(a, b) _mm256_max_ps(a, b)
#define VIT__IF_NEGATIVE(x, a, b) _mm256_blendv_ps(b, a, x)
#define VIT__NEAREST(a) (VIT__WORDS) _mm256_cvtps_epi32(a)
#define VIT__MAX_WORDS(a, b) (VIT__WORDS) _mm256_max_epi32((__m256i)(a), (__m256i)(b))
#define VIT__LOAD_HALVES(p) (VIT__WORDS) _mm256_cvtepu16_epi32(VIT__LOAD_128(p))
#define VIT__LOAD_F16(p) (VIT__FLOATS) _mm256_cvtph_ps(VIT__LOAD_128(p))
#define VIT__FOLD(a, op)                                     \
    a = op(a, (VIT__FLOATS)_mm256_permute2f128_ps(a, a, 1)); \
    a = op(a, (VIT__FLOATS)_mm256_permute_ps(a, 0x4E));      \
    a = op(a, (VIT__FLOATS)_mm256_permute_ps(a, 0xB1))
#define VIT__NARROW(a) \
    _mm_packs_epi32(_mm256_castsi256_si128((__m256i)(a)), _mm256_extracti128_si256((__m256i)(a), 1))
#define VIT__STORE_BYTES(p, a) \
    VIT__STORE_128(p, _mm_packus_epi16(VIT__NARROW((a)[0] & 255u), VIT__NARROW((a)[1] & 255u)))
#define VIT__STORE8(p, a)                               \
    VIT__STORE_128(p, _mm_max_epi8(_mm_setzero_si128(), \
                                   _mm_packs_epi16(VIT__NARROW((a)[0]), VIT__NARROW((a)[1]))))

#elif VIT__TARGET >= VIT__TARGET_AVX512 && VIT__TARGET <= VIT__TARGET_AMX

#if VIT__TARGET == VIT__TARGET_AVX512
#define VIT__NAME(name) vit__##name##_avx512
#define VIT__FLAGS "avx512f,avx512bw"
#define VIT__INT8_KERNEL(name) vit__##name##_avx2 /* as fast, on Zen 4 */
#define VIT__INT8X_KERNEL(name) vit__##name##_avx2
#define VIT__INT8_SIGNED
#define VIT__INT8_ROWS 4
#define VIT__INT8_PANELS 1
#else
#define VIT__FLOAT_KERNEL(name) vit__##name##_avx512
#define VIT__INT8_PANELS 2
#define VIT__INT8_TAKES_X
#if VIT__TARGET == VIT__TARGET_AMX
#define VIT__INT8_ROWS 240 /* of a task: the tiles of the processor are set up for all of them */
#define VIT__UNROLL_ROWS   /* any number */
#else
#define VIT__INT8_ROWS 12
#endif
#if VIT__TARGET == VIT__TARGET_AVX512VNNI
#define VIT__NAME(name) vit__##name##_avx512vnni
#define VIT__FLAGS "avx512f,avx512bw,avx512vnni"
#endif
#if VIT__TARGET == VIT__TARGET_AVX512BF16
#define VIT__INT8_KERNEL(name) vit__##name##_avx512vnni
#define VIT__NAME(name) vit__##name##_avx512bf16
#define VIT__FLAGS "avx512f,avx512bw,avx512bf16"
#define VIT__BF16_KERNEL(name) VIT__NAME(name)
#define VIT__STORE_BF16(p, a) \
    _mm256_storeu_si256((__m256i *)(void *)(p), (__m256i)_mm512_cvtneps_pbh((a)[0]))
#define VIT__BF16_ROWS 12
#define VIT__BF16_PANELS 2
#define VIT__ZIP(in, out) \
    _mm512_storeu_si512(out, _mm512_permutexvar_epi16(VIT__PAIRS, _mm512_loadu_si512(in)))
#define VIT__PAIRS                                                                               \
    _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, \
                     21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0)
#ifdef VIT__SUMS_BY_ASM
#define VIT__DOT16(sum, x, w) \
    __asm__("vdpbf16ps {%2, %1, %0|%0, %1, %2}" : "+v"(sum) : "v"(x), "v"(w))
#else
#define VIT__DOT16(sum, x, w) sum = _mm512_dpbf16_ps(sum, (__m512bh)(x), (__m512bh)(w))
#endif
#elif VIT__TARGET == VIT__TARGET_AMX
#define VIT__NAME(name) vit__##name##_amx
#define VIT__FLAGS "avx512f,avx512bw,avx512bf16,amx-tile,amx-bf16,amx-int8"
#define VIT__BF16_KERNEL(name) vit__##name##_avx512bf16
#define VIT__BF16_ROWS VIT__INT8_ROWS
#define VIT__BF16_PANELS 2
#endif
#ifdef VIT__SUMS_BY_ASM
#define VIT__DOT8(sum, x, w) \
    __asm__("vpdpbusd {%2, %1, %0|%0, %1, %2}" : "+v"(sum) : "v"(x), "v"(w))
#else
#define VIT__DOT8(sum, x, w) \
    sum = (VIT__WORDS)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(x), (__m512i)(w))
#endif
#endif
#define VIT__ALL ((__mmask16)0xFFFF) /* g++ 12 warns of the forms without a mask, PR 105593 */
#define VIT__LANES 16
#define VIT__F32_ROWS 12
#define VIT__F32_PANELS 2
#define VIT__SET(x) _mm512_set1_ps(x)
#define VIT__FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define VIT__FNMA(a, b, c) _mm512_fnmadd_ps(a, b, c)
#define VIT__MIN(a, b) _mm512_maskz_min_ps(VIT__ALL, a, b)
#define VIT__MAX(a, b) _mm512_maskz_max_ps(VIT__ALL, a, b)
#define VIT__IF_NEGATIVE(x, a, b) \
    _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), b, a)
#define VIT__ANY_BELOW(x, limit) (_mm512_cmp_ps_mask(x, VIT__SET(limit), _CMP_LT_OQ) != 0)
#define VIT__LOOK_UP(table, w)                                                 \
    (VIT__FLOATS) _mm512_permutex2var_ps(_mm512_loadu_ps(table), (__m512i)(w), \
                                         _mm512_loadu_ps((table) + 16))
#define VIT__NEAREST(a) (VIT__WORDS) _mm512_maskz_cvtps_epi32(VIT__ALL, a)
#define VIT__MAX_WORDS(a, b) \
    (VIT__WORDS) _mm512_maskz_max_epi32(VIT__ALL, (__m512i)(a), (__m512i)(b))
#define VIT__LOAD_256(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define VIT__LOAD_HALVES(p) (VIT__WORDS) _mm512_maskz_cvtepu16_epi32(VIT__ALL, VIT__LOAD_256(p))
#define VIT__LOAD_F16(p) (VIT__FLOATS) _mm512_maskz_cvtph_ps(VIT__ALL, VIT__LOAD_256(p))
#define VIT__FOLD(a, op)                                                      \
    a = op(a, (VIT__FLOATS)_mm512_maskz_shuffle_f32x4(VIT__ALL, a, a, 0x4E)); \
    a = op(a, (VIT__FLOATS)_mm512_maskz_shuffle_f32x4(VIT__ALL, a, a, 0xB1)); \
    a = op(a, (VIT__FLOATS)_mm512_maskz_permute_ps(VIT__ALL, a, 0x4E));       \
    a = op(a, (VIT__FLOATS)_mm512_maskz_permute_ps(VIT__ALL, a, 0xB1))
#define VIT__STORE8(p, a)                               \
    VIT__STORE_128(p, _mm_max_epi8(_mm_setzero_si128(), \
                                   _mm512_maskz_cvtsepi32_epi8(VIT__ALL, (__m512i)(a)[0])))

#elif VIT__TARGET == VIT__TARGET_RVV || VIT__TARGET == VIT__TARGET_RVV256

#if VIT__TARGET == VIT__TARGET_RVV256
#define VIT__NAME(name) vit__##name##_rvv256
#define VIT__FLAGS "arch=+v,+zvl256b"
#else
#define VIT__NAME(name) vit__##name##_rvv
#ifdef VIT__RVV_CHOSEN
#define VIT__FLAGS "arch=+v"
#endif
#endif
/* A vector takes two registers of 256 bits, of which there are 32, or four of 128. */
#if VIT__TARGET == VIT__TARGET_RVV256 || (defined(__riscv_v) && __riscv_v_min_vlen >= 256)
#define VIT__F32_ROWS 12
#else
#define VIT__F32_ROWS 6
#endif
#define VIT__INT8_ROWS VIT__F32_ROWS
#define VIT__INT8_TAKES_X
#define VIT__LANES 16
#define VIT__F32_PANELS 1
#define VIT__INT8_PANELS 1
#define VIT__SET(x) VIT__NAME(set)(x)
#define VIT__FMA(a, b, c) __builtin_elementwise_fma(a, b, c)
#define VIT__FNMA(a, b, c) __builtin_elementwise_fma(-(a), b, c)
/* b where either is NaN: vfmin and vfmax take the number. */
#define VIT__MIN(a, b) VIT__NAME(select)((a) < (b), a, b)
#define VIT__MAX(a, b) VIT__NAME(select)((a) > (b), a, b)
#define VIT__IF_NEGATIVE(x, a, b) VIT__NAME(select)((x) < 0.0f, a, b)
#define VIT__NEAREST(a) \
    (VIT__WORDS) __builtin_convertvector(__builtin_elementwise_rint(a), VIT__NAME(signed_words))
#define VIT__MAX_WORDS(a, b) (VIT__WORDS) __builtin_elementwise_max(VIT__SIGNED(a), VIT__SIGNED(b))
#define VIT__LOAD_HALVES(p) VIT__NAME(load_halves)(p)
#define VIT__SUM_LANES(a) VIT__NAME(sum_lanes)(a)
#define VIT__LARGEST_LANE(a) __builtin_reduce_max(a)
#define VIT__LARGEST_WORD(w) vit__float_of(__builtin_reduce_max(VIT__SIGNED(w)))
#define VIT__STORE8(p, a) VIT__NAME(store8)(p, VIT__SIGNED((a)[0]))

#endif

#ifndef VIT__FLOATS /* the same for every target */
/* Calls function(tile, rows, ...) so that the compiler knows rows, 1 to `most`, which is up to 12. */
#define VIT__BY_ROWS(tile, most, function, ...)           \
    switch ((tile)->rows) {                               \
        VIT__CASES(1, tile, most, function, __VA_ARGS__); \
        VIT__CASES(5, tile, most, function, __VA_ARGS__); \
        VIT__CASES(9, tile, most, function, __VA_ARGS__); \
    }
#define VIT__CASES(n, ...)         \
    VIT__CASE(n, __VA_ARGS__);     \
    VIT__CASE(n + 1, __VA_ARGS__); \
    VIT__CASE(n + 2, __VA_ARGS__); \
    VIT__CASE(n + 3, __VA_ARGS__)
#define VIT__CASE(n, tile, most, function, ...)                            \
    case n:                                                                \
        if (n <= (most)) function(tile, n <= (most) ? n : 1, __VA_ARGS__); \
        break
#define VIT__FLOATS VIT__NAME(floats)
#define VIT__WORDS VIT__NAME(words)
#define VIT__SIGNED(w) ((VIT__NAME(signed_words))(w))
#define VIT__LOAD(p) ((VIT__FLOATS) * (const VIT__NAME(any_floats) *)(const void *)(p))
#define VIT__STORE(p, a) (*(VIT__NAME(any_floats) *)(void *)(p) = (a))
#define VIT__LOAD_WORDS(p) ((VIT__WORDS) * (const VIT__NAME(any_words) *)(const void *)(p))
#define VIT__STORE_WORDS(p, a) (*(VIT__NAME(any_words) *)(void *)(p) = (a))
#define VIT__VECTORS (VIT__PANEL / VIT__LANES) /* of a row of a panel */
#define VIT__INLINE static inline __attribute__((always_inline))
#ifdef VIT__PIXEL_ROWS
typedef uint32_t vit__four_words __attribute__((vector_size(16)));
typedef uint8_t vit__16_bytes __attribute__((vector_size(16)));
/* The elements of a and b, which follow those of a, that the numbers name. */
#ifdef __clang__
#define VIT__PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define VIT__PICK(a, b, ...) __builtin_shuffle(a, b, __extension__(__typeof__(a)){__VA_ARGS__})
#endif
#endif
/* Hides where p comes from, so that compilers keep a register for three rows, not one for each. */
#define VIT__OPAQUE(p) __asm__("" : "+r"(p))
#ifdef __clang__
#define VIT__UNROLL _Pragma("clang loop unroll(full)")
#else
#define VIT__UNROLL _Pragma("GCC unroll 16")
#endif
#endif

#if defined(VIT__FLAGS) && !defined(VIT__EMULATED)
#define VIT__PRAGMA(x) _Pragma(#x)
#ifdef __clang__
#define VIT__BEGIN(flags) \
    VIT__PRAGMA(clang attribute push(__attribute__((target(flags))), apply_to = function))
#else
#define VIT__BEGIN(flags) VIT__PRAGMA(GCC target(flags))
#pragma GCC push_options
#endif
VIT__BEGIN(VIT__FLAGS)
#endif

typedef float VIT__FLOATS __attribute__((vector_size(4 * VIT__LANES)));
typedef uint32_t VIT__WORDS __attribute__((vector_size(4 * VIT__LANES)));
typedef int32_t VIT__NAME(signed_words) __attribute__((vector_size(4 * VIT__LANES)));
/* In memory, at any multiple of 4. */
typedef VIT__FLOATS VIT__NAME(any_floats) __attribute__((aligned(4), may_alias));
typedef VIT__WORDS VIT__NAME(any_words) __attribute__((aligned(4), may_alias));

#if VIT__TARGET == VIT__TARGET_RVV || VIT__TARGET == VIT__TARGET_RVV256
typedef float VIT__NAME(half_floats) __attribute__((vector_size(2 * VIT__LANES)));

VIT__INLINE VIT__FLOATS VIT__NAME(set)(float x) {
    const VIT__FLOATS zeros = {0};
    return x - zeros;
}

/* clang makes one instruction of it. */
VIT__INLINE VIT__FLOATS VIT__NAME(select)(VIT__NAME(signed_words) condition, VIT__FLOATS a,
                                          VIT__FLOATS b) {
    const VIT__WORDS mask = (VIT__WORDS)condition;
    return (VIT__FLOATS)(((VIT__WORDS)a & mask) | ((VIT__WORDS)b & ~mask));
}

VIT__INLINE VIT__WORDS VIT__NAME(load_halves)(const uint16_t *p) {
    uint16_t halves __attribute__((vector_size(2 * VIT__LANES)));
    memcpy(&halves, p, sizeof(halves));
    return __builtin_convertvector(halves, VIT__WORDS);
}

VIT__INLINE float VIT__NAME(sum_lanes)(VIT__FLOATS a) {
    const VIT__FLOATS b =
        a + __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    return ((b[0] + b[4]) + (b[2] + b[6])) + ((b[1] + b[5]) + (b[3] + b[7]));
}

VIT__INLINE void VIT__NAME(store8)(uint8_t *p, VIT__NAME(signed_words) a) {
    uint8_t bytes __attribute__((vector_size(VIT__LANES)));
    const VIT__NAME(signed_words) least = {0}, most = least + 127;
    a = __builtin_elementwise_min(__builtin_elementwise_max(a, least), most);
    bytes = __builtin_convertvector(a, __typeof__(bytes));
    memcpy(p, &bytes, sizeof(bytes));
}
#endif

#ifndef VIT__FMA_SCALAR
#define VIT__FMA_SCALAR(x, b, c) VIT__FMA(VIT__SET(x), b, c)
#endif
#ifndef VIT__TO_FLOAT
#define VIT__TO_FLOAT(a) __builtin_convertvector(VIT__SIGNED(a), VIT__FLOATS)
#endif
#ifndef VIT__FNMA
#define VIT__FNMA(a, b, c) VIT__NAME(fnma)(a, b, c)

/* c - a * b, with what the product loses in rounding added, so that a difference that cancels is as
   exact as by FMA. Halves of 12 bits each have exact products: Dekker 1971, "A floating-point technique
   for extending the available precision". */
VIT__INLINE VIT__FLOATS VIT__NAME(fnma)(VIT__FLOATS a, VIT__FLOATS b, VIT__FLOATS c) {
    const VIT__FLOATS a1 = (VIT__FLOATS)((VIT__WORDS)a & 0xFFFFF000u), a2 = a - a1;
    const VIT__FLOATS b1 = (VIT__FLOATS)((VIT__WORDS)b & 0xFFFFF000u), b2 = b - b1;
    const VIT__FLOATS product = a * b;
    return (c - product) + (product - a1 * b1 - a1 * b2 - a2 * b1 - a2 * b2);
}
#endif
#ifndef VIT__TILE_VECTORS
#define VIT__TILE_VECTORS VIT__VECTORS /* of a row of a panel, at a time */
#endif

#if !defined(VIT__FLOAT_KERNEL) || defined(VIT__BF16_ROWS)
/* Stores the sums of a tile, which are those from output `first` on, or adds them. */
VIT__INLINE void VIT__NAME(finish)(const vit__tile *t, const int rows, const int vectors,
                                   const size_t first,
                                   VIT__FLOATS sum[][VIT__F32_PANELS * VIT__TILE_VECTORS]) {
    const size_t row_stride = t->row_stride, panel_stride = t->panel_stride;
    const int add = t->add;
    float *out = t->output + first;
    VIT__UNROLL
    for (int r = 0; r < rows; r++, out += row_stride) {
        VIT__UNROLL
        for (int v = 0; v < vectors; v++) {
            float *to = out + (size_t)(v / VIT__TILE_VECTORS) * panel_stride +
                        v % VIT__TILE_VECTORS * VIT__LANES;
            VIT__STORE(to, add ? VIT__LOAD(to) + sum[r][v] : sum[r][v]);
        }
    }
}
#endif

#ifndef VIT__FLOAT_KERNEL /* the kernels of floats are this target's */
#define VIT__FLOAT_KERNEL(name) VIT__NAME(name)

#if VIT__TARGET == VIT__TARGET_SIMD128

/* Input k of some rows times its weights. */
VIT__INLINE void VIT__NAME(step)(const float *const *input, const size_t k,
                                 const VIT__NAME(any_floats) * weights, const int rows,
                                 VIT__FLOATS sum[][VIT__TILE_VECTORS]) {
    const VIT__FLOATS w0 = weights[0], w1 = weights[1];
    VIT__UNROLL
    for (int r = 0; r < rows; r++) {
        const VIT__FLOATS x = (VIT__FLOATS)wasm_v128_load32_splat(input[r] + k);
        sum[r][0] = VIT__FMA(x, w0, sum[r][0]);
        VIT__KEEP(sum[r][0]);
        sum[r][1] = VIT__FMA(x, w1, sum[r][1]);
        VIT__KEEP(sum[r][1]);
    }
}

/* As below, with pointers that move once in four steps: of more instructions V8 makes slower products. */
VIT__INLINE void VIT__NAME(multiply_from)(const vit__tile *t, const int rows, const int panels,
                                          const size_t first) {
    const float *input[VIT__F32_ROWS], *weights = (const float *)t->weights + first;
    const VIT__NAME(any_floats) *w = (const VIT__NAME(any_floats) *)(const void *)weights;
    VIT__FLOATS sum[VIT__F32_ROWS][VIT__TILE_VECTORS];
    size_t steps = t->steps;
    (void)panels;
    VIT__UNROLL
    for (int r = 0; r < rows; r++) {
        input[r] = (const float *)vit__tile_row(t, r);
        sum[r][0] = VIT__LOAD(t->bias + first), sum[r][1] = VIT__LOAD(t->bias + first + VIT__LANES);
    }
    for (; VIT__KEEPS && steps >= 4; steps -= 4, w += 4 * VIT__VECTORS) {
        VIT__NAME(step)(input, 0, w, rows, sum);
        VIT__NAME(step)(input, 1, w + VIT__VECTORS, rows, sum);
        VIT__NAME(step)(input, 2, w + 2 * VIT__VECTORS, rows, sum);
        VIT__NAME(step)(input, 3, w + 3 * VIT__VECTORS, rows, sum);
        VIT__UNROLL
        for (int r = 0; r < rows; r++) input[r] += 4;
    }
    for (; steps > 0; steps--, w += VIT__VECTORS) {
        VIT__NAME(step)(input, 0, w, rows, sum);
        VIT__UNROLL
        for (int r = 0; r < rows; r++) input[r]++;
    }
    VIT__NAME(finish)(t, rows, VIT__TILE_VECTORS, first, sum);
}

#else

/* vit__multiply where the compiler knows rows and panels, so that the sums stay in registers. Of each
   panel it takes VIT__TILE_VECTORS from output `first` on. */
VIT__INLINE void VIT__NAME(multiply_from)(const vit__tile *t, const int rows, const int panels,
                                          const size_t first) {
    const float *weights[VIT__F32_PANELS], *input[(VIT__F32_ROWS + 2) / 3]; /* three rows each */
    const int vectors = panels * VIT__TILE_VECTORS;
    const size_t inputs = t->steps, input_stride = t->input_stride / sizeof(float);
    const size_t next_step = t->next_step;
    uintptr_t next = t->next;
    VIT__FLOATS sum[VIT__F32_ROWS][VIT__F32_PANELS * VIT__TILE_VECTORS];
    VIT__UNROLL
    for (int p = 0; p < panels; p++)
        weights[p] = (const float *)t->weights + (size_t)p * inputs * VIT__PANEL + first;
    VIT__UNROLL
    for (int r = 0; r < rows; r += 3) {
        input[r / 3] = (const float *)t->input + (size_t)r * input_stride;
        VIT__OPAQUE(input[r / 3]);
    }
    VIT__UNROLL
    for (int r = 0; r < rows; r++) {
        VIT__UNROLL
        for (int v = 0; v < vectors; v++) sum[r][v] = VIT__LOAD(t->bias + first + v * VIT__LANES);
    }
    for (size_t k = 0; k < inputs; k++, next += next_step) {
        __builtin_prefetch((const void *)next, 0, 3);
        VIT__FLOATS w[VIT__F32_PANELS * VIT__TILE_VECTORS];
        VIT__UNROLL
        for (int v = 0; v < vectors; v++)
            w[v] = VIT__LOAD(weights[v / VIT__TILE_VECTORS] + k * VIT__PANEL +
                             v % VIT__TILE_VECTORS * VIT__LANES);
        VIT__UNROLL
        for (int r = 0; r < rows; r++) {
            const float x = input[r / 3][(size_t)(r % 3) * input_stride + k];
            VIT__UNROLL
            for (int v = 0; v < vectors; v++) sum[r][v] = VIT__FMA_SCALAR(x, w[v], sum[r][v]);
        }
    }
    VIT__NAME(finish)(t, rows, vectors, first, sum);
}

#endif

VIT__INLINE void VIT__NAME(multiply_of)(const vit__tile *t, const int rows, const int panels) {
    for (size_t first = 0; first < VIT__PANEL; first += VIT__TILE_VECTORS * VIT__LANES)
        VIT__NAME(multiply_from)(t, rows, panels, first);
}

static void VIT__NAME(multiply)(const vit__tile *t) {
    if (VIT__F32_PANELS > 1 && t->panels > 1)
        VIT__BY_ROWS(t, VIT__F32_ROWS, VIT__NAME(multiply_of), VIT__F32_PANELS)
    else VIT__BY_ROWS(t, VIT__F32_ROWS, VIT__NAME(multiply_of), 1)
}

/* c[0] x^(count - 1) + ... + c[count - 1] */
VIT__INLINE VIT__FLOATS VIT__NAME(polynomial)(const float *c, const int count, VIT__FLOATS x) {
    VIT__FLOATS y = VIT__SET(c[0]);
    VIT__UNROLL
    for (int i = 1; i < count; i++) y = VIT__FMA(y, x, VIT__SET(c[i]));
    return y;
}

/* 2^(n + f), within 2 ULP for -126 <= n <= 127 and |f| <= 1/2. The low bits of shifted, n + VIT__SHIFT,
   hold n. The polynomial is fitted to the relative error (3e-9). Of a NaN any number may come. */
VIT__INLINE VIT__FLOATS VIT__NAME(exp2_of_parts)(VIT__FLOATS shifted, VIT__FLOATS f) {
    static const float terms[] = {0.000153293105f, 0.00133909704f, 0.00961849932f,
                                  0.0555035956f,   0.240226477f,   0.693147182f};
    VIT__FLOATS p = VIT__FMA(VIT__NAME(polynomial)(terms, 6, f), f, VIT__SET(1.0f));
    return (VIT__FLOATS)((VIT__WORDS)p + ((VIT__WORDS)shifted << 23));
}

/* 2^(c * x), within 2 ULP for -126 <= c * x <= 127; where VIT__FMA rounds twice, the rounding of c * x
   comes on top. */
VIT__INLINE VIT__FLOATS VIT__NAME(exp2)(VIT__FLOATS x, VIT__FLOATS c) {
    const VIT__FLOATS shift = VIT__SET(VIT__SHIFT);
    VIT__FLOATS shifted = VIT__FMA(c, x, shift);
    return VIT__NAME(exp2_of_parts)(shifted, VIT__FMA(c, x, shift - shifted));
}

/* x * Phi(x), within 8 ULP for x >= -12. With a = |x| and t = 1 / (1 + 0.343 * a),
   1 - Phi(a) = exp(-a * a / 2) * Q(t), where Q is a polynomial fitted to the relative error (2e-8),
   so that nothing cancels for negative x. exp is 2 to the power of -c * a * a; Q absorbs the rounding
   error of c, `low` holds that of a * a. */
VIT__INLINE VIT__FLOATS VIT__NAME(gelu_by_exp)(VIT__FLOATS x) {
    static const float terms[] = {-0.0281291958f, 0.146075681f,   -0.278160304f,
                                  0.19991836f,    -0.0448572934f, 0.115046605f,
                                  0.115968212f,   0.137322277f,   0.136815652f};
    const VIT__FLOATS one = VIT__SET(1.0f), c = VIT__SET(0.72134752f), shift = VIT__SET(VIT__SHIFT);
    VIT__FLOATS a = (VIT__FLOATS)((VIT__WORDS)x & 0x7FFFFFFFu);
    VIT__FLOATS t = one / VIT__FMA(a, VIT__SET(0.343f), one);
    VIT__FLOATS q = VIT__NAME(polynomial)(terms, 9, t);
    VIT__FLOATS b = VIT__MIN(VIT__SET(13.0f), a), square = b * b;
    VIT__FLOATS low = VIT__FNMA(b, b, square); /* square - b * b */
    VIT__FLOATS shifted = VIT__FNMA(square, c, shift);
    VIT__FLOATS f = VIT__FNMA(square, c, shift - shifted);
    VIT__FLOATS e = VIT__NAME(exp2_of_parts)(shifted, VIT__FMA(low, c, f));
    VIT__FLOATS tail = e * (q * t);
    return x * VIT__IF_NEGATIVE(x, tail, one - tail);
}

#ifdef VIT__LOOK_UP
/* The same for x >= -5.47, in half the time. In the k-th of 32 intervals, whose middles are
   k / 5.75, 1 - Phi(a) is a polynomial of 5.75 * a - k, fitted to the relative error (3e-7 in the last,
   1e-8 and less up to 3). vit__tail_terms is [6][k], the highest power first. */
#define VIT__TAIL_END 5.47f

static const float vit__tail_terms[6][32] = {
    {-1.57851434e-06f, -1.46555237e-06f, -1.13619797e-06f, -6.62303080e-07f, -1.35351428e-07f,
     3.50600658e-07f,  7.20099933e-07f,  9.30487033e-07f,  9.76140200e-07f,  8.83088489e-07f,
     6.97235748e-07f,  4.70350329e-07f,  2.48077839e-07f,  6.24133421e-08f,  -7.06626579e-08f,
     -1.49305620e-07f, -1.81461246e-07f, -1.79904234e-07f, -1.58052117e-07f, -1.27232369e-07f,
     -9.54695523e-08f, -6.74470826e-08f, -4.51540920e-08f, -2.87735116e-08f, -1.75081052e-08f,
     -1.01970903e-08f, -5.69519365e-09f, -3.05472558e-09f, -1.57536550e-09f, -7.81912646e-10f,
     -3.73815173e-10f, -1.72256029e-10f},
    {-6.24903151e-09f, -7.72148087e-06f, -1.43079060e-05f, -1.88555241e-05f, -2.08631427e-05f,
     -2.03022664e-05f, -1.75756541e-05f, -1.33856429e-05f, -8.55572489e-06f, -3.85555313e-06f,
     1.29859600e-07f,  3.06465927e-06f,  4.86055478e-06f,  5.62563082e-06f,  5.58840065e-06f,
     5.02109242e-06f,  4.17913907e-06f,  3.26453778e-06f,  2.41250223e-06f,  1.69556051e-06f,
     1.13752105e-06f,  7.30425484e-07f,  4.49828775e-07f,  2.66109936e-07f,  1.51413431e-07f,
     8.29469542e-08f,  4.37859136e-08f,  2.22880097e-08f,  1.09463381e-08f,  5.18976018e-09f,
     2.37627340e-09f,  1.05118969e-09f},
    {3.49749869e-04f,  3.34078388e-04f,  2.89387855e-04f,  2.22151270e-04f,  1.41701894e-04f,
     5.84374320e-05f,  -1.80286406e-05f, -8.03559888e-05f, -1.24327096e-04f, -1.48971536e-04f,
     -1.56066395e-04f, -1.49241823e-04f, -1.32964560e-04f, -1.11635549e-04f, -8.89517614e-05f,
     -6.75815609e-05f, -4.91191713e-05f, -3.42346611e-05f, -2.29224352e-05f, -1.47654200e-05f,
     -9.16020599e-06f, -5.47810123e-06f, -3.16039154e-06f, -1.75996695e-06f, -9.46553996e-07f,
     -4.91874573e-07f, -2.47055937e-07f, -1.19980285e-07f, -5.63536062e-08f, -2.56058481e-08f,
     -1.12579128e-08f, -4.79030193e-09f},
    {-2.35030662e-10f, 1.03349460e-03f, 1.97530817e-03f, 2.74718110e-03f, 3.29497131e-03f,
     3.59460944e-03f,  3.65247694e-03f, 3.50068673e-03f, 3.18880961e-03f, 2.77414382e-03f,
     2.31259037e-03f,  1.85168919e-03f, 1.42658537e-03f, 1.05892541e-03f, 7.58088601e-04f,
     5.23862662e-04f,  3.49659094e-04f, 2.25546843e-04f, 1.40665536e-04f, 8.48516793e-05f,
     4.95213899e-05f,  2.79706401e-05f, 1.52929169e-05f, 8.09551238e-06f, 4.14993019e-06f,
     2.06037771e-06f,  9.90881517e-07f, 4.61655304e-07f, 2.08392450e-07f, 9.11498503e-08f,
     3.86346848e-08f,  1.58701141e-08f},
    {-6.93812668e-02f, -6.83399141e-02f, -6.53087124e-02f, -6.05525151e-02f, -5.44700436e-02f,
     -4.75387461e-02f, -4.02533598e-02f, -3.30689922e-02f, -2.63575036e-02f, -2.03822441e-02f,
     -1.52919963e-02f, -1.11311693e-02f, -7.86107313e-03f, -5.38626034e-03f, -3.58061190e-03f,
     -2.30935984e-03f, -1.44507515e-03f, -8.77311220e-04f, -5.16751024e-04f, -2.95306818e-04f,
     -1.63730670e-04f, -8.80746666e-05f, -4.59659714e-05f, -2.32748189e-05f, -1.14340628e-05f,
     -5.44978411e-06f, -2.52012728e-06f, -1.13065482e-06f, -4.92155152e-07f, -2.07844479e-07f,
     -8.51607211e-08f, -3.38535813e-08f},
    {5.00000000e-01f, 4.30966914e-01f, 3.63985389e-01f, 3.00926000e-01f, 2.43323341e-01f,
     1.92269027e-01f, 1.48363426e-01f, 1.11727685e-01f, 8.20665807e-02f, 5.87659739e-02f,
     4.10059094e-02f, 2.78712437e-02f, 1.84460320e-02f, 1.18836677e-02f, 7.45036965e-03f,
     4.54440201e-03f, 2.69619003e-03f, 1.55565154e-03f, 8.72738776e-04f, 4.75988199e-04f,
     2.52339261e-04f, 1.30014843e-04f, 6.50981601e-05f, 3.16712431e-05f, 1.49706048e-05f,
     6.87467855e-06f, 3.06668130e-06f, 1.32878733e-06f, 5.59220439e-07f, 2.28572404e-07f,
     9.07303459e-08f, 3.49740539e-08f}};

VIT__INLINE VIT__FLOATS VIT__NAME(gelu_by_table)(VIT__FLOATS x) {
    const VIT__FLOATS shift = VIT__SET(VIT__SHIFT), places = VIT__SET(5.75f), zero = {0};
    VIT__FLOATS a = (VIT__FLOATS)((VIT__WORDS)x & 0x7FFFFFFFu);
    a = VIT__MIN(VIT__SET(VIT__TAIL_END), a);
    VIT__FLOATS shifted = VIT__FMA(a, places, shift);
    VIT__FLOATS f = VIT__FMA(a, places, shift - shifted);
    VIT__WORDS k = (VIT__WORDS)shifted; /* in the low bits */
    VIT__FLOATS tail = VIT__LOOK_UP(vit__tail_terms[0], k);
    VIT__UNROLL
    for (int i = 1; i < 6; i++) tail = VIT__FMA(tail, f, VIT__LOOK_UP(vit__tail_terms[i], k));
    return VIT__FNMA(a, tail, VIT__MAX(zero, x));
}
#endif

VIT__INLINE VIT__FLOATS VIT__NAME(gelu)(VIT__FLOATS x) {
#ifdef VIT__LOOK_UP
    VIT__FLOATS y = VIT__NAME(gelu_by_table)(x);
    if (!VIT__ANY_BELOW(x, -VIT__TAIL_END)) return y;
    return VIT__IF_NEGATIVE(x + VIT__TAIL_END, VIT__NAME(gelu_by_exp)(x), y);
#else
    return VIT__NAME(gelu_by_exp)(x);
#endif
}

/* As vit__gelu8. */
VIT__INLINE VIT__FLOATS VIT__NAME(gelu8)(VIT__FLOATS x) {
    VIT__FLOATS a = VIT__MAX(VIT__SET(-4.4f), VIT__MIN(VIT__SET(4.4f), x));
    VIT__FLOATS p = VIT__NAME(polynomial)(vit__gelu8_terms, 9, a * a);
    return x * VIT__FMA(p, a, VIT__SET(0.5f));
}

/* The tanh form is x / (1 + exp(-2 * u)), u = sqrt(2 / pi) * (x + 0.044715 * x^3). */
VIT__INLINE VIT__FLOATS VIT__NAME(gelu_tanh)(VIT__FLOATS x) {
    VIT__FLOATS cubic = x * x * 0.044715f;
    VIT__FLOATS u = VIT__FMA(cubic, x, x);
    u = VIT__MAX(VIT__SET(-54.0f), VIT__MIN(VIT__SET(54.0f), u));
    VIT__FLOATS e = VIT__NAME(exp2)(u, VIT__SET(-2.30220819f)); /* -2 * sqrt(2 / pi) / ln(2) */
    return x / (1.0f + e);
}

#ifndef VIT_ONLY_PLAIN
/* x * sigmoid(c * x); u is limited so that e is finite, and most means c * u <= 87. */
VIT__INLINE VIT__FLOATS VIT__NAME(times_sigmoid)(VIT__FLOATS x, float c, float most) {
    VIT__FLOATS u = VIT__MAX(VIT__SET(-most), VIT__MIN(VIT__SET(most), x));
    VIT__FLOATS e = VIT__NAME(exp2)(u, VIT__SET(c * -1.44269504f)); /* exp(-c * u) */
    return x / (1.0f + e);
}

VIT__INLINE VIT__FLOATS VIT__NAME(quick_gelu)(VIT__FLOATS x) {
    return VIT__NAME(times_sigmoid)(x, 1.702f, 51.0f);
}

VIT__INLINE VIT__FLOATS VIT__NAME(silu)(VIT__FLOATS x) {
    return VIT__NAME(times_sigmoid)(x, 1.0f, 87.0f);
}

VIT__INLINE VIT__FLOATS VIT__NAME(relu)(VIT__FLOATS x) {
    return VIT__IF_NEGATIVE(x, x * 0.0f, x);
}
#endif

/* The kernel of an activation: vit__gelu_rows and so on. */
#define VIT__ACT_ROWS(NAME, name, kept)                                     \
    static void VIT__NAME(name##_rows)(float *x, size_t stride, int rows) { \
        for (int r = 0; r < rows; r++, x += stride) {                       \
            for (int v = 0; v < VIT__PANEL; v += VIT__LANES)                \
                VIT__STORE(x + v, VIT__NAME(name)(VIT__LOAD(x + v)));       \
        }                                                                   \
    }
VIT__ACT_LIST(VIT__ACT_ROWS)

#ifndef VIT__FOLD
#define VIT__FOLD(a, op)                                         \
    const VIT__FLOATS halves_swapped = {a[2], a[3], a[0], a[1]}; \
    a = op(a, halves_swapped);                                   \
    const VIT__FLOATS pairs_swapped = {a[1], a[0], a[3], a[2]};  \
    a = op(a, pairs_swapped)
#endif
#ifndef VIT__SUM_LANES
#define VIT__SUM_LANES(a) VIT__NAME(sum_lanes)(a)
#define VIT__LARGEST_LANE(a) VIT__NAME(largest_lane)(a)
#define VIT__LARGEST_WORD(w) VIT__NAME(largest_word)((VIT__FLOATS)(w))
#define VIT__SUM(a, b) ((a) + (b))
#define VIT__MAX_BITS(a, b) ((VIT__FLOATS)VIT__MAX_WORDS(a, b))
#define VIT__FOLD_TO(name, op)                         \
    VIT__INLINE float VIT__NAME(name)(VIT__FLOATS a) { \
        VIT__FOLD(a, op);                              \
        return a[0];                                   \
    }
VIT__FOLD_TO(sum_lanes, VIT__SUM)
VIT__FOLD_TO(largest_lane, VIT__MAX)
VIT__FOLD_TO(largest_word, VIT__MAX_BITS)
#endif

/* As vit__sum; four sums at a time, so that none waits for the one before. */
VIT__INLINE float VIT__NAME(sum)(const float *x, int count, float mean, const int squares) {
    const int whole = count / VIT__LANES * VIT__LANES;
    VIT__FLOATS sums[4] = {{0}, {0}, {0}, {0}};
    float rest = 0;
    for (int i = 0; i < whole; i += 4 * VIT__LANES) {
        VIT__UNROLL
        for (int j = 0; j < 4; j++) {
            if (i + j * VIT__LANES >= whole) break;
            VIT__FLOATS d = VIT__LOAD(x + i + j * VIT__LANES) - mean;
            if (squares) sums[j] = VIT__FMA(d, d, sums[j]);
            else sums[j] += d;
        }
    }
    for (int i = whole; i < count; i++) {
        float d = x[i] - mean;
        rest += squares ? d * d : d;
    }
    return rest + VIT__SUM_LANES((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

static void VIT__NAME(norm_row)(const float *x, const float *norm, int dim, size_t stride,
                                float eps, float *out) {
    const float *weight = norm, *bias = norm + stride;
    float mean = VIT__NAME(sum)(x, dim, 0, 0) / (float)dim;
    float variance = VIT__NAME(sum)(x, dim, mean, 1) / (float)dim;
    float scale = 1.0f / VIT_SQRTF(variance + eps);
    for (size_t i = 0; i < stride; i += VIT__LANES) {
        VIT__FLOATS d = (VIT__LOAD(x + i) - mean) * scale;
        VIT__STORE(out + i, VIT__FMA(d, VIT__LOAD(weight + i), VIT__LOAD(bias + i)));
    }
}

/* The largest of each row, which is padded with numbers whose exp is next to nothing. The padding is
   stored by vectors: a vector that is loaded after parts of it were stored waits for them. */
VIT__INLINE void VIT__NAME(largest_of_rows)(float *x, size_t stride, int rows, int count,
                                            float largest[VIT__TILE_ROWS]) {
    static const float lanes[VIT__PANEL] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const int padded = (int)vit__round16(count);
    for (int r = 0; r < rows; r++, x += stride) {
        for (int i = count / VIT__LANES * VIT__LANES; i < padded; i += VIT__LANES) {
            const VIT__FLOATS past = VIT__LOAD(lanes) - (float)(count - i);
            VIT__STORE(x + i, VIT__IF_NEGATIVE(past, VIT__LOAD(x + i), VIT__SET(-3.4e38f)));
        }
        VIT__FLOATS most = VIT__LOAD(x);
        for (int i = VIT__LANES; i < padded; i += VIT__LANES)
            most = VIT__MAX(most, VIT__LOAD(x + i));
        largest[r] = VIT__LARGEST_LANE(most);
    }
}

/* e^-70 is still a normal number when the sum of any row has divided it. Smaller numbers, denormal ones,
   cost some 200 cycles a vector on Intel's processors. */
#define VIT__LEAST_EXPONENT -70.0f

/* A row becomes 2^(c * (x - largest)), where x - largest is `least` or more. The lanes of what is returned
   add up to the row's sum, or to NaN where a number of the row is NaN or infinite: exp2 does not keep it. */
VIT__INLINE VIT__FLOATS VIT__NAME(exp_row)(float *x, int padded, VIT__FLOATS largest,
                                           VIT__FLOATS least, VIT__FLOATS c) {
    const VIT__FLOATS zero = {0};
    VIT__FLOATS sum = {0}, probe = {0};
    for (int i = 0; i < padded; i += VIT__LANES) {
        const VIT__FLOATS score = VIT__LOAD(x + i);
        VIT__FLOATS e = VIT__NAME(exp2)(VIT__MAX(least, score - largest), c);
        probe = VIT__FMA(score, zero, probe);
        sum += e;
        VIT__STORE(x + i, e);
    }
    return sum + probe;
}

VIT__INLINE void VIT__NAME(divide_row)(float *x, int padded, VIT__FLOATS sum) {
    const float factor = 1.0f / VIT__SUM_LANES(sum);
    for (int i = 0; i < padded; i += VIT__LANES) VIT__STORE(x + i, VIT__LOAD(x + i) * factor);
}

/* The largest of each row come first, and a row is divided after the exp of the next, so that none waits
   for its own largest or its own sum. */
static void VIT__NAME(softmax_rows)(float *x, size_t stride, int rows, int count, float scale) {
    const VIT__FLOATS c = VIT__SET(scale * 1.44269504f); /* exp(x) is 2^(x / ln(2)) */
    const VIT__FLOATS least = VIT__SET(VIT__LEAST_EXPONENT / scale);
    const int padded = (int)vit__round16(count);
    float largests[VIT__TILE_ROWS];
    VIT__FLOATS sum = {0};
    VIT__NAME(largest_of_rows)(x, stride, rows, count, largests);
    for (size_t r = 0; r <= (size_t)rows; r++) {
        const VIT__FLOATS last = sum;
        if (r < (size_t)rows)
            sum = VIT__NAME(exp_row)(x + r * stride, padded, VIT__SET(largests[r]), least, c);
        if (r > 0) VIT__NAME(divide_row)(x + (r - 1) * stride, padded, last);
    }
}

static void VIT__NAME(softmax_rows8)(float *x, size_t stride, int rows, int count, float scale,
                                     uint8_t *high, uint8_t *low, float *units) {
    const VIT__FLOATS shift = VIT__SET(VIT__SHIFT), c = VIT__SET(scale * 1.44269504f);
    const VIT__FLOATS least = VIT__SET(VIT__LEAST_EXPONENT / scale), zero = {0};
    float largests[VIT__TILE_ROWS];
    VIT__NAME(largest_of_rows)(x, stride, rows, count, largests);
    for (int r = 0; r < rows; r++, x += stride) {
        const VIT__FLOATS largest = VIT__SET(largests[r]);
        VIT__FLOATS sums = {0}, probe = {0};
        for (int i = 0; i < count; i += VIT__PANEL, high += VIT__PANEL, low += VIT__PANEL) {
            VIT__WORDS highs[VIT__VECTORS], lows[VIT__VECTORS];
            VIT__UNROLL
            for (int v = 0; v < VIT__VECTORS; v++) {
                const VIT__FLOATS score = VIT__LOAD(x + i + v * VIT__LANES);
                VIT__FLOATS e = VIT__NAME(exp2)(VIT__MAX(least, score - largest), c);
                VIT__FLOATS shifted = VIT__FMA(e, VIT__SET(4095.0f), shift);
                probe = VIT__FMA(score, zero, probe);
                sums += shifted - shift;
                highs[v] = (VIT__WORDS)shifted >> 6 & 63u;
                lows[v] = (VIT__WORDS)shifted & 63u;
            }
            VIT__STORE8(high, highs);
            VIT__STORE8(low, lows);
        }
        units[r] = 1.0f / VIT__SUM_LANES(sums + probe);
    }
}

#ifndef VIT__LOAD_F16
#define VIT__LOAD_F16(p) VIT__NAME(load_f16)(p)

/* As vit__from_f16. */
VIT__INLINE VIT__FLOATS VIT__NAME(load_f16)(const uint16_t *p) {
    const VIT__WORDS half = VIT__LOAD_HALVES(p), size = (half & 0x7FFFu) << 13;
    const VIT__WORDS not_finite = (VIT__WORDS)(size > 0x0F7FFFFFu) & 0x7F800000u;
    VIT__FLOATS x = (VIT__FLOATS)(size | not_finite) * 5.192296858534828e33f;
    return (VIT__FLOATS)((VIT__WORDS)x | (half & 0x8000u) << 16);
}
#endif

VIT__INLINE void VIT__NAME(unpack_halves)(const uint16_t *p, size_t count, int bf16, float *out) {
    for (size_t i = 0; i < count; i += VIT__LANES)
        VIT__STORE(out + i,
                   bf16 ? (VIT__FLOATS)(VIT__LOAD_HALVES(p + i) << 16) : VIT__LOAD_F16(p + i));
}

/* Integers of 8 bits in words [inputs / 4][16], or of 4 bits and 8 too large in words [inputs / 8][16],
   where input j shares a byte with j + 4. */
VIT__INLINE void VIT__NAME(unpack_integers)(const vit__matrix *m, size_t panel, size_t k,
                                            size_t count, const int bits, float *out) {
    const int fields = 32 / bits; /* of a word */
    const size_t groups = vit__groups(m->inputs);
    const float *scales = bits == 8 ? m->scales + panel * VIT__PANEL : NULL;
    const uint16_t *group_scales = bits == 8 ? NULL : m->group_scales + panel * groups * VIT__PANEL;
    const unsigned char *p = m->weights + panel * m->panel_size + k * VIT__PANEL * (size_t)bits / 8;
    for (const float *end = out + count * VIT__PANEL; out < end; k += 32 / (size_t)bits) {
        for (size_t n = 0; n < VIT__PANEL; n += VIT__LANES, p += 4 * VIT__LANES) {
            const VIT__FLOATS scale =
                bits == 8 ? VIT__LOAD(scales + n)
                          : VIT__LOAD_F16(group_scales + k / VIT__GROUP * VIT__PANEL + n);
            const VIT__WORDS w = VIT__LOAD_WORDS(p) ^ (bits == 8 ? 0 : 0x88888888u);
            VIT__UNROLL
            for (int j = 0; j < fields; j++) { /* the bits on either side are shifted out */
                VIT__WORDS high = w << (32 - bits - j % 4 * 8 - j / 4 * 4);
                VIT__STORE(out + j * VIT__PANEL + n,
                           VIT__TO_FLOAT(VIT__SIGNED(high) >> (32 - bits)) * scale);
            }
        }
        out += 32 / bits * VIT__PANEL;
    }
}

static void VIT__NAME(unpack)(const vit__matrix *m, int panel, int panels, size_t k, size_t count,
                              float *out) {
    const size_t floats = count * VIT__PANEL;
    for (size_t i = (size_t)panel; i < (size_t)(panel + panels); i++, out += floats) {
        const unsigned char *bytes = m->weights + i * m->panel_size;
        const uint16_t *halves = (const uint16_t *)(const void *)bytes + k * VIT__PANEL;
        if (m->dtype == VIT__F32)
            memcpy(out, bytes + k * VIT__PANEL * sizeof(float), floats * sizeof(float));
        else if (m->dtype == VIT__F16) VIT__NAME(unpack_halves)(halves, floats, 0, out);
        else if (m->dtype == VIT__BF16) VIT__NAME(unpack_halves)(halves, floats, 1, out);
        else if (m->dtype == VIT__INT8) VIT__NAME(unpack_integers)(m, i, k, count, 8, out);
        else VIT__NAME(unpack_integers)(m, i, k, count, 4, out);
    }
}

/* As vit__transpose, blocks of 4 x 4 floats at a time. */
static void VIT__NAME(transpose)(const float *rows, size_t stride, int count, size_t width,
                                 float *out) {
#ifdef VIT__TRANSPOSE4
    for (size_t x = 0; x < width; x += 4, rows += 4, out += 4 * VIT__PANEL) {
        if (count < VIT__PANEL) {
            float padded[VIT__PANEL][4] = {{0}};
            for (size_t y = 0; y < (size_t)count; y++)
                memcpy(padded[y], rows + y * stride, sizeof(padded[y]));
            for (size_t y = 0; y < VIT__PANEL; y += 4) VIT__TRANSPOSE4(padded[y], 4, out + y);
            continue;
        }
        for (size_t y = 0; y < VIT__PANEL; y += 4)
            VIT__TRANSPOSE4(rows + y * stride, stride, out + y);
    }
#else
    vit__transpose(rows, stride, count, width, out);
#endif
}

VIT__INLINE vit__quantizer VIT__NAME(quantizer_of_row)(const float *x, size_t count,
                                                       const int range) {
    VIT__WORDS lows = {0}, highs = {0};
    for (size_t i = 0; i < count; i += VIT__LANES) {
        const VIT__WORDS bits = VIT__LOAD_WORDS(x + i);
        lows = VIT__MAX_WORDS(lows, bits ^ 0x80000000u);
        highs = VIT__MAX_WORDS(highs, bits);
    }
    return vit__quantizer_of(-VIT__LARGEST_WORD(lows), VIT__LARGEST_WORD(highs), range);
}

#ifndef VIT__STORE_BYTES
#define VIT__STORE_BYTES(p, w) VIT__NAME(store_bytes)(p, w)

VIT__INLINE void VIT__NAME(store_bytes)(uint8_t *p, const VIT__WORDS *w) {
    typedef uint8_t bytes __attribute__((vector_size(VIT__LANES)));
    for (int v = 0; v < VIT__VECTORS; v++, p += VIT__LANES) {
        const bytes some = __builtin_convertvector(w[v] & 255u, bytes);
        memcpy(p, &some, sizeof(some));
    }
}
#endif

/* Stores 16 words limited to 0..VIT__ROW_RANGE_X, less `moved`, as bytes. */
VIT__INLINE void VIT__NAME(store_row_x)(uint8_t *p, VIT__WORDS *u, const int moved) {
    const VIT__WORDS zero = {0}, range = zero + (uint32_t)VIT__ROW_RANGE_X;
    VIT__UNROLL
    for (int v = 0; v < VIT__VECTORS; v++) {
        const VIT__WORDS below = range - VIT__MAX_WORDS(u[v], zero); /* the range */
        u[v] = range - VIT__MAX_WORDS(below, zero) - (uint32_t)moved;
    }
    VIT__STORE_BYTES(p, u);
}

/* As vit__quantize_rows_to. The quantizers come first, so that no row waits for its own. */
VIT__INLINE void VIT__NAME(quantize_rows_to)(const float *x, size_t stride, int rows, size_t count,
                                             void *bytes, size_t out_stride, float *scales,
                                             int32_t *zeros, const int range, const int moved) {
    uint8_t *out = (uint8_t *)bytes;
    vit__quantizer quantizers[VIT__TILE_ROWS];
    for (int r = 0; r < rows; r++)
        quantizers[r] = VIT__NAME(quantizer_of_row)(x + (size_t)r * stride, count, range);
    for (int r = 0; r < rows; r++, x += stride, out += out_stride) {
        const vit__quantizer q = quantizers[r];
        for (size_t i = 0; i < count; i += VIT__PANEL) {
            VIT__WORDS u[VIT__VECTORS];
            VIT__UNROLL
            for (int v = 0; v < VIT__VECTORS; v++) {
                VIT__FLOATS scaled = VIT__LOAD(x + i + v * VIT__LANES) * q.inverse;
                u[v] = VIT__NEAREST(scaled) + (uint32_t)q.zero;
            }
            if (range == VIT__ROW_RANGE) VIT__STORE8(out + i, u);
            else VIT__NAME(store_row_x)(out + i, u, moved);
        }
        scales[r] = q.scale, zeros[r] = q.zero - moved;
    }
}

/* Rows of int8, and of int8x for targets that take them from 0 on and for those that do not. */
#define VIT__QUANTIZE_ROWS(name, range, moved)                                                \
    static inline void VIT__NAME(name)(const float *x, size_t stride, int rows, size_t count, \
                                       void *bytes, size_t out_stride, float *scales,         \
                                       int32_t *zeros) {                                      \
        VIT__NAME(quantize_rows_to)                                                           \
        (x, stride, rows, count, bytes, out_stride, scales, zeros, range, moved);             \
    }
VIT__QUANTIZE_ROWS(quantize_rows, VIT__ROW_RANGE, 0)
#ifndef VIT_ONLY_INT8
VIT__QUANTIZE_ROWS(quantize_rows_x, VIT__ROW_RANGE_X, 0)
VIT__QUANTIZE_ROWS(quantize_signed_rows_x, VIT__ROW_RANGE_X, 127)
#endif

static void VIT__NAME(quantize_panel)(const float *x, size_t stride, int rows, int range,
                                      void *panel, float *scales, int32_t *sums) {
    const int padded = (int)vit__round16(rows);
    const VIT__FLOATS shift = VIT__SET(VIT__SHIFT), ranges = VIT__SET((float)range);
    for (size_t n = 0; n < VIT__PANEL; n += VIT__LANES, x += VIT__LANES) {
        VIT__WORDS sizes = (VIT__WORDS)VIT__SET(1e-30f), sum = {0};
        for (int r = 0; r < rows; r++)
            sizes = VIT__MAX_WORDS(sizes, VIT__LOAD_WORDS(x + (size_t)r * stride) & 0x7FFFFFFFu);
        const VIT__FLOATS most = (VIT__FLOATS)sizes, inverse = ranges / most;
        int8_t *out = (int8_t *)panel + 4 * n;
        for (int r = 0; r < padded; r += 4, out += 4 * VIT__PANEL) {
            VIT__WORDS four = {0};
            VIT__UNROLL
            for (int j = 0; j < 4; j++) {
                if (r + j >= rows) break;
                VIT__FLOATS scaled = VIT__LOAD(x + (size_t)(r + j) * stride) * inverse;
                VIT__WORDS bits = (VIT__WORDS)(scaled + shift);
                sum += bits - (VIT__WORDS)shift;
                four |= (bits & 255u) << 8 * j;
            }
            VIT__STORE_WORDS(out, four);
        }
        VIT__STORE(scales + n, most / ranges + (most - most));
        VIT__STORE_WORDS(sums + n, sum);
    }
}

#ifdef VIT__PIXEL_ROWS

/* 4 rows of 4 pixels become 4 columns. */
VIT__INLINE void VIT__NAME(pack_four)(const unsigned char *const *rows, const ptrdiff_t offset,
                                      const int pixel_stride, uint32_t *out) {
    vit__four_words a[4];
    VIT__UNROLL
    for (int i = 0; i < 4; i++) {
        memcpy(&a[i], rows[i] + offset, sizeof(a[i]));
        if (pixel_stride == 3)
            a[i] = (vit__four_words)VIT__PICK((vit__16_bytes)a[i], (vit__16_bytes)a[i], 0, 1, 2, 3,
                                              3, 4, 5, 6, 6, 7, 8, 9, 9, 10, 11, 12);
    }
    const vit__four_words low01 = VIT__PICK(a[0], a[1], 0, 4, 1, 5);
    const vit__four_words high01 = VIT__PICK(a[0], a[1], 2, 6, 3, 7);
    const vit__four_words low23 = VIT__PICK(a[2], a[3], 0, 4, 1, 5);
    const vit__four_words high23 = VIT__PICK(a[2], a[3], 2, 6, 3, 7);
    a[0] = VIT__PICK(low01, low23, 0, 1, 4, 5), a[1] = VIT__PICK(low01, low23, 2, 3, 6, 7);
    a[2] = VIT__PICK(high01, high23, 0, 1, 4, 5), a[3] = VIT__PICK(high01, high23, 2, 3, 6, 7);
    VIT__UNROLL
    for (int i = 0; i < 4; i++) memcpy(out + i * VIT__LANES, &a[i], sizeof(a[i]));
}

static void VIT__NAME(pack_rows)(const unsigned char *const *rows, int pixel_stride, int count,
                                 uint32_t *out) {
    for (int x = 0; x < count; x += 4, out += 4 * VIT__LANES) {
        for (int i = 0; i < VIT__LANES; i += 4) {
            if (pixel_stride == 3) VIT__NAME(pack_four)(rows + i, x * 3, 3, out + i);
            else VIT__NAME(pack_four)(rows + i, x * 4, 4, out + i);
        }
    }
}

#ifndef VIT__BYTE
#define VIT__BYTE(w, c) ((w) >> 8 * (c)&255u)
#endif

/* Adds words of pixels, stride apart, times their weights to a sum for each channel. */
VIT__INLINE void VIT__NAME(add_pixels)(const uint32_t *p, size_t stride, const int32_t *weights,
                                       int count, const int channels, VIT__WORDS sum[3]) {
    for (; count > 0; count--, p += stride) {
        const VIT__WORDS pixels = VIT__LOAD_WORDS(p);
        const uint32_t weight = (uint32_t)*weights++;
        VIT__UNROLL
        for (int c = 0; c < channels; c++) sum[c] += VIT__BYTE(pixels, c) * weight;
    }
}

/* Sums as vit__from_fixed_point takes them, rounded and not below 0. */
VIT__INLINE VIT__WORDS VIT__NAME(round_sums)(VIT__WORDS sum) {
    const VIT__WORDS zero = {0}, shifted = (VIT__WORDS)(VIT__SIGNED(sum) >> VIT__WEIGHT_BITS);
    return VIT__MAX_WORDS(shifted, zero);
}

/* Such sums of the channels as words of pixels: above 255 all bits of 255 - value become ones. */
VIT__INLINE VIT__WORDS VIT__NAME(pixels_of)(const VIT__WORDS *sum, const int channels) {
#ifdef VIT__PIXELS
    (void)channels;
    return VIT__PIXELS(sum);
#else
    VIT__WORDS pixels = {0};
    VIT__UNROLL
    for (int c = 0; c < channels; c++) {
        const VIT__WORDS value = VIT__NAME(round_sums)(sum[c]);
        pixels |= ((value | (VIT__WORDS)(VIT__SIGNED(255u - value) >> 31)) & 255u) << 8 * c;
    }
    return pixels;
#endif
}

VIT__INLINE void VIT__NAME(resize_rows_of)(const vit__resizer *r, int y, const int channels) {
    const VIT__WORDS zero = {0}, half = zero + (1u << (VIT__WEIGHT_BITS - 1));
    const size_t width = (size_t)r->horizontal.size, taps = (size_t)r->horizontal.taps;
    const vit__span *columns = r->columns;
    const int32_t *weights = r->column_weights;
    const uint32_t *block = r->block;
    const int used = r->used.first;
    uint32_t *rows[VIT__LANES], words[VIT__LANES];
    VIT__UNROLL
    for (int i = 0; i < VIT__LANES; i++)
        rows[i] = r->ring + (size_t)((y + i) % r->ring_rows) * width;
    for (size_t x = 0; x < width; x++, weights += taps) {
        const int count = columns[x].count;
        const ptrdiff_t first = count > 0 ? columns[x].first - used : 0;
        VIT__WORDS sum[3] = {half, half, half};
        VIT__NAME(add_pixels)
        (block + first * VIT__LANES, VIT__LANES, weights, count, channels, sum);
        VIT__STORE_WORDS(words, VIT__NAME(pixels_of)(sum, channels));
        VIT__UNROLL
        for (int i = 0; i < VIT__LANES; i++) rows[i][x] = words[i];
    }
}

static void VIT__NAME(resize_rows)(const vit__resizer *r, int y) {
    if (r->channels == 1) VIT__NAME(resize_rows_of)(r, y, 1);
    else VIT__NAME(resize_rows_of)(r, y, 3);
}

/* Normalised pixels of a row of the resized picture, those from x on. */
VIT__INLINE void VIT__NAME(values_at)(const vit__ring_span *s, size_t x, const int channels,
                                      const float rescale, const float *mean, const float *std,
                                      VIT__FLOATS *value) {
    const VIT__WORDS zero = {0}, half = zero + (1u << (VIT__WEIGHT_BITS - 1));
    VIT__WORDS sum[3] = {half, half, half};
    VIT__NAME(add_pixels)(s->from + x, s->width, s->weights, s->count, channels, sum);
    VIT__NAME(add_pixels)
    (s->ring + x, s->width, s->weights + s->count, s->rest, channels, sum);
    VIT__UNROLL
    for (int c = 0; c < channels; c++) {
        value[c] = VIT__MIN(VIT__TO_FLOAT(VIT__NAME(round_sums)(sum[c])), VIT__SET(255.0f));
        value[c] = (value[c] / rescale - mean[c]) / std[c];
    }
}

VIT__INLINE void VIT__NAME(put_row_of)(const vit__resizer *r, vit__span span, float *out,
                                       size_t plane, const int channels) {
    const size_t width = (size_t)r->horizontal.size;
    const int slot = span.first % r->ring_rows, count = vit__min(span.count, r->ring_rows - slot);
    const vit__ring_span from = {
        r->ring + (size_t)slot * width, r->ring, width, r->row_weights, count, span.count - count};
    const float rescale = r->recipe->rescale;
    float mean[3], std[3], *to[3];
    size_t x = 0;
    VIT__UNROLL
    for (int c = 0; c < channels; c++) {
        const int channel = r->reversed ? 2 - c : c;
        mean[c] = r->recipe->mean[channel], std[c] = r->recipe->std[channel];
        to[c] = out + (size_t)channel * plane;
    }
    for (; width - x >= VIT__LANES; x += VIT__LANES) {
        VIT__FLOATS value[3];
        VIT__NAME(values_at)(&from, x, channels, rescale, mean, std, value);
        VIT__UNROLL
        for (int c = 0; c < channels; c++) VIT__STORE(to[c] + x, value[c]);
    }
    if (x == width) return;
    VIT__FLOATS rest[3]; /* another, or the compiler keeps both in memory */
    VIT__NAME(values_at)(&from, x, channels, rescale, mean, std, rest);
    for (int c = 0; c < channels; c++) memcpy(to[c] + x, &rest[c], (width - x) * sizeof(float));
}

static void VIT__NAME(put_row)(const vit__resizer *r, vit__span span, float *out, size_t plane) {
    if (r->channels == 1) VIT__NAME(put_row_of)(r, span, out, plane, 1);
    else VIT__NAME(put_row_of)(r, span, out, plane, 3);
}

#endif

#endif /* VIT__FLOAT_KERNEL */

#if defined(VIT__DOT8) || defined(VIT__DOT16)
/* Four bytes, in every word. */
VIT__INLINE VIT__WORDS VIT__NAME(repeat4)(const uint8_t *p) {
    const VIT__WORDS zeros = {0};
    uint32_t bytes;
    VIT__COPY(&bytes, p);
    return zeros | bytes;
}
#endif

#ifndef VIT__INT8_KERNEL /* the products of integers are this target's */
#define VIT__INT8_KERNEL(name) VIT__NAME(name)

#ifdef VIT__DOT8_TWICE
#define VIT__IS_NARROW(tile) (tile)->narrow
#else
#define VIT__DOT8_TWICE(sum, x0, w0, x1, w1) (void)(x1)
#define VIT__IS_NARROW(tile) 0
#endif
#ifndef VIT__DOT8_X /* 0..254 is the sum of two halves */
#define VIT__DOT8_X(sum, x, w)                                      \
    do {                                                            \
        const VIT__WORDS half = (VIT__WORDS)(x) >> 1 & 0x7F7F7F7Fu; \
        VIT__DOT8(sum, half, w);                                    \
        VIT__DOT8(sum, (VIT__WORDS)(x)-half, w);                    \
    } while (0)
#endif

#ifndef VIT__UNROLL_ROWS
#define VIT__UNROLL_ROWS VIT__UNROLL
#endif

/* As vit__finish8. The numbers of the tile are read before anything is stored, or compilers would read
   them again for each row. */
VIT__INLINE void VIT__NAME(finish8)(const vit__tile *t, const int rows, const int vectors,
                                    VIT__WORDS sum[][VIT__INT8_PANELS * VIT__VECTORS]) {
    const float *row_scales = t->row_scales;
    const int32_t *row_zeros = t->row_zeros;
    const size_t row_stride = t->row_stride, panel_stride = t->panel_stride;
    const int add = t->add;
    float *out = t->output;
    VIT__FLOATS scales[VIT__INT8_PANELS * VIT__VECTORS], bias[VIT__INT8_PANELS * VIT__VECTORS];
    VIT__WORDS weight_sums[VIT__INT8_PANELS * VIT__VECTORS];
    VIT__UNROLL
    for (int v = 0; v < vectors; v++) {
        scales[v] = VIT__LOAD(t->scales + v * VIT__LANES);
        bias[v] = VIT__LOAD(t->bias + v * VIT__LANES);
        weight_sums[v] = VIT__LOAD_WORDS(t->weight_sums + v * VIT__LANES);
    }
    VIT__UNROLL_ROWS
    for (int r = 0; r < rows; r++, out += row_stride) {
        const float row_scale = row_scales[r];
        const uint32_t row_zero = (uint32_t)row_zeros[r];
        VIT__UNROLL
        for (int v = 0; v < vectors; v++) {
            float *to =
                out + (size_t)(v / VIT__VECTORS) * panel_stride + v % VIT__VECTORS * VIT__LANES;
            VIT__FLOATS exact = VIT__TO_FLOAT(sum[r][v] - weight_sums[v] * row_zero);
            VIT__FLOATS y = VIT__FMA(scales[v] * row_scale, exact, bias[v]);
            VIT__STORE(to, add ? VIT__LOAD(to) + y : y);
        }
    }
}

#if VIT__TARGET == VIT__TARGET_MVE

/* sums[r][n] of three rows, of which absent ones repeat the first; two outputs at a time, in steps of 16 k.
   A register holds 16 k of an output or of a row; the addresses of the weights, those of 4 k each, are a
   vector too. Compilers, given the instructions, take more of them. */
static void VIT__NAME(dot8)(const vit__tile *t, int32_t sums[VIT__INT8_ROWS][VIT__PANEL]) {
    const size_t steps = t->steps / 4;
    const int8_t *x0 = (const int8_t *)t->input;
    const int8_t *x1 = t->rows > 1 ? x0 + t->input_stride : x0;
    const int8_t *x2 = t->rows > 2 ? x0 + 2 * t->input_stride : x0;
    const uint32_t before = (uint32_t)(uintptr_t)t->weights - 16 * VIT__PANEL;
    const uint32x4_t weights = vaddq_n_u32(vshlq_n_u32(vidupq_n_u32(0, 1), 6), before);
    for (uint32_t n = 0; n < VIT__PANEL; n += 2) {
        int32_t a0 = 0, a1 = 0, b0 = 0, b1 = 0, c0 = 0, c1 = 0;
        uint32x4_t at = vaddq_n_u32(weights, 4 * n);
        const int8_t *a = x0, *b = x1, *c = x2;
        __asm__ volatile(
            "wls lr, %10, 2f\n"
            "1:\n\tvldrw.u32 q4, [%q9, #256]!\n\tvldrb.u8 q6, [%6], #16\n\t"
            "vldrw.u32 q5, [%q9, #4]\n\tvmlava.s8 %0, q6, q4\n\tvldrb.u8 q7, [%7], #16\n\t"
            "vmlava.s8 %1, q6, q5\n\tvldrb.u8 q6, [%8], #16\n\tvmlava.s8 %2, q7, q4\n\t"
            "vmlava.s8 %3, q7, q5\n\tvmlava.s8 %4, q6, q4\n\tvmlava.s8 %5, q6, q5\n\t"
            "le lr, 1b\n2:"
            : "+Te"(a0), "+Te"(a1), "+Te"(b0), "+Te"(b1), "+Te"(c0), "+Te"(c1), "+r"(a), "+r"(b),
              "+r"(c), "+w"(at)
            : "r"(steps)
            : "q4", "q5", "q6", "q7", "lr", "cc", "memory");
        sums[0][n] = a0, sums[0][n + 1] = a1;
        sums[1][n] = b0, sums[1][n + 1] = b1;
        sums[2][n] = c0, sums[2][n + 1] = c1;
    }
    __asm__("" ::: "memory"); /* gcc 12 -Os loads vectors of the sums before they are stored */
}

static void VIT__NAME(multiply8)(const vit__tile *t) {
    int32_t sums[VIT__INT8_ROWS][VIT__PANEL];
    const int rows = t->rows, add = t->add;
    const size_t row_stride = t->row_stride;
    VIT__NAME(dot8)(t, sums);
    for (int v = 0; v < VIT__PANEL; v += VIT__LANES) {
        const VIT__FLOATS scales = VIT__LOAD(t->scales + v), bias = VIT__LOAD(t->bias + v);
        const int32x4_t weight_sums = (int32x4_t)VIT__LOAD_WORDS(t->weight_sums + v);
        const float *row_scale = t->row_scales;
        const int32_t *row_zero = t->row_zeros, *row_sums = sums[0] + v;
        float *out = t->output + v;
        for (int r = 0; r < rows; r++, out += row_stride, row_sums += VIT__PANEL) {
            int32x4_t zeros = vmulq_n_s32(weight_sums, *row_zero++);
            VIT__FLOATS exact = VIT__TO_FLOAT(VIT__LOAD_WORDS(row_sums) - (VIT__WORDS)zeros);
            VIT__FLOATS y = VIT__FMA(vmulq_n_f32(scales, *row_scale++), exact, bias);
            VIT__STORE(out, add ? VIT__LOAD(out) + y : y);
        }
    }
}

#elif VIT__TARGET == VIT__TARGET_SIMD128 && defined(__wasm_relaxed_simd__)

/* Adds four k of some rows and 8 outputs, or with `depth` 2 eight k. */
VIT__INLINE void VIT__NAME(step8)(const uint8_t *const *input, const VIT__NAME(any_words) * weights,
                                  const int rows, const int depth, const int is_x,
                                  VIT__WORDS sum[][2]) {
    const VIT__WORDS w[2] = {weights[0], weights[1]};
    const VIT__WORDS deep[2] = {weights[depth > 1 ? VIT__VECTORS : 0],
                                weights[depth > 1 ? VIT__VECTORS + 1 : 1]};
    VIT__UNROLL
    for (int r = 0; r < rows; r++) {
        const v128_t x = wasm_v128_load32_splat(input[r]);
        const v128_t deep_x = wasm_v128_load32_splat(input[r] + (depth > 1 ? 4 : 0));
        VIT__UNROLL
        for (int v = 0; v < 2; v++) {
            if (depth > 1) VIT__DOT8_TWICE(sum[r][v], x, w[v], deep_x, deep[v]);
            else if (is_x) VIT__DOT8_X(sum[r][v], x, w[v]);
            else VIT__DOT8(sum[r][v], x, w[v]);
        }
    }
}

/* vit__multiply8 where the compiler knows rows and depth, as above, and whether it is int8x. */
VIT__INLINE void VIT__NAME(multiply8_of)(const vit__tile *t, const int rows, const int depth,
                                         const int is_x) {
    VIT__WORDS sums[VIT__INT8_ROWS][VIT__VECTORS];
    VIT__UNROLL
    for (int first = 0; first < VIT__VECTORS; first += 2) {
        const VIT__NAME(any_words) *weights = (const VIT__NAME(any_words) *)t->weights + first;
        const uint8_t *input[VIT__INT8_ROWS];
        VIT__WORDS sum[VIT__INT8_ROWS][2];
        const VIT__WORDS zeros = {0};
        VIT__UNROLL
        for (int r = 0; r < rows; r++) {
            input[r] = (const uint8_t *)vit__tile_row(t, r);
            sum[r][0] = sum[r][1] = zeros;
        }
        for (size_t k = t->steps; k > 0; k -= (size_t)depth, weights += depth * VIT__VECTORS) {
            VIT__NAME(step8)(input, weights, rows, depth, is_x, sum);
            VIT__UNROLL
            for (int r = 0; r < rows; r++) input[r] += 4 * depth;
        }
        VIT__UNROLL
        for (int r = 0; r < rows; r++) sums[r][first] = sum[r][0], sums[r][first + 1] = sum[r][1];
    }
    VIT__NAME(finish8)(t, rows, VIT__VECTORS, sums);
}

static void VIT__NAME(multiply8)(const vit__tile *t) {
    if (t->narrow) VIT__BY_ROWS(t, VIT__INT8_ROWS, VIT__NAME(multiply8_of), 2, 0)
    else VIT__BY_ROWS(t, VIT__INT8_ROWS, VIT__NAME(multiply8_of), 1, 0)
}

#ifndef VIT_ONLY_INT8
static void VIT__NAME(multiply8_x)(const vit__tile *t) {
    VIT__BY_ROWS(t, VIT__INT8_ROWS, VIT__NAME(multiply8_of), 1, 1)
}
#define VIT__INT8X_KERNEL(name) VIT__NAME(name)
#endif

#elif VIT__TARGET == VIT__TARGET_SIMD128

#define VIT__WIDE_STEPS 64 /* of rows that are widened at a time */

/* Steps of some rows, [steps][rows], four inputs of 16 bits; steps is even. */
VIT__INLINE void VIT__NAME(widen)(const vit__tile *t, size_t step, size_t steps, const int rows,
                                  uint64_t *wide) {
    const uint8_t *input[VIT__INT8_ROWS];
    VIT__UNROLL
    for (int r = 0; r < rows; r++) input[r] = (const uint8_t *)vit__tile_row(t, r) + 4 * step;
    for (; steps > 0; steps -= 2, wide += 2 * rows) {
        VIT__UNROLL
        for (int r = 0; r < rows; r++, input[r - 1] += 8) {
            const v128_t two = wasm_u16x8_load8x8(input[r]);
            wasm_v128_store64_lane(wide + r, two, 0);
            wasm_v128_store64_lane(wide + rows + r, two, 1);
        }
    }
}

/* Adds steps of these rows and four outputs to sums [rows][2], two for each output. */
VIT__INLINE void VIT__NAME(dot8)(const uint64_t *input, const int8_t *weights, size_t steps,
                                 const int rows, v128_t *sums) {
    v128_t sum[2 * VIT__INT8_ROWS];
    VIT__UNROLL
    for (int i = 0; i < 2 * rows; i++) sum[i] = sums[i];
    for (; steps > 0; steps--, input += rows, weights += 4 * VIT__PANEL) {
        const v128_t w0 = wasm_i16x8_load8x8(weights), w1 = wasm_i16x8_load8x8(weights + 8);
        VIT__UNROLL
        for (int r = 0; r < rows; r++) {
            const v128_t x = wasm_v128_load64_splat(input + r);
            sum[2 * r] = wasm_i32x4_add(sum[2 * r], wasm_i32x4_dot_i16x8(x, w0));
            sum[2 * r + 1] = wasm_i32x4_add(sum[2 * r + 1], wasm_i32x4_dot_i16x8(x, w1));
        }
    }
    VIT__UNROLL
    for (int i = 0; i < 2 * rows; i++) sums[i] = sum[i];
}

/* vit__multiply8 where the compiler knows rows. */
VIT__INLINE void VIT__NAME(multiply8_of)(const vit__tile *t, const int rows, const int panels) {
    uint64_t wide[VIT__WIDE_STEPS * VIT__INT8_ROWS];
    v128_t sums[VIT__INT8_PANELS * VIT__VECTORS][2 * VIT__INT8_ROWS];
    vit__tile tile = *t;
    memset(sums, 0, sizeof(sums));
    for (size_t step = 0, some; step < t->steps; step += some) {
        some = vit__smaller(VIT__WIDE_STEPS, t->steps - step);
        VIT__NAME(widen)(t, step, some, rows, wide);
        for (int v = 0; v < panels * VIT__VECTORS; v++) {
            size_t at = (size_t)(v / VIT__VECTORS) * t->steps + step;
            const int8_t *weights = (const int8_t *)t->weights + at * 4 * VIT__PANEL;
            VIT__NAME(dot8)(wide, weights + v % VIT__VECTORS * 16, some, rows, sums[v]);
        }
    }
    for (int p = 0; p < panels; p++, tile.output += tile.panel_stride) {
        VIT__WORDS sum[VIT__INT8_ROWS][VIT__INT8_PANELS * VIT__VECTORS];
        VIT__UNROLL
        for (int v = 0; v < VIT__VECTORS; v++) {
            VIT__UNROLL
            for (int r = 0; r < rows; r++) {
                const v128_t *pair = sums[p * VIT__VECTORS + v] + 2 * r;
                sum[r][v] = (VIT__WORDS)wasm_i32x4_shuffle(pair[0], pair[1], 0, 2, 4, 6) +
                            (VIT__WORDS)wasm_i32x4_shuffle(pair[0], pair[1], 1, 3, 5, 7);
            }
        }
        VIT__NAME(finish8)(&tile, rows, VIT__VECTORS, sum);
        tile.scales += VIT__PANEL, tile.bias += VIT__PANEL, tile.weight_sums += VIT__PANEL;
    }
}

static void VIT__NAME(multiply8)(const vit__tile *t) {
    VIT__BY_ROWS(t, VIT__INT8_ROWS, VIT__NAME(multiply8_of), t->panels)
}

#elif VIT__TARGET == VIT__TARGET_RVV || VIT__TARGET == VIT__TARGET_RVV256

/* vit__multiply8 where the compiler knows rows. */
VIT__INLINE void VIT__NAME(multiply8_of)(const vit__tile *t, const int rows, const int panels) {
    const int8_t *weights = (const int8_t *)t->weights;
    const uint8_t *input[(VIT__INT8_ROWS + 2) / 3]; /* three rows each */
    const size_t inputs = t->steps * 4, input_stride = t->input_stride;
    VIT__WORDS sum[VIT__INT8_ROWS][1];
    const VIT__WORDS zeros = {0};
    VIT__UNROLL
    for (int r = 0; r < rows; r += 3) {
        input[r / 3] = (const uint8_t *)t->input + (size_t)r * input_stride;
        VIT__OPAQUE(input[r / 3]);
    }
    VIT__UNROLL
    for (int r = 0; r < rows; r++) sum[r][0] = zeros;
    for (size_t k = 0; k < inputs; k += 4, weights += 4 * VIT__PANEL) {
        const VIT__WORDS four = VIT__LOAD_WORDS(weights);
        VIT__UNROLL
        for (int i = 0; i < 4; i++) {
            const VIT__WORDS w = (VIT__WORDS)(VIT__SIGNED(four << (24 - 8 * i)) >> 24);
            VIT__UNROLL
            for (int r = 0; r < rows; r++)
                sum[r][0] +=
                    w * (uint32_t)input[r / 3][(size_t)(r % 3) * input_stride + k + (size_t)i];
        }
    }
    VIT__NAME(finish8)(t, rows, panels, sum);
}

static void VIT__NAME(multiply8)(const vit__tile *t) {
    VIT__BY_ROWS(t, VIT__INT8_ROWS, VIT__NAME(multiply8_of), 1)
}

#elif VIT__TARGET == VIT__TARGET_DOTPROD

/* By asm, as arm_neon.h has these for some compilers only where all of the file is for them. */
#define VIT__SDOT(lane)                                                                            \
    VIT__UNROLL                                                                                    \
    for (int v = 0; v < 4; v++) {                                                                  \
        const int8x16_t w = vld1q_s8(weights + 64 * (lane) + 16 * v);                              \
        VIT__UNROLL                                                                                \
        for (int r = 0; r < rows; r++)                                                             \
            __asm__("sdot %0.4s, %1.16b, %2.4b[" #lane "]" : "+w"(sum[r][v]) : "w"(w), "w"(x[r])); \
    }

/* vit__multiply8 where the compiler knows rows. 16 k of each row are in a register. */
VIT__INLINE void VIT__NAME(multiply8_of)(const vit__tile *t, const int rows, const int panels) {
    const int8_t *weights = (const int8_t *)t->weights, *input = (const int8_t *)t->input;
    const size_t input_stride = t->input_stride, next_step = 4 * t->next_step;
    uintptr_t next = t->next;
    VIT__WORDS sum[VIT__INT8_ROWS][VIT__VECTORS];
    const VIT__WORDS zeros = {0};
    VIT__UNROLL
    for (int r = 0; r < rows; r++) {
        VIT__UNROLL
        for (int v = 0; v < 4; v++) sum[r][v] = zeros;
    }
    for (size_t steps = t->steps; steps > 0; steps -= 4, weights += 256, input += 16) {
        int8x16_t x[VIT__INT8_ROWS];
        __builtin_prefetch((const void *)next, 0, 3);
        next += next_step;
        VIT__UNROLL
        for (int r = 0; r < rows; r++) x[r] = vld1q_s8(input + (size_t)r * input_stride);
        VIT__SDOT(0)
        VIT__SDOT(1)
        VIT__SDOT(2)
        VIT__SDOT(3)
    }
    VIT__NAME(finish8)(t, rows, panels * VIT__VECTORS, sum);
}

static void VIT__NAME(multiply8)(const vit__tile *t) {
    VIT__BY_ROWS(t, VIT__INT8_ROWS, VIT__NAME(multiply8_of), 1)
}

#elif VIT__TARGET == VIT__TARGET_I8MM

#define VIT__PAIRS 3 /* of rows, whose sums stay in registers */

/* Two rows and two outputs, 8 k of each: a sum has [2 rows][2 outputs]. It, and what it takes, is volatile to
   keep its order, or gcc 12 loads more than there are registers for. */
#define VIT__SMMLA(sum, x, w) \
    __asm__ volatile("smmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(x), "w"(w))

/* Eight outputs, those of sum[][v] on: of the weights those of two steps, 64 bytes apart, are zipped. The first
   are at `weights`, which moves by `move`. */
#define VIT__SMMLA8(move, v)                                                                 \
    do {                                                                                     \
        int32x4_t w[4], spare;                                                               \
        __asm__ volatile("ldp %q2, %q4, [%5], #" #move "\n\tldp %q1, %q3, [%5, #64 - " #move \
                         "]\n\tzip1 %0.4s, %2.4s, %1.4s\n\tzip2 %1.4s, %2.4s, %1.4s\n\t"     \
                         "zip1 %2.4s, %4.4s, %3.4s\n\tzip2 %3.4s, %4.4s, %3.4s"              \
                         : "=&w"(w[0]), "=&w"(w[1]), "=&w"(w[2]), "=&w"(w[3]), "=&w"(spare), \
                           "+r"(*weights)                                                    \
                         :                                                                   \
                         : "memory");                                                        \
        VIT__UNROLL                                                                          \
        for (int i = 0; i < pairs; i++) {                                                    \
            VIT__UNROLL                                                                      \
            for (int n = 0; n < 4; n++) VIT__SMMLA(sum[i][(v) + n], x[i], w[n]);             \
        }                                                                                    \
    } while (0)

/* Adds `times` times 8 k of each row and output. The pointers move on. */
VIT__INLINE void VIT__NAME(add_pairs)(const int8_t **input, const int8_t **weights, const int pairs,
                                      const int times, int32x4_t sum[][8]) {
    int8x16_t x[VIT__PAIRS];
    VIT__UNROLL
    for (int time = 0; time < times; time++) {
        VIT__UNROLL
        for (int i = 0; i < pairs; i++)
            __asm__ volatile("ldr %d0, [%1], #8\n\tld1 {%0.d}[1], [%2], #8"
                             : "=&w"(x[i]), "+r"(input[2 * i]), "+r"(input[2 * i + 1])
                             :
                             : "memory");
        VIT__SMMLA8(32, 0);
        VIT__SMMLA8(96, 4);
    }
}

/* The sums before the first k: - row_zeros * weight_sums. The second row of the last pair is `second` rows
   after its first. */
VIT__INLINE void VIT__NAME(start_pairs)(const int32_t *row_zeros, const int32_t *weight_sums,
                                        const int pairs, const size_t second, int32x4_t sum[][8]) {
    int32x4_t zeros[VIT__PAIRS], two;
    VIT__UNROLL
    for (int i = 0; i < pairs; i++) {
        const int32_t *zero = row_zeros + 2 * i;
        __asm__ volatile("ldr %s0, [%1]\n\tld1 {%0.s}[1], [%2]\n\t"
                         "neg %0.4s, %0.4s\n\tzip1 %0.4s, %0.4s, %0.4s"
                         : "=&w"(zeros[i])
                         : "r"(zero), "r"(zero + (i + 1 < pairs ? 1 : second))
                         : "memory");
    }
    VIT__UNROLL
    for (int n = 0; n < 8; n++) {
        __asm__ volatile("ld1r {%0.2d}, [%1], #8" : "=w"(two), "+r"(weight_sums) : : "memory");
        VIT__UNROLL
        for (int i = 0; i < pairs; i++) sum[i][n] = vmulq_s32(two, zeros[i]);
    }
}

/* As vit__finish8, four sums, which are 8 outputs of each of two rows: those from byte `at` of the scales, the
   bias and the rows on. As sums of rows they become floats, which are scaled in 8 and added to the bias in 6
   and 7 for the first row, in 4 and 0 for the second. By asm throughout, or gcc 12 spills and copies. */
#define VIT__FINISH_PAIR(sum, at)                                                             \
    do {                                                                                      \
        VIT__FLOATS a, b, c, d, e;                                                            \
        __asm__ volatile("zip1 %4.2d, %0.2d, %1.2d\n\tzip2 %1.2d, %0.2d, %1.2d\n\t"           \
                         "zip1 %0.2d, %2.2d, %3.2d\n\tzip2 %3.2d, %2.2d, %3.2d\n\t"           \
                         "ldp %q2, %q5, [%9, #" #at "]\n\tldp %q6, %q7, [%10, #" #at "]\n\t"  \
                         "scvtf %4.4s, %4.4s\n\tscvtf %0.4s, %0.4s\n\t"                       \
                         "fmul %8.4s, %2.4s, %11.s[0]\n\tfmla %6.4s, %8.4s, %4.4s\n\t"        \
                         "fmul %8.4s, %5.4s, %11.s[0]\n\tfmla %7.4s, %8.4s, %0.4s\n\t"        \
                         "ldp %q4, %q0, [%10, #" #at "]\n\t"                                  \
                         "scvtf %1.4s, %1.4s\n\tscvtf %3.4s, %3.4s\n\t"                       \
                         "fmul %2.4s, %2.4s, %12.s[0]\n\tfmla %4.4s, %2.4s, %1.4s\n\t"        \
                         "fmul %5.4s, %5.4s, %12.s[0]\n\tfmla %0.4s, %5.4s, %3.4s\n\t"        \
                         "cbz %w15, 1f\n\t"                                                   \
                         "ldp %q1, %q2, [%13, #" #at "]\n\tldp %q3, %q5, [%14, #" #at "]\n\t" \
                         "fadd %6.4s, %1.4s, %6.4s\n\tfadd %7.4s, %2.4s, %7.4s\n\t"           \
                         "fadd %4.4s, %3.4s, %4.4s\n\tfadd %0.4s, %5.4s, %0.4s\n"             \
                         "1:\tstp %q6, %q7, [%13, #" #at "]\n\tstp %q4, %q0, [%14, #" #at "]" \
                         : "+w"((sum)[0]), "+w"((sum)[1]), "+w"((sum)[2]), "+w"((sum)[3]),    \
                           "=&w"(a), "=&w"(b), "=&w"(c), "=&w"(d), "=&w"(e)                   \
                         : "r"(scales), "r"(bias), "w"(row_scale), "w"(next_scale), "r"(out), \
                           "r"(next), "r"(add)                                                \
                         : "memory");                                                         \
    } while (0)

VIT__INLINE void VIT__NAME(finish_pairs)(const vit__tile *t, const int first, const int pairs,
                                         const size_t second, int32x4_t sum[][8]) {
    const float *scales = t->scales, *bias = t->bias, *row_scales = t->row_scales + first;
    const size_t row_stride = t->row_stride;
    const int add = t->add;
    float *out = t->output + (size_t)first * row_stride;
    VIT__UNROLL
    for (int i = 0; i < pairs; i++) {
        const size_t to_next = i + 1 < pairs ? 1 : second;
        const float row_scale = row_scales[2 * i], next_scale = row_scales[2 * (size_t)i + to_next];
        float *next = out + to_next * row_stride;
        VIT__FINISH_PAIR(sum[i], 0);
        VIT__FINISH_PAIR(&sum[i][4], 32);
        out = next + row_stride;
    }
}

/* vit__multiply8 of rows from `first` on, where the compiler knows how many pairs there are; the last of an
   odd number of rows is there twice. */
VIT__INLINE void VIT__NAME(multiply_pairs)(const vit__tile *t, const int first, const int pairs,
                                           uintptr_t *next, const size_t next_step) {
    const int8_t *weights = (const int8_t *)t->weights, *input[2 * VIT__PAIRS];
    size_t second = t->rows - first >= 2 * pairs;
    int32x4_t sum[VIT__PAIRS][8];
    VIT__OPAQUE(second);
    input[0] = (const int8_t *)vit__tile_row(t, first);
    VIT__UNROLL
    for (int r = 1; r < 2 * pairs; r++)
        input[r] = input[r - 1] + (r + 1 < 2 * pairs ? 1 : second) * t->input_stride;
    VIT__NAME(start_pairs)(t->row_zeros + first, t->weight_sums, pairs, second, sum);
    for (size_t n = t->steps / 16; n > 0; n--, *next += next_step) {
        __builtin_prefetch((const void *)*next, 0, 3);
        VIT__NAME(add_pairs)(input, &weights, pairs, 8, sum);
    }
    for (size_t n = t->steps % 16; n > 0; n -= 4)
        VIT__NAME(add_pairs)(input, &weights, pairs, 2, sum);
    VIT__NAME(finish_pairs)(t, first, pairs, second, sum);
}

static void VIT__NAME(multiply8)(const vit__tile *t) {
    const size_t next_step = 8 * t->next_step;
    uintptr_t next = t->next;
    for (int first = 0; first < t->rows; first += 2 * VIT__PAIRS) {
        const int rows = t->rows - first;
        if (rows > 4) VIT__NAME(multiply_pairs)(t, first, 3, &next, next_step);
        else if (rows > 2) VIT__NAME(multiply_pairs)(t, first, 2, &next, next_step);
        else VIT__NAME(multiply_pairs)(t, first, 1, &next, next_step);
    }
}

#elif VIT__TARGET == VIT__TARGET_AMX

/* gcc 12's intrinsics do not say that they read memory. */
#define VIT__WRITTEN(p) __asm__ volatile("" : : "r"(p) : "memory")

/* What LDTILECFG reads: Intel's manual, volume 1, 18.3. */
typedef struct VIT__NAME(setup) {
    uint8_t palette, start, reserved[14];
    uint16_t widths[16]; /* bytes of a row */
    uint8_t rows[16];
} VIT__NAME(setup);

/* Up to 32 rows times one or two panels: tiles 0 to 3 hold sums, [2][panels][16 rows][16]; 4 and 5 rows,
   [16][16 steps]; 6 and 7 panels, [16 steps][16]. A step is two inputs of bf16, or four of int8. */
VIT__INLINE void VIT__NAME(set_up)(int rows) {
    VIT__NAME(setup) s;
    memset(&s, 0, sizeof(s));
    s.palette = 1;
    for (int i = 0; i < 8; i++) s.widths[i] = 64, s.rows[i] = 16;
    s.rows[0] = s.rows[1] = s.rows[4] = (uint8_t)vit__min(16, rows);
    s.rows[2] = s.rows[3] = s.rows[5] = (uint8_t)vit__max(1, rows - 16);
    VIT__WRITTEN(&s);
    _tile_loadconfig(&s);
}

#define VIT__ADD_TILES(is_bf16, sum, x, w)      \
    do {                                        \
        if (is_bf16) _tile_dpbf16ps(sum, x, w); \
        else _tile_dpbusd(sum, x, w);           \
    } while (0)

/* Adds 16 steps. */
VIT__INLINE void VIT__NAME(add_tiles)(const unsigned char *input, size_t input_stride,
                                      const unsigned char *const *weights, const int low,
                                      const int panels, const int is_bf16) {
    _tile_loadd(6, weights[0], 64);
    _tile_loadd(4, input, input_stride);
    VIT__ADD_TILES(is_bf16, 0, 4, 6);
    if (low) _tile_loadd(5, input + 16 * input_stride, input_stride);
    if (low) VIT__ADD_TILES(is_bf16, 2, 5, 6);
    if (panels < 2) return;
    _tile_loadd(7, weights[1], 64);
    VIT__ADD_TILES(is_bf16, 1, 4, 7);
    if (low) VIT__ADD_TILES(is_bf16, 3, 5, 7);
}

/* Adds the last steps, fewer than 16, with zeros after them. */
static void VIT__NAME(add_last_tiles)(const vit__tile *t, const unsigned char *input,
                                      const unsigned char *const *weights, int rows, int panels,
                                      const int is_bf16) {
    const size_t steps = t->steps % 16;
    unsigned char x[32][64] = {{0}}, w[2][16][64] = {{{0}}};
    const unsigned char *padded[2] = {w[0][0], w[1][0]};
    for (int r = 0; r < rows; r++)
        memcpy(x[r], input + (size_t)r * t->input_stride, steps * VIT__STEP_INPUT);
    for (int p = 0; p < panels; p++) memcpy(w[p], weights[p], steps * VIT__STEP_WEIGHTS);
    VIT__WRITTEN(x);
    VIT__WRITTEN(w);
    if (rows > 16) VIT__NAME(add_tiles)(x[0], 64, padded, 1, panels, is_bf16);
    else VIT__NAME(add_tiles)(x[0], 64, padded, 0, panels, is_bf16);
}

/* Adds all steps to the sums of some rows, and fetches meanwhile what is read next. */
VIT__INLINE void VIT__NAME(add_steps)(const vit__tile *t, int row, int rows, const int low,
                                      const int panels, const int is_bf16) {
    const unsigned char *input = (const unsigned char *)vit__tile_row(t, row);
    const unsigned char *weights[2] = {(const unsigned char *)t->weights, NULL};
    const size_t next_step = row == 0 ? t->next_step : 0; /* of all rows together */
    uintptr_t next = t->next;
    weights[1] = weights[0] + t->steps * VIT__STEP_WEIGHTS;
    for (size_t steps = t->steps; steps >= 16; steps -= 16) {
        VIT__NAME(add_tiles)(input, t->input_stride, weights, low, panels, is_bf16);
        input += 64, weights[0] += 1024, weights[1] += 1024;
        for (const uintptr_t end = next + 16 * next_step; next < end; next += 64)
            __builtin_prefetch((const void *)next, 0, 2);
    }
    if (t->steps % 16 != 0) VIT__NAME(add_last_tiles)(t, input, weights, rows, panels, is_bf16);
}

/* Calls function(t, row, rows, low, panels) for 32 rows at a time, so that the compiler knows whether more
   than 16 are left, and panels. */
#define VIT__BY_TILES(t, function)                                          \
    do {                                                                    \
        int set_up = 0;                                                     \
        for (int row = 0, rows; row < (t)->rows; row += rows) {             \
            rows = vit__min(32, (t)->rows - row);                           \
            if (rows != set_up) VIT__NAME(set_up)(set_up = rows);           \
            if (rows > 16 && (t)->panels > 1) function(t, row, rows, 1, 2); \
            else if (rows > 16) function(t, row, rows, 1, 1);               \
            else if ((t)->panels > 1) function(t, row, rows, 0, 2);         \
            else function(t, row, rows, 0, 1);                              \
        }                                                                   \
        _tile_release();                                                    \
    } while (0)

VIT__INLINE void VIT__NAME(multiply8_of)(const vit__tile *t, int row, int rows, const int low,
                                         const int panels) {
    VIT__WORDS sums[32][VIT__INT8_PANELS];
    vit__tile part = *t;
    part.row_scales += row, part.row_zeros += row;
    part.output += (size_t)row * t->row_stride;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    VIT__NAME(add_steps)(t, row, rows, low, panels, 0);
    _tile_stored(0, &sums[0][0], sizeof(sums[0]));
    if (panels > 1) _tile_stored(1, &sums[0][1], sizeof(sums[0]));
    if (low) _tile_stored(2, &sums[16][0], sizeof(sums[0]));
    if (low && panels > 1) _tile_stored(3, &sums[16][1], sizeof(sums[0]));
    VIT__NAME(finish8)(&part, rows, panels, sums);
}

/* A few rows, attention's, do not pay for tiles. */
static void VIT__NAME(multiply8)(const vit__tile *t) {
    if (t->rows <= VIT__TILE_ROWS) vit__multiply8_avx512vnni(t);
    else VIT__BY_TILES(t, VIT__NAME(multiply8_of));
}

#else

#if VIT__TARGET == VIT__TARGET_ARMV7
/* As below, with the rows' numbers kept in registers, which are too few for those of the weights. */
VIT__INLINE void VIT__NAME(step8)(const uint8_t *const *input, size_t input_stride,
                                  const int8_t *const *weights, size_t k, const int rows,
                                  const int vectors, const int depth, const int is_x,
                                  VIT__WORDS sum[][VIT__INT8_PANELS * VIT__VECTORS]) {
    VIT__WORDS x[VIT__INT8_ROWS][2], w[2];
    (void)is_x;
    VIT__UNROLL
    for (int r = 0; r < rows; r++) {
        const uint8_t *from = input[r / 3] + (size_t)(r % 3) * input_stride + k;
        x[r][0] = VIT__NAME(repeat4)(from);
        x[r][1] = depth > 1 ? VIT__NAME(repeat4)(from + 4) : x[r][0];
    }
    VIT__UNROLL
    for (int v = 0; v < vectors; v++) {
        const int8_t *from = weights[0] + k * VIT__PANEL + v * 4 * VIT__LANES;
        w[0] = VIT__LOAD_WORDS(from);
        w[1] = depth > 1 ? VIT__LOAD_WORDS(from + 4 * VIT__PANEL) : w[0];
        VIT__UNROLL
        for (int r = 0; r < rows; r++) {
            if (depth > 1) VIT__DOT8_TWICE(sum[r][v], x[r][0], w[0], x[r][1], w[1]);
            else VIT__DOT8(sum[r][v], x[r][0], w[0]);
        }
    }
}
#else
/* Adds four k, from those of `input` and `weights` on, or with `depth` 2 eight k. */
VIT__INLINE void VIT__NAME(step8)(const uint8_t *const *input, size_t input_stride,
                                  const int8_t *const *weights, size_t k, const int rows,
                                  const int vectors, const int depth, const int is_x,
                                  VIT__WORDS sum[][VIT__INT8_PANELS * VIT__VECTORS]) {
    VIT__WORDS w[2][VIT__INT8_PANELS * VIT__VECTORS], x[2];
    VIT__UNROLL
    for (int i = 0; i < depth * vectors; i++) {
        int d = i / vectors, v = i % vectors;
        w[d][v] = VIT__LOAD_WORDS(weights[v / VIT__VECTORS] + (k + 4 * (size_t)d) * VIT__PANEL +
                                  v % VIT__VECTORS * 4 * VIT__LANES);
    }
    VIT__UNROLL
    for (int r = 0; r < rows; r++) {
        const uint8_t *from = input[r / 3] + (size_t)(r % 3) * input_stride + k;
        x[0] = VIT__NAME(repeat4)(from);
        x[1] = depth > 1 ? VIT__NAME(repeat4)(from + 4) : x[0];
        VIT__UNROLL
        for (int v = 0; v < vectors; v++) {
            if (depth > 1) VIT__DOT8_TWICE(sum[r][v], x[0], w[0][v], x[1], w[1][v]);
            else if (is_x) VIT__DOT8_X(sum[r][v], x[0], w[0][v]);
            else VIT__DOT8(sum[r][v], x[0], w[0][v]);
        }
    }
}
#endif

/* vit__multiply8 where the compiler knows rows, panels and depth, as above, and whether it is int8x. */
VIT__INLINE void VIT__NAME(multiply8_of)(const vit__tile *t, const int rows, const int panels,
                                         const int depth, const int is_x) {
    const int8_t *weights[VIT__INT8_PANELS];
    const uint8_t *input[(VIT__INT8_ROWS + 2) / 3]; /* three rows each */
    const int vectors = panels * VIT__VECTORS;
    const size_t inputs = t->steps * 4, input_stride = t->input_stride;
    const size_t next_step = t->next_step * (size_t)depth;
    uintptr_t next = t->next;
    VIT__WORDS sum[VIT__INT8_ROWS][VIT__INT8_PANELS * VIT__VECTORS];
    const VIT__WORDS zeros = {0};
    VIT__UNROLL
    for (int p = 0; p < panels; p++)
        weights[p] = (const int8_t *)t->weights + (size_t)p * inputs * VIT__PANEL;
    VIT__UNROLL
    for (int r = 0; r < rows; r += 3) {
        input[r / 3] = (const uint8_t *)t->input + (size_t)r * input_stride;
        VIT__OPAQUE(input[r / 3]);
    }
    VIT__UNROLL
    for (int r = 0; r < rows; r++) {
        VIT__UNROLL
        for (int v = 0; v < vectors; v++) sum[r][v] = zeros;
    }
    for (size_t k = 0; k < inputs; k += 4 * (size_t)depth, next += next_step) {
        __builtin_prefetch((const void *)next, 0, 3);
        VIT__NAME(step8)(input, input_stride, weights, k, rows, vectors, depth, is_x, sum);
    }
    VIT__NAME(finish8)(t, rows, vectors, sum);
}

VIT__INLINE void VIT__NAME(multiply8_deep)(const vit__tile *t, const int depth, const int is_x) {
    if (VIT__INT8_PANELS > 1 && t->panels > 1)
        VIT__BY_ROWS(t, VIT__INT8_ROWS, VIT__NAME(multiply8_of), VIT__INT8_PANELS, depth, is_x)
    else VIT__BY_ROWS(t, VIT__INT8_ROWS, VIT__NAME(multiply8_of), 1, depth, is_x)
}

static void VIT__NAME(multiply8)(const vit__tile *t) {
    if (VIT__IS_NARROW(t)) VIT__NAME(multiply8_deep)(t, 2, 0);
    else VIT__NAME(multiply8_deep)(t, 1, 0);
}

#if !defined(VIT__INT8_TAKES_X) && !defined(VIT_ONLY_INT8)
static void VIT__NAME(multiply8_x)(const vit__tile *t) {
    VIT__NAME(multiply8_deep)(t, 1, 1);
}
#define VIT__INT8X_KERNEL(name) VIT__NAME(name)
#endif

#endif
#endif /* VIT__INT8_KERNEL */

#ifndef VIT__BF16_KERNEL
#ifdef VIT__MULTIPLIES_BF16
#define VIT__BF16_ENTRY VIT__NO_BF16
#define VIT__ZIP_ENTRY NULL
#else
#define VIT__BF16_ENTRY
#define VIT__ZIP_ENTRY
#endif
#else
#define VIT__BF16_ENTRY \
    {VIT__BF16_ROWS, VIT__BF16_PANELS, VIT__NAME(multiply16), VIT__BF16_KERNEL(round_rows), NULL},
#define VIT__ZIP_ENTRY VIT__BF16_KERNEL(zip)

#if VIT__TARGET == VIT__TARGET_AMX

/* Adds the sums of 16 rows and a panel, which a tile was stored as, to the output. */
VIT__INLINE void VIT__NAME(add_sums)(const float *sums, int rows, float *out, size_t stride) {
    for (int r = 0; r < rows; r++, sums += VIT__PANEL, out += stride)
        VIT__STORE(out, VIT__LOAD(out) + VIT__LOAD(sums));
}

#define VIT__FINISH16(tile, rows, panel, out)                         \
    do {                                                              \
        float *to = (out) + (size_t)(panel)*t->panel_stride;          \
        if (t->add) {                                                 \
            _tile_stored(tile, sums, sizeof(float) * VIT__PANEL);     \
            VIT__NAME(add_sums)(sums, rows, to, t->row_stride);       \
        } else _tile_stored(tile, to, t->row_stride * sizeof(float)); \
    } while (0)

VIT__INLINE void VIT__NAME(multiply16_of)(const vit__tile *t, int row, int rows, const int low,
                                          const int panels) {
    const float *bias = t->bias;
    float *out = t->output + (size_t)row * t->row_stride, sums[16 * VIT__PANEL];
    _tile_loadd(0, bias, 0);
    if (low) _tile_loadd(2, bias, 0);
    if (panels > 1) _tile_loadd(1, bias + VIT__PANEL, 0);
    if (panels > 1 && low) _tile_loadd(3, bias + VIT__PANEL, 0);
    VIT__NAME(add_steps)(t, row, rows, low, panels, 1);
    VIT__FINISH16(0, vit__min(16, rows), 0, out);
    if (panels > 1) VIT__FINISH16(1, vit__min(16, rows), 1, out);
    out += 16 * t->row_stride;
    if (low) VIT__FINISH16(2, rows - 16, 0, out);
    if (low && panels > 1) VIT__FINISH16(3, rows - 16, 1, out);
}

static void VIT__NAME(multiply16)(const vit__tile *t) {
    VIT__BY_TILES(t, VIT__NAME(multiply16_of));
}

#else

#if VIT__TARGET == VIT__TARGET_NEONBF16
VIT__INLINE void vit__store_bf16_neon(unsigned char *p, const VIT__FLOATS *a) {
    for (int i = 0; i < 4; i += 2) {
        uint16x8_t halves;
        __asm__("bfcvtn %0.4h, %1.4s\n\tbfcvtn2 %0.8h, %2.4s"
                : "=&w"(halves)
                : "w"(a[i]), "w"(a[i + 1]));
        memcpy(p + 8 * i, &halves, sizeof(halves));
    }
}
#endif

/* Rows become bf16, in place too. */
static void VIT__NAME(round_rows)(const float *x, size_t stride, int rows, size_t count, void *out,
                                  size_t out_stride, float *scales, int32_t *zeros) {
    unsigned char *to = (unsigned char *)out;
    for (; rows > 0; rows--, x += stride, to += out_stride) {
        for (size_t i = 0; i < count; i += VIT__PANEL) {
            VIT__FLOATS v[VIT__VECTORS];
            VIT__UNROLL
            for (int n = 0; n < VIT__VECTORS; n++) v[n] = VIT__LOAD(x + i + n * VIT__LANES);
            VIT__STORE_BF16(to + 2 * i, v);
        }
    }
    (void)scales, (void)zeros;
}

#if VIT__TARGET == VIT__TARGET_NEONBF16

/* Two rows and two outputs, 4 k of each: a sum has [2 rows][2 outputs]. */
#define VIT__BFMMLA(sum, x, w) __asm__("bfmmla %0.4s, %1.8h, %2.8h" : "+w"(sum) : "w"(x), "w"(w))

/* Four inputs of eight outputs, [4][8] 16 apart, as [8][4]. */
VIT__INLINE void VIT__NAME(zip8)(const uint16_t *in, uint16_t *out) {
    const uint16x8x2_t a = vzipq_u16(vld1q_u16(in), vld1q_u16(in + 16));
    const uint16x8x2_t b = vzipq_u16(vld1q_u16(in + 32), vld1q_u16(in + 48));
    for (int half = 0; half < 2; half++, out += 16) {
        const uint32x4_t low = vreinterpretq_u32_u16(a.val[half]);
        const uint32x4_t high = vreinterpretq_u32_u16(b.val[half]);
        vst1q_u16(out, vreinterpretq_u16_u32(vzip1q_u32(low, high)));
        vst1q_u16(out + 8, vreinterpretq_u16_u32(vzip2q_u32(low, high)));
    }
}

/* Four inputs together: [panels][count / 4][16][4]. */
static void VIT__NAME(zip)(const vit__matrix *m, int panel, int panels, size_t k, size_t count,
                           uint16_t *out) {
    for (int p = panel; p < panel + panels; p++) {
        const uint16_t *in =
            (const uint16_t *)(const void *)(m->weights + (size_t)p * m->panel_size) +
            k * VIT__PANEL;
        for (size_t i = 0; i < count; i += 4, in += 4 * VIT__PANEL, out += 4 * VIT__PANEL) {
            VIT__NAME(zip8)(in, out);
            VIT__NAME(zip8)(in + 8, out + 32);
        }
    }
}

VIT__INLINE void VIT__NAME(step16)(const uint16_t *weights, const uint16x8_t *x, const int pairs,
                                   VIT__FLOATS sum[][8]) {
    VIT__UNROLL
    for (int v = 0; v < 8; v++) {
        const uint16x8_t w = vld1q_u16(weights + 8 * v);
        VIT__UNROLL
        for (int i = 0; i < pairs; i++) VIT__BFMMLA(sum[i][v], x[i], w);
    }
}

/* The bias for each row of the pairs ... */
VIT__INLINE void VIT__NAME(start_pairs)(const float *bias, const int pairs, VIT__FLOATS sum[][8]) {
    VIT__UNROLL
    for (int i = 0; i < 8 * pairs; i++) {
        const float32x2_t two = vld1_f32(bias + i % 8 * 2);
        sum[i / 8][i % 8] = vcombine_f32(two, two);
    }
}

/* ... and the sums of pairs as rows. */
VIT__INLINE void VIT__NAME(finish_pairs)(const vit__tile *t, const int rows,
                                         VIT__FLOATS pairs[][8]) {
    VIT__FLOATS sum[VIT__BF16_ROWS + 1][VIT__F32_PANELS * VIT__TILE_VECTORS];
    VIT__UNROLL
    for (int i = 0; i < (rows + 1) / 2 * 4; i++) {
        const float64x2_t a = vreinterpretq_f64_f32(pairs[i / 4][i % 4 * 2]);
        const float64x2_t b = vreinterpretq_f64_f32(pairs[i / 4][i % 4 * 2 + 1]);
        sum[i / 4 * 2][i % 4] = vreinterpretq_f32_f64(vzip1q_f64(a, b));
        sum[i / 4 * 2 + 1][i % 4] = vreinterpretq_f32_f64(vzip2q_f64(a, b));
    }
    VIT__NAME(finish)(t, rows, VIT__VECTORS, 0, sum);
}

VIT__INLINE void VIT__NAME(multiply16_of)(const vit__tile *t, const int rows, const int panels) {
    const uint16_t *weights = (const uint16_t *)t->weights, *input = (const uint16_t *)t->input;
    const size_t input_stride = t->input_stride / 2, next_step = 4 * t->next_step;
    const int pairs = (rows + 1) / 2;
    uintptr_t next = t->next;
    VIT__FLOATS sum[(VIT__BF16_ROWS + 1) / 2][8];
    VIT__NAME(start_pairs)(t->bias, pairs, sum);
    for (size_t steps = t->steps; steps > 0; steps -= 4, weights += 128, input += 8) {
        uint16x8_t low[(VIT__BF16_ROWS + 1) / 2], high[(VIT__BF16_ROWS + 1) / 2];
        __builtin_prefetch((const void *)next, 0, 3);
        next += next_step;
        VIT__UNROLL
        for (int i = 0; i < pairs; i++) {
            const int other = 2 * i + 1 < rows ? 2 * i + 1 : 2 * i;
            const uint64x2_t a =
                vreinterpretq_u64_u16(vld1q_u16(input + (size_t)(2 * i) * input_stride));
            const uint64x2_t b =
                vreinterpretq_u64_u16(vld1q_u16(input + (size_t)other * input_stride));
            low[i] = vreinterpretq_u16_u64(vzip1q_u64(a, b));
            high[i] = vreinterpretq_u16_u64(vzip2q_u64(a, b));
        }
        VIT__NAME(step16)(weights, low, pairs, sum);
        VIT__NAME(step16)(weights + 64, high, pairs, sum);
    }
    (void)panels;
    VIT__NAME(finish_pairs)(t, rows, sum);
}

#else

/* Pairs of inputs: [panels][count / 2][16][2]. */
static void VIT__NAME(zip)(const vit__matrix *m, int panel, int panels, size_t k, size_t count,
                           uint16_t *out) {
    for (int p = panel; p < panel + panels; p++) {
        const unsigned char *in = m->weights + (size_t)p * m->panel_size + k * 2 * VIT__PANEL;
        for (size_t i = 0; i < count; i += 2, in += VIT__STEP_WEIGHTS, out += 2 * VIT__PANEL)
            VIT__ZIP(in, out);
    }
}

/* As multiply_from, a pair of inputs at a time. */
VIT__INLINE void VIT__NAME(multiply16_of)(const vit__tile *t, const int rows, const int panels) {
    const unsigned char *weights[VIT__BF16_PANELS];
    const unsigned char *input[(VIT__BF16_ROWS + 2) / 3]; /* three rows each */
    const int vectors = panels * VIT__VECTORS;
    const size_t steps = t->steps, input_stride = t->input_stride, next_step = t->next_step;
    uintptr_t next = t->next;
    VIT__FLOATS sum[VIT__BF16_ROWS][VIT__BF16_PANELS * VIT__VECTORS];
    VIT__UNROLL
    for (int p = 0; p < panels; p++)
        weights[p] = (const unsigned char *)t->weights + (size_t)p * steps * VIT__STEP_WEIGHTS;
    VIT__UNROLL
    for (int r = 0; r < rows; r += 3) {
        input[r / 3] = (const unsigned char *)t->input + (size_t)r * input_stride;
        VIT__OPAQUE(input[r / 3]);
    }
    VIT__UNROLL
    for (int r = 0; r < rows; r++) {
        VIT__UNROLL
        for (int v = 0; v < vectors; v++) sum[r][v] = VIT__LOAD(t->bias + v * VIT__LANES);
    }
    for (size_t k = 0; k < steps; k++, next += next_step) {
        __builtin_prefetch((const void *)next, 0, 3);
        VIT__WORDS w[VIT__BF16_PANELS * VIT__VECTORS];
        VIT__UNROLL
        for (int v = 0; v < vectors; v++)
            w[v] = VIT__LOAD_WORDS(weights[v / VIT__VECTORS] + k * VIT__STEP_WEIGHTS +
                                   v % VIT__VECTORS * 4 * VIT__LANES);
        VIT__UNROLL
        for (int r = 0; r < rows; r++) {
            const VIT__WORDS x =
                VIT__NAME(repeat4)(input[r / 3] + (size_t)(r % 3) * input_stride + 4 * k);
            VIT__UNROLL
            for (int v = 0; v < vectors; v++) VIT__DOT16(sum[r][v], x, w[v]);
        }
    }
    VIT__NAME(finish)(t, rows, vectors, 0, sum);
}

#endif

static void VIT__NAME(multiply16)(const vit__tile *t) {
    if (VIT__BF16_PANELS > 1 && t->panels > 1)
        VIT__BY_ROWS(t, VIT__BF16_ROWS, VIT__NAME(multiply16_of), VIT__BF16_PANELS)
    else VIT__BY_ROWS(t, VIT__BF16_ROWS, VIT__NAME(multiply16_of), 1)
}

#endif
#endif /* VIT__BF16_KERNEL */

#define VIT__ACT_ENTRY(NAME, name, kept) (kept) ? VIT__FLOAT_KERNEL(name##_rows) : NULL,
#define VIT__ENTRY(name, parameters) VIT__FLOAT_KERNEL(name),
#ifdef VIT__PIXEL_ROWS
#define VIT__PIXEL_ENTRY                                                       \
    {VIT__LANES, VIT__FLOAT_KERNEL(pack_rows), VIT__FLOAT_KERNEL(resize_rows), \
     VIT__FLOAT_KERNEL(put_row)},
#else
#define VIT__PIXEL_ENTRY
#endif

/* Products of int8x: by the kernel of int8, by one of its own, or where nothing is said in plain C. */
#ifdef VIT__INT8_SIGNED
#define VIT__ROWS_X VIT__FLOAT_KERNEL(quantize_signed_rows_x)
#else
#define VIT__ROWS_X VIT__FLOAT_KERNEL(quantize_rows_x)
#endif
#ifdef VIT_ONLY_INT8
#define VIT__INT8X_ENTRY
#elif defined(VIT__INT8_TAKES_X)
#define VIT__INT8X_ENTRY                                                         \
    {VIT__INT8_ROWS, VIT__INT8_PANELS, VIT__INT8_KERNEL(multiply8), VIT__ROWS_X, \
     VIT__FLOAT_KERNEL(quantize_panel)},
#elif defined(VIT__INT8X_KERNEL)
#define VIT__INT8X_ENTRY                                                            \
    {VIT__INT8_ROWS, VIT__INT8_PANELS, VIT__INT8X_KERNEL(multiply8_x), VIT__ROWS_X, \
     VIT__FLOAT_KERNEL(quantize_panel)},
#else
#define VIT__INT8X_ENTRY VIT__PLAIN_INT8X(1, vit__multiply8)
#endif

static const vit__kernels VIT__NAME(kernels) = {
    {{VIT__F32_ROWS, VIT__F32_PANELS, VIT__FLOAT_KERNEL(multiply), NULL, NULL},
     {VIT__INT8_ROWS, VIT__INT8_PANELS, VIT__INT8_KERNEL(multiply8),
      VIT__FLOAT_KERNEL(quantize_rows), VIT__FLOAT_KERNEL(quantize_panel)},
     VIT__INT8X_ENTRY VIT__BF16_ENTRY},
    {VIT__ACT_LIST(VIT__ACT_ENTRY)},
    VIT__KERNEL_LIST(VIT__ENTRY) VIT__PIXEL_ENTRY VIT__ZIP_ENTRY};

#if defined(VIT__FLAGS) && !defined(VIT__EMULATED)
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

#endif /* VIT__TARGET_DSP */

#undef VIT__TARGET
#undef VIT__ADD_TO
#undef VIT__TRANSPOSE4
#undef VIT__NAME
#undef VIT__LANES
#undef VIT__F32_ROWS
#undef VIT__F32_PANELS
#undef VIT__INT8_ROWS
#undef VIT__UNROLL_ROWS
#undef VIT__INT8_PANELS
#undef VIT__INT8_TAKES_X
#undef VIT__INT8_SIGNED
#undef VIT__INT8X_KERNEL
#undef VIT__INT8X_ENTRY
#undef VIT__ROWS_X
#undef VIT__DOT8_X
#undef VIT__STORE_BYTES
#undef VIT__SET
#undef VIT__FMA
#undef VIT__FNMA
#undef VIT__MIN
#undef VIT__MAX
#undef VIT__IF_NEGATIVE
#undef VIT__NEAREST
#undef VIT__ANY_BELOW
#undef VIT__LOOK_UP
#undef VIT__MAX_WORDS
#undef VIT__LOAD_F16
#undef VIT__LOAD_HALVES
#undef VIT__BYTE
#undef VIT__PIXELS
#undef VIT__DOT8
#undef VIT__DOT8_TWICE
#undef VIT__NARROW
#undef VIT__STORE8
#undef VIT__DOT8_I16
#undef VIT__TILE_VECTORS
#undef VIT__KEEPS
#undef VIT__KEEP
#undef VIT__WIDE_STEPS
#undef VIT__FMA_SCALAR
#undef VIT__TO_FLOAT
#undef VIT__FLAGS
#undef VIT__SUM8
#undef VIT__PAIRS8
#undef VIT__FLOAT_KERNEL
#undef VIT__FOLD
#undef VIT__SUM_LANES
#undef VIT__LARGEST_LANE
#undef VIT__LARGEST_WORD
#undef VIT__INT8_KERNEL
#undef VIT__ALL
#undef VIT__LOAD_256
#undef VIT__IS_NARROW
#undef VIT__BF16_KERNEL
#undef VIT__EXTENSIONS
#undef VIT__SDOT
#undef VIT__BF16_ROWS
#undef VIT__BF16_PANELS
#undef VIT__BF16_ENTRY
#undef VIT__ZIP_ENTRY
#undef VIT__STORE_BF16
#undef VIT__DOT16
#undef VIT__ZIP

#endif /* VIT__TARGET */

/* ---- [14] LICENCE --------------------------------------------------------------------------

   MIT License. Copyright (c) 2026 the vit.h authors.

   Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
   associated documentation files (the "Software"), to deal in the Software without restriction,
   including without limitation the rights to use, copy, modify, merge, publish, distribute,
   sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
   furnished to do so, subject to the following conditions:

   The above copyright notice and this permission notice shall be included in all copies or
   substantial portions of the Software.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
   NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
   NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
   DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
   OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE. */
