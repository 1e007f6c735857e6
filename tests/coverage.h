/* Included in front of each file by make coverage: a program that a signal ends says first what it has reached.
   It includes nothing, as files say first which functions of the system they need. */
int raise(int number);
void __gcov_dump(void);
void __gcov_reset(void); /* so that it may be told again */

static inline int coverage_raise(int number) {
    __gcov_dump();
    __gcov_reset();
    return raise(number);
}

#define raise coverage_raise
