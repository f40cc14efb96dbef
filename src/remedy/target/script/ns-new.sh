
# What was there before is kept in this folder until `undo`.
folder=${TUNECHECK_STATE:-/var/lib/tunecheck}
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
persist=
forgets=
lost=
also=
skipped=
failed=0
changed=0

usage() {
  cat <<'USAGE'
usage: sh fix.sh [plan]              show what would change; changes nothing
       sh fix.sh apply [--persist]   change it; --persist also writes the files that keep it over a reboot
       sh fix.sh check               see whether every value holds (exit 1 if one does not)
       sh fix.sh undo [--forget]     put back what was there before, and take away the files that apply made; --forget
                                     leaves for good what somebody else changed since
A run that was ended half-way, by a kill or a power cut: undo goes back to before it, the same apply to its end.
TUNECHECK_STATE names another folder than /var/lib/tunecheck for what has to be remembered until undo.
USAGE
}

# A reader that went away stops no change half-way.
say() { printf '%s\n' "$*" 2>/dev/null || :; }

die() {
  printf 'fix.sh: %s\n' "$*" >&2
  case $mode$changed in
    apply0 | save0) printf 'Nothing was changed.\n' >&2 ;;
    apply* | keep*) printf 'Stopped after %s change(s): sh fix.sh undo takes them back.\n' "$changed" >&2 ;;
  esac
  exit 1
}

number() {
  case ${1#-} in '' | *[!0-9]*) return 1 ;; esac
  [ "${#1}" -le 19 ]
}

# The live value of a sysctl, its words with one blank between them, in $live. A long list is whole in one read alone: a
# second one is told that nothing is left.
look() {
  live=$(dd if="$1" bs=262144 count=1 2>/dev/null) || return 1
  # shellcheck disable=SC2086
  set -- $live
  live=$*
}

# Writes a value to a sysctl. The pieces in which a shell writes a long one would be taken for lists of their own, and end
# within a number.
write() {
  if [ "${#2}" -lt 1000 ]; then
    { printf '%s\n' "$2" >"$1"; } 2>/dev/null
  else
    { printf '%s\n' "$2" >"$state_file.text"; } 2>/dev/null && dd if="$state_file.text" of="$1" bs=262144 2>/dev/null
  fi
}

# Whether every port of the list $2 is in the list $1. The kernel prints neighbours as one range.
covers() {
  printf '%s\n' "$1" "$2" | awk -F , '
    { for (i = 1; i <= NF; i++) {
        split($i, end, "-")
        for (port = end[1]; port <= (end[2] == "" ? end[1] : end[2]); port++)
          if (NR == 1) held[port + 0] = 1; else if (!((port + 0) in held)) exit missing = 1
    } }
    END { exit missing }'
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
      keep) return 0 ;;
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
    keep) keep_value "$@" ;;
  esac
}

# A kernel module without which a sysctl does not exist at boot.
module() {
  if [ "$mode" = keep ] && remembered writing "$2"; then
    printf '%s\n' "$1" >>"$state_file.modules" || die "cannot write $state_file.modules"
  fi
}

# A step about what every network namespace has of its own: no file keeps that for another one than the host's.
own() {
  lost=1
  "$@"
  lost=
}

# A step about a sysctl that goes by other names as well: a line for one of them is a line for it.
known_as() {
  also=$1
  shift
  "$@"
  also=
}

# The words about a step, from standard input.
about() { if [ "$mode" = plan ]; then cat; fi; }

# What undo goes back to is what was there before the last write, also where somebody changed it in between.
save_value() {
  if holds "$how" "$@"; then
    # Another plan may have given it: its undo asks whether somebody relies on it.
    if ! remembered needs "$name"; then saved "needs|$name|"; fi
  elif [ "$(last value "$name")" != "$path|$live" ]; then
    saved "value|$name|$path|$live"
    # Undo asks whether somebody was given a higher limit since.
    if [ "$name" = fs.nr_open ] && highest_nofile; then saved "highest|$name|$used"; fi
  fi
}

