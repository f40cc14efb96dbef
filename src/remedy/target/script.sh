
# What was there before is kept in this folder until `undo`.
folder=${TUNECHECK_STATE:-/var/lib/tunecheck}
persist=
failed=0
changed=0

usage() {
  cat <<'USAGE'
usage: sh fix.sh [plan]              show what would change; changes nothing
       sh fix.sh apply [--persist]   change it; --persist also writes the files that keep it over a reboot
       sh fix.sh check               see whether every value holds (exit 1 if one does not)
       sh fix.sh undo                put back what was there before, and take away the files that apply made
TUNECHECK_STATE names another folder than /var/lib/tunecheck for what has to be remembered until undo.
USAGE
}

# A reader that went away stops no change half-way.
say() { printf '%s\n' "$*" 2>/dev/null || :; }

die() {
  printf 'fix.sh: %s\n' "$*" >&2
  case $mode$changed in
    apply0 | save0) printf 'Nothing was changed.\n' >&2 ;;
    apply*) printf 'Stopped after %s change(s): sh fix.sh undo takes them back.\n' "$changed" >&2 ;;
  esac
  exit 1
}

number() {
  case ${1#-} in '' | *[!0-9]*) return 1 ;; esac
  [ "${#1}" -le 19 ]
}

# The live value of a sysctl, its words with one blank between them, in $live.
look() {
  live=$(cat "$1" 2>/dev/null) || return 1
  # shellcheck disable=SC2086
  set -- $live
  live=$*
}

# A list with blanks in place of its commas.
parted() { printf '%s' "$1" | sed 's/,/ /g'; }

# Whether every range of ports in $2 lies within one of $1. The kernel prints neighbouring ranges as one.
covers() {
  for wanted in $(parted "$2"); do
    found=
    for held in $(parted "$1"); do
      if [ "${held%-*}" -le "${wanted%-*}" ] && [ "${held#*-}" -ge "${wanted#*-}" ]; then found=1; fi
    done
    [ "$found" ] || return 1
  done
}

# Whether $live is as good as what is asked for: how, then the value.
holds() {
  case $1 in
    raise)
      number "$live" || die "$name is no number here: $live"
      # To conntrack 0 stands for no limit at all.
      if [ "$name" = net.netfilter.nf_conntrack_max ] && [ "$live" -eq 0 ]; then return 0; fi
      [ "$live" -ge "$2" ]
      ;;
    set) [ "$live" = "$2" ] ;;
    widen) [ "${live%% *}" -le "$2" ] && [ "${live##* }" -ge "$3" ] ;;
    add) covers "$live" "$2" ;;
  esac
}

# What to write, from $live and what is asked for, in $want. Never less than what is there.
work_out() {
  case $1 in
    raise | set) want=$2 ;;
    add) want=${live:+$live,}$2 ;;
    widen)
      low=${live%% *} high=${live##* }
      if ! number "$low" || ! number "$high"; then die "$name is no range here: $live"; fi
      if [ "$2" -lt "$low" ]; then low=$2; fi
      if [ "$3" -gt "$high" ]; then high=$3; fi
      want="$low $high"
      ;;
  esac
}

# A step: how, the sysctl, its file, the value.
step() {
  how=$1 name=$2 path=$3
  shift 3
  if ! look "$path"; then
    missing="$name does not exist here, or cannot be read (another kernel, a module that is not loaded)"
    case $mode in
      plan) say "  now      $missing"; say '' ;;
      check) say "DOES NOT   $missing" ;;
      keep | modules) return 0 ;;
      *) die "$missing" ;;
    esac
    failed=1
    return 0
  fi
  case $mode in
    save) save_value "$@" ;;
    plan)
      work_out "$how" "$@"
      if holds "$how" "$@"; then say "  now      $live: holds already"; else say "  now      ${live:-empty} -> $want"; fi
      say ''
      ;;
    apply) apply_value "$@" ;;
    check)
      if holds "$how" "$@"; then say "holds      $name = $live"; else
        say "DOES NOT   $name = ${live:-empty}, asked for $*"
        failed=1
      fi
      ;;
    # Only what was written here is kept: a value that somebody else gave is theirs to keep.
    keep) if remembered writing "$name"; then printf '%s = %s\n' "$name" "$live"; fi ;;
  esac
}

# A kernel module without which a sysctl does not exist at boot.
module() {
  if [ "$mode" = modules ] && remembered writing "$2"; then printf '%s\n' "$1"; fi
}

# The words about a step, from standard input.
about() { if [ "$mode" = plan ]; then cat; fi; }

