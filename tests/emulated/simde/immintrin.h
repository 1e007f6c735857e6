/* In place of the compiler's immintrin.h: the intrinsics as functions in C, by SIMDe, so that the
   AVX2 and AVX-512 kernels run on processors without. Compile for baseline x86-64 with
   -DVIT__EMULATED. What SIMDe 0.7.4 lacks, or rounds twice where the processor rounds once, is
   added behind it. */
#ifndef EMULATED_IMMINTRIN_H
#define EMULATED_IMMINTRIN_H

#if defined(__AVX__) || !defined(VIT__EMULATED)
#error "for baseline x86-64 and with -DVIT__EMULATED, or nothing is emulated"
#endif

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <math.h>
#include <string.h>

#include <simde/x86/avx2.h>
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>

#define EMULATED_FMA(name, type, sign)                                                    \
    static inline simde__##type name(simde__##type a, simde__##type b, simde__##type c) { \
        simde__##type##_private x = simde__##type##_to_private(a);                        \
        simde__##type##_private y = simde__##type##_to_private(b);                        \
        simde__##type##_private z = simde__##type##_to_private(c);                        \
        for (size_t i = 0; i < sizeof(z.f32) / sizeof(z.f32[0]); i++)                     \
            z.f32[i] = fmaf(sign x.f32[i], y.f32[i], z.f32[i]);                           \
        return simde__##type##_from_private(z);                                           \
    }

EMULATED_FMA(emulated_mm256_fmadd_ps, m256, +)
EMULATED_FMA(emulated_mm256_fnmadd_ps, m256, -)
EMULATED_FMA(emulated_mm512_fmadd_ps, m512, +)
EMULATED_FMA(emulated_mm512_fnmadd_ps, m512, -)

#undef _mm256_fmadd_ps
#undef _mm256_fnmadd_ps
#undef _mm512_fmadd_ps
#undef _mm512_fnmadd_ps
#define _mm256_fmadd_ps(a, b, c) emulated_mm256_fmadd_ps(a, b, c)
#define _mm256_fnmadd_ps(a, b, c) emulated_mm256_fnmadd_ps(a, b, c)
#define _mm512_fmadd_ps(a, b, c) emulated_mm512_fmadd_ps(a, b, c)
#define _mm512_fnmadd_ps(a, b, c) emulated_mm512_fnmadd_ps(a, b, c)

/* Rounds to nearest, as the processor does unless told otherwise. */
static inline simde__m512i emulated_mm512_maskz_cvtps_epi32(simde__mmask16 mask, simde__m512 a) {
    simde__m512_private from = simde__m512_to_private(a);
    simde__m512i_private to;
    for (size_t i = 0; i < 16; i++)
        to.i32[i] = mask >> i & 1 ? (int32_t)nearbyintf(from.f32[i]) : 0;
    return simde__m512i_from_private(to);
}

static inline simde__m512 emulated_mm512_maskz_cvtepi32_ps(simde__mmask16 mask, simde__m512i a) {
    simde__m512i_private from = simde__m512i_to_private(a);
    simde__m512_private to;
    for (size_t i = 0; i < 16; i++) to.f32[i] = mask >> i & 1 ? (float)from.i32[i] : 0;
    return simde__m512_from_private(to);
}

/* Half precision by its definition. */
static inline float emulated_half(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    float x = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
              : exponent == 0 ? ldexpf((float)fraction, -24)
                              : ldexpf((float)(fraction + 1024), exponent - 25);
    return half & 0x8000 ? -x : x;
}

static inline simde__m256 emulated_mm256_cvtph_ps(simde__m128i a) {
    simde__m128i_private from = simde__m128i_to_private(a);
    simde__m256_private to;
    for (size_t i = 0; i < 8; i++) to.f32[i] = emulated_half(from.u16[i]);
    return simde__m256_from_private(to);
}

static inline simde__m512 emulated_mm512_maskz_cvtph_ps(simde__mmask16 mask, simde__m256i a) {
    simde__m256i_private from = simde__m256i_to_private(a);
    simde__m512_private to;
    for (size_t i = 0; i < 16; i++) to.f32[i] = mask >> i & 1 ? emulated_half(from.u16[i]) : 0;
    return simde__m512_from_private(to);
}

static inline simde__m512i emulated_mm512_maskz_cvtepu16_epi32(simde__mmask16 mask,
                                                               simde__m256i a) {
    simde__m256i_private from = simde__m256i_to_private(a);
    simde__m512i_private to;
    for (size_t i = 0; i < 16; i++) to.i32[i] = mask >> i & 1 ? from.u16[i] : 0;
    return simde__m512i_from_private(to);
}

static inline simde__m512i emulated_mm512_maskz_slli_epi32(simde__mmask16 mask, simde__m512i a,
                                                           unsigned bits) {
    simde__m512i_private x = simde__m512i_to_private(a);
    for (size_t i = 0; i < 16; i++) x.u32[i] = mask >> i & 1 ? x.u32[i] << bits : 0;
    return simde__m512i_from_private(x);
}

static inline simde__m512i emulated_mm512_maskz_srai_epi32(simde__mmask16 mask, simde__m512i a,
                                                           unsigned bits) {
    simde__m512i_private x = simde__m512i_to_private(a);
    for (size_t i = 0; i < 16; i++) x.i32[i] = mask >> i & 1 ? x.i32[i] >> bits : 0;
    return simde__m512i_from_private(x);
}