apply_value() {
  if holds "$how" "$@"; then
    # By a run that was killed before it could say so.
    if is_pending "$name" && is_made_of "$(last writing "$name")"; then remember "wrote|$name|$live"; fi
    say "holds      $name = $live"
    return
  fi
  work_out "$how" "$@"
  before=$live
  remember "writing|$name|$want"
  write "$path" "$want" || :
  look "$path" || die "$name cannot be read back"
  remember "wrote|$name|$live"
  holds "$how" "$@" || die "$name: the kernel did not take $want (it is ${live:-empty}); are you root, in the right place?"
  if [ "$how" = add ] && ! covers "$live" "$before"; then die "$name lost entries: it was $before and is $live"; fi
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
  now_soft=$(systemctl show -p LimitNOFILESoft --value "$unit")
  now_hard=$(systemctl show -p LimitNOFILE --value "$unit")
  at_least "$now_soft" "$soft" && soft=$now_soft
  at_least "$now_hard" "$hard" && hard=$now_hard
  if [ "$soft:$hard" = "$now_soft:$now_hard" ]; then
    case $mode in
      save) if ! remembered needs "$unit"; then saved "needs|$unit|"; fi ;;
      plan) say "  now      $unit $now_soft:$now_hard: holds already"; say '' ;;
      check) running ;;
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
        skipped=1
        return 0
      fi
      file=/etc/systemd/system/$unit.d/50-tunecheck.conf
      { printf '[Service]\nLimitNOFILE=%s:%s\n' "$soft" "$hard" >"$state_file.text"; } 2>/dev/null || die "cannot write $state_file.text"
      put "$file"
      systemctl daemon-reload || die "$unit: systemctl daemon-reload failed"
      now_soft=$(systemctl show -p LimitNOFILESoft --value "$unit")
      now_hard=$(systemctl show -p LimitNOFILE --value "$unit")
      if at_least "$now_soft" "$soft" && at_least "$now_hard" "$hard"; then
        say "changed    $unit LimitNOFILE=$soft:$hard, from its next start (systemctl restart $unit)"
      else
        die "$unit: another drop-in is read later and sets $now_soft:$now_hard (systemctl cat $unit)"
      fi
      ;;
  esac
}

# Whether the process of a unit that is configured well has those limits too.
running() {
  pid=$(systemctl show -p MainPID --value "$unit")
  # shellcheck disable=SC2046
  set -- $(sed -n 's/^Max open files *\([^ ]*\) *\([^ ]*\).*/\1 \2/p' "/proc/${pid:-0}/limits" 2>/dev/null)
  if [ $# -eq 2 ] && { ! at_least "$1" "$soft" || ! at_least "$2" "$hard"; }; then
    say "DOES NOT   $unit: its process $pid still has $1:$2; systemctl restart $unit"
    failed=1
  else
    say "holds      $unit LimitNOFILE=$now_soft:$now_hard"
  fi
}

# No limit goes by three names; the last is the number that stands for it.
at_least() { [ "$1" = infinity ] || [ "$1" = 18446744073709551615 ] || [ "$1" = unlimited ] || { number "$1" && [ "$1" -ge "$2" ]; }; }

# Whether nobody but root and the caller can change what is at a path: each folder on the way belongs to one of them, and
# nobody else may write there, unless only the owner of an entry may take it away, as in /tmp; what is there belongs to one
# of them as well, and is no link. Where it fails, $why says so.
is_guarded() {
  self=$(id -u) at='' rest=${1#/} open=''
  while :; do
    # A link is followed only where nobody else can have made it.
    if [ "$open" ]; then look_at=$at; else look_at=$at/.; fi
    # shellcheck disable=SC2046
    set -- $(ls -ldn "$look_at" 2>/dev/null)
    case ${1:-} in
      d*) ;;
      l*) why="$at is a link where others can write"; return 1 ;;
      *) why="$at is no folder, or cannot be read"; return 1 ;;
    esac
    case $3 in 0 | "$self") ;; *) why="${at:-/} belongs to user $3"; return 1 ;; esac
    case $1 in
      ????????w[tT]* | ?????w???[tT]*) open=1 ;;
      ????????w*) why="others can write to ${at:-/}"; return 1 ;;
      ?????w*)
        [ "$4" = 0 ] || { why="group $4 can write to ${at:-/}"; return 1; }
        open=
        ;;
      *) open= ;;
    esac
    [ "$rest" ] || return 0
    at=$at/${rest%%/*}
    case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
  done
}

unguarded() {
  die "the state in $folder is not trusted: $why. Let TUNECHECK_STATE name a folder in one where only root or you can write"
}

# Whether the folder is there, and what is in it is what was written here; stops where somebody else could have done that.
has_folder() {
  while case $folder in ?*/) ;; *) false ;; esac do folder=${folder%/}; done
  above=${folder%/*}
  if [ ! -d "$above/" ]; then return 1; fi
  is_guarded "$above" || unguarded
  # By the path without links, so that none is followed later.
  above=$(cd -P "$above/" && pwd -P) || die "cannot enter $above"
  above=${above%/}
  folder=$above/${folder##*/}
  state_file=$folder/$id$space
  is_guarded "${above:-/}" || unguarded
  if [ -L "$folder" ]; then why="$folder is a link" && unguarded; fi
  if [ ! -e "$folder" ]; then return 1; fi
  is_guarded "$folder" || unguarded
  # shellcheck disable=SC2046
  set -- $(ls -ldn "$folder")
  case $1 in drwx------*) ;; *) why="its mode is $1 and not drwx------ (chmod 700)" && unguarded ;; esac
}

