/* The least that the work of a run can cost: the same system calls, with nothing made of what they give.

   limit reads            what a default audit opens, reads, looks for and dumps in an idle network namespace; to be made anew
                          with strace(1) when that changes
   limit namespaces       joins each network namespace once; there the files of a namespace and the two dumps of listeners, and
                          four files of the process that led there
   limit descriptors      asks of every process how many descriptors it has
   limit listeners        one dump of the listeners of both families
   limit established      one dump of the connections of IPv4 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYS "/proc/sys/"
#define NET SYS "net/"
#define IPV4 NET "ipv4/"
#define COUNT(list) (sizeof(list) / sizeof *(list))

enum { ESTABLISHED = 1, LISTEN = 10, MOST_NAMESPACES = 1 << 16 };

static char buffer[1 << 16];

static const char *const of_namespace[] = {
    NET "core/somaxconn",
    IPV4 "ip_local_port_range",
    IPV4 "ip_local_reserved_ports",
    IPV4 "neigh/default/gc_thresh3",
    IPV4 "tcp_abort_on_overflow",
    IPV4 "tcp_fin_timeout",
    IPV4 "tcp_keepalive_intvl",
    IPV4 "tcp_keepalive_probes",
    IPV4 "tcp_keepalive_time",
    IPV4 "tcp_max_orphans",
    IPV4 "tcp_max_syn_backlog",
    IPV4 "tcp_max_tw_buckets",
    IPV4 "tcp_mem",
    IPV4 "tcp_syncookies",
    IPV4 "tcp_timestamps",
    NET "ipv6/neigh/default/gc_thresh3",
    NET "netfilter/nf_conntrack_buckets",
    NET "netfilter/nf_conntrack_count",
    NET "netfilter/nf_conntrack_max",
    NET "netfilter/nf_conntrack_tcp_timeout_established",
    "/proc/net/netstat",
    "/proc/net/snmp",
    "/proc/net/snmp6",
    "/proc/net/sockstat",
    "/proc/net/softnet_stat",
    "/proc/net/stat/arp_cache",
    "/proc/net/stat/ndisc_cache",
    "/proc/net/stat/nf_conntrack",
};

static const char *const of_machine[] = {
    SYS "fs/file-nr",
    SYS "fs/inotify/max_user_instances",
    SYS "fs/nr_open",
    SYS "kernel/pid_max",
    SYS "kernel/random/boot_id",
    SYS "kernel/threads-max",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/self/cgroup",
    "/proc/self/limits",
    "/proc/self/mountinfo",
    "/proc/self/status",
    "/sys/devices/system/cpu/online",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/pids/pids.max",
    "/etc/sysctl.conf",
    "/etc/sysctl.d/99-sysctl.conf",
    "/etc/tuned/active_profile",
    "/run/systemd/container",
    "/usr/lib/sysctl.d/50-pid-max.conf",
    "/usr/lib/sysctl.d/99-protect-links.conf",
};
static const char *const folders[] = {"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"};
static const char *const links[] = {"/lib", "/proc/self/exe", "/proc/self/ns/net", "/proc/self/ns/pid", "/proc/self/ns/user"};
static const char *const looked_for[] = {
    "/.dockerenv",
    "/proc/sys/net/core/somaxconn",
    "/run/.containerenv",
    "/run/systemd/system",
    "/sys/fs/cgroup/pids",
    "/sys/fs/cgroup/unified",
    "/var/lib/kubelet/pods",
    "/var/run/secrets/kubernetes.io/serviceaccount",
};

/* Below /proc/sys one read has all; elsewhere only a read of nothing is the end. */
static void read_file(const char *path) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return;
  while (read(file, buffer, 4096) > 0 && strncmp(path, SYS, strlen(SYS)) != 0)
    ;
  close(file);
}

static void read_files(const char *const *paths, unsigned count) {
  for (unsigned i = 0; i < count; i++)
    read_file(paths[i]);
}

/* Receives a whole dump of TCP sockets and looks at each message's header. */
static void dump(int family, unsigned states) {
  struct {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
  } message = {
      {sizeof message, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 0, 0},
      {.sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = states},
  };
  int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  int more = netlink >= 0 && send(netlink, &message, sizeof message, 0) == sizeof message;
  while (more) {
    int length = recv(netlink, buffer, sizeof buffer, 0);
    more = length > 0;
    for (struct nlmsghdr *at = (void *)buffer; NLMSG_OK(at, length); at = NLMSG_NEXT(at, length))
      more &= at->nlmsg_type != NLMSG_DONE && at->nlmsg_type != NLMSG_ERROR;
  }
  close(netlink);
}

static void dump_both(unsigned states) {
  dump(AF_INET, states);
  dump(AF_INET6, states);
}

static int reads(void) {
  struct stat found;
  read_files(of_namespace, COUNT(of_namespace));
  read_files(of_machine, COUNT(of_machine));
  for (unsigned i = 0; i < COUNT(folders); i++) {
    int folder = open(folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (folder >= 0 && syscall(SYS_getdents64, folder, buffer, 32768) > 0)
      ;
    close(folder);
  }
  for (unsigned i = 0; i < COUNT(links); i++)
    if (readlink(links[i], buffer, 4096) < 0)
      continue;
  for (unsigned i = 0; i < COUNT(looked_for); i++)
    access(looked_for[i], F_OK);
  stat("/proc/self/fd", &found);
  dump_both(1 << LISTEN);
  return 0;
}

/* Calls for every process, with its number. */
static int each_process(void (*look)(const char *)) {
  DIR *all = opendir("/proc");
  for (struct dirent *entry; all && (entry = readdir(all));)
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
      look(entry->d_name);
  return all == NULL;
}

static void count_descriptors(const char *pid) {
  char path[64];
  struct stat found;
  snprintf(path, sizeof path, "/proc/%.16s/fd", pid);
  stat(path, &found);
}

static void join(const char *pid) {
  static const char *const of_process[] = {"limits", "status", "cgroup", "mountinfo"};
  static unsigned long seen[MOST_NAMESPACES];
  static unsigned count;
  char path[64], link[64] = "";
  snprintf(path, sizeof path, "/proc/%.16s/ns/net", pid);
  if (readlink(path, link, sizeof link - 1) < 0)
    return;
  unsigned long number = strtoul(link + strlen("net:["), NULL, 10);
  for (unsigned i = 0; i < count; i++)
    if (seen[i] == number)
      return;
  if (count == MOST_NAMESPACES)
    return;
  seen[count++] = number;
  int namespace = open(path, O_RDONLY | O_CLOEXEC);
  if (namespace < 0 || setns(namespace, CLONE_NEWNET))
    return;
  close(namespace);
  read_files(of_namespace, COUNT(of_namespace));
  dump_both(1 << LISTEN);
  for (unsigned i = 0; i < COUNT(of_process); i++) {
    snprintf(path, sizeof path, "/proc/%.16s/%s", pid, of_process[i]);
    read_file(path);
  }
}

int main(int count, char **arguments) {
  const char *work = count == 2 ? arguments[1] : "";
  if (!strcmp(work, "reads"))
    return reads();
  if (!strcmp(work, "namespaces"))
    return each_process(join);
  if (!strcmp(work, "descriptors"))
    return each_process(count_descriptors);
  if (!strcmp(work, "listeners"))
    return dump_both(1 << LISTEN), 0;
  if (!strcmp(work, "established"))
    return dump(AF_INET, 1 << ESTABLISHED), 0;
  return 2;
}
