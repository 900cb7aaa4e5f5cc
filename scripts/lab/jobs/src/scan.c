// scan MODE FIRST LAST PAUSE_US NET: connects to ports of hosts NET.1… ; modes: one (blocking), many (non-blocking and epoll), select.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>
static int go(const char *net, int h, int p, int flags) { struct sockaddr_in a = {AF_INET, htons(p)}; char b[40]; snprintf(b, 40, "%s.%d", net, h); inet_pton(AF_INET, b, &a.sin_addr);
  int s = socket(AF_INET, SOCK_STREAM | flags, 0); if (s < 0) return -1; if (!connect(s, (void *)&a, sizeof a)) { printf("%s:%d open\n", b, p); fflush(stdout); close(s); return -1; } if (errno == EINPROGRESS) return s; close(s); return -1; }
int main(int n, char **v) { int from = atoi(v[2]), to = atoi(v[3]); long us = atol(v[4]); int ep = epoll_create1(0), live = 0;
  for (;;) for (int h = 1; h < 250; h++) for (int p = from; p <= to; p++) {
    if (!strcmp(v[1], "one")) go(v[5], h, p, 0);
    else { int s = go(v[5], h, p, SOCK_NONBLOCK);
      if (s >= 0 && v[1][0] == 's') { fd_set w; FD_ZERO(&w); FD_SET(s, &w); struct timeval t = {0, 200000}; select(s + 1, 0, &w, 0, &t); int e; socklen_t l = 4; getsockopt(s, SOL_SOCKET, SO_ERROR, &e, &l); close(s); }
      else if (s >= 0) { struct epoll_event e = {EPOLLOUT, {.fd = s}}; epoll_ctl(ep, EPOLL_CTL_ADD, s, &e); live++; }
      while (live > 100 || (live && p % 32 == 0)) { struct epoll_event e[64]; int k = epoll_wait(ep, e, 64, 300); if (k <= 0) { for (int f = 3; f < 300; f++) if (f != ep) close(f); live = 0; break; } for (int i = 0; i < k; i++) { int x; socklen_t l = 4; getsockopt(e[i].data.fd, SOL_SOCKET, SO_ERROR, &x, &l); close(e[i].data.fd); live--; } } }
    if (us) usleep(us); } }