# What undo goes back to is what was there before the last write, also where somebody changed it in between.
save_value() {
  if ! holds "$how" "$@" && [ "$(last value "$name")" != "$path|$live" ]; then
    printf 'value|%s|%s|%s\n' "$name" "$path" "$live"
  fi
}

apply_value() {
  if holds "$how" "$@"; then
    say "holds      $name = $live"
    return
  fi
  work_out "$how" "$@"
  before=$live
  remember "writing|$name|"
  # One write of the whole value: the kernel takes or refuses it at once.
  { printf '%s\n' "$want" >"$path"; } 2>/dev/null
  look "$path" || die "$name cannot be read back"
  holds "$how" "$@" || die "$name: the kernel did not take $want (it is ${live:-empty}); are you root, in the right place?"
  remember "wrote|$name|$live"
  changed=$((changed + 1))
  say "changed    $name: ${before:-empty} -> $live"
}

# The limits of a service: its unit, soft, hard. A limit that is higher already stays.
service() {
  unit=$1 soft=$2 hard=$3
  case $mode in plan | save | apply | check) ;; *) return 0 ;; esac
  state=
  if [ -d /run/systemd/system ]; then state=$(systemctl show -p LoadState --value "$unit" 2>/dev/null); fi
  if [ "$state" != loaded ]; then
    missing="$unit: systemd knows no such unit here (${state:-systemd does not run})"
    case $mode in
      plan) say "  now      $missing"; say '' ;;
      check) say "DOES NOT   $missing" ;;
      *)
        if [ "$persist" ]; then die "$missing"; fi
        if [ "$mode" = apply ]; then say "skipped    $missing"; fi
        return 0
        ;;
    esac
    failed=1
    return 0
  fi
  if [ "$mode" = save ]; then return 0; fi
  now_soft=$(systemctl show -p LimitNOFILESoft --value "$unit")
  now_hard=$(systemctl show -p LimitNOFILE --value "$unit")
  at_least "$now_soft" "$soft" && soft=$now_soft
  at_least "$now_hard" "$hard" && hard=$now_hard
  if [ "$soft:$hard" = "$now_soft:$now_hard" ]; then
    case $mode in
      plan) say "  now      $unit $now_soft:$now_hard: holds already"; say '' ;;
      *) say "holds      $unit LimitNOFILE=$now_soft:$now_hard" ;;
    esac
    return 0
  fi
  case $mode in
    plan) say "  now      $unit $now_soft:$now_hard -> $soft:$hard, with --persist"; say '' ;;
    check)
      say "DOES NOT   $unit LimitNOFILE=$now_soft:$now_hard, asked for $soft:$hard"
      failed=1
      ;;
    apply)
      if [ -z "$persist" ]; then
        say "skipped    $unit LimitNOFILE=$now_soft:$now_hard: a unit is changed by a file, with --persist"
        return 0
      fi
      file=/etc/systemd/system/$unit.d/50-tunecheck.conf
      printf '[Service]\nLimitNOFILE=%s:%s\n' "$soft" "$hard" | put "$file"
      systemctl daemon-reload || die "$unit: systemctl daemon-reload failed"
      say "changed    $unit LimitNOFILE=$soft:$hard, from its next start (systemctl restart $unit)"
      ;;
  esac
}

at_least() { [ "$1" = infinity ] || { number "$1" && [ "$1" -ge "$2" ]; }; }

# Whether something of this kind and name is in the state already.
remembered() { [ -f "$state_file" ] && grep -q "^$1|$2|" "$state_file"; }

# What the state holds last of this kind and name.
last() { if [ -f "$state_file" ]; then sed -n "s#^$1|$2|##p" "$state_file" | tail -n 1; fi; }

remember() { printf '%s\n' "$1" >>"$state_file" || die "cannot write $state_file"; }

# One run at a time. The lock of a run that was killed is taken over.
lock() {
  until mkdir "$state_file.lock" 2>/dev/null; do
    owner=$(cat "$state_file.lock/pid" 2>/dev/null) || owner=
    if [ "$owner" ] && kill -0 "$owner" 2>/dev/null; then die "another run is at work here (process $owner)"; fi
    if [ -z "$owner" ] && [ "${waited:-0}" -lt 2 ]; then
      waited=$((${waited:-0} + 1))
      sleep 1
      continue
    fi
    rm -rf "$state_file.lock" || die "cannot remove $state_file.lock"
  done
  trap 'rm -rf "$state_file.lock" "$state_file.new"; rmdir "$folder" 2>/dev/null || :' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  printf '%s\n' "$$" >"$state_file.lock/pid"
}

