/* The least an audit can do: open each small file that one host audit has to read, read it to the end, close it.
   A file that this machine does not have costs its failed open. Prints nothing. */
#include <fcntl.h>
#include <unistd.h>

#define SYS "/proc/sys/"
#define NET SYS "net/"

static const char *const files[] = {
    SYS "fs/file-max",
    SYS "fs/file-nr",
    SYS "fs/nr_open",
    SYS "kernel/osrelease",
    SYS "kernel/pid_max",
    SYS "kernel/threads-max",
    SYS "vm/max_map_count",
    NET "core/netdev_max_backlog",
    NET "core/rmem_max",
    NET "core/somaxconn",
    NET "core/wmem_max",
    NET "ipv4/ip_local_port_range",
    NET "ipv4/ip_local_reserved_ports",
    NET "ipv4/neigh/default/gc_thresh1",
    NET "ipv4/neigh/default/gc_thresh2",
    NET "ipv4/neigh/default/gc_thresh3",
    NET "ipv4/tcp_fin_timeout",
    NET "ipv4/tcp_keepalive_time",
    NET "ipv4/tcp_max_orphans",
    NET "ipv4/tcp_max_syn_backlog",
    NET "ipv4/tcp_max_tw_buckets",
    NET "ipv4/tcp_mem",
    NET "ipv4/tcp_rmem",
    NET "ipv4/tcp_syncookies",
    NET "ipv4/tcp_tw_reuse",
    NET "ipv4/tcp_wmem",
    NET "netfilter/nf_conntrack_buckets",
    NET "netfilter/nf_conntrack_count",
    NET "netfilter/nf_conntrack_max",
    NET "netfilter/nf_conntrack_tcp_timeout_established",
    "/proc/meminfo",
    "/proc/net/netstat",
    "/proc/net/snmp",
    "/proc/net/sockstat",
    "/proc/net/softnet_stat",
    "/proc/net/stat/nf_conntrack",
    "/proc/self/cgroup",
    "/proc/self/limits",
    "/proc/self/status",
};

int main(void) {
  char buffer[4096];
  for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++) {
    int file = open(files[i], O_RDONLY | O_CLOEXEC);
    if (file < 0)
      continue;
    /* A read that does not fill the buffer has met the end: /proc gives all it has. */
    while (read(file, buffer, sizeof buffer) == sizeof buffer)
      ;
    close(file);
  }
  return 0;
}
