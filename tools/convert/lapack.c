#include "lapack.h"

#include "report.h"

#include <string.h>

/* Fortran's: every argument is an address, and the lengths of texts follow. */
static void (*ssyrk)(const char *uplo, const char *trans, const int *n, const int *k,
                     const float *alpha, const float *a, const int *lda, const float *beta,
                     float *c, const int *ldc, size_t, size_t);
static void (*dpotrf)(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t);
static void (*dpotri)(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t);
static void (*dgemm)(const char *transa, const char *transb, const int *m, const int *n,
                     const int *k, const double *alpha, const double *a, const int *lda,
                     const double *b, const int *ldb, const double *beta, double *c, const int *ldc,
                     size_t, size_t);

#ifdef _WIN32

void lapack_open(void) {
    fail("--calibrate needs LAPACK, which this program does not have on Windows: convert on Linux");
}

#else
#include <dlfcn.h>

/* The library, whose routines and those of the BLAS that it is linked with can be asked for. */
static void *open_library(void) {
    static const char *const names[] = {"liblapack.so.3", "libopenblas.so.0", "libopenblas.so",
                                        "liblapack.so", "liblapack.dylib"};
    void *library = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && library == NULL; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        fail("--calibrate needs LAPACK: apt-get install libopenblas0 (fast) or liblapack3 (small)");
    return library;
}

/* C has no conversion from an object's address to a function's; POSIX gives both the same form. */
static void find(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    if (found == NULL) fail("--calibrate: the LAPACK here has no %s", name);
    memcpy(function, &found, sizeof(found));
}

/* OpenBLAS's threads wait by spinning, and would take the processors from those of the forward pass:
   calibration took ten times as long on a busy machine. */
static void use_one_thread(void *library) {
    void *found = dlsym(library, "openblas_set_num_threads");
    void (*set_threads)(int);
    if (found == NULL) return;
    memcpy(&set_threads, &found, sizeof(set_threads));
    set_threads(1);
}

void lapack_open(void) {
    void *library = open_library();
    use_one_thread(library);
    find(library, "ssyrk_", &ssyrk);
    find(library, "dpotrf_", &dpotrf);
    find(library, "dpotri_", &dpotri);
    find(library, "dgemm_", &dgemm);
}

#endif

void lapack_square(float *h, size_t n, const float *rows, size_t count) {
    const int order = (int)n, inner = (int)count;
    const float alpha = 1, beta = 0;
    ssyrk("L", "N", &order, &inner, &alpha, rows, &order, &beta, h, &order, 1, 1);
}

int lapack_factor_inverse(double *h, size_t n) {
    const int order = (int)n;
    int info;
    dpotrf("L", &order, h, &order, &info, 1);
    if (info == 0) dpotri("L", &order, h, &order, &info, 1);
    if (info == 0) dpotrf("L", &order, h, &order, &info, 1);
    return info == 0;
}

void lapack_subtract_product(double *c, const double *a, const double *b, size_t b_stride,
                             size_t rows, size_t columns, size_t inner) {
    const int m = (int)rows, n = (int)columns, k = (int)inner, ldb = (int)b_stride;
    const double alpha = -1, beta = 1;
    if (columns == 0) return;
    dgemm("N", "T", &m, &n, &k, &alpha, a, &m, b, &ldb, &beta, c, &m, 1, 1);
}
