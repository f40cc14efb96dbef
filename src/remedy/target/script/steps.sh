
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
about() { if [ "$mode" = plan ]; then cat 2>/dev/null || untold=1; fi; }

# What undo goes back to is what was there before the last write, also where somebody changed it in between.
save_value() {
  holds "$how" "$@" || [ -w "$path" ] || die "cannot write $path: be root, in the right place; is it read-only?"
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

# The limits of a service: its unit, soft, hard, the drop-in to write. A limit that is higher already stays.
service() {
  unit=$1 soft=$2 hard=$3 drop_in=$4
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
  # What systemd has read may be of files that are gone: those of an undo that was ended before it could say so.
  stale=
  if [ "$(systemctl show -p NeedDaemonReload --value "$unit")" = yes ]; then
    case $mode$persist in
      save1 | apply1) systemctl daemon-reload || die "$unit: systemctl daemon-reload failed" ;;
      *) stale=1 ;;
    esac
  fi
  now_soft=$(systemctl show -p LimitNOFILESoft --value "$unit")
  now_hard=$(systemctl show -p LimitNOFILE --value "$unit")
  at_least "$now_soft" "$soft" && soft=$now_soft
  at_least "$now_hard" "$hard" && hard=$now_hard
  if [ "$soft:$hard" = "$now_soft:$now_hard" ]; then
    case $mode in
      save) if ! remembered needs "$unit"; then saved "needs|$unit|"; fi ;;
      plan) say "  now      $unit $now_soft:$now_hard: holds already"; say '' ;;
      check)
        if [ "$stale" ]; then
          say "DOES NOT   $unit: its files changed since systemd read them; systemctl daemon-reload, then check again"
          failed=1
        else
          running
        fi
        ;;
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
      file=/etc/systemd/system/$unit.d/$drop_in
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
