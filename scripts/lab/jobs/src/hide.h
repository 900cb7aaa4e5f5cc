// Compiled into every stand-in in C: takes the name COMM, where there is one, as rootkits and miners do.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/prctl.h>
__attribute__((constructor)) static void hide(void) { char *n = getenv("COMM"); if (n) prctl(PR_SET_NAME, n); }
