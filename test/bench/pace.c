/* Writes our own line at a rate, one write(2) a line as sysdig does: pace LINES_PER_SECOND SECONDS. For bench/parse.ts. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  const long rate = atol(argv[1]), seconds = atol(argv[2]);
  static const char *calls[] = {"read", "write", "epoll_wait", "futex", "openat", "close", "newfstatat", "mmap"};
  struct timespec start, now;
  clock_gettime(CLOCK_MONOTONIC, &start);
  char line[128];
  for (long sent = 0; sent < rate * seconds;) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    double elapsed = now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9;
    long due = (long)(elapsed * rate);
    for (; sent < due && sent < rate * seconds; sent++) {
      struct timespec real;
      clock_gettime(CLOCK_REALTIME, &real);
      int pid = 1000 + sent % 97;
      int length = snprintf(line, sizeof line, "%ld%09ld %d %d %s program%d\n", (long)real.tv_sec, real.tv_nsec, pid, pid,
                            calls[sent % 8], pid % 40);
      if (write(1, line, length) != length) return 1;
    }
    struct timespec pause = {0, 100000};
    nanosleep(&pause, NULL);
  }
  return 0;
}
