
# How much is in use of what a sysctl limits, in $used; fails where that is not known. Going back below it would refuse
# every new one.
in_use() {
  used=
  case $1 in
    net.netfilter.nf_conntrack_max) used=$(cat /proc/sys/net/netfilter/nf_conntrack_count 2>/dev/null) ;;
    net.ipv4.tcp_max_tw_buckets) used=$(sed -n 's/^TCP:.* tw \([0-9]*\).*/\1/p' /proc/net/sockstat 2>/dev/null) ;;
    net.ipv4.tcp_max_orphans) used=$(sed -n 's/^TCP:.* orphan \([0-9]*\).*/\1/p' /proc/net/sockstat 2>/dev/null) ;;
    fs.file-max) used=$(sed 's/[[:space:]].*//' /proc/sys/fs/file-nr 2>/dev/null) ;;
    kernel.threads-max | kernel.pid_max) used=$(sed 's/.*\/\([0-9]*\) .*/\1/' /proc/loadavg 2>/dev/null) ;;
  esac
  number "$used"
}

# The highest hard limit on open files that a process has, or a unit or a login is given, in $used; fails where none is known.
highest_nofile() {
  set +f
  used=$({
    sed -n 's/^Max open files *[^ ]* *\([^ ]*\).*/\1/p' /proc/[0-9]*/limits
    sed -n 's/^[^#]*[[:space:]]nofile[[:space:]]\{1,\}\([0-9]*\).*/\1/p' /etc/security/limits.conf /etc/security/limits.d/*.conf
    if [ -d /run/systemd/system ]; then systemctl show -p LimitNOFILE --value '*.service' | grep .; fi
  } 2>/dev/null | grep -v '[^0-9]' | sort -n | tail -n 1)
  set -f
  number "$used"
}

# Whether somebody has a higher limit than anybody had when the value was saved.
raised_since() {
  highest=$(last highest "$1")
  ! number "$highest" || [ "$used" -gt "$highest" ]
}

# Scripts of other plans that are in force here, a line each: those of the same namespace, with a state beside them that is
# of this boot or kept by files.
in_force() {
  set +f
  for other in "$folder"/*.sh; do
    of=${other##*/}
    of=${of%.sh}
    [ "${of#"${of%%.*}"}" = "$space" ] || continue
    of=$folder/$of
    if [ -f "$of" ] && [ "$of" != "$state_file" ] && grep -q -e "^boot|$boot|" -e '^file|' "$of"; then
      printf '%s\n' "$other"
    fi
  done
  set -f
}

# Whether another plan found a value good when it was applied, or gave the live one; its script is in $by. One that is being
# taken back relies on nothing any more: two that rely on each other would never end.
relied_on() {
  by=$(in_force | while IFS= read -r other; do
    if ! grep -q '^undoing|' "${other%.sh}" && grep -q -e "^needs|$1|" -e "^wrote|$1|$live\$" "${other%.sh}"; then
      printf '%s\n' "$other"
    fi
  done | head -n 1)
  [ "$by" ]
}

# Whether a file of sysctls still has a line that was written here.
has_ours() {
  while IFS='|' read -r kind one two; do
    if [ "$kind" = wrote ] && grep -qxF -e "$one = $two" "$1"; then return 0; fi
  done <"$state_file"
  return 1
}

# The same, where no other plan could have given that line.
leaves_ours() { [ -z "$(in_force)" ] && has_ours "$1"; }

# Puts back a value that is still the one that was written here.
undo_value() {
  name=$1 path=$2 old=$3
  case $undone in *"|$name|"*) return 0 ;; esac
  undone="$undone$name|"
  remembered writing "$name" || return 0
  written=$(last wrote "$name")
  # Nobody knows how far an apply came that was killed.
  if [ "$(sed -n "s#^\(wr[a-z]*\)|$name|.*#\1#p" "$state_file" | tail -n 1)" = writing ]; then
    written=$(last writing "$name")
  fi
  # The kernel refused what was to be written.
  if [ "$written" = "$old" ]; then return 0; fi
  if ! look "$path"; then
    say "LEFT       $name does not exist here any more; it was ${old:-empty} before"
    return 0
  fi
  if [ "$live" = "$old" ]; then return 0; fi
  if [ "$rebooted" ] && ! grep -q '^file|/etc/sysctl.d/' "$state_file"; then
    say "settled    $name = $live: a boot took back what was written"
    return 0
  fi
  if [ "$live" != "$written" ]; then
    if relied_on "$name"; then
      say "LEFT       $name = $live: another plan changed it since; sh $by undo comes first"
      kept=1 failed=1
      return 0
    fi
    if [ "$rebooted" ]; then
      say "settled    $name = $live: a boot took back what was written"
      return 0
    fi
    say "LEFT       $name = $live: somebody changed it since ($written was written); it was ${old:-empty} before"
    failed=1
    return 0
  fi
  if relied_on "$name"; then
    say "LEFT       $name = $live: another plan relies on it; sh $by undo comes first"
    kept=1 failed=1
    return 0
  fi
  if [ "$table" ] && [ "$name" = net.netfilter.nf_conntrack_buckets ]; then
    say "LEFT       $name = $live: the table that it serves is left as large as it is"
    kept=1 failed=1
    return 0
  fi
  if [ "$name" = fs.nr_open ] && highest_nofile && [ "$used" -gt "$old" ] && raised_since "$name"; then
    say "LEFT       $name = $live: a process, a unit or a login has a limit of $used open files, and it was $old before; restart it, then undo again"
    kept=1 failed=1
    return 0
  fi
  if in_use "$name" && number "$old" && [ "$used" -ge "$old" ]; then
    case $name in net.netfilter.nf_conntrack_max) table=1 ;; esac
    kept=1
    say "LEFT       $name = $live: $used are in use, and it was $old before; undo it when they are fewer"
    failed=1
    return 0
  fi
  write "$path" "$old" || :
  look "$path" || :
  if [ "$live" = "$old" ]; then say "restored   $name = ${old:-empty}"; else
    say "LEFT       $name = $live: the kernel did not take ${old:-empty} back"
    failed=1
  fi
}