static inline simde__m512i emulated_mm512_maskz_srli_epi32(simde__mmask16 mask, simde__m512i a,
                                                           unsigned bits) {
    simde__m512i_private x = simde__m512i_to_private(a);
    for (size_t i = 0; i < 16; i++) x.u32[i] = mask >> i & 1 ? x.u32[i] >> bits : 0;
    return simde__m512i_from_private(x);
}

static inline simde__m512 emulated_mm512_maskz_permute_ps(simde__mmask16 mask, simde__m512 a,
                                                          int order) {
    simde__m512_private from = simde__m512_to_private(a), to;
    for (size_t i = 0; i < 16; i++)
        to.f32[i] = mask >> i & 1 ? from.f32[i / 4 * 4 + (order >> i % 4 * 2 & 3)] : 0;
    return simde__m512_from_private(to);
}

static inline simde__m512 emulated_mm512_maskz_shuffle_f32x4(simde__mmask16 mask, simde__m512 a,
                                                             simde__m512 b, int order) {
    simde__m512_private x = simde__m512_to_private(a), y = simde__m512_to_private(b), to;
    for (size_t i = 0; i < 16; i++) {
        size_t at = (size_t)(order >> i / 4 * 2 & 3) * 4 + i % 4;
        to.f32[i] = mask >> i & 1 ? (i < 8 ? x.f32[at] : y.f32[at]) : 0;
    }
    return simde__m512_from_private(to);
}

static inline float emulated_mm512_cvtss_f32(simde__m512 a) {
    return simde__m512_to_private(a).f32[0];
}

/* AVX512-BF16: the odd numbers of each pair are added first. */
static inline float emulated_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline simde__m512 emulated_mm512_dpbf16_ps(simde__m512 sum, simde__m512i a,
                                                   simde__m512i b) {
    simde__m512_private to = simde__m512_to_private(sum);
    simde__m512i_private x = simde__m512i_to_private(a), y = simde__m512i_to_private(b);
    for (size_t i = 0; i < 16; i++) {
        for (size_t j = 2; j-- > 0;)
            to.f32[i] =
                fmaf(emulated_bf16(x.u16[2 * i + j]), emulated_bf16(y.u16[2 * i + j]), to.f32[i]);
    }
    return simde__m512_from_private(to);
}

/* To nearest, ties to even; what is not a number stays one. */
static inline simde__m256i emulated_mm512_cvtneps_pbh(simde__m512 a) {
    simde__m512i_private from = simde__m512i_to_private(simde_mm512_castps_si512(a));
    simde__m256i_private to;
    for (size_t i = 0; i < 16; i++) {
        uint32_t bits = from.u32[i], nan = (bits & 0x7FFFFFFF) > 0x7F800000;
        to.u16[i] = (uint16_t)(nan ? bits >> 16 | 0x40 : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
    }
    return simde__m256i_from_private(to);
}

static inline simde__m512i emulated_mm512_permutexvar_epi16(simde__m512i order, simde__m512i a) {
    simde__m512i_private by = simde__m512i_to_private(order), from = simde__m512i_to_private(a), to;
    for (size_t i = 0; i < 32; i++) to.u16[i] = from.u16[by.u16[i] & 31];
    return simde__m512i_from_private(to);
}

#undef _mm512_dpbf16_ps
#undef _mm512_permutexvar_epi16
#define __m512bh simde__m512i
#define _mm512_dpbf16_ps(sum, a, b) emulated_mm512_dpbf16_ps(sum, a, b)
#define _mm512_cvtneps_pbh(a) emulated_mm512_cvtneps_pbh(a)
#define _mm512_permutexvar_epi16(order, a) emulated_mm512_permutexvar_epi16(order, a)

/* SIMDe has these two by names, or with parameters, that do not exist. */
#undef _mm256_dpbusd_avx_epi32
#undef _mm512_madd_epi16
#define _mm256_dpbusd_avx_epi32(sum, a, b) simde_mm256_dpbusd_epi32(sum, a, b)
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)

#define __mmask16 simde__mmask16
#define _MM_FROUND_NO_EXC SIMDE_MM_FROUND_NO_EXC
#define _mm512_maskz_cvtps_epi32(mask, a) emulated_mm512_maskz_cvtps_epi32(mask, a)
#define _mm512_maskz_cvtepi32_ps(mask, a) emulated_mm512_maskz_cvtepi32_ps(mask, a)
#define _mm256_cvtph_ps(a) emulated_mm256_cvtph_ps(a)
#define _mm512_maskz_cvtph_ps(mask, a) emulated_mm512_maskz_cvtph_ps(mask, a)
#define _mm512_maskz_cvtepu16_epi32(mask, a) emulated_mm512_maskz_cvtepu16_epi32(mask, a)
#define _mm512_maskz_slli_epi32(mask, a, bits) emulated_mm512_maskz_slli_epi32(mask, a, bits)
#define _mm512_maskz_srai_epi32(mask, a, bits) emulated_mm512_maskz_srai_epi32(mask, a, bits)
#define _mm512_maskz_srli_epi32(mask, a, bits) emulated_mm512_maskz_srli_epi32(mask, a, bits)
#define _mm512_maskz_permute_ps(mask, a, order) emulated_mm512_maskz_permute_ps(mask, a, order)
#define _mm512_maskz_shuffle_f32x4(mask, a, b, order) \
    emulated_mm512_maskz_shuffle_f32x4(mask, a, b, order)
#define _mm512_cvtss_f32(a) emulated_mm512_cvtss_f32(a)

#endif
