/* What include_b.c offers include_a.c: which texts its copy of the library gives. */
#ifdef __cplusplus
extern "C" {
#endif
const char *status_of_b(int status);
#ifdef __cplusplus
}
#endif