# The folder under the name that it has while it is made and taken away: it has its own one while it is whole.
make_folder() {
  if [ ! -d "$above/" ] || [ ! -w "$above/" ]; then
    die "cannot make $folder: be root, or let TUNECHECK_STATE name a folder of yours"
  fi
  if [ ! -d "$folder.tunecheck-new" ]; then mkdir -m 700 "$folder.tunecheck-new" 2>/dev/null; fi
  is_guarded "$folder.tunecheck-new" || unguarded
  # A folder of somebody's is not taken away with the last state.
  { : >"$folder.tunecheck-new/.made"; } 2>/dev/null || die "cannot write to $folder: is the disk full?"
  mv "$folder.tunecheck-new" "$folder" 2>/dev/null
  # Another run was faster, and this one moved into it.
  rm -rf "$folder/${folder##*/}.tunecheck-new"
}

# When a process that still runs began, in ticks since boot; its number is given again to another one.
began() { sed -n 's/.*) [^ZX] //p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 19; }

# One run at a time, of whatever plan: another one may change the same value or file. Each leaves its name, which no other
# process ever has, and then looks for others: of two, at least one sees the other. Fails if there is no folder.
lock() {
  me=$$.$(began $$).$boot
  attempt=0
  until [ -e "$folder/lock.$me" ]; do
    [ "$attempt" -lt 5 ] || die "cannot write to $folder: is the disk full, or read-only?"
    attempt=$((attempt + 1))
    if ! has_folder; then
      [ "$mode" = apply ] || return 1
      make_folder
    fi
    [ -w "$folder" ] || die "cannot write to $folder: be root, or let TUNECHECK_STATE name a folder of yours"
    trap leave EXIT
    { : >"$folder/lock.$me"; } 2>/dev/null || continue
    set +f
    for other in "$folder"/lock.*; do
      of=${other##*/lock.} pid=${other##*/lock.}
      pid=${pid%%.*}
      if [ "$of" = "$me" ]; then continue; fi
      if [ "$of" = "$pid.$(began "$pid").$boot" ]; then
        trap - EXIT
        rm -f "$folder/lock.$me"
        die "another run is at work here (process $pid): wait until it has ended"
      fi
      rm -f "$other"
    done
    set -f
  done
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  clear
  mend
}

# Takes away what a run keeps only while it runs, its own or that of one that was killed.
clear() {
  set +f
  rm -rf "$folder.tunecheck-new" "$folder"/*.new "$folder"/*.text "$folder"/*.lines "$folder"/*.modules "$folder"/*.files "$folder"/*.room
  set -f
  if [ ! -f "$state_file" ]; then forget; fi
}

# A last line that the disk had no room for, or that a kill cut off, was never acted upon.
mend() {
  if [ -f "$state_file" ] && [ "$(tail -c 1 "$state_file")" ]; then
    dd if=/dev/null of="$state_file" bs=1 seek="$(sed '$d' "$state_file" | wc -c)" 2>/dev/null || die "cannot write $state_file"
  fi
  for new in $(files); do rm -f "$new.tunecheck-new"; done
  new=
}

# The files that this plan has written, or meant to.
files() { if [ -f "$state_file" ]; then sed -n 's/^file|\([^|]*\)|.*/\1/p' "$state_file"; fi; }

# The state goes first: what is left of it without that means nothing.
forget() {
  rm -f "$state_file"
  set +f
  rm -f "$state_file.sh" "$state_file".copy.* "$state_file".ours.*
  set -f
}

# At the end, however it comes.
leave() {
  clear
  if [ "$(ls -A "$folder" 2>/dev/null)" = ".made
lock.$me" ]; then
    mv "$folder" "$folder.tunecheck-new" && rm -rf "$folder.tunecheck-new"
  else
    rm -f "$folder/lock.$me"
  fi
}

# Whether something of this kind and name is in the state already.
remembered() { [ -f "$state_file" ] && grep -q "^$1|$2|" "$state_file"; }

# What the state holds last of this kind and name.
last() { if [ -f "$state_file" ]; then sed -n "s#^$1|$2|##p" "$state_file" | tail -n 1; fi; }

# Before what it is about is done: whatever ends this run, undo knows of it.
remember() {
  { printf '%s\n' "$1" >>"$state_file"; } 2>/dev/null || die "cannot write $state_file: is the disk full?"
}

# Sees to it that it is on the disk, for a machine that loses its power.
on_disk() { sync "$@" 2>/dev/null || sync; }

# Whether an apply or an undo of this plan did not come to its end.
unfinished() {
  [ -r "$state_file" ] && case $(grep -e '^applying|' -e '^applied|' -e '^undoing|' "$state_file" | tail -n 1) in
    applying*) what='an apply' ;;
    undoing*) what='an undo' ;;
    *) false ;;
  esac
}

# Whether a file that was written here still keeps a sysctl over a boot.
is_kept() {
  for kept_by in $(files); do
    case $kept_by in
      /etc/sysctl.d/*) if [ -f "$kept_by" ] && grep -q "^$1 = " "$kept_by"; then return 0; fi ;;
    esac
  done
  return 1
}

# The state that an apply goes on from, without what a boot has taken back: whoever gave such a value since is not this plan.
carried() {
  [ -f "$state_file" ] || return 0
  if remembered boot "$boot"; then
    sed -e '/^boot|/d' -e '/^undoing|/d' -e '/^appl/d' "$state_file"
    return
  fi
  while IFS= read -r line; do
    one=${line#*|}
    one=${one%%|*}
    case ${line%%|*} in
      value | writing | wrote | highest) is_kept "$one" || continue ;;
      file | ours | folder) ;;
      *) continue ;;
    esac
    printf '%s\n' "$line" || return 1
  done <"$state_file"
}

# Keeps what is there now, before the first write, whole or not at all, and this script, which can take it back.
save() {
  umask 077
  # Without them no file could be merged, and one that is there would lose its lines.
  for tool in awk sort sed grep cmp; do
    command -v "$tool" >/dev/null 2>&1 || die "there is no $tool here"
  done
  if [ "$persist" ]; then for file in $persists; do is_writable "$file"; done; fi
  lock
  if unfinished; then say "note: $what was not finished here, and is taken up"; fi
  mode=save
  if [ -f "$0" ] && grep -qx "id=$id" "$0"; then
    { cp "$0" "$state_file.new" && cmp -s "$0" "$state_file.new" && mv "$state_file.new" "$state_file.sh"; } 2>/dev/null ||
      die "cannot keep this script in $folder: is the disk full?"
  fi
  { carried && printf 'boot|%s|\napplying||\n' "$boot"; } 2>/dev/null >"$state_file.new" || die "cannot write to $folder: is the disk full?"
  steps >>"$state_file.new"
  # What is remembered later, and copies of files, have room too.
  {
    for file in "$state_file.new" $persists; do
      if [ -f "$file" ]; then cat "$file" "$file" "$file" "$file" || break; fi
    done && dd if=/dev/zero bs=4096 count=4
  } 2>/dev/null >"$state_file.room" || die "cannot write to $folder: is the disk full?"
  rm -f "$state_file.room"
  set +f
  on_disk "$state_file"*
  set -f
  mv "$state_file.new" "$state_file" || die "cannot write $state_file"
  on_disk "$folder"
  mode=apply
}

# A line of the state that is being saved.
saved() { printf '%s\n' "$1" 2>/dev/null || die "cannot write to $folder: is the disk full?"; }

# Whether a file is still as it was written here.
is_ours() {
  ours=$(last ours "$1")
  [ "$ours" ] && cmp -s "$1" "$ours"
}

# Stops where a file could not be written.
is_writable() {
  [ ! -L "$1" ] || die "$1 is a link, and is not written over: keep the lines where it leads, or remove it"
  there=${1%/*}
  while [ ! -e "${there:-/}" ]; do there=${there%/*}; done
  [ -w "${there:-/}" ] || die "cannot write to ${there:-/}: be root; is it read-only?"
}

# Makes a folder, and those above it.
make() {
  if [ -d "$1" ]; then return 0; fi
  if [ ! -d "${1%/*}/" ]; then (make "${1%/*}") || exit 1; fi
  remember "folder|$1|"
  (umask 022 && mkdir "$1") 2>/dev/null || die "cannot make $1"
}

# A name for a copy that no copy has.
copy_name() {
  number=1
  while [ -e "$state_file.$1.$number" ]; do number=$((number + 1)); done
  copy=$state_file.$1.$number
}

# Writes $state_file.text to a file, whole or not at all. A file that was there is kept for undo.
put() {
  file=$1
  is_writable "$file"
  if [ -e "$file" ] && cmp -s "$file" "$state_file.text"; then return 0; fi
  # Undo goes back to what is there now, unless that is what was written here before.
  if [ ! -e "$file" ]; then
    remember "file|$file|"
  elif ! is_ours "$file"; then
    copy_name copy
    { cp -p "$file" "$copy" && cmp -s "$file" "$copy"; } 2>/dev/null || die "cannot keep a copy of $file: is the disk full?"
    remember "file|$file|$copy"
  fi
  copy_name ours
  { cp "$state_file.text" "$copy" && cmp -s "$state_file.text" "$copy"; } 2>/dev/null ||
    die "cannot keep a copy of what is written to $file: is the disk full?"
  remember "ours|$file|$copy"
  set +f
  on_disk "$state_file"* "$folder"
  set -f
  make "${file%/*}"
  replace "$file" "$state_file.text" || die "cannot write $file: is the disk full, or read-only?"
  changed=$((changed + 1))
  say "wrote      $file"
}

# Puts the text of $2 in the place of a file, at once. It has the owner and the mode of $3, or else of the file that is there.
replace() {
  new=$1.tunecheck-new
  like=${3:-$1}
  rm -f "$new"
  if [ -e "$like" ]; then cp -p "$like" "$new" 2>/dev/null; else (umask 022 && set -C && : >"$new") 2>/dev/null; fi &&
    if [ -z "${3:-}" ]; then { cat "$2" >"$new"; } 2>/dev/null; fi &&
    cmp -s "$2" "$new" && on_disk "$new" && mv "$new" "$1" 2>/dev/null && on_disk "${1%/*}" && return 0
  rm -f "$new"
  return 1
}

# Every file that sets sysctls at boot, in the order of sysctl.d(5): by name over all folders, a name in an earlier folder
# hides the same one in a later one, and a link to /dev/null masks it.
boot_files() {
  {
    set +f
    for from in /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d /lib/sysctl.d; do
      for other in "$from"/*.conf "$from"/.*.conf; do
        # systemd passes over a name that begins with a dot.
        case ${other##*/} in .*) [ ! -d /run/systemd/system ] || continue ;; esac
        # Behind the name, which no slash is in, the path.
        if [ -e "$other" ] || [ -L "$other" ]; then printf '%s/%s\n' "${other##*/}" "$other"; fi
      done
    done
    set -f
  } | awk -F / '!seen[$1]++' | sort -t / -k 1,1 | sed 's#^[^/]*/##'
  # Only sysctl --system reads it: systemd-sysctl does not, or by a name that is in the list above.
  if [ ! -d /run/systemd/system ]; then printf '%s\n' /etc/sysctl.conf; fi
}

