/* The most that the processor can do: independent fused multiply-adds in registers, on the threads of
   the options. */
#ifndef PEAK_H
#define PEAK_H

#include "clock.h"
#include "vit.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define MAX_THREADS 1024 /* of a vit_pool */
#define FMA_ROUNDS 100000
#ifdef __aarch64__
#define FMA_SUMS 24 /* independent sums: more than latency times width of any processor known ... */
#else
#define FMA_SUMS 12 /* ... and no more than there are registers for */
#endif

#define FMA_ALL _Pragma("GCC unroll 24") for (int i = 0; i < FMA_SUMS; i++)

/* Every loop over the sums is unrolled, otherwise gcc stores them in each round. No sum begins at 1,
   which x * 0.999 + 0.001 does not change: clang would see that. */
#define FMA_LOOP(name, attribute, type, set, fma, store, lanes)        \
    attribute static double name(void) {                               \
        type sums[FMA_SUMS], x = set(0.999f), y = set(1e-3f);          \
        float out[lanes], total = 0;                                   \
        FMA_ALL sums[i] = set((float)i + 2);                           \
        for (int round = 0; round < FMA_ROUNDS; round++) {             \
            FMA_ALL sums[i] = fma(sums[i], x, y);                      \
        }                                                              \
        FMA_ALL {                                                      \
            store(out, sums[i]);                                       \
            total += out[0];                                           \
        }                                                              \
        return total > 0 ? 2e-9 * FMA_ROUNDS * FMA_SUMS * (lanes) : 0; \
    }

#if defined(__x86_64__)
FMA_LOOP(fma_avx2, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, _mm256_fmadd_ps,
         _mm256_storeu_ps, 8)
FMA_LOOP(fma_avx512, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, _mm512_fmadd_ps,
         _mm512_storeu_ps, 16)
#elif defined(__aarch64__)
FMA_LOOP(fma_neon, , float32x4_t, vdupq_n_f32, vfmaq_f32, vst1q_f32, 4)
#endif

/* Runs the loop on this thread; returns its GFLOP. */
static double fma_loop(vit_isa isa) {
#if defined(__x86_64__)
    if (isa == VIT_ISA_AVX2 || isa == VIT_ISA_AVX2_VNNI) return fma_avx2();
    if (isa >= VIT_ISA_AVX512 && isa <= VIT_ISA_AMX) return fma_avx512();
#elif defined(__aarch64__)
    if (isa >= VIT_ISA_NEON && isa <= VIT_ISA_NEON_BF16) return fma_neon();
#endif
    (void)isa;
    return 0;
}

typedef struct peak_args {
    vit_isa isa;
    double *done; /* [threads] */
} peak_args;

static void peak_task(void *arg, int index) {
    peak_args *args = (peak_args *)arg;
    args->done[index] = fma_loop(args->isa);
}

/* GFLOP/s of all threads together. */
static double measure_peak(const vit_options *options) {
    double done[MAX_THREADS], sum = 0, begin = seconds();
    peak_args args = {options->isa, done};
    if (options->threads == 1) peak_task(&args, 0);
    else options->parallel_for(options->parallel_user, options->threads, peak_task, &args);
    double time = seconds() - begin;
    for (int i = 0; i < options->threads; i++) sum += done[i];
    return sum / time;
}

#endif
