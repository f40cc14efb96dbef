/* Something to audit, in the network namespace that this is started in. Says "ready", and holds until its standard input ends;
   then, or when it is ended itself, all that it started ends too.

   world nothing
   world processes COUNT DESCRIPTORS [listening]   so many processes beside it; the last one listens with a short queue
   world namespaces COUNT                          so many processes, each in a network namespace of its own
   world client COUNT                              so many connections, whose other ends are in another network namespace
   world server COUNT                              the other ends of such connections, and a listener with a short queue

   The ends are those of one process, as far as its hard limit on open files goes. COUNT is a multiple of sixteen, the number of ports that are called: connect() is slow where half of the ports toward one are taken. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 20000, PORTS = 16, PORT = 8000, SHORT = 5, LONG = 4096, MOST_FILES = 1 << 20, SPARE = 32 };

static pid_t started[MOST];
static int count_started;

static void stop(void) {
  for (int i = 0; i < count_started; i++)
    kill(started[i], SIGKILL);
  while (wait(NULL) > 0)
    ;
}

static void fail(const char *what) {
  fprintf(stderr, "world: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* A process that ends with this one. */
static pid_t start(void) {
  pid_t child = count_started < MOST ? fork() : -1;
  if (child < 0)
    fail("fork");
  if (child == 0) {
    count_started = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return 0;
  }
  return started[count_started++] = child;
}

static void told(int from) {
  char byte;
  if (read(from, &byte, 1) != 1)
    fail("a process of the world");
}

static void tell(int to) {
  if (write(to, "x", 1) != 1)
    fail("tell");
}

static int listening(in_addr_t address, int port, int backlog) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = address};
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (void *)&at, sizeof at) || listen(listener, backlog))
    fail("listen");
  return listener;
}

static void processes(int count, int descriptors, int listens) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC))
    fail("pipe");
  for (int i = 0; i < count; i++) {
    if (start() == 0) {
      /* As a server does, before it opens anything else. */
      if (listens && i == count - 1)
        listening(htonl(INADDR_ANY), PORT, SHORT);
      int nothing = open("/dev/null", O_RDONLY);
      while (nothing >= 0 && nothing + 1 < descriptors)
        nothing = dup(nothing);
      tell(ready[1]);
      for (;;)
        pause();
    }
    told(ready[0]);
  }
}

static void namespaces(int count) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC))
    fail("pipe");
  for (int i = 0; i < count; i++) {
    if (start() == 0) {
      if (unshare(CLONE_NEWNET))
        fail("unshare");
      tell(ready[1]);
      for (;;)
        pause();
    }
    told(ready[0]);
  }
}

/* Does its part of the work in this process, and what goes beyond its limit on open files in others. */
static void shared(int count, void (*work)(int)) {
  struct rlimit files;
  int ready[2];
  if (getrlimit(RLIMIT_NOFILE, &files) || pipe2(ready, O_CLOEXEC))
    fail("limits");
  files.rlim_cur = files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files))
    fail("limits");
  int room = files.rlim_max > MOST_FILES ? MOST_FILES : (int)files.rlim_max;
  int most = (room - SPARE) / PORTS * PORTS;
  int own = count < most ? count : most;
  for (int rest = count - own; rest > 0; rest -= most) {
    if (start() == 0) {
      work(rest < most ? rest : most);
      tell(ready[1]);
      for (;;)
        pause();
    }
  }
  work(own);
  for (int rest = count - own; rest > 0; rest -= most)
    told(ready[0]);
}

static int listeners[PORTS];
static in_addr_t called;

static void take(int count) {
  for (int i = 0; i < count; i++)
    if (accept4(listeners[i % PORTS], NULL, NULL, SOCK_CLOEXEC) < 0)
      fail("accept");
}

static void call(int count) {
  for (int i = 0; i < count; i++) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT + i % PORTS), .sin_addr.s_addr = called};
    int end = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (end < 0 || connect(end, (void *)&to, sizeof to))
      fail("connect");
  }
}

/* Accepts until every end is there. */
static void serve(int count, in_addr_t address, int ready) {
  listening(address, PORT + PORTS, SHORT);
  for (int i = 0; i < PORTS; i++)
    listeners[i] = listening(address, PORT + i, LONG);
  tell(ready);
  shared(count, take);
}

static void use(int count, in_addr_t address) {
  called = address;
  shared(count, call);
}

static void run(const char *form, int number) {
  char command[256];
  snprintf(command, sizeof command, form, number);
  if (system(command) != 0)
    fail(command);
}

static void connections(int count, int serves) {
  int there[2], here[2];
  if (pipe2(there, O_CLOEXEC) || pipe2(here, O_CLOEXEC))
    fail("pipe");
  in_addr_t own = inet_addr("10.99.0.1"), other = inet_addr("10.99.0.2");
  pid_t beside = start();
  if (beside == 0) {
    if (unshare(CLONE_NEWNET))
      fail("unshare");
    tell(there[1]);
    told(here[0]);
    run("ip link set lo up && ip addr add 10.99.0.2/24 dev far && ip link set far up", 0);
    if (serves) {
      tell(there[1]);
      told(here[0]);
      use(count, own);
    } else {
      serve(count, other, there[1]);
    }
    tell(there[1]);
    for (;;)
      pause();
  }
  told(there[0]);
  run("ip link add near type veth peer name far netns %d && ip link set lo up && ip addr add 10.99.0.1/24 dev near && ip link "
      "set near up", beside);
  tell(here[1]);
  told(there[0]);
  if (serves)
    serve(count, own, here[1]);
  else
    use(count, other);
  told(there[0]);
}

int main(int count, char **arguments) {
  const char *kind = count > 1 ? arguments[1] : "";
  int number = count > 2 ? atoi(arguments[2]) : 0;
  char byte;
  atexit(stop);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!strcmp(kind, "processes") && count > 3)
    processes(number, atoi(arguments[3]), count > 4);
  else if (!strcmp(kind, "namespaces"))
    namespaces(number);
  else if (!strcmp(kind, "client") || !strcmp(kind, "server"))
    connections(number, !strcmp(kind, "server"));
  else if (strcmp(kind, "nothing"))
    return 2;
  puts("ready");
  fflush(stdout);
  while (read(STDIN_FILENO, &byte, 1) > 0)
    ;
  return 0;
}
