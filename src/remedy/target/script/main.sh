
# A namespace has a state of its own: another one must not be undone by it.
where() {
  space=
  boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null) || boot=unknown
  state_file=$folder/$id
  if [ "$place" = namespace ]; then
    space=$(readlink /proc/self/ns/net 2>/dev/null) || die 'cannot tell which network namespace this is'
    space=${space#net:\[}
    # The number of a namespace is given again, to another one, and a boot begins anew. What tells two of one number apart
    # is where the kernel keeps their netlink sockets (rtnetlink, uevent, generic), unless kptr_restrict hides that.
    space=.${space%\]}.$boot
    if [ -r /proc/net/netlink ]; then
      while read -r socket protocol owner _; do
        case $protocol/$owner in 0/0 | 15/0 | 16/0) space=$space.${socket#00000000} ;; esac
      done </proc/net/netlink
    fi
    state_file=$state_file$space
    [ ! -e /proc/sys/net/core/netdev_max_backlog ] ||
      die "this was worked out for another network namespace; here is the host's own"
  elif [ "$place" = host ] && [ ! -e /proc/sys/net/core/netdev_max_backlog ]; then
    die "this is for the host's own network namespace, and here is another one: run it on the host"
  fi
}

main() {
  set -uf
  mode=${1:-plan}
  case $mode in
    plan | check) [ $# -le 1 ] || { usage >&2; exit 2; } ;;
    undo)
      case $#${2:-} in 1) ;; 2--forget) forgets=1 ;; *) usage >&2; exit 2 ;; esac
      ;;
    apply)
      case $#${2:-} in 1) ;; 2--persist) persist=1 ;; *) usage >&2; exit 2 ;; esac
      ;;
    -h | --help | help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  case $mode in apply | undo) trap '' PIPE ;; esac
  # Whoever closed it wants to be told nothing.
  (true 3>&1) 2>/dev/null || exec >/dev/null
  where
  if [ "$count" -gt 0 ] && [ "$made_for" ] && [ "$made_for" != "$(uname -n)" ] && [ "$mode" != undo ]; then
    say "note: this was worked out for $made_for, and here is $(uname -n): ports and loads may differ"
  fi
  if [ "$count" -gt 0 ] && [ "$place" = namespace ] && [ "$made_in" ] && [ "$mode" != undo ]; then
    here=$(readlink /proc/self/ns/net)
    [ "$here" = "net:[$made_in]" ] || say "note: this was worked out for network namespace $made_in, and here is $here"
  fi
  case $mode in
    apply)
      if [ "$count" -gt 0 ]; then
        save
        steps
        if [ "$persist" ]; then keep; elif [ "$skipped" ]; then say 'Not done yet: what was skipped takes apply --persist.'; fi
        remember 'applied||'
      fi
      ;;
    undo) undo ;;
    *)
      if unfinished; then say "note: $what was not finished here: sh fix.sh undo takes back what it did, sh fix.sh apply goes on"; fi
      steps
      ;;
  esac
  if [ "$mode" = plan ]; then
    if [ "$persists" ]; then say "apply --persist also writes:$persists"; fi
    notes
  fi
  case $mode$count in plan0 | apply0 | check0) say 'Nothing to do.' ;; esac
  if [ "$untold" ] && [ ! -p /proc/self/fd/1 ]; then
    printf 'fix.sh: the output could not be written whole: is the disk full? %s change(s) were made; sh fix.sh check shows them\n' "$changed" >&2
    failed=1
  fi
  exit "$failed"
}

main "$@"