# Keeps what is there now, before the first write, whole or not at all, and this script, which can take it back.
save() {
  umask 077
  mkdir -p "$folder" 2>/dev/null || die "cannot make $folder: be root, or let TUNECHECK_STATE name a folder of yours"
  [ -w "$folder" ] || die "cannot write to $folder: be root, or let TUNECHECK_STATE name a folder of yours"
  lock
  mode=save
  if [ -f "$state_file" ]; then cat "$state_file"; fi >"$state_file.new" || die "cannot write $state_file.new"
  steps >>"$state_file.new" || die "cannot write $state_file.new"
  mode=apply
  mv "$state_file.new" "$state_file" || die "cannot write $state_file"
  if [ -f "$0" ] && grep -qx "id=$id" "$0"; then cp "$0" "$state_file.sh"; fi
}

# Writes standard input to a file, whole or not at all. A file that was there is kept for undo.
put() {
  file=$1
  parent=${file%/*}
  if [ ! -d "$parent" ]; then
    (umask 022 && mkdir -p "$parent") || die "cannot make $parent"
    remember "folder|$parent|"
  fi
  umask 022
  cat >"$file.tunecheck-new" || die "cannot write to $parent"
  umask 077
  if [ -e "$file" ] && cmp -s "$file" "$file.tunecheck-new"; then
    rm -f "$file.tunecheck-new"
    return 0
  fi
  # Undo goes back to what is there now, unless that is what was written here before.
  if [ ! -e "$file" ] || [ "$(cksum <"$file")" != "$(last sum "$file")" ]; then
    if [ -e "$file" ]; then
      copies=$((${copies:-0} + 1))
      copy=$state_file.copy.$$.$copies
      cp -p "$file" "$copy" || die "cannot keep a copy of $file"
      remember "file|$file|$copy"
    else
      remember "file|$file|"
    fi
  fi
  sum=$(cksum <"$file.tunecheck-new")
  remember "sum|$file|$sum"
  mv "$file.tunecheck-new" "$file" || die "cannot write $file"
  changed=$((changed + 1))
  say "wrote      $file"
}

# The lines of standard input added to what a file holds; those that it holds already are not said twice.
merged() {
  if [ -f "$1" ]; then cat "$1"; fi
  while IFS= read -r line; do
    if [ ! -f "$1" ] || ! grep -qxF -e "$line" "$1"; then printf '%s\n' "$line"; fi
  done
}

# Tells of files that are read after ours and set one of our keys to something else.
overruled() {
  set +f
  for other in /etc/sysctl.d/*.conf /run/sysctl.d/*.conf /usr/local/lib/sysctl.d/*.conf /usr/lib/sysctl.d/*.conf /etc/sysctl.conf; do
    set -f
    [ -f "$other" ] || continue
    if [ "$other" != /etc/sysctl.conf ]; then
      last=$(printf '%s\n%s\n' "${other##*/}" "${keep_file##*/}" | sort | tail -n 1)
      if [ "${other##*/}" = "${keep_file##*/}" ] || [ "$last" != "${other##*/}" ]; then continue; fi
    fi
    while IFS= read -r line; do
      key=${line%% = *} value=${line#* = }
      pattern=$(printf '%s' "$key" | sed 's/[./]/[.\/]/g')
      set_to=$(sed -n "s/^[[:space:]]*-\{0,1\}${pattern}[[:space:]]*=[[:space:]]*//p" "$other" | sed 's/[[:space:]]*$//' | tail -n 1)
      if [ -z "$set_to" ] || [ "$set_to" = "$value" ]; then continue; fi
      if [ "$other" = /etc/sysctl.conf ] && [ -d /run/systemd/system ]; then
        # systemd-sysctl does not read it, or reads it by a name that sorts before ours.
        say "but        $key: sysctl --system reads $other last and sets $set_to; change that line too"
      else
        say "NOT KEPT   $key: $other is read later and sets $set_to; change that line"
        failed=1
      fi
    done <<LINES
$kept
LINES
  done
  set -f
}

keep() {
  mode=modules
  modules=$(steps)
  mode=keep
  kept=$(steps)
  mode=apply
  if [ "$place" = namespace ]; then
    if [ "$kept" ]; then
      say 'NOT KEPT   what is set in a network namespace is lost with it: whoever makes it has to set it'
      failed=1
    fi
    return 0
  fi
  if [ "$modules" ]; then
    printf '%s\n' "$modules" | sort -u | merged /etc/modules-load.d/tunecheck.conf >"$state_file.lines"
    put /etc/modules-load.d/tunecheck.conf <"$state_file.lines"
  fi
  if [ "$kept" ]; then
    printf '%s\n' "$kept" | merged "$keep_file" >"$state_file.lines"
    put "$keep_file" <"$state_file.lines"
    overruled
  fi
  rm -f "$state_file.lines"
}

# Puts back a value that is still the one that was written here.
undo_value() {
  name=$1 path=$2 old=$3
  case $undone in *"|$name|"*) return 0 ;; esac
  undone="$undone$name|"
  remembered writing "$name" || return 0
  written=$(last wrote "$name")
  if ! look "$path"; then
    say "LEFT       $name does not exist here any more; it was ${old:-empty} before"
    return 0
  fi
  if [ "$live" = "$old" ]; then return 0; fi
  if [ -n "$written" ] && [ "$live" != "$written" ]; then
    say "LEFT       $name = $live: somebody changed it since ($written was written); it was ${old:-empty} before"
    failed=1
    return 0
  fi
  { printf '%s\n' "$old" >"$path"; } 2>/dev/null
  look "$path" || :
  if [ "$live" = "$old" ]; then say "restored   $name = ${old:-empty}"; else
    say "LEFT       $name = $live: the kernel did not take ${old:-empty} back"
    failed=1
  fi
}

# Takes away a file that apply made, or puts back the one that was there, unless somebody changed it since.
undo_file() {
  file=$1 copy=$2
  case $undone in *"|$file|"*) return 0 ;; esac
  undone="$undone$file|"
  sum=$(last sum "$file")
  if [ -e "$file" ] && [ "$(cksum <"$file")" != "$sum" ]; then
    say "LEFT       $file: somebody changed it since${copy:+; $copy is what was there before}"
    failed=1
    return 0
  fi
  if [ -n "$copy" ]; then
    if cp -p "$copy" "$file.tunecheck-new" && mv "$file.tunecheck-new" "$file"; then
      rm -f "$copy"
      say "restored   $file"
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
  set +f
  for other in "$folder"/*.sh; do
    set -f
    of=${other##*/}
    of=${of%.sh}
    # Those of the same namespace, and with a state beside them.
    if [ "${of#"${of%%.*}"}" = "$space" ] && [ -f "$folder/$of" ] && [ "$folder/$of" != "$state_file" ]; then
      say "Another plan is in force here: sh $other undo takes it back."
      failed=1
    fi
  done
  set -f
}