# The value that a file gives a sysctl under the first name or one of the others, in $live; fails if it gives none.
set_by() {
  read_file=$1
  shift
  [ -f "$read_file" ] || return 1
  commands=
  for known in "$@"; do
    pattern=$(printf '%s' "$known" | sed 's/[./]/[.\/]/g')
    commands="$commands
s/^[[:space:]]*-\{0,1\}[[:space:]]*[.\/]*${pattern}[[:space:]]*=[[:space:]]*//p"
  done
  live=$(sed -n "$commands" "$read_file" | tail -n 1)
  # shellcheck disable=SC2086
  set -- $live
  # The kernel takes as many numbers as there are, each up to a blank; what stands behind them is left alone.
  case $how in
    raise) live=${1:-} ;;
    widen) live=${1:-}${2:+ $2} ;;
    *) live=$* ;;
  esac
  [ "$live" ]
}

# The same under every name.
# shellcheck disable=SC2086
set_as_any() { set_by "$1" "$name" $also; }

# Sees to it that a value is there after a boot too. What a file keeps already is left to it, and nothing is kept that was
# not written here: a value that somebody else gave is theirs to keep.
keep_value() {
  if ! remembered writing "$name"; then
    say "not kept   $name = $live: it was not set by this script, and is left to whoever set it"
    return 0
  fi
  if [ "$lost" ]; then
    say "NOT KEPT   $name: what is set in a network namespace is lost with it: whoever makes it has to set it"
    failed=1
    return 0
  fi
  now=$live last_file=
  while IFS= read -r other; do
    if set_as_any "$other"; then last_file=$other last_value=$live; fi
  done <"$state_file.files"
  if [ "$last_file" ]; then
    live=$last_value
    # A comment behind a number, or another word: nobody can say what a boot makes of it.
    if ! readable "$how"; then
      say "NOT KEPT   $name: $last_file sets \"$live\", which cannot be held against $now"
      failed=1
      return 0
    fi
    if holds "$how" "$@"; then
      if [ "$last_file" != "$keep_file" ]; then say "kept       $name: $last_file sets $live"; fi
      return 0
    fi
    if [ "$last_file" != "$keep_file" ] && { [ "$last_file" = /etc/sysctl.conf ] || later "$last_file" "$keep_file"; }; then
      say "NOT KEPT   $name: $last_file is read later and sets $live; change that line"
      failed=1
      return 0
    fi
  fi
  if [ "$last_file" ]; then
    live=$last_value
    join_live
  fi
  if [ "$last_file" != "$keep_file" ] && set_as_any "$keep_file" && readable "$how"; then
    join_live
  fi
  want=$now
  printf '%s = %s\n' "$name" "$want" >>"$state_file.lines" || die "cannot write $state_file.lines"
  # systemd-sysctl leaves a line in the place of an earlier one with the same value: then another name has the last word.
  for one in $also; do
    while IFS= read -r other; do
      if set_by "$other" "$one"; then
        printf '%s = %s\n' "$one" "$want" >>"$state_file.lines"
        break
      fi
    done <"$state_file.files"
  done
  if set_as_any /etc/sysctl.conf && { ! readable "$how" || ! holds "$how" "$@"; }; then
    say "but        $name: sysctl --system reads /etc/sysctl.conf last and sets $live; change that line too"
  fi
}

