/* peak PROGRAM [ARGUMENT...]: runs it to its end with its output thrown away, and prints its peak memory in KiB.
   In C because a child starts out with the peak of its parent's memory, and this program's is small. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **arguments) {
  int status;
  struct rusage usage;
  pid_t child = count > 1 ? fork() : -1;
  if (child == 0) {
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0)
      execv(arguments[1], arguments + 1);
    _exit(127);
  }
  if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0)
    return 1;
  printf("%ld\n", usage.ru_maxrss);
  return 0;
}