# Takes away a file that apply made, or puts back the one that was there, unless somebody changed it since.
undo_file() {
  file=$1 copy=$2 new=$1.tunecheck-new
  case $undone in *"|$file|"*) return 0 ;; esac
  undone="$undone$file|"
  case $file in
    /etc/systemd/system/*.d/*)
      name=${file#/etc/systemd/system/}
      name=${name%%.d/*} live=
      if relied_on "$name"; then
        say "LEFT       $file: another plan relies on it; sh $by undo comes first"
        failed=1
        return 0
      fi
      ;;
    /etc/modules-load.d/*)
      if [ "$(in_force)" ] && [ -e "$file" ]; then
        say "LEFT       $file: another plan may need it; take that one back first"
        failed=1
        return 0
      fi
      ;;
    /etc/sysctl.d/*)
      if [ "$copy" ] && cmp -s "$copy" "$file" && leaves_ours "$file"; then
        say "LEFT       $file: it still has lines of this plan; take them out, and undo again"
        failed=1
        return 0
      fi
      ;;
  esac
  # Put back, or taken away, by an undo before.
  if [ "$copy" ] && cmp -s "$copy" "$file"; then return 0; fi
  if [ -z "$copy" ] && [ ! -e "$file" ]; then return 0; fi
  if [ "$kept" ] && [ -e "$file" ]; then
    case $file in
      /etc/systemd/*) ;;
      *)
        say "LEFT       $file: it keeps what is left above; undo again once that is settled"
        failed=1
        return 0
        ;;
    esac
  fi
  if [ -e "$file" ] && ! is_ours "$file"; then
    case $file in
      /etc/sysctl.d/*)
        if ! has_ours "$file"; then
          say "settled    $file: nothing of this plan is in it any more"
          return 0
        fi
        kept=1
        ;;
    esac
    say "LEFT       $file: somebody changed it since${copy:+; $copy is what was there before}. Take the lines of this plan out, or the file, and undo again"
    failed=1
    return 0
  fi
  if [ -n "$copy" ]; then
    if cp -p "$copy" "$new" && mv "$new" "$file"; then
      say "restored   $file"
      if leaves_ours "$file"; then
        say "LEFT       $file: it still has lines of this plan; take them out, and undo again"
        failed=1
      fi
    else
      say "LEFT       $file: it cannot be written; $copy is what was there before"
      failed=1
    fi
  elif [ -e "$file" ]; then
    if rm -f "$file"; then say "removed    $file"; else
      say "LEFT       $file: it cannot be removed"
      failed=1
    fi
  fi
  case $file in /etc/systemd/*) reload=1 ;; esac
}

# What other plans have changed here and not taken back, with the script that can.
others() {
  left=$(in_force)
  [ "$left" ] || return 0
  while IFS= read -r other; do
    say "Another plan is in force here: sh $other undo takes it back."
  done <<LINES
$left
LINES
}

undo() {
  if [ -d "$folder" ] && [ ! -r "$folder" ]; then die "cannot read $folder: be root"; fi
  if [ ! -f "$state_file" ]; then
    say 'There is nothing to undo of this plan: apply changed nothing here, or was undone.'
    others
    [ -z "$left" ] || failed=1
    return 0
  fi
  lock
  undone='|' kept='' table='' rebooted=''
  remembered boot "$boot" || rebooted=1
  remembered undoing '' || remember 'undoing||'
  reload=
  # The last change is taken back first.
  reversed=
  while IFS= read -r line; do
    reversed="$line
$reversed"
  done <"$state_file"
  # Values before the files that keep them: what is left keeps its file.
  while IFS='|' read -r kind one two three; do
    if [ "$kind" = value ]; then undo_value "$one" "$two" "$three"; fi
  done <<LINES
$reversed
LINES
  while IFS='|' read -r kind one two _; do
    case $kind in
      file) undo_file "$one" "$two" ;;
      folder) rmdir "$one" 2>/dev/null && say "removed    $one" ;;
    esac
  done <<LINES
$reversed
LINES
  if [ "$reload" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
  if [ "$failed" -eq 0 ]; then
    set +f
    rm -f "$state_file" "$state_file.sh" "$state_file".copy.* "$state_file".ours.*
    set -f
    others
  fi
}
