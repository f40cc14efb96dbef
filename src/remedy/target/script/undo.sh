
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

# Whether a value was to be written, and nobody knows whether it was.
is_pending() { [ "$(sed -n "s#^\(wr[a-z]*\)|$1|.*#\1#p" "$state_file" | tail -n 1)" = writing ]; }

# Whether $live is what the kernel makes of a value that is written: it sorts a list, and rounds a table up.
is_made_of() {
  [ "$live" != "$1" ] || return 0
  case $live$1 in
    *[!0-9,-]*) false ;;
    *[,-]*) covers "$live" "$1" && covers "$1" "$live" ;;
    *) [ "$name" = net.netfilter.nf_conntrack_buckets ] && number "$1" && [ "$live" -ge "$1" ] && [ "$live" -lt $(($1 + 1024)) ] ;;
  esac
}

# Says what is left, and that undo is not done. What only whoever changed it can settle may be forgotten.
left() {
  say "LEFT       $*"
  failed=1
}

# The folder of the state is guarded; nevertheless nothing is written but what this script could have written.
damaged() { die "$state_file names $1, which no script of this kind writes: nothing more is taken back"; }

# Puts back a value that is still the one that was written here.
undo_value() {
  name=$1 path=$2 old=$3
  case $undone in *"|$name|"*) return 0 ;; esac
  undone="$undone$name|"
  remembered writing "$name" || return 0
  case $path in */../* | */./*) damaged "$path" ;; /proc/sys/*) ;; *) damaged "$path" ;; esac
  written=$(last wrote "$name")
  # The kernel refused what was to be written.
  if [ "$written" = "$old" ] && ! is_pending "$name"; then return 0; fi
  if ! look "$path"; then
    say "LEFT       $name does not exist here any more; it was ${old:-empty} before"
    return 0
  fi
  if [ "$live" = "$old" ]; then return 0; fi
  # Nobody knows how far an apply came that was killed.
  if is_pending "$name"; then
    written=$(last writing "$name")
    if is_made_of "$written"; then written=$live; fi
  fi
  if [ "$rebooted" ] && ! is_kept "$name"; then
    if [ "$live" = "$written" ]; then
      say "settled    $name = $live: a boot took back what was written, and somebody else set the same since: it is theirs"
    else
      say "settled    $name = $live: a boot took back what was written"
    fi
    return 0
  fi
  if [ "$live" != "$written" ]; then
    if relied_on "$name"; then
      left "$name = $live: another plan changed it since; sh $by undo comes first"
      kept=1
      return 0
    fi
    if [ "$rebooted" ]; then
      say "settled    $name = $live: somebody set it since the boot ($written was kept)"
      return 0
    fi
    left "$name = $live: somebody changed it since ($written was written); it was ${old:-empty} before. Set that, or leave it for good with sh fix.sh undo --forget"
    return 0
  fi
  if relied_on "$name"; then
    left "$name = $live: another plan relies on it; sh $by undo comes first"
    kept=1
    return 0
  fi
  if [ "$table" ] && [ "$name" = net.netfilter.nf_conntrack_buckets ]; then
    left "$name = $live: the table that it serves is left as large as it is"
    kept=1
    return 0
  fi
  if [ "$name" = fs.nr_open ] && highest_nofile && [ "$used" -gt "$old" ] && raised_since "$name"; then
    left "$name = $live: a process, a unit or a login has a limit of $used open files, and it was $old before; restart it, then undo again"
    kept=1
    return 0
  fi
  if in_use "$name" && number "$old" && [ "$used" -ge "$old" ]; then
    case $name in net.netfilter.nf_conntrack_max) table=1 ;; esac
    kept=1
    left "$name = $live: $used are in use, and it was $old before; undo it when they are fewer"
    return 0
  fi
  write "$path" "$old" || :
  look "$path" || :
  if [ "$live" = "$old" ]; then say "restored   $name = ${old:-empty}"; else
    left "$name = $live: the kernel did not take ${old:-empty} back"
  fi
}

# Takes away a file that apply made, or puts back the one that was there, unless somebody changed it since.
undo_file() {
  file=$1 copy=$2
  case $copy in '' | "$state_file.copy."*) ;; *) damaged "$copy" ;; esac
  case $undone in *"|$file|"*) return 0 ;; esac
  undone="$undone$file|"
  case $file in
    /etc/systemd/system/*.d/*.conf)
      # Also where a run before took the file back, and was killed before it could say so.
      reload=1
      name=${file#/etc/systemd/system/}
      name=${name%%.d/*} live=
      if relied_on "$name"; then
        left "$file: another plan relies on it; sh $by undo comes first"
        return 0
      fi
      ;;
    /etc/modules-load.d/tunecheck.conf)
      if [ "$(in_force)" ] && [ -e "$file" ]; then
        left "$file: another plan may need it; take that one back first"
        return 0
      fi
      ;;
    /etc/sysctl.d/*.conf)
      if [ "$copy" ] && cmp -s "$copy" "$file" && leaves_ours "$file"; then
        left "$file: it still has lines of this plan; take them out, and undo again"
        return 0
      fi
      ;;
    *) damaged "$file" ;;
  esac
  # Put back, or taken away, by an undo before.
  if [ "$copy" ] && cmp -s "$copy" "$file"; then return 0; fi
  if [ -z "$copy" ] && [ ! -e "$file" ] && [ ! -L "$file" ]; then return 0; fi
  if [ -L "$file" ]; then
    left "$file: somebody made it a link${copy:+; $copy is what was there before}. Take the lines of this plan out where it leads, or the link away, and undo again"
    return 0
  fi
  if [ "$kept" ] && [ -e "$file" ]; then
    case $file in
      /etc/systemd/*) ;;
      *)
        left "$file: it keeps what is left above; undo again once that is settled"
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
    left "$file: somebody changed it since${copy:+; $copy is what was there before}. Take the lines of this plan out, or the file, and undo again"
    return 0
  fi
  if [ -n "$copy" ]; then
    if [ -f "$copy" ] && replace "$file" "$copy" "$copy"; then
      say "restored   $file"
      if leaves_ours "$file"; then left "$file: it still has lines of this plan; take them out, and undo again"; fi
    else
      left "$file: it cannot be written (is the disk full, or read-only?); $copy is what was there before"
    fi
  elif rm -f "$file" 2>/dev/null; then say "removed    $file"; else
    left "$file: it cannot be removed (is it read-only?)"
  fi
}

# What other plans have changed here and not taken back, with the script that can.
others() {
  force=$(in_force)
  [ "$force" ] || return 0
  while IFS= read -r other; do
    say "Another plan is in force here: sh $other undo takes it back."
  done <<LINES
$force
LINES
}

# Takes back a line of the state. Values come before the files that keep them, as what is left keeps its file, and files
# before their folders.
undo_line() {
  kind=${2%%|*} about=${2#*|}
  one=${about%%|*} about=${about#*|}
  case $1$kind in
    1value) undo_value "$one" "${about%%|*}" "${about#*|}" ;;
    2file) undo_file "$one" "${about%%|*}" ;;
    3folder) if rmdir "$one" 2>/dev/null; then say "removed    $one"; fi ;;
  esac
}

undo() {
  if [ -d "$folder" ] && [ ! -r "$folder" ]; then die "cannot read $folder: be root"; fi
  # One that was never finished.
  if ! has_folder; then rm -rf "$folder.tunecheck-new" 2>/dev/null; fi
  if ! lock || [ ! -f "$state_file" ]; then
    say 'There is nothing to undo of this plan: apply changed nothing here, or was undone.'
    force=
    if [ -d "$folder" ]; then others; fi
    [ -z "$force" ] || failed=1
    return 0
  fi
  undone='|' kept='' table='' rebooted='' reload=''
  remembered boot "$boot" || rebooted=1
  # Others need not know on a full disk, where taking back is possible all the same.
  { printf 'undoing||\n' >>"$state_file"; } 2>/dev/null || :
  # The last change is taken back first. In words of this shell: a full disk has no room for them.
  lines=$(sed '1!G;h;$!d' "$state_file")
  [ "$lines" ] || die "cannot read $state_file"
  for pass in 1 2 3; do
    words=$IFS
    IFS='
'
    # shellcheck disable=SC2086
    set -- $lines
    IFS=$words
    for line; do undo_line "$pass" "$line"; done
  done
  if [ "$reload" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload || left 'systemctl daemon-reload failed: undo again'; fi
  if [ "$forgets" ] && [ "$failed" -ne 0 ]; then
    say 'What is left above is forgotten: it stays as it is.'
    failed=0
  fi
  if [ "$failed" -eq 0 ]; then
    forget
    others
  fi
}
