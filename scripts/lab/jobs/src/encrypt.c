// encrypt MODE DIR PAUSE_US CHUNK SYNC THREADS: encrypts the files below DIR over and over. Modes: new, place, map, evp, sendback.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
static char *mode; static long pause_us, chunk, sync_, threads; static unsigned turn;
static void mix(unsigned char *b, long n) { for (long i = 0; i < n; i++) b[i] ^= i * 167 + turn + 13; }
static void one(const char *p) {
  char q[1100]; snprintf(q, sizeof q, "%s.lk", p); unsigned char *b = malloc(chunk + 32); struct stat st;
  if (!strcmp(mode, "map")) {
    int f = open(p, O_RDWR); if (f < 0 || fstat(f, &st) || !st.st_size) goto out;
    unsigned char *m = mmap(0, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0); close(f); if (m == MAP_FAILED) goto out;
    mix(m, st.st_size); if (sync_) msync(m, st.st_size, MS_SYNC); munmap(m, st.st_size); rename(p, q); rename(q, p);
  } else if (!strcmp(mode, "place")) {
    int f = open(p, O_RDWR); if (f < 0) goto out; long n, at = 0;
    while ((n = pread(f, b, chunk, at)) > 0) { mix(b, n); pwrite(f, b, n, at); at += n; }
    if (sync_) fdatasync(f); close(f); rename(p, q); rename(q, p);
  } else {
    int f = open(p, O_RDONLY); if (f < 0) goto out; fstat(f, &st); int g = open(q, O_CREAT | O_WRONLY | O_TRUNC, 0600); long n; int k;
    EVP_CIPHER_CTX *c = 0; unsigned char key[32] = {7}, iv[16] = {1}, *o = malloc(chunk + 32);
    if (!strcmp(mode, "evp")) { c = EVP_CIPHER_CTX_new(); EVP_EncryptInit_ex(c, EVP_aes_256_cbc(), 0, key, iv); }
    while ((n = read(f, b, chunk)) > 0) { if (c) { EVP_EncryptUpdate(c, o, &k, b, n); write(g, o, k); } else { mix(b, n); write(g, b, n); } }
    if (c) { EVP_EncryptFinal_ex(c, o, &k); write(g, o, k); EVP_CIPHER_CTX_free(c); }
    if (sync_) fsync(g); fchmod(g, st.st_mode); close(f); close(g); free(o); unlink(p); rename(q, p);
  }
  if (pause_us) usleep(pause_us);
out: free(b);
}
static void walk(const char *d, long me) {
  DIR *h = opendir(d); if (!h) return; struct dirent *x; char p[1000]; long i = 0;
  while ((x = readdir(h))) { if (x->d_name[0] == '.' || strstr(x->d_name, ".lk")) continue; snprintf(p, sizeof p, "%s/%s", d, x->d_name);
    if (x->d_type == DT_DIR) walk(p, me); else if (i++ % threads == me) one(p); }
  closedir(h);
}
static char *top; static void *work(void *a) { for (;;) { walk(top, (long)a); turn++; usleep(1000); } return 0; }
int main(int n, char **v) { mode = v[1]; top = v[2]; pause_us = atol(v[3]); chunk = atol(v[4]); sync_ = atol(v[5]); threads = atol(v[6]); pthread_t t; for (long i = 1; i < threads; i++) pthread_create(&t, 0, work, (void *)i); work(0); }
