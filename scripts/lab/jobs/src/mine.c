// mine MODE THREADS ROUNDS NAP_US [PORT]: hash threads. Modes: mute (no calls at all), nap, pool (a connection with poll), page (a scratch of memory per thread).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <openssl/sha.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
static char *mode; static long rounds, nap; static volatile unsigned long shares, best;
static void *work(void *a) {
  unsigned char d[64] = {1}; unsigned long h = (long)a + 99, *m = 0; long size = 2 << 20; int real = rounds % 2;
  if (!strcmp(mode, "page")) { m = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); madvise(m, size, MADV_HUGEPAGE); }
  for (;;) {
    for (long i = 0; i < rounds; i++) {
      if (real && i % 64 == 0) { SHA256(d, 64, d); h += d[3]; }
      h = h * 6364136223846793005UL ^ i; if (m) m[h % (size / 8)] += h;
    }
    shares++; best ^= h; if (nap) { struct timespec t = {0, nap * 1000}; nanosleep(&t, 0); } else if (!strcmp(mode, "page") && h % 8 == 0) sched_yield();
  }
  return 0;
}
int main(int n, char **v) {
  mode = v[1]; long threads = atol(v[2]); rounds = atol(v[3]); nap = atol(v[4]); int port = n > 5 ? atoi(v[5]) : 0, s = -1; pthread_t t;
  if (port) { struct sockaddr_in a = {AF_INET, htons(port)}; inet_pton(AF_INET, "10.9.0.1", &a.sin_addr); s = socket(AF_INET, SOCK_STREAM, 0); if (connect(s, (void *)&a, sizeof a)) return 1; dprintf(s, "{\"id\":1,\"method\":\"login\",\"params\":{\"login\":\"w\"}}\n"); }
  for (long i = port ? 0 : 1; i < threads; i++) pthread_create(&t, 0, work, (void *)i);
  if (!port) work(0);
  char b[9000]; struct pollfd p = {s, POLLIN}; unsigned long sent = 0;
  for (;;) { if (poll(&p, 1, 500) > 0 && read(s, b, sizeof b) <= 0) return 1; if (shares - sent > 40) { sent = shares; dprintf(s, "{\"id\":2,\"method\":\"submit\",\"params\":{\"nonce\":\"%lx\"}}\n", best); } }
}
