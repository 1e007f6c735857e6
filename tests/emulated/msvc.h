/* What vit.h takes of the C library, of MSVC's and of Windows' headers, as far as its compiler has to know it:
   stands for each of those headers where MSVC is imitated (tests/check_windows_library.sh). */
#ifndef MSVC_H
#define MSVC_H

#ifdef _WIN64
typedef unsigned long long size_t, uintptr_t;
typedef long long ptrdiff_t, intptr_t;
#define SIZE_MAX 0xFFFFFFFFFFFFFFFFu
#else
typedef unsigned size_t, uintptr_t;
typedef int ptrdiff_t, intptr_t;
#define SIZE_MAX 0xFFFFFFFFu
#endif
typedef unsigned long long uint64_t;
typedef long long int64_t;
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
#define INT32_MIN (-2147483647 - 1)
#define EOF (-1)
#ifdef __cplusplus
#define NULL 0
extern "C" {
#else
#define NULL ((void *)0)
typedef unsigned short wchar_t;
#endif
#define offsetof(type, member) __builtin_offsetof(type, member)

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
void *malloc(size_t size);
void free(void *memory);

float expf(float x);
float erff(float x);
float tanhf(float x);
float sqrtf(float x);
float fabsf(float x);
float floorf(float x);
double floor(double x);
double ceil(double x);
double fabs(double x);

typedef struct FILE FILE;
FILE *_wfopen(const wchar_t *path, const wchar_t *mode);
size_t fread(void *to, size_t size, size_t count, FILE *file);
int fgetc(FILE *file);
int ferror(FILE *file);
int fclose(FILE *file);
int _fileno(FILE *file);
long long _filelengthi64(int file);
intptr_t _get_osfhandle(int file);

uintptr_t _beginthreadex(void *security, unsigned stack, unsigned(__stdcall *run)(void *),
                         void *arg, unsigned flags, unsigned *id);
long _InterlockedExchangeAdd(long volatile *p, long value);
#if defined(_M_X64) || defined(_M_IX86)
unsigned _mm_getcsr(void);
void _mm_setcsr(unsigned mode);
void _mm_pause(void);
#endif
typedef struct fenv_t {
    unsigned long control, status;
} fenv_t;
int fegetenv(fenv_t *mode);
int fesetenv(const fenv_t *mode);

#ifdef __cplusplus
}
#endif
#endif
