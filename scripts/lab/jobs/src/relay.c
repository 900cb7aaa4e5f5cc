// relay MODE PORT TO: a TCP forward; modes: fork (a child a connection), poll (all in one), splice (through a pipe).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static int dial(int p) { struct sockaddr_in a = {AF_INET, htons(p)}; inet_pton(AF_INET, "10.9.0.1", &a.sin_addr); int s = socket(AF_INET, SOCK_STREAM, 0); connect(s, (void *)&a, sizeof a); return s; }
static int pi[2]; static int move(int a, int b, int sp) { static char q[32768]; if (sp) { int n = splice(a, 0, pi[1], 0, 65536, 0); return n > 0 ? splice(pi[0], 0, b, 0, n, 0) : n; } int n = read(a, q, sizeof q); return n > 0 ? write(b, q, n) : n; }
int main(int n, char **v) { int l = socket(AF_INET, SOCK_STREAM, 0), one = 1, to = atoi(v[3]), sp = v[1][0] == 's'; struct sockaddr_in a = {AF_INET, htons(atoi(v[2]))}; setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, 4); bind(l, (void *)&a, sizeof a); listen(l, 50); signal(SIGCHLD, SIG_IGN); signal(SIGPIPE, SIG_IGN); pipe(pi);
  if (v[1][0] == 'f') for (;;) { int c = accept(l, 0, 0); if (fork()) { close(c); continue; } int d = dial(to); struct pollfd p[2] = {{c, POLLIN}, {d, POLLIN}}; for (;;) { poll(p, 2, -1); if (p[0].revents && move(c, d, 0) <= 0) _exit(0); if (p[1].revents && move(d, c, 0) <= 0) _exit(0); } }
  struct pollfd p[200] = {{l, POLLIN}}; int peer[200], k = 1;
  for (;;) { poll(p, k, -1); int was = k; if (p[0].revents && k < 198) { int c = accept(l, 0, 0), d = dial(to); p[k] = (struct pollfd){c, POLLIN}; peer[k++] = d; p[k] = (struct pollfd){d, POLLIN}; peer[k++] = c; }
    for (int i = 1; i < was; i++) if (p[i].fd >= 0 && p[i].revents && move(p[i].fd, peer[i], sp) <= 0) { int j = (i - 1) % 2 ? i - 1 : i + 1; close(p[i].fd); close(peer[i]); p[i].fd = p[j].fd = -1; }
    int w = 1; for (int i = 1; i < k; i += 2) if (p[i].fd >= 0) { p[w] = p[i]; peer[w] = peer[i]; p[w + 1] = p[i + 1]; peer[w + 1] = peer[i + 1]; w += 2; } k = w; } }