undo() {
  if [ -d "$folder" ] && [ ! -r "$folder" ]; then die "cannot read $folder: be root"; fi
  if [ ! -f "$state_file" ]; then
    say 'There is nothing to undo of this plan: apply changed nothing here, or was undone.'
    others
    return 0
  fi
  lock
  undone='|'
  reload=
  # The last change is taken back first.
  reversed=
  while IFS= read -r line; do
    reversed="$line
$reversed"
  done <"$state_file"
  while IFS='|' read -r kind one two three; do
    case $kind in
      value) undo_value "$one" "$two" "$three" ;;
      file) undo_file "$one" "$two" ;;
      folder) rmdir "$one" 2>/dev/null && say "removed    $one" ;;
    esac
  done <<LINES
$reversed
LINES
  if [ "$reload" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
  if [ "$failed" -eq 0 ]; then
    rm -f "$state_file" "$state_file.sh"
    others
  fi
}

# A namespace has a state of its own: another one must not be undone by it.
where() {
  space=
  state_file=$folder/$id
  if [ "$place" = namespace ]; then
    space=$(readlink /proc/self/ns/net 2>/dev/null) || die 'cannot tell which network namespace this is'
    space=${space#net:\[}
    # The number of a namespace is given again, to another one at the latest after a boot.
    space=.${space%\]}.$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
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
    plan | check | undo) [ $# -le 1 ] || { usage >&2; exit 2; } ;;
    apply)
      case $#${2:-} in 1) ;; 2--persist) persist=1 ;; *) usage >&2; exit 2 ;; esac
      ;;
    -h | --help | help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  case $mode in apply | undo) trap '' PIPE ;; esac
  where
  if [ "$count" -gt 0 ] && [ "$made_for" ] && [ "$made_for" != "$(uname -n)" ] && [ "$mode" != undo ]; then
    say "note: this was worked out for $made_for, and here is $(uname -n): ports and loads may differ"
  fi
  case $mode in
    apply)
      if [ "$count" -gt 0 ]; then
        save
        steps
        if [ "$persist" ]; then keep; fi
      fi
      ;;
    undo) undo ;;
    *) steps ;;
  esac
  if [ "$mode" = plan ]; then
    if [ "$keep_file" ]; then say "apply --persist also writes: $keep_file$persists"; fi
    notes
  fi
  case $mode$count in plan0 | apply0 | check0) say 'Nothing to do.' ;; esac
  exit "$failed"
}

main "$@"