# Adds what a file gives, in $live, to the value that is to be kept: a list keeps its entries, a range its ends.
join_live() {
  # shellcheck disable=SC2086
  case $how in
    add) work_out add "$now" && now=$want ;;
    widen) work_out widen $now && now=$want ;;
  esac
}

# Whether $live is of the form that a sysctl of this kind has.
readable() {
  case $1 in
    raise) number "$live" ;;
    widen) number "${live%% *}" && number "${live##* }" && [ "$live" = "${live%% *} ${live##* }" ] ;;
    add) case $live in *[!0-9,-]*) return 1 ;; esac ;;
  esac
}

# Whether the first of two files sorts after the second.
later() { [ "$(printf '%s\n%s\n' "${1##*/}" "${2##*/}" | sort | tail -n 1)" = "${1##*/}" ]; }

# A file without its lines about the sysctls of the lines in $2, and then those.
merged() {
  if [ -f "$1" ]; then
    awk 'function key(line) { sub(/=.*/, "", line); gsub(/[[:space:]]/, "", line); sub(/^-/, "", line); gsub("/", ".", line); sub(/^[.]+/, "", line); return line }
      NR == FNR { ours[key($0)] = 1; next }
      /^[[:space:]]*[#;]/ || !/=/ || !(key($0) in ours)' "$2" "$1" || return 1
  fi
  cat "$2"
}

keep() {
  rm -f "$state_file.lines" "$state_file.modules"
  boot_files >"$state_file.files" || die "cannot write $state_file.files"
  mode=keep
  steps
  mode=apply
  if [ -f "$state_file.modules" ]; then
    file=/etc/modules-load.d/tunecheck.conf
    if [ ! -e "$file" ]; then set -- "$state_file.modules"; else set -- "$file" "$state_file.modules"; fi
    awk '!seen[$0]++' "$@" >"$state_file.text" || die "cannot write $state_file.text"
    put "$file"
  fi
  if [ -f "$state_file.lines" ]; then
    merged "$keep_file" "$state_file.lines" >"$state_file.text" || die "cannot write $state_file.text"
    put "$keep_file"
  fi
}

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
    /etc/systemd/system/*.d/50-tunecheck.conf)
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
  if ! has_folder; then rm -rf "$folder.tunecheck-new"; fi 2>/dev/null
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
  exit "$failed"
}

main "$@"
